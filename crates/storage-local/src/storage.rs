use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, chmodat, chownat, fchmod, fstatvfs,
    openat, renameat, unlinkat, utimensat,
};
use rustix::io::Errno;
use tidegate_storage::{Answer, Creation, Listing, Reader, Storage, StorageError, Upload, UploadRequest};
use tidegate_types::{AccountName, FileKind, Metadata, StorageErrorKind as Kind, Timestamp, VirtualPath};

use crate::blocking::hop;
use crate::creation::{self, Look};
use crate::errors::{Because, refuse};
use crate::facts::{self, Identity};
use crate::home::Home;
use crate::names::temp_name;
use crate::reader::LocalReader;
use crate::root::{ACT, READ_FILE};
use crate::{list, tree, upload};

/// The mode bits a client may set: set-user-ID and set-group-ID are never its to give.
const MODE_BITS: u32 = 0o1777;

/// One account's view of a home.
#[derive(Clone, Debug)]
pub(crate) struct LocalStorage {
    pub(crate) home: Arc<Home>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) account: Option<AccountName>,
    pub(crate) creation: Creation,
}

impl LocalStorage {
    /// Runs `work` with this view and `path` where it may block. What is reserved or denied is not there.
    fn call<'a, T, F>(&self, path: &VirtualPath, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(Self, VirtualPath) -> Result<T, StorageError> + Send + 'static,
    {
        if self.home.root.deny.covers_path(path) {
            let error = refuse(Kind::NotFound, path.as_bytes(), "a reserved or denied name");
            return Box::pin(async { Err(error) });
        }
        let (view, path) = (self.clone(), path.clone());
        Box::pin(hop(move || work(view, path)))
    }
}

impl Storage for LocalStorage {
    fn metadata<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Metadata> {
        self.call(path, |view, path| view.look(&path))
    }

    fn enter<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        self.call(path, |view, path| {
            let dir =
                view.home.root.open_beneath(path.relative(), ACT).because("openat2", path.as_bytes())?;
            // The `.` makes the kernel check the search permission of the directory itself; a call of its own, for behind
            // the longest path there is no room for it.
            openat(&dir, c".", ACT, Mode::empty()).map(drop).because("openat", path.as_bytes())
        })
    }

    fn list<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, Listing> {
        self.call(path, |view, path| list::open(view.home, view.identity, &path))
    }

    fn open_read<'a>(&'a self, path: &'a VirtualPath, offset: u64) -> Answer<'a, Box<dyn Reader>> {
        self.call(path, move |view, path| {
            Ok(Box::new(LocalReader::open(&view.home.root, &path, offset)?) as Box<dyn Reader>)
        })
    }

    fn begin_upload<'a>(&'a self, request: &'a UploadRequest) -> Answer<'a, Box<dyn Upload>> {
        let (view, request) = (self.clone(), request.clone());
        Box::pin(hop(move || Ok(Box::new(upload::begin(&view, &request)?) as Box<dyn Upload>)))
    }

    fn make_directory<'a>(&'a self, path: &'a VirtualPath, umask: u32) -> Answer<'a, ()> {
        if let Err(error) = self.creatable(path) {
            return Box::pin(async { Err(error) });
        }
        self.call(path, move |view, path| {
            if path.is_root() {
                return Err(refuse(Kind::AlreadyExists, b"/", "the root"));
            }
            let (dir, name) = view.home.root.parent(&path, Kind::BadName)?;
            let look = Look::of_directory(&view.creation, umask);
            creation::make_directory((&dir, &name), &path, &look, &view.identity)
        })
    }

    fn remove_directory<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        self.call(path, |view, path| {
            let (dir, name) = view.home.root.parent(&path, Kind::NotFound)?;
            let mut removed = unlinkat(&dir, &name, AtFlags::REMOVEDIR);
            if removed == Err(Errno::NOTEMPTY) && view.home.clear_hidden(&dir, &name) {
                removed = unlinkat(&dir, &name, AtFlags::REMOVEDIR);
            }
            removed.because("unlinkat", path.as_bytes())
        })
    }

    fn remove_file<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        self.call(path, |view, path| {
            if path.is_root() {
                return Err(refuse(Kind::IsADirectory, b"/", "the root"));
            }
            let (dir, name) = view.home.root.parent(&path, Kind::NotFound)?;
            let removed = unlinkat(&dir, &name, AtFlags::empty());
            let is_gone = matches!(removed, Ok(()) | Err(Errno::NOENT));
            if is_gone && view.home.discard_partial(view.account.as_ref(), &dir, &name) {
                return Ok(());
            }
            removed.because("unlinkat", path.as_bytes())
        })
    }

    fn rename<'a>(
        &'a self,
        from: &'a VirtualPath,
        to: &'a VirtualPath,
        may_overwrite: bool,
    ) -> Answer<'a, ()> {
        if let Err(error) = self.creatable(to) {
            return Box::pin(async { Err(error) });
        }
        let to = to.clone();
        self.call(from, move |view, from| view.move_entry(&from, &to, may_overwrite))
    }

    fn set_modified<'a>(&'a self, path: &'a VirtualPath, time: Timestamp) -> Answer<'a, ()> {
        self.call(path, move |view, path| {
            let target = view.home.root.resolve(&path, ACT, Kind::NotFound)?;
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                last_modification: Timespec { tv_sec: time.secs, tv_nsec: time.nanos.into() },
            };
            utimensat(&target.dir, &target.name, &times, AtFlags::SYMLINK_NOFOLLOW)
                .because("utimensat", path.as_bytes())
        })
    }

    fn set_mode<'a>(&'a self, path: &'a VirtualPath, mode: u32) -> Answer<'a, ()> {
        self.call(path, move |view, path| view.change_mode(&path, Mode::from_raw_mode(mode & MODE_BITS)))
    }

    fn set_group<'a>(&'a self, path: &'a VirtualPath, gid: u32) -> Answer<'a, ()> {
        self.call(path, move |view, path| view.change_group(&path, gid))
    }

    fn make_link<'a>(&'a self, target: &'a VirtualPath, link: &'a VirtualPath) -> Answer<'a, ()> {
        if let Err(error) = self.creatable(link) {
            return Box::pin(async { Err(error) });
        }
        let link = link.clone();
        self.call(target, move |view, target| view.link(&target, &link))
    }

    fn remove_tree<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        let waiting = Arc::new(());
        let awaited = Arc::downgrade(&waiting);
        let removal = self.call(path, move |view, path| {
            let (dir, name) = view.home.root.parent(&path, Kind::NotFound)?;
            tree::remove(&view.home, (&dir, &name), &path, &awaited)
        });
        Box::pin(async move {
            let removed = removal.await;
            drop(waiting);
            removed
        })
    }

    fn available<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, u64> {
        self.call(path, |view, path| {
            let dir =
                view.home.root.open_beneath(path.relative(), ACT).because("openat2", path.as_bytes())?;
            let about = fstatvfs(&dir).because("fstatfs", path.as_bytes())?;
            Ok(about.f_bavail.saturating_mul(about.f_frsize))
        })
    }
}

