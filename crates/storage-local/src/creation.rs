//! What new files, directories and links look like: owner, group and mode as the account has them.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, mkdirat, openat, symlinkat, unlinkat,
};
use rustix::io::{self, Errno};
use tidegate_storage::{Creation, StorageError};
use tidegate_types::{FileKind, Shown, StorageErrorKind as Kind, VirtualPath};

use crate::errors::{Because, kind_of, refuse};
use crate::facts::{self, Identity};
use crate::root::READ_DIRECTORY;

/// The bits whose absence keeps the owner from going on with a file.
const OWNER_WRITES: u32 = 0o200;

/// What one request creates.
///
/// Without a mode of the account the kernel chooses it, as for every program: umask of the process, default access
/// lists of the directory. A mode of the account is set on the descriptor, so that neither has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    uid: Option<u32>,
    gid: Option<u32>,
    /// The permission bits, if they are not the kernel's to choose; without those of `umask`.
    mode: Option<u32>,
    /// What is taken away from what the kernel chooses.
    umask: u32,
}

impl Look {
    /// Returns what a file looks like that is created without the bits of `umask`.
    pub(crate) fn of_file(creation: &Creation, umask: u32) -> Self {
        Self::new(creation, creation.file_mode, umask)
    }

    /// Returns what a directory looks like that is created without the bits of `umask`.
    pub(crate) fn of_directory(creation: &Creation, umask: u32) -> Self {
        Self::new(creation, creation.directory_mode, umask)
    }

    fn new(creation: &Creation, mode: Option<u32>, umask: u32) -> Self {
        let mode = mode.map(|mode| mode & 0o7777 & !umask);
        Self { uid: creation.uid, gid: creation.gid, mode, umask: umask & 0o777 }
    }

    /// Returns the mode to create a hidden file with that its owner will write into, perhaps in a later session: save for
    /// the owner never more open than the file will be.
    pub(crate) fn hidden_mode(&self) -> Mode {
        let bits = if self.mode.is_some() { 0o600 } else { (0o666 & !self.umask) | OWNER_WRITES };
        Mode::from_raw_mode(bits)
    }

    /// Returns the mode to create a file with that all can see at once: never more open than it will be.
    pub(crate) fn visible_mode(&self) -> Mode {
        Mode::from_raw_mode(if self.mode.is_some() { 0 } else { 0o666 & !self.umask })
    }

    /// Gives `file`, just created, its owner and group, and makes sure that its mode can be set later.
    pub(crate) fn prepare(&self, file: &OwnedFd, path: &[u8]) -> Result<(), StorageError> {
        if !self.names_owner() {
            return Ok(());
        }
        self.own(file).map_err(|errno| cannot("owner", errno, path))?;
        if self.mode.is_some() {
            fchmod(file, self.hidden_mode()).map_err(|errno| cannot("mode", errno, path))?;
        }
        Ok(())
    }

    /// Gives `file` the mode it is to be seen with.
    pub(crate) fn finish(&self, file: impl AsFd) -> io::Result<()> {
        let mode = match self.mode {
            Some(mode) => mode,
            None if self.umask & OWNER_WRITES == 0 => return Ok(()),
            None => u32::from(facts::of_fd(&file)?.stx_mode) & 0o7777 & !self.umask,
        };
        fchmod(file, Mode::from_raw_mode(mode))
    }

    /// Lets the owner go on with a `file` that was given its mode too early.
    pub(crate) fn reopen(file: impl AsFd) -> io::Result<()> {
        let mode = u32::from(facts::of_fd(&file)?.stx_mode) & 0o7777;
        if mode & OWNER_WRITES == 0 {
            fchmod(file, Mode::from_raw_mode(mode | OWNER_WRITES))?;
        }
        Ok(())
    }

    /// Gives `file` owner, group and mode at once.
    pub(crate) fn dress(&self, file: &OwnedFd, path: &[u8]) -> Result<(), StorageError> {
        self.own(file).map_err(|errno| cannot("owner", errno, path))?;
        self.finish(file).map_err(|errno| cannot("mode", errno, path))
    }

    const fn names_owner(&self) -> bool {
        self.uid.is_some() || self.gid.is_some()
    }

    fn ids(&self) -> io::Result<(Option<Uid>, Option<Gid>)> {
        // Minus one means "leave it" to the kernel; nobody is called that.
        if self.uid == Some(u32::MAX) || self.gid == Some(u32::MAX) {
            return Err(Errno::INVAL);
        }
        Ok((self.uid.map(Uid::from_raw), self.gid.map(Gid::from_raw)))
    }

    /// Gives `file` its owner and group.
    pub(crate) fn own(&self, file: impl AsFd) -> io::Result<()> {
        if !self.names_owner() {
            return Ok(());
        }
        let (uid, gid) = self.ids()?;
        fchown(file, uid, gid)
    }
}

