use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_types::{AccountName, Creation, Profile, UploadStyle};

use crate::password::{Cost, StoredPassword};
use crate::{Account, Anonymous, Denied, HashError, Login, MEMORY_KIB_MAX, PASSES_MAX, PASSWORD_BYTES_MAX};

/// The longest account name, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// The names everybody may use when anonymous is on, in any case.
const ANONYMOUS_NAMES: [&str; 2] = ["anonymous", "ftp"];

/// Who may log in. Fixed once built; a reload builds another.
pub struct Accounts {
    by_name: HashMap<String, Known>,
    anonymous: Option<Login>,
    /// What the password of an unknown name is compared with, so that it takes as long as for a known one.
    dummy: StoredPassword,
    verifications: AtomicU64,
}

struct Known {
    password: StoredPassword,
    login: Login,
}

/// Why a list of accounts cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// Two accounts have one name.
    #[error("two accounts are named `{name}`")]
    DuplicateName {
        /// Which.
        name: String,
    },
    /// A name that nobody can give, or that would hide in a log.
    #[error("the account name {name:?} is not 1 to {NAME_BYTES_MAX} bytes without control characters")]
    BadName {
        /// Which.
        name: String,
    },
    /// An account has a name that means anonymous, while anonymous is on.
    #[error("the account name `{name}` stands for anonymous logins, and these are on")]
    AnonymousName {
        /// Which.
        name: String,
    },
    /// A password hash cannot be used.
    #[error(
        "the password hash of account `{name}` {mistake}; expected $argon2id$v=19$m=…,t=…,p=…$salt$hash as \
         `tidegate hash-password` prints it"
    )]
    BadHash {
        /// Of which account.
        name: String,
        /// What is wrong with it.
        mistake: MistakeInHash,
    },
    /// The operating system gives no random numbers, or argon2 does not work here.
    #[error("passwords cannot be checked: {0}")]
    NoHashing(#[from] HashError),
}

/// What is wrong with a password hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MistakeInHash {
    /// Not a PHC string at all, such as a password in clear.
    #[error("is not a PHC string")]
    NotPhc,
    /// Another algorithm than argon2id.
    #[error("is not argon2id")]
    OtherAlgorithm,
    /// Neither `v=19` nor `v=16`.
    #[error("has no version v=19 or v=16")]
    Version,
    /// No salt or no output.
    #[error("has no salt or no hash")]
    Incomplete,
    /// `m`, `t` or `p` is no number, out of range, or something else is there.
    #[error("has parameters argon2 does not know or allow")]
    Parameters,
    /// More memory than a server can lend to every login.
    #[error("needs {kib} KiB of memory for one login (at most {MEMORY_KIB_MAX})")]
    Memory {
        /// What it asks for.
        kib: u32,
    },
    /// More passes or lanes than a login may take.
    #[error("needs {passes} passes and {lanes} lanes (at most {PASSES_MAX} and 16)")]
    Passes {
        /// What it asks for (`t`).
        passes: u32,
        /// What it asks for (`p`).
        lanes: u32,
    },
}

impl Accounts {
    /// Reads every password hash and returns the accounts, or the first mistake in list order.
    pub fn new(accounts: Vec<Account>, anonymous: Option<Anonymous>) -> Result<Self, AccountsError> {
        let mut by_name = HashMap::with_capacity(accounts.len());
        for account in accounts {
            check_name(&account.name, anonymous.is_some())?;
            match by_name.entry(account.name.clone()) {
                Entry::Occupied(entry) => {
                    return Err(AccountsError::DuplicateName { name: entry.key().clone() });
                }
                Entry::Vacant(entry) => entry.insert(Known::read(account)?),
            };
        }
        let dummy = StoredPassword::dummy(usual_cost(by_name.values()))?;
        let anonymous = anonymous.map(Login::from);
        Ok(Self { by_name, anonymous, dummy, verifications: AtomicU64::new(0) })
    }

    /// Checks a name and a password. One hash is computed for every name that could be an account's, known or not: with
    /// one cost for all accounts both take the same time; with several, an unknown name takes what most accounts take.
    pub fn check(&self, user: &[u8], password: &[u8]) -> Result<Login, Denied> {
        check_bytes(user, password)?;
        if let Some(anonymous) = self.anonymous_login(user) {
            return Ok(anonymous.clone());
        }
        if password.is_empty() {
            return Err(Denied::EmptyPassword);
        }
        let known = str::from_utf8(user).ok().and_then(|name| self.by_name.get(name));
        let stored = known.map_or(&self.dummy, |known| &known.password);
        let matches = self.verify(stored, password)?;
        match known {
            None => Err(Denied::UnknownAccount),
            Some(_) if !matches => Err(Denied::WrongPassword),
            Some(known) => Ok(known.login.clone()),
        }
    }

