use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{
    Access, AtFlags, FlockOperation, Mode, OFlags, SeekFrom, Statx, accessat, flock, openat, seek, unlinkat,
};
use rustix::io::Errno;
use rustix::path::Arg;
use tidegate_storage::{StorageError, UploadRequest, UploadStart};
use tidegate_types::{AccountName, FileKind, StorageErrorKind as Kind, UploadStyle, VirtualPath};

use super::LocalUpload;
use super::job::{Job, Place};
use crate::backend::Durability;
use crate::creation::Look;
use crate::errors::{Because, refuse};
use crate::home::Home;
use crate::journal::Record;
use crate::names::temp_name;
use crate::partials::{Key, Partial};
use crate::root::{ACT, READ_DIRECTORY, Target, WRITE_FILE};
use crate::storage::LocalStorage;
use crate::{clock, facts};

/// What STOU is named after when the client names a directory.
const UNIQUE_BASE: &[u8] = b"upload";
/// How often a name may change hands between looking and opening.
const RACES_MAX: u32 = 16;

/// Opens the upload `request` asks for, so that whatever can be refused is refused now.
pub(crate) fn begin(view: &LocalStorage, request: &UploadRequest) -> Result<LocalUpload, StorageError> {
    let home = &view.home;
    if home.root.deny.covers_path(&request.path) {
        return Err(refuse(Kind::BadName, request.path.as_bytes(), "a reserved or denied name"));
    }
    home.sweep_expired();
    let look = Look::of_file(&view.creation, request.umask);
    let begin = Begin { home, account: view.account.as_ref(), request, look };
    match request.start {
        UploadStart::Unique => begin.unique(),
        UploadStart::Replace => begin.replace(),
        UploadStart::At(offset) => begin.at(offset),
        UploadStart::Append => begin.append(),
    }
}

struct Begin<'a> {
    home: &'a Arc<Home>,
    account: Option<&'a AccountName>,
    request: &'a UploadRequest,
    /// What the file looks like if it is new.
    look: Look,
}

