//! Transcripts: each file in `dialogues/` is played against the session machine, and what comes back must be the file.
//!
//! ```text
//! C: a line from the client          C~ bytes from the client, without a line end
//! S: a line from the server          X: the server closed, and why
//! D> what the client sends on the next data connection, then closes
//! D< what came over a data connection
//! T: time passes (5s, 5m, 1h)        ! something happens in the world (see `World::happen`)
//! F: what is in a file (`! show`)    # a comment
//! ```
//! Bytes are escaped as in Rust. `TIDEGATE_BLESS=1` writes what came back into the files: read the difference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_for_each,
    clippy::format_push_string,
    reason = "helpers of tests"
)]

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use tidegate_admission::{AccountKey, Limits, Question};
use tidegate_protocol::command::{Extras, SITE, TABLE};
use tidegate_protocol::reply::{self, Reason};
use tidegate_testkit::{ConnectionId, DataScript, FakeAccount, Holds, Operation, World, WorldOptions};
use tidegate_types::{AccountName, Cause, Rights, StorageErrorKind, Timestamp, UploadStyle, VirtualPath};

/// Reasons that no transcript can bring about: the bound on `-R` is the shell's, and its tests reach it.
const REASONS_UNREACHED: &[Reason] = &[Reason::ListingBounded];

struct Play {
    world: World,
    options: WorldOptions,
    id: Option<ConnectionId>,
    address: IpAddr,
    script: DataScript,
    scripted: bool,
    closed_told: bool,
    out: String,
}

fn play(text: &str) -> String {
    let options = WorldOptions::default();
    let mut play = Play {
        world: World::new(options.clone()),
        options,
        id: None,
        address: "192.0.2.1".parse().unwrap(),
        script: DataScript::default(),
        scripted: false,
        closed_told: false,
        out: String::new(),
    };
    play.world.add_account("tide", FakeAccount::new("tide", "secret", Rights::ALL));
    for line in text.lines() {
        play.line(line);
    }
    play.out
}

impl Play {
    fn line(&mut self, line: &str) {
        let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        if matches!(kind, "S:" | "X:" | "D<" | "F:") {
            return;
        }
        writeln!(self.out, "{line}").unwrap();
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match kind {
            "C:" => self.send(&[unescape(rest), b"\r\n".to_vec()].concat()),
            "C~" => self.send(&unescape(rest)),
            "D>" => {
                self.script.send.extend(unescape(rest));
                self.scripted = true;
            }
            "T:" => self.world.advance(duration(rest)),
            "! " => self.happen(rest),
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => panic!("what is {line:?}?"),
        }
        self.tell();
    }

    fn send(&mut self, bytes: &[u8]) {
        let id = self.id.expect("`! connect` comes first");
        if self.scripted {
            self.scripted = false;
            self.world.script(id, std::mem::take(&mut self.script));
        }
        self.world.send(id, bytes);
    }

    fn happen(&mut self, what: &str) {
        let words: Vec<&str> = what.split(' ').collect();
        match words.as_slice() {
            ["connect"] => self.connect(),
            ["settings", words @ ..] => self.settings(words),
            ["peer", address] => self.address = address.parse().unwrap(),
            ["limits", connections, per_address] => {
                let (connections, per_address) = (connections.parse().unwrap(), per_address.parse().unwrap());
                self.options.limits =
                    Limits { connections_per_address: Some(per_address), ..Limits::new(connections) };
                self.world.gate.relimit(self.options.limits.clone(), self.world.clock.now());
            }
            ["account", name, password, rights, more @ ..] => {
                let rights = rights.split(',').fold(Rights::NONE, |all, word| {
                    all.union(if word == "none" { Rights::NONE } else { Rights::parse(word).unwrap() })
                });
                let mut account = FakeAccount::new(name, password, rights);
                for word in more {
                    Self::account(&mut account, word);
                }
                self.world.add_account(name, account);
            }
            ["anonymous", more @ ..] => {
                let mut account = FakeAccount::anonymous(Rights::READ_ONLY);
                more.iter().for_each(|word| Self::account(&mut account, word));
                self.world.add_account("anonymous", account.clone());
                self.world.add_account("ftp", account);
            }
            ["somebody", "connects", address] => {
                self.world.occupy(&Question::connection(address.parse().unwrap(), 0));
            }
            ["somebody", "uses", name] => {
                let key = match *name {
                    "anonymous" => AccountKey::Anonymous,
                    name => AccountKey::Named(AccountName(name.to_owned())),
                };
                self.world.occupy(&Question::login(key, None, IpAddr::from([192, 0, 2, 1])));
            }
            ["dir", path] => self.world.fs.make_directories(&as_path(path)),
            ["device", path] => self.world.fs.put_device(path),
            ["file", path, content @ ..] => self.world.fs.put(&as_path(path), &unescape(&content.join(" "))),
            ["old", path] => self.world.fs.touch(path, Timestamp { secs: 1_000_000_000, nanos: 0 }),
            ["show", path] => {
                let content = self.world.fs.content(&as_path(path));
                let content = content.map_or_else(|| "no such file".to_owned(), |content| escape(&content));
                writeln!(self.out, "F: {content}").unwrap();
            }
            ["fail", operation, kind] => self.fail(operation, kind),
            ["space", bytes] => self.world.fs.set_space(bytes.parse().ok()),
            ["ports", count] => self.world.ports_free = count.parse().ok(),
            ["logins", state] => self.world.logins_unavailable = *state == "unavailable",
            ["hold", holds @ ..] => {
                let has = |word: &str| holds.contains(&word);
                self.world.hold(Holds { answers: has("answers"), data: has("data"), ends: has("ends") });
            }
            ["data", behaviour @ ..] => self.data(behaviour),
            ["drain", seconds] => self.world.drain(seconds.parse().unwrap()),
            ["drain-expired"] => self.world.drain_expired(),
            ["hang-up"] => self.world.hang_up(self.id.unwrap()),
            _ => panic!("what is `! {what}`?"),
        }
    }

