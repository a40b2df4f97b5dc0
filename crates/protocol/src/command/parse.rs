use core::net::{Ipv4Addr, Ipv6Addr};

use tidegate_types::Timestamp;

use super::{
    ByteRange, Command, CommandSpec, DigestArgs, HashAlgorithm, ListArgs, ModeCode, Shape, TABLE, TypeCode,
};
use crate::address::{AddressError, EpsvArg, parse_eprt, parse_epsv, parse_port};
use crate::time::parse_time;

/// Why a line is no command that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The argument has the wrong form: 501.
    Syntax,
    /// The parameter is known and not offered: 504.
    ParameterNotOffered,
    /// The address family is not the connection's: 522.
    Family,
    /// OPTS for a command that has none: 501.
    NoOptions,
    /// A SITE sub-command nobody knows: 500.
    SiteUnknown,
    /// The command (or SITE sub-command) is known and not offered: 502.
    NotOffered,
}

/// Splits `line` into its verb (up to the first blank) and the rest after that blank, `None` without one.
pub fn verb_of(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(end) => (line.get(..end).unwrap_or_default(), line.get(end + 1..)),
        None => (line, None),
    }
}

/// Returns the table's row for `verb` in any case, `None` when nobody knows it.
pub fn lookup(verb: &[u8]) -> Option<&'static CommandSpec> {
    TABLE.iter().find(|row| row.verb.as_bytes().eq_ignore_ascii_case(verb))
}

/// Reads the argument of the command in `row`. Exactly one blank was taken off; the rest is the argument, byte for byte.
pub fn parse<'a>(row: &CommandSpec, argument: Option<&'a [u8]>) -> Result<Command<'a>, CommandError> {
    let raw = argument.unwrap_or_default();
    match row.shape {
        Shape::None(command) if is_blank(raw) => Ok(command),
        Shape::None(_) => Err(CommandError::Syntax),
        Shape::Ignored(command) => Ok(command),
        Shape::Raw(build) => Ok(build(raw)),
        Shape::Path(_) if raw.is_empty() => Err(CommandError::Syntax),
        Shape::Path(build) => Ok(build(raw)),
        Shape::OptionalPath(build) => Ok(build(Some(raw).filter(|raw| !raw.is_empty()))),
        Shape::Listing(build) => Ok(build(Some(raw).filter(|raw| !is_blank(raw)).map(list_args))),
        Shape::Own(read) => read(raw),
        Shape::NotOffered => Err(CommandError::NotOffered),
    }
}

/// Returns whether `verb` is how a client of another protocol starts: HTTP or mail (ALPACA, PROTOCOL A8).
pub fn is_foreign_verb(verb: &[u8]) -> bool {
    const HTTP: [&[u8]; 10] =
        [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH", b"PRI"];
    const MAIL: [&[u8]; 3] = [b"EHLO", b"HELO", b"LHLO"];
    HTTP.iter().chain(&MAIL).any(|foreign| verb.eq_ignore_ascii_case(foreign))
}

pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Splits at runs of blanks; for parameters, never for paths.
pub(super) fn words(argument: &[u8]) -> impl Iterator<Item = &[u8]> {
    argument.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// Reads one or more decimal digits, at most 2^63-1: no sign, no blank (RFC 3659 §5.3).
pub(super) fn number(digits: &[u8]) -> Result<u64, CommandError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(CommandError::Syntax);
    }
    digits
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .filter(|value| i64::try_from(*value).is_ok())
        .ok_or(CommandError::Syntax)
}

pub(super) fn type_code(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let mut words = words(argument);
    let code = words.next().ok_or(CommandError::Syntax)?;
    let form = words.next();
    if words.next().is_some() {
        return Err(CommandError::Syntax);
    }
    let code = match (code.to_ascii_uppercase().as_slice(), form) {
        // RFC 1123 §4.1.2.2: Telnet format controls where there is no printer are the same as none.
        (b"A", None | Some([b'N' | b'n' | b'T' | b't'])) => TypeCode::Ascii,
        (b"I", None) | (b"L", Some(b"8")) => TypeCode::Image,
        (b"A" | b"E" | b"L", _) => return Err(CommandError::ParameterNotOffered),
        _ => return Err(CommandError::Syntax),
    };
    Ok(Command::Type(code))
}

pub(super) fn mode(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    match letter(argument) {
        Some(b'S') => Ok(Command::Mode(ModeCode::Stream)),
        Some(b'Z') => Ok(Command::Mode(ModeCode::Deflate)),
        Some(b'B' | b'C') => Err(CommandError::ParameterNotOffered),
        _ => Err(CommandError::Syntax),
    }
}

pub(super) fn stru(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    match letter(argument) {
        Some(b'F') => Ok(Command::Stru),
        Some(b'R' | b'P') => Err(CommandError::ParameterNotOffered),
        _ => Err(CommandError::Syntax),
    }
}

