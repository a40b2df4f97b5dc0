use alloc::vec::Vec;

/// A point of wall-clock time in UTC, as file systems keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z; negative before.
    pub secs: i64,
    /// Nanoseconds within the second, below 1,000,000,000.
    pub nanos: u32,
}

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link that was not followed: it dangles or leaves the root.
    Symlink,
    /// A device, socket or pipe; never served.
    Other,
}

/// Identifies a file for as long as the session lives: device and inode, or whatever a backend has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unique {
    /// The device or volume.
    pub device: u64,
    /// The file on it.
    pub file: u64,
}

/// What the serving process may do with a file, whatever the account's rights say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// A file may be read, a directory listed.
    pub read: bool,
    /// A file may be written, entries of a directory created and removed.
    pub write: bool,
    /// A directory may be entered.
    pub search: bool,
}

impl Access {
    /// Everything is permitted.
    pub const ALL: Self = Self { read: true, write: true, search: true };
}

/// The facts about one file that replies and listings are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is; links inside the root are already followed.
    pub kind: FileKind,
    /// Bytes in a file; for a directory what the backend says.
    pub size: u64,
    /// When the content changed last.
    pub modified: Timestamp,
    /// The twelve permission bits, `0o7777` at most.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Hard links.
    pub links: u64,
    /// Stable identity.
    pub unique: Unique,
    /// What the process may do with it.
    pub access: Access,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as raw bytes: no `/`, no control characters, never `.` or `..`.
    pub name: Vec<u8>,
    /// Its facts.
    pub metadata: Metadata,
}
