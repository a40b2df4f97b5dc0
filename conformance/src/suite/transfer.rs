//! Data connections of a check.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::check::Stop;
use super::session::{Reply, Session};

/// How long a data connection may stand still.
const WAIT: Duration = Duration::from_secs(8);

/// What became of a transfer command.
#[derive(Debug)]
pub struct Attempt {
    /// The 1yz reply; `None` when the command was refused without one.
    pub first: Option<Reply>,
    /// What came over the data connection.
    pub data: Vec<u8>,
    /// The final reply.
    pub last: Reply,
}

impl Attempt {
    /// Tells whether it ended well.
    pub fn succeeded(&self) -> bool {
        self.first.is_some() && matches!(self.last.code, 226 | 250)
    }

    /// Tells whether it ended in 4yz or 5yz and no byte of data came.
    pub fn refused(&self) -> bool {
        (400..600).contains(&self.last.code) && self.data.is_empty()
    }
}

impl Session {
    /// Returns the address of the server.
    pub fn server(&self) -> Result<SocketAddr, Stop> {
        self.stream.peer_addr().map_err(|error| self.fail(format!("no peer: {error}")))
    }

    /// Returns the port in a 227 or 229 reply.
    pub fn port_of(&self, reply: &Reply) -> Result<u16, Stop> {
        let text = reply.text();
        let inside =
            text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
        let port = match reply.code {
            229 => inside.and_then(|inside| inside.split('|').nth(3)?.parse().ok()),
            227 => {
                // Some leave the parentheses out, so the numbers are searched for (RFC 1123 §4.1.2.6).
                let numbers: Vec<u16> = text
                    .get(4..)
                    .unwrap_or("")
                    .split(|letter: char| !letter.is_ascii_digit())
                    .filter_map(|number| number.parse().ok())
                    .collect();
                let six = numbers.len().checked_sub(6).map(|from| &numbers[from..]);
                six.filter(|six| six.iter().all(|number| *number < 256)).map(|six| six[4] * 256 + six[5])
            }
            _ => None,
        };
        port.filter(|port| *port > 0).ok_or_else(|| self.fail("no port in the reply to a passive command"))
    }

    /// Asks for a passive port with EPSV, or PASV where that is not known, and returns where it is.
    pub fn passive_address(&mut self) -> Result<SocketAddr, Stop> {
        let mut reply = self.say("EPSV")?;
        if reply.code != 229 {
            reply = self.want("PASV", &[227])?;
        }
        let port = self.port_of(&reply)?;
        Ok(SocketAddr::new(self.server()?.ip(), port))
    }

    /// Connects to a passive port.
    pub fn connect_data(&mut self, address: SocketAddr) -> Result<TcpStream, Stop> {
        let data = TcpStream::connect_timeout(&address, WAIT)
            .map_err(|error| self.fail(format!("no data connection to {address}: {error}")))?;
        let _ = data.set_read_timeout(Some(WAIT));
        let _ = data.set_write_timeout(Some(WAIT));
        Ok(data)
    }

    /// Opens a passive data connection.
    pub fn passive(&mut self) -> Result<TcpStream, Stop> {
        let address = self.passive_address()?;
        self.connect_data(address)
    }

    /// Listens on an own port, for PORT and EPRT.
    pub fn listen(&self) -> Result<(TcpListener, IpAddr, u16), Stop> {
        let own = self.stream.local_addr().map_err(|error| self.fail(error.to_string()))?.ip();
        let listener = TcpListener::bind((own, 0)).map_err(|error| self.fail(error.to_string()))?;
        let port = listener.local_addr().map_err(|error| self.fail(error.to_string()))?.port();
        Ok((listener, own, port))
    }

