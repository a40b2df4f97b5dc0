//! One command line: the verb and its argument.

use core::ptr;

use tidegate_protocol::command::{
    Command, CommandError, ListArgs, MffFacts, is_foreign_verb, lookup, names, parse, read_mff, verb_of,
};
use tidegate_protocol::time::{format_time, parse_time};

/// Every line splits into verb and argument without loss; the verb's case does not matter; what a command keeps of its
/// argument is the client's bytes; numbers are digits up to 2^63-1 and nothing else.
///
/// Input: the line; what follows an LF is ignored.
pub fn command(data: &[u8]) {
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (verb, argument) = verb_of(line);
    assert!(!verb.contains(&b' '));
    assert_eq!(argument.map_or_else(|| verb.to_vec(), |rest| [verb, b" ", rest].concat()), line);

    let row = lookup(verb);
    for other in [verb.to_ascii_uppercase(), verb.to_ascii_lowercase()] {
        assert!(row.map(ptr::from_ref) == lookup(&other).map(ptr::from_ref), "{}", verb.escape_ascii());
    }
    let Some(row) = row else { return };
    assert!(row.verb.as_bytes().eq_ignore_ascii_case(verb) && !is_foreign_verb(verb));
    let parsed = parse(row, argument);
    let argument = argument.unwrap_or_default();
    numbers(row.verb, argument, parsed);
    match parsed {
        Ok(command) => {
            kept(command, argument);
            meant(command, argument);
        }
        Err(CommandError::NotOffered) if row.verb != "SITE" => assert!(row.syntax.is_empty()),
        Err(_) => {}
    }
}

