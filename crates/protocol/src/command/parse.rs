use super::{Command, CommandSpec, ListArgs, Shape, TABLE, TypeCode};
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

/// Returns whether `verb` is how an HTTP client starts (ALPACA, PROTOCOL A8).
pub fn is_http_verb(verb: &[u8]) -> bool {
    [&b"GET"[..], b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH", b"PRI"]
        .iter()
        .any(|http| verb.eq_ignore_ascii_case(http))
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Splits at runs of blanks; for parameters, never for paths.
fn words(argument: &[u8]) -> impl Iterator<Item = &[u8]> {
    argument.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// Reads one or more decimal digits, at most 2^63-1: no sign, no blank (RFC 3659 §5.3).
fn number(digits: &[u8]) -> Result<u64, CommandError> {
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
        (b"A", None) => TypeCode::Ascii,
        (b"A", Some(form)) if form.eq_ignore_ascii_case(b"N") => TypeCode::Ascii,
        (b"I", None) | (b"L", Some(b"8")) => TypeCode::Image,
        (b"A" | b"E" | b"L", _) => return Err(CommandError::ParameterNotOffered),
        _ => return Err(CommandError::Syntax),
    };
    Ok(Command::Type(code))
}

pub(super) fn mode(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    letter(argument, b'S', b"BCZ").map(|()| Command::Mode)
}

pub(super) fn stru(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    letter(argument, b'F', b"RP").map(|()| Command::Stru)
}

/// Accepts the one letter `offered`; letters that exist but are not offered are 504, everything else is 501.
fn letter(argument: &[u8], offered: u8, known: &[u8]) -> Result<(), CommandError> {
    let mut words = words(argument);
    match (words.next(), words.next()) {
        (Some([letter]), None) if letter.eq_ignore_ascii_case(&offered) => Ok(()),
        (Some([letter]), None) if known.contains(&letter.to_ascii_uppercase()) => {
            Err(CommandError::ParameterNotOffered)
        }
        _ => Err(CommandError::Syntax),
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
        args.hidden |= word.contains(&b'a') || word.contains(&b'A');
        args.dots |= word.contains(&b'a');
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

pub(super) fn opts(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (command, options) = verb_of(argument);
    let options = options.unwrap_or_default();
    match command.to_ascii_uppercase().as_slice() {
        b"" => Err(CommandError::Syntax),
        b"MLST" => Ok(Command::OptsMlst(options)),
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

pub(super) fn site(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (word, rest) = verb_of(argument);
    let rest = rest.unwrap_or_default();
    if word.is_empty() {
        return Err(CommandError::Syntax);
    }
    match super::SITE.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)) {
        None => Err(CommandError::SiteUnknown),
        Some((_, false)) => Err(CommandError::NotOffered),
        Some(("CHMOD", _)) => chmod(rest),
        Some(_) => Ok(Command::SiteHelp),
    }
}

fn chmod(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (digits, path) = verb_of(argument);
    let path = path.filter(|path| !path.is_empty()).ok_or(CommandError::Syntax)?;
    if !(3..=4).contains(&digits.len()) || !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return Err(CommandError::Syntax);
    }
    let mode = digits.iter().fold(0, |mode, digit| mode << 3 | u32::from(digit - b'0'));
    Ok(Command::SiteChmod { mode, path })
}
