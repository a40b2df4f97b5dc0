use std::os::fd::AsRawFd;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, chmodat, fchmod, mkdirat, renameat,
    unlinkat, utimensat,
};
use rustix::io::Errno;
use tidegate_storage::{Answer, Listing, Reader, Storage, StorageError, Upload, UploadRequest};
use tidegate_types::{AccountName, FileKind, Metadata, StorageErrorKind as Kind, Timestamp, VirtualPath};

use crate::blocking::hop;
use crate::errors::{Because, refuse};
use crate::facts::{self, Identity};
use crate::home::Home;
use crate::names::{is_hidden, temp_name};
use crate::reader::LocalReader;
use crate::root::{ACT, READ_FILE};
use crate::{list, upload};

/// One account's view of a home.
#[derive(Clone, Debug)]
pub(crate) struct LocalStorage {
    pub(crate) home: Arc<Home>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) account: Option<AccountName>,
}

impl LocalStorage {
    /// Runs `work` with this view and `path` where it may block. A reserved name is not there.
    fn call<'a, T, F>(&self, path: &VirtualPath, work: F) -> Answer<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(Self, VirtualPath) -> Result<T, StorageError> + Send + 'static,
    {
        if is_hidden(path) {
            let error = refuse(Kind::NotFound, path.as_bytes(), "reserved");
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
            // The last `.` makes the kernel check the search permission of the directory itself.
            let mut inside = path.relative().to_vec();
            if !inside.is_empty() {
                inside.push(b'/');
            }
            inside.push(b'.');
            view.home.root.open_beneath(&inside, ACT).map(drop).because("openat2", path.as_bytes())
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
        Box::pin(hop(move || {
            let upload = upload::begin(&view.home, view.account.as_ref(), &request)?;
            Ok(Box::new(upload) as Box<dyn Upload>)
        }))
    }

    fn make_directory<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        if let Err(error) = creatable(path) {
            return Box::pin(async { Err(error) });
        }
        self.call(path, |view, path| {
            if path.is_root() {
                return Err(refuse(Kind::AlreadyExists, b"/", "the root"));
            }
            let (dir, name) = view.home.root.parent(&path)?;
            mkdirat(&dir, &name, Mode::from_raw_mode(0o777)).because("mkdirat", path.as_bytes())
        })
    }

    fn remove_directory<'a>(&'a self, path: &'a VirtualPath) -> Answer<'a, ()> {
        self.call(path, |view, path| {
            let (dir, name) = view.home.root.parent(&path)?;
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
            let (dir, name) = view.home.root.parent(&path)?;
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
        if let Err(error) = creatable(to) {
            return Box::pin(async { Err(error) });
        }
        let to = to.clone();
        self.call(from, move |view, from| view.move_entry(&from, &to, may_overwrite))
    }

    fn set_modified<'a>(&'a self, path: &'a VirtualPath, time: Timestamp) -> Answer<'a, ()> {
        self.call(path, move |view, path| {
            let target = view.home.root.resolve(&path, ACT)?;
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                last_modification: Timespec { tv_sec: time.secs, tv_nsec: time.nanos.into() },
            };
            utimensat(&target.dir, &target.name, &times, AtFlags::SYMLINK_NOFOLLOW)
                .because("utimensat", path.as_bytes())
        })
    }

    fn set_mode<'a>(&'a self, path: &'a VirtualPath, mode: u32) -> Answer<'a, ()> {
        self.call(path, move |view, path| view.change_mode(&path, Mode::from_raw_mode(mode & 0o7777)))
    }
}

impl LocalStorage {
    /// Returns the facts of what `path` leads to, else of this account's partial, else of a link that leads nowhere.
    fn look(&self, path: &VirtualPath) -> Result<Metadata, StorageError> {
        let root = &self.home.root;
        let metadata = |facts| self.identity.metadata(&facts, root.read_only);
        let errno = match root.open_beneath(path.relative(), OFlags::PATH | OFlags::CLOEXEC) {
            Ok(fd) => return facts::of_fd(fd).map(metadata).because("statx", path.as_bytes()),
            Err(errno) => errno,
        };
        if matches!(errno, Errno::NOENT | Errno::XDEV | Errno::LOOP) {
            if let Some(facts) = self.partial_facts(path) {
                return Ok(metadata(facts));
            }
            if let Ok((dir, name)) = root.parent(path)
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
        let target = self.home.root.resolve(path, ACT).ok().filter(|target| target.facts.is_none())?;
        let (_, partial) = self.home.partial(self.account.as_ref(), &target.dir, &target.name)?;
        facts::of_name(&target.dir, temp_name(partial.temp).as_bytes()).ok()
    }

    fn move_entry(
        &self,
        from: &VirtualPath,
        to: &VirtualPath,
        may_overwrite: bool,
    ) -> Result<(), StorageError> {
        let (old_dir, old) = self.home.root.parent(from)?;
        let (new_dir, new) = self.home.root.parent(to)?;
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
        match facts::kind(&facts::of_fd(&file).because("statx", path.as_bytes())?) {
            FileKind::File | FileKind::Directory => {}
            FileKind::Symlink | FileKind::Other => {
                return Err(refuse(Kind::NotAFile, path.as_bytes(), "not a regular file"));
            }
        }
        if is_handle {
            let link = format!("/proc/self/fd/{}", file.as_raw_fd());
            chmodat(CWD, link, mode, AtFlags::empty()).because("fchmodat", path.as_bytes())
        } else {
            fchmod(&file, mode).because("fchmod", path.as_bytes())
        }
    }
}

/// Reserved names cannot be created.
fn creatable(path: &VirtualPath) -> Result<(), StorageError> {
    if is_hidden(path) { Err(refuse(Kind::BadName, path.as_bytes(), "reserved")) } else { Ok(()) }
}
