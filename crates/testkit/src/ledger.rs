//! Compares what a server says with what it was asked: one final reply a command, in order, well-formed.

use std::collections::VecDeque;
use std::mem;

use tidegate_types::Moment;

/// One whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code.
    pub code: u16,
    /// Its lines, without their ends.
    pub lines: Vec<Vec<u8>>,
}

impl Reply {
    /// Returns the text of the first line.
    pub fn text(&self) -> String {
        self.lines
            .first()
            .map(|line| String::from_utf8_lossy(line.get(4..).unwrap_or_default()).into_owned())
            .unwrap_or_default()
    }

    /// Returns whether it ends its command.
    pub const fn is_final(&self) -> bool {
        self.code >= 200
    }
}

/// What a server was told and has not answered.
#[derive(Debug)]
struct Waiting {
    line: Said,
    begun: bool,
    since: Moment,
}

enum Said {
    Line(Vec<u8>),
    /// A line that only ends in 500.
    Refused,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "{}", line.escape_ascii()),
            Self::Refused => f.write_str("a line too long"),
        }
    }
}

/// The books of one control connection. Every broken promise is a panic.
#[derive(Debug, Default)]
pub struct Ledger {
    waiting: VecDeque<Waiting>,
    unfinished: Option<Reply>,
    greeted: bool,
    over: bool,
    unread: Vec<Reply>,
    finals: usize,
    /// Replies to bare STATs that overtook others: which of those that wait they answer shows only later.
    overtook: usize,
}

impl Ledger {
    /// Notes that the server was told `line` at `now`.
    pub fn said(&mut self, line: &[u8], now: Moment) {
        self.waiting.push_back(Waiting { line: Said::Line(line.to_vec()), begun: false, since: now });
    }

    /// Notes a line that is too long or never ends: only 500 answers it.
    pub fn said_too_much(&mut self, now: Moment) {
        self.waiting.push_back(Waiting { line: Said::Refused, begun: false, since: now });
    }

    /// Takes what the server wrote.
    pub fn heard(&mut self, wire: &[u8], now: Moment) {
        let mut rest = wire;
        while !rest.is_empty() {
            let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap_or_else(|| {
                panic!("no line end in {}", rest.escape_ascii());
            });
            let line = &rest[..end];
            rest = &rest[end + 2..];
            assert!(!line.iter().any(u8::is_ascii_control), "a control byte in {}", line.escape_ascii());
            self.line(line, now);
        }
        assert!(self.unfinished.is_none(), "half a reply: {:?}", self.unfinished);
    }

    fn line(&mut self, line: &[u8], now: Moment) {
        if let Some(mut reply) = self.unfinished.take() {
            reply.lines.push(line.to_vec());
            let last = line.len() >= 4 && line[..3] == *reply.code.to_string().as_bytes() && line[3] == b' ';
            assert!(
                last || line.starts_with(b" "),
                "a middle line could end the reply: {}",
                line.escape_ascii()
            );
            if last {
                self.reply(reply, now);
            } else {
                self.unfinished = Some(reply);
            }
            return;
        }
        assert!(line.len() >= 5, "a reply without text: {}", line.escape_ascii());
        assert!(line[..3].iter().all(u8::is_ascii_digit), "no code: {}", line.escape_ascii());
        let code = line[..3].iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        assert!((100..600).contains(&code), "{}", line.escape_ascii());
        let reply = Reply { code, lines: vec![line.to_vec()] };
        match line[3] {
            b' ' => self.reply(reply, now),
            b'-' => self.unfinished = Some(reply),
            _ => panic!("neither blank nor hyphen after the code: {}", line.escape_ascii()),
        }
    }

    fn reply(&mut self, reply: Reply, now: Moment) {
        assert!(!self.over, "said after the last line: {reply:?}");
        let code = reply.code;
        if code == 421 {
            let begun = self.waiting.front().is_some_and(|front| front.begun);
            assert!(!begun, "421 while a transfer has no final reply: {:?}", self.waiting);
            assert!(reply.text().contains("[cause="), "{reply:?}");
            self.over = true;
        } else if !self.greeted {
            assert_eq!(code, 220, "the greeting");
            self.greeted = true;
        } else if code < 200 {
            self.skip_answered();
            let front = self.waiting.front_mut().unwrap_or_else(|| panic!("{reply:?} to nothing"));
            assert!(!front.begun, "a second 1yz: {reply:?}");
            assert!(
                front.verb().is_some_and(|verb| TRANSFERS.contains(&verb.as_str())),
                "{reply:?} to {front:?}"
            );
            front.begun = true;
        } else {
            self.settle(&reply, now);
        }
        self.unread.push(reply);
    }

