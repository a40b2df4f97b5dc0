//! Commands: one table drives dispatch, HELP, FEAT and the checks that every command must pass (RFC 959 §4.1, §5.3).

mod extras;
mod hash;
mod parse;
mod site;
mod table;

use alloc::vec::Vec;
use core::net::SocketAddr;

use tidegate_types::{Rights, Timestamp};

use crate::address::EpsvArg;

pub use extras::{Extras, Offer};
pub use hash::HashAlgorithm;
pub use parse::{CommandError, MffFacts, is_foreign_verb, lookup, parse, read_mff, verb_of};
pub(crate) use site::demands;
pub use site::{SITE, SiteSpec};
pub use table::TABLE;

/// A command as the client meant it; arguments are checked for their form, paths are not resolved yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// USER name.
    User(&'a [u8]),
    /// PASS password, possibly empty.
    Pass(&'a [u8]),
    /// QUIT.
    Quit,
    /// REIN.
    Rein,
    /// CWD path.
    Cwd(&'a [u8]),
    /// CDUP.
    Cdup,
    /// PWD.
    Pwd,
    /// TYPE.
    Type(TypeCode),
    /// MODE.
    Mode(ModeCode),
    /// STRU F.
    Stru,
    /// ALLO bytes.
    Allo(u64),
    /// PASV.
    Pasv,
    /// EPSV.
    Epsv(EpsvArg),
    /// PORT.
    Port(SocketAddr),
    /// EPRT.
    Eprt(SocketAddr),
    /// RETR path.
    Retr(&'a [u8]),
    /// STOR path.
    Stor(&'a [u8]),
    /// STOU, with or without a name to start from.
    Stou(Option<&'a [u8]>),
    /// APPE path.
    Appe(&'a [u8]),
    /// REST offset.
    Rest(u64),
    /// RANG start and end (one past the last byte); `None` resets it.
    Rang(Option<(u64, u64)>),
    /// ABOR.
    Abor,
    /// RNFR path.
    Rnfr(&'a [u8]),
    /// RNTO path.
    Rnto(&'a [u8]),
    /// DELE path.
    Dele(&'a [u8]),
    /// RMD path.
    Rmd(&'a [u8]),
    /// MKD path.
    Mkd(&'a [u8]),
    /// LIST.
    List(ListArgs<'a>),
    /// NLST.
    Nlst(ListArgs<'a>),
    /// MLSD, of the current directory without a path.
    Mlsd(Option<&'a [u8]>),
    /// MLST, of the current directory without a path.
    Mlst(Option<&'a [u8]>),
    /// STAT alone, or of a path.
    Stat(Option<ListArgs<'a>>),
    /// SIZE path.
    Size(&'a [u8]),
    /// MDTM path (or `time path` as a setter: told apart when the file is looked for).
    Mdtm(&'a [u8]),
    /// MFMT time path.
    Mfmt {
        /// The time to set.
        time: Timestamp,
        /// The time as the client wrote it, for the reply.
        written: &'a [u8],
        /// The file.
        path: &'a [u8],
    },
    /// MFF with its facts as written, and the path.
    Mff {
        /// `fact=value;` each.
        facts: &'a [u8],
        /// The file.
        path: &'a [u8],
    },
    /// HASH path.
    Hash(&'a [u8]),
    /// XCRC and its kin.
    Digest(DigestArgs<'a>),
    /// MD5 path.
    Md5(&'a [u8]),
    /// AVBL, of the current directory without a path.
    Avbl(Option<&'a [u8]>),
    /// RMDA path.
    Rmda(&'a [u8]),
    /// COMB: what stands behind the verb; its names are read by [`names`].
    Comb(&'a [u8]),
    /// CLNT or CSID with what the client says of itself.
    Client {
        /// What it says.
        about: &'a [u8],
        /// Whether it wants the server's name (CSID).
        asks: bool,
    },
    /// HOST name.
    Host(&'a [u8]),
    /// LANG: whether the tag is offered; alone it returns to the default.
    Lang,
    /// SYST.
    Syst,
    /// FEAT.
    Feat,
    /// OPTS UTF8 ON and its older forms.
    OptsUtf8,
    /// OPTS MLST with a list of facts.
    OptsMlst(&'a [u8]),
    /// OPTS HASH, to tell the algorithm or to choose one.
    OptsHash(Option<HashAlgorithm>),
    /// OPTS MODE Z LEVEL, 1 to 9.
    OptsModeZ(u8),
    /// HELP, or for one command.
    Help(Option<&'a [u8]>),
    /// NOOP.
    Noop,
    /// SITE HELP, or for one sub-command.
    SiteHelp(Option<&'a [u8]>),
    /// SITE UMASK, to tell it or to set it.
    SiteUmask(Option<u32>),
    /// SITE UTIME, in either form.
    SiteUtime {
        /// The modification time.
        time: Timestamp,
        /// The file.
        path: &'a [u8],
    },
    /// SITE IDLE, to tell it or to set it, in seconds.
    SiteIdle(Option<u32>),
    /// SITE TIME.
    SiteTime,
    /// SITE QUOTA.
    SiteQuota,
    /// SITE CHGRP.
    SiteChgrp {
        /// The group's number.
        gid: u32,
        /// The file.
        path: &'a [u8],
    },
    /// SITE SYMLINK: what stands behind it; its names are read by [`names`].
    SiteSymlink(&'a [u8]),
    /// SITE MKDIR path.
    SiteMkdir(&'a [u8]),
    /// SITE RMDIR path.
    SiteRmdir(&'a [u8]),
    /// SITE CPFR path.
    SiteCpfr(&'a [u8]),
    /// SITE CPTO path.
    SiteCpto(&'a [u8]),
    /// SITE COPY: what stands behind it; its names are read by [`names`].
    SiteCopy(&'a [u8]),
    /// SITE CHMOD.
    SiteChmod {
        /// The permission bits.
        mode: u32,
        /// The file.
        path: &'a [u8],
    },
}

/// TYPE as far as it is offered: `A N` or `I` (also `L 8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeCode {
    /// ASCII Non-print: lines end with CRLF on the wire.
    Ascii,
    /// Image: bytes as they are.
    Image,
}

/// MODE as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeCode {
    /// Stream.
    Stream,
    /// Deflate (draft-preston-ftpext-deflate): offered only where the operator wants it.
    Deflate,
}

/// A part of a file: its first byte, and one past its last (`None`: the end of the file).
pub type ByteRange = (u64, Option<u64>);

/// The argument of XCRC and its kin. Its end can be meant as a range or be part of a name: the whole is tried first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestArgs<'a> {
    /// How.
    pub algorithm: HashAlgorithm,
    /// The whole argument, or what stood in quotes.
    pub path: &'a [u8],
    /// The numbers behind quotes: from which byte, and one past the last.
    pub range: Option<ByteRange>,
    /// Without quotes: the path without the numbers at its end, and the range they mean.
    pub shorter: Option<(&'a [u8], ByteRange)>,
}

/// The argument of LIST, NLST and STAT: options that clients send as if to `ls`, then a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ListArgs<'a> {
    /// `-a` or `-A`: names that start with a dot too.
    pub hidden: bool,
    /// `-a`: `.` and `..` too.
    pub dots: bool,
    /// `-R`: the directories below too.
    pub recursive: bool,
    /// `-l` or `-1`, whichever came last: long lines or names only; `None`: as the verb has it.
    pub long: Option<bool>,
    /// The path, `None` for the current directory.
    pub path: Option<&'a [u8]>,
}

/// When a command may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// At any time.
    Nothing,
    /// Only after login, else 530.
    Login,
    /// Only after login, if it has an argument (STAT).
    LoginWithArgument,
}

/// What a verb's argument looks like and how it becomes a [`Command`].
pub(crate) enum Shape {
    /// No argument: blanks are fine, anything else is 501.
    None(Command<'static>),
    /// No argument, and whatever stands there is ignored.
    Ignored(Command<'static>),
    /// Everything after the first blank, even nothing.
    Raw(for<'a> fn(&'a [u8]) -> Command<'a>),
    /// A path: everything after the first blank, at least one byte.
    Path(for<'a> fn(&'a [u8]) -> Command<'a>),
    /// A path, or nothing.
    OptionalPath(for<'a> fn(Option<&'a [u8]>) -> Command<'a>),
    /// Options as if for `ls`, then a path; `None` when nothing stands there.
    Listing(for<'a> fn(Option<ListArgs<'a>>) -> Command<'a>),
    /// A form of its own.
    Own(for<'a> fn(&'a [u8]) -> Result<Command<'a>, CommandError>),
    /// Known, not offered: 502.
    NotOffered,
}

/// Reads one or more names: each in double quotes (doubled inside), or a word without blanks. `None` when a quote is not
/// closed, something is empty, or there are more than `most`.
pub fn names(argument: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let mut rest = argument.trim_ascii_start();
    while !rest.is_empty() {
        let (name, after) = if rest.first() == Some(&b'"') { quoted(rest)? } else { word(rest) };
        if name.is_empty() || names.len() == most {
            return None;
        }
        names.push(name);
        rest = after.trim_ascii_start();
    }
    Some(names)
}

fn word(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let (word, after) = verb_of(text);
    (word.to_vec(), after.unwrap_or_default())
}

/// Reads a name in quotes and what stands behind it; a blank or the end must follow.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut name = Vec::new();
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        match rest {
            [b'"', b'"', after @ ..] => {
                name.push(b'"');
                rest = after;
            }
            [b'"', after @ ..] if after.is_empty() || after.starts_with(b" ") => return Some((name, after)),
            [b'"', ..] | [] => return None,
            [byte, after @ ..] => {
                name.push(*byte);
                rest = after;
            }
        }
    }
}

/// One row of the command table.
pub struct CommandSpec {
    /// The verb, upper case.
    pub verb: &'static str,
    /// When it may be given.
    pub needs: Needs,
    /// The rights the account must have for the verb to be tried at all; some are checked again when the target is known.
    pub right: Rights,
    /// Whether it is offered.
    pub offer: Offer,
    pub(crate) shape: Shape,
    /// The FEAT line, empty when there is none (RFC 2389). MLST's is made from the session's facts.
    pub feature: &'static str,
    /// The syntax, for HELP.
    pub syntax: &'static str,
    /// Where it is defined.
    pub rfc: &'static str,
}

impl CommandSpec {
    /// Returns whether the command is offered where `extras` are switched on; if not it answers 502.
    pub const fn is_offered(&self, extras: Extras) -> bool {
        self.offer.is_on(extras)
    }
}

#[cfg(test)]
mod tests;
