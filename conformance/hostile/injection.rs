//! Bytes that would be lines of their own in a log or in a reply (PROTOCOL A14 and A15).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use serde_json::Value;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Setup, Subject, USER};

use crate::lab::{survives, wait_until};

/// What a client can get into a line, and what it cannot: LF ends one.
const HOSTILE: [&[u8]; 7] = [
    b"a\x1b[2J\nroot",
    b"b\x1b]0;title\x07",
    b"c\rUSER root",
    b"d\",\"message\":\"session opened\",\"forged\":\"yes",
    "e\u{202e}gpj.exe\u{9b}2J\u{2028}".as_bytes(),
    b"f\xc3\x28\xf0\x9f",
    b"g{} %n%s \\u001b[2J \\n ${jndi:x}",
];

fn attack(subject: &Subject) {
    for bytes in HOSTILE {
        let mut client = Client::greeted(subject.address());
        client.send(&[b"USER ", bytes, b"\r\n"].concat());
        client.reply();
        if bytes.contains(&b'\n') {
            client.expect(500);
        }
        client.send(b"PASS hidden-word\r\n");
        client.reply();
        let mut client = Client::greeted(subject.address());
        for verb in ["CLNT", "CSID", "HOST"] {
            client.send(&[verb.as_bytes(), b" ", bytes, b"\r\n"].concat());
            client.reply();
            if bytes.contains(&b'\n') {
                client.reply();
                client = Client::greeted(subject.address());
            }
        }
        let mut client = Client::greeted(subject.address());
        client.login(USER, PASSWORD);
        for verb in ["STOR", "RETR", "MKD", "CWD", "DELE", "CLNT"] {
            client.command("EPSV", 229);
            client.send(&[verb.as_bytes(), b" ", bytes, b"\r\n"].concat());
            let code = client.reply().code;
            if code == 150 {
                client.send(b"ABOR\r\n");
                client.reply();
                client.reply();
            }
            if bytes.contains(&b'\n') {
                client.expect(500);
            }
        }
        client.command("QUIT", 221);
    }
}

/// Returns the log when all its sessions are closed in it; `opened` and `closed` are what its lines about that have, and no
/// name in quotes can have.
fn whole_log(subject: &Subject, opened: &str, closed: &str) -> String {
    wait_until("the log says that all sessions are closed", || {
        let log = subject.log();
        log.ends_with('\n') && log.matches(opened).count() == log.matches(closed).count()
    });
    subject.log()
}

fn assert_no_raw_control_bytes(log: &str) {
    let odd = |letter: char| letter != '\n' && (letter.is_control() || "\u{202e}\u{2028}".contains(letter));
    assert!(!log.contains(odd), "{}", log.escape_debug());
    assert!(!log.contains("hidden-word") && !log.contains(PASSWORD), "a password in the log");
}

#[test]
fn json_log_lines_stay_whole() {
    let subject = Setup::with("[log]\nformat = \"json\"\n").start();
    survives(&subject, "hostile names into a JSON log", || attack(&subject));
    let (opened, closed) = (r#""message":"session opened""#, r#""message":"session closed""#);
    let log = whole_log(&subject, opened, closed);
    let sessions = log.matches(opened).count();
    assert_no_raw_control_bytes(&log);
    let mut counted = 0;
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            value.get("message").is_some_and(Value::is_string) && value.get("forged").is_none(),
            "{line}"
        );
        counted += usize::from(value["message"] == "session opened");
    }
    println!("{} lines of JSON, {counted} sessions", log.lines().count());
    assert_eq!(counted, sessions, "nobody forged a line");
    assert!(log.contains("[2J"), "the names must get into the log, or this shows nothing");
}

#[test]
fn text_log_lines_stay_whole() {
    let subject = Setup::with("[log]\nformat = \"text\"\n").start();
    survives(&subject, "hostile names into a text log", || attack(&subject));
    let log = whole_log(&subject, " INFO session opened session=", " INFO session closed session=");
    assert_no_raw_control_bytes(&log);
    for line in log.lines() {
        // A time first, so no line is the rest of another.
        assert!(line.len() > 20 && line.as_bytes()[..4].iter().all(u8::is_ascii_digit), "{line}");
    }
    assert!(log.contains("[2J"), "the names must get into the log, or this shows nothing");
}

