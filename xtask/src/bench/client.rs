//! The load generator: a control connection with EPSV, and data connections that cost the client as little as can be, because
//! otherwise the client is what is measured. Downloads are discarded in the kernel, uploads come out of a file by sendfile.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;
use rustix::net::RecvFlags;

/// The longest wait for a reply, for a connection, or for a byte.
const STALL: Duration = Duration::from_secs(30);
/// The longest transfer.
const TRANSFER: Duration = Duration::from_mins(5);
/// The longest reply, in bytes.
const REPLY_BYTES_MAX: u64 = 16 * 1024;
/// The most one call moves. The memory is never touched when the kernel discards.
const CALL_BYTES: usize = 4 * 1024 * 1024;

/// A session of anonymous, TYPE I.
pub(crate) struct Client {
    control: BufReader<TcpStream>,
    peer: SocketAddr,
    nowhere: Vec<u8>,
}

impl Client {
    /// Connects and logs in. Errors: no connection, or a reply that is not what an anonymous login gets.
    pub(crate) fn login(peer: SocketAddr) -> Result<Self> {
        let stream = connect(peer)?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        let mut client = Self { control: BufReader::new(stream), peer, nowhere: vec![0; CALL_BYTES] };
        client.expect("the greeting", 220)?;
        client.ask("USER anonymous", 331)?;
        client.ask("PASS bench@localhost", 230)?;
        client.ask("TYPE I", 200)?;
        Ok(client)
    }

    /// Downloads `bytes` and throws them away; returns the time from EPSV to 226. Errors: also when another number of bytes came.
    pub(super) fn retr(&mut self, path: &str, bytes: u64) -> Result<Duration> {
        let started = Instant::now();
        let data = self.open()?;
        self.ask(&format!("RETR {path}"), 150)?;
        let received = self.discard(&data, started + TRANSFER)?;
        self.expect("the end of RETR", 226)?;
        let took = started.elapsed();
        ensure!(received == bytes, "226 after {received} of {bytes} bytes came");
        Ok(took)
    }

    /// Uploads the first `bytes` of `source`; returns the time from EPSV to 226.
    pub(super) fn stor(&mut self, source: &File, path: &str, bytes: u64) -> Result<Duration> {
        let started = Instant::now();
        let data = self.open()?;
        self.ask(&format!("STOR {path}"), 150)?;
        send(&data, source, bytes, started + TRANSFER)?;
        data.shutdown(Shutdown::Write).context("cannot end the data connection")?;
        self.expect("the end of STOR", 226)?;
        Ok(started.elapsed())
    }

    /// Says NOOP and returns how long the reply took.
    pub(crate) fn noop(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.ask("NOOP", 200)?;
        Ok(started.elapsed())
    }

    /// Says QUIT and waits until the server has closed the connection.
    pub(super) fn quit(mut self) -> Result<()> {
        self.ask("QUIT", 221)?;
        let mut rest = Vec::new();
        self.control.take(REPLY_BYTES_MAX).read_to_end(&mut rest).context("after QUIT")?;
        Ok(())
    }

    /// Opens a data connection by EPSV (RFC 2428).
    fn open(&mut self) -> Result<TcpStream> {
        let reply = self.ask("EPSV", 229)?;
        let port = extended_port(&reply).with_context(|| format!("no port in `{reply}`"))?;
        connect(SocketAddr::new(self.peer.ip(), port))
    }

    fn ask(&mut self, line: &str, code: u16) -> Result<String> {
        let bytes = format!("{line}\r\n");
        self.control.get_mut().write_all(bytes.as_bytes()).with_context(|| format!("cannot send {line}"))?;
        self.expect(line, code)
    }

    /// Reads one reply and returns its last line. Errors: it has another code.
    fn expect(&mut self, what: &str, code: u16) -> Result<String> {
        let mut reply = self.control.by_ref().take(REPLY_BYTES_MAX);
        loop {
            let mut line = String::new();
            reply.read_line(&mut line).with_context(|| format!("no reply to {what}"))?;
            ensure!(line.ends_with('\n'), "no whole reply to {what}");
            let end = line.get(..3).filter(|_| line.get(3..4) == Some(" "));
            let Some(told) = end.and_then(|digits| digits.parse::<u16>().ok()) else { continue };
            ensure!(told == code, "{what}: expected {code}, got: {}", line.trim_end());
            return Ok(line.trim_end().to_owned());
        }
    }

    /// Receives until the end of the stream without copying a byte out of the kernel (tcp(7), `MSG_TRUNC`).
    fn discard(&mut self, data: &TcpStream, deadline: Instant) -> Result<u64> {
        let mut received = 0;
        loop {
            match rustix::net::recv(data, &mut self.nowhere[..], RecvFlags::TRUNC) {
                Ok((_, 0)) => return Ok(received),
                Ok((_, count)) => received += count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => bail!("no byte for {} s after {received}", STALL.as_secs()),
                Err(error) => return Err(error).context("cannot receive"),
            }
            ensure!(Instant::now() < deadline, "the transfer took over {} s", TRANSFER.as_secs());
        }
    }
}

fn connect(peer: SocketAddr) -> Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&peer, STALL).with_context(|| format!("cannot connect to {peer}"))?;
    stream.set_read_timeout(Some(STALL)).context("cannot set a limit")?;
    stream.set_write_timeout(Some(STALL)).context("cannot set a limit")?;
    Ok(stream)
}

fn send(data: &TcpStream, source: &File, bytes: u64, deadline: Instant) -> Result<()> {
    let mut at = 0;
    while at < bytes {
        let wanted = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(CALL_BYTES);
        match rustix::fs::sendfile(data, source, Some(&mut at), wanted) {
            Ok(0) => bail!("the file to upload ended after {at} bytes"),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => bail!("no byte taken for {} s after {at}", STALL.as_secs()),
            Err(error) => return Err(error).with_context(|| format!("cannot send after {at} bytes")),
        }
        ensure!(Instant::now() < deadline, "the transfer took over {} s", TRANSFER.as_secs());
    }
    Ok(())
}

/// Returns the port of `229 text (|||port|)`, whatever the delimiter is.
fn extended_port(reply: &str) -> Option<u16> {
    let inside = reply.rsplit_once('(')?.1.split_once(')')?.0;
    let delimiter = inside.chars().next()?;
    let mut parts = inside.split(delimiter);
    let port = parts.nth(3)?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_port_of_a_229_is_read() {
        assert_eq!(extended_port("229 Entering Extended Passive Mode (|||50000|)"), Some(50000));
        assert_eq!(extended_port("229 fine (!!!1!)."), Some(1));
        assert_eq!(extended_port("229 no port"), None);
        assert_eq!(extended_port("229 (|||70000|)"), None);
    }

    /// What is sent by sendfile and what is discarded in the kernel are counted to the byte.
    #[test]
    fn every_byte_is_counted() {
        const BYTES: u64 = 3_000_001;
        let source = tempfile::tempfile().unwrap();
        source.set_len(BYTES).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let deadline = Instant::now() + STALL;
        let sender = std::thread::spawn(move || {
            let data = listener.accept().unwrap().0;
            send(&data, &source, BYTES, deadline).unwrap();
        });
        let data = connect(peer).unwrap();
        let control = BufReader::new(data.try_clone().unwrap());
        let mut client = Client { control, peer, nowhere: vec![0; CALL_BYTES] };
        assert_eq!(client.discard(&data, deadline).unwrap(), BYTES);
        assert!(client.nowhere.iter().all(|byte| *byte == 0));
        sender.join().unwrap();
    }
}