/// Returns the one letter of the argument, upper case.
fn letter(argument: &[u8]) -> Option<u8> {
    let mut words = words(argument);
    match (words.next(), words.next()) {
        (Some([letter]), None) => Some(letter.to_ascii_uppercase()),
        _ => None,
    }
}

pub(super) fn allo(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let mut words = words(argument);
    let bytes = number(words.next().unwrap_or_default())?;
    match (words.next(), words.next(), words.next()) {
        (None, ..) => Ok(Command::Allo(bytes)),
        (Some(record), Some(size), None) if record.eq_ignore_ascii_case(b"R") => {
            number(size).map(|_| Command::Allo(bytes))
        }
        _ => Err(CommandError::Syntax),
    }
}

pub(super) fn rest(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    number(argument).map(Command::Rest)
}

/// `RANG first last`, both counted from 0 and inclusive; `RANG 1 0` resets (draft-bryan-ftp-range).
pub(super) fn rang(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (first, last) = verb_of(argument);
    match (number(first)?, number(last.ok_or(CommandError::Syntax)?)?) {
        (1, 0) => Ok(Command::Rang(None)),
        (first, last) if first > last => Err(CommandError::Syntax),
        (first, last) => Ok(Command::Rang(Some((first, last + 1)))),
    }
}

pub(super) fn epsv(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let argument = argument.trim_ascii();
    if argument.is_empty() {
        return Ok(Command::Epsv(EpsvArg::Any));
    }
    parse_epsv(argument).map(Command::Epsv).map_err(CommandError::from)
}

pub(super) fn port(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    parse_port(argument.trim_ascii()).map(|to| Command::Port(to.into())).map_err(CommandError::from)
}

pub(super) fn eprt(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    parse_eprt(argument.trim_ascii()).map(Command::Eprt).map_err(CommandError::from)
}

impl From<AddressError> for CommandError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Syntax => Self::Syntax,
            AddressError::Family => Self::Family,
        }
    }
}

/// Takes words that start with `-` off the front, as clients send them to an imagined `ls`; `--` ends them, so that
/// `LIST -- -a` names a file. What is left is the path, byte for byte.
fn list_args(argument: &[u8]) -> ListArgs<'_> {
    let mut args = ListArgs::default();
    let mut rest = argument;
    while rest.first() == Some(&b'-') {
        let (word, after) = verb_of(rest);
        rest = after.unwrap_or_default();
        if word == b"--" {
            break;
        }
        for option in word {
            match option {
                b'a' => (args.hidden, args.dots) = (true, true),
                b'A' => args.hidden = true,
                b'R' => args.recursive = true,
                b'l' => args.long = Some(true),
                b'1' => args.long = Some(false),
                _ => {}
            }
        }
    }
    args.path = Some(rest).filter(|rest| !is_blank(rest));
    args
}

pub(super) fn mfmt(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (written, path) = verb_of(argument);
    let path = path.filter(|path| !path.is_empty()).ok_or(CommandError::Syntax)?;
    let time = parse_time(written).ok_or(CommandError::Syntax)?;
    Ok(Command::Mfmt { time, written, path })
}

/// `MFF fact=value;... path` (draft-somers-ftp-mfxx §5): the facts have no blank, the path is what follows it.
pub(super) fn mff(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (facts, path) = verb_of(argument);
    let path = path.filter(|path| !path.is_empty()).ok_or(CommandError::Syntax)?;
    if facts.is_empty() { Err(CommandError::Syntax) } else { Ok(Command::Mff { facts, path }) }
}

/// The facts that MFF can change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MffFacts {
    /// `modify`.
    pub modified: Option<Timestamp>,
    /// `UNIX.mode`.
    pub mode: Option<u32>,
}

/// Reads `fact=value;...`; the last `;` may be missing. Errors: a fact that cannot be changed, by its name, or an empty
/// name where the form is wrong.
pub fn read_mff(facts: &[u8]) -> Result<MffFacts, &[u8]> {
    let mut read = MffFacts::default();
    let wrong: &[u8] = b"";
    for fact in facts.strip_suffix(b";").unwrap_or(facts).split(|byte| *byte == b';') {
        let equals = fact.iter().position(|byte| *byte == b'=').ok_or(wrong)?;
        let (name, value) = (fact.get(..equals).ok_or(wrong)?, fact.get(equals + 1..).ok_or(wrong)?);
        match name.to_ascii_lowercase().as_slice() {
            b"modify" => read.modified = Some(parse_time(value).ok_or(wrong)?),
            b"unix.mode" => read.mode = Some(octal(value).ok_or(wrong)?),
            b"" => return Err(wrong),
            _ => return Err(name),
        }
    }
    Ok(read)
}

/// Reads three or four octal digits.
pub(super) fn octal(digits: &[u8]) -> Option<u32> {
    let fits = (3..=4).contains(&digits.len()) && digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    fits.then(|| digits.iter().fold(0, |mode, digit| mode << 3 | u32::from(digit - b'0')))
}