    /// Finds the command that a final reply ends. It is the first that waits, save for STAT during a transfer and ABORs
    /// that were counted together.
    fn settle(&mut self, reply: &Reply, now: Moment) {
        let text = reply.text();
        let is_status = reply.code == 211 && text.starts_with("Status:");
        if is_status && !self.waiting.front().is_some_and(Waiting::is_bare_stat) {
            let bare = self.waiting.iter().filter(|waiting| waiting.is_bare_stat()).count();
            assert!(bare > self.overtook, "{reply:?} to nothing that waits: {:?}", self.waiting);
            self.overtook += 1;
            self.finals += 1;
            return;
        }
        if !is_status {
            self.skip_answered();
        }
        let is_abort = matches!(text.as_str(), "Abort successful." | "Nothing to abort.");
        let is_abor = |waiting: &Waiting| waiting.verb().as_deref() == Some("ABOR");
        let index = if is_abort && !self.waiting.front().is_some_and(is_abor) {
            self.waiting.iter().position(is_abor)
        } else {
            Some(0)
        };
        let waiting = index.and_then(|index| self.waiting.remove(index));
        let Some(waiting) = waiting else { panic!("{reply:?} to nothing that waits: {:?}", self.waiting) };
        let code = reply.code;
        match (&waiting.line, waiting.verb()) {
            (Said::Line(_), Some(verb)) => {
                assert!(is_plausible(&verb, code), "{code} {text} to {waiting:?}; then {:?}", self.waiting);
                let moved = [226, 426].contains(&code) && TRANSFERS.contains(&verb.as_str());
                assert!(waiting.begun || !moved, "{code} without 150 to {waiting:?}");
            }
            _ => assert_eq!(code, 500, "{waiting:?}"),
        }
        if let Some(front) = self.waiting.front_mut() {
            front.since = now;
        }
        self.finals += 1;
        if code == 221 {
            self.over = true;
        }
    }

    /// Drops STATs at the front that were answered before their turn.
    fn skip_answered(&mut self) {
        while self.overtook > 0 && self.waiting.front().is_some_and(Waiting::is_bare_stat) {
            self.waiting.pop_front();
            self.overtook -= 1;
        }
    }

    /// Returns the first line that waits, `None` when nothing does.
    pub fn front(&self) -> Option<&[u8]> {
        if self.is_settled() {
            return None;
        }
        match &self.waiting.front()?.line {
            Said::Line(line) => Some(line),
            Said::Refused => None,
        }
    }

    /// Returns whether nothing waits for a reply.
    pub fn is_settled(&self) -> bool {
        self.waiting() == 0
    }

    /// Returns how many commands wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len().saturating_sub(self.overtook)
    }

    /// Returns since when the first command waits with nothing before it.
    pub fn waits_since(&self) -> Option<Moment> {
        self.waiting.front().filter(|_| !self.is_settled()).map(|front| front.since)
    }

    /// Returns how many final replies there were.
    pub const fn finals(&self) -> usize {
        self.finals
    }

    /// Returns whether the last line was said (421 or 221).
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Takes out the replies since the last time.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        mem::take(&mut self.unread)
    }
}

impl Waiting {
    /// Returns whether this is STAT without a path: only that may be answered before its turn.
    fn is_bare_stat(&self) -> bool {
        matches!(&self.line, Said::Line(line) if line.trim_ascii_end().eq_ignore_ascii_case(b"STAT"))
    }

    fn verb(&self) -> Option<String> {
        match &self.line {
            Said::Line(line) => {
                let verb = line.split(|byte| *byte == b' ').next().unwrap_or_default();
                let verb = if line.trim_ascii_end().eq_ignore_ascii_case(b"STAT") { b"STAT" } else { verb };
                Some(String::from_utf8_lossy(verb).to_ascii_uppercase())
            }
            Said::Refused => None,
        }
    }
}

