use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, RenameFlags, fsync, ftruncate, linkat, renameat, renameat_with, unlinkat};
use rustix::io::{self, Errno};
use tidegate_storage::{Committed, Cut, StorageError};
use tidegate_types::{AccountName, StorageErrorKind};

use crate::backend::Durability;
use crate::carry::carry_over;
use crate::creation::Look;
use crate::errors::{Because, refuse};
use crate::home::{Home, Reservation};
use crate::journal::Record;
use crate::names::temp_name;
use crate::partials::{Key, Partial};
use crate::root::Target;
use crate::writers::Hold;
use crate::{clock, facts};

/// How many bytes of small writes wait in memory, per upload.
const STASH_BYTES_MAX: usize = 32 * 1024;

/// How often others may run before the last question of a commit.
const YIELDS: u32 = 4;

/// Where the bytes go.
#[derive(Debug)]
pub(super) enum Place {
    /// Beside the target, under the hidden name of `temp`.
    Temp {
        temp: u64,
        /// Whether the target existed at the beginning.
        existed: bool,
        may_overwrite: bool,
    },
    /// Into the target itself.
    Target {
        /// Whether the upload created it.
        created: bool,
    },
}

/// An upload under way: everything it must do on a thread that may block. Dropping it aborts it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) home: Arc<Home>,
    pub(super) account: Option<AccountName>,
    /// What the file looks like if it is new.
    look: Look,
    pub(super) target: Target,
    pub(super) file: Arc<OwnedFd>,
    pub(super) place: Place,
    /// The right to write into a file that others can reach too.
    pub(super) hold: Option<Hold>,
    pub(super) reservation: Option<Reservation>,
    /// The length the file is cut to by the first byte, or by the commit: until then nothing of the old is lost.
    pub(super) cut_at: Option<u64>,
    /// How long a file was that is written in place and not new.
    pub(super) size_before: u64,
    /// Why it could not be cut when the descriptor was asked for.
    cut_failed: Option<Errno>,
    progress: Progress,
    /// Whether somebody's write through the descriptor failed; told without waiting for this job.
    failed: Arc<AtomicBool>,
    /// Whether a byte may have reached the file.
    touched: bool,
    stash: Vec<u8>,
}

/// How far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Writing,
    /// A write or sync failed: what is in the file is not to be trusted or kept.
    Broken,
    Over,
}

impl Job {
    pub(super) fn new(
        home: &Arc<Home>,
        account: Option<&AccountName>,
        look: Look,
        target: Target,
        opened: (OwnedFd, Place),
    ) -> Self {
        let (file, place) = opened;
        Self {
            home: Arc::clone(home),
            account: account.cloned(),
            look,
            target,
            file: Arc::new(file),
            place,
            hold: None,
            reservation: None,
            cut_at: None,
            size_before: 0,
            cut_failed: None,
            progress: Progress::Writing,
            failed: Arc::default(),
            touched: false,
            stash: Vec::new(),
        }
    }

    pub(super) fn file(&self) -> &Arc<OwnedFd> {
        &self.file
    }

    /// Returns whether the descriptor stands where the next byte goes (nothing waits in memory) and is still ours.
    pub(super) fn has_descriptor(&self) -> bool {
        self.stash.is_empty() && self.cut_failed.is_none() && !self.is_superseded()
    }

    /// Makes the file ready for a byte that comes through the descriptor; returns whether it is. When the file cannot
    /// be cut, the next write tells why.
    pub(super) fn lend_descriptor(&mut self) -> bool {
        if !self.has_descriptor() {
            return false;
        }
        let Ok(gate) = self.hold.as_ref().map(Hold::gate).transpose() else { return false };
        self.cut_failed = cut(&self.file, &mut self.cut_at).err();
        drop(gate);
        self.touched |= self.cut_failed.is_none();
        self.cut_failed.is_none()
    }

