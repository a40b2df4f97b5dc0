//! Files in memory, with the promises of `tidegate_storage` and faults on demand.
//!
//! The core is synchronous and answers with the bare [`StorageErrorKind`]; `backend` wraps it for servers. Partial
//! uploads are kept as DESIGN §6.2 wants: of new files, for their account only.

mod backend;
mod faults;
mod home;
mod look;
mod paths;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_types::{
    Access, AccountName, Creation, FileKind, Metadata, Pattern, StorageErrorKind as Kind, Timestamp, Unique,
    VirtualPath,
};

use faults::Faults;
pub use faults::Operation;
pub use home::{FakeHome, FakeReader};
use look::Look;
pub use upload::FakeUpload;

/// What is in one file; shared with whoever has it open, so that a rename or removal does not disturb them.
type Body = Arc<Mutex<Vec<u8>>>;

/// A tree of files. Clones are the same tree.
#[derive(Clone, Debug, Default)]
pub struct FakeFs {
    state: Arc<Mutex<State>>,
    deny: Arc<[Pattern]>,
}

#[derive(Debug, Default)]
struct State {
    /// Every file and directory by its whole path; the root is always there and not listed.
    nodes: BTreeMap<VirtualPath, Node>,
    partials: BTreeMap<(AccountName, VirtualPath), Partial>,
    /// Names promised to STOU uploads under way.
    reserved: BTreeSet<VirtualPath>,
    /// The targets of uploads under way.
    uploading: Vec<VirtualPath>,
    /// Who writes in place, by file: the account and the number of its upload.
    writers: BTreeMap<u64, (Option<AccountName>, u64)>,
    faults: Faults,
    bytes_max: Option<usize>,
    now: Timestamp,
    last_number: u64,
    handles_open: usize,
}

#[derive(Clone, Debug)]
struct Node {
    number: u64,
    modified: Timestamp,
    look: Look,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    File(Body),
    Directory,
    /// A symbolic link and what it holds: a relative way.
    Link(Vec<u8>),
    Device,
}

#[derive(Clone, Debug)]
struct Partial {
    number: u64,
    body: Body,
    look: Look,
}

impl FakeFs {
    /// Returns an empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the same tree, in whose homes every name is denied that matches one of `patterns`.
    #[must_use]
    pub fn denying(&self, patterns: impl Into<Arc<[Pattern]>>) -> Self {
        Self { state: Arc::clone(&self.state), deny: patterns.into() }
    }

    /// Returns the view of `account` (`None`: anonymous) below `home`, which must be a directory.
    pub fn home(&self, home: &VirtualPath, account: Option<AccountName>) -> Result<FakeHome, Kind> {
        self.state().directory(home)?;
        Ok(FakeHome { fs: self.clone(), home: home.clone(), account, creation: Creation::default() })
    }

    /// Creates `path` and all directories above it.
    pub fn make_directories(&self, path: &str) {
        self.state().make_directories(&absolute(path));
    }

    /// Puts a file there, with the directories above it, whatever was there before.
    pub fn put(&self, path: &str, content: &[u8]) {
        let path = absolute(path);
        let mut state = self.state();
        state.make_directories(&path.parent());
        state.insert(path, What::File(Arc::new(Mutex::new(content.to_vec()))));
    }

    /// Puts something there that is neither file nor directory.
    pub fn put_device(&self, path: &str) {
        self.state().insert(absolute(path), What::Device);
    }

    /// Puts a symbolic link there that holds `way`, relative to where it stands.
    pub fn put_link(&self, path: &str, way: &str) {
        self.state().insert(absolute(path), What::Link(way.as_bytes().to_vec()));
    }

    /// Sets when `path` was changed last.
    pub fn touch(&self, path: &str, time: Timestamp) {
        if let Some(node) = self.state().nodes.get_mut(&absolute(path)) {
            node.modified = time;
        }
    }

