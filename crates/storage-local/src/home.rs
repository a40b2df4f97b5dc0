use std::collections::{BTreeMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fsync, openat, syncfs, unlinkat};
use rustix::io::{self, Errno};
use tidegate_storage::StorageError;
use tidegate_types::{AccountName, VirtualPath};

use crate::backend::{Durability, Options};
use crate::blocking::lock;
use crate::errors::Because;
use crate::facts::{self, FileId};
use crate::journal::{Journal, Record};
use crate::names::temp_name;
use crate::partials::{Key, Partial, Partials};
use crate::root::{READ_DIRECTORY, Root, WRITE_FILE};
use crate::writers::Writers;
use crate::{clock, names};

/// What all sessions in one home share.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) root: Root,
    pub(crate) options: Options,
    pub(crate) writers: Writers,
    pub(crate) partials: Partials,
    pub(crate) journal: Journal,
    /// Names promised to STOU uploads under way.
    reserved: Mutex<HashSet<(FileId, Vec<u8>)>>,
    /// Names the next temp; starts at a random number, so that no two processes meet but by the rarest chance.
    next_temp: AtomicU64,
    swept: Mutex<bool>,
    /// Read-locked from asking where a directory is until that is recorded, write-locked while one moves.
    moves: RwLock<()>,
}

impl Home {
    /// Returns the home below `root`, not swept yet.
    pub(crate) fn new(root: Root, options: Options) -> Result<Self, StorageError> {
        let seed = getrandom::u64().map_err(|_| Errno::IO).because("getrandom", b"")?;
        Ok(Self {
            root,
            options,
            writers: Writers::default(),
            partials: Partials::default(),
            journal: Journal::default(),
            reserved: Mutex::default(),
            next_temp: AtomicU64::new(seed),
            swept: Mutex::new(false),
            moves: RwLock::default(),
        })
    }

    /// Sweeps what dead processes left behind: once, before the first session enters.
    pub(crate) fn sweep_once(&self) -> Result<(), StorageError> {
        let mut swept = lock(&self.swept);
        if *swept {
            return Ok(());
        }
        let (records, others) = self.journal.take_over(&self.root);
        let last: BTreeMap<u64, Record> = records.into_iter().map(|record| (record.temp(), record)).collect();
        let (mut kept, mut removed) = (Vec::new(), 0_u32);
        for (temp, record) in last {
            if self.revive(&record) {
                kept.push(record);
            } else {
                removed += u32::from(self.remove_temp(record.dir_path(), temp));
            }
        }
        if removed > 0 || !kept.is_empty() {
            tracing::info!(removed, kept = kept.len(), "swept what unfinished uploads left");
        }
        self.journal.settle(&self.root, &kept, others)?;
        *swept = true;
        Ok(())
    }

    /// Registers the partial of `record` if it is one, is still there and has time left.
    fn revive(&self, record: &Record) -> bool {
        let Record::Kept { temp, expires_at_secs, account, name, dir_path } = record else { return false };
        if !self.options.keep_partial || *expires_at_secs <= clock::now_unix_secs() {
            return false;
        }
        let Ok(dir) = self.root.directory_as_it_is(dir_path) else { return false };
        let (Ok(about), Ok(_)) = (facts::of_fd(&dir), facts::of_name(&dir, temp_name(*temp).as_bytes()))
        else {
            return false;
        };
        let key = Key { dir: facts::id(&about), name: name.clone(), account: account.clone() };
        let partial = Partial { temp: *temp, dir_path: dir_path.clone(), expires_at_secs: *expires_at_secs };
        match self.partials.keep(key, partial) {
            None => true,
            Some(other) if other.temp == *temp => false,
            Some(other) => {
                self.remove_temp(&other.dir_path, other.temp);
                true
            }
        }
    }

    /// Returns a number for a temp.
    pub(crate) fn temp_id(&self) -> u64 {
        self.next_temp.fetch_add(1, Ordering::Relaxed)
    }

    /// Removes the temp by the way to it; returns whether there was one.
    pub(crate) fn remove_temp(&self, dir_path: &[u8], temp: u64) -> bool {
        let removed = self
            .root
            .directory_as_it_is(dir_path)
            .and_then(|dir| unlinkat(&dir, temp_name(temp), AtFlags::empty()))
            .is_ok();
        self.journal.forget(temp);
        removed
    }

    /// Returns `account`'s partial for `name` in `dir` that has time left.
    pub(crate) fn partial(
        &self,
        account: Option<&AccountName>,
        dir: &OwnedFd,
        name: &[u8],
    ) -> Option<(Key, Partial)> {
        if account.is_none() || self.partials.is_empty() {
            return None;
        }
        let key = Key::of(account, dir, name)?;
        let partial = self.partials.find(&key)?;
        (partial.expires_at_secs > clock::now_unix_secs()).then_some((key, partial))
    }

    /// Discards `account`'s partial for `name` in `dir`; returns whether there was one.
    pub(crate) fn discard_partial(&self, account: Option<&AccountName>, dir: &OwnedFd, name: &[u8]) -> bool {
        let Some((key, partial)) = self.partial(account, dir, name) else { return false };
        self.partials.remove(&key);
        let removed = unlinkat(dir, temp_name(partial.temp), AtFlags::empty()).is_ok();
        self.journal.forget(partial.temp);
        removed
    }

