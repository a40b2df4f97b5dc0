use std::io;

use tidegate_types::Moment;
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
    /// Since when the socket has taken nothing of what waits; `None`: nothing waits.
    waits_since: Option<Moment>,
}

impl Output {
    /// Sends `wire` behind what waits, as far as the socket takes it now, and empties it.
    ///
    /// Errors: the kernel's, when the client is gone; what waited is forgotten then.
    pub(super) fn send(&mut self, stream: &TcpStream, wire: &mut Vec<u8>, now: Moment) -> io::Result<()> {
        if self.is_empty() {
            let taken = write(stream, wire);
            let left = wire.get(*taken.as_ref().unwrap_or(&wire.len())..).unwrap_or_default();
            self.bytes.extend_from_slice(left);
            self.waits_since = (!self.bytes.is_empty()).then_some(now);
            wire.clear();
            wire.shrink_to(KEPT_BYTES_MAX);
            return taken.map(|_| ());
        }
        self.bytes.extend_from_slice(wire);
        wire.clear();
        wire.shrink_to(KEPT_BYTES_MAX);
        self.flush(stream, now)
    }

    /// Sends what waits as far as the socket takes it now.
    ///
    /// Errors: as of [`send`](Self::send).
    pub(super) fn flush(&mut self, stream: &TcpStream, now: Moment) -> io::Result<()> {
        let result = write(stream, self.bytes.get(self.sent..).unwrap_or_default());
        match result {
            Ok(0) => {}
            Ok(count) => {
                self.sent += count;
                self.waits_since = Some(now);
            }
            Err(_) => self.sent = self.bytes.len(),
        }
        if self.sent == self.bytes.len() {
            *self = Self::default();
        }
        result.map(|_| ())
    }

    /// Returns since when the client has taken nothing although something waits for it.
    pub(super) fn waits_since(&self) -> Option<Moment> {
        self.waits_since
    }

    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() > OUTPUT_BYTES_MAX
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