impl LocalStorage {
    /// Refuses what is reserved or denied: it cannot be created.
    fn creatable(&self, path: &VirtualPath) -> Result<(), StorageError> {
        if self.home.root.deny.covers_path(path) {
            return Err(refuse(Kind::BadName, path.as_bytes(), "a reserved or denied name"));
        }
        Ok(())
    }

    /// Returns the facts of what `path` leads to, else of this account's partial, else of a link that leads nowhere.
    fn look(&self, path: &VirtualPath) -> Result<Metadata, StorageError> {
        let root = &self.home.root;
        let metadata = |facts| self.identity.metadata(&facts, root.read_only);
        let errno = match root.open_allowed(path.relative(), OFlags::PATH | OFlags::CLOEXEC) {
            Ok(Some(fd)) => return facts::of_fd(fd).map(metadata).because("statx", path.as_bytes()),
            Ok(None) => return Err(refuse(Kind::NotFound, path.as_bytes(), "leads to a denied name")),
            Err(errno) => errno,
        };
        if matches!(errno, Errno::NOENT | Errno::XDEV | Errno::LOOP) {
            if let Some(facts) = self.partial_facts(path) {
                return Ok(metadata(facts));
            }
            if let Ok((dir, name)) = root.parent(path, Kind::NotFound)
                && let Ok(facts) = facts::of_name(&dir, &name)
                && facts::kind(&facts) == FileKind::Symlink
            {
                return Ok(metadata(facts));
            }
        }
        Err(errno).because("openat2", path.as_bytes())
    }

    fn partial_facts(&self, path: &VirtualPath) -> Option<rustix::fs::Statx> {
        if self.account.is_none() || self.home.partials.is_empty() {
            return None;
        }
        let target =
            self.home.root.resolve(path, ACT, Kind::NotFound).ok().filter(|target| target.facts.is_none())?;
        let (_, partial) = self.home.partial(self.account.as_ref(), &target.dir, &target.name)?;
        facts::of_name(&target.dir, temp_name(partial.temp).as_bytes()).ok()
    }

    fn move_entry(
        &self,
        from: &VirtualPath,
        to: &VirtualPath,
        may_overwrite: bool,
    ) -> Result<(), StorageError> {
        let (old_dir, old) = self.home.root.parent(from, Kind::NotFound)?;
        let (new_dir, new) = self.home.root.parent(to, Kind::BadName)?;
        if to != from && to.is_within(from) {
            return Err(refuse(Kind::PermissionDenied, to.as_bytes(), "a directory cannot move into itself"));
        }
        let rename = || {
            if may_overwrite {
                renameat(&old_dir, &old, &new_dir, &new)
            } else {
                upload::rename_new(&old_dir, &old, &new_dir, &new)
            }
        };
        let about = facts::of_name(&old_dir, &old);
        let renamed = if about.is_ok_and(|about| facts::kind(&about) == FileKind::Directory) {
            let _moving = self.home.moving();
            let mut renamed = rename();
            let is_in_the_way = matches!(renamed, Err(Errno::NOTEMPTY | Errno::EXIST)) && may_overwrite;
            if is_in_the_way && self.home.clear_hidden(&new_dir, &new) {
                renamed = rename();
            }
            renamed.inspect(|()| self.home.note_moved((&old_dir, from), (&new_dir, to)))
        } else {
            rename()
        };
        match renamed {
            // Reached through a link, a directory can still be asked to move into itself.
            Err(Errno::INVAL) => Err(refuse(Kind::PermissionDenied, to.as_bytes(), "cannot be moved there")),
            other => other.because("renameat2", from.as_bytes()),
        }
    }