    /// Starts a new world with these settings; everything before is forgotten.
    fn settings(&mut self, words: &[&str]) {
        let settings = &mut self.options.settings;
        for word in words {
            match word.split_once('=') {
                None if *word == "extras" => settings.extras = Extras::ALL,
                None if *word == "mode_z" => settings.mode_z = true,
                Some(("file_bytes_max", bytes)) => settings.file_bytes_max = Some(bytes.parse().unwrap()),
                Some(("umask", mask)) => settings.umask = u32::from_str_radix(mask, 8).unwrap(),
                _ => panic!("what is {word:?} of the settings?"),
            }
        }
        (self.id, self.world) = (None, World::new(self.options.clone()));
        self.world.add_account("tide", FakeAccount::new("tide", "secret", Rights::ALL));
    }

    fn account(account: &mut FakeAccount, word: &str) {
        match word.split_once('=') {
            Some(("max", max)) => account.profile.connections_max = Some(max.parse().unwrap()),
            Some(("home", home)) => {
                account.home = VirtualPath::resolve(&VirtualPath::root(), home.as_bytes()).unwrap();
            }
            None if word == "in-place" => account.profile.upload = UploadStyle::InPlace,
            _ => panic!("what is {word:?} of an account?"),
        }
    }

    fn data(&mut self, behaviour: &[&str]) {
        let script = &mut self.script;
        match behaviour {
            ["never"] => script.opens_after = None,
            ["refused"] => script.refused = true,
            ["stalls", bytes] => script.stalls_at = Some(bytes.parse().unwrap()),
            ["breaks", bytes] => script.breaks_at = Some(bytes.parse().unwrap()),
            ["slow", bytes, pause] => {
                script.chunk = bytes.parse().unwrap();
                script.pause = duration(pause);
            }
            _ => panic!("what is `! data {behaviour:?}`?"),
        }
        self.scripted = true;
    }

    fn fail(&mut self, operation: &str, kind: &str) {
        let operation = Operation::ALL.into_iter().find(|one| format!("{one:?}") == operation);
        let kind = StorageErrorKind::ALL.into_iter().find(|one| format!("{one:?}") == kind);
        self.world.fs.fail_next(operation.expect("an operation"), kind.expect("a kind"));
    }

    fn connect(&mut self) {
        self.closed_told = false;
        match self.world.connect_from(self.address) {
            Ok(id) => self.id = Some(id),
            Err(line) => {
                self.id = None;
                let line = escape(line.strip_suffix(b"\r\n").unwrap());
                writeln!(self.out, "S: {line}\nX: refused").unwrap();
            }
        }
    }

    fn tell(&mut self) {
        let Some(id) = self.id else { return };
        let wire = self.world.take_wire(id);
        for line in wire.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r\n").expect("the ledger has seen to it");
            writeln!(self.out, "S: {}", escape(line)).unwrap();
        }
        for received in self.world.take_received(id) {
            if received.is_empty() {
                writeln!(self.out, "D<").unwrap();
            }
            for line in received.split_inclusive(|byte| *byte == b'\n') {
                writeln!(self.out, "D< {}", escape(line)).unwrap();
            }
        }
        if let Some(reason) = self.world.closed(id)
            && !self.closed_told
        {
            self.closed_told = true;
            writeln!(self.out, "X: {}", reason.as_str()).unwrap();
        }
    }
}

/// In `! file`, a blank in a path is written `_`.
fn as_path(path: &str) -> String {
    path.replace('_', " ")
}

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap();
    match unit {
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        _ => panic!("no unit in {text}"),
    }
}

