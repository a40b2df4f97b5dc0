use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tidegate_storage::{
    Answer, Backend, Committed, Cut, Listing, Pages, Reader, StillWanted, Storage, StorageError, Tenant,
    Upload, UploadRequest, UploadStart,
};
use tidegate_types::{Access, Entry, FileKind, Metadata, StorageErrorKind, Timestamp, Unique, VirtualPath};
use tokio::sync::Semaphore;

type Files = Arc<Mutex<BTreeMap<Vec<u8>, Option<Vec<u8>>>>>;

/// Files in memory, one home for everybody. Names that begin with `bad` cannot be read past the middle; where a name begins
/// with `slow`, commits of a file, listings of a directory behind its first 3,000 entries, and removals of a tree wait for
/// `commits`; kernel copies of names that begin with `panic` panic.
pub(crate) struct Memory {
    /// A directory has no content.
    files: Files,
    kernel: bool,
    pub(crate) commits: Arc<Semaphore>,
    /// Set once an upload gave its descriptor away, which may drop what it replaces.
    pub(crate) lent: Arc<AtomicBool>,
    /// Set once an upload was told that what arrived is not to be kept.
    pub(crate) broken: Arc<AtomicBool>,
}

impl Memory {
    pub(crate) fn new(kernel: bool) -> Self {
        let files = BTreeMap::from([(b"/".to_vec(), None)]);
        Self {
            files: Arc::new(Mutex::new(files)),
            kernel,
            commits: Arc::new(Semaphore::new(0)),
            lent: Arc::default(),
            broken: Arc::default(),
        }
    }

    pub(crate) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().insert(path.into(), Some(content.into()));
    }

    pub(crate) fn put_directory(&self, path: &str) {
        self.files.lock().unwrap().insert(path.into(), None);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.files.lock().unwrap().get(path.as_bytes()).cloned().flatten()
    }
}

impl Backend for Memory {
    fn open<'a>(&'a self, _tenant: &'a Tenant) -> Answer<'a, Arc<dyn Storage>> {
        let (files, commits) = (Arc::clone(&self.files), Arc::clone(&self.commits));
        let (lent, broken) = (Arc::clone(&self.lent), Arc::clone(&self.broken));
        let home = Home { files, kernel: self.kernel, commits, lent, broken };
        Box::pin(async move { Ok(Arc::new(home) as Arc<dyn Storage>) })
    }
}

struct Home {
    files: Files,
    kernel: bool,
    commits: Arc<Semaphore>,
    lent: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
}

fn facts(content: Option<&Vec<u8>>) -> Metadata {
    Metadata {
        kind: if content.is_some() { FileKind::File } else { FileKind::Directory },
        size: content.map_or(0, |bytes| bytes.len() as u64),
        modified: Timestamp { secs: 1_700_000_000, nanos: 0 },
        mode: 0o644,
        uid: 1,
        gid: 1,
        links: 1,
        unique: Unique::default(),
        access: Access::ALL,
    }
}

fn is_slow(path: &VirtualPath) -> bool {
    path.file_name().is_some_and(|name| name.starts_with(b"slow"))
}

fn error(kind: StorageErrorKind) -> StorageError {
    StorageError::new(kind, "in memory")
}

fn ready<'a, T: Send + 'a>(result: Result<T, StorageError>) -> Answer<'a, T> {
    Box::pin(async move { result })
}

impl Home {
    fn look(&self, path: &VirtualPath) -> Result<Option<Vec<u8>>, StorageError> {
        let files = self.files.lock().unwrap();
        files.get(path.as_bytes()).cloned().ok_or_else(|| error(StorageErrorKind::NotFound))
    }

    fn list_now(&self, path: &VirtualPath) -> Result<Listing, StorageError> {
        if self.look(path)?.is_some() {
            return Err(error(StorageErrorKind::NotADirectory));
        }
        let files = self.files.lock().unwrap();
        let entries: Vec<Entry> = files
            .iter()
            .filter_map(|(name, content)| {
                let name = VirtualPath::resolve(&VirtualPath::root(), name).unwrap();
                let inside = !name.is_root() && name.parent() == *path;
                inside.then(|| Entry {
                    name: name.file_name().unwrap().to_vec(),
                    metadata: facts(content.as_ref()),
                })
            })
            .collect();
        let slow = is_slow(path).then(|| Arc::clone(&self.commits));
        Ok(Listing { about: facts(None), pages: Box::new(InMemoryPages { entries, given: 0, slow }) })
    }

