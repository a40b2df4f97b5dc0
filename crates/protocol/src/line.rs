//! Lines of the control connection: bytes in, lines out, whatever way the network cut them (RFC 959 §3.1.1.5.2,
//! RFC 1123 §4.1.2.12; PROTOCOL §3.3 and §3.10).
//!
//! Telnet sequences are taken out when bytes arrive: they cost no memory and are part of no line. Lines are cut at LF;
//! a CR right before it belongs to the end, any other CR to the line.

mod telnet;

use alloc::vec::Vec;
use core::ops::Range;

use telnet::Telnet;

/// The most bytes a reader keeps, over all lines that wait in it.
pub const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// The highest limit [`LineReader::set_limit`] takes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// This many bytes without a line end are no FTP (DESIGN §6.5).
pub const ENDLESS_BYTES: usize = 64 * 1024;

/// What is kept of an unfinished line: enough to know it is longer than any limit, with or without a CR at its end.
const KEPT_BYTES_MAX: usize = LINE_BYTES_MAX + 2;
/// The first allocation, and the most that an empty reader goes on holding.
const IDLE_BYTES_MAX: usize = 1024;
const LIMIT_BEFORE_LOGIN: usize = 4096;

/// How a TLS record with a handshake begins. As the first byte of all it comes from a client that expects implicit TLS, which
/// would wait for ever for an answer to no line.
const TLS_HANDSHAKE: u8 = 0x16;

const CR: u8 = b'\r';
const LF: u8 = b'\n';

/// What the control connection brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A line without its end, perhaps empty.
    Line(&'a [u8]),
    /// A line longer than the limit ended; its bytes are gone. Said once a line.
    TooLong,
    /// 64 KiB came without a line end, or the first byte of all was that of a TLS handshake. Said once and last: what follows
    /// is thrown away.
    Endless,
}

/// A command that must not wait behind others while a transfer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgent {
    /// `ABOR`.
    Abort,
    /// `STAT` without an argument.
    Status,
}

impl Urgent {
    /// Returns what `line` asks for, in any case, blanks behind it allowed; `None` for every other line.
    fn of(line: &[u8]) -> Option<Self> {
        match line.trim_ascii_end() {
            verb if verb.eq_ignore_ascii_case(b"ABOR") => Some(Self::Abort),
            verb if verb.eq_ignore_ascii_case(b"STAT") => Some(Self::Status),
            _ => None,
        }
    }
}

/// Cuts the bytes of a control connection into lines. Holds at most 64 KiB, nothing before the first byte, and gives
/// memory back when it runs empty.
#[derive(Debug, Default)]
pub struct LineReader {
    /// Telnet-free bytes. Those before `start` are consumed; then come `lines` whole lines, each with its LF; then the
    /// first [`KEPT_BYTES_MAX`] bytes of the line that has not ended yet.
    buffer: Vec<u8>,
    start: usize,
    lines: usize,
    /// How many bytes of the unfinished line came, kept or not.
    unfinished_bytes: usize,
    /// Where `take_urgent` goes on, always the start of a line: there is nothing urgent before.
    urgent_scanned: usize,
    limit: Limit,
    telnet: Telnet,
    endless: Endless,
    /// Whether a byte ever came.
    started: bool,
}

#[derive(Debug)]
struct Limit(usize);

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT_BEFORE_LOGIN)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Endless {
    #[default]
    No,
    Due,
    Said,
}

impl LineReader {
    /// Returns an empty reader for lines of up to 4 KiB, the limit before login. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a line may be, in bytes without its end; at most [`LINE_BYTES_MAX`]. Holds for every line taken from
    /// now on, those that already arrived included.
    pub fn set_limit(&mut self, bytes_max: usize) {
        self.limit = Limit(bytes_max.min(LINE_BYTES_MAX));
    }

