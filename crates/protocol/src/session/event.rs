use core::net::IpAddr;

use alloc::sync::Arc;
use alloc::vec::Vec;
use tidegate_types::{
    Access, Cut, Entry, Metadata, Moment, Profile, Refusal, StorageErrorKind, Timestamp, VirtualPath,
};

/// Ties an answer to the action that asked for it; a stale answer is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RequestId(pub u32);

/// What happened, told to the session by the shell, one at a time and in order.
#[derive(Debug)]
pub enum Event<'a> {
    /// The connection was admitted; the greeting is due.
    Opened,
    /// A line arrived, without its end and with Telnet bytes already stripped.
    Line(&'a [u8]),
    /// A line was longer than allowed and was thrown away up to its end (DESIGN §6.5).
    LineTooLong,
    /// 64 KiB arrived without a line end, or a TLS handshake began: this is not FTP.
    LineEndless,
    /// Answers [`Action::CheckLogin`](super::Action::CheckLogin).
    LoginAnswered(RequestId, LoginAnswer),
    /// Answers [`Action::AskGate`](super::Action::AskGate), for a login or a transfer; the shell holds the permit.
    GateAnswered(RequestId, Result<(), Refusal>),
    /// Answers [`Action::Storage`](super::Action::Storage); the shell holds what was opened.
    StorageAnswered(RequestId, Result<StorageDone, StorageErrorKind>),
    /// The long job under way (a digest, a copy, the removal of a tree) goes on. Sent every few seconds; without it the
    /// session gives the job up.
    StorageBusy(RequestId),
    /// Answers [`Action::AskWallTime`](super::Action::AskWallTime), at once.
    WallTimeTold(RequestId, Timestamp),
    /// Answers [`Action::OpenPassive`](super::Action::OpenPassive).
    PassiveOpened(RequestId, Result<PassiveEnd, PassiveError>),
    /// The data connection of the running transfer stands.
    DataOpened,
    /// Answers [`Action::AskProgress`](super::Action::AskProgress), at once.
    Progress(Progress),
    /// The running transfer is over: bytes sent or committed, or whatever stopped it.
    TransferEnded(TransferEnd),
    /// Time has passed; due deadlines fire. Sent when [`next_deadline`](super::ServerSession::next_deadline) is reached.
    Tick,
    /// The session has to end at the next safe point, when it owes no reply and moves no bytes; the last one told counts.
    LeaveSoon(Farewell),
    /// The session has to end now: what runs is cut.
    LeaveNow(Farewell),
    /// A drain was called off: the session need not leave for it any more.
    Stay,
    /// The machine is under pressure, or not any more: the deadlines for login, idle time and data are so many percent of
    /// what is configured, those that run included, and at least a second.
    Pressed(u32),
    /// The client closed its side of the control connection.
    PeerClosed,
}

/// Why a session has to end, and what its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// The cause, and when to come back.
    pub refusal: Refusal,
    /// When the cause ends: the retry is counted from the moment it is said. `None`: the refusal's own stands.
    pub until: Option<Moment>,
    /// What the operator wants to say besides; printable ASCII.
    pub message: Option<Arc<str>>,
}

impl Farewell {
    /// Returns the farewell that says `refusal` as it is.
    pub const fn new(refusal: Refusal) -> Self {
        Self { refusal, until: None, message: None }
    }

    /// Returns the refusal as it is said at `now`.
    pub(super) fn at(&self, now: Moment) -> Refusal {
        let left = self.until.map(|until| {
            let left = until.since(now);
            let whole = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            u32::try_from(whole.max(1)).unwrap_or(u32::MAX)
        });
        Refusal { retry_after_secs: left.unwrap_or(self.refusal.retry_after_secs).max(1), ..self.refusal }
    }
}

/// What came of a name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginAnswer {
    /// They are right, and the home is open.
    Accepted(Profile),
    /// They are wrong.
    Denied {
        /// When that was one failure too many: what to say before the connection closes.
        ban: Option<Refusal>,
    },
    /// The name may not be tried from there for now; the password was not looked at.
    Banned(Refusal),
    /// They may be right, but the home cannot be opened or the check cannot be made now.
    Unavailable,
}

/// What storage did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageDone {
    /// It is done, nothing to tell.
    Done,
    /// The facts asked for.
    Metadata(Metadata),
    /// The facts of one file and of its place.
    Facts {
        /// The file.
        about: Metadata,
        /// What the process may do with the directory that holds it; nothing for the root.
        parent: Access,
    },
    /// A file is open for download; the shell holds it.
    Download {
        /// Its whole size in bytes.
        size: u64,
    },
    /// An upload is open; the shell holds it.
    Upload {
        /// The target, with the name that was chosen for STOU.
        path: VirtualPath,
    },
    /// A directory, or one file as its only entry, is open for listing; the shell holds it.
    Listing {
        /// Whether it is one file.
        single: bool,
    },
    /// The pattern matches something; the matches are open for listing, the shell holds them.
    Matches,
    /// So many bytes may still be stored.
    Available(u64),
    /// A digest.
    Hashed {
        /// The digest, most significant byte first.
        digest: Vec<u8>,
        /// The first byte it covers.
        from: u64,
        /// One past the last.
        to: u64,
    },
    /// The first entries of a directory, for STAT.
    Entries {
        /// The directory itself, or the file when it is one.
        about: Metadata,
        /// What it holds; empty for a file.
        entries: Vec<Entry>,
        /// Whether there are more.
        truncated: bool,
        /// The wall-clock time, which decides how times are written.
        now: Timestamp,
    },
}

/// Where the client shall connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassiveEnd {
    /// The address to tell; for EPSV only the port matters.
    pub address: IpAddr,
    /// The leased port.
    pub port: u16,
}

/// Why there is no passive port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassiveError {
    /// All ports of the range are leased; when to try again.
    NoFreePort(Refusal),
    /// The system refused to listen.
    Failed,
}

/// How far the running transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes moved over the data connection so far.
    pub bytes: u64,
    /// When the last of them moved, or the data connection opened; `now` while a finished upload is being committed.
    pub last_at: Moment,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEnd {
    /// Everything was sent, or received and committed.
    Completed {
        /// Bytes moved over the data connection.
        bytes: u64,
    },
    /// A listing stopped at the bound on `-R` or a pattern; what was sent is whole lines.
    Bounded {
        /// Bytes moved over the data connection.
        bytes: u64,
    },
    /// The data connection never opened.
    NoConnection,
    /// The data connection broke.
    ConnectionLost(Option<Cut>),
    /// It was aborted as asked.
    Aborted(Option<Cut>),
    /// Storage failed.
    StorageFailed(StorageErrorKind, Option<Cut>),
}
