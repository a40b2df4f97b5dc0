//! Kernel copies between a non-blocking socket and a file, in measured steps for a thread that may block on the disk.
//!
//! A step ends when the socket would block, when its budget is used, or at the end; it never waits for the peer. The server runs
//! steps on its own threads and waits for the socket on the reactor.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Memory of the buffer each copying thread keeps for itself.
pub const COPY_BUFFER_BYTES: usize = 256 * 1024;

/// The most one sendfile call moves, so that a step cannot run past its budget by more than the kernel's own cap.
const SENDFILE_BYTES_MAX: u64 = 0x7fff_f000;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a step of a download did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Bytes that went into the socket.
    pub moved: u64,
    /// Why the step ended.
    pub end: SendEnd,
}

/// Why a step of a download ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendEnd {
    /// The socket takes no more now: wait until it is writable.
    WouldBlock,
    /// All the bytes asked for went out.
    Budget,
    /// The file has no byte at the offset any more.
    EndOfFile,
}

/// What a step of an upload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes that went into the file.
    pub moved: u64,
    /// Why the step ended.
    pub end: ReceiveEnd,
}

/// Why a step of an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveEnd {
    /// The peer has sent no more yet: wait until the socket is readable.
    WouldBlock,
    /// As many bytes as asked for came in.
    Budget,
    /// The peer ended its stream.
    EndOfStream,
}

/// Which side of a copy failed, and how many bytes of this step were moved before.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The data connection broke: a 426.
    #[error("data connection: {source}")]
    Socket {
        /// Bytes moved in this step before.
        moved: u64,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file could not be read or written: a 451 or 452.
    #[error("file: {source}")]
    File {
        /// Bytes moved in this step before.
        moved: u64,
        /// What the kernel said.
        source: io::Error,
    },
}

impl CopyError {
    /// Returns the bytes moved in the failed step before it failed.
    pub fn moved(&self) -> u64 {
        match self {
            Self::Socket { moved, .. } | Self::File { moved, .. } => *moved,
        }
    }

    fn socket(moved: u64, error: Errno) -> Self {
        Self::Socket { moved, source: error.into() }
    }

    fn file(moved: u64, error: Errno) -> Self {
        Self::File { moved, source: error.into() }
    }

    /// sendfile does not say which side failed; the number does.
    fn of_sendfile(moved: u64, error: Errno) -> Self {
        match error {
            Errno::PIPE
            | Errno::CONNRESET
            | Errno::CONNABORTED
            | Errno::NOTCONN
            | Errno::TIMEDOUT
            | Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::HOSTUNREACH
            | Errno::HOSTDOWN
            | Errno::NOBUFS => Self::socket(moved, error),
            _ => Self::file(moved, error),
        }
    }
}

/// Sends up to `bytes_max` bytes of `file` from `offset` (the file's own position is neither used nor moved) until the
/// non-blocking `socket` is full. Falls back to read and send where the file system knows no sendfile.
///
/// Errors: [`CopyError`].
pub fn send_file(socket: impl AsFd, file: impl AsFd, offset: u64, bytes_max: u64) -> Result<Sent, CopyError> {
    let (socket, file) = (socket.as_fd(), file.as_fd());
    let mut at = offset;
    loop {
        let moved = at - offset;
        let wanted = bytes_max.saturating_sub(moved).min(SENDFILE_BYTES_MAX);
        if wanted == 0 {
            return Ok(Sent { moved, end: SendEnd::Budget });
        }
        match rustix::fs::sendfile(socket, file, Some(&mut at), usize::try_from(wanted).unwrap_or(usize::MAX))
        {
            Ok(0) => return Ok(Sent { moved, end: SendEnd::EndOfFile }),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(Sent { moved, end: SendEnd::WouldBlock }),
            Err(Errno::INVAL | Errno::NOSYS) if moved == 0 => {
                return send_buffered(socket, file, offset, bytes_max);
            }
            Err(error) => return Err(CopyError::of_sendfile(moved, error)),
        }
    }
}

/// Does what `send_file` does through the thread's buffer.
fn send_buffered(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    bytes_max: u64,
) -> Result<Sent, CopyError> {
    with_buffer(|buffer| {
        let mut moved = 0;
        while moved < bytes_max {
            let wanted = clamp(bytes_max - moved);
            buffer.clear();
            match rustix::io::pread(file, spare_capacity(buffer), offset + moved) {
                Ok(0) => return Ok(Sent { moved, end: SendEnd::EndOfFile }),
                Ok(_) => buffer.truncate(wanted),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(CopyError::file(moved, error)),
            }
            match rustix::net::send(socket, buffer, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                // What did not fit is read again from the file.
                Ok(count) => moved += count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Sent { moved, end: SendEnd::WouldBlock }),
                Err(error) => return Err(CopyError::socket(moved, error)),
            }
        }
        Ok(Sent { moved, end: SendEnd::Budget })
    })
}