    /// Takes bytes as the network brought them and returns how many: up to [`room`](Self::room) all of them. What it
    /// does not take for want of room must be given again, after lines were taken out.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if !self.started && bytes.first() == Some(&TLS_HANDSHAKE) {
            self.endless = Endless::Due;
        }
        self.started |= !bytes.is_empty();
        self.make_space(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() && self.endless == Endless::No {
            let mut telnet = self.telnet;
            let (text, behind) = telnet.step(rest);
            let stored = self.store(text);
            if stored < text.len() {
                // A run of plain text is taken in part; of everything else nothing is, and the state stays.
                rest = rest.get(stored..).unwrap_or_default();
                return bytes.len() - rest.len();
            }
            self.telnet = telnet;
            rest = behind;
        }
        bytes.len()
    }

    /// Returns how many bytes [`push`](Self::push) takes for certain; at 0 the shell must stop reading. Never 0 while no
    /// whole line waits.
    pub fn room(&self) -> usize {
        // An IAC that waits for its second byte may still turn out to be a byte of a name.
        self.space().saturating_sub(usize::from(self.telnet == Telnet::Command))
    }

    /// Returns whether nothing waits, not even a part of a line.
    pub fn is_empty(&self) -> bool {
        self.held_bytes() == 0
    }

    /// Takes out the next line, in order; `None` until more bytes come.
    #[expect(clippy::should_implement_trait, reason = "lends from its buffer, which an Iterator cannot")]
    pub fn next(&mut self) -> Option<Input<'_>> {
        if self.lines == 0 {
            return self.at_end();
        }
        let from = self.start;
        let length = self.line_bytes(from);
        self.start += length;
        self.lines -= 1;
        self.debug_check();
        let line = without_end(self.buffer.get(from..from + length).unwrap_or_default());
        Some(if line.len() > self.limit.0 { Input::TooLong } else { Input::Line(line) })
    }

    /// Takes the first `ABOR` or bare `STAT` out of the whole lines that wait, past all others. Looks at every byte once
    /// however often it is called.
    pub fn take_urgent(&mut self) -> Option<Urgent> {
        let end = self.buffer.len() - self.unfinished_kept();
        let mut from = self.urgent_scanned.max(self.start);
        let mut found = None;
        while from < end && found.is_none() {
            let line = from..from + self.line_bytes(from);
            let text = without_end(self.buffer.get(line.clone()).unwrap_or_default());
            found = if text.len() > self.limit.0 { None } else { Urgent::of(text) };
            from = if found.is_some() { self.remove_line(line) } else { line.end };
        }
        self.urgent_scanned = from;
        self.debug_check();
        found
    }

    fn held_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn unfinished_kept(&self) -> usize {
        self.unfinished_bytes.min(KEPT_BYTES_MAX)
    }

    fn space(&self) -> usize {
        BUFFER_BYTES_MAX - self.held_bytes()
    }

    /// Returns the length of the line that starts at `from`, its LF included.
    fn line_bytes(&self, from: usize) -> usize {
        let rest = self.buffer.get(from..).unwrap_or_default();
        rest.iter().position(|byte| *byte == LF).map_or(rest.len(), |at| at + 1)
    }

    /// Says what is left to say without a whole line, and gives back memory that nothing needs.
    fn at_end(&mut self) -> Option<Input<'static>> {
        let is_due = self.endless == Endless::Due;
        if is_due {
            self.endless = Endless::Said;
            self.unfinished_bytes = 0;
            self.start = self.buffer.len();
        }
        if self.is_empty() {
            self.start = 0;
            self.urgent_scanned = 0;
            self.buffer.clear();
            self.buffer.shrink_to(IDLE_BYTES_MAX);
        }
        is_due.then_some(Input::Endless)
    }

    /// Moves what is held to the front when that is cheap or needed, and makes the buffer big enough, never above
    /// [`BUFFER_BYTES_MAX`].
    fn make_space(&mut self, incoming: usize) {
        let incoming = incoming.saturating_add(1).min(BUFFER_BYTES_MAX);
        if self.start >= self.held_bytes() || self.buffer.len() + incoming > BUFFER_BYTES_MAX {
            self.buffer.drain(..self.start);
            self.urgent_scanned = self.urgent_scanned.saturating_sub(self.start);
            self.start = 0;
        }
        let needed =
            (self.buffer.len() + incoming).next_power_of_two().clamp(IDLE_BYTES_MAX, BUFFER_BYTES_MAX);
        if needed > self.buffer.capacity() {
            self.buffer.reserve_exact(needed - self.buffer.len());
        }
    }

    /// Adds Telnet-free bytes and returns how many there was room for.
    fn store(&mut self, text: &[u8]) -> usize {
        let mut stored = 0;
        for piece in text.split_inclusive(|byte| *byte == LF) {
            let line = piece.strip_suffix(&[LF]).unwrap_or(piece);
            let kept_before = self.unfinished_kept();
            let kept = line.get(..KEPT_BYTES_MAX - kept_before).unwrap_or(line);
            let fitting = kept.get(..self.space()).unwrap_or(kept);
            self.buffer.extend_from_slice(fitting);
            if fitting.len() < kept.len() {
                self.unfinished_bytes += fitting.len();
                return stored + fitting.len();
            }
            self.unfinished_bytes += line.len();
            stored += line.len();
            if self.unfinished_bytes >= ENDLESS_BYTES {
                self.endless = Endless::Due;
                return text.len();
            }
            if line.len() < piece.len() {
                if self.space() == 0 {
                    return stored;
                }
                self.buffer.push(LF);
                self.unfinished_bytes = 0;
                self.lines += 1;
                stored += 1;
            }
        }
        self.debug_check();
        stored
    }

    /// Takes a line out of the middle, by moving the shorter side; returns where the next line starts now.
    fn remove_line(&mut self, line: Range<usize>) -> usize {
        self.lines -= 1;
        let length = line.len();
        if line.start - self.start <= self.buffer.len() - line.end {
            self.buffer.copy_within(self.start..line.start, self.start + length);
            self.start += length;
            line.end
        } else {
            self.buffer.drain(line.clone());
            line.start
        }
    }

    fn debug_check(&self) {
        debug_assert!(self.start <= self.buffer.len() && self.held_bytes() <= BUFFER_BYTES_MAX, "bounds");
        debug_assert!(self.unfinished_kept() <= self.held_bytes(), "the unfinished line is held");
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(&[LF]).unwrap_or(line);
    line.strip_suffix(&[CR]).unwrap_or(line)
}

#[cfg(test)]
mod tests;