/// Reads `\r`, `\n`, `\t`, `\0`, `\\`, `\xHH`, and `\*N:X` (N times the letter X).
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        match code {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'x' => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            b'*' => {
                let (count, letter) = rest.split_once(':').unwrap();
                out.extend(std::iter::repeat_n(letter.as_bytes()[0], count.parse().unwrap()));
                rest = &letter[1..];
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Writes UTF-8 as it is, everything else escaped; long runs of one letter as `\*N:X`.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        let mut letters = chunk.valid().chars().peekable();
        while let Some(letter) = letters.next() {
            let mut count = 1;
            while letters.next_if_eq(&letter).is_some() {
                count += 1;
            }
            match letter {
                '\r' => out.push_str(&"\\r".repeat(count)),
                '\n' => out.push_str(&"\\n".repeat(count)),
                '\\' => out.push_str(&"\\\\".repeat(count)),
                _ if letter.is_control() => {
                    out.push_str(&format!("\\x{:02x}", u32::from(letter)).repeat(count));
                }
                _ if count > 40 => write!(out, "\\*{count}:{letter}").unwrap(),
                _ => out.extend(std::iter::repeat_n(letter, count)),
            }
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").unwrap();
        }
    }
    out
}

fn transcripts() -> BTreeMap<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.filter(|path| path.extension().is_some_and(|end| end == "txt"));
    texts.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_transcript_is_what_happens() {
    let bless = std::env::var_os("TIDEGATE_BLESS").is_some();
    let mut wrong = Vec::new();
    for (path, text) in transcripts() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Ok(happened) = std::panic::catch_unwind(|| play(&text)) else {
            wrong.push(format!("{name}: a promise was broken, see above"));
            continue;
        };
        if happened == text {
            continue;
        }
        if bless {
            fs::write(&path, &happened).unwrap();
            continue;
        }
        let differs = text.lines().zip(happened.lines()).position(|(one, other)| one != other);
        let line = differs.unwrap_or_else(|| text.lines().count().min(happened.lines().count()));
        let [wanted, came] = [&text, &happened].map(|text| text.lines().nth(line).unwrap_or("(the end)"));
        wrong.push(format!("{name}:{}\n  transcript: {wanted}\n  happened:   {came}", line + 1));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_verb_is_in_a_transcript() {
    let mut said = BTreeSet::new();
    for text in transcripts().values() {
        for line in text.lines().filter_map(|line| line.strip_prefix("C: ")) {
            said.insert(line.split(' ').next().unwrap_or_default().to_ascii_uppercase());
        }
    }
    let missing: Vec<&str> = TABLE
        .iter()
        .filter(|row| row.is_offered(Extras::ALL))
        .map(|row| row.verb)
        .filter(|verb| !said.contains(*verb))
        .collect();
    assert!(missing.is_empty(), "in no transcript: {missing:?}");
}

#[test]
fn every_site_command_is_in_a_transcript() {
    let texts = transcripts();
    let said: BTreeSet<String> = texts
        .values()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("C: SITE "))
        .map(|line| line.split(' ').next().unwrap_or_default().to_ascii_uppercase())
        .collect();
    let missing: Vec<&str> = SITE
        .iter()
        .filter(|row| row.offer.is_on(Extras::ALL))
        .map(|row| row.word)
        .filter(|word| !said.contains(*word))
        .collect();
    assert!(missing.is_empty(), "in no transcript: {missing:?}");
}

/// Causes that no session machine says: they are said at the door, or by the shell, or are no 421.
const CAUSES_UNREACHED: [Cause; 12] = [
    Cause::Denied,
    Cause::Banned,
    Cause::Rate,
    Cause::UnauthenticatedFull,
    Cause::ListenerFull,
    Cause::HandshakesFull,
    Cause::TransfersFull,
    Cause::DataPorts,
    Cause::HandshakeTimeout,
    Cause::Kicked,
    Cause::Reclaimed,
    Cause::CommandFlood,
];

#[test]
fn every_reason_and_cause_is_in_a_transcript() {
    let texts = transcripts();
    let lines: Vec<&str> =
        texts.values().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("S: ")).collect();
    let missing: Vec<&str> = Reason::ALL
        .iter()
        .filter(|reason| !REASONS_UNREACHED.contains(reason))
        .filter(|reason| !lines.iter().any(|line| says(line, **reason)))
        .map(|reason| reason.name())
        .collect();
    assert!(missing.is_empty(), "reasons in no transcript: {missing:?}");
    let missing: Vec<Cause> = Cause::ALL
        .into_iter()
        .filter(|cause| !CAUSES_UNREACHED.contains(cause))
        .filter(|cause| !lines.iter().any(|line| line.contains(&format!("[cause={} retry=", cause.as_str()))))
        .collect();
    assert!(missing.is_empty(), "causes in no transcript: {missing:?}");
}

/// Returns whether `line` is the reply for `reason`, whatever its arguments.
fn says(line: &str, reason: Reason) -> bool {
    let Some(mut rest) = line.strip_prefix(&reason.code().to_string()).and_then(|rest| rest.get(1..)) else {
        return false;
    };
    let pieces: Vec<&str> = reply::text(reason).split("{}").collect();
    for (index, piece) in pieces.iter().enumerate() {
        let found = if index == 0 { rest.starts_with(piece).then_some(0) } else { rest.find(piece) };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    pieces.last() == Some(&"") || rest.is_empty()
}
