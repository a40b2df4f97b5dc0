use std::fmt;

use tidegate_types::{Creation, Profile, Rights, UploadStyle};

/// One account as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The name given to USER: 1 to 256 bytes without control characters, compared byte by byte.
    pub name: String,
    /// An argon2id hash in PHC form, as `tidegate hash-password` prints it.
    pub password_hash: String,
    /// The folder that is its root.
    pub home: String,
    /// What it may do.
    pub rights: Rights,
    /// How many connections it may have; `None`: no such limit.
    pub max_connections: Option<u32>,
    /// How its uploads are written.
    pub upload: UploadStyle,
    /// What it creates looks like.
    pub creation: Creation,
}

impl fmt::Debug for Account {
    /// Writes everything but the hash, which is as good as a weak password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("home", &self.home)
            .field("rights", &self.rights)
            .field("max_connections", &self.max_connections)
            .field("upload", &self.upload)
            .field("creation", &self.creation)
            .finish_non_exhaustive()
    }
}

/// What anybody may do who logs in as `anonymous` or `ftp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous {
    /// The folder that is their root.
    pub home: String,
    /// What they may do.
    pub rights: Rights,
    /// How many connections they may have together; `None`: no such limit.
    pub max_connections: Option<u32>,
}

/// Who logged in, and where their root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// What the session may do, and under which name it is counted.
    pub profile: Profile,
    /// The folder that is its root.
    pub home: String,
    /// What it creates looks like.
    pub creation: Creation,
}

/// Why a login failed. For the log only: a client is told the same text for all of them, so that it does not learn which
/// names exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denied {
    /// No such account.
    UnknownAccount,
    /// The account exists, the password is another.
    WrongPassword,
    /// The name is longer than 256 bytes.
    NameTooLong,
    /// The password is longer than 1,024 bytes.
    PasswordTooLong,
    /// No password; never right for an account.
    EmptyPassword,
    /// A NUL byte in the name or the password.
    ForbiddenByte,
    /// The hash could not be computed. Not the client's fault.
    HashFailed,
}

impl Denied {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::UnknownAccount,
        Self::WrongPassword,
        Self::NameTooLong,
        Self::PasswordTooLong,
        Self::EmptyPassword,
        Self::ForbiddenByte,
        Self::HashFailed,
    ];

    /// Returns the word for a log field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown-account",
            Self::WrongPassword => "wrong-password",
            Self::NameTooLong => "name-too-long",
            Self::PasswordTooLong => "password-too-long",
            Self::EmptyPassword => "empty-password",
            Self::ForbiddenByte => "forbidden-byte",
            Self::HashFailed => "hash-failed",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