/// Creates the directory `name` in `dir`; when owner or mode cannot be as wanted, there is none afterwards.
///
/// With a mode of the account nobody but the service can enter it before it has its owner.
pub(crate) fn make_directory(
    (dir, name): (&OwnedFd, &[u8]),
    path: &VirtualPath,
    look: &Look,
    identity: &Identity,
) -> Result<(), StorageError> {
    let bits = if look.mode.is_some() { 0o700 } else { 0o777 & !look.umask };
    mkdirat(dir, name, Mode::from_raw_mode(bits)).because("mkdirat", path.as_bytes())?;
    if look.mode.is_none() && !look.names_owner() {
        return Ok(());
    }
    let dressed = if look.mode.is_some() {
        open_own(dir, name, path, (READ_DIRECTORY, FileKind::Directory), identity)
            .and_then(|made| look.dress(&made, path.as_bytes()))
    } else {
        hand_over((dir, name), path, look, (FileKind::Directory, identity))
    };
    dressed.inspect_err(|_| forget((dir, name), AtFlags::REMOVEDIR))
}

/// Creates the symbolic link `name` in `dir` that holds `content`; there is none when it cannot have its owner.
pub(crate) fn make_link(
    (dir, name): (&OwnedFd, &[u8]),
    content: &[u8],
    path: &VirtualPath,
    look: &Look,
    identity: &Identity,
) -> Result<(), StorageError> {
    symlinkat(content, dir, name).because("symlinkat", path.as_bytes())?;
    if !look.names_owner() {
        return Ok(());
    }
    hand_over((dir, name), path, look, (FileKind::Symlink, identity))
        .inspect_err(|_| forget((dir, name), AtFlags::empty()))
}

/// Gives what was just created as `name` its owner and group.
fn hand_over(
    (dir, name): (&OwnedFd, &[u8]),
    path: &VirtualPath,
    look: &Look,
    (kind, identity): (FileKind, &Identity),
) -> Result<(), StorageError> {
    let made = open_own(dir, name, path, (OFlags::PATH | OFlags::CLOEXEC, kind), identity)?;
    look.ids()
        .and_then(|(uid, gid)| chownat(&made, c"", uid, gid, AtFlags::EMPTY_PATH))
        .map_err(|errno| cannot("owner", errno, path.as_bytes()))
}

/// Opens what this process just created as `name`; refused when somebody put another thing in its place, for what is
/// done to it next must not be done to that.
fn open_own(
    dir: &OwnedFd,
    name: &[u8],
    path: &VirtualPath,
    (flags, kind): (OFlags, FileKind),
    identity: &Identity,
) -> Result<OwnedFd, StorageError> {
    let made =
        openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty()).because("openat", path.as_bytes())?;
    let about = facts::of_fd(&made).because("statx", path.as_bytes())?;
    if facts::kind(&about) == kind && identity.is_owner(&about) {
        Ok(made)
    } else {
        let why =
            "what was created does not belong to the service: replaced, or a file system with fixed owners";
        Err(refuse(Kind::PermissionDenied, path.as_bytes(), why))
    }
}

fn forget((dir, name): (&OwnedFd, &[u8]), flags: AtFlags) {
    if let Err(errno) = unlinkat(dir, name, flags) {
        tracing::warn!(name = %Shown(name), %errno, "what could not get its owner cannot be removed");
    }
}

fn cannot(what: &str, errno: Errno, path: &[u8]) -> StorageError {
    let kind = match kind_of(errno) {
        // `INVAL`: an id that the user namespace does not know.
        Kind::BadName | Kind::Unsupported => Kind::PermissionDenied,
        kind => kind,
    };
    let why =
        format!("the {what} configured for the account cannot be set (CAP_CHOWN, CAP_FOWNER?): {errno}");
    refuse(kind, path, &why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::ACT;

    #[test]
    fn what_somebody_put_in_the_place_of_a_new_directory_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let dir = openat(rustix::fs::CWD, home.path(), ACT, Mode::empty()).unwrap();
        let path = VirtualPath::resolve(&VirtualPath::root(), b"d").unwrap();
        let look = Look::of_directory(&Creation { directory_mode: Some(0o777), ..Creation::default() }, 0);
        // To another process, the directory is not its own.
        let own = rustix::process::geteuid().as_raw();
        let refused = make_directory((&dir, b"d"), &path, &look, &Identity::of(own.wrapping_add(1)));
        assert_eq!(refused.unwrap_err().kind, Kind::PermissionDenied);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "it was empty, so it went again");
        make_directory((&dir, b"d"), &path, &look, &Identity::of(own)).unwrap();
    }
}
