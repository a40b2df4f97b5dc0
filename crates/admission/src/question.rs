use alloc::vec::Vec;
use core::net::IpAddr;

use tidegate_types::{AccountName, Cause, Moment, Refusal, SignalKind};

use crate::PermitId;

/// Under which name a login is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountKey {
    /// One configured account.
    Named(AccountName),
    /// All anonymous sessions together.
    Anonymous,
}

/// What somebody wants to do. IPv4-mapped addresses count as IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Open a control connection.
    Connection {
        /// Where it comes from.
        address: IpAddr,
        /// Where it arrives: the number of the listener.
        listener: u16,
    },
    /// Do the TLS handshake of a control connection.
    Handshake {
        /// Who.
        address: IpAddr,
    },
    /// Use an account, its password being right.
    Login {
        /// Whose.
        account: AccountKey,
        /// How many sessions it may have; `None`: no such limit.
        limit: Option<u32>,
        /// From where.
        address: IpAddr,
    },
    /// Move a file or a listing.
    Transfer {
        /// Who.
        address: IpAddr,
    },
    /// Lease a port for a data connection. The ports themselves are the caller's.
    PassivePort {
        /// Who.
        address: IpAddr,
        /// From which range, as the caller numbers them from 0 on: listeners that share a range share its number, since they share what
        /// comes back to it.
        range: u16,
        /// How many ports the range has; the question is refused when `leased` reaches them.
        ports: u32,
        /// How many of them are leased.
        leased: u32,
    },
}

impl Question {
    /// Asks for a control connection from `address` to `listener`.
    pub const fn connection(address: IpAddr, listener: u16) -> Self {
        Self::Connection { address, listener }
    }

    /// Asks for one more session of `account`, which may have `limit`, from `address`.
    pub const fn login(account: AccountKey, limit: Option<u32>, address: IpAddr) -> Self {
        Self::Login { account, limit, address }
    }

    /// Returns who asks.
    pub const fn address(&self) -> IpAddr {
        match self {
            Self::Connection { address, .. }
            | Self::Handshake { address }
            | Self::Login { address, .. }
            | Self::Transfer { address }
            | Self::PassivePort { address, .. } => *address,
        }
    }
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an admitted permit that is dropped is never released"]
pub enum Decision {
    /// Come in; give the permit back when the last byte is done.
    Admit(PermitId),
    /// Hold the greeting until then; [`Engine::poll_grant`](crate::Engine::poll_grant) tells how it ended.
    Wait(TicketId, Moment),
    /// End the session of this permit with `reclaimed`, then ask again.
    Reclaim(PermitId),
    /// Not now.
    Refuse(Refusal),
    /// Never: tell so and close.
    Deny,
    /// Close without a word; it is counted under the cause.
    Drop(Cause),
}

/// A place in the waiting room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketId(pub(crate) u64);

impl TicketId {
    /// Returns the number, for callers that keep it elsewhere.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Returns the ticket of a number; one that was never given out belongs to nobody.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an admitted permit that is dropped is never released"]
pub struct Grant {
    /// Whose wait.
    pub ticket: TicketId,
    /// Never [`Decision::Wait`] or [`Decision::Reclaim`].
    pub decision: Decision,
}

/// The rules, in the order they are tried. Each question has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// `limits.allow` and `limits.deny`.
    Denied,
    /// A ban on the address.
    Banned,
    /// A drain.
    Draining,
    /// `[overload]`.
    Overloaded,
    /// `limits.connection_rate_per_address`.
    RateOfAddress,
    /// `listener.connection_rate`.
    RateOfListener,
    /// `limits.connections_per_address`.
    Address,
    /// `limits.connections_unauthenticated`.
    Unauthenticated,
    /// `listener.connections`.
    Listener,
    /// `limits.connections`, minus the reserve.
    Server,
    /// Handshakes under way.
    Handshakes,
    /// A ban on the name from this address.
    Name,
    /// `account.max_connections`.
    Account,
    /// `limits.transfers_per_address`.
    TransfersOfAddress,
    /// `limits.transfers`.
    Transfers,
    /// Free ports for data connections.
    Ports,
}

impl Rule {
    /// Returns the key of the configuration, or what stands for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "limits.allow/deny",
            Self::Banned => "ban of the address",
            Self::Draining => "drain",
            Self::Overloaded => "overload",
            Self::RateOfAddress => "limits.connection_rate_per_address",
            Self::RateOfListener => "listener.connection_rate",
            Self::Address => "limits.connections_per_address",
            Self::Unauthenticated => "limits.connections_unauthenticated",
            Self::Listener => "listener.connections",
            Self::Server => "limits.connections",
            Self::Handshakes => "handshakes",
            Self::Name => "ban of the name from the address",
            Self::Account => "account.max_connections",
            Self::TransfersOfAddress => "limits.transfers_per_address",
            Self::Transfers => "limits.transfers",
            Self::Ports => "listener.passive_ports",
        }
    }
}

/// What one rule says to a question at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub rule: Rule,
    /// The cause it would refuse with.
    pub cause: Cause,
    /// The worst signal, for [`Rule::Overloaded`]; `None` while all is calm.
    pub signal: Option<SignalKind>,
    /// How many there are; 0 where counting makes no sense.
    pub in_use: u32,
    /// How many are allowed; `None` where counting makes no sense or no limit is set.
    pub limit: Option<u32>,
    /// Whether it refuses.
    pub refuses: bool,
    /// In how many seconds it is expected to refuse no more, when it refuses now; `None`: it does not refuse, or for ever.
    pub frees_after_secs: Option<u32>,
}

/// What [`Engine::ask`](crate::Engine::ask) would answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Admitted.
    Admit,
    /// Would wait for a place.
    Wait,
    /// Would take the place of this permit.
    Reclaim(PermitId),
    /// Refused for now.
    Refuse,
    /// Refused for ever.
    Deny,
    /// Closed without a word.
    Drop,
}

/// What [`Engine::ask`](crate::Engine::ask) would answer, and what each rule says, in the order they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub outcome: Outcome,
    /// The cause of the first rule that refuses; `None`: none does.
    pub cause: Option<Cause>,
    /// The refusal, without jitter; `None`: nothing refuses, or for ever.
    pub refusal: Option<Refusal>,
    /// Every rule of the question.
    pub checks: Vec<Check>,
}

/// What one address holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Connections.
    pub connections: u32,
    /// Transfers.
    pub transfers: u32,
    /// Places in the waiting room.
    pub waiting: u32,
}

/// A drain under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// When it began.
    pub since: Moment,
    /// Its announced end.
    pub until: Moment,
}
