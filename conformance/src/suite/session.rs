//! A control connection that judges: every read is bounded, every line of a reply must be well formed (RFC 959 §4.2).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::check::{Failure, Outcome, Stop};
pub use crate::client::Reply;

/// How long a reply may take. Servers that punish wrong passwords take several seconds.
const WAIT: Duration = Duration::from_secs(8);
/// How many lines of the dialogue a failure shows, and how much of each.
const SHOWN_LINES: usize = 8;
const SHOWN_BYTES: usize = 160;
/// More than any honest reply.
const LINE_MAX: usize = 64 << 10;

/// What came within a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A whole reply.
    Reply(Reply),
    /// Nothing.
    Silence,
    /// The end of the connection, or a reset.
    Closed,
}

impl Answer {
    /// Returns the code; 0 without a reply.
    pub fn code(&self) -> u16 {
        if let Self::Reply(reply) = self { reply.code } else { 0 }
    }
}

enum Line {
    Text(String),
    Silence,
    Closed,
}

/// A control connection with a memory of what was said.
#[derive(Debug)]
pub struct Session {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
    dialogue: Vec<String>,
}

impl Session {
    /// Connects; the greeting is not read.
    pub(super) fn connect(address: SocketAddr) -> Result<Self, Stop> {
        let stream = TcpStream::connect_timeout(&address, WAIT).map_err(|error| {
            Stop::Fail(Failure { what: format!("no connection to {address}: {error}"), dialogue: vec![] })
        })?;
        // Both fail only on a duration of zero.
        let _ = stream.set_write_timeout(Some(WAIT));
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, buffer: Vec::new(), dialogue: Vec::new() })
    }

    /// Returns the socket, for urgent data and for its addresses.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Adds a line to the dialogue.
    pub(super) fn note(&mut self, who: &str, bytes: &[u8]) {
        let mut shown = bytes.trim_ascii_end().escape_ascii().to_string();
        if shown.len() > SHOWN_BYTES {
            shown.truncate(SHOWN_BYTES);
            shown.push_str(" …");
        }
        self.dialogue.push(format!("{who} {shown}"));
    }

    /// Returns a failure with the end of the dialogue.
    pub fn fail(&self, what: impl Into<String>) -> Stop {
        let from = self.dialogue.len().saturating_sub(SHOWN_LINES);
        Stop::Fail(Failure { what: what.into(), dialogue: self.dialogue[from..].to_vec() })
    }

    /// Fails with `what` unless `good`.
    pub fn check(&self, good: bool, what: impl Into<String>) -> Outcome {
        if good { Ok(()) } else { Err(self.fail(what)) }
    }

    /// Sends bytes as they are. Errors: the server no longer takes them.
    pub fn send(&mut self, bytes: &[u8]) -> Outcome {
        self.note("C:", bytes);
        self.stream.write_all(bytes).map_err(|error| self.fail(format!("sending failed: {error}")))
    }

    /// Reads one whole reply. Errors: silence, the end of the connection, or bytes that are no reply.
    pub fn reply(&mut self) -> Result<Reply, Stop> {
        match self.reply_within(WAIT)? {
            Answer::Reply(reply) => Ok(reply),
            Answer::Silence => Err(self.fail(format!("no reply within {} s", WAIT.as_secs()))),
            Answer::Closed => Err(self.fail("the server closed the connection instead of replying")),
        }
    }

    /// Reads what comes within `limit`. Errors: bytes that are no reply, or half a reply.
    pub fn reply_within(&mut self, limit: Duration) -> Result<Answer, Stop> {
        let first = match self.line(limit)? {
            Line::Text(line) => line,
            Line::Silence => return Ok(Answer::Silence),
            Line::Closed => return Ok(Answer::Closed),
        };
        let bytes = first.as_bytes();
        let digits = bytes.len() >= 3 && bytes[..3].iter().all(u8::is_ascii_digit);
        let code: u16 = if digits { first[..3].parse().unwrap_or(0) } else { 0 };
        let separator = bytes.get(3).copied();
        if !(100..600).contains(&code) || !matches!(separator, Some(b' ' | b'-') | None) {
            return Err(
                self.fail("not a reply: three digits and a blank or hyphen must stand first (RFC 959 §4.2)")
            );
        }
        let mut lines = vec![first];
        let end = format!("{code} ");
        while separator == Some(b'-') && (lines.len() == 1 || !lines[lines.len() - 1].starts_with(&end)) {
            match self.line(WAIT)? {
                Line::Text(line) if line == end.trim_end() => {
                    lines.push(end.clone());
                }
                Line::Text(line) => lines.push(line),
                Line::Silence | Line::Closed => {
                    return Err(
                        self.fail(format!("a reply of several lines never came to its last, `{code} …`"))
                    );
                }
            }
        }
        Ok(Answer::Reply(Reply { code, lines }))
    }

    /// Sends a line and returns the reply.
    pub fn say(&mut self, line: impl AsRef<[u8]>) -> Result<Reply, Stop> {
        self.send(&[line.as_ref(), b"\r\n"].concat())?;
        self.reply()
    }

    /// Sends a line; the reply must have one of `codes`.
    pub fn want(&mut self, line: impl AsRef<[u8]>, codes: &[u16]) -> Result<Reply, Stop> {
        let reply = self.say(&line)?;
        self.among(line.as_ref(), &reply, codes)?;
        Ok(reply)
    }

    /// Fails unless `reply` has one of `codes`.
    pub fn among(&self, line: &[u8], reply: &Reply, codes: &[u16]) -> Outcome {
        let words = || {
            let shown = line.escape_ascii().to_string();
            let shown: String = shown.chars().take(60).collect();
            format!("`{shown}` was answered {}, not one of {codes:?}", reply.code)
        };
        if codes.contains(&reply.code) { Ok(()) } else { Err(self.fail(words())) }
    }

    /// Sends a line that must work: 2yz.
    pub fn done(&mut self, line: impl AsRef<[u8]>) -> Result<Reply, Stop> {
        let reply = self.say(&line)?;
        self.check((200..300).contains(&reply.code), format!("{} where 2yz was expected", reply.code))?;
        Ok(reply)
    }

    /// Sends a line that must be refused: 4yz or 5yz, and the connection lives on.
    pub fn refused(&mut self, line: impl AsRef<[u8]>) -> Result<Reply, Stop> {
        let reply = self.say(&line)?;
        let good = (400..600).contains(&reply.code) && reply.code != 421;
        self.check(good, format!("{} where a refusal was expected", reply.code))?;
        Ok(reply)
    }

    /// Sends a line of an optional extension. Errors: not offered, when the answer is 500 or 502 and FEAT does not announce
    /// `label`; a failure, when FEAT does.
    pub fn optional(&mut self, label: &str, line: impl AsRef<[u8]>) -> Result<Reply, Stop> {
        let reply = self.say(&line)?;
        if !matches!(reply.code, 500 | 502) {
            return Ok(reply);
        }
        let announced = self.announces(label)?;
        self.check(!announced, format!("FEAT announces {label}, yet {} is the answer", reply.code))?;
        Err(Stop::NotOffered(format!("{label}: {}", reply.text())))
    }

    /// Returns the lines between the first and the last of FEAT, without their leading blank; none when it has no FEAT.
    pub fn features(&mut self) -> Result<Vec<String>, Stop> {
        let reply = self.say("FEAT")?;
        if reply.code != 211 {
            return Ok(Vec::new());
        }
        let inner = reply.lines.len().saturating_sub(1);
        Ok(reply.lines.iter().take(inner).skip(1).map(|line| line.trim().to_owned()).collect())
    }

    /// Tells whether FEAT has a line that begins with the words of `label`.
    pub fn announces(&mut self, label: &str) -> Result<bool, Stop> {
        let label = label.to_ascii_uppercase();
        Ok(self.features()?.iter().any(|line| {
            let line = line.to_ascii_uppercase();
            line.strip_prefix(&label)
                .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
        }))
    }

    /// Sends NOOP and fails unless its reply is the very next one: nothing was left over, nothing is missing.
    pub fn in_step(&mut self) -> Outcome {
        let reply = self.say("NOOP")?;
        self.check(
            reply.code == 200,
            "the next reply does not belong to NOOP: client and server are out of step",
        )?;
        let more = self.reply_within(Duration::from_millis(60))?;
        self.check(more == Answer::Silence, "one reply too many")
    }

    /// Fails unless the server ends the connection, without another reply, within a few seconds.
    pub fn closed(&mut self) -> Outcome {
        match self.reply_within(WAIT)? {
            Answer::Closed => Ok(()),
            Answer::Silence => Err(self.fail("the connection was not closed")),
            Answer::Reply(_) => Err(self.fail("another reply where the connection had to end")),
        }
    }

    /// Reads a line without its end.
    fn line(&mut self, limit: Duration) -> Result<Line, Stop> {
        let until = Instant::now() + limit;
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                self.note("S:", &line);
                let Some(line) = line.strip_suffix(b"\r\n") else {
                    return Err(self.fail("a line of a reply does not end with CR LF (RFC 959 §4.2)"));
                };
                return Ok(Line::Text(line.iter().map(|byte| char::from(*byte)).collect()));
            }
            if self.buffer.len() > LINE_MAX {
                return Err(self.fail("a reply without a line end"));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Line::Silence);
            }
            let _ = self.stream.set_read_timeout(Some(left));
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(Line::Closed),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    strip_telnet(&mut self.buffer);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Ok(Line::Closed),
            }
        }
    }
}

/// Takes Telnet commands out (a server may refuse an option) and reads IAC IAC as one byte 255.
fn strip_telnet(buffer: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = buffer[at..].iter().position(|byte| *byte == 255) {
        let start = at + found;
        match buffer.get(start + 1) {
            None => return,
            Some(255) => {
                buffer.remove(start);
                at = start + 1;
            }
            Some(251..=254) if buffer.len() < start + 3 => return,
            Some(251..=254) => {
                buffer.drain(start..start + 3);
                at = start;
            }
            // A name in a reply may hold the byte as it is: only what is a Telnet command is taken out.
            Some(240..=250) => {
                buffer.drain(start..start + 2);
                at = start;
            }
            Some(_) => at = start + 1,
        }
    }
}
