use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, Statx, fstatvfs, openat, openat2, readlinkat,
};
use rustix::io::{self, Errno};
use tidegate_storage::StorageError;
use tidegate_types::{FileKind, StorageErrorKind, VirtualPath};

use crate::deny::Deny;
use crate::errors::{Because, refuse};
use crate::{facts, names};

/// How often a resolution that raced with a rename is tried again before the client is told to come back.
const RACES_MAX: u32 = 64;
/// How many links a target may be reached through; what the kernel allows too.
const LINKS_MAX: u32 = 40;

/// For acting on names inside a directory: no permission on the directory itself is needed to open it so.
pub(crate) const ACT: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// For looking at one name, a link itself.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
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

/// Checks that /proc tells where a descriptor leads: what denies names asks it wherever a link was followed.
pub(crate) fn probe_places() -> Result<(), StorageError> {
    let known = openat(CWD, c"/", ACT, Mode::empty()).and_then(|fd| place(&fd));
    known.map(drop).map_err(|errno| {
        let hint = "names can only be denied where /proc/self/fd can be read";
        StorageError::new(StorageErrorKind::Unsupported, format!("{hint}: {errno}"))
    })
}

/// The directory everything lies below.
#[derive(Debug)]
pub(crate) struct Root {
    fd: Arc<OwnedFd>,
    /// What lies below it and is not there for clients.
    pub(crate) deny: Deny,
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
    /// Opens `home`, a directory that exists, in which what `deny` covers is not there.
    pub(crate) fn open(home: &str, deny: Deny) -> Result<Self, StorageError> {
        let fd = match openat(CWD, home, READ_DIRECTORY, Mode::empty()) {
            Err(Errno::ACCESS) => openat(CWD, home, ACT, Mode::empty()),
            other => other,
        }
        .because("the home cannot be opened:", home.as_bytes())?;
        // A file system that cannot say is taken as writable: the first write will tell.
        let read_only = fstatvfs(&fd).is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY));
        Ok(Self { fd: Arc::new(fd), deny, read_only })
    }

    /// Returns the descriptor of the root itself.
    pub(crate) fn fd(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// Opens `path` (relative; empty for the root itself), never above the root, links that stay below it followed.
    /// What is denied is not there (`NOENT`), by whatever name it was reached.
    pub(crate) fn open_beneath(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        self.open_allowed(path, flags)?.ok_or(Errno::NOENT)
    }

    /// As [`open_beneath`](Self::open_beneath); `None` when what is there is denied.
    pub(crate) fn open_allowed(&self, path: &[u8], flags: OFlags) -> io::Result<Option<OwnedFd>> {
        if self.deny.is_empty() {
            return self.reach(path, flags, ResolveFlags::empty()).map(Some);
        }
        match self.reach(path, flags, ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) => {}
            // Without a link on the way the name is the thing.
            _ if self.deny.covers_way(path) => return Ok(None),
            other => return other.map(Some),
        }
        match self.reach(path, flags, ResolveFlags::empty()) {
            Ok(fd) if self.is_denied(&fd) => Ok(None),
            Err(_) if self.leads_to_denied(path) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Opens `path` as it is, denied or not: for what this room itself keeps there.
    fn reach(&self, path: &[u8], flags: OFlags, limits: ResolveFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | limits;
        for _ in 0..RACES_MAX {
            match openat2(&*self.fd, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Returns whether what `fd` stands for is denied where it lies, or lay when it was removed. What lies nowhere is.
    fn is_denied(&self, fd: &OwnedFd) -> bool {
        let Some(way) = self.way_to(fd) else { return true };
        let removed = way.strip_suffix(b" (deleted)").is_some_and(|way| self.deny.covers_way(way));
        removed || self.deny.covers_way(&way)
    }

    /// Returns whether `path` leads to what is denied, as far as names and links tell: also where it cannot be opened or
    /// is not there, for then why is not to be told either.
    fn leads_to_denied(&self, path: &[u8]) -> bool {
        let names =
            |way: &[u8]| way.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (mut rest, mut place, mut links) = (names(path), Vec::new(), 0);
        // Where `place` is, if that is known.
        let mut at = Some(Arc::clone(&self.fd));
        while let Some(name) = rest.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    place.pop();
                    at = None;
                    continue;
                }
                _ => {}
            }
            let dir = at.take().or_else(|| self.directory_as_it_is(&place.join(&b'/')).ok());
            let found = dir.as_ref().and_then(|dir| openat(dir, &name, LOOK, Mode::empty()).ok());
            match found.as_ref().and_then(|found| readlinkat(found, c"", Vec::new()).ok()) {
                Some(link) if links < LINKS_MAX && !link.as_bytes().starts_with(b"/") => {
                    links += 1;
                    rest.extend(names(link.as_bytes()));
                    at = dir;
                }
                _ => {
                    place.push(name);
                    at = found.map(Arc::new);
                }
            }
        }
        place.iter().any(|name| self.deny.covers(name))
    }

    /// Opens the directory `path` (relative) with `flags`, `None` when it is denied; the root's own descriptor is shared.
    pub(crate) fn directory(&self, path: &[u8], flags: OFlags) -> io::Result<Option<Arc<OwnedFd>>> {
        if path.is_empty() {
            return Ok(Some(Arc::clone(&self.fd)));
        }
        let opened = match self.open_allowed(path, flags) {
            // Names may be created where none may be read: drop boxes.
            Err(Errno::ACCESS) if flags != ACT => self.open_allowed(path, ACT),
            other => other,
        };
        Ok(opened?.map(Arc::new))
    }

    /// Opens the directory `path` (relative), denied or not, to act on what this room keeps in it.
    pub(crate) fn directory_as_it_is(&self, path: &[u8]) -> io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.fd));
        }
        self.reach(path, ACT, ResolveFlags::empty()).map(Arc::new)
    }

    /// Returns the way to `fd` from the root as it is now, no link in it; `None` where /proc cannot say.
    pub(crate) fn way_to(&self, fd: impl AsFd) -> Option<Vec<u8>> {
        let (root, place) = (place(&*self.fd).ok()?, place(fd).ok()?);
        // `/` itself ends with the separator, every other root does not.
        let rest = place.strip_prefix(root.strip_suffix(b"/").unwrap_or(&root))?;
        if rest.is_empty() { Some(Vec::new()) } else { rest.strip_prefix(b"/").map(<[u8]>::to_vec) }
    }

    /// Returns the directory that holds `path` and the last name in it, a link not followed; the root has none.
    /// Refused as `denied` when that is denied, or is a link to what is.
    pub(crate) fn parent(
        &self,
        path: &VirtualPath,
        denied: StorageErrorKind,
    ) -> Result<(Arc<OwnedFd>, Vec<u8>), StorageError> {
        let Some(name) = path.file_name() else {
            return Err(refuse(StorageErrorKind::PermissionDenied, b"/", "the root is not to be changed"));
        };
        let (dir_path, _) = split(path.relative());
        let dir = self.directory(dir_path, ACT).because("openat2", path.as_bytes())?;
        match dir {
            Some(dir) if !self.hides(&dir, name, path.relative()) => Ok((dir, name.to_vec())),
            _ => Err(refuse(denied, path.as_bytes(), "leads to a denied name")),
        }
    }

    /// Returns whether `name` in `dir`, which is `path` from the root, is a link to what is denied.
    pub(crate) fn hides(&self, dir: impl AsFd, name: &[u8], path: &[u8]) -> bool {
        let is_link =
            || facts::of_name(dir, name).is_ok_and(|facts| facts::kind(&facts) == FileKind::Symlink);
        !self.deny.is_empty() && is_link() && self.leads_to_denied(path)
    }

    /// Follows the links of `path` to its end, the last one too, and opens the directory there with `flags`. Refused as
    /// `denied` when that is denied.
    pub(crate) fn resolve(
        &self,
        path: &VirtualPath,
        flags: OFlags,
        denied: StorageErrorKind,
    ) -> Result<Target, StorageError> {
        match self.follow(path.relative(), flags) {
            Ok(Some(target)) => Ok(target),
            Ok(None) => Err(refuse(denied, path.as_bytes(), "leads to a denied or reserved name")),
            Err(Errno::XDEV) => {
                let why = "a link that is absolute or leads out of the home";
                Err(refuse(StorageErrorKind::PermissionDenied, path.as_bytes(), why))
            }
            Err(errno) => Err(errno).because("following", path.as_bytes()),
        }
    }

    /// Returns where `path` ends; `None` when that is denied.
    fn follow(&self, path: &[u8], flags: OFlags) -> io::Result<Option<Target>> {
        let mut way = path.to_vec();
        for _ in 0..LINKS_MAX {
            let (dir_path, name) = split(&way);
            let Some(dir) = self.directory(dir_path, flags)? else { return Ok(None) };
            if names::is_reserved(name) {
                return Ok(None);
            }
            let facts = match facts::of_name(&dir, name) {
                Err(Errno::NOENT) => None,
                other => Some(other?),
            };
            if facts.as_ref().map(facts::kind) != Some(FileKind::Symlink) {
                if self.deny.covers(name) {
                    return Ok(None);
                }
                let (dir_path, name) = (dir_path.to_vec(), name.to_vec());
                return Ok(Some(Target { dir, dir_path, name, facts }));
            }
            let link = match readlinkat(&dir, name, Vec::new()) {
                // It has become something else meanwhile.
                Err(Errno::INVAL | Errno::NOENT) => continue,
                other => other?,
            };
            if link.as_bytes().starts_with(b"/") {
                return Err(Errno::XDEV);
            }
            let mut next = dir_path.to_vec();
            if !next.is_empty() {
                next.push(b'/');
            }
            next.extend_from_slice(link.as_bytes());
            way = next;
        }
        Err(Errno::LOOP)
    }
}

/// Returns where in this mount namespace `fd` leads, as the kernel writes it.
fn place(fd: impl AsFd) -> io::Result<Vec<u8>> {
    readlinkat(CWD, format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()), Vec::new()).map(CString::into_bytes)
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
