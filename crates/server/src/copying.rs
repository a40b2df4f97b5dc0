//! Copies a file (SITE COPY, SITE CPTO) and joins files (COMB): chunk by chunk through memory, so that it works on every storage
//! and can be given up between two chunks. The work has a task of its own: when nobody waits for it any more, it undoes what it
//! did.

use std::sync::Arc;

use tidegate_storage::{
    Committed, Cut, Reader, StillWanted, Storage, StorageError, Upload, UploadRequest, UploadStart,
};
use tidegate_types::{FileKind, Metadata, StorageErrorKind, Unique, UploadStyle, VirtualPath};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::jobs::{Pulse, Share, read_chunk};

/// What the work is done with.
pub(crate) struct Tools {
    pub(crate) home: Arc<dyn Storage>,
    pub(crate) share: Share,
    pub(crate) pulse: Arc<Pulse>,
}

/// A file to be copied.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) from: VirtualPath,
    pub(crate) to: VirtualPath,
    pub(crate) may_overwrite: bool,
    pub(crate) umask: u32,
    pub(crate) size_max: Option<u64>,
}

/// Files to be appended to one, in this order.
#[derive(Debug)]
pub(crate) struct Combine {
    pub(crate) target: VirtualPath,
    pub(crate) parts: Vec<VirtualPath>,
    pub(crate) umask: u32,
    pub(crate) size_max: Option<u64>,
}

/// Copies a file. The copy is visible whole or not at all, so a file copied onto itself is never lost. When it fails or the
/// future is dropped, nothing of it remains: a commit under way asks once more whether it is wanted.
///
/// The copy is a new file that takes the place of an old one, also for accounts whose uploads are written in place: another hard
/// link to the old file keeps the old content.
///
/// Errors: those of `open_read` and `begin_upload`; `TooLarge`; `Busy` when there is no place for 10 s; `Failed` when the file
/// shrinks meanwhile.
pub(crate) async fn copy(tools: Tools, copy: Copy) -> Result<(), StorageError> {
    let share = tools.share.clone();
    share.run(|given_up| Work { tools, given_up }.copy(copy)).await
}

/// Appends the parts to the target and removes them once that is done. What cannot work (a part that is missing, no file, or
/// the target itself; too large a sum) is refused before anything is written. When it fails later or the future is dropped, every
/// part is still there and the target is as it was; only when the commit itself fails, a target that existed may keep what was
/// appended, as with APPE.
///
/// A commit that has begun is not given up where the target exists, since its bytes are there already; and what is committed is
/// brought to its end, the removal of the parts included. A part that was changed since it was read is kept.
///
/// Errors: as [`copy`]; `PermissionDenied` for a part that is the target or another part, by whatever name; `Busy` for a part
/// that changes meanwhile.
pub(crate) async fn combine(tools: Tools, combine: Combine) -> Result<(), StorageError> {
    let share = tools.share.clone();
    share.run(|given_up| Work { tools, given_up }.combine(combine)).await
}

/// A copy or a join under way.
struct Work {
    tools: Tools,
    /// Nobody waits for it any more.
    given_up: CancellationToken,
}

/// A file to be appended, as it looked before it was read.
struct Part {
    path: VirtualPath,
    about: Metadata,
}

impl Work {
    async fn copy(self, copy: Copy) -> Result<(), StorageError> {
        let Copy { from, to, may_overwrite, umask, size_max } = copy;
        let home = &self.tools.home;
        let reader = home.open_read(&from, 0).await?;
        refuse_beyond(size_max, reader.size())?;
        let request = UploadRequest {
            path: to,
            start: UploadStart::Replace,
            style: UploadStyle::Atomic,
            may_overwrite,
            may_append: false,
            umask,
        };
        let mut draft = Draft::new(home.begin_upload(&request).await?);
        let poured = self.pour(&mut draft, reader).await;
        self.settle(draft, poured, &request).await
    }

    async fn combine(self, combine: Combine) -> Result<(), StorageError> {
        let Combine { target, parts, umask, size_max } = combine;
        let parts = self.check(&target, parts, size_max).await?;
        let request = UploadRequest {
            path: target,
            start: UploadStart::Append,
            style: UploadStyle::Atomic,
            may_overwrite: false,
            may_append: true,
            umask,
        };
        let mut draft = Draft::new(self.tools.home.begin_upload(&request).await?);
        let appended = self.append(&mut draft, &parts, size_max).await;
        self.settle(draft, appended, &request).await?;
        self.remove(&parts).await
    }