    fn open_now(&self, path: &VirtualPath, offset: u64) -> Result<Box<dyn Reader>, StorageError> {
        let content = self.look(path)?.ok_or_else(|| error(StorageErrorKind::IsADirectory))?;
        if offset > content.len() as u64 {
            return Err(error(StorageErrorKind::BadOffset));
        }
        let bad = path.file_name().is_some_and(|name| name.starts_with(b"bad"));
        let size = content.len() as u64;
        let file = self.kernel.then(|| {
            let mut file = tempfile::tempfile().unwrap();
            // What the kernel finds of a bad file is shorter than what was promised.
            let kept = if bad { content.len() / 2 } else { content.len() };
            file.write_all(&content[..kept]).unwrap();
            file
        });
        let panics = path.file_name().is_some_and(|name| name.starts_with(b"panic"));
        Ok(Box::new(InMemoryReader { content, size, bad, panics, file, asked: AtomicBool::new(false) }))
    }

    fn begin_now(&self, request: &UploadRequest) -> Box<dyn Upload> {
        let old = self.files.lock().unwrap().get(request.path.as_bytes()).cloned().flatten();
        let before = match request.start {
            UploadStart::Append => old.unwrap_or_default(),
            UploadStart::At(offset) => {
                let mut old = old.unwrap_or_default();
                old.truncate(usize::try_from(offset).unwrap());
                old
            }
            UploadStart::Replace | UploadStart::Unique => Vec::new(),
        };
        let starts_at = before.len() as u64;
        let file = self.kernel.then(|| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&before).unwrap();
            file
        });
        let slow = is_slow(&request.path);
        Box::new(InMemoryUpload {
            path: request.path.clone(),
            files: Arc::clone(&self.files),
            content: before,
            starts_at,
            file,
            commits: slow.then(|| Arc::clone(&self.commits)),
            lent: Arc::clone(&self.lent),
            broken: Arc::clone(&self.broken),
        })
    }
}

impl Storage for Home {
    fn metadata<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Metadata> {
        ready(self.look(path).map(|content| facts(content.as_ref())))
    }

    fn enter<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        ready(self.look(path).and_then(|content| {
            if content.is_some() { Err(error(StorageErrorKind::NotADirectory)) } else { Ok(()) }
        }))
    }

    fn list<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Listing> {
        ready(self.list_now(path))
    }

    fn open_read<'a>(&'a self, path: &'a VirtualPath, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        ready(self.open_now(path, offset))
    }

    fn begin_upload<'a>(&'a self, request: &'a UploadRequest) -> Answer<'a, Box<dyn Upload>> {
        ready(Ok(self.begin_now(request)))
    }

    fn make_directory<'a>(&'a self, path: &'a VirtualPath, _umask: u32) -> Answer<'a, ()> {
        self.files.lock().unwrap().insert(path.as_bytes().to_vec(), None);
        ready(Ok(()))
    }

    fn remove_directory<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        self.remove_file(path)
    }

    fn remove_file<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        let gone = self.files.lock().unwrap().remove(path.as_bytes());
        ready(gone.map(|_| ()).ok_or_else(|| error(StorageErrorKind::NotFound)))
    }

    fn rename<'a>(
        &'a self,
        from: &'a VirtualPath,
        to: &'a VirtualPath,
        _may_overwrite: bool,
    ) -> Answer<'a, ()> {
        let mut files = self.files.lock().unwrap();
        let moved =
            files.remove(from.as_bytes()).map(|content| files.insert(to.as_bytes().to_vec(), content));
        ready(moved.map(|_| ()).ok_or_else(|| error(StorageErrorKind::NotFound)))
    }

    fn set_modified<'a>(&'a self, path: &'a VirtualPath, _time: Timestamp) -> Answer<'a, ()> {
        ready(self.look(path).map(|_| ()))
    }

    fn set_mode<'a>(&'a self, path: &'a VirtualPath, _mode: u32) -> Answer<'a, ()> {
        ready(self.look(path).map(|_| ()))
    }

    fn set_group<'a>(&'a self, path: &'a VirtualPath, _gid: u32) -> Answer<'a, ()> {
        ready(self.look(path).map(|_| ()))
    }

    fn make_link<'a>(&'a self, _target: &'a VirtualPath, _link: &'a VirtualPath) -> Answer<'a, ()> {
        ready(Err(error(StorageErrorKind::Unsupported)))
    }

    fn remove_tree<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        Box::pin(async move {
            if is_slow(path) {
                self.commits.acquire().await.unwrap().forget();
            }
            let mut files = self.files.lock().unwrap();
            files
                .retain(|name, _| !VirtualPath::resolve(&VirtualPath::root(), name).unwrap().is_within(path));
            Ok(())
        })
    }

    fn available<'a>(&'a self, _path: &'a VirtualPath) -> Answer<'a, u64> {
        ready(Ok(1 << 40))
    }
}

