use std::fmt;
use std::path::Path;

use tidegate_accounts::{Account, Accounts, AccountsError, MistakeInHash};
use tidegate_types::{Creation, Rights, UploadStyle};
use toml::de::DeValue;

use super::value::{Mismatch, Value};
use crate::keys::Kind;

/// Text that never appears in a log or a debug print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text; the caller answers for where it goes.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Value for Secret {
    /// Takes a hash that the accounts take; the message never repeats what was found.
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let make_one = "run `tidegate hash-password` and paste the line it prints";
        let mismatch = |what: String| Mismatch { what, hint: Some(make_one.into()) };
        let text = found.as_str().ok_or_else(|| mismatch("is not a password hash".into()))?;
        match mistake_in(text) {
            None => Ok(Self::new(text)),
            Some(AccountsError::BadHash { mistake: MistakeInHash::NotPhc, .. })
                if text.starts_with("$argon2id$") =>
            {
                Err(mismatch("is a damaged hash (cut when it was copied?)".into()))
            }
            Some(AccountsError::BadHash { mistake: MistakeInHash::NotPhc, .. }) if !text.starts_with('$') => {
                Err(mismatch("does not look like a password hash; a clear password is never read".into()))
            }
            Some(AccountsError::BadHash {
                mistake: MistakeInHash::NotPhc | MistakeInHash::OtherAlgorithm,
                ..
            }) => Err(mismatch("is a hash of another kind than argon2id".into())),
            Some(AccountsError::BadHash { mistake, .. }) => Err(mismatch(mistake.to_string())),
            Some(other) => Err(mismatch(format!("cannot be checked: {other}"))),
        }
    }

    fn show(&self) -> String {
        match self.0.split('$').nth(3) {
            Some(costs) => format!("set (argon2id, {costs})"),
            None => "set".into(),
        }
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::PasswordHash
    }
}

/// Asks the accounts themselves, so that what is taken here is taken there.
fn mistake_in(hash: &str) -> Option<AccountsError> {
    let account = Account {
        name: "account".into(),
        password_hash: hash.into(),
        home: String::new(),
        rights: Rights::NONE,
        max_connections: None,
        upload: UploadStyle::Atomic,
        creation: Creation::default(),
    };
    Accounts::new(vec![account], None).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";

    fn read(text: &str) -> Result<Secret, Mismatch> {
        Secret::read(&DeValue::String(text.into()), Kind::PasswordHash, Path::new("/"))
    }

    #[test]
    fn a_hash_is_taken_and_never_printed() {
        let hash = read(GOOD).unwrap();
        assert_eq!(hash.reveal(), GOOD);
        assert_eq!(hash.show(), "set (argon2id, m=19456,t=2,p=1)");
        assert_eq!(format!("{hash:?}"), "(secret)");
    }

    #[test]
    fn anything_else_is_refused_without_repeating_it() {
        for (text, fragment) in [
            ("hunter2", "does not look like"),
            ("", "does not look like"),
            ("$2y$10$abcdefghijk", "another kind"),
            ("$6$salt$hash", "another kind"),
            (
                "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU",
                "another kind",
            ),
            ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0", "has no salt or no hash"),
            ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$%", "damaged"),
            (
                "$argon2id$v=19$m=0,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU",
                "parameters",
            ),
            (
                "$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU",
                "KiB of memory",
            ),
        ] {
            let mismatch = read(text).unwrap_err();
            assert!(mismatch.what.contains(fragment), "{text}: {mismatch:?}");
            assert!(text.is_empty() || !mismatch.what.contains(text));
        }
    }
}
