//! Performs what the session asks of storage.

use std::sync::Arc;

use tidegate_protocol::listing::NO_ACCESS;
use tidegate_protocol::session::{StorageDone, StorageRequest};
use tidegate_storage::{Reader, Storage, StorageError, Upload, UploadRequest};
use tidegate_types::{Entry, FileKind, StorageErrorKind, VirtualPath};
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::transfer::ListSource;

/// What storage opened, kept until the transfer that uses it.
pub(crate) struct Opened {
    /// For the log.
    pub(crate) path: VirtualPath,
    pub(crate) what: OpenedWhat,
}

pub(crate) enum OpenedWhat {
    Download(Box<dyn Reader>),
    Upload(Box<dyn Upload>),
    Listing(ListSource),
}

/// What came of a request, and what it opened.
pub(crate) type Stored = (Result<StorageDone, StorageErrorKind>, Option<Opened>);

/// Performs `request` on `home`; a failure is logged under the session's number.
pub(crate) async fn perform(session: u64, home: Arc<dyn Storage>, request: StorageRequest) -> Stored {
    let (verb, path) = describe(&request);
    let path = path.clone();
    match answer(&*home, request).await {
        Ok((done, opened)) => (Ok(done), opened),
        Err(error) => {
            log(session, verb, &path, &error);
            (Err(error.kind), None)
        }
    }
}

type Answered = Result<(StorageDone, Option<Opened>), StorageError>;

async fn answer(home: &dyn Storage, request: StorageRequest) -> Answered {
    let done = |()| (StorageDone::Done, None);
    match request {
        StorageRequest::Enter(path) => home.enter(&path).await.map(done),
        StorageRequest::Metadata(path) => Ok((StorageDone::Metadata(home.metadata(&path).await?), None)),
        StorageRequest::Facts(path) => facts(home, &path).await,
        StorageRequest::MakeDirectory(path) => home.make_directory(&path).await.map(done),
        StorageRequest::RemoveDirectory(path) => home.remove_directory(&path).await.map(done),
        StorageRequest::RemoveFile(path) => home.remove_file(&path).await.map(done),
        StorageRequest::Rename { from, to, may_overwrite } => {
            home.rename(&from, &to, may_overwrite).await.map(done)
        }
        StorageRequest::SetModified { path, time } => home.set_modified(&path, time).await.map(done),
        StorageRequest::SetMode { path, mode } => home.set_mode(&path, mode).await.map(done),
        StorageRequest::OpenDownload { path, offset } => {
            let reader = home.open_read(&path, offset).await?;
            let size = reader.size();
            Ok((StorageDone::Download { size }, Some(Opened { path, what: OpenedWhat::Download(reader) })))
        }
        StorageRequest::OpenUpload { path, start, style, may_overwrite, may_append } => {
            open_upload(home, &UploadRequest { path, start, style, may_overwrite, may_append }).await
        }
        StorageRequest::OpenListing { path, or_file } => open_listing(home, path, or_file).await,
        StorageRequest::Peek { path, entries_max } => peek(home, &path, entries_max).await,
    }
}

async fn open_upload(home: &dyn Storage, request: &UploadRequest) -> Answered {
    let upload = home.begin_upload(request).await?;
    let path = upload.path().clone();
    let opened = Opened { path: path.clone(), what: OpenedWhat::Upload(upload) };
    Ok((StorageDone::Upload { path }, Some(opened)))
}

async fn open_listing(home: &dyn Storage, path: VirtualPath, or_file: bool) -> Answered {
    let (source, single) = match home.list(&path).await {
        Ok(listing) => (ListSource::Directory(listing), false),
        Err(error) if error.kind == StorageErrorKind::NotADirectory && or_file => {
            let metadata = home.metadata(&path).await?;
            let name = path.file_name().unwrap_or_default().to_vec();
            (ListSource::File(Entry { name, metadata }), true)
        }
        Err(error) => return Err(error),
    };
    Ok((StorageDone::Listing { single }, Some(Opened { path, what: OpenedWhat::Listing(source) })))
}

async fn facts(home: &dyn Storage, path: &VirtualPath) -> Answered {
    let about = home.metadata(path).await?;
    let parent = if path.is_root() { NO_ACCESS } else { home.metadata(&path.parent()).await?.access };
    Ok((StorageDone::Facts { about, parent }, None))
}

async fn peek(home: &dyn Storage, path: &VirtualPath, entries_max: usize) -> Answered {
    let mut listing = match home.list(path).await {
        Ok(listing) => listing,
        Err(error) if error.kind == StorageErrorKind::NotADirectory => {
            let about = home.metadata(path).await?;
            if about.kind == FileKind::Directory {
                // It changed between the two looks.
                return Err(error);
            }
            let (entries, now) = (Vec::new(), Clock::wall());
            return Ok((StorageDone::Entries { about, entries, truncated: false, now }, None));
        }
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    let mut truncated = false;
    while !truncated && let Some(page) = listing.pages.next_page().await? {
        let room = entries_max.saturating_sub(entries.len());
        truncated = page.len() > room;
        entries.extend(page.into_iter().take(room));
    }
    Ok((StorageDone::Entries { about: listing.about, entries, truncated, now: Clock::wall() }, None))
}

fn log(session: u64, verb: &'static str, path: &VirtualPath, error: &StorageError) {
    match error.kind {
        StorageErrorKind::Failed | StorageErrorKind::Exhausted | StorageErrorKind::DiskFull => {
            warn!(session, verb, %path, %error, "storage");
        }
        _ => debug!(session, verb, %path, %error, "storage"),
    }
}

fn describe(request: &StorageRequest) -> (&'static str, &VirtualPath) {
    match request {
        StorageRequest::Enter(path) => ("enter", path),
        StorageRequest::Metadata(path) => ("metadata", path),
        StorageRequest::Facts(path) => ("facts", path),
        StorageRequest::MakeDirectory(path) => ("make-directory", path),
        StorageRequest::RemoveDirectory(path) => ("remove-directory", path),
        StorageRequest::RemoveFile(path) => ("remove-file", path),
        StorageRequest::Rename { from, .. } => ("rename", from),
        StorageRequest::SetModified { path, .. } => ("set-modified", path),
        StorageRequest::SetMode { path, .. } => ("set-mode", path),
        StorageRequest::OpenDownload { path, .. } => ("open-download", path),
        StorageRequest::OpenUpload { path, .. } => ("open-upload", path),
        StorageRequest::OpenListing { path, .. } => ("open-listing", path),
        StorageRequest::Peek { path, .. } => ("peek", path),
    }
}