    /// Waits for the server to connect to `listener`.
    pub fn accept(&self, listener: &TcpListener) -> Result<TcpStream, Stop> {
        let _ = listener.set_nonblocking(true);
        let until = std::time::Instant::now() + WAIT;
        loop {
            if let Ok((data, _)) = listener.accept() {
                let _ = data.set_nonblocking(false);
                let _ = data.set_read_timeout(Some(WAIT));
                return Ok(data);
            }
            self.check(std::time::Instant::now() < until, "the server did not connect to the client's port")?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Reads a data connection to its end.
    pub fn drain(&mut self, mut data: TcpStream) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes)
            .map_err(|error| self.fail(format!("reading the data failed: {error}")))?;
        self.note("D:", format!("{} bytes received", bytes.len()).as_bytes());
        Ok(bytes)
    }

    /// Sends all of `bytes` and ends the data connection.
    pub fn fill(&mut self, mut data: TcpStream, bytes: &[u8]) -> Result<(), Stop> {
        data.write_all(bytes).map_err(|error| self.fail(format!("sending the data failed: {error}")))?;
        let _ = data.shutdown(Shutdown::Write);
        self.note("D:", format!("{} bytes sent", bytes.len()).as_bytes());
        Ok(())
    }

    /// Tries a transfer: an upload of `bytes`, or a download when there are none.
    pub fn attempt(&mut self, command: impl AsRef<[u8]>, upload: Option<&[u8]>) -> Result<Attempt, Stop> {
        let data = self.passive()?;
        let reply = self.say(command)?;
        if !(100..200).contains(&reply.code) {
            return Ok(Attempt { first: None, data: Vec::new(), last: reply });
        }
        let received = match upload {
            None => self.drain(data)?,
            // The server may end an upload early, and says so in its reply.
            Some(bytes) => self.fill(data, bytes).map(|()| Vec::new()).unwrap_or_default(),
        };
        let last = self.reply()?;
        Ok(Attempt { first: Some(reply), data: received, last })
    }

    /// Downloads by `command` (RETR, LIST …), which must work.
    pub fn get(&mut self, command: impl AsRef<[u8]>) -> Result<Vec<u8>, Stop> {
        let attempt = self.attempt(command, None)?;
        self.check(attempt.succeeded(), format!("a download ended with {}", attempt.last.code))?;
        Ok(attempt.data)
    }

    /// Uploads by `command` (STOR, APPE …), which must work; returns the 1yz reply.
    pub fn put(&mut self, command: impl AsRef<[u8]>, bytes: &[u8]) -> Result<Reply, Stop> {
        let attempt = self.attempt(command, Some(bytes))?;
        self.check(attempt.succeeded(), format!("an upload ended with {}", attempt.last.code))?;
        attempt.first.ok_or_else(|| self.fail("no 1yz reply"))
    }

    /// Downloads a listing and splits it into lines, which must end with CR LF; each byte becomes one letter.
    pub fn lines(&mut self, command: impl AsRef<[u8]>) -> Result<Vec<String>, Stop> {
        let bytes = self.get(command)?;
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        self.check(lines.pop().as_deref() == Some(""), "a listing must end with a line end")?;
        for line in &mut lines {
            let cut = line.strip_suffix('\r').map(str::to_owned);
            *line = cut.ok_or_else(|| self.fail(format!("a line of a listing without CR LF: {line:?}")))?;
        }
        lines.retain(|line| !line.starts_with("total "));
        Ok(lines)
    }

    /// Lists by NLST, without the directory itself and its parent, which some servers name; `practice/listing` looks at those.
    pub fn names(&mut self, command: impl AsRef<[u8]>) -> Result<Vec<String>, Stop> {
        let mut names = self.lines(command)?;
        names.retain(|name| !matches!(name.rsplit('/').next(), Some("." | "..")));
        Ok(names)
    }

    /// As [`Session::lines`], sorted.
    pub fn sorted(&mut self, command: impl AsRef<[u8]>) -> Result<Vec<String>, Stop> {
        let mut lines = self.lines(command)?;
        lines.sort_unstable();
        Ok(lines)
    }
}