    /// Returns whether a newer session of the same account has taken the file over.
    pub(super) fn is_superseded(&self) -> bool {
        self.hold.as_ref().is_some_and(Hold::is_superseded)
    }

    /// Returns what to set when a write that somebody made through the descriptor failed.
    pub(super) fn failed(&self) -> &Arc<AtomicBool> {
        &self.failed
    }

    /// Returns whether what is in the file is not to be trusted or kept.
    fn is_broken(&self) -> bool {
        self.progress == Progress::Broken || self.failed.load(Ordering::SeqCst)
    }

    /// Keeps `bytes` in memory if they are few; returns whether it did. `Superseded` as for a write.
    pub(super) fn stash(&mut self, bytes: &[u8]) -> Result<bool, StorageError> {
        if self.stash.len() + bytes.len() > STASH_BYTES_MAX {
            return Ok(false);
        }
        if let Some(hold) = &self.hold {
            hold.check()?;
        }
        if let Some(errno) = self.cut_failed {
            return Err(errno).because("ftruncate", &self.target.name);
        }
        self.stash.extend_from_slice(bytes);
        Ok(true)
    }

    /// Writes what waits in memory, then `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let gate = self.hold.as_ref().map(Hold::gate).transpose()?;
        if !(self.stash.is_empty() && bytes.is_empty()) {
            // A failure leaves the file as it was, so it is not broken.
            cut(&self.file, &mut self.cut_at).because("ftruncate", &self.target.name)?;
            self.touched = true;
        }
        let stash = std::mem::take(&mut self.stash);
        let done = write_all(&self.file, &stash).and_then(|()| write_all(&self.file, bytes));
        drop(gate);
        if done.is_err() {
            self.progress = Progress::Broken;
        }
        done.because("write", &self.target.name)
    }

    /// Makes the upload durable as configured and visible, if it is `still_wanted` at the last moment before.
    pub(super) fn commit(&mut self, still_wanted: &dyn Fn() -> bool) -> Result<Committed, StorageError> {
        if self.progress != Progress::Writing || self.is_broken() {
            return Err(refuse(StorageErrorKind::Failed, &self.target.name, "an earlier write failed"));
        }
        self.write(&[])?;
        let gate = self.hold.as_ref().map(Hold::gate).transpose()?;
        cut(&self.file, &mut self.cut_at).because("ftruncate", &self.target.name)?;
        let done = match self.place {
            Place::Temp { temp, existed, may_overwrite } => {
                self.publish(temp, (existed, may_overwrite), still_wanted)
            }
            Place::Target { .. } => self.settle().map(Some),
        };
        drop(gate);
        let size = match done {
            Ok(Some(size)) => size,
            Ok(None) => return Ok(Committed::Unwanted(self.abort())),
            Err((errno, broken)) => {
                if broken {
                    self.progress = Progress::Broken;
                }
                return Err(errno).because("commit", &self.target.name);
            }
        };
        self.progress = Progress::Over;
        if let Place::Temp { temp, .. } = self.place {
            self.home.journal.forget(temp);
            if !self.home.partials.is_empty()
                && let Some(key) = self.key()
                && self.home.partials.find(&key).is_some_and(|partial| partial.temp == temp)
            {
                self.home.partials.remove(&key);
            }
        }
        if !matches!(self.place, Place::Target { created: false }) {
            let synced = self.home.sync_directory(&self.target.dir, &*self.file);
            synced.because("fsync of the directory of", &self.target.name)?;
        }
        Ok(Committed::Stored { size })
    }

    /// Syncs the temp and gives it its name; returns its size, or `None` when it is not wanted any more. The error says
    /// whether the bytes are in doubt.
    fn publish(
        &self,
        temp: u64,
        (existed, may_overwrite): (bool, bool),
        still_wanted: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, (Errno, bool)> {
        let (dir, name) = (&self.target.dir, &self.target.name);
        // Nobody's file needs no looks and no sync.
        if !still_wanted() {
            return Ok(None);
        }
        let temp = temp_name(temp);
        let size = facts::of_fd(&self.file).map_err(|errno| (errno, false))?.stx_size;
        self.dress(existed).map_err(|errno| (errno, false))?;
        self.sync_file().map_err(|errno| (errno, true))?;
        // Where processors are scarce, whoever is about to change the answer may just be waiting for one. Where they are not,
        // this takes less than a microsecond.
        for _ in 0..YIELDS {
            std::thread::yield_now();
        }
        if !still_wanted() {
            Look::reopen(&*self.file).map_err(|errno| (errno, false))?;
            return Ok(None);
        }
        let renamed = if existed && may_overwrite {
            renameat(dir, &temp, dir, name)
        } else {
            match rename_new(dir, temp.as_bytes(), dir, name) {
                // Somebody created the target meanwhile; the last commit wins.
                Err(Errno::EXIST) if may_overwrite => carry_over(dir, name, self.file.as_fd())
                    .and_then(|_| self.sync_file())
                    .and_then(|()| renameat(dir, &temp, dir, name)),
                other => other,
            }
        };
        renamed.map_err(|errno| (errno, false))?;
        Ok(Some(size))
    }

    /// Gives the temp the looks of the file it replaces, else those of a new one.
    fn dress(&self, existed: bool) -> io::Result<()> {
        if existed {
            if carry_over(&self.target.dir, &self.target.name, self.file.as_fd())? {
                return Ok(());
            }
            // The file it was to replace is gone: now it is a new one.
            self.look.own(&*self.file)?;
        }
        self.look.finish(&*self.file)
    }

    /// Syncs a file that was written in place.
    fn settle(&self) -> Result<u64, (Errno, bool)> {
        self.sync_file().map_err(|errno| (errno, true))?;
        facts::of_fd(&self.file).map(|facts| facts.stx_size).map_err(|errno| (errno, false))
    }

    fn sync_file(&self) -> io::Result<()> {
        match self.home.options.durability {
            Durability::Full | Durability::File => fsync(&self.file),
            Durability::None => Ok(()),
        }
    }

    /// Ends the upload without a commit; says what remains. What is broken is not kept under any name it got.
    pub(super) fn abort(&mut self) -> Cut {
        if self.progress == Progress::Over {
            return Cut::Discarded;
        }
        let superseded = self.is_superseded();
        if !superseded && !self.is_broken() {
            // A failure marks the job broken, which decides what is kept.
            let _flushed = self.write(&[]);
        }
        let broken = self.is_broken();
        self.progress = Progress::Over;
        let (temp, existed) = match self.place {
            Place::Temp { temp, existed, .. } => (temp, existed),
            Place::Target { created } if created && broken && self.remove_created() => return Cut::Discarded,
            Place::Target { .. } => return Cut::InPlace,
        };
        let size = facts::of_fd(&self.file).map_or(0, |facts| facts.stx_size);
        if superseded {
            return Cut::Kept { size };
        }
        if !broken && !existed && size > 0 && self.keep(temp).unwrap_or(false) {
            return Cut::Kept { size };
        }
        self.discard(temp);
        Cut::Discarded
    }

    /// Ends the upload without keeping anything, save for bytes written over others: a file that was there before loses
    /// only what it grew.
    pub(super) fn take_back(&mut self) -> Cut {
        self.stash.clear();
        if matches!(self.place, Place::Target { created: false })
            && self.touched
            && let Ok(gate) = self.hold.as_ref().map(Hold::gate).transpose()
        {
            if let Err(errno) = shrink(&self.file, self.size_before) {
                tracing::warn!(%errno, "an upload cannot be taken back");
            }
            drop(gate);
        }
        self.progress = Progress::Broken;
        self.abort()
    }

    /// Removes the file this upload created in place; returns whether it did. A file somebody else took over or moved,
    /// or another one under its name, stays.
    fn remove_created(&self) -> bool {
        let Ok(gate) = self.hold.as_ref().map(Hold::gate).transpose() else { return false };
        let (dir, name) = (&self.target.dir, &self.target.name);
        let (ours, there) = (facts::of_fd(&self.file), facts::of_name(dir, name));
        if !matches!((ours, there), (Ok(ours), Ok(there)) if facts::id(&ours) == facts::id(&there)) {
            return false;
        }
        let removed = unlinkat(dir, name, AtFlags::empty());
        drop(gate);
        removed
            .inspect_err(|errno| tracing::warn!(%errno, "an unfinished upload in place cannot be removed"))
            .is_ok()
    }

    /// Keeps the temp as the account's partial, if there is an account and the name is still free.
    fn keep(&self, temp: u64) -> Result<bool, StorageError> {
        let home = &self.home;
        let Some(key) = self.key().filter(|_| home.options.keep_partial) else { return Ok(false) };
        if !matches!(facts::of_name(&self.target.dir, &self.target.name), Err(Errno::NOENT)) {
            return Ok(false);
        }
        let expires_at_secs = clock::now_unix_secs().saturating_add(home.options.partial_expiry.as_secs());
        let _staying = home.staying();
        // Where the directory is by now: it may have been moved since the upload began.
        let dir_path = home.root.way_to(&self.target.dir).unwrap_or_else(|| self.target.dir_path.clone());
        let record = Record::Kept {
            temp,
            expires_at_secs,
            account: key.account.clone(),
            name: key.name.clone(),
            dir_path: dir_path.clone(),
        };
        home.journal.write(&home.root, &record)?;
        if home.options.durability == Durability::Full {
            home.journal.sync()?;
        }
        match home.partials.keep(key, Partial { temp, dir_path, expires_at_secs }) {
            None => Ok(true),
            // It was one already, and was continued.
            Some(other) if other.temp == temp => Ok(self.still_kept(temp)),
            Some(other) => {
                home.remove_temp(&other.dir_path, other.temp);
                Ok(true)
            }
        }
    }

    /// Returns whether the register has the temp: it gives a new one back when it is full.
    fn still_kept(&self, temp: u64) -> bool {
        self.key().and_then(|key| self.home.partials.find(&key)).is_some_and(|partial| partial.temp == temp)
    }

    fn discard(&self, temp: u64) {
        if let Err(errno) = unlinkat(&self.target.dir, temp_name(temp), AtFlags::empty())
            && errno != Errno::NOENT
        {
            tracing::warn!(%errno, "an unfinished upload cannot be removed");
        }
        self.home.journal.forget(temp);
        if !self.home.partials.is_empty()
            && self.still_kept(temp)
            && let Some(key) = self.key()
        {
            self.home.partials.remove(&key);
        }
    }

    fn key(&self) -> Option<Key> {
        Key::of(self.account.as_ref(), &self.target.dir, &self.target.name)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.progress != Progress::Over {
            self.abort();
        }
    }
}

/// Cuts `file` to the length in `at`, if there is one and for the first time.
fn cut(file: &OwnedFd, at: &mut Option<u64>) -> io::Result<()> {
    if let Some(length) = *at {
        ftruncate(file, length)?;
        *at = None;
    }
    Ok(())
}

/// Cuts `file` to `length` if it is longer.
fn shrink(file: &OwnedFd, length: u64) -> io::Result<()> {
    if facts::of_fd(file)?.stx_size > length { ftruncate(file, length) } else { Ok(()) }
}

fn write_all(file: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match io::write(file, rest) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Renames to a name that must be free (`EXIST` otherwise), without a race. Where the file system has no such rename,
/// a second link does the same for files.
pub(crate) fn rename_new(from: &OwnedFd, old: &[u8], to: &OwnedFd, new: &[u8]) -> io::Result<()> {
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
            linkat(from, old, to, new, AtFlags::empty())?;
            unlinkat(from, old, AtFlags::empty())
        }
        other => other,
    }
}
