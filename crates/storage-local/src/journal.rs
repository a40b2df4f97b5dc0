//! What start-up must know to sweep without a tree walk: an append-only hidden file in the home, one per process.
//!
//! A record is a line. `t ID DIR` says that a temp is about to exist, `k ID EXPIRY ACCOUNT NAME DIR` that it is kept as
//! a partial; the last line of a temp counts, so a directory that moves is told by new lines. A temp that is done needs no line: its random name is gone, and sweeping what is gone does nothing.
//! The process that lives holds the file's lock (flock), so two servers on one home leave each other's temps alone.

mod record;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, ftruncate, openat, renameat, unlinkat};
use rustix::io::{self, Errno};
use tidegate_storage::StorageError;
use tidegate_types::{FileKind, StorageErrorKind};

pub(crate) use self::record::Record;
use crate::blocking::lock;
use crate::errors::{kind_of, refuse};
use crate::root::Root;
use crate::{facts, names};

/// How many processes may serve one home at a time with a journal each.
const SLOTS_MAX: u32 = 16;
/// A journal this long is rewritten when less than a quarter of it still counts.
const COMPACT_BYTES: u64 = 256 * 1024;
/// More than this is never read back; compaction keeps the file far below.
const READ_BYTES_MAX: usize = 64 * 1024 * 1024;
const OPEN: OFlags = OFlags::RDWR
    .union(OFlags::APPEND)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// The journal of one home. Memory: a line for each temp and partial that exists.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    file: Option<Slot>,
    live: HashMap<u64, Vec<u8>>,
    /// Set when no slot can be had, so that it is said once.
    unavailable: bool,
}

#[derive(Debug)]
struct Slot {
    number: u32,
    fd: OwnedFd,
    bytes: u64,
    /// The last line is cut short: the next begins with a line end.
    torn: bool,
}

/// What asking for a slot came to.
enum Claim {
    Ours(Slot),
    Missing,
    Taken,
}

impl Journal {
    /// Takes over the journals that no living process holds and returns their records, oldest first.
    /// A home that cannot be written has none to sweep.
    pub(crate) fn take_over(&self, root: &Root) -> (Vec<Record>, Vec<Leftover>) {
        let mut state = lock(&self.0);
        let (mut records, mut others) = (Vec::new(), Vec::new());
        for number in 0..SLOTS_MAX {
            match claim(root, number, OFlags::empty()) {
                Ok(Claim::Missing) => break,
                Ok(Claim::Taken) | Err(_) => {}
                Ok(Claim::Ours(slot)) => {
                    match read_all(&slot.fd) {
                        Ok(text) => records.extend(record::parse_all(&text)),
                        Err(errno) => {
                            tracing::warn!(%errno, "a journal of unfinished uploads cannot be read");
                        }
                    }
                    if state.file.is_none() {
                        state.file = Some(slot);
                    } else {
                        others.push(Leftover(slot));
                    }
                }
            }
        }
        (records, others)
    }

    /// Ends a take-over: writes what still counts into this process's journal and empties the others.
    pub(crate) fn settle(
        &self,
        root: &Root,
        kept: &[Record],
        others: Vec<Leftover>,
    ) -> Result<(), StorageError> {
        let mut state = lock(&self.0);
        state.live = kept.iter().map(|record| (record.temp(), record.line())).collect();
        match &mut state.file {
            None => return Ok(()),
            Some(slot) if kept.is_empty() => {
                if slot.bytes > 0 {
                    ftruncate(&slot.fd, 0).map_err(|errno| broken("ftruncate", errno))?;
                    (slot.bytes, slot.torn) = (0, false);
                }
            }
            Some(_) => state.compact(root).map_err(|errno| broken("rewriting", errno))?,
        }
        for Leftover(slot) in others {
            ftruncate(&slot.fd, 0).map_err(|errno| broken("ftruncate", errno))?;
        }
        Ok(())
    }

    /// Appends `record`, in a slot taken with the first one. Where the home itself cannot be written, uploads into
    /// directories below it go on without a journal, and that is said once.
    pub(crate) fn write(&self, root: &Root, record: &Record) -> Result<(), StorageError> {
        let mut state = lock(&self.0);
        if state.file.is_none() && !state.unavailable {
            match first_free(root) {
                Ok(slot) => state.file = Some(slot),
                Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE)) => {
                    return Err(broken("opening", errno));
                }
                Err(errno) => {
                    state.unavailable = true;
                    tracing::warn!(%errno, "no journal can be kept in this home: after a crash, unfinished uploads stay as hidden files");
                }
            }
        }
        let line = record.line();
        if let Some(slot) = &mut state.file {
            slot.append(&line).map_err(|errno| broken("writing", errno))?;
        }
        state.live.insert(record.temp(), line);
        state.compact_when_long(root);
        Ok(())
    }

    /// Corrects the records at and below `old`, a directory that is `new` from now on; returns whether there were any.
    pub(crate) fn moved(&self, root: &Root, old: &[u8], new: &[u8]) -> Result<bool, StorageError> {
        let mut state = lock(&self.0);
        let mut lines = Vec::new();
        for line in state.live.values_mut() {
            let Some(record) = record::parse_all(line).next() else { continue };
            if let Some(moved) = names::moved(record.dir_path(), old, new) {
                *line = record.with_dir_path(moved).line();
                lines.extend_from_slice(line);
            }
        }
        if lines.is_empty() {
            return Ok(false);
        }
        if let Some(slot) = &mut state.file {
            slot.append(&lines).map_err(|errno| broken("writing", errno))?;
        }
        state.compact_when_long(root);
        Ok(true)
    }

    /// Returns whether `temp` belongs to an upload under way here or is kept as a partial.
    pub(crate) fn is_live(&self, temp: u64) -> bool {
        lock(&self.0).live.contains_key(&temp)
    }

    /// Forgets `temp`, whose hidden name is gone.
    pub(crate) fn forget(&self, temp: u64) {
        lock(&self.0).live.remove(&temp);
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        match &lock(&self.0).file {
            Some(slot) => rustix::fs::fdatasync(&slot.fd).map_err(|errno| broken("fdatasync", errno)),
            None => Ok(()),
        }
    }
}

