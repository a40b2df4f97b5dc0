use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, Statx, fstatvfs, openat, openat2, readlinkat,
};
use rustix::io::{self, Errno};
use tidegate_storage::StorageError;
use tidegate_types::{FileKind, StorageErrorKind, VirtualPath};

use crate::errors::{Because, refuse};
use crate::{facts, names};

/// How often a resolution that raced with a rename is tried again before the client is told to come back.
const RACES_MAX: u32 = 64;
/// How many links a target may be reached through; what the kernel allows too.
const LINKS_MAX: u32 = 40;

/// For acting on names inside a directory: no permission on the directory itself is needed to open it so.
pub(crate) const ACT: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// For directories that will be read or synced.
pub(crate) const READ_DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
/// Never waits for the other end of a FIFO, never becomes the controlling terminal.
pub(crate) const READ_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// As [`READ_FILE`], for the last name of a path whose links are resolved already.
pub(crate) const WRITE_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW);

/// Checks that the kernel has `openat2` (Linux 5.6) and lets this process use it.
pub(crate) fn probe() -> Result<(), StorageError> {
    openat2(CWD, c"/", ACT, Mode::empty(), ResolveFlags::NO_MAGICLINKS).map(drop).map_err(|errno| {
        let hint = "the openat2 system call is needed (Linux 5.6 or newer, and permitted by the container)";
        StorageError::new(StorageErrorKind::Unsupported, format!("{hint}: {errno}"))
    })
}

/// The directory everything lies below.
#[derive(Debug)]
pub(crate) struct Root {
    fd: Arc<OwnedFd>,
    /// Whether the file system under it is mounted read-only.
    pub(crate) read_only: bool,
}

/// Where a path ends once its links are followed: a directory and a name in it that is no link.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) dir: Arc<OwnedFd>,
    /// A way to `dir` from the root, links in it not followed yet: the kernel resolves it, nobody else does.
    pub(crate) dir_path: Vec<u8>,
    /// `.` when the path names the directory itself.
    pub(crate) name: Vec<u8>,
    /// What stands there; `None` when the name is free.
    pub(crate) facts: Option<Statx>,
}

impl Root {
    /// Opens `home`, a directory that exists.
    pub(crate) fn open(home: &str) -> Result<Self, StorageError> {
        let fd = match openat(CWD, home, READ_DIRECTORY, Mode::empty()) {
            Err(Errno::ACCESS) => openat(CWD, home, ACT, Mode::empty()),
            other => other,
        }
        .because("the home cannot be opened:", home.as_bytes())?;
        // A file system that cannot say is taken as writable: the first write will tell.
        let read_only = fstatvfs(&fd).is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY));
        Ok(Self { fd: Arc::new(fd), read_only })
    }

    /// Returns the descriptor of the root itself.
    pub(crate) fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// Opens `path` (relative; empty for the root itself), never above the root, links that stay below it followed.
    pub(crate) fn open_beneath(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..RACES_MAX {
            match openat2(&*self.fd, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens the directory `path` (relative) with `flags`; the root's own descriptor is shared.
    pub(crate) fn directory(&self, path: &[u8], flags: OFlags) -> io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.fd));
        }
        match self.open_beneath(path, flags) {
            // Names may be created where none may be read: drop boxes.
            Err(Errno::ACCESS) if flags != ACT => self.open_beneath(path, ACT),
            other => other,
        }
        .map(Arc::new)
    }

    /// Returns the way to the directory `dir` from the root as it is now, no link in it; `None` where /proc cannot say.
    pub(crate) fn way_to(&self, dir: &OwnedFd) -> Option<Vec<u8>> {
        let place =
            |fd: &OwnedFd| readlinkat(CWD, format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new()).ok();
        let (root, place) = (place(&self.fd)?, place(dir)?);
        let root = root.as_bytes();
        // `/` itself ends with the separator, every other root does not.
        let rest = place.as_bytes().strip_prefix(root.strip_suffix(b"/").unwrap_or(root))?;
        if rest.is_empty() { Some(Vec::new()) } else { rest.strip_prefix(b"/").map(<[u8]>::to_vec) }
    }

    /// Returns the directory that holds `path` and the last name in it, a link not followed; the root has none.
    pub(crate) fn parent(&self, path: &VirtualPath) -> Result<(Arc<OwnedFd>, Vec<u8>), StorageError> {
        let Some(name) = path.file_name() else {
            return Err(refuse(StorageErrorKind::PermissionDenied, b"/", "the root is not to be changed"));
        };
        let (dir_path, _) = split(path.relative());
        let dir = self.directory(dir_path, ACT).because("openat2", path.as_bytes())?;
        Ok((dir, name.to_vec()))
    }

    /// Follows the links of `path` to its end, the last one too, and opens the directory there with `flags`.
    pub(crate) fn resolve(&self, path: &VirtualPath, flags: OFlags) -> Result<Target, StorageError> {
        let mut way = path.relative().to_vec();
        for _ in 0..LINKS_MAX {
            let (dir_path, name) = split(&way);
            let dir = self.directory(dir_path, flags).because("openat2", path.as_bytes())?;
            if names::is_reserved(name) {
                return Err(refuse(StorageErrorKind::NotFound, path.as_bytes(), "reserved"));
            }
            let facts = match facts::of_name(&dir, name) {
                Err(Errno::NOENT) => None,
                other => Some(other.because("statx", path.as_bytes())?),
            };
            if facts.as_ref().map(facts::kind) != Some(FileKind::Symlink) {
                let (dir_path, name) = (dir_path.to_vec(), name.to_vec());
                return Ok(Target { dir, dir_path, name, facts });
            }
            let link = readlinkat(&dir, name, Vec::new()).because("readlinkat", path.as_bytes())?;
            if link.as_bytes().starts_with(b"/") {
                return Err(refuse(StorageErrorKind::PermissionDenied, path.as_bytes(), "an absolute link"));
            }
            let mut next = dir_path.to_vec();
            if !next.is_empty() {
                next.push(b'/');
            }
            next.extend_from_slice(link.as_bytes());
            way = next;
        }
        Err(Errno::LOOP).because("links of", path.as_bytes())
    }
}

/// Splits a relative path into the way and the last name; a path that ends in a directory is a way and `.`.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let whole = path.get(..end).unwrap_or_default();
    let (way, name) = match whole.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (whole.get(..at).unwrap_or_default(), whole.get(at + 1..).unwrap_or_default()),
        None => (&b""[..], whole),
    };
    match name {
        b"" | b"." | b".." => (whole, b"."),
        name => (way, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_into_a_way_and_a_name() {
        for (path, way, name) in [
            (&b""[..], &b""[..], &b"."[..]),
            (b"a", b"", b"a"),
            (b"a/b", b"a", b"b"),
            (b"a/../b", b"a/..", b"b"),
            (b"a/b/", b"a", b"b"),
            (b"..", b"..", b"."),
            (b"a/.", b"a/.", b"."),
        ] {
            assert_eq!(split(path), (way, name), "{}", path.escape_ascii());
        }
    }
}
