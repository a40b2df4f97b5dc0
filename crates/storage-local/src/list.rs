use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use rustix::fs::{Dir, OFlags, Statx};
use rustix::io::Errno;
use tidegate_storage::{Answer, Listing, Pages, StorageError};
use tidegate_types::{Entry, FileKind, VirtualPath};

use crate::blocking::{hop, lock};
use crate::errors::Because;
use crate::facts::{self, Identity};
use crate::home::Home;
use crate::names;
use crate::root::READ_DIRECTORY;

/// How many entries a page has at most; about 64 KiB with names of ordinary length.
const PAGE_ENTRIES_MAX: usize = 256;

/// Opens `path` for listing.
pub(crate) fn open(
    home: Arc<Home>,
    identity: Arc<Identity>,
    path: &VirtualPath,
) -> Result<Listing, StorageError> {
    let root = &home.root;
    let fd = root.open_beneath(path.relative(), READ_DIRECTORY).because("openat2", path.as_bytes())?;
    let facts = facts::of_fd(&fd).because("statx", path.as_bytes())?;
    let about = identity.metadata(&facts, root.read_only);
    let dir = Dir::new(fd).because("getdents64", path.as_bytes())?;
    let way = path.relative().to_vec();
    let pages = LocalPages { walk: Arc::new(Mutex::new(Walk { home, identity, dir, way })) };
    Ok(Listing { about, pages: Box::new(pages) })
}

struct LocalPages {
    /// Shared only with the hop under way, which goes on by itself when a listing is cut.
    walk: Arc<Mutex<Walk>>,
}

struct Walk {
    home: Arc<Home>,
    identity: Arc<Identity>,
    dir: Dir,
    /// The way to the directory from the root: links in it may leave the directory, not the root.
    way: Vec<u8>,
}

impl Pages for LocalPages {
    fn next_page(&mut self) -> Answer<'_, Option<Vec<Entry>>> {
        let walk = Arc::clone(&self.walk);
        Box::pin(hop(move || lock(&walk).page()))
    }
}

impl Walk {
    fn page(&mut self) -> Result<Option<Vec<Entry>>, StorageError> {
        let mut entries = Vec::new();
        while entries.len() < PAGE_ENTRIES_MAX {
            let Some(next) = self.dir.read() else { break };
            let next = next.because("getdents64", &self.way)?;
            let name = next.file_name().to_bytes();
            if !names::is_listed(name) {
                continue;
            }
            if let Some(facts) = self.look(name)? {
                let metadata = self.identity.metadata(&facts, self.home.root.read_only);
                entries.push(Entry { name: name.to_vec(), metadata });
            }
        }
        Ok(if entries.is_empty() { None } else { Some(entries) })
    }

    /// Returns the facts of `name`, of its target when it is a link that stays inside; `None` when it is gone.
    fn look(&self, name: &[u8]) -> Result<Option<Statx>, StorageError> {
        let dir = self.dir.fd().because("dirfd", &self.way)?;
        let facts = match facts::of_name(dir.as_fd(), name) {
            Err(Errno::NOENT | Errno::STALE) => return Ok(None),
            other => other.because("statx", name)?,
        };
        if facts::kind(&facts) != FileKind::Symlink {
            return Ok(Some(facts));
        }
        let mut path = self.way.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let followed = self.home.root.open_beneath(&path, OFlags::PATH | OFlags::CLOEXEC);
        Ok(Some(followed.and_then(facts::of_fd).unwrap_or(facts)))
    }
}
