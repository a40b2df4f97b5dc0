use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_storage::StorageError;
use tidegate_types::StorageErrorKind;

/// Runs `work` on a thread that may block: the one hop of a call. Work that has begun is finished even when the
/// caller goes away.
pub(crate) async fn hop<T, F>(work: F) -> Result<T, StorageError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StorageError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => Err(StorageError::new(StorageErrorKind::Failed, format!("blocking work: {error}"))),
    }
}

/// Locks `mutex`; what a panicking holder left behind is still usable here, for each update is one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
