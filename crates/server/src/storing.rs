//! Performs what the session asks of storage.

use std::sync::Arc;

use tidegate_protocol::listing::NO_ACCESS;
use tidegate_protocol::session::{Glob, StorageDone, StorageRequest};
use tidegate_storage::{Reader, Storage, StorageError, Upload, UploadRequest};
use tidegate_types::{Entry, FileKind, StorageErrorKind, VirtualPath};
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::copying::{self, Combine, Copy, Tools};
use crate::hashing;
use crate::jobs::{Pulse, Share};
use crate::transfer::{Directory, GlobWalk, ListSource};

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

/// Who asks for something: whose files, and what a long job needs.
pub(crate) struct Asking {
    /// The session's number, for the log.
    pub(crate) session: u64,
    pub(crate) home: Arc<dyn Storage>,
    /// Of a long job.
    pub(crate) share: Option<Share>,
    pub(crate) pulse: Arc<Pulse>,
}

/// Returns whether `request` may take long and tells by its pulse that it goes on.
pub(crate) fn is_long(request: &StorageRequest) -> bool {
    matches!(
        request,
        StorageRequest::Hash { .. }
            | StorageRequest::Copy { .. }
            | StorageRequest::Combine { .. }
            | StorageRequest::RemoveTree(_)
            | StorageRequest::OpenListing { glob: Some(_), .. }
    )
}

/// Performs `request`; a failure is logged.
pub(crate) async fn perform(asking: Asking, request: StorageRequest) -> Stored {
    let (verb, path) = describe(&request);
    let path = path.clone();
    match answer(&asking, request).await {
        Ok((done, opened)) => (Ok(done), opened),
        Err(error) => {
            log(asking.session, verb, &path, &error);
            (Err(error.kind), None)
        }
    }
}

type Answered = Result<(StorageDone, Option<Opened>), StorageError>;

async fn answer(asking: &Asking, request: StorageRequest) -> Answered {
    let home = &*asking.home;
    let done = |()| (StorageDone::Done, None);
    match request {
        StorageRequest::Enter(path) => home.enter(&path).await.map(done),
        StorageRequest::Metadata(path) => Ok((StorageDone::Metadata(home.metadata(&path).await?), None)),
        StorageRequest::Facts(path) => facts(home, &path).await,
        StorageRequest::MakeDirectory { path, umask } => home.make_directory(&path, umask).await.map(done),
        StorageRequest::RemoveDirectory(path) => home.remove_directory(&path).await.map(done),
        StorageRequest::RemoveFile(path) => home.remove_file(&path).await.map(done),
        StorageRequest::Rename { from, to, may_overwrite } => {
            home.rename(&from, &to, may_overwrite).await.map(done)
        }
        StorageRequest::SetModified { path, time } => home.set_modified(&path, time).await.map(done),
        StorageRequest::SetMode { path, mode } => home.set_mode(&path, mode).await.map(done),
        StorageRequest::SetGroup { path, gid } => home.set_group(&path, gid).await.map(done),
        StorageRequest::MakeLink { target, link } => home.make_link(&target, &link).await.map(done),
        StorageRequest::Available(path) => Ok((StorageDone::Available(home.available(&path).await?), None)),
        StorageRequest::OpenDownload { path, offset } => {
            let reader = home.open_read(&path, offset).await?;
            let size = reader.size();
            Ok((StorageDone::Download { size }, Some(Opened { path, what: OpenedWhat::Download(reader) })))
        }
        StorageRequest::OpenUpload { path, start, style, may_overwrite, may_append, umask } => {
            open_upload(home, &UploadRequest { path, start, style, may_overwrite, may_append, umask }).await
        }
        StorageRequest::OpenListing { path, or_file, glob } => {
            open_listing(asking, path, or_file, glob).await
        }
        StorageRequest::Peek { path, entries_max } => peek(home, &path, entries_max).await,
        StorageRequest::Hash { .. }
        | StorageRequest::Copy { .. }
        | StorageRequest::Combine { .. }
        | StorageRequest::RemoveTree(_) => labour(asking, request).await,
    }
}

