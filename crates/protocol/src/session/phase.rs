use alloc::vec::Vec;

use tidegate_types::{Profile, Timestamp, VirtualPath};

use super::{DataRoute, RequestId};
use crate::command::{ListArgs, TypeCode};
use crate::listing::{FactSet, ListFormat};

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
    },
    SetTime(SetTime),
    Chmod,
    Facts(VirtualPath),
    Peek {
        path: VirtualPath,
        hidden: bool,
        dots: bool,
    },
    Passive {
        extended: bool,
    },
    Open(Opening),
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
    pub(super) what: OpeningWhat,
}

#[derive(Debug)]
pub(super) enum OpeningWhat {
    Download { offset: u64 },
    Upload { unique: bool },
    List { format: ListFormat, hidden: bool, dots: bool, argument: Vec<u8> },
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
    /// The drain ran out of time.
    Drained,
    /// The control connection is gone.
    PeerGone,
}

/// What the client has set; all of it is forgotten by USER and REIN.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) type_code: TypeCode,
    pub(super) facts: FactSet,
    pub(super) restart: u64,
    pub(super) rename_from: Option<VirtualPath>,
    pub(super) route: Option<DataRoute>,
    pub(super) only_epsv: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            type_code: TypeCode::Ascii, // RFC 959 §5.1
            facts: FactSet::ALL,
            restart: 0,
            rename_from: None,
            route: None,
            only_epsv: false,
        }
    }
}

impl OpeningWhat {
    /// Returns a LIST or NLST as asked for.
    pub(super) fn list(format: ListFormat, args: ListArgs<'_>) -> Self {
        Self::List {
            format,
            hidden: args.hidden,
            dots: args.dots,
            argument: args.path.unwrap_or_default().to_vec(),
        }
    }
}
