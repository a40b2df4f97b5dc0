//! Uploads: begun with everything that can be refused before 150, written, then committed or cut.

mod begin;
mod job;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use tidegate_storage::{Answer, Cut, StorageError, Upload};
use tidegate_types::{StorageErrorKind, VirtualPath};

pub(crate) use self::begin::begin;
use self::job::Job;
pub(crate) use self::job::rename_new;
use crate::blocking::{hop, lock};

/// An upload as the server holds it.
pub(crate) struct LocalUpload {
    path: VirtualPath,
    starts_at: u64,
    file: Arc<OwnedFd>,
    /// Shared with the hop under way, which finishes its write even when the session is gone; `None` at the end.
    job: Option<Arc<Mutex<Job>>>,
}

impl LocalUpload {
    fn new(path: VirtualPath, starts_at: u64, job: Job) -> Self {
        Self { path, starts_at, file: Arc::clone(job.file()), job: Some(Arc::new(Mutex::new(job))) }
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
        let Some(job) = self.job.clone() else { return Box::pin(async { Err(ended()) }) };
        Box::pin(async move {
            // Small writes wait in memory for company: a small file then costs no hop of its own.
            let stashed = match job.try_lock() {
                Ok(mut job) => job.stash(&bytes)?,
                Err(_) => false,
            };
            if stashed {
                bytes.clear();
                return Ok(bytes);
            }
            hop(move || {
                lock(&job).write(&bytes)?;
                bytes.clear();
                Ok(bytes)
            })
            .await
        })
    }

    fn has_descriptor(&self) -> bool {
        let job = self.job.as_ref().and_then(|job| job.try_lock().ok());
        job.is_some_and(|job| job.has_descriptor())
    }

    fn as_file(&self) -> Option<BorrowedFd<'_>> {
        let mut job = self.job.as_ref()?.try_lock().ok()?;
        job.lend_descriptor().then(|| self.file.as_fd())
    }

    fn note_failed_write(&mut self) {
        if let Some(job) = &self.job {
            lock(job).note_failed_write();
        }
    }

    fn commit(mut self: Box<Self>) -> Answer<'static, u64> {
        let job = self.job.take();
        Box::pin(hop(move || {
            let job = job.ok_or_else(ended)?;
            lock(&job).commit()
        }))
    }

    fn abort(mut self: Box<Self>) -> Answer<'static, Cut> {
        let job = self.job.take();
        Box::pin(hop(move || {
            let job = job.ok_or_else(ended)?;
            Ok(lock(&job).abort())
        }))
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        // The job's own drop aborts; it belongs on a thread that may block, wherever there is one.
        if let (Some(job), Ok(runtime)) = (self.job.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(job));
        }
    }
}

fn ended() -> StorageError {
    StorageError::new(StorageErrorKind::Failed, "the upload has ended already")
}