    /// Removes the partials whose time is up.
    pub(crate) fn sweep_expired(&self) {
        if self.partials.is_empty() {
            return;
        }
        let _staying = self.staying();
        for partial in self.partials.take_expired(clock::now_unix_secs()) {
            self.remove_temp(&partial.dir_path, partial.temp);
        }
    }

    /// Notes that the directory `from` is `to` from now on; each with the directory it is in. The caller holds
    /// [`moving`](Self::moving) since before the rename.
    pub(crate) fn note_moved(&self, from: (&OwnedFd, &VirtualPath), to: (&OwnedFd, &VirtualPath)) {
        let (old, new) = (self.way_of(from), self.way_of(to));
        self.partials.moved(&old, &new);
        let noted = match self.journal.moved(&self.root, &old, &new) {
            Ok(true) if self.options.durability == Durability::Full => self.journal.sync(),
            other => other.map(drop),
        };
        if let Err(error) = noted {
            // The move is done and true; what it leaves behind in a crash goes with its directory.
            tracing::warn!(%error, "the journal does not know where a directory with unfinished uploads went");
        }
    }

    fn way_of(&self, (parent, path): (&OwnedFd, &VirtualPath)) -> Vec<u8> {
        let (Some(mut way), Some(name)) = (self.root.way_to(parent), path.file_name()) else {
            return path.relative().to_vec();
        };
        if !way.is_empty() {
            way.push(b'/');
        }
        way.extend_from_slice(name);
        way
    }

    /// Keeps directories from moving through this home until the guard is dropped.
    pub(crate) fn staying(&self) -> RwLockReadGuard<'_, ()> {
        self.moves.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody relies on where directories are; nobody does until the guard is dropped.
    pub(crate) fn moving(&self) -> RwLockWriteGuard<'_, ()> {
        self.moves.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the partials, and the temps nobody holds, in the directory `name` of `dir` when nothing else is in it,
    /// for to everybody it looks empty. Returns whether it is empty now.
    pub(crate) fn clear_hidden(&self, dir: impl AsFd, name: &[u8]) -> bool {
        self.clear_hidden_in(dir, name).unwrap_or(false)
    }

    fn clear_hidden_in(&self, dir: impl AsFd, name: &[u8]) -> io::Result<bool> {
        let inner = openat(dir, name, READ_DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        let partials = self.partials.within(facts::id(&facts::of_fd(&inner)?));
        let known: HashSet<u64> = partials.iter().map(|(_, partial)| partial.temp).collect();
        let mut strays = Vec::new();
        let mut entries = Dir::read_from(&inner)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let Some(temp) = names::temp_id(name) else { return Ok(false) };
            let is_held = if known.contains(&temp) {
                self.writers.holds(facts::id(&facts::of_name(&inner, name)?))
            } else {
                strays.push(temp);
                self.journal.is_live(temp) || is_locked(&inner, name)
            };
            if is_held {
                return Ok(false);
            }
        }
        for (key, _) in &partials {
            self.partials.remove(key);
        }
        for temp in known.into_iter().chain(strays) {
            match unlinkat(&inner, temp_name(temp), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => self.journal.forget(temp),
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    /// Promises a name in `dir` made from `base` that is free, not denied, and that nobody else was promised; `INVAL`
    /// when all are denied that were thought of.
    pub(crate) fn reserve(self: &Arc<Self>, dir: &OwnedFd, base: &[u8]) -> io::Result<Reservation> {
        let dir_id = facts::id(&facts::of_fd(dir)?);
        let mut refused = Errno::INVAL;
        for n in 0..2000 {
            // Past a thousand neighbours counting on would cost more than it reads well.
            let n = if n < 1000 { n } else { getrandom::u64().map_err(|_| Errno::IO)? };
            let name = names::candidate(base, n);
            if self.root.deny.covers(&name) {
                continue;
            }
            refused = Errno::EXIST;
            if !lock(&self.reserved).insert((dir_id, name.clone())) {
                continue;
            }
            let reservation = Reservation { home: Arc::clone(self), dir: dir_id, name };
            match facts::of_name(dir, &reservation.name) {
                Err(Errno::NOENT) => return Ok(reservation),
                Err(errno) => return Err(errno),
                Ok(_) => {}
            }
        }
        Err(refused)
    }

    /// Makes the names in `dir` durable when that is asked for; `file` is on the same file system.
    pub(crate) fn sync_directory(&self, dir: &OwnedFd, file: impl AsFd) -> io::Result<()> {
        match self.options.durability {
            Durability::None | Durability::File => Ok(()),
            Durability::Full => match fsync(dir) {
                // The directory may not be read, so it could not be opened for syncing.
                Err(Errno::BADF) => syncfs(file),
                other => other,
            },
        }
    }
}

/// Returns whether an upload somewhere else (another process, a home that overlaps) holds the temp `name`, or may.
fn is_locked(dir: &OwnedFd, name: &[u8]) -> bool {
    match openat(dir, name, WRITE_FILE, Mode::empty()) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive).is_err(),
        Err(errno) => errno != Errno::NOENT,
    }
}

/// A name promised to one STOU upload until it ends.
#[derive(Debug)]
pub(crate) struct Reservation {
    home: Arc<Home>,
    dir: FileId,
    pub(crate) name: Vec<u8>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.home.reserved).remove(&(self.dir, std::mem::take(&mut self.name)));
    }
}
