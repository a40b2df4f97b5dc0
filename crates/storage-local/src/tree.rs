//! Removing a directory with everything in it: on descriptors only, never over a link and never onto another mount.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Weak;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, unlinkat};
use rustix::io::{self, Errno};
use tidegate_storage::StorageError;
use tidegate_types::{FileKind, Shown, StorageErrorKind as Kind, VirtualPath};

use crate::errors::{Because, kind_of, refuse};
use crate::facts::{self, FileId};
use crate::home::Home;
use crate::names;
use crate::root::READ_DIRECTORY;

/// How many directories of one branch are open at a time; the upper ones of a deeper branch are opened again.
const OPEN_MAX: usize = 32;
/// How deep a tree may be; about 100 bytes a level.
const LEVELS_MAX: usize = 100_000;
/// After so many things that could not be removed the rest is not tried.
const FAILURES_MAX: usize = 1000;

/// Removes the directory `name` of `dir`, which is `path`, with what is in it. What cannot be removed stays, with the
/// directories it is in, and the first such thing decides the error; all else goes. Stops between two entries when nobody
/// waits for it any more: when what `awaited` points to has been dropped.
pub(crate) fn remove(
    home: &Home,
    (dir, name): (&OwnedFd, &[u8]),
    path: &VirtualPath,
    awaited: &Weak<()>,
) -> Result<(), StorageError> {
    let top = match open_inside(dir, name) {
        Err(Errno::LOOP) => Err(Errno::NOTDIR),
        Err(Errno::ACCESS) => return remove_unreadable(dir, name).because("unlinkat", path.as_bytes()),
        other => other,
    };
    let top =
        Level::new(name, top.because("openat2", path.as_bytes())?).because("openat2", path.as_bytes())?;
    let mut removal = Removal { home, awaited, outside: dir, levels: vec![top], first: None, failures: 0 };
    removal.run()?;
    removal.first.map_or(Ok(()), Err)
}

struct Removal<'a> {
    home: &'a Home,
    /// Dangles when nobody waits any more.
    awaited: &'a Weak<()>,
    /// The directory that holds the uppermost level.
    outside: &'a OwnedFd,
    /// The branch that is worked on; the last one is open.
    levels: Vec<Level>,
    /// What the first thing that stays says.
    first: Option<StorageError>,
    failures: usize,
}

/// A directory on the way down.
struct Level {
    name: Vec<u8>,
    id: FileId,
    /// `None` while the branch is too deep for all to be open.
    dir: Option<Dir>,
    /// What could not be removed, not to be tried again.
    kept: HashSet<Vec<u8>>,
    /// Whether something was removed since reading began: some file systems then pass over names.
    changed: bool,
}

impl Level {
    fn new(name: &[u8], fd: OwnedFd) -> io::Result<Self> {
        let id = facts::id(&facts::of_fd(&fd)?);
        Ok(Self { name: name.to_vec(), id, dir: Some(Dir::new(fd)?), kept: HashSet::new(), changed: false })
    }

    fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.dir.as_ref().ok_or(Errno::BADF)?.fd()
    }
}