    /// Returns whether [`Self::check`] computes no hash for `user`: an anonymous name.
    pub fn is_cheap(&self, user: &[u8]) -> bool {
        self.anonymous_login(user).is_some()
    }

    /// Returns how many connections an account (`None`: anonymous) may have; `None`: there is no such account.
    pub fn connections_max(&self, name: Option<&str>) -> Option<Option<u32>> {
        let login = match name {
            None => self.anonymous.as_ref(),
            Some(name) => self.by_name.get(name).map(|known| &known.login),
        };
        login.map(|login| login.profile.connections_max)
    }

    /// Returns the most memory one check takes, in KiB; times the threads that check, it is what logins may take.
    pub fn memory_kib_max(&self) -> u32 {
        let known = self.by_name.values().map(|known| known.password.cost());
        known.chain([self.dummy.cost()]).map(|cost| cost.memory_kib).max().unwrap_or(0)
    }

    /// Returns how many hashes were computed to check passwords.
    pub fn verifications(&self) -> u64 {
        self.verifications.load(Ordering::Relaxed)
    }

    fn anonymous_login(&self, user: &[u8]) -> Option<&Login> {
        self.anonymous.as_ref().filter(|_| is_anonymous_name(user))
    }

    fn verify(&self, stored: &StoredPassword, password: &[u8]) -> Result<bool, Denied> {
        self.verifications.fetch_add(1, Ordering::Relaxed);
        stored.verify(password).map_err(|_| Denied::HashFailed)
    }
}

impl fmt::Debug for Accounts {
    /// Writes how many there are; neither names nor hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("accounts", &self.by_name.len())
            .field("anonymous", &self.anonymous.is_some())
            .finish_non_exhaustive()
    }
}

impl Known {
    fn read(account: Account) -> Result<Self, AccountsError> {
        let Account { name, password_hash, home, rights, max_connections, upload, creation } = account;
        let password = match StoredPassword::parse(&password_hash) {
            Ok(password) => password,
            Err(mistake) => return Err(AccountsError::BadHash { name, mistake }),
        };
        let profile =
            Profile { account: Some(AccountName(name)), rights, upload, connections_max: max_connections };
        Ok(Self { password, login: Login { profile, home, creation } })
    }
}

impl From<Anonymous> for Login {
    fn from(anonymous: Anonymous) -> Self {
        let Anonymous { home, rights, max_connections } = anonymous;
        let upload = UploadStyle::default();
        let profile = Profile { account: None, rights, upload, connections_max: max_connections };
        Self { profile, home, creation: Creation::default() }
    }
}

/// Refuses what could be nobody's name or password, before anything is looked up or computed.
fn check_bytes(user: &[u8], password: &[u8]) -> Result<(), Denied> {
    if user.len() > NAME_BYTES_MAX {
        return Err(Denied::NameTooLong);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Denied::PasswordTooLong);
    }
    if user.contains(&0) || password.contains(&0) {
        return Err(Denied::ForbiddenByte);
    }
    Ok(())
}

fn check_name(name: &str, anonymous_on: bool) -> Result<(), AccountsError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(AccountsError::BadName { name: name.to_owned() });
    }
    if anonymous_on && is_anonymous_name(name.as_bytes()) {
        return Err(AccountsError::AnonymousName { name: name.to_owned() });
    }
    Ok(())
}

fn is_anonymous_name(user: &[u8]) -> bool {
    ANONYMOUS_NAMES.iter().any(|name| user.eq_ignore_ascii_case(name.as_bytes()))
}

/// Returns the cost most accounts have; of several, the highest; the default when there is no account.
fn usual_cost<'a>(known: impl Iterator<Item = &'a Known>) -> Cost {
    let mut counts: HashMap<Cost, u32> = HashMap::new();
    for known in known {
        *counts.entry(known.password.cost()).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(cost, count)| (*count, *cost)).map(|(cost, _)| cost).unwrap_or_default()
}

#[cfg(test)]
mod tests;
