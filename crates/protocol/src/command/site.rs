//! SITE and its sub-commands, which no RFC describes (RFC 959 §4.1.3 leaves them to the server).

use tidegate_types::{Rights, Timestamp};

use super::parse::{is_blank, number, octal, words};
use super::{Command, CommandError, CommandSpec, Extras, Offer, verb_of};
use crate::time::parse_time;

/// One sub-command of SITE.
pub struct SiteSpec {
    /// The word behind SITE.
    pub word: &'static str,
    /// Whether it is offered.
    pub offer: Offer,
    /// The rights the account must have for it to be tried at all.
    pub right: Rights,
    /// The FEAT line, empty when there is none.
    pub feature: &'static str,
    /// The syntax, for SITE HELP.
    pub syntax: &'static str,
    read: for<'a> fn(&'a [u8]) -> Result<Command<'a>, CommandError>,
}

const fn row(
    word: &'static str,
    offer: Offer,
    right: Rights,
    (feature, syntax): (&'static str, &'static str),
    read: for<'a> fn(&'a [u8]) -> Result<Command<'a>, CommandError>,
) -> SiteSpec {
    SiteSpec { word, offer, right, feature, syntax, read }
}

const fn not_offered(word: &'static str) -> SiteSpec {
    row(word, Offer::Never, Rights::NONE, ("", ""), |_| Err(CommandError::NotOffered))
}

const fn extra(extra: Extras) -> Offer {
    Offer::Extra(extra)
}

use Offer::Always;

/// Every sub-command this server knows.
#[rustfmt::skip] // a table: one row a line
pub static SITE: &[SiteSpec] = &[
    row("HELP", Always, Rights::NONE, ("", "HELP [<sub-command>]"), |topic| Ok(Command::SiteHelp(Some(topic.trim_ascii()).filter(|topic| !topic.is_empty())))),
    row("CHMOD", Always, Rights::CHMOD, ("SITE CHMOD", "CHMOD <octal mode> <path>"), chmod),
    row("UMASK", Always, Rights::NONE, ("", "UMASK [<octal mask>]"), umask),
    row("UTIME", Always, Rights::UTIME, ("SITE UTIME", "UTIME <YYYYMMDDHHMMSS> <path> | UTIME <path> <accessed> <modified> <changed> UTC"), utime),
    row("IDLE", Always, Rights::NONE, ("", "IDLE [<seconds>]"), idle),
    row("TIME", Always, Rights::NONE, ("", "TIME"), |_| Ok(Command::SiteTime)),
    row("QUOTA", Always, Rights::LIST, ("", "QUOTA"), |_| Ok(Command::SiteQuota)),
    row("CHGRP", extra(Extras::CHGRP), Rights::CHMOD, ("SITE CHGRP", "CHGRP <group number> <path>"), chgrp),
    row("SYMLINK", extra(Extras::SYMLINK), Rights::WRITE, ("SITE SYMLINK", "SYMLINK <target> <link>"), |names| some(names, Command::SiteSymlink)),
    row("MKDIR", extra(Extras::MKDIR), Rights::MKDIR, ("SITE MKDIR", "MKDIR <directory>"), |path| some(path, Command::SiteMkdir)),
    row("RMDIR", extra(Extras::RMDIR), Rights::DELETE, ("SITE RMDIR", "RMDIR <directory>"), |path| some(path, Command::SiteRmdir)),
    row("CPFR", extra(Extras::CPFR), Rights::READ, ("SITE COPY", "CPFR <file>"), |path| some(path, Command::SiteCpfr)),
    row("CPTO", extra(Extras::CPFR), Rights::WRITE, ("", "CPTO <file>"), |path| some(path, Command::SiteCpto)),
    row("COPY", extra(Extras::COPY), Rights::READ.union(Rights::WRITE), ("SITE COPY", "COPY <from> <to>"), |names| some(names, Command::SiteCopy)),
    not_offered("CHOWN"),
    not_offered("WHO"),
    not_offered("ZONE"),
    not_offered("PSWD"),
    not_offered("CHECKSUM"),
    not_offered("DIRSTYLE"),
    not_offered("NAMEFMT"),
    not_offered("EXEC"),
    not_offered("INDEX"),
    not_offered("MSG"),
    not_offered("ALIAS"),
];

