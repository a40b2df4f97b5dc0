use std::io;

use tokio::net::TcpStream;

/// More than this waiting to be sent: no further line is taken, so that a client that never reads cannot make it grow.
pub(super) const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Memory kept between replies.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// Reply bytes that the control connection has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    /// Sends `wire` behind what waits, as far as the socket takes it now, and empties it.
    ///
    /// Errors: the kernel's, when the client is gone; what waited is forgotten then.
    pub(super) fn send(&mut self, stream: &TcpStream, wire: &mut Vec<u8>) -> io::Result<()> {
        if self.is_empty() {
            let taken = write(stream, wire);
            let left = wire.get(*taken.as_ref().unwrap_or(&wire.len())..).unwrap_or_default();
            self.bytes.extend_from_slice(left);
            wire.clear();
            wire.shrink_to(KEPT_BYTES_MAX);
            return taken.map(|_| ());
        }
        self.bytes.extend_from_slice(wire);
        wire.clear();
        wire.shrink_to(KEPT_BYTES_MAX);
        self.flush(stream)
    }

    /// Sends what waits as far as the socket takes it now.
    ///
    /// Errors: as of [`send`](Self::send).
    pub(super) fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        let result = write(stream, self.bytes.get(self.sent..).unwrap_or_default());
        match result {
            Ok(count) => self.sent += count,
            Err(_) => self.sent = self.bytes.len(),
        }
        if self.sent == self.bytes.len() {
            self.bytes = Vec::new();
            self.sent = 0;
        }
        result.map(|_| ())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() - self.sent > OUTPUT_BYTES_MAX
    }
}

/// Returns how many bytes the socket took now.
fn write(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut taken = 0;
    while let Some(left) = bytes.get(taken..).filter(|left| !left.is_empty()) {
        match stream.try_write(left) {
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
