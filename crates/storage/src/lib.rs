//! What any place that keeps files must offer, and the battery of tests that proves it.
//!
//! One boxed future a call, none a chunk. Paths arrive resolved ([`VirtualPath`]); rights of the account were checked
//! by the session machine, and what only the place itself can check without a race (does the target exist?) is told
//! with the request.

#[cfg(feature = "battery")]
pub mod battery;

use std::future::Future;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;

use tidegate_types::{AccountName, Entry, Metadata, StorageErrorKind, Timestamp, UploadStyle, VirtualPath};
pub use tidegate_types::{Creation, Cut, UploadStart};

/// The answer of one call.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

/// What went wrong: the kind decides the reply, the detail goes to the log and never to a client.
#[derive(Debug, thiserror::Error)]
#[error("{}: {detail}", kind.as_str())]
pub struct StorageError {
    /// What the client must be told.
    pub kind: StorageErrorKind,
    /// What the operator should know, such as the system call and its error.
    pub detail: String,
}

impl StorageError {
    /// Returns an error of `kind` with `detail` for the log.
    pub fn new(kind: StorageErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

/// Whose view of the storage is opened.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The account, `None` for anonymous: partial uploads are kept for accounts only.
    pub account: Option<AccountName>,
    /// The home as configured: a folder on this machine, or whatever the backend understands.
    pub home: String,
    /// What it creates looks like.
    pub creation: Creation,
}

/// A place that opens homes. The assembling room names the concrete one.
pub trait Backend: Send + Sync {
    /// Opens the home of one tenant; every path of the view is below it.
    fn open<'a>(&'a self, tenant: &'a Tenant) -> Answer<'a, Arc<dyn Storage>>;
}

/// One upload as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRequest {
    /// The target.
    pub path: VirtualPath,
    /// What happens to it.
    pub start: UploadStart,
    /// How `Replace` is written.
    pub style: UploadStyle,
    /// Whether a target that exists may be replaced (else `AlreadyExists`).
    pub may_overwrite: bool,
    /// Whether a target that exists may be added to or written into at an offset (else `PermissionDenied`); before its end
    /// only with `may_overwrite`.
    pub may_append: bool,
    /// Permission bits that a new file does not get (SITE UMASK), beside those the service withholds.
    pub umask: u32,
}

/// One account's view of the files.
pub trait Storage: Send + Sync {
    /// Returns the facts of `path`, links inside the root followed; a partial upload of this account is a file.
    fn metadata<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Metadata>;

    /// Checks that `path` is a directory that may be entered.
    fn enter<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()>;

    /// Opens `path` for listing. `NotADirectory` when it is a file, `PermissionDenied` when its names may not be read or
    /// looked at.
    fn list<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Listing>;

    /// Opens a regular file; `BadOffset` when `offset` lies past its end.
    fn open_read<'a>(&'a self, path: &'a VirtualPath, offset: u64) -> Answer<'a, Box<dyn Reader>>;

    /// Opens an upload; nothing of it is visible under the target's name before `commit`, save for in-place ones.
    /// What is written over (a target in place, a partial from an offset on) is as it was until the first byte or `commit`.
    fn begin_upload<'a>(&'a self, request: &'a UploadRequest) -> Answer<'a, Box<dyn Upload>>;

    /// Creates a directory without the permission bits of `umask`; `AlreadyExists` when the name is taken.
    fn make_directory<'a>(&'a self, path: &'a VirtualPath, umask: u32) -> Answer<'a, ()>;

    /// Removes an empty directory; `PermissionDenied` for the root.
    fn remove_directory<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()>;

    /// Removes a file, or a symbolic link itself; `IsADirectory` for a directory.
    fn remove_file<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()>;

    /// Renames, atomically. Without `may_overwrite` a target that exists is `AlreadyExists`, checked without a race.
    fn rename<'a>(
        &'a self,
        from: &'a VirtualPath,
        to: &'a VirtualPath,
        may_overwrite: bool,
    ) -> Answer<'a, ()>;

    /// Sets the modification time.
    fn set_modified<'a>(&'a self, path: &'a VirtualPath, time: Timestamp) -> Answer<'a, ()>;

    /// Sets the permission bits, `0o1777` at most: set-user-ID and set-group-ID are left out.
    fn set_mode<'a>(&'a self, path: &'a VirtualPath, mode: u32) -> Answer<'a, ()>;

    /// Sets the group.
    fn set_group<'a>(&'a self, path: &'a VirtualPath, gid: u32) -> Answer<'a, ()>;

    /// Creates the symbolic link `link` to `target`, which must exist. What the link holds leads there from where it
    /// stands, never over a place above the root.
    fn make_link<'a>(&'a self, target: &'a VirtualPath, link: &'a VirtualPath) -> Answer<'a, ()>;

    /// Removes a directory with everything in it, never what its links lead to; `PermissionDenied` for the root. What
    /// could not be removed is still there. Dropping the answer stops it between two entries.
    fn remove_tree<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()>;

    /// Returns how many bytes may still be stored in the directory `path`. `NotADirectory` when it is a file.
    fn available<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, u64>;
}