/// What a command keeps of its argument.
enum Kept<'a> {
    /// Nothing, and nothing but blanks may stand there.
    Blank,
    /// Nothing; whatever stands there is read or ignored.
    Nothing,
    /// All of it.
    Whole(&'a [u8]),
    /// All of it, or nothing when there is nothing.
    Optional(Option<&'a [u8]>),
    /// What is left at its end.
    End(&'a [u8]),
    /// Its front and its end, with one blank between them.
    Both(&'a [u8], &'a [u8]),
    /// Some of it.
    Inside(&'a [u8]),
}

/// Returns what `command` keeps. A new variant needs its line here: the compiler asks for it.
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_kept(command: Command<'_>) -> Kept<'_> {
    match command {
        Command::Rein | Command::Cdup | Command::Pwd | Command::Pasv | Command::Syst | Command::Feat => {
            Kept::Blank
        }
        Command::Quit
        | Command::Abor
        | Command::Noop
        | Command::Type(_)
        | Command::Mode(_)
        | Command::Stru
        | Command::Allo(_)
        | Command::Rest(_)
        | Command::Rang(_)
        | Command::Epsv(_)
        | Command::Port(_)
        | Command::Eprt(_)
        | Command::Lang
        | Command::OptsUtf8
        | Command::OptsHash(_)
        | Command::OptsModeZ(_)
        | Command::SiteUmask(_)
        | Command::SiteIdle(_)
        | Command::SiteTime
        | Command::SiteQuota
        | Command::SiteHelp(None) => Kept::Nothing,
        Command::User(text)
        | Command::Pass(text)
        | Command::Cwd(text)
        | Command::Retr(text)
        | Command::Stor(text)
        | Command::Appe(text)
        | Command::Rnfr(text)
        | Command::Rnto(text)
        | Command::Dele(text)
        | Command::Size(text)
        | Command::Mdtm(text)
        | Command::Hash(text)
        | Command::Md5(text)
        | Command::Rmda(text)
        | Command::Comb(text)
        | Command::Host(text)
        | Command::Client { about: text, .. } => Kept::Whole(text),
        Command::Stou(text)
        | Command::Mlsd(text)
        | Command::Mlst(text)
        | Command::Avbl(text)
        | Command::Help(text) => Kept::Optional(text),
        // SITE MKDIR and SITE RMDIR too.
        Command::Rmd(text)
        | Command::Mkd(text)
        | Command::OptsMlst(text)
        | Command::SiteChmod { path: text, .. }
        | Command::SiteChgrp { path: text, .. }
        | Command::SiteSymlink(text)
        | Command::SiteMkdir(text)
        | Command::SiteRmdir(text)
        | Command::SiteCpfr(text)
        | Command::SiteCpto(text)
        | Command::SiteCopy(text) => Kept::End(text),
        Command::List(ListArgs { path, .. })
        | Command::Nlst(ListArgs { path, .. })
        | Command::Stat(Some(ListArgs { path, .. })) => path.map_or(Kept::Nothing, Kept::End),
        Command::Stat(None) => Kept::Blank,
        Command::Mfmt { written: front, path, .. } | Command::Mff { facts: front, path } => {
            Kept::Both(front, path)
        }
        Command::Digest(digest) => Kept::Inside(digest.path),
        Command::SiteUtime { path, .. } => Kept::Inside(path),
        Command::SiteHelp(Some(topic)) => Kept::Inside(topic),
    }
}

fn kept(command: Command<'_>, argument: &[u8]) {
    let shown = || format!("{command:?} of {}", argument.escape_ascii());
    match what_is_kept(command) {
        Kept::Blank => assert!(is_blank(argument), "{}", shown()),
        Kept::Nothing => {}
        Kept::Whole(text) => assert_eq!(text, argument, "{}", shown()),
        Kept::Optional(text) => assert_eq!(text.unwrap_or_default(), argument, "{}", shown()),
        Kept::End(text) => assert!(argument.ends_with(text), "{}", shown()),
        Kept::Both(front, end) => assert_eq!([front, b" ", end].concat(), argument, "{}", shown()),
        Kept::Inside(text) => {
            assert!(!text.is_empty() && argument.windows(text.len()).any(|part| part == text), "{}", shown());
        }
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| [b' ', b'\t'].contains(byte))
}

/// What a number must be: digits only, at least one, at most 2^63-1; leading zeros do not count.
fn number(text: &[u8]) -> Option<u64> {
    let text =
        std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let digits = text.trim_start_matches('0');
    match (text.is_empty(), digits.len()) {
        (true, _) | (_, 20..) => None,
        (_, 0) => Some(0),
        _ => digits
            .parse::<u128>()
            .ok()
            .filter(|value| *value < 1 << 63)
            .and_then(|value| value.try_into().ok()),
    }
}

/// Commands whose argument is numbers take exactly what [`number`] takes.
fn numbers(verb: &str, argument: &[u8], parsed: Result<Command<'_>, CommandError>) {
    let words: Vec<&[u8]> = argument.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
    let expected = match verb {
        "REST" => number(argument).map(Command::Rest),
        "ALLO" => match words[..] {
            [bytes] => number(bytes),
            [bytes, [b'r' | b'R'], record] => number(record).and(number(bytes)),
            _ => None,
        }
        .map(Command::Allo),
        "RANG" => match argument.iter().position(|byte| *byte == b' ').map(|at| argument.split_at(at)) {
            Some((first, last)) => match (number(first), number(&last[1..])) {
                (Some(1), Some(0)) => Some(Command::Rang(None)),
                (Some(first), Some(last)) if first <= last => Some(Command::Rang(Some((first, last + 1)))),
                _ => None,
            },
            None => None,
        },
        _ => return,
    };
    assert_eq!(parsed.ok(), expected, "{verb} {}", argument.escape_ascii());
}

/// Promises about the values of single commands.
fn meant(command: Command<'_>, argument: &[u8]) {
    match command {
        Command::Mfmt { time, written, .. } => {
            assert_eq!(Some(time), parse_time(written));
            let mut shown = Vec::new();
            format_time(time, &mut shown);
            assert_eq!(shown, written[..14], "{}", written.escape_ascii());
        }
        Command::Mff { facts, .. } => mff(facts),
        Command::Digest(digest) => {
            let quoted = [b"\"", digest.path, b"\""].concat();
            assert!(digest.path == argument || argument.starts_with(&quoted), "{digest:?}");
            if let Some((path, _)) = digest.shorter {
                assert!(!path.is_empty() && argument.starts_with(path) && argument[path.len()] == b' ');
                assert!(digest.range.is_none());
            }
            for (from, to) in digest.range.into_iter().chain(digest.shorter.map(|(_, range)| range)) {
                assert!(to.is_none_or(|to| from <= to), "{digest:?}");
            }
        }
        Command::SiteChmod { mode, .. } => assert!(mode <= 0o7777),
        Command::SiteUmask(Some(mask)) => assert!(mask <= 0o777),
        Command::SiteIdle(Some(seconds)) => assert_ne!(seconds, 0),
        Command::OptsModeZ(level) => assert!((1..=9).contains(&level)),
        Command::Host(name) => assert!(name.is_ascii() && !name.contains(&b' ') && name.len() <= 254),
        Command::Comb(text) | Command::SiteCopy(text) | Command::SiteSymlink(text) => name_list(text),
        _ => {}
    }
}

fn mff(facts: &[u8]) {
    match read_mff(facts) {
        Ok(MffFacts { modified, mode }) => {
            assert!(modified.is_some() || mode.is_some(), "{}", facts.escape_ascii());
            assert!(mode.is_none_or(|mode| mode <= 0o7777));
        }
        Err(name) => assert!(facts.windows(name.len().max(1)).any(|part| part == name) || name.is_empty()),
    }
}

/// Names in quotes and bare ones: what is read, written with quotes, is read again as the same.
fn name_list(text: &[u8]) {
    let Some(read) = names(text, 4) else { return };
    assert!(read.len() <= 4 && read.iter().all(|name| !name.is_empty()), "{}", text.escape_ascii());
    let quote = |name: &Vec<u8>| -> Vec<u8> {
        let inner =
            name.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
        [b"\"".to_vec(), inner.collect(), b"\"".to_vec()].concat()
    };
    let written = read.iter().map(quote).collect::<Vec<_>>().join(&b' ');
    assert_eq!(names(&written, 4).as_ref(), Some(&read), "{}", text.escape_ascii());
}