impl Removal<'_> {
    fn run(&mut self) -> Result<(), StorageError> {
        while let Some(level) = self.levels.last_mut() {
            if self.awaited.strong_count() == 0 {
                return Err(refuse(Kind::Failed, &level.name, "nobody waits for its removal any more"));
            }
            let next = level.dir.as_mut().and_then(Dir::read);
            match next.map(|next| next.because("getdents64", &level.name)) {
                Some(Ok(entry)) => self.visit(entry.file_name().to_bytes(), entry.file_type()),
                Some(Err(error)) => {
                    self.fail(b"", error);
                    self.leave()?;
                }
                None => self.leave()?,
            }
            if self.failures > FAILURES_MAX {
                break;
            }
        }
        Ok(())
    }

    /// Removes the entry `name` of the last level, or goes down into it.
    fn visit(&mut self, name: &[u8], kind: FileType) {
        let Some(level) = self.levels.last() else { return };
        // Reserved names go last, with the directory, and only when nobody needs them.
        let is_ours = name == b"." || name == b".." || names::is_reserved(name);
        if is_ours || level.kept.contains(name) {
            return;
        }
        if self.home.root.deny.covers(name) {
            return self.fail(name, refuse(Kind::NotEmpty, name, "a denied name"));
        }
        let done = self.remove_or_enter(level, name, kind);
        match done {
            Ok(Some(deeper)) => self.enter(deeper),
            Ok(None) => {
                if let Some(level) = self.levels.last_mut() {
                    level.changed = true;
                }
            }
            Err(error) => self.fail(name, error),
        }
    }

    fn remove_or_enter(
        &self,
        level: &Level,
        name: &[u8],
        kind: FileType,
    ) -> Result<Option<Level>, StorageError> {
        let dir = level.fd().because("dirfd", name)?;
        let kind = match kind {
            FileType::Unknown => match facts::of_name(dir, name) {
                Err(Errno::NOENT) => return Ok(None),
                other => facts::kind(&other.because("statx", name)?),
            },
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Other,
        };
        if kind == FileKind::Symlink && self.hides(dir, name) {
            return Err(refuse(Kind::NotEmpty, name, "a link to a denied name"));
        }
        let removed = if kind == FileKind::Directory {
            match open_inside(dir, name) {
                Ok(fd) if self.levels.len() < LEVELS_MAX => {
                    return Level::new(name, fd).map(Some).because("openat2", name);
                }
                Ok(_) => return Err(refuse(Kind::Exhausted, name, "too deep")),
                Err(Errno::ACCESS) => remove_unreadable(dir, name),
                Err(errno) => Err(errno),
            }
        } else {
            unlinkat(dir, name, AtFlags::empty())
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(None),
            Err(Errno::XDEV | Errno::BUSY) => {
                Err(refuse(Kind::PermissionDenied, name, "something is mounted there"))
            }
            Err(errno) => Err(errno).because("removing", name),
        }
    }

    /// Returns whether the link `name` leads to what is denied; too deep to be told counts as that.
    fn hides(&self, dir: BorrowedFd<'_>, name: &[u8]) -> bool {
        let root = &self.home.root;
        if root.deny.is_empty() {
            return false;
        }
        let Some(mut way) = root.way_to(dir) else { return true };
        if !way.is_empty() {
            way.push(b'/');
        }
        way.extend_from_slice(name);
        root.hides(dir, name, &way)
    }

    fn enter(&mut self, deeper: Level) {
        self.levels.push(deeper);
        let too_many = self.levels.len().checked_sub(OPEN_MAX + 1);
        if let Some(upper) = too_many.and_then(|at| self.levels.get_mut(at)) {
            upper.dir = None;
        }
    }

    /// Removes the last level, which has been gone through, and goes on in the one above.
    fn leave(&mut self) -> Result<(), StorageError> {
        let Some(mut level) = self.levels.pop() else { return Ok(()) };
        self.open_again(&level)?;
        if !level.kept.is_empty() {
            // Why it stays has been said.
            self.keep(level.name);
            return Ok(());
        }
        let above = match self.levels.last() {
            Some(above) => above.fd(),
            None => Ok(self.outside.as_fd()),
        }
        .because("dirfd", &level.name)?;
        let mut removed = unlinkat(above, &level.name, AtFlags::REMOVEDIR);
        if removed == Err(Errno::NOTEMPTY) {
            if self.home.clear_hidden(above, &level.name) {
                removed = unlinkat(above, &level.name, AtFlags::REMOVEDIR);
            } else if std::mem::take(&mut level.changed)
                && let Some(dir) = &mut level.dir
            {
                dir.rewind();
                self.levels.push(level);
                return Ok(());
            }
        }
        match removed {
            Ok(()) | Err(Errno::NOENT) => {
                if let Some(above) = self.levels.last_mut() {
                    above.changed = true;
                }
            }
            Err(errno) => self.fail(
                &level.name,
                StorageError::new(kind_of(errno), format!("unlinkat {}: {errno}", Shown(&level.name))),
            ),
        }
        Ok(())
    }

    /// Opens the level above `level` again if it was closed; refused when `level` is no longer in it.
    fn open_again(&mut self, level: &Level) -> Result<(), StorageError> {
        let Some(above) = self.levels.last_mut().filter(|above| above.dir.is_none()) else { return Ok(()) };
        let fd = level.fd().and_then(|fd| openat(fd, c"..", READ_DIRECTORY, Mode::empty()));
        let again = fd.and_then(|fd| Level::new(&above.name, fd)).because("reopening", &above.name)?;
        if again.id != above.id {
            return Err(refuse(Kind::Busy, &level.name, "moved while it was being removed"));
        }
        above.dir = again.dir;
        Ok(())
    }

    /// Notes that `name` of the last level stays, and the level with it.
    fn fail(&mut self, name: &[u8], why: StorageError) {
        self.failures += 1;
        self.first.get_or_insert(why);
        self.keep(name.to_vec());
    }

    fn keep(&mut self, name: Vec<u8>) {
        if let Some(level) = self.levels.last_mut() {
            level.kept.insert(name);
        }
    }
}

/// Removes a directory that cannot be read: it may be empty all the same.
fn remove_unreadable(dir: impl AsFd, name: &[u8]) -> io::Result<()> {
    match unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY) => Err(Errno::ACCESS),
        other => other,
    }
}

/// Opens the directory `name` of `dir` if it is one itself, on the same mount.
fn open_inside(dir: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let limits = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(dir, name, READ_DIRECTORY | OFlags::NOFOLLOW, Mode::empty(), limits)
}