struct InMemoryPages {
    entries: Vec<Entry>,
    given: usize,
    slow: Option<Arc<Semaphore>>,
}

impl Pages for InMemoryPages {
    fn next_page(&mut self) -> Answer<'_, Option<Vec<Entry>>> {
        Box::pin(async move {
            let count = self.entries.len().min(256);
            if self.given + count > 3000
                && let Some(slow) = self.slow.take()
            {
                slow.acquire().await.unwrap().forget();
            }
            self.given += count;
            let page: Vec<Entry> = self.entries.drain(..count).collect();
            Ok(Some(page).filter(|page| !page.is_empty()))
        })
    }
}

struct InMemoryReader {
    content: Vec<u8>,
    size: u64,
    bad: bool,
    panics: bool,
    file: Option<File>,
    asked: AtomicBool,
}

impl Reader for InMemoryReader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, mut buffer: Vec<u8>) -> Answer<'_, Vec<u8>> {
        let offset = usize::try_from(offset).unwrap();
        if self.bad && offset >= self.content.len() / 2 {
            return ready(Err(error(StorageErrorKind::Failed)));
        }
        let most = if self.bad { self.content.len() / 2 } else { self.content.len() };
        buffer.clear();
        let end = (offset + buffer.capacity()).min(most);
        buffer.extend_from_slice(&self.content[offset.min(end)..end]);
        ready(Ok(buffer))
    }

    fn as_file(&self) -> Option<BorrowedFd<'_>> {
        // The first time it is asked whether there is one, the second time it is used.
        let again = self.asked.swap(true, Ordering::Relaxed);
        assert!(!(again && self.panics), "a storage that panics, as the test wants");
        self.file.as_ref().map(AsFd::as_fd)
    }
}

struct InMemoryUpload {
    path: VirtualPath,
    files: Files,
    content: Vec<u8>,
    starts_at: u64,
    file: Option<File>,
    commits: Option<Arc<Semaphore>>,
    lent: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
}

impl Upload for InMemoryUpload {
    fn path(&self) -> &VirtualPath {
        &self.path
    }

    fn starts_at(&self) -> u64 {
        self.starts_at
    }

    fn write(&mut self, mut bytes: Vec<u8>) -> Answer<'_, Vec<u8>> {
        if self.path.file_name().is_some_and(|name| name.starts_with(b"full")) {
            return ready(Err(error(StorageErrorKind::DiskFull)));
        }
        if let Some(file) = &mut self.file {
            file.write_all(&bytes).unwrap();
        } else {
            self.content.extend_from_slice(&bytes);
        }
        bytes.clear();
        ready(Ok(bytes))
    }

    fn note_failed_write(&mut self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn has_descriptor(&self) -> bool {
        self.file.is_some()
    }

    fn as_file(&self) -> Option<BorrowedFd<'_>> {
        self.lent.store(true, Ordering::Relaxed);
        self.file.as_ref().map(AsFd::as_fd)
    }

    fn commit(self: Box<Self>, still_wanted: StillWanted) -> Answer<'static, Committed> {
        Box::pin(async move {
            if let Some(commits) = &self.commits {
                commits.acquire().await.unwrap().forget();
            }
            if !still_wanted() {
                return Ok(Committed::Unwanted(Cut::Discarded));
            }
            let mut content = self.content;
            if let Some(mut file) = self.file {
                content.clear();
                file.seek(SeekFrom::Start(0)).unwrap();
                file.read_to_end(&mut content).unwrap();
            }
            let size = content.len() as u64;
            self.files.lock().unwrap().insert(self.path.as_bytes().to_vec(), Some(content));
            Ok(Committed::Stored { size })
        })
    }

    fn take_back(self: Box<Self>) -> Answer<'static, Cut> {
        self.broken.store(true, Ordering::Relaxed);
        ready(Ok(Cut::Discarded))
    }

    fn abort(self: Box<Self>) -> Answer<'static, Cut> {
        ready(Ok(Cut::Discarded))
    }
}
