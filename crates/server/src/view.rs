//! What can be seen of a running server, and ordered: plain values for the rooms above.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use tidegate_admission::{
    Ban, BanPage, BanReason, BanRecord, Check, Drain, Explanation, Gauge, Level, Occupancy, Outcome, Rule,
};
pub use tidegate_protocol::reply::{Reason, denied_line, refusal_line_with, write as reply_line};
use tidegate_types::{AccountName, Cause};

/// One session, as of the moment it was asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// Its number, as in the log and for `kick`.
    pub id: u64,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The number of the listener it came to, from 0.
    pub listener: usize,
    /// The address of that listener.
    pub listening_on: SocketAddr,
    /// Who it is: an account or `anonymous`; `None` before the login.
    pub account: Option<String>,
    /// How long it has been inside.
    pub age: Duration,
    /// How long its client has done nothing; zero while something is under way.
    pub idle: Duration,
    /// What it is doing.
    pub doing: Doing,
    /// Bytes sent over its data connections, those of the running transfer included.
    pub bytes_sent: u64,
    /// Bytes received over its data connections, likewise.
    pub bytes_received: u64,
}

/// What a session is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Doing {
    /// It has not logged in.
    LoggingIn,
    /// It waits for a command.
    Idle,
    /// A command is under way, named by its kind: `storage`, `digest`, `passive`, `login`.
    Working(&'static str),
    /// A transfer is under way.
    Moving(Moving),
    /// It says its last words.
    Leaving,
}

impl Doing {
    /// Returns the word for tables and JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LoggingIn => "logging-in",
            Self::Idle => "idle",
            Self::Working(what) => what,
            Self::Moving(moving) => moving.verb.as_str(),
            Self::Leaving => "leaving",
        }
    }
}

/// A transfer under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Moving {
    /// Which way.
    pub verb: TransferVerb,
    /// What, as the client sees it; hostile bytes escaped.
    pub path: String,
    /// Bytes moved so far.
    pub bytes: u64,
    /// Since when.
    pub age: Duration,
    /// Bytes a second, over the last seconds (of a young transfer: since its beginning).
    pub rate: u64,
}

/// Which way a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferVerb {
    /// A file to the client.
    Download,
    /// A file from the client.
    Upload,
    /// A listing.
    List,
}

impl TransferVerb {
    /// Returns the word for logs, tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::List => "list",
        }
    }
}

/// Whom `why` asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The next connection from here.
    Address(IpAddr),
    /// The next login of this account (`anonymous` for all of them), from `from` or from nowhere in particular.
    Account {
        /// The account; `None`: anonymous.
        account: Option<AccountName>,
        /// From where; decides only about bans on the name.
        from: Option<IpAddr>,
    },
}

/// What would happen to the subject now, and who is in its way.
#[derive(Clone, Debug)]
pub struct Why {
    /// By listener, in the order of the configuration: what its next connection would be told. One entry without a listener for
    /// an account.
    pub answers: Vec<(Option<SocketAddr>, Explanation)>,
    /// Sessions that hold the places the subject would need (of its address, of the listener, of the server, or not logged in:
    /// as the deciding rule says), the oldest first; at most [`HOLDERS_MAX`].
    pub holders: Vec<SessionView>,
    /// How many hold them in all.
    pub held: usize,
    /// Bans that last and concern the subject.
    pub bans: Vec<BanRecord>,
    /// Whether there is such an account; `None` for an address.
    pub account_exists: Option<bool>,
}

/// How many holders `why` names.
pub const HOLDERS_MAX: usize = 20;

/// How a drain shall go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainOrder {
    /// What transfers get to finish, from its beginning on.
    pub deadline: Duration,
    /// What is told to clients; printable ASCII, without `Too many connections`.
    pub message: Option<String>,
    /// When it begins, from now on; zero: now.
    pub delay: Duration,
    /// Whether the door stays open to say 421 until the deadline, also when nobody is inside any more.
    pub stay: bool,
}

/// How far a drain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainView {
    /// Time until it begins; zero once it has begun.
    pub begins_in: Duration,
    /// Time until what still runs is cut.
    pub ends_in: Duration,
    /// Time for which the door says 421 at least, also when nobody is inside any more; counted from the beginning.
    pub open_for: Duration,
    /// What is told to clients.
    pub message: Option<String>,
    /// Sessions inside.
    pub sessions: u64,
    /// Transfers under way.
    pub transfers: u64,
    /// Bytes they have moved so far.
    pub bytes: u64,
}

/// What a running server takes over from a changed configuration; nobody inside is sent away.
#[derive(Debug)]
pub struct Reconfiguration {
    /// The text of the 220 greeting of new sessions.
    pub greeting: String,
    /// Of new sessions.
    pub timeouts: crate::Timeouts,
    /// At once; who is above a smaller limit stays.
    pub limits: crate::Limits,
    /// For new logins.
    pub accounts: tidegate_accounts::Accounts,
    /// Of new sessions.
    pub extras: crate::Extras,
    /// Of new sessions.
    pub mode_z: bool,
    /// Of new sessions.
    pub file_bytes_max: Option<u64>,
    /// Of new sessions.
    pub command_rate: Option<crate::Rate>,
}

/// Everything that is counted, as of one moment: a fixed size, and one row a listener.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the gate holds and counted.
    pub gate: tidegate_admission::Snapshot,
    /// What the door counted.
    pub door: tidegate_net::DoorwayCounts,
    /// How long the server has run.
    pub uptime: Duration,
    /// Whether a newcomer would find a place: what `/readyz` says.
    pub ready: bool,
    /// Addresses listened on, in the order of the configuration.
    pub listening_on: Arc<[SocketAddr]>,
    /// Sessions inside.
    pub sessions: u64,
    /// Sessions that were let in since the start.
    pub sessions_served: u64,
    /// Transfers under way.
    pub transfers: u64,
    /// Transfers that ended since the start: completed, failed, cut by a drain or an operator.
    pub transfers_ended: [(&'static str, u64); 3],
    /// Bytes sent over data connections since the start, those of running transfers included.
    pub bytes_sent: u64,
    /// Bytes received, likewise.
    pub bytes_received: u64,
    /// Logins since the start: accepted, denied, banned (a name that may not be tried), unavailable.
    pub logins: [(&'static str, u64); 4],
    /// Refusals since the start, at the door and of sessions, by cause.
    pub refused: Vec<(Cause, u64)>,
    /// Final and preliminary replies since the start by code, those that were said at least once.
    pub replies: Vec<(u16, u64)>,
    /// How long things took.
    pub latencies: Vec<(Latency, HistogramView)>,
    /// Passive ports: leased and in all, of every pool.
    pub passive_ports: (u64, u64),
    /// The drain that is planned or under way.
    pub drain: Option<DrainView>,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Latency {
    /// From a command line to its reply, transfers excepted.
    Command,
    /// From PASS to its reply, before failures are padded.
    Login,
    /// A request to storage, long jobs excepted.
    Storage,
    /// From 150 to the final reply.
    Transfer,
}

impl Latency {
    /// Every one, for tables.
    pub const ALL: [Self; 4] = [Self::Command, Self::Login, Self::Storage, Self::Transfer];

    /// Returns the word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Login => "login",
            Self::Storage => "storage",
            Self::Transfer => "transfer",
        }
    }
}

/// A histogram: how many took at most so long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramView {
    /// Upper bound in seconds and how many fell into the bucket, not cumulative; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// The sum in seconds.
    pub sum: f64,
    /// How many.
    pub count: u64,
}