/// Does one of the long jobs. Boxed: their state is large, and every request would carry it.
async fn labour(asking: &Asking, request: StorageRequest) -> Answered {
    let Some(share) = &asking.share else {
        return Err(StorageError::new(StorageErrorKind::Failed, "a long job without a share of the places"));
    };
    let (home, pulse) = (&asking.home, &asking.pulse);
    let tools = || Tools { home: Arc::clone(home), share: share.clone(), pulse: Arc::clone(pulse) };
    let done = |()| (StorageDone::Done, None);
    match request {
        StorageRequest::Hash { path, algorithm, range } => {
            let hashed = Box::pin(hashing::hash(&**home, (share, pulse), &path, algorithm, range));
            Ok((hashed.await?, None))
        }
        StorageRequest::Copy { from, to, may_overwrite, umask, size_max } => {
            let copy = Copy { from, to, may_overwrite, umask, size_max };
            Box::pin(copying::copy(tools(), copy)).await.map(done)
        }
        StorageRequest::Combine { target, parts, umask, size_max } => {
            let combine = Combine { target, parts, umask, size_max };
            Box::pin(copying::combine(tools(), combine)).await.map(done)
        }
        StorageRequest::RemoveTree(path) => {
            let place = Box::pin(share.place(pulse)).await?;
            let removed = pulse.trusting(home.remove_tree(&path)).await;
            drop(place);
            removed.map(done)
        }
        _ => Err(StorageError::new(StorageErrorKind::Failed, "no long job")),
    }
}

async fn open_upload(home: &dyn Storage, request: &UploadRequest) -> Answered {
    let upload = home.begin_upload(request).await?;
    let path = upload.path().clone();
    let opened = Opened { path: path.clone(), what: OpenedWhat::Upload(upload) };
    Ok((StorageDone::Upload { path }, Some(opened)))
}

/// The name as it is comes first; what it means as a pattern only when there is no such name.
async fn open_listing(asking: &Asking, path: VirtualPath, or_file: bool, glob: Option<Glob>) -> Answered {
    let error = match open_literal(&asking.home, &path, or_file).await {
        Ok((source, single)) => {
            let opened = Opened { path, what: OpenedWhat::Listing(source) };
            return Ok((StorageDone::Listing { single }, Some(opened)));
        }
        Err(error) => error,
    };
    let missing = matches!(error.kind, StorageErrorKind::NotFound | StorageErrorKind::NotADirectory);
    let Some(glob) = glob.filter(|_| missing) else { return Err(error) };
    let walk = Box::pin(GlobWalk::search(Arc::clone(&asking.home), glob, &asking.pulse)).await?;
    let opened = Opened { path, what: OpenedWhat::Listing(ListSource::Matches(walk)) };
    Ok((StorageDone::Matches, Some(opened)))
}

async fn open_literal(
    home: &Arc<dyn Storage>,
    path: &VirtualPath,
    or_file: bool,
) -> Result<(ListSource, bool), StorageError> {
    match home.list(path).await {
        Ok(listing) => {
            let directory = Directory { listing, home: Arc::clone(home), path: path.clone() };
            Ok((ListSource::Directory(Box::new(directory)), false))
        }
        Err(error) if error.kind == StorageErrorKind::NotADirectory && or_file => {
            let metadata = home.metadata(path).await?;
            let name = path.file_name().unwrap_or_default().to_vec();
            Ok((ListSource::File(Entry { name, metadata }), true))
        }
        Err(error) => Err(error),
    }
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
        StorageRequest::MakeDirectory { path, .. } => ("make-directory", path),
        StorageRequest::RemoveDirectory(path) => ("remove-directory", path),
        StorageRequest::RemoveFile(path) => ("remove-file", path),
        StorageRequest::Rename { from, .. } => ("rename", from),
        StorageRequest::SetModified { path, .. } => ("set-modified", path),
        StorageRequest::SetMode { path, .. } => ("set-mode", path),
        StorageRequest::OpenDownload { path, .. } => ("open-download", path),
        StorageRequest::OpenUpload { path, .. } => ("open-upload", path),
        StorageRequest::OpenListing { path, .. } => ("open-listing", path),
        StorageRequest::Peek { path, .. } => ("peek", path),
        StorageRequest::SetGroup { path, .. } => ("set-group", path),
        StorageRequest::MakeLink { link, .. } => ("make-link", link),
        StorageRequest::Available(path) => ("available", path),
        StorageRequest::Hash { path, .. } => ("hash", path),
        StorageRequest::Copy { to, .. } => ("copy", to),
        StorageRequest::Combine { target, .. } => ("combine", target),
        StorageRequest::RemoveTree(path) => ("remove-tree", path),
    }
}
