use serde::{Deserialize, Serialize};

use crate::host::{LimitRow, ReloadReport};

/// How the server is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the program.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// The configuration file; `None`: it was started without one.
    pub config: Option<String>,
    /// When the server started, in seconds since 1970.
    pub started_at: u64,
    /// How long it has run.
    pub uptime_seconds: f64,
    /// Whether a newcomer would find a place.
    pub ready: bool,
    /// Why not: `draining`, `overloaded` or `full`.
    pub not_ready: Option<String>,
    /// What cannot be done although it is configured, one sentence each.
    pub complaints: Vec<String>,
    /// Where it listens, in the order of the configuration.
    pub listeners: Vec<ListenerRow>,
    /// Connections as an ordinary newcomer finds them: the reserve is not among them.
    pub connections: PoolRow,
    /// Connections that are not logged in.
    pub unauthenticated: PoolRow,
    /// TLS handshakes under way.
    pub handshakes: PoolRow,
    /// Transfers under way.
    pub transfers: PoolRow,
    /// Connections in reserved places.
    pub reserved: u32,
    /// Addresses (IPv6: /64s) they come from.
    pub addresses: u64,
    /// Sessions inside.
    pub sessions: u64,
    /// Sessions that were let in since the start.
    pub sessions_served: u64,
    /// Sessions logged in, the anonymous ones included.
    pub logged_in: u32,
    /// Of these, anonymous ones.
    pub anonymous: u32,
    /// Accounts in use, all anonymous ones as one.
    pub accounts: u64,
    /// Newcomers in the waiting room.
    pub waiting: u32,
    /// Bans that last.
    pub bans: u64,
    /// Ports for data connections.
    pub passive_ports: PortsRow,
    /// How the machine is.
    pub overload: OverloadRow,
    /// Refusals since the start by cause, those that happened at least once.
    pub refusals: Vec<CauseRow>,
    /// What limits under trial would have refused, likewise.
    pub shadow_refusals: Vec<CauseRow>,
    /// Refused clients who may not have read their line.
    pub unspoken: u64,
    /// Logins since the start by result.
    pub logins: Vec<LoginRow>,
    /// Transfers since the start.
    pub transfers_ended: TransfersRow,
    /// Bytes sent over data connections since the start, those of running transfers included.
    pub bytes_sent: u64,
    /// Bytes received, likewise.
    pub bytes_received: u64,
    /// The drain that is planned or under way.
    pub drain: Option<DrainStatus>,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListenerRow {
    /// Where it listens.
    pub address: String,
    /// The connections that came to it.
    pub connections: PoolRow,
}

/// One pool that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolRow {
    /// How many there are.
    pub in_use: u32,
    /// How many there may be; `None`: no such limit.
    pub limit: Option<u32>,
    /// How long it was full since the start.
    pub full_seconds: f64,
}

/// Ports for data connections, of all listeners together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortsRow {
    /// Leased.
    pub leased: u64,
    /// In all.
    pub total: u64,
}

/// How the machine is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverloadRow {
    /// The worst level: `calm`, `busy`, `strained` or `full`.
    pub level: String,
    /// Whose level that is; `None`: all is calm.
    pub signal: Option<String>,
    /// How long the level was `full` since the start.
    pub full_seconds: f64,
    /// Every signal.
    pub signals: Vec<SignalRow>,
}

/// One signal of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalRow {
    /// Which.
    pub signal: String,
    /// Its level.
    pub level: String,
    /// The last reading: 1 is what closes the house.
    pub load: f64,
}

/// How often one cause was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseRow {
    /// The word of `[cause=…]`.
    pub cause: String,
    /// How often since the start.
    pub count: u64,
}

/// How often logins ended so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRow {
    /// `accepted`, `denied`, `banned` or `unavailable`.
    pub result: String,
    /// How often since the start.
    pub count: u64,
}

/// How transfers ended since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransfersRow {
    /// Finished.
    pub completed: u64,
    /// Broke, failed, or were aborted by their client.
    pub failed: u64,
    /// Cut by a drain or an operator.
    pub cut: u64,
}

/// How far a drain is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// Whether it has begun; else it is planned.
    pub begun: bool,
    /// Time until it begins; zero once it has begun.
    pub begins_in_seconds: f64,
    /// Time until what still runs is cut.
    pub ends_in_seconds: f64,
    /// Time for which the door says 421 at least, also when nobody is inside any more.
    pub open_seconds: f64,
    /// What clients are told.
    pub message: Option<String>,
    /// Sessions inside.
    pub sessions: u64,
    /// Transfers under way.
    pub transfers: u64,
    /// Bytes they have moved so far.
    pub bytes: u64,
}

