use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tidegate_storage::{Answer, Reader, StorageError};
use tidegate_types::{FileKind, StorageErrorKind, VirtualPath};

use crate::blocking::hop;
use crate::errors::{Because, refuse};
use crate::facts;
use crate::root::{READ_FILE, Root};

/// A regular file opened for reading, as large as it was then.
pub(crate) struct LocalReader {
    file: Arc<OwnedFd>,
    size: u64,
}

impl LocalReader {
    /// Opens `path` beneath `root`; `BadOffset` when `offset` lies past its end.
    pub(crate) fn open(root: &Root, path: &VirtualPath, offset: u64) -> Result<Self, StorageError> {
        let file = root.open_beneath(path.relative(), READ_FILE).because("openat2", path.as_bytes())?;
        let facts = facts::of_fd(&file).because("statx", path.as_bytes())?;
        match facts::kind(&facts) {
            FileKind::File => {}
            FileKind::Directory => {
                return Err(refuse(StorageErrorKind::IsADirectory, path.as_bytes(), "a directory"));
            }
            FileKind::Symlink | FileKind::Other => {
                return Err(refuse(StorageErrorKind::NotAFile, path.as_bytes(), "not a regular file"));
            }
        }
        if offset > facts.stx_size {
            return Err(refuse(StorageErrorKind::BadOffset, path.as_bytes(), "offset past the end"));
        }
        Ok(Self { file: Arc::new(file), size: facts.stx_size })
    }
}

impl Reader for LocalReader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, mut buffer: Vec<u8>) -> Answer<'_, Vec<u8>> {
        let file = Arc::clone(&self.file);
        Box::pin(hop(move || {
            buffer.clear();
            if buffer.capacity() == 0 {
                return Ok(buffer);
            }
            loop {
                match rustix::io::pread(&*file, spare_capacity(&mut buffer), offset) {
                    Err(Errno::INTR) => {}
                    other => {
                        other.because("pread", b"an open file")?;
                        return Ok(buffer);
                    }
                }
            }
        }))
    }

    fn as_file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}