/// Receives up to `bytes_max` bytes from the non-blocking `socket` and writes them to `file` at its position, until the socket is
/// empty or the peer ends its stream. Every byte received is written, or the error says so.
///
/// Errors: [`CopyError`].
pub fn receive_file(socket: impl AsFd, file: impl AsFd, bytes_max: u64) -> Result<Received, CopyError> {
    let (socket, file) = (socket.as_fd(), file.as_fd());
    with_buffer(|buffer| {
        let mut moved = 0;
        loop {
            if moved >= bytes_max {
                return Ok(Received { moved, end: ReceiveEnd::Budget });
            }
            match receive_into(socket, buffer, clamp(bytes_max - moved)) {
                Ok(0) => return Ok(Received { moved, end: ReceiveEnd::EndOfStream }),
                Ok(_) => write_all(file, buffer, &mut moved)?,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Received { moved, end: ReceiveEnd::WouldBlock }),
                Err(error) => return Err(CopyError::socket(moved, error)),
            }
        }
    })
}

/// Sends a step of a file on a tokio stream, from any thread; the reactor learns of it when the socket is full, so that a later
/// `stream.writable().await` waits rightly. Await `writable` first.
///
/// Errors: [`CopyError`].
pub fn send_file_step(
    stream: &TcpStream,
    file: impl AsFd,
    offset: u64,
    bytes_max: u64,
) -> Result<Sent, CopyError> {
    let mut outcome = Ok(Sent { moved: 0, end: SendEnd::WouldBlock });
    let told = stream.try_io(Interest::WRITABLE, || {
        outcome = send_file(stream, file, offset, bytes_max);
        told_to_reactor(matches!(outcome, Ok(Sent { end: SendEnd::WouldBlock, .. })))
    });
    outcome_or_refusal(outcome, told)
}

/// Receives a step of a file from a tokio stream, from any thread; the reactor learns of it when the socket is empty, so that a
/// later `stream.readable().await` waits rightly. Await `readable` first.
///
/// Errors: [`CopyError`].
pub fn receive_file_step(stream: &TcpStream, file: impl AsFd, bytes_max: u64) -> Result<Received, CopyError> {
    let mut outcome = Ok(Received { moved: 0, end: ReceiveEnd::WouldBlock });
    let told = stream.try_io(Interest::READABLE, || {
        outcome = receive_file(stream, file, bytes_max);
        told_to_reactor(matches!(outcome, Ok(Received { end: ReceiveEnd::WouldBlock, .. })))
    });
    outcome_or_refusal(outcome, told)
}

/// tokio clears its readiness only when the closure that did the work says `WouldBlock` itself.
fn told_to_reactor(would_block: bool) -> io::Result<()> {
    if would_block { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
}

/// Returns the outcome, unless tokio itself failed, as it does when its runtime is gone.
fn outcome_or_refusal<T>(outcome: Result<T, CopyError>, told: io::Result<()>) -> Result<T, CopyError> {
    match told {
        Err(source) if source.kind() != io::ErrorKind::WouldBlock => {
            outcome.and(Err(CopyError::Socket { moved: 0, source }))
        }
        _ => outcome,
    }
}

/// Runs `work` with the thread's buffer, empty and with its whole capacity.
fn with_buffer<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.clear();
        buffer.reserve_exact(COPY_BUFFER_BYTES);
        work(buffer)
    })
}

fn clamp(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(COPY_BUFFER_BYTES)
}

/// Receives once into the emptied buffer, at most `bytes_max` bytes.
fn receive_into(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>, bytes_max: usize) -> Result<usize, Errno> {
    buffer.clear();
    if bytes_max >= buffer.capacity() {
        return rustix::net::recv(socket, spare_capacity(buffer), RecvFlags::DONTWAIT)
            .map(|(count, _)| count);
    }
    buffer.resize(bytes_max, 0);
    let (count, _) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
    buffer.truncate(count);
    Ok(count)
}

/// Writes all of `bytes`, counting each part as it arrives.
fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8], moved: &mut u64) -> Result<(), CopyError> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(CopyError::File { moved: *moved, source: io::ErrorKind::WriteZero.into() }),
            Ok(count) => {
                *moved += count as u64;
                bytes = bytes.get(count..).unwrap_or_default();
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(CopyError::file(*moved, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