/// `XCRC path [start [end]]`, the path perhaps in quotes.
pub(super) fn digest(algorithm: HashAlgorithm, argument: &[u8]) -> Result<Command<'_>, CommandError> {
    if argument.is_empty() {
        return Err(CommandError::Syntax);
    }
    let mut args = DigestArgs { algorithm, path: argument, range: None, shorter: None };
    if let Some((path, after)) = in_quotes(argument) {
        args.path = path;
        args.range = if is_blank(after) { None } else { Some(range(after)?) };
    } else {
        args.shorter = numbers_at_end(argument);
    }
    Ok(Command::Digest(args))
}

/// Returns what stands between quotes at the front, and what follows; such names have no quotes inside.
fn in_quotes(argument: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = argument.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| *byte == b'"').filter(|end| *end > 0)?;
    let after = inner.get(end + 1..)?;
    let fits = after.is_empty() || after.starts_with(b" ");
    fits.then_some((inner.get(..end)?, after))
}

/// Reads `start` or `start end`, end exclusive.
fn range(text: &[u8]) -> Result<ByteRange, CommandError> {
    let mut words = words(text);
    let start = number(words.next().unwrap_or_default())?;
    let end = words.next().map(number).transpose()?;
    if words.next().is_some() || end.is_some_and(|end| end < start) {
        return Err(CommandError::Syntax);
    }
    Ok((start, end))
}

/// Splits one or two numbers off the end of an argument without quotes.
fn numbers_at_end(argument: &[u8]) -> Option<(&[u8], ByteRange)> {
    let split = |text: &'_ [u8]| text.iter().rposition(|byte| *byte == b' ').filter(|at| *at > 0);
    let last = split(argument)?;
    let (before, word) = (argument.get(..last)?, argument.get(last + 1..)?);
    number(word).ok()?;
    let second = split(before).and_then(|at| {
        let range = range(argument.get(at + 1..)?).ok()?;
        Some((argument.get(..at)?, range))
    });
    second.or_else(|| Some((before, range(word).ok()?)))
}

/// `HOST name` (RFC 7151 §3.1): a domain name, an IPv4 address, or an IPv6 address in brackets; no port.
pub(super) fn host(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let text = core::str::from_utf8(argument).map_err(|_| CommandError::Syntax)?;
    let fits = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
        None => text.parse::<Ipv4Addr>().is_ok() || is_domain(text),
    };
    if fits { Ok(Command::Host(argument)) } else { Err(CommandError::Syntax) }
}

/// Returns whether `text` looks like a host name: labels of letters, digits and hyphens, and not a number throughout.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 253
        && name.split('.').all(label)
        && !name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// `LANG tag` (RFC 2640 §4.1): English only; nothing returns to the default, which is English.
pub(super) fn lang(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let argument = argument.trim_ascii();
    if argument.is_empty() {
        return Ok(Command::Lang);
    }
    let is_part = |part: &[u8]| (1..=8).contains(&part.len()) && part.iter().all(u8::is_ascii_alphanumeric);
    let mut parts = argument.split(|byte| *byte == b'-');
    let primary = parts.next().unwrap_or_default();
    if !is_part(primary) || !primary.iter().all(u8::is_ascii_alphabetic) || !parts.all(is_part) {
        return Err(CommandError::Syntax);
    }
    if primary.eq_ignore_ascii_case(b"en") {
        Ok(Command::Lang)
    } else {
        Err(CommandError::ParameterNotOffered)
    }
}

pub(super) fn opts(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (command, options) = verb_of(argument);
    let options = options.unwrap_or_default();
    match command.to_ascii_uppercase().as_slice() {
        b"" => Err(CommandError::Syntax),
        b"MLST" => Ok(Command::OptsMlst(options)),
        b"HASH" if is_blank(options) => Ok(Command::OptsHash(None)),
        b"HASH" => match HashAlgorithm::find(options.trim_ascii()) {
            Some(algorithm) => Ok(Command::OptsHash(Some(algorithm))),
            None => Err(CommandError::Syntax),
        },
        b"MODE" => opts_mode_z(options),
        // `OPTS UTF-8 NLST` is the older draft's form; nothing follows in some clients.
        b"UTF8" | b"UTF-8" => {
            let mut words = words(options);
            match words.next().map(<[u8]>::to_ascii_uppercase).as_deref() {
                None | Some(b"ON" | b"NLST") => Ok(Command::OptsUtf8),
                Some(b"OFF") => Err(CommandError::ParameterNotOffered),
                Some(_) => Err(CommandError::Syntax),
            }
        }
        _ => Err(CommandError::NoOptions),
    }
}

/// `OPTS MODE Z LEVEL n`, n from 1 to 9 (draft-preston-ftpext-deflate).
fn opts_mode_z(options: &[u8]) -> Result<Command<'_>, CommandError> {
    let mut words = words(options);
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some([b'z' | b'Z']), Some(level), Some([digit @ b'1'..=b'9']), None)
            if level.eq_ignore_ascii_case(b"LEVEL") =>
        {
            Ok(Command::OptsModeZ(digit - b'0'))
        }
        _ => Err(CommandError::Syntax),
    }
}