/// Who is inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionsAnswer {
    /// By number.
    pub sessions: Vec<SessionRow>,
    /// What to give as `after` for the next page; `None`: this was the last.
    pub next: Option<u64>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its number, as in the log and for `kick`.
    pub id: u64,
    /// Where it comes from: address and port.
    pub peer: String,
    /// The number of the listener it came to, from 0.
    pub listener: u64,
    /// The address of that listener.
    pub listening_on: String,
    /// Who it is: an account or `anonymous`; `None` before the login.
    pub account: Option<String>,
    /// How long it has been inside.
    pub age_seconds: f64,
    /// How long its client has done nothing.
    pub idle_seconds: f64,
    /// What it is doing: `logging-in`, `idle`, `download`, `upload`, `list`, `leaving`, or the kind of a command under way.
    pub doing: String,
    /// The transfer under way.
    pub transfer: Option<TransferRow>,
    /// Bytes sent over its data connections.
    pub bytes_sent: u64,
    /// Bytes received over its data connections.
    pub bytes_received: u64,
}

/// A transfer under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferRow {
    /// `download`, `upload` or `list`.
    pub direction: String,
    /// What, as the client sees it; hostile bytes escaped.
    pub path: String,
    /// Bytes moved so far.
    pub bytes: u64,
    /// Since when.
    pub age_seconds: f64,
    /// How fast, over the last seconds.
    pub bytes_per_second: u64,
}

/// What would happen to an address or account now, and who is in its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyReport {
    /// The address, when one was asked about.
    pub address: Option<String>,
    /// The account, when one was asked about; `anonymous` for all of them.
    pub account: Option<String>,
    /// Where the login would come from.
    pub from: Option<String>,
    /// Whether there is such an account; `None` for an address.
    pub account_exists: Option<bool>,
    /// By listener, in the order of the configuration; one without a listener for an account.
    pub answers: Vec<WhyAnswer>,
    /// Sessions that hold the places of the subject, the oldest first; not all when there are many.
    pub holders: Vec<SessionRow>,
    /// How many hold them in all.
    pub held: u64,
    /// Bans that last and concern the subject, at most 100; `bans` lists all.
    pub bans: Vec<BanRow>,
}

/// What would happen at one listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyAnswer {
    /// Which listener; `None` for an account.
    pub listener: Option<String>,
    /// `admit`, `wait`, `reclaim`, `refuse` (421), `deny` (530), `drop` (closed without a word) or `no-account` (530 to every
    /// password).
    pub outcome: String,
    /// The rule that decides, as the key of the configuration; `None`: nothing refuses.
    pub rule: Option<String>,
    /// The cause it refuses with.
    pub cause: Option<String>,
    /// What the machine has too little of, when it is overloaded.
    pub signal: Option<String>,
    /// When to try again; without the jitter a client is told.
    pub retry_seconds: Option<u32>,
    /// How long its greeting would be held at most; only of `wait`.
    pub hold_seconds: Option<f64>,
    /// The line the client would read, without its line end and the jitter of its retry (of `wait`: when there is no place by the
    /// end of it); `None`: it is not refused, or without a word.
    pub line: Option<String>,
    /// Every rule, in the order they are tried.
    pub checks: Vec<CheckRow>,
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckRow {
    /// The key of the configuration, or what stands for it.
    pub rule: String,
    /// The cause it would refuse with.
    pub cause: String,
    /// The worst signal of the machine, for `overload`.
    pub signal: Option<String>,
    /// How many there are; 0 where counting makes no sense.
    pub in_use: u32,
    /// How many are allowed; `None`: no such limit, or counting makes no sense.
    pub limit: Option<u32>,
    /// Whether it refuses.
    pub refuses: bool,
    /// In how many seconds it is expected to refuse no more; `None`: it does not refuse, or for ever.
    pub frees_after_seconds: Option<u32>,
}

/// Every key in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsAnswer {
    /// In the order of the manual.
    pub limits: Vec<LimitRow>,
}

/// Bans that last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BansAnswer {
    /// In no particular order.
    pub bans: Vec<BanRow>,
    /// What to give as `cursor` for the next page; `None`: this was the last.
    pub next: Option<u64>,
}

/// One ban.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BanRow {
    /// Whom: an IPv4 address or an IPv6 /64.
    pub address: String,
    /// The only name that is banned from there; `None`: the whole address is.
    pub name: Option<String>,
    /// Why: `login-failures`, `flood` or `operator`.
    pub reason: String,
    /// How much of it is left.
    pub remaining_seconds: f64,
    /// How long it is in all.
    pub length_seconds: f64,
    /// How many bans in a row it is.
    pub level: u8,
}

/// An address was banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanAnswer {
    /// Whom: an IPv4 address or an IPv6 /64.
    pub address: String,
    /// For how long.
    pub seconds: u64,
}

/// An address is banned no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbanAnswer {
    /// Whom: an IPv4 address or an IPv6 /64.
    pub address: String,
    /// How many bans that ended; 0: there was none.
    pub ended: u64,
}

/// A session ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KickAnswer {
    /// Its number.
    pub id: u64,
    /// In how many seconds its client was told to come back.
    pub retry: u32,
}

/// What a reload changed.
pub type ReloadAnswer = ReloadReport;

/// A drain is planned or has begun.
pub type DrainAnswer = DrainStatus;

/// A drain was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeAnswer {
    /// Whether newcomers find a place again; else something else is in their way.
    pub ready: bool,
}
