use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tidegate_storage::StorageError;
use tidegate_types::{AccountName, StorageErrorKind};

use crate::blocking::lock;
use crate::facts::FileId;

/// Who writes into which file right now. One entry per open in-place upload, so as many as there are transfers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writers(Arc<Mutex<HashMap<FileId, Holder>>>);

#[derive(Debug)]
struct Holder {
    account: Option<AccountName>,
    token: Arc<Token>,
}

#[derive(Debug, Default)]
struct Token {
    superseded: AtomicBool,
    /// Held while bytes are written, so that a successor can wait for the last of them.
    gate: Mutex<()>,
}

/// The right to write into one file; given back by dropping it.
#[derive(Debug)]
pub(crate) struct Hold {
    writers: Writers,
    file: FileId,
    token: Arc<Token>,
}

impl Writers {
    /// Takes `file` for `account`. A writer of the same account is superseded and its last write awaited; one of
    /// another account, or of somebody anonymous, makes it `Busy`.
    pub(crate) fn take(&self, file: FileId, account: Option<&AccountName>) -> Result<Hold, StorageError> {
        let token = Arc::new(Token::default());
        let mut holders = lock(&self.0);
        let stale = match holders.get(&file) {
            Some(holder) if account.is_none() || holder.account.as_ref() != account => {
                return Err(StorageError::new(
                    StorageErrorKind::Busy,
                    "another account writes into this file",
                ));
            }
            Some(holder) => Some(Arc::clone(&holder.token)),
            None => None,
        };
        holders.insert(file, Holder { account: account.cloned(), token: Arc::clone(&token) });
        drop(holders);
        if let Some(stale) = stale {
            stale.superseded.store(true, Ordering::SeqCst);
            drop(lock(&stale.gate));
        }
        Ok(Hold { writers: self.clone(), file, token })
    }

    /// Returns whether somebody writes into `file`.
    pub(crate) fn holds(&self, file: FileId) -> bool {
        lock(&self.0).contains_key(&file)
    }
}

impl Hold {
    /// Returns whether a newer session has taken the file over.
    pub(crate) fn is_superseded(&self) -> bool {
        self.token.superseded.load(Ordering::SeqCst)
    }

    /// Opens the gate for one write; `Superseded` when the file was taken over.
    pub(crate) fn gate(&self) -> Result<MutexGuard<'_, ()>, StorageError> {
        let gate = lock(&self.token.gate);
        self.check()?;
        Ok(gate)
    }

    /// As [`gate`](Self::gate), for what writes nothing: never waits.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_superseded() {
            let why = "a newer session writes into this file";
            return Err(StorageError::new(StorageErrorKind::Superseded, why));
        }
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holders = lock(&self.writers.0);
        if holders.get(&self.file).is_some_and(|holder| Arc::ptr_eq(&holder.token, &self.token)) {
            holders.remove(&self.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_of_one_account_wins_and_strangers_wait() {
        let writers = Writers::default();
        let (alice, bob) = (AccountName("alice".into()), AccountName("bob".into()));
        let old = writers.take((1, 1), Some(&alice)).unwrap();
        assert_eq!(writers.take((1, 1), Some(&bob)).unwrap_err().kind, StorageErrorKind::Busy);
        assert_eq!(writers.take((1, 1), None).unwrap_err().kind, StorageErrorKind::Busy);
        let new = writers.take((1, 1), Some(&alice)).unwrap();
        assert_eq!(old.gate().unwrap_err().kind, StorageErrorKind::Superseded);
        drop(old);
        assert!(new.gate().is_ok(), "the stale one's end takes nothing from the new one");
        drop(new);
        assert!(!writers.holds((1, 1)));
        let anonymous = writers.take((1, 1), None).unwrap();
        assert!(writers.take((1, 1), None).is_err(), "two strangers are not one account");
        drop(anonymous);
    }
}
