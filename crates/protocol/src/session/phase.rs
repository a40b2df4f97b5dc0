use alloc::vec::Vec;
use core::time::Duration;

use tidegate_types::{Profile, Timestamp, VirtualPath};

use super::{DataRoute, RequestId, StorageRequest};
use crate::command::{ByteRange, HashAlgorithm, TypeCode};
use crate::listing::{FactSet, ListFormat};
use crate::reply::Reason;

/// Where a session stands. Everything that is only set in one phase lives inside it.
#[derive(Debug)]
pub(super) enum Phase {
    /// Admitted, the greeting is not said yet.
    Greeting,
    /// Nobody is logged in.
    NeedUser,
    /// A name was given.
    NeedPassword { user: Vec<u8> },
    /// Name and password are being checked.
    Checking { request: RequestId },
    /// They are right; the gate is asked for one more connection of the account.
    Entering { request: RequestId, profile: Profile },
    /// Logged in, nothing runs.
    Ready,
    /// Storage or the passive ports were asked.
    Asking { request: RequestId, pending: Pending },
    /// A transfer runs.
    Transferring(Transfer),
    /// The last line was said.
    Closing,
}

/// What will be said when the answer comes.
#[derive(Debug)]
pub(super) enum Pending {
    Enter(VirtualPath),
    MakeDirectory(VirtualPath),
    Remove,
    RenameSource(VirtualPath),
    RenameTarget,
    Size,
    /// MDTM; when the file is missing and the argument reads as `time path`, the time is set instead.
    Time {
        setter: Option<SetTime>,
        /// Whether the argument begins like a time that no calendar has.
        malformed: bool,
    },
    SetTime(SetTime),
    /// SITE CHMOD, UTIME, CHGRP, SYMLINK: what is said when it is done.
    Change(Reason),
    /// MFF: the mode is being set, or the time after it.
    ChangeFacts {
        path: VirtualPath,
        written: Vec<u8>,
        time: Option<Timestamp>,
    },
    /// SITE MKDIR: so many levels of the path are being made.
    MakeWay {
        path: VirtualPath,
        levels: usize,
    },
    CopySource(VirtualPath),
    /// A long job: it has no answer timeout as long as it tells that it goes on.
    Job(Job),
    Available {
        quota: bool,
    },
    WallTime,
    Facts(VirtualPath),
    Peek {
        path: VirtualPath,
        hidden: bool,
        dots: bool,
    },
    Passive {
        extended: bool,
    },
    /// The gate is asked for a place for the transfer.
    Place {
        what: StorageRequest,
        opening: Opening,
    },
    Open(Opening),
}

impl Pending {
    /// Returns whether it may take minutes: a job, or the search for what a pattern matches.
    pub(super) const fn is_long(&self) -> bool {
        match self {
            Self::Job(_) => true,
            Self::Open(opening) => matches!(&opening.what, OpeningWhat::List { typed: Some(_), .. }),
            _ => false,
        }
    }
}

/// What a long job says when it is done.
#[derive(Debug)]
pub(super) enum Job {
    Digest(Digest),
    /// RMDA, SITE CPTO, SITE COPY, COMB.
    Change(Reason),
}

/// A digest under way.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) algorithm: HashAlgorithm,
    pub(super) form: DigestForm,
    /// The path as the client wrote it.
    pub(super) written: Vec<u8>,
    /// What the argument means when no file has the whole of it as its name.
    pub(super) shorter: Option<(VirtualPath, ByteRange)>,
}

/// How a digest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DigestForm {
    /// HASH: 213 with algorithm, range and path.
    Hash,
    /// XCRC and its kin: 250 with the digest.
    Bare,
    /// MD5: 251 with path and digest.
    Md5,
}

/// A modification time to set, and how the client wrote it.
#[derive(Debug)]
pub(super) struct SetTime {
    pub(super) path: VirtualPath,
    pub(super) time: Timestamp,
    pub(super) written: Vec<u8>,
}

/// A transfer that waits for storage to open its file. It keeps all it needs: later commands cannot change it.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) route: DataRoute,
    pub(super) ascii: bool,
    pub(super) deflate: Option<u8>,
    pub(super) what: OpeningWhat,
}

#[derive(Debug)]
pub(super) enum OpeningWhat {
    Download(Window),
    Upload {
        unique: bool,
        end_max: Option<u64>,
    },
    List {
        format: ListFormat,
        hidden: bool,
        dots: bool,
        recursive: bool,
        argument: Vec<u8>,
        /// The argument up to its first wildcard's level; `None` where it is no pattern.
        typed: Option<Vec<u8>>,
    },
}

/// The part of a file that REST or RANG selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: u64,
    /// One past the last byte; `None`: the end of the file.
    pub(super) end: Option<u64>,
}

/// A running transfer.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) direction: Direction,
    /// Why it is being cut, once it is.
    pub(super) cut: Option<CutReason>,
    /// STATs that wait for the progress.
    pub(super) stats_waiting: u32,
    /// Whether the progress is asked for to see if it stalls.
    pub(super) checks_stall: bool,
}

impl Transfer {
    pub(super) const fn new(direction: Direction) -> Self {
        Self { direction, cut: None, stats_waiting: 0, checks_stall: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Download,
    Upload,
    Listing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutReason {
    /// ABOR.
    Asked,
    /// No byte moved in time.
    Stalled,
    /// The data connection did not open in time.
    NotOpened,
    /// The session has to end now.
    Leaving,
    /// The control connection is gone.
    PeerGone,
}

/// What the client has set; all of it is forgotten by USER, REIN and HOST.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) type_code: TypeCode,
    pub(super) facts: FactSet,
    pub(super) algorithm: HashAlgorithm,
    pub(super) window: Window,
    pub(super) rename_from: Option<VirtualPath>,
    pub(super) copy_from: Option<VirtualPath>,
    pub(super) route: Option<DataRoute>,
    pub(super) only_epsv: bool,
    /// The level of MODE Z while it is on.
    pub(super) deflate: Option<u8>,
    /// The level MODE Z takes.
    pub(super) level: u8,
    /// Permission bits that new files and directories do not get (SITE UMASK).
    pub(super) umask: u32,
    /// The idle time the client asked for (SITE IDLE).
    pub(super) idle: Option<Duration>,
}

/// The level of MODE Z until the client chooses one: zlib's own default.
const LEVEL: u8 = 6;

impl Default for Parameters {
    fn default() -> Self {
        Self {
            type_code: TypeCode::Ascii, // RFC 959 §5.1
            facts: FactSet::ALL,
            algorithm: HashAlgorithm::default(),
            window: Window::default(),
            rename_from: None,
            copy_from: None,
            route: None,
            only_epsv: false,
            deflate: None,
            level: LEVEL,
            umask: 0,
            idle: None,
        }
    }
}
