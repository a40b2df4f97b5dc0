/// Why storage could not do something, told apart by what the client must be told (PROTOCOL §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageErrorKind {
    /// No such file or directory.
    NotFound,
    /// A part of the path that must be a directory is none.
    NotADirectory,
    /// A file was needed and the name is a directory.
    IsADirectory,
    /// Not a regular file: a device, socket or pipe.
    NotAFile,
    /// The operating system or a link out of the root forbids it.
    PermissionDenied,
    /// The name is taken and may not be replaced.
    AlreadyExists,
    /// The directory still has entries.
    NotEmpty,
    /// Too long or not a name this place can keep.
    BadName,
    /// The restart offset lies past the end of the file.
    BadOffset,
    /// No space left on the device.
    DiskFull,
    /// The quota is used up.
    QuotaExceeded,
    /// Larger than a file may be here.
    TooLarge,
    /// Somebody else uses it; later may work.
    Busy,
    /// A newer session of the same account took this file over.
    Superseded,
    /// Out of descriptors or memory here; later may work.
    Exhausted,
    /// This place cannot do that at all.
    Unsupported,
    /// An input or output error, or a backend that failed.
    Failed,
}

impl StorageErrorKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 17] = [
        Self::NotFound,
        Self::NotADirectory,
        Self::IsADirectory,
        Self::NotAFile,
        Self::PermissionDenied,
        Self::AlreadyExists,
        Self::NotEmpty,
        Self::BadName,
        Self::BadOffset,
        Self::DiskFull,
        Self::QuotaExceeded,
        Self::TooLarge,
        Self::Busy,
        Self::Superseded,
        Self::Exhausted,
        Self::Unsupported,
        Self::Failed,
    ];

    /// Returns the words for a log line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::NotADirectory => "not a directory",
            Self::IsADirectory => "is a directory",
            Self::NotAFile => "not a regular file",
            Self::PermissionDenied => "permission denied",
            Self::AlreadyExists => "already exists",
            Self::NotEmpty => "directory not empty",
            Self::BadName => "name not allowed",
            Self::BadOffset => "offset past the end",
            Self::DiskFull => "disk full",
            Self::QuotaExceeded => "quota exceeded",
            Self::TooLarge => "file too large",
            Self::Busy => "in use",
            Self::Superseded => "taken over by a newer session",
            Self::Exhausted => "out of descriptors or memory",
            Self::Unsupported => "not supported by this storage",
            Self::Failed => "input or output error",
        }
    }
}