impl Begin<'_> {
    fn replace(&self) -> Result<LocalUpload, StorageError> {
        let target = self.resolve()?;
        if target.facts.is_some() {
            if !self.request.may_overwrite {
                return Err(self.refuse(Kind::AlreadyExists, "may not be replaced"));
            }
            self.check_writable(&target)?;
        }
        self.home.discard_partial(self.account, &target.dir, &target.name);
        self.fresh(target)
    }

    fn at(&self, offset: u64) -> Result<LocalUpload, StorageError> {
        let target = self.resolve()?;
        if let Some(about) = target.facts {
            return self.existing(target, &about, Some(offset));
        }
        if offset == 0 {
            // Nothing lies behind: it is a new file.
            self.home.discard_partial(self.account, &target.dir, &target.name);
            return self.fresh(target);
        }
        match self.home.partial(self.account, &target.dir, &target.name) {
            Some(partial) => self.resume(target, partial, Some(offset)),
            None => Err(self.refuse(Kind::BadOffset, "there is nothing yet to write into")),
        }
    }

    fn append(&self) -> Result<LocalUpload, StorageError> {
        let target = self.resolve()?;
        if let Some(about) = target.facts {
            return self.existing(target, &about, None);
        }
        match self.home.partial(self.account, &target.dir, &target.name) {
            Some(partial) => self.resume(target, partial, None),
            None => self.fresh(target),
        }
    }

    fn unique(&self) -> Result<LocalUpload, StorageError> {
        let asked = &self.request.path;
        let is_directory = self.home.root.open_beneath(asked.relative(), ACT).is_ok();
        let (parent, base) = match asked.file_name() {
            Some(name) if !is_directory => (asked.parent(), name),
            _ => (asked.clone(), UNIQUE_BASE),
        };
        let dir_path = parent.relative().to_vec();
        let dir = self.home.root.directory(&dir_path, self.directory_flags());
        let dir = dir.because("openat2", parent.as_bytes())?;
        let dir = dir.ok_or_else(|| self.refuse(Kind::BadName, "leads to a denied name"))?;
        let reservation = self.home.reserve(&dir, base).because("a unique name for", asked.as_bytes())?;
        let path = VirtualPath::resolve(&parent, &reservation.name)
            .map_err(|_| self.refuse(Kind::BadName, "too long with its directory"))?;
        let target = Target { dir, dir_path, name: reservation.name.clone(), facts: None };
        self.home.discard_partial(self.account, &target.dir, &target.name);
        let opened = self.create_temp(&target, false)?;
        let mut job = self.job(target, opened);
        job.reservation = Some(reservation);
        Ok(LocalUpload::new(path, 0, job))
    }

    /// Follows the path to where the bytes will go: a regular file or a free name.
    fn resolve(&self) -> Result<Target, StorageError> {
        let root = &self.home.root;
        let target = root.resolve(&self.request.path, self.directory_flags(), Kind::BadName)?;
        match target.facts.as_ref().map(facts::kind) {
            None | Some(FileKind::File) => Ok(target),
            Some(FileKind::Directory) => Err(self.refuse(Kind::IsADirectory, "a directory")),
            Some(FileKind::Symlink | FileKind::Other) => {
                Err(self.refuse(Kind::NotAFile, "not a regular file"))
            }
        }
    }

    /// A directory is opened for syncing only when it will be synced.
    fn directory_flags(&self) -> OFlags {
        if self.home.options.durability == Durability::Full { READ_DIRECTORY } else { ACT }
    }

    /// A rename needs no right on the file it replaces; clients expect a read-only file to be one all the same.
    fn check_writable(&self, target: &Target) -> Result<(), StorageError> {
        let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
        match accessat(&target.dir, &target.name, Access::WRITE_OK, flags) {
            // Before Linux 5.8 the call has no flags; the rename decides.
            Err(Errno::NOSYS) => Ok(()),
            other => other.because("faccessat2", self.request.path.as_bytes()),
        }
    }

    /// Starts a file from nothing.
    fn fresh(&self, target: Target) -> Result<LocalUpload, StorageError> {
        let existed = target.facts.is_some();
        if self.request.style == UploadStyle::InPlace {
            return self.fresh_in_place(target);
        }
        let opened = self.create_temp(&target, existed)?;
        Ok(LocalUpload::new(self.request.path.clone(), 0, self.job(target, opened)))
    }

    fn job(&self, target: Target, opened: (OwnedFd, Place)) -> Job {
        Job::new(self.home, self.account, self.look, target, opened)
    }

    /// Creates the temp beside the target, journalled first.
    fn create_temp(&self, target: &Target, existed: bool) -> Result<(OwnedFd, Place), StorageError> {
        // Never more open than the file it will replace, also while it is written.
        let mode = target.facts.as_ref().map_or(self.look.hidden_mode(), |about| {
            Mode::from_raw_mode(u32::from(about.stx_mode) & 0o666 | 0o200)
        });
        let may_overwrite = self.request.may_overwrite && self.request.start != UploadStart::Unique;
        for _ in 0..RACES_MAX {
            let temp = self.home.temp_id();
            let staying = self.home.staying();
            let dir_path = self.home.root.way_to(&target.dir).unwrap_or_else(|| target.dir_path.clone());
            self.home.journal.write(&self.home.root, &Record::Temp { temp, dir_path })?;
            drop(staying);
            let flags = WRITE_FILE | OFlags::CREATE | OFlags::EXCL;
            match openat(&target.dir, temp_name(temp), flags, mode) {
                Ok(file) => {
                    hold_temp(&file);
                    if !existed {
                        let prepared = self.look.prepare(&file, self.request.path.as_bytes());
                        prepared.inspect_err(|_| self.forget(target, temp_name(temp), Some(temp)))?;
                    }
                    return Ok((file, Place::Temp { temp, existed, may_overwrite }));
                }
                Err(errno) => {
                    self.home.journal.forget(temp);
                    if errno != Errno::EXIST {
                        return Err(errno).because("creating a file beside", self.request.path.as_bytes());
                    }
                }
            }
        }
        Err(self.refuse(Kind::Busy, "no free name for a temporary file"))
    }

    /// Opens the target itself, to be emptied by the first byte.
    fn fresh_in_place(&self, target: Target) -> Result<LocalUpload, StorageError> {
        for _ in 0..RACES_MAX {
            let created = openat(
                &target.dir,
                &target.name,
                WRITE_FILE | OFlags::CREATE | OFlags::EXCL,
                self.look.visible_mode(),
            );
            let (file, created) = match created {
                Ok(file) => (file, true),
                // What appeared meanwhile is not replaced by an upload that keeps what is there.
                Err(Errno::EXIST) if self.request.start != UploadStart::Replace => break,
                Err(Errno::EXIST) if self.request.may_overwrite => {
                    match openat(&target.dir, &target.name, WRITE_FILE, Mode::empty()) {
                        Err(Errno::NOENT) => continue,
                        other => (other.because("openat", self.request.path.as_bytes())?, false),
                    }
                }
                Err(errno) => return Err(errno).because("openat", self.request.path.as_bytes()),
            };
            if created {
                let dressed = self.look.dress(&file, self.request.path.as_bytes());
                dressed.inspect_err(|_| self.forget(&target, &target.name, None))?;
            }
            let about = self.regular(&file)?;
            let hold = self.home.writers.take(facts::id(&about), self.account)?;
            let mut job = self.job(target, (file, Place::Target { created }));
            job.hold = Some(hold);
            job.cut_at = (!created).then_some(0);
            job.size_before = about.stx_size;
            return Ok(LocalUpload::new(self.request.path.clone(), 0, job));
        }
        Err(self.refuse(Kind::Busy, "comes and goes"))
    }

    /// Removes `name`, just created beside or as the target, which cannot look as it should.
    fn forget(&self, target: &Target, name: impl Arg, temp: Option<u64>) {
        if let Err(errno) = unlinkat(&target.dir, name, AtFlags::empty()) {
            tracing::warn!(path = %self.request.path, %errno, "what could not get its owner cannot be removed");
        }
        if let Some(temp) = temp {
            self.home.journal.forget(temp);
        }
    }

    /// Opens a file that exists to write into it: at `offset`, or at its end.
    fn existing(
        &self,
        target: Target,
        about: &Statx,
        offset: Option<u64>,
    ) -> Result<LocalUpload, StorageError> {
        if !self.request.may_append {
            return Err(self.refuse(Kind::PermissionDenied, "may not be added to"));
        }
        self.check_offset(offset, about)?;
        self.check_overwriting(offset, about.stx_size)?;
        let file = openat(&target.dir, &target.name, WRITE_FILE, Mode::empty());
        let file = file.because("openat", self.request.path.as_bytes())?;
        let about = self.regular(&file)?;
        let hold = self.home.writers.take(facts::id(&about), self.account)?;
        let (starts_at, size) = self.position(&file, offset)?;
        self.check_overwriting(offset, size)?;
        let mut job = self.job(target, (file, Place::Target { created: false }));
        job.hold = Some(hold);
        job.size_before = size;
        Ok(LocalUpload::new(self.request.path.clone(), starts_at, job))
    }

    /// Goes on with this account's partial: at `offset`, what lies behind it dropped by the first byte, or at its end.
    fn resume(
        &self,
        target: Target,
        (key, partial): (Key, Partial),
        offset: Option<u64>,
    ) -> Result<LocalUpload, StorageError> {
        let file = match openat(&target.dir, temp_name(partial.temp), WRITE_FILE, Mode::empty()) {
            Err(Errno::NOENT) => {
                self.home.partials.remove(&key);
                self.home.journal.forget(partial.temp);
                return match offset {
                    None => self.fresh(target),
                    Some(_) => Err(self.refuse(Kind::BadOffset, "there is nothing yet to write into")),
                };
            }
            other => other.because("openat", self.request.path.as_bytes())?,
        };
        let about = self.regular(&file)?;
        self.check_offset(offset, &about)?;
        let hold = self.home.writers.take(facts::id(&about), self.account)?;
        let (starts_at, _) = self.position(&file, offset)?;
        hold_temp(&file);
        let expires = clock::now_unix_secs().saturating_add(self.home.options.partial_expiry.as_secs());
        self.home.partials.extend(&key, expires);
        let place =
            Place::Temp { temp: partial.temp, existed: false, may_overwrite: self.request.may_overwrite };
        let mut job = self.job(target, (file, place));
        job.hold = Some(hold);
        job.cut_at = Some(starts_at);
        Ok(LocalUpload::new(self.request.path.clone(), starts_at, job))
    }

    /// Moves `file` to where the first byte goes, checked against its size now that nobody else writes; returns both.
    fn position(&self, file: &OwnedFd, offset: Option<u64>) -> Result<(u64, u64), StorageError> {
        let about = facts::of_fd(file).because("statx", self.request.path.as_bytes())?;
        self.check_offset(offset, &about)?;
        let starts_at = offset.unwrap_or(about.stx_size);
        let at = seek(file, SeekFrom::Start(starts_at)).because("lseek", self.request.path.as_bytes())?;
        Ok((at, about.stx_size))
    }

    /// Writing before the end of a file of `size` bytes replaces what is there.
    fn check_overwriting(&self, offset: Option<u64>, size: u64) -> Result<(), StorageError> {
        if !self.request.may_overwrite && offset.is_some_and(|offset| offset < size) {
            return Err(self.refuse(Kind::PermissionDenied, "may only be added to"));
        }
        Ok(())
    }

    fn check_offset(&self, offset: Option<u64>, about: &Statx) -> Result<(), StorageError> {
        if offset.is_some_and(|offset| offset > about.stx_size) {
            return Err(self.refuse(Kind::BadOffset, "offset past the end"));
        }
        Ok(())
    }

    /// Returns the facts of `file`, which must still be a regular one now that it is open.
    fn regular(&self, file: &OwnedFd) -> Result<Statx, StorageError> {
        let about = facts::of_fd(file).because("statx", self.request.path.as_bytes())?;
        match facts::kind(&about) {
            FileKind::File => Ok(about),
            _ => Err(self.refuse(Kind::NotAFile, "not a regular file")),
        }
    }

    fn refuse(&self, kind: Kind, why: &str) -> StorageError {
        refuse(kind, self.request.path.as_bytes(), why)
    }
}

/// Shows other processes, and homes that overlap this one, that the temp is in use. Where there are no such locks, or a
/// stale session still has this one, it does without.
fn hold_temp(file: &OwnedFd) {
    let _locked = flock(file, FlockOperation::NonBlockingLockExclusive);
}