/// Makes a folder `odd` full of names that would be lines, and links to them.
fn make_odd_names(subject: &Subject) {
    let folder = subject.home.join("odd");
    fs::create_dir(&folder).unwrap();
    let names: [&[u8]; 8] = [
        b"x\r\n226 fake",
        b"y\n226 fake",
        b"z\r226 fake",
        b"\r\n",
        b"tab\tfake",
        b"esc\x1b[31mfake",
        b"del\x7ffake",
        b"226 fake",
    ];
    for name in names {
        fs::write(folder.join(OsStr::from_bytes(name)), b"x").unwrap();
        let below = [b"dir ", name].concat();
        fs::create_dir(folder.join(OsStr::from_bytes(&below))).unwrap();
        fs::write(folder.join(OsStr::from_bytes(&below)).join("inside"), b"x").unwrap();
        symlink(OsStr::from_bytes(&below), folder.join(OsStr::from_bytes(&[b"to ", name].concat()))).unwrap();
        let missing = [b"missing ", name].concat();
        symlink(OsStr::from_bytes(&missing), folder.join(format!("dead {}", name.escape_ascii()))).unwrap();
    }
    fs::write(folder.join("plain"), b"x").unwrap();
}

fn assert_plain(command: &str, line: &str) {
    assert!(!line.contains(|letter: char| letter.is_ascii_control()), "{command}: {line:?}");
}

/// Listings in `odd` by each of `commands` have whole lines, all about names that are there.
fn listings_are_whole(subject: &Subject, commands: &[&str]) {
    let mut client = Client::logged_in(subject.address());
    client.command("CWD odd", 250);
    for command in commands {
        let text = String::from_utf8_lossy(&client.download(command)).into_owned();
        assert!(text.ends_with("\r\n") && text.contains("plain"), "{command}: {text:?}");
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        for line in &lines {
            assert_plain(command, line);
            // One file is called so in truth; names stand alone in some listings.
            let lies = line.starts_with("226 ") && !(command.starts_with("NLST") || command.contains("-1"));
            assert!(!lies, "{command}: {line:?}");
        }
        assert!(lines.iter().filter(|line| **line == "226 fake").count() <= 1, "{command}: {text:?}");
    }
}

/// Replies to each of `commands` are one reply each, and no line of them looks like another.
fn replies_are_whole(subject: &Subject, commands: &[&str]) {
    let mut client = Client::logged_in(subject.address());
    client.command("CWD odd", 250);
    for command in commands {
        let reply = client.say(command);
        assert!([211, 212, 213, 250, 257].contains(&reply.code), "{command}: {reply:?}");
        for (at, line) in reply.lines.iter().enumerate() {
            assert_plain(command, line);
            let is_edge = at == 0 || at + 1 == reply.lines.len();
            let is_numbered = line.len() >= 3 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit);
            assert!(is_edge || !is_numbered, "{command}: {line:?}");
        }
        client.command("NOOP", 200);
    }
}

#[test]
fn names_never_become_lines_of_a_reply() {
    let subject = Subject::start();
    make_odd_names(&subject);
    survives(&subject, "names with line ends in listings and replies", || {
        let commands = ["LIST", "LIST -a", "LIST -1", "LIST -R", "NLST", "NLST -a", "NLST -l", "MLSD"];
        listings_are_whole(&subject, &commands);
        replies_are_whole(&subject, &["STAT .", "STAT /odd", "MLST .", "MLST plain", "MLST dir 226 fake"]);
        let mut client = Client::logged_in(subject.address());
        client.command("CWD odd/dir 226 fake", 250);
        assert_eq!(client.command("PWD", 257).lines.len(), 1);
    });
}

#[test]
fn names_never_become_lines_of_what_a_pattern_finds() {
    let subject = Subject::start();
    make_odd_names(&subject);
    survives(&subject, "names with line ends found by patterns", || {
        listings_are_whole(&subject, &["NLST *", "LIST *", "NLST -a *", "LIST -a ?*", "NLST [!q]*"]);
    });
}