    /// Looks at everything before anything is written.
    async fn check(
        &self,
        target: &VirtualPath,
        paths: Vec<VirtualPath>,
        size_max: Option<u64>,
    ) -> Result<Vec<Part>, StorageError> {
        let home = &self.tools.home;
        let existing = match home.metadata(target).await {
            Ok(about) => Some(about),
            Err(error) if error.kind == StorageErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut total = match &existing {
            Some(about) => file_size(about, target)?,
            None => 0,
        };
        let mut parts: Vec<Part> = Vec::with_capacity(paths.len());
        for path in paths {
            let about = home.metadata(&path).await?;
            total = total.saturating_add(file_size(&about, &path)?);
            let is_target = path == *target || existing.is_some_and(|existing| is_same(&existing, &about));
            if is_target || parts.iter().any(|other| other.path == path || is_same(&other.about, &about)) {
                let detail = format!("{path} is the target or another part");
                return Err(StorageError::new(StorageErrorKind::PermissionDenied, detail));
            }
            parts.push(Part { path, about });
        }
        refuse_beyond(size_max, total)?;
        Ok(parts)
    }

    async fn append(
        &self,
        draft: &mut Draft,
        parts: &[Part],
        size_max: Option<u64>,
    ) -> Result<(), StorageError> {
        for part in parts {
            let reader = self.tools.home.open_read(&part.path, 0).await?;
            refuse_beyond(size_max, draft.end.saturating_add(reader.size()))?;
            self.pour(draft, reader).await?;
        }
        for part in parts {
            self.check_unchanged(part).await?;
        }
        Ok(())
    }

    /// Writes the whole file, as large as it was when it was opened.
    async fn pour(&self, draft: &mut Draft, reader: Box<dyn Reader>) -> Result<(), StorageError> {
        let Tools { share, pulse, .. } = &self.tools;
        let (mut at, size) = (0, reader.size());
        while at < size {
            let place = tokio::select! {
                biased;
                () = self.given_up.cancelled() => return Err(given_up()),
                place = share.place(pulse) => place?,
            };
            let chunk = read_chunk(&*reader, at..size).await?;
            at += chunk.len() as u64;
            draft.end += chunk.len() as u64;
            draft.upload()?.write(chunk).await?;
            drop(place);
            pulse.beat();
        }
        Ok(())
    }

    /// Commits what was written, or takes it back.
    async fn settle(
        &self,
        mut draft: Draft,
        written: Result<(), StorageError>,
        request: &UploadRequest,
    ) -> Result<(), StorageError> {
        let is_new = draft.is_new;
        let Some(upload) = draft.upload.take() else { return Err(over()) };
        let written =
            written.and_then(|()| if self.given_up.is_cancelled() { Err(given_up()) } else { Ok(()) });
        if let Err(error) = written {
            take_back(upload).await;
            return Err(error);
        }
        let token = self.given_up.clone();
        let still_wanted: StillWanted = Arc::new(move || !(is_new && token.is_cancelled()));
        match self.tools.pulse.trusting(upload.commit(still_wanted)).await? {
            Committed::Stored { .. } => Ok(()),
            Committed::Unwanted(cut) => {
                if matches!(cut, Cut::Kept { .. }) {
                    self.discard_partial(request).await;
                }
                Err(given_up())
            }
        }
    }

    /// Discards what a commit that was not wanted kept for a client to resume: no client sent it.
    async fn discard_partial(&self, request: &UploadRequest) {
        let fresh = UploadRequest { start: UploadStart::Replace, may_overwrite: false, ..request.clone() };
        match self.tools.home.begin_upload(&fresh).await {
            Ok(upload) => take_back(upload).await,
            Err(error) => {
                warn!(path = %request.path, %error, "a copy that was given up stays as a partial upload");
            }
        }
    }

    /// Removes the parts, which are all in the target now.
    async fn remove(&self, parts: &[Part]) -> Result<(), StorageError> {
        let mut done = Ok(());
        for part in parts {
            let removed = match self.check_unchanged(part).await {
                Ok(()) => self.tools.home.remove_file(&part.path).await,
                changed => changed,
            };
            if let Err(error) = removed {
                warn!(part = %part.path, %error, "a part was appended and is not removed");
                done = Err(error);
            }
            self.tools.pulse.beat();
        }
        done
    }

    /// Errors: `Busy` when somebody wrote to the part since it was looked at: its new content may be in no other file.
    async fn check_unchanged(&self, part: &Part) -> Result<(), StorageError> {
        let (was, is) = (&part.about, self.tools.home.metadata(&part.path).await?);
        if (is.unique, is.size, is.modified) == (was.unique, was.size, was.modified) {
            return Ok(());
        }
        Err(StorageError::new(StorageErrorKind::Busy, format!("{} was changed meanwhile", part.path)))
    }
}

async fn take_back(upload: Box<dyn Upload>) {
    if let Err(error) = upload.take_back().await {
        warn!(%error, "a copy that was given up");
    }
}

fn given_up() -> StorageError {
    StorageError::new(StorageErrorKind::Failed, "nobody waits for it any more")
}

fn over() -> StorageError {
    StorageError::new(StorageErrorKind::Failed, "the upload is over")
}

/// A storage without identities leaves them all zero.
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.unique == other.unique && one.unique != Unique::default()
}

fn file_size(about: &Metadata, path: &VirtualPath) -> Result<u64, StorageError> {
    let kind = match about.kind {
        FileKind::File => return Ok(about.size),
        FileKind::Directory => StorageErrorKind::IsADirectory,
        FileKind::Symlink | FileKind::Other => StorageErrorKind::NotAFile,
    };
    Err(StorageError::new(kind, path.to_string()))
}

fn refuse_beyond(size_max: Option<u64>, size: u64) -> Result<(), StorageError> {
    if size_max.is_some_and(|size_max| size > size_max) {
        let detail = format!("{size} bytes would be more than a file may have");
        return Err(StorageError::new(StorageErrorKind::TooLarge, detail));
    }
    Ok(())
}

/// A file that is written by the server itself. Dropped before its end (the server stops), nothing of a new file is kept: nobody
/// would resume it.
struct Draft {
    upload: Option<Box<dyn Upload>>,
    is_new: bool,
    /// Where the next byte goes.
    end: u64,
}

impl Draft {
    fn new(upload: Box<dyn Upload>) -> Self {
        let end = upload.starts_at();
        Self { is_new: end == 0, end, upload: Some(upload) }
    }

    fn upload(&mut self) -> Result<&mut Box<dyn Upload>, StorageError> {
        self.upload.as_mut().ok_or_else(over)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(upload) = &mut self.upload
            && self.is_new
        {
            upload.note_failed_write();
        }
    }
}

#[cfg(test)]
mod tests;
