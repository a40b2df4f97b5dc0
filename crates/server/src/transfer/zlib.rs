//! MODE Z: the data connection carries one zlib stream (RFC 1950; draft-preston-ftpext-deflate).
//!
//! Both directions take bounded slices, for threads that may be busy for a while. `flate2` with its Rust backend does the work:
//! a client's bytes are inflated by code without `unsafe`.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tidegate_storage::StorageError;
use tidegate_types::StorageErrorKind;

/// Compressed bytes are gathered in steps of this size.
const STEP_BYTES: usize = 32 * 1024;
/// The most that one step of inflating gives, however small its input.
pub(super) const INFLATED_BYTES_MAX: usize = 256 * 1024;

/// A stream that has given more than this...
pub(super) const BOMB_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// ... and more than so many times what it took, is a bomb (PROTOCOL A18). Deflate cannot do more than about 1,030 to 1; files of
/// people, even logs, seldom do more than 30.
pub(super) const BOMB_RATIO: u64 = 100;

/// Compresses; about 320 KiB of memory.
pub(super) struct Deflater {
    stream: Compress,
    /// What is compressed and not taken out yet.
    pub(super) ready: Vec<u8>,
}

impl Deflater {
    /// Returns one for `level` 1 to 9.
    pub(super) fn new(level: u8) -> Self {
        let stream = Compress::new(Compression::new(u32::from(level.clamp(1, 9))), true);
        Self { stream, ready: Vec::new() }
    }

    /// Compresses all of `bytes` into `ready`, which grows by little more than them; some may wait inside.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.step(rest, FlushCompress::None)?.0;
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ends the stream: everything that waited, and the checksum, are in `ready` then.
    pub(super) fn finish(&mut self) -> Result<(), StorageError> {
        while self.step(&[], FlushCompress::Finish)?.1 != Status::StreamEnd {}
        Ok(())
    }

    /// Takes one step and returns how many bytes it took. Never stands still.
    fn step(&mut self, bytes: &[u8], flush: FlushCompress) -> Result<(usize, Status), StorageError> {
        self.ready.reserve(STEP_BYTES);
        let before = (self.stream.total_in(), self.ready.len());
        let status = self.stream.compress_vec(bytes, &mut self.ready, flush).map_err(failed)?;
        let taken = usize::try_from(self.stream.total_in() - before.0).map_err(failed)?;
        if taken == 0 && self.ready.len() == before.1 && status != Status::StreamEnd {
            return Err(failed("the compressor stands still"));
        }
        Ok((taken, status))
    }
}

/// Decompresses what a client sends; about 50 KiB of memory, whatever it sends.
pub(super) struct Inflater {
    stream: Decompress,
    ended: bool,
}

/// What the next step of inflating needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Nothing: there is more inside.
    Step,
    /// Bytes.
    Input,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { stream: Decompress::new(true), ended: false }
    }

    /// Returns whether the stream ended, its checksum right, or never began: an empty file. A connection that ends in between is
    /// cut.
    pub(super) fn has_ended(&self) -> bool {
        self.ended || self.stream.total_in() == 0
    }

    /// Decompresses a part of `input` into the emptied `out`, at most 256 KiB; returns how many bytes it took.
    ///
    /// Errors: `Failed` for what is no zlib stream, a wrong checksum, and bytes behind the end; `TooLarge` when it becomes more
    /// than 4 MiB and more than 100 times its input.
    pub(super) fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, Wants), StorageError> {
        out.clear();
        if input.is_empty() && self.ended {
            return Ok((0, Wants::Input));
        }
        if self.ended {
            return Err(failed("bytes behind the end of the zlib stream"));
        }
        out.reserve_exact(INFLATED_BYTES_MAX);
        let before = self.stream.total_in();
        let status = self.stream.decompress_vec(input, out, FlushDecompress::None).map_err(failed)?;
        let taken = usize::try_from(self.stream.total_in() - before).map_err(failed)?;
        let (from, to) = (self.stream.total_in(), self.stream.total_out());
        if to > BOMB_BYTES_MIN && to / BOMB_RATIO >= from {
            let detail = format!("MODE Z: {from} bytes became {to} and more");
            return Err(StorageError::new(StorageErrorKind::TooLarge, detail));
        }
        self.ended = status == Status::StreamEnd;
        if self.ended {
            // What is left decides, with the next step or the next bytes.
            let wants = if taken < input.len() { Wants::Step } else { Wants::Input };
            return Ok((taken, wants));
        }
        if taken == 0 && out.is_empty() && !input.is_empty() {
            return Err(failed("the zlib stream stands still"));
        }
        let full = out.len() == out.capacity();
        Ok((taken, if full || taken < input.len() { Wants::Step } else { Wants::Input }))
    }
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::new(StorageErrorKind::Failed, format!("MODE Z: {error}"))
}

#[cfg(test)]
mod tests;
