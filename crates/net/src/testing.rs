//! Helpers of this room's tests.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::clock;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Both loopback addresses, port 0.
pub(crate) const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];

/// Returns two ends of a TCP connection over `address`; their reads and writes wait `PATIENCE` at most.
pub(crate) fn tcp_pair(address: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let one = connect(listener.local_addr().unwrap());
    let (other, _) = listener.accept().unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    other.set_write_timeout(Some(PATIENCE)).unwrap();
    (one, other)
}

/// Connects; reads and writes wait `PATIENCE` at most.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads to the end; fails on any error.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = clock::now() + PATIENCE;
    while !condition() {
        assert!(clock::now() < deadline, "waited too long: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Returns `length` bytes that repeat late and at an odd length.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from((index * 31 + index / 251) % 251).unwrap()).collect()
}
