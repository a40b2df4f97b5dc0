//! Commands: one table drives dispatch, HELP, FEAT and the checks that every command must pass (RFC 959 §4.1, §5.3).

mod parse;
mod table;

use core::net::SocketAddr;

use tidegate_types::{Rights, Timestamp};

use crate::address::EpsvArg;

pub use parse::{CommandError, is_http_verb, lookup, parse, verb_of};
pub use table::{SITE, TABLE};

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
    /// MODE S.
    Mode,
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
    /// SYST.
    Syst,
    /// FEAT.
    Feat,
    /// OPTS UTF8 ON and its older forms.
    OptsUtf8,
    /// OPTS MLST with a list of facts.
    OptsMlst(&'a [u8]),
    /// HELP, or for one command.
    Help(Option<&'a [u8]>),
    /// NOOP.
    Noop,
    /// SITE HELP.
    SiteHelp,
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

/// The argument of LIST, NLST and STAT: options that clients send as if to `ls`, then a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ListArgs<'a> {
    /// `-a` or `-A`: names that start with a dot too.
    pub hidden: bool,
    /// `-a`: `.` and `..` too.
    pub dots: bool,
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

/// One row of the command table.
pub struct CommandSpec {
    /// The verb, upper case.
    pub verb: &'static str,
    /// When it may be given.
    pub needs: Needs,
    /// The rights the account must have for the verb to be tried at all; some are checked again when the target is known.
    pub right: Rights,
    pub(crate) shape: Shape,
    /// The FEAT line, empty when there is none (RFC 2389). MLST's is made from the session's facts.
    pub feature: &'static str,
    /// The syntax, for HELP.
    pub syntax: &'static str,
    /// Where it is defined.
    pub rfc: &'static str,
}

impl CommandSpec {
    /// Returns whether the command is offered; if not it answers 502.
    pub const fn is_offered(&self) -> bool {
        !matches!(self.shape, Shape::NotOffered)
    }
}

#[cfg(test)]
mod tests;
