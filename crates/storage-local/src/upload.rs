//! Uploads: begun with everything that can be refused before 150, written, then committed or cut.

mod begin;
mod job;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_storage::{Answer, Committed, Cut, StillWanted, StorageError, Upload};
use tidegate_types::{StorageErrorKind, VirtualPath};

pub(crate) use self::begin::begin;
use self::job::Job;
pub(crate) use self::job::rename_new;
use crate::blocking::{hop, lock};

/// An upload as the server holds it.
///
/// A hop may hold the job for as long as the disk hangs: whoever runs on an async thread only tries its lock.
pub(crate) struct LocalUpload {
    path: VirtualPath,
    starts_at: u64,
    /// Whether a write through the descriptor failed; the job reads it.
    failed: Arc<AtomicBool>,
    /// `None` at the end. The last of it belongs on a thread that may block: its drop aborts, and closes the file.
    open: Option<Open>,
}

/// What is open; shared with the hop under way, which finishes its write even when the session is gone.
#[derive(Clone)]
struct Open {
    job: Arc<Mutex<Job>>,
    file: Arc<OwnedFd>,
}

impl LocalUpload {
    fn new(path: VirtualPath, starts_at: u64, job: Job) -> Self {
        let failed = Arc::clone(job.failed());
        let file = Arc::clone(job.file());
        Self { path, starts_at, failed, open: Some(Open { job: Arc::new(Mutex::new(job)), file }) }
    }

    /// Ends the upload with `end`, where it may block. An answer that nobody ever asked for is a drop.
    fn finish<T: Send + 'static>(
        mut self: Box<Self>,
        end: impl FnOnce(&mut Job) -> Result<T, StorageError> + Send + 'static,
    ) -> Answer<'static, T> {
        Box::pin(async move {
            let open = self.open.take();
            hop(move || {
                let open = open.ok_or_else(ended)?;
                end(&mut lock(&open.job))
            })
            .await
        })
    }
}

impl Upload for LocalUpload {
    fn path(&self) -> &VirtualPath {
        &self.path
    }

    fn starts_at(&self) -> u64 {
        self.starts_at
    }

    fn write(&mut self, mut bytes: Vec<u8>) -> Answer<'_, Vec<u8>> {
        let Some(open) = self.open.clone() else { return Box::pin(async { Err(ended()) }) };
        Box::pin(async move {
            // Small writes wait in memory for company: a small file then costs no hop of its own.
            let stashed = match open.job.try_lock() {
                Ok(mut job) => job.stash(&bytes)?,
                Err(_) => false,
            };
            if stashed {
                bytes.clear();
                return Ok(bytes);
            }
            hop(move || {
                lock(&open.job).write(&bytes)?;
                bytes.clear();
                Ok(bytes)
            })
            .await
        })
    }

    fn has_descriptor(&self) -> bool {
        let job = self.open.as_ref().and_then(|open| open.job.try_lock().ok());
        job.is_some_and(|job| job.has_descriptor())
    }

    fn as_file(&self) -> Option<BorrowedFd<'_>> {
        let open = self.open.as_ref()?;
        let mut job = open.job.try_lock().ok()?;
        job.lend_descriptor().then(|| open.file.as_fd())
    }

    fn note_failed_write(&mut self) {
        self.failed.store(true, Ordering::SeqCst);
    }

    fn commit(self: Box<Self>, still_wanted: StillWanted) -> Answer<'static, Committed> {
        self.finish(move |job| job.commit(&*still_wanted))
    }

    fn abort(self: Box<Self>) -> Answer<'static, Cut> {
        self.finish(|job| Ok(job.abort()))
    }

    fn take_back(self: Box<Self>) -> Answer<'static, Cut> {
        self.finish(|job| Ok(job.take_back()))
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        // The job's own drop aborts; it belongs on a thread that may block, wherever there is one.
        if let (Some(open), Ok(runtime)) = (self.open.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(open));
        }
    }
}

fn ended() -> StorageError {
    StorageError::new(StorageErrorKind::Failed, "the upload has ended already")
}

#[cfg(test)]
mod tests;