    /// Returns what is in the file at `path`, `None` when there is none. Partial uploads are not files.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        match &self.state().nodes.get(&absolute(path))?.what {
            What::File(body) => Some(lock(body).clone()),
            What::Directory | What::Link(_) | What::Device => None,
        }
    }

    /// Returns every file with its content, in path order.
    pub fn files(&self) -> Vec<(VirtualPath, Vec<u8>)> {
        let state = self.state();
        let files = state.nodes.iter().filter_map(|(path, node)| match &node.what {
            What::File(body) => Some((path.clone(), lock(body).clone())),
            What::Directory | What::Link(_) | What::Device => None,
        });
        files.collect()
    }

    /// Returns the partial uploads that are kept: whose, for which path, how many bytes.
    pub fn partials(&self) -> Vec<(AccountName, VirtualPath, usize)> {
        let state = self.state();
        let sizes = state.partials.iter();
        sizes.map(|((account, path), kept)| (account.clone(), path.clone(), lock(&kept.body).len())).collect()
    }

    /// Returns how many readers, uploads and listings are open.
    pub fn handles_open(&self) -> usize {
        self.state().handles_open
    }

    /// Sets the time that new files get.
    pub fn set_time(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Makes writes fail with `DiskFull` once all files together would hold more than `bytes_max`.
    pub fn set_space(&self, bytes_max: Option<usize>) {
        self.state().bytes_max = bytes_max;
    }

    /// Makes the next `operation` fail with `kind`; several wait in order.
    pub fn fail_next(&self, operation: Operation, kind: Kind) {
        self.state().faults.plan(operation, kind);
    }

    /// Makes each operation fail `per_mille` times of 1,000 with a kind that `seed` picks.
    pub fn fail_randomly(&self, seed: u64, per_mille: u32) {
        self.state().faults.randomize(seed, per_mille);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn denies(&self, name: &[u8]) -> bool {
        self.deny.iter().any(|pattern| pattern.matches(name))
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn insert(&mut self, path: VirtualPath, what: What) -> u64 {
        let look = if matches!(what, What::Directory) { Look::DIRECTORY } else { Look::FILE };
        self.insert_as(path, what, look)
    }

    fn insert_as(&mut self, path: VirtualPath, what: What, look: Look) -> u64 {
        let number = self.number();
        self.nodes.insert(path, Node { number, modified: self.now, look, what });
        number
    }

    fn make_directories(&mut self, path: &VirtualPath) {
        if !path.is_root() && !self.nodes.contains_key(path) {
            self.make_directories(&path.parent());
            self.insert(path.clone(), What::Directory);
        }
    }

    /// Returns the node of `path`, `None` for the root. Errors tell a missing name from a file in the way.
    fn find(&self, path: &VirtualPath) -> Result<Option<&Node>, Kind> {
        if path.is_root() {
            return Ok(None);
        }
        if let Some(node) = self.nodes.get(path) {
            return Ok(Some(node));
        }
        self.directory(&path.parent())?;
        Err(Kind::NotFound)
    }

    /// Checks that `path` is a directory.
    fn directory(&self, path: &VirtualPath) -> Result<(), Kind> {
        match self.find(path)?.map(|node| &node.what) {
            None | Some(What::Directory) => Ok(()),
            Some(_) => Err(Kind::NotADirectory),
        }
    }

    fn metadata(&self, path: &VirtualPath) -> Result<Metadata, Kind> {
        Ok(self.find(path)?.map_or_else(|| self.root(), Node::metadata))
    }

    fn root(&self) -> Metadata {
        Node { number: 0, modified: self.now, look: Look::DIRECTORY, what: What::Directory }.metadata()
    }

    fn bytes_used(&self) -> usize {
        let files = self.nodes.values().map(|node| match &node.what {
            What::File(body) => lock(body).len(),
            What::Directory | What::Link(_) | What::Device => 0,
        });
        files.sum::<usize>() + self.partials.values().map(|kept| lock(&kept.body).len()).sum::<usize>()
    }
}

impl Node {
    fn metadata(&self) -> Metadata {
        let (kind, size, links) = match &self.what {
            What::File(body) => (FileKind::File, lock(body).len() as u64, 1),
            What::Directory => (FileKind::Directory, 4096, 2),
            What::Link(way) => (FileKind::Symlink, way.len() as u64, 1),
            What::Device => (FileKind::Other, 0, 1),
        };
        Metadata {
            kind,
            size,
            modified: self.modified,
            mode: self.look.mode,
            uid: self.look.uid,
            gid: self.look.gid,
            links,
            unique: Unique { device: 1, file: self.number },
            access: Access::ALL,
        }
    }
}

fn absolute(path: &str) -> VirtualPath {
    VirtualPath::resolve(&VirtualPath::root(), path.as_bytes()).expect("a test names a sound path")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