/// A directory opened for listing: what it is, and its names page by page.
pub struct Listing {
    /// The directory's own facts.
    pub about: Metadata,
    /// Its entries.
    pub pages: Box<dyn Pages>,
}

/// Entries of a directory in bounded pages, in no promised order; memory does not grow with the directory.
pub trait Pages: Send {
    /// Returns the next page (at most 256 entries), or `None` at the end. Names with control bytes are left out; one about
    /// which nothing can be learnt is `FileKind::Other`.
    fn next_page(&mut self) -> Answer<'_, Option<Vec<Entry>>>;
}

/// A file opened for reading.
pub trait Reader: Send {
    /// Returns the size when it was opened.
    fn size(&self) -> u64;

    /// Reads up to `buffer.capacity()` bytes at `offset` into `buffer` (cleared first) and gives it back; empty at the end.
    fn read_at(&self, offset: u64, buffer: Vec<u8>) -> Answer<'_, Vec<u8>>;

    /// Returns the descriptor for kernel copies, where there is one.
    fn as_file(&self) -> Option<BorrowedFd<'_>>;
}

/// An upload under way. Dropping it is `abort`.
pub trait Upload: Send {
    /// Returns the target; for `Unique` the name that was chosen.
    fn path(&self) -> &VirtualPath;

    /// Returns the offset of the first byte that will be written.
    fn starts_at(&self) -> u64;

    /// Writes all of `bytes` after what was written before and gives the buffer back, cleared.
    fn write(&mut self, bytes: Vec<u8>) -> Answer<'_, Vec<u8>>;

    /// Returns whether [`as_file`](Self::as_file) would give a descriptor. Changes nothing and never blocks: where giving
    /// it changes something, a backend says so here by itself.
    fn has_descriptor(&self) -> bool {
        self.as_file().is_some()
    }

    /// Returns the descriptor, positioned where the next byte goes, for callers on a thread that may block. `None` where
    /// there is none, and from the moment a newer session has taken the file over: [`write`](Self::write) tells why.
    ///
    /// Call it only when a byte is at hand: it counts as the first byte, and drops what the upload replaces in place.
    fn as_file(&self) -> Option<BorrowedFd<'_>>;

    /// Notes that a write through the descriptor failed: what arrived is not kept, as after a failed `write`; a file that
    /// existed and is written in place stays as it is by then. Never blocks.
    fn note_failed_write(&mut self) {}

    /// Makes the file durable as configured, then visible under its name. The question is asked on a thread that may
    /// block, at the last moment before the file becomes visible; when the answer is no, it is an [`abort`](Self::abort).
    /// What was written in place is visible already: nobody is asked.
    fn commit(self: Box<Self>, still_wanted: StillWanted) -> Answer<'static, Committed>;

    /// Gives up; says what remains.
    fn abort(self: Box<Self>) -> Answer<'static, Cut>;

    /// Gives up and keeps nothing of what arrived: what is new is discarded, in place too, and a file that existed and was
    /// written in place loses what it grew. What was written over stays so.
    fn take_back(self: Box<Self>) -> Answer<'static, Cut>;
}

/// Whether an upload is still wanted, asked by [`Upload::commit`]; short, and never waits.
pub type StillWanted = Arc<dyn Fn() -> bool + Send + Sync>;

/// What came of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The file is there.
    Stored {
        /// Its size in bytes.
        size: u64,
    },
    /// Nobody wanted it any more: what remains, as of an upload that was cut.
    Unwanted(Cut),
}

/// Commits an upload that is wanted whatever happens; returns the size of the file.
///
/// Errors: as of [`Upload::commit`].
pub async fn commit(upload: Box<dyn Upload>) -> Result<u64, StorageError> {
    match upload.commit(Arc::new(|| true)).await? {
        Committed::Stored { size } => Ok(size),
        Committed::Unwanted(_) => {
            Err(StorageError::new(StorageErrorKind::Failed, "a commit was refused that nobody refused"))
        }
    }
}
