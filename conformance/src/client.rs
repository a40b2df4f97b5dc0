//! A client that does nothing by itself: every byte is the test's.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};

use crate::PATIENCE;
use crate::subject::{PASSWORD, USER};

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code.
    pub code: u16,
    /// All lines without their ends.
    pub lines: Vec<String>,
}

impl Reply {
    /// Returns the last line.
    pub fn text(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }
}

/// A control connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects; the greeting is not read.
    pub fn connect(address: SocketAddr) -> Self {
        Self::from_stream(TcpStream::connect_timeout(&address, PATIENCE).expect("a connection"))
    }

    /// Takes a connection that stands, such as one from another address; the greeting is not read.
    pub fn from_stream(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Connects and reads the greeting, which must be 220.
    pub fn greeted(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        client.expect(220);
        client
    }

    /// Connects, logs in with the account, sets TYPE I.
    pub fn logged_in(address: SocketAddr) -> Self {
        let mut client = Self::greeted(address);
        client.login(USER, PASSWORD);
        client.command("TYPE I", 200);
        client
    }

    /// Logs in.
    pub fn login(&mut self, user: &str, password: &str) {
        self.command(format!("USER {user}"), 331);
        self.command(format!("PASS {password}"), 230);
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("bytes sent");
    }

    /// Returns the socket, for urgent data and half-closing.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends a line and returns the reply.
    pub fn say(&mut self, line: impl AsRef<[u8]>) -> Reply {
        self.send(&[line.as_ref(), b"\r\n"].concat());
        self.reply()
    }

    /// Sends a line and returns the reply, which must have `code`.
    pub fn command(&mut self, line: impl AsRef<[u8]>, code: u16) -> Reply {
        let reply = self.say(&line);
        assert_eq!(reply.code, code, "{} was answered {reply:?}", line.as_ref().escape_ascii());
        reply
    }

    /// Reads a reply, which must have `code`.
    pub fn expect(&mut self, code: u16) -> Reply {
        let reply = self.reply();
        assert_eq!(reply.code, code, "got {reply:?}");
        reply
    }

    /// Reads one whole reply; the test fails after `PATIENCE`, on EOF and on bytes that are no reply.
    pub fn reply(&mut self) -> Reply {
        let first = self.line().expect("a reply, not the end of the connection");
        let code: u16 = first
            .get(..3)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no reply: {first:?}"));
        let mut lines = vec![first];
        if lines[0].as_bytes().get(3) == Some(&b'-') {
            let end = format!("{code} ");
            while !lines.last().unwrap().starts_with(&end) {
                lines.push(self.line().expect("the last line of the reply"));
            }
        }
        Reply { code, lines }
    }

    /// Reads a line without its end; `None` on EOF. A reset fails the test.
    pub fn line(&mut self) -> Option<String> {
        self.try_line().unwrap_or_else(|error| panic!("reading a line: {error}"))
    }

    /// Reads a line without its end; `None` on EOF.
    pub fn try_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = line
                    .strip_suffix(b"\r\n")
                    .unwrap_or_else(|| panic!("a line must end with CRLF: {line:?}"));
                return Ok(Some(line.iter().map(|byte| char::from(*byte)).collect()));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => return Ok(None),
                count => self.buffer.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Reads to the end of the connection, which must come without a reset and without another byte.
    pub fn expect_eof(&mut self) {
        assert_eq!(self.line(), None);
        assert!(self.buffer.is_empty());
    }

    /// Opens a data connection with EPSV.
    pub fn passive(&mut self) -> TcpStream {
        let address = self.passive_address();
        let data = TcpStream::connect_timeout(&address, PATIENCE).expect("a data connection");
        data.set_read_timeout(Some(PATIENCE)).unwrap();
        data.set_write_timeout(Some(PATIENCE)).unwrap();
        data
    }

    /// Asks for a passive port with EPSV and returns where it is.
    pub fn passive_address(&mut self) -> SocketAddr {
        let reply = self.command("EPSV", 229);
        let port = reply.text().split('|').nth(3).and_then(|port| port.parse().ok()).expect("a port in 229");
        SocketAddr::new(self.server(), port)
    }

    fn server(&self) -> IpAddr {
        self.stream.peer_addr().unwrap().ip()
    }

    /// Downloads by `command` (RETR, LIST ...), which must work.
    pub fn download(&mut self, command: &str) -> Vec<u8> {
        let mut data = self.passive();
        self.command(command, 150);
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).expect("the data");
        drop(data);
        self.expect(226);
        bytes
    }

    /// Uploads by `command` (STOR, APPE ...), which must work.
    pub fn upload(&mut self, command: &str, bytes: &[u8]) -> Reply {
        let mut data = self.passive();
        let first = self.command(command, 150);
        data.write_all(bytes).expect("the data sent");
        data.shutdown(Shutdown::Write).unwrap();
        drop(data);
        self.expect(226);
        first
    }
}