/// The commands that have a 150.
const TRANSFERS: [&str; 7] = ["RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"];

/// Which codes of success each verb has; every other 2yz or 3yz belongs to another command.
const SUCCESS: &[(&[&str], &[u16])] = &[
    (&["USER"], &[331]),
    (&["PASS"], &[230]),
    (&["REIN"], &[220]),
    (&["QUIT"], &[221]),
    (&["CWD", "XCWD", "CDUP", "XCUP", "RNTO", "DELE", "RMD", "XRMD", "RMDA", "MLST", "COMB"], &[250]),
    (&["XCRC", "XMD5", "XSHA", "XSHA1", "XSHA256", "XSHA512"], &[250]),
    (&["MD5"], &[251]),
    (&["TYPE", "MODE", "STRU", "PORT", "EPRT", "OPTS", "NOOP"], &[200]),
    (&["CLNT", "CSID", "LANG"], &[200]),
    (&["HOST"], &[220]),
    // SITE CPFR, CPTO, MKDIR and RMDIR answer as the commands they stand for.
    (&["SITE"], &[200, 214, 250, 257, 350]),
    (&["PASV"], &[227]),
    (&["EPSV"], &[229, 200]),
    (&TRANSFERS, &[226]),
    (&["REST", "RANG", "RNFR"], &[350]),
    (&["ALLO"], &[202]),
    (&["ABOR"], &[225, 226]),
    (&["MKD", "XMKD", "PWD", "XPWD"], &[257]),
    (&["SIZE", "MDTM", "MFMT", "MFF", "HASH", "AVBL"], &[213]),
    (&["STAT"], &[211, 212, 213]),
    (&["SYST"], &[215]),
    (&["FEAT"], &[211]),
    (&["HELP"], &[214]),
];

/// Returns whether `code` can be a final reply to `verb` (upper case): a success of its own, or any failure but 421.
pub fn is_plausible(verb: &str, code: u16) -> bool {
    if (400..600).contains(&code) {
        return code != 421;
    }
    SUCCESS.iter().any(|(verbs, codes)| verbs.contains(&verb) && codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::ZERO;

    fn ledger(lines: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.heard(b"220 ready\r\n", NOW);
        for line in lines {
            ledger.said(line.as_bytes(), NOW);
        }
        ledger
    }

    #[test]
    fn a_good_dialogue_settles() {
        let mut ledger = ledger(&["USER a", "PASS b", "RETR x", "NOOP", "STAT", "ABOR", "QUIT"]);
        ledger.heard(b"331 p\r\n230 in\r\n150 go\r\n211-Status:\r\n x\r\n211 End\r\n", NOW);
        ledger.heard(b"426 cut\r\n200 OK\r\n226 Abort successful.\r\n221 bye\r\n", NOW);
        assert!(ledger.is_settled() && ledger.is_over());
        assert_eq!(ledger.finals(), 7);
    }

    fn panics(lines: &[&str], wire: &[u8]) {
        let mut ledger = ledger(lines);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ledger.heard(wire, NOW)));
        assert!(result.is_err(), "{}", wire.escape_ascii());
    }

    #[test]
    fn broken_promises_are_seen() {
        panics(&[], b"200 OK\r\n");
        panics(&["NOOP"], b"200 OK\r\n200 OK\r\n");
        panics(&["PWD", "NOOP"], b"200 OK\r\n");
        panics(&["RETR x"], b"226 done\r\n");
        panics(&["RETR x"], b"150 go\r\n150 go\r\n");
        panics(&["NOOP"], b"150 go\r\n");
        panics(&["RETR x"], b"150 go\r\n421 bye [cause=idle]\r\n");
        panics(&["QUIT", "NOOP"], b"221 bye\r\n200 OK\r\n");
        panics(&["FEAT"], b"211-Features:\r\n211 fake\r\n211 End\r\n");
        panics(&["FEAT"], b"211-Features:\r\nEPSV\r\n211 End\r\n");
        panics(&["PWD"], b"257 \"a\rb\"\r\n");
        panics(&["PWD"], b"257 \"a\"\n");
        panics(&["PWD"], b"257\r\n");
    }
}
