//! What a hostile peer does with its sockets.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;

/// How a peer closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order.
    Fin,
    /// With a reset: what is under way is lost.
    Reset,
}

impl End {
    /// Closes `stream` this way.
    pub(crate) fn close(self, stream: TcpStream) {
        if self == Self::Reset {
            reset_on_close(&stream);
        }
        drop(stream);
    }

    /// Closes the control connection of `client` this way.
    pub(crate) fn close_client(self, client: Client) {
        if self == Self::Reset {
            reset_on_close(client.stream());
        }
        drop(client);
    }
}

fn reset_on_close(stream: &TcpStream) {
    sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}

/// Connects from `source`, one of the addresses of the loopback.
pub(crate) fn connect_from(source: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((source, 0)))?;
    rustix::net::connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Returns the first line that `stream` brings, without its end; nothing more is read.
pub(crate) fn first_line(mut stream: &TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
}

/// Sends `bytes` and meanwhile reads `count` one-line replies, whose codes it returns in order: much faster than line by line.
pub(crate) fn flood(client: &Client, bytes: &[u8], count: usize) -> Vec<u16> {
    let mut writer = client.stream();
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(bytes).expect("all bytes sent"));
        read_codes(client.stream(), count)
    })
}

/// Reads `count` one-line replies and returns their codes in order. No byte may have been read ahead.
pub(crate) fn read_codes(stream: &TcpStream, count: usize) -> Vec<u16> {
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    let mut line = Vec::new();
    let mut codes = Vec::with_capacity(count);
    while codes.len() < count {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).expect("another reply");
        assert!(length > 0, "the connection ended after {} of {count} replies", codes.len());
        assert!(line.ends_with(b"\r\n") && line[3] == b' ', "no reply of one line: {}", line.escape_ascii());
        codes.push(str::from_utf8(&line[..3]).unwrap().parse().unwrap());
    }
    assert!(reader.buffer().is_empty(), "more than {count} replies: {}", reader.buffer().escape_ascii());
    codes
}

/// Sends `bytes` again and again until the server has taken nothing for half a second; returns how many it took.
pub(crate) fn stuff(client: &Client, bytes: &[u8]) -> usize {
    let mut stream = client.stream();
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut taken = 0;
    loop {
        match stream.write(bytes) {
            Ok(count) => taken += count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("the server must not break it off: {error}"),
        }
    }
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    taken
}
