use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use tidegate_types::AccountName;

use crate::blocking::lock;
use crate::facts::{self, FileId};
use crate::names;

/// How many partials one home keeps; what is cut beyond that is discarded. About 300 bytes each.
pub(crate) const PARTIALS_MAX: usize = 10_000;

/// Where a partial belongs and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) dir: FileId,
    pub(crate) name: Vec<u8>,
    pub(crate) account: AccountName,
}

impl Key {
    /// Returns the key of `account`'s partial for `name` in `dir`; anonymous sessions have none.
    pub(crate) fn of(account: Option<&AccountName>, dir: &OwnedFd, name: &[u8]) -> Option<Self> {
        let account = account?.clone();
        let about = facts::of_fd(dir).ok()?;
        Some(Self { dir: facts::id(&about), name: name.to_vec(), account })
    }
}

/// The bytes of an upload that was cut, under a hidden name beside its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    /// Names the temp.
    pub(crate) temp: u64,
    /// The way to its directory from the root.
    pub(crate) dir_path: Vec<u8>,
    /// When it is to go, in seconds since 1970.
    pub(crate) expires_at_secs: u64,
}

/// The partials of one home.
#[derive(Debug, Default)]
pub(crate) struct Partials(Mutex<HashMap<Key, Partial>>);

impl Partials {
    /// Returns whether there are none: the usual case, which then costs nothing more.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// Returns what is kept under `key`.
    pub(crate) fn find(&self, key: &Key) -> Option<Partial> {
        lock(&self.0).get(key).cloned()
    }

    /// Keeps `partial`; gives back the one it replaces, or itself when there are too many.
    pub(crate) fn keep(&self, key: Key, partial: Partial) -> Option<Partial> {
        let mut all = lock(&self.0);
        if all.len() >= PARTIALS_MAX && !all.contains_key(&key) {
            return Some(partial);
        }
        all.insert(key, partial)
    }

    /// Lets the partial under `key` live until `expires_at_secs`.
    pub(crate) fn extend(&self, key: &Key, expires_at_secs: u64) {
        if let Some(partial) = lock(&self.0).get_mut(key) {
            partial.expires_at_secs = expires_at_secs;
        }
    }

    /// Takes `key` out of the register.
    pub(crate) fn remove(&self, key: &Key) -> Option<Partial> {
        lock(&self.0).remove(key)
    }

    /// Takes out all that expired before `now_secs`.
    pub(crate) fn take_expired(&self, now_secs: u64) -> Vec<Partial> {
        lock(&self.0).extract_if(|_, partial| partial.expires_at_secs <= now_secs).map(|(_, p)| p).collect()
    }

    /// Corrects the ways to partials at and below `old`, a directory that is `new` from now on.
    pub(crate) fn moved(&self, old: &[u8], new: &[u8]) {
        for partial in lock(&self.0).values_mut() {
            if let Some(moved) = names::moved(&partial.dir_path, old, new) {
                partial.dir_path = moved;
            }
        }
    }

    /// Returns all that belong into `dir`.
    pub(crate) fn within(&self, dir: FileId) -> Vec<(Key, Partial)> {
        lock(&self.0).iter().filter(|(key, _)| key.dir == dir).map(|(k, p)| (k.clone(), p.clone())).collect()
    }
}
