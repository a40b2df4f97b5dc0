//! The fake as a `tidegate_storage` backend, for servers under test. A tenant's home is a path in the tree.

use std::future::ready;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tidegate_storage::{
    Answer, Backend, Committed, Cut, Listing, Pages, Reader, StillWanted, Storage, StorageError, Tenant,
    Upload, UploadRequest,
};
use tidegate_types::{Entry, Metadata, StorageErrorKind as Kind, Timestamp, VirtualPath};

use super::{FakeFs, FakeHome, FakeReader, FakeUpload};

/// How many entries one page holds.
const PAGE_ENTRIES: usize = 256;

fn answer<'a, T: Send + 'a>(result: Result<T, Kind>) -> Answer<'a, T> {
    Box::pin(ready(result.map_err(|kind| StorageError::new(kind, "fake"))))
}

impl Backend for FakeFs {
    fn open<'a>(&'a self, tenant: &'a Tenant) -> Answer<'a, Arc<dyn Storage>> {
        let home =
            VirtualPath::resolve(&VirtualPath::root(), tenant.home.as_bytes()).map_err(|_| Kind::BadName);
        let opened = home.and_then(|home| self.home(&home, tenant.account.clone()));
        answer(opened.map(|home| Arc::new(home.creating(tenant.creation)) as Arc<dyn Storage>))
    }
}

impl Storage for FakeHome {
    fn metadata<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Metadata> {
        answer(Self::metadata(self, path))
    }

    fn enter<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        answer(Self::enter(self, path))
    }

    fn list<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Listing> {
        answer(Self::list(self, path).map(|(about, entries)| Listing {
            about,
            pages: Box::new(FakePages { entries: entries.into_iter() }),
        }))
    }

    fn open_read<'a>(&'a self, path: &'a VirtualPath, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        answer(Self::open_read(self, path, offset).map(|reader| Box::new(reader) as Box<dyn Reader>))
    }

    fn begin_upload<'a>(&'a self, request: &'a UploadRequest) -> Answer<'a, Box<dyn Upload>> {
        answer(Self::begin_upload(self, request).map(|upload| Box::new(upload) as Box<dyn Upload>))
    }

    fn make_directory<'a>(&'a self, path: &'a VirtualPath, umask: u32) -> Answer<'a, ()> {
        answer(Self::make_directory(self, path, umask))
    }

    fn remove_directory<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        answer(Self::remove_directory(self, path))
    }

    fn remove_file<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        answer(Self::remove_file(self, path))
    }

    fn rename<'a>(
        &'a self,
        from: &'a VirtualPath,
        to: &'a VirtualPath,
        may_overwrite: bool,
    ) -> Answer<'a, ()> {
        answer(Self::rename(self, from, to, may_overwrite))
    }

    fn set_modified<'a>(&'a self, path: &'a VirtualPath, time: Timestamp) -> Answer<'a, ()> {
        answer(Self::set_modified(self, path, time))
    }

    fn set_mode<'a>(&'a self, path: &'a VirtualPath, mode: u32) -> Answer<'a, ()> {
        answer(Self::set_mode(self, path, mode))
    }

    fn set_group<'a>(&'a self, path: &'a VirtualPath, gid: u32) -> Answer<'a, ()> {
        answer(Self::set_group(self, path, gid))
    }

    fn make_link<'a>(&'a self, target: &'a VirtualPath, link: &'a VirtualPath) -> Answer<'a, ()> {
        answer(Self::make_link(self, target, link))
    }

    fn remove_tree<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        answer(Self::remove_tree(self, path))
    }

    fn available<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, u64> {
        answer(Self::available(self, path))
    }
}

struct FakePages {
    entries: std::vec::IntoIter<Entry>,
}

impl Pages for FakePages {
    fn next_page(&mut self) -> Answer<'_, Option<Vec<Entry>>> {
        let page: Vec<Entry> = self.entries.by_ref().take(PAGE_ENTRIES).collect();
        answer(Ok(if page.is_empty() { None } else { Some(page) }))
    }
}

impl Reader for FakeReader {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn read_at(&self, offset: u64, mut buffer: Vec<u8>) -> Answer<'_, Vec<u8>> {
        answer(Self::read_at(self, offset, buffer.capacity()).map(|bytes| {
            buffer.clear();
            buffer.extend_from_slice(&bytes);
            buffer
        }))
    }

    fn as_file(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Upload for FakeUpload {
    fn path(&self) -> &VirtualPath {
        Self::path(self)
    }

    fn starts_at(&self) -> u64 {
        Self::starts_at(self)
    }

    fn write(&mut self, mut bytes: Vec<u8>) -> Answer<'_, Vec<u8>> {
        let written = Self::write(self, &bytes);
        bytes.clear();
        answer(written.map(|()| bytes))
    }

    fn as_file(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn note_failed_write(&mut self) {
        Self::note_failed_write(self);
    }

    fn commit(self: Box<Self>, still_wanted: StillWanted) -> Answer<'static, Committed> {
        answer(self.commit_if(|| still_wanted()))
    }

    fn abort(self: Box<Self>) -> Answer<'static, Cut> {
        answer(Ok(Self::abort(*self)))
    }

    fn take_back(self: Box<Self>) -> Answer<'static, Cut> {
        answer(Ok(Self::take_back(*self)))
    }
}
