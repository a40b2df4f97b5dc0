use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use rustix::fs::{Dir, DirEntry, FileType, Mode, OFlags, Statx, openat};
use rustix::io::Errno;
use tidegate_storage::{Answer, Listing, Pages, StorageError};
use tidegate_types::{Access, Entry, FileKind, Metadata, Timestamp, Unique, VirtualPath};

use crate::blocking::{hop, lock};
use crate::errors::Because;
use crate::facts::{self, Identity};
use crate::home::Home;
use crate::names;
use crate::root::{ACT, READ_DIRECTORY};

/// How many entries a page has at most; about 64 KiB with names of ordinary length.
const PAGE_ENTRIES_MAX: usize = 256;

/// Opens `path` for listing; `PermissionDenied` also when its names could be read but not looked at.
pub(crate) fn open(
    home: Arc<Home>,
    identity: Arc<Identity>,
    path: &VirtualPath,
) -> Result<Listing, StorageError> {
    let root = &home.root;
    let fd = root.open_beneath(path.relative(), READ_DIRECTORY).because("openat2", path.as_bytes())?;
    // Asks for the search permission, without which every name would be one about which nothing is known.
    openat(&fd, c".", ACT, Mode::empty()).map(drop).because("openat", path.as_bytes())?;
    let facts = facts::of_fd(&fd).because("statx", path.as_bytes())?;
    let about = identity.metadata(&facts, root.read_only);
    let dir = Dir::new(fd).because("getdents64", path.as_bytes())?;
    let way = path.relative().to_vec();
    let pages = LocalPages {
        walk: Arc::new(Mutex::new(Walk { home, identity, dir, device: about.unique.device, way })),
    };
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
    device: u64,
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
            if !names::is_listed(name) || self.home.root.deny.covers(name) {
                continue;
            }
            let metadata = match self.look(name) {
                Ok(facts) => facts.map(|facts| self.identity.metadata(&facts, self.home.root.read_only)),
                // One bad name, such as a mount that is dead, does not take the others with it.
                Err(error) => {
                    tracing::debug!(%error, "a listed name cannot be looked at");
                    self.unknown(&next)
                }
            };
            if let Some(metadata) = metadata {
                entries.push(Entry { name: name.to_vec(), metadata });
            }
        }
        Ok(if entries.is_empty() { None } else { Some(entries) })
    }

    /// Returns what is known of `entry` without a look at it: that it is there. `None` where it may be a link to what is
    /// denied.
    fn unknown(&self, entry: &DirEntry) -> Option<Metadata> {
        if !self.home.root.deny.is_empty()
            && matches!(entry.file_type(), FileType::Symlink | FileType::Unknown)
        {
            return None;
        }
        Some(Metadata {
            kind: FileKind::Other,
            size: 0,
            modified: Timestamp { secs: 0, nanos: 0 },
            mode: 0,
            uid: 0,
            gid: 0,
            links: 1,
            unique: Unique { device: self.device, file: entry.ino() },
            access: Access { read: false, write: false, search: false },
        })
    }

    /// Returns the facts of `name`, of its target when it is a link that stays inside; `None` when it is gone, or leads to
    /// what is denied.
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
        // `None` also when it leads nowhere now, and what it would lead to is denied.
        match self.home.root.open_allowed(&path, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(target) => Ok(target.map(|target| facts::of_fd(target).unwrap_or(facts))),
            Err(_) => Ok(Some(facts)),
        }
    }
}
