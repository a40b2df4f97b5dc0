use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The name of an account, as configured. Anonymous sessions have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(pub String);

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an account may do: a set of the ten rights named in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rights(u16);

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// See names and facts.
    pub const LIST: Self = Self(1);
    /// Download.
    pub const READ: Self = Self(1 << 1);
    /// Upload under a new name.
    pub const WRITE: Self = Self(1 << 2);
    /// Replace a file that exists.
    pub const OVERWRITE: Self = Self(1 << 3);
    /// Add to a file that exists.
    pub const APPEND: Self = Self(1 << 4);
    /// Remove files and directories.
    pub const DELETE: Self = Self(1 << 5);
    /// Rename files and directories.
    pub const RENAME: Self = Self(1 << 6);
    /// Create directories.
    pub const MKDIR: Self = Self(1 << 7);
    /// Change permission bits.
    pub const CHMOD: Self = Self(1 << 8);
    /// Change modification times.
    pub const UTIME: Self = Self(1 << 9);
    /// All ten.
    pub const ALL: Self = Self((1 << 10) - 1);
    /// See and download.
    pub const READ_ONLY: Self = Self(Self::LIST.0 | Self::READ.0);
    /// Upload under new names, see nothing.
    pub const UPLOAD_ONLY: Self = Self::WRITE;

    /// Each right with the word the configuration uses.
    pub const NAMES: [(&'static str, Self); 10] = [
        ("list", Self::LIST),
        ("read", Self::READ),
        ("write", Self::WRITE),
        ("overwrite", Self::OVERWRITE),
        ("append", Self::APPEND),
        ("delete", Self::DELETE),
        ("rename", Self::RENAME),
        ("mkdir", Self::MKDIR),
        ("chmod", Self::CHMOD),
        ("utime", Self::UTIME),
    ];

    /// The words that stand for a whole set.
    pub const SETS: [(&'static str, Self); 3] =
        [("all", Self::ALL), ("read-only", Self::READ_ONLY), ("upload-only", Self::UPLOAD_ONLY)];

    /// Returns whether every right of `other` is in `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the rights of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Reads one word: a right (`write`) or a set (`read-only`).
    pub fn parse(word: &str) -> Result<Self, RightsError> {
        Self::NAMES
            .iter()
            .chain(&Self::SETS)
            .find(|(name, _)| *name == word)
            .map(|(_, rights)| *rights)
            .ok_or(RightsError)
    }

    /// Returns the words for the rights in the set, in table order.
    pub fn words(self) -> Vec<&'static str> {
        Self::NAMES.iter().filter(|(_, right)| self.contains(*right)).map(|(name, _)| *name).collect()
    }
}

/// The word names no right and no set of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RightsError;

/// How an upload that replaces a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum UploadStyle {
    /// Beside the target, renamed over it when it is complete.
    #[default]
    Atomic,
    /// Into the target itself, for those who need the inode.
    InPlace,
}

/// What the session machine knows of who is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The account, `None` for anonymous.
    pub account: Option<AccountName>,
    /// What it may do.
    pub rights: Rights,
    /// How its uploads are written.
    pub upload: UploadStyle,
    /// How many connections it may have; `None`: no such limit.
    pub connections_max: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for (name, right) in Rights::NAMES {
            assert_eq!(Rights::parse(name), Ok(right));
            assert_eq!(right.words(), [name]);
        }
        assert_eq!(Rights::parse("all"), Ok(Rights::ALL));
        assert_eq!(Rights::ALL.words().len(), 10);
        assert_eq!(Rights::parse("everything"), Err(RightsError));
    }

    #[test]
    fn sets_contain_what_they_say() {
        assert!(Rights::READ_ONLY.contains(Rights::LIST.union(Rights::READ)));
        assert!(!Rights::READ_ONLY.contains(Rights::WRITE));
        assert!(!Rights::UPLOAD_ONLY.contains(Rights::LIST));
    }
}
