use rustix::io::Errno;
use tidegate_storage::StorageError;
use tidegate_types::{Shown, StorageErrorKind as Kind};

/// Returns what the client must be told about `errno` (PROTOCOL §1).
pub(crate) fn kind_of(errno: Errno) -> Kind {
    match errno {
        Errno::NOENT | Errno::STALE => Kind::NotFound,
        Errno::NOTDIR => Kind::NotADirectory,
        Errno::ISDIR => Kind::IsADirectory,
        // What open(2) says of a FIFO without a reader, a socket, a device without a driver.
        Errno::NXIO | Errno::NODEV => Kind::NotAFile,
        // XDEV: the path leaves the root, or a rename crosses file systems.
        Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::LOOP | Errno::XDEV => Kind::PermissionDenied,
        Errno::EXIST => Kind::AlreadyExists,
        Errno::NOTEMPTY => Kind::NotEmpty,
        Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL => Kind::BadName,
        Errno::NOSPC => Kind::DiskFull,
        Errno::DQUOT => Kind::QuotaExceeded,
        Errno::FBIG => Kind::TooLarge,
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => Kind::Busy,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Kind::Exhausted,
        Errno::OPNOTSUPP | Errno::NOSYS => Kind::Unsupported,
        _ => Kind::Failed,
    }
}

/// Returns an error of `kind` about `subject`, escaped for a log.
pub(crate) fn refuse(kind: Kind, subject: &[u8], why: &str) -> StorageError {
    StorageError::new(kind, format!("{}: {why}", Shown(subject)))
}

/// Turns the error of a system call into what storage says.
pub(crate) trait Because<T> {
    /// Names the call and what it was about.
    fn because(self, call: &str, subject: &[u8]) -> Result<T, StorageError>;
}

impl<T> Because<T> for rustix::io::Result<T> {
    fn because(self, call: &str, subject: &[u8]) -> Result<T, StorageError> {
        self.map_err(|errno| StorageError::new(kind_of(errno), format!("{call} {}: {errno}", Shown(subject))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_protocol_table() {
        for (errnos, kind) in [
            (&[Errno::NOENT][..], Kind::NotFound),
            (&[Errno::NOTDIR], Kind::NotADirectory),
            (&[Errno::ISDIR], Kind::IsADirectory),
            (&[Errno::ACCESS, Errno::PERM, Errno::LOOP, Errno::XDEV, Errno::ROFS], Kind::PermissionDenied),
            (&[Errno::NOTEMPTY], Kind::NotEmpty),
            (&[Errno::EXIST], Kind::AlreadyExists),
            (&[Errno::NAMETOOLONG, Errno::ILSEQ], Kind::BadName),
            (&[Errno::NOSPC], Kind::DiskFull),
            (&[Errno::DQUOT], Kind::QuotaExceeded),
            (&[Errno::FBIG], Kind::TooLarge),
            (&[Errno::BUSY, Errno::TXTBSY, Errno::AGAIN], Kind::Busy),
            (&[Errno::MFILE, Errno::NFILE, Errno::NOMEM], Kind::Exhausted),
            (&[Errno::IO], Kind::Failed),
        ] {
            for errno in errnos {
                assert_eq!(kind_of(*errno), kind, "{errno}");
            }
        }
    }

    #[test]
    fn names_are_escaped_in_details() {
        let error = Err::<(), _>(Errno::NOENT).because("openat2", b"a\x1b[2J\r\n\xff").unwrap_err();
        assert!(error.detail.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{}", error.detail);
    }
}