    /// Changes the mode through a descriptor, opened in whatever way the old mode lets its owner.
    fn change_mode(&self, path: &VirtualPath, mode: Mode) -> Result<(), StorageError> {
        let open = |flags| self.home.root.open_beneath(path.relative(), flags);
        let (file, is_handle) = match open(READ_FILE) {
            // Unreadable: a handle, which only the link in /proc turns into something that can be changed.
            Err(Errno::ACCESS | Errno::NXIO) => (open(OFlags::PATH | OFlags::CLOEXEC), true),
            other => (other, false),
        };
        let file = file.because("openat2", path.as_bytes())?;
        file_or_directory(&file, path)?;
        if is_handle {
            let link = format!("/proc/self/fd/{}", file.as_raw_fd());
            chmodat(CWD, link, mode, AtFlags::empty()).because("fchmodat", path.as_bytes())
        } else {
            fchmod(&file, mode).because("fchmod", path.as_bytes())
        }
    }

    /// Changes the group through a handle, for which no right on the file is needed.
    fn change_group(&self, path: &VirtualPath, gid: u32) -> Result<(), StorageError> {
        if gid == u32::MAX {
            return Err(refuse(Kind::PermissionDenied, path.as_bytes(), "no group has this number"));
        }
        let file = self.home.root.open_beneath(path.relative(), OFlags::PATH | OFlags::CLOEXEC);
        let file = file.because("openat2", path.as_bytes())?;
        file_or_directory(&file, path)?;
        match chownat(&file, c"", None, Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH) {
            // A group that the user namespace does not know.
            Err(Errno::INVAL) => Err(Errno::PERM),
            other => other,
        }
        .because("fchownat", path.as_bytes())
    }

    /// Creates `link`, holding the way from where it really stands to `target`.
    fn link(&self, target: &VirtualPath, link: &VirtualPath) -> Result<(), StorageError> {
        let root = &self.home.root;
        let handle = OFlags::PATH | OFlags::CLOEXEC;
        root.open_beneath(target.relative(), handle).map(drop).because("openat2", target.as_bytes())?;
        if link.is_root() {
            return Err(refuse(Kind::AlreadyExists, b"/", "the root"));
        }
        let (dir, name) = root.parent(link, Kind::BadName)?;
        let Some(place) = root.way_to(&dir) else {
            return Err(refuse(
                Kind::Unsupported,
                link.as_bytes(),
                "/proc cannot say where this directory is",
            ));
        };
        let content = way_between(&place, target.relative());
        let look = Look::of_file(&self.creation, 0);
        creation::make_link((&dir, &name), &content, link, &look, &self.identity)
    }
}

/// Refuses what is neither file nor directory: devices are not the client's to change.
fn file_or_directory(file: &OwnedFd, path: &VirtualPath) -> Result<(), StorageError> {
    match facts::kind(&facts::of_fd(file).because("statx", path.as_bytes())?) {
        FileKind::File | FileKind::Directory => Ok(()),
        FileKind::Symlink | FileKind::Other => {
            Err(refuse(Kind::NotAFile, path.as_bytes(), "not a regular file"))
        }
    }
}

/// Returns the relative way from the directory `from` to `to`, both given from the root, no link in `from`.
fn way_between(from: &[u8], to: &[u8]) -> Vec<u8> {
    let names = |way| <[u8]>::split(way, |byte| *byte == b'/').filter(|name| !name.is_empty());
    let common = names(from).zip(names(to)).take_while(|(a, b)| a == b).count();
    let upwards = names(from).skip(common).map(|_| &b".."[..]);
    let parts: Vec<&[u8]> = upwards.chain(names(to).skip(common)).collect();
    if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_places_are_relative_and_short() {
        for (from, to, way) in [
            (&b""[..], &b"a"[..], &b"a"[..]),
            (b"", b"", b"."),
            (b"a/b", b"a/b/c", b"c"),
            (b"a/b", b"a/b", b"."),
            (b"a/b", b"a", b".."),
            (b"a/b", b"", b"../.."),
            (b"a/b", b"ab/c", b"../../ab/c"),
            (b"a/b/c", b"a/x/y", b"../../x/y"),
        ] {
            assert_eq!(way_between(from, to), way, "{} to {}", from.escape_ascii(), to.escape_ascii());
        }
    }
}