/// A journal of a process that is gone, locked until it is emptied.
pub(crate) struct Leftover(Slot);

impl State {
    fn is_long(&self) -> bool {
        self.file.as_ref().is_some_and(|slot| slot.bytes > COMPACT_BYTES)
    }

    /// Rewrites a journal that has become long and says little.
    fn compact_when_long(&mut self, root: &Root) {
        if !self.is_long() {
            return;
        }
        let live_bytes: u64 = self.live.values().map(|line| line.len() as u64).sum();
        if self.file.as_ref().is_some_and(|slot| slot.bytes / 4 > live_bytes)
            && let Err(errno) = self.compact(root)
        {
            tracing::warn!(%errno, "the journal of unfinished uploads cannot be rewritten");
        }
    }

    /// Replaces the journal by one with the live records only; locked before it is seen, durable before the old goes.
    fn compact(&mut self, root: &Root) -> io::Result<()> {
        let Some(old) = &mut self.file else { return Ok(()) };
        let id = getrandom::u64().map_err(|_| Errno::IO)?;
        old.append(&Record::Temp { temp: id, dir_path: Vec::new() }.line())?;
        let temp = names::temp_name(id);
        let flags = OPEN | OFlags::CREATE | OFlags::EXCL;
        let fd = openat(root.fd(), &temp, flags, Mode::RUSR | Mode::WUSR)?;
        let mut fresh = Slot { number: old.number, fd, bytes: 0, torn: false };
        let done = flock(&fresh.fd, FlockOperation::NonBlockingLockExclusive)
            .and_then(|()| fresh.append(&self.live.values().flatten().copied().collect::<Vec<u8>>()))
            .and_then(|()| rustix::fs::fdatasync(&fresh.fd))
            .and_then(|()| renameat(root.fd(), &temp, root.fd(), names::journal_name(fresh.number)));
        match done {
            Ok(()) => self.file = Some(fresh),
            Err(_) => unlinkat(root.fd(), &temp, AtFlags::empty())?,
        }
        done
    }
}

impl Slot {
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(line.len() + 1);
        if self.torn {
            text.push(b'\n');
        }
        text.extend_from_slice(line);
        let mut rest = text.as_slice();
        self.torn = true;
        while !rest.is_empty() {
            match io::write(&self.fd, rest) {
                Ok(0) => return Err(Errno::IO),
                Ok(written) => {
                    self.bytes += written as u64;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.torn = false;
        Ok(())
    }
}

/// Opens and locks journal `number`, making sure that the name still means the file that was locked.
fn claim(root: &Root, number: u32, create: OFlags) -> io::Result<Claim> {
    let name = names::journal_name(number);
    for _ in 0..8 {
        let fd = match openat(root.fd(), &name, OPEN | create, Mode::RUSR | Mode::WUSR) {
            Err(Errno::NOENT) => return Ok(Claim::Missing),
            other => other?,
        };
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(Claim::Taken),
            other => other?,
        }
        let facts = facts::of_fd(&fd)?;
        if facts::kind(&facts) != FileKind::File {
            return Err(Errno::INVAL);
        }
        let named = facts::of_name(root.fd(), name.as_bytes());
        if named.is_ok_and(|named| facts::id(&named) == facts::id(&facts)) {
            // Whatever a dead process was writing may lack its end.
            return Ok(Claim::Ours(Slot { number, fd, bytes: facts.stx_size, torn: facts.stx_size > 0 }));
        }
    }
    Ok(Claim::Taken)
}

/// Takes the first empty slot nobody holds; one with the lines of an owner that died since is left to the next start.
fn first_free(root: &Root) -> io::Result<Slot> {
    let mut last = Errno::BUSY;
    for number in 0..SLOTS_MAX {
        match claim(root, number, OFlags::CREATE) {
            Ok(Claim::Ours(slot)) if slot.bytes == 0 => return Ok(slot),
            Ok(Claim::Ours(_) | Claim::Taken | Claim::Missing) => {}
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

fn read_all(fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    while text.len() < READ_BYTES_MAX {
        text.reserve(64 * 1024);
        let at = text.len() as u64;
        match io::pread(fd, spare_capacity(&mut text), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(text)
}

fn broken(call: &str, errno: Errno) -> StorageError {
    let kind = match kind_of(errno) {
        kind @ (StorageErrorKind::DiskFull
        | StorageErrorKind::QuotaExceeded
        | StorageErrorKind::Exhausted) => kind,
        _ => StorageErrorKind::Failed,
    };
    refuse(kind, b"journal", &format!("{call}: {errno}"))
}

#[cfg(test)]
mod tests;