/// Returns the row of a sub-command in any case, `None` when nobody knows it.
fn lookup(word: &[u8]) -> Option<&'static SiteSpec> {
    SITE.iter().find(|row| row.word.as_bytes().eq_ignore_ascii_case(word))
}

/// Returns whether a command is offered and which rights it takes; for SITE those of the sub-command, where it is known.
pub(crate) fn demands(row: &CommandSpec, argument: Option<&[u8]>) -> (Offer, Rights) {
    let sub = argument.filter(|_| row.verb == "SITE").and_then(|argument| lookup(verb_of(argument).0));
    sub.map_or((row.offer, row.right), |sub| (sub.offer, sub.right))
}

/// Reads what stands behind SITE.
pub(super) fn site(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (word, rest) = verb_of(argument);
    if word.is_empty() {
        return Err(CommandError::Syntax);
    }
    let row = lookup(word).ok_or(CommandError::SiteUnknown)?;
    (row.read)(rest.unwrap_or_default())
}

fn some<'a>(argument: &'a [u8], build: fn(&'a [u8]) -> Command<'a>) -> Result<Command<'a>, CommandError> {
    if argument.is_empty() { Err(CommandError::Syntax) } else { Ok(build(argument)) }
}

fn chmod(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (digits, path) = verb_of(argument);
    let path = path.filter(|path| !path.is_empty()).ok_or(CommandError::Syntax)?;
    let mode = octal(digits).ok_or(CommandError::Syntax)?;
    Ok(Command::SiteChmod { mode, path })
}

fn umask(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    if is_blank(argument) {
        return Ok(Command::SiteUmask(None));
    }
    let digits = argument.trim_ascii();
    let fits = digits.len() <= 4 && digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    let mask = digits.iter().fold(0, |mask, digit| mask << 3 | u32::from(digit.wrapping_sub(b'0')));
    if fits && mask <= 0o777 { Ok(Command::SiteUmask(Some(mask))) } else { Err(CommandError::Syntax) }
}

/// `time path`, or `path atime mtime ctime UTC` as other servers have it.
fn utime(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (first, rest) = verb_of(argument);
    if let (Some(time), Some(path)) = (time(first), rest.filter(|path| !path.is_empty())) {
        return Ok(Command::SiteUtime { time, path });
    }
    // From the end, since a path may have blanks.
    let mut end = argument;
    let mut last = || -> Result<&[u8], CommandError> {
        let at = end.iter().rposition(|byte| *byte == b' ').ok_or(CommandError::Syntax)?;
        let word = end.get(at + 1..).unwrap_or_default();
        end = end.get(..at).unwrap_or_default();
        Ok(word)
    };
    let (zone, changed, modified, accessed) = (last()?, last()?, last()?, last()?);
    let fits = zone.eq_ignore_ascii_case(b"UTC") && time(changed).is_some() && time(accessed).is_some();
    match (time(modified), end) {
        (Some(time), path) if fits && !path.is_empty() => Ok(Command::SiteUtime { time, path }),
        _ => Err(CommandError::Syntax),
    }
}

/// Reads `YYYYMMDDHHMM`, with or without seconds.
fn time(text: &[u8]) -> Option<Timestamp> {
    if text.len() == 12 {
        let mut whole = [b'0'; 14];
        whole.get_mut(..12)?.copy_from_slice(text);
        return parse_time(&whole);
    }
    parse_time(text)
}

fn idle(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    if is_blank(argument) {
        return Ok(Command::SiteIdle(None));
    }
    let mut words = words(argument);
    let seconds = number(words.next().unwrap_or_default())?;
    let seconds = u32::try_from(seconds).map_err(|_| CommandError::Syntax)?;
    if seconds == 0 || words.next().is_some() {
        return Err(CommandError::Syntax);
    }
    Ok(Command::SiteIdle(Some(seconds)))
}

fn chgrp(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let (gid, path) = verb_of(argument);
    let path = path.filter(|path| !path.is_empty()).ok_or(CommandError::Syntax)?;
    let gid = u32::try_from(number(gid)?).map_err(|_| CommandError::Syntax)?;
    Ok(Command::SiteChgrp { gid, path })
}
