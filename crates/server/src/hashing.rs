//! Digests of files (HASH, XCRC, XMD5 and their kin): chunk by chunk, each on a thread that may be busy for a while.
//!
//! The algorithms come from the `RustCrypto` project and `crc32fast`: they use the processor's own instructions where it has them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use tidegate_protocol::command::HashAlgorithm;
use tidegate_protocol::session::StorageDone;
use tidegate_storage::{Storage, StorageError};
use tidegate_types::{StorageErrorKind, VirtualPath};

use crate::jobs::{CHUNK_BYTES, Pulse, Share, read_chunk, shrank};

/// What is read at once from a descriptor; small enough for a processor's cache.
const BUFFER_BYTES: usize = 128 * 1024;

/// Returns the digest of the bytes of `path` in `range`, whose end is clipped to the size at opening. Dropping the future stops
/// the work with the chunk under way.
///
/// Errors: those of `open_read` (`BadOffset` when the range begins past the end); `Busy` when there is no place for 10 s;
/// `Failed` when the file shrinks meanwhile.
pub(crate) async fn hash(
    home: &dyn Storage,
    (share, pulse): (&Share, &Pulse),
    path: &VirtualPath,
    algorithm: HashAlgorithm,
    range: (u64, Option<u64>),
) -> Result<StorageDone, StorageError> {
    let (from, to) = range;
    let reader = home.open_read(path, from).await?;
    let size = reader.size();
    let to = to.unwrap_or(size).min(size).max(from);
    let mut hasher = Hasher::new(algorithm);
    let file = reader.as_file().and_then(|file| file.try_clone_to_owned().ok()).map(File::from).map(Arc::new);
    let mut at = from;
    while at < to {
        let place = share.place(pulse).await?;
        let source = match &file {
            Some(file) => Source::File(Arc::clone(file)),
            None => Source::Chunk(read_chunk(&*reader, at..to).await?),
        };
        let fed = tokio::task::spawn_blocking(move || {
            let moved = source.feed(&mut hasher, at..to);
            drop((source, place));
            (hasher, moved)
        });
        let (back, moved) = fed.await.map_err(failed)?;
        hasher = back;
        at += moved?;
        pulse.beat();
    }
    Ok(StorageDone::Hashed { digest: hasher.finish(), from, to })
}

/// Where the next bytes of a digest come from.
enum Source {
    /// Read on the same thread that digests them: they are still in its processor's cache.
    File(Arc<File>),
    /// Read already, by a storage without descriptors.
    Chunk(Vec<u8>),
}

impl Source {
    /// Digests the first bytes of `span`, a chunk at most; returns how many.
    fn feed(&self, hasher: &mut Hasher, span: Range<u64>) -> Result<u64, StorageError> {
        let file = match self {
            Self::File(file) => file,
            Self::Chunk(chunk) => {
                hasher.update(chunk);
                return Ok(chunk.len() as u64);
            }
        };
        let mut buffer = vec![0; BUFFER_BYTES];
        let end = span.end.min(span.start.saturating_add(CHUNK_BYTES as u64));
        let mut at = span.start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            let count = match file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), at) {
                Ok(0) => return Err(shrank(at, span.end)),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            hasher.update(buffer.get(..count).unwrap_or_default());
            at += count as u64;
        }
        Ok(at - span.start)
    }
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::new(StorageErrorKind::Failed, format!("a digest: {error}"))
}

/// A digest under way; 300 bytes at most.
enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
    Sha1(Sha1),
    Md5(Md5),
    Crc32(crc32fast::Hasher),
}

impl Hasher {
    fn new(algorithm: HashAlgorithm) -> Self {
        match algorithm {
            HashAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
            HashAlgorithm::Sha512 => Self::Sha512(Sha512::new()),
            HashAlgorithm::Sha1 => Self::Sha1(Sha1::new()),
            HashAlgorithm::Md5 => Self::Md5(Md5::new()),
            HashAlgorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
        }
    }

    /// Returns the digest, most significant byte first.
    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
