use core::net::IpAddr;

use alloc::vec::Vec;
use tidegate_types::{AccountName, Cause, Moment, Refusal};

use crate::PermitId;

/// How many may enter. The limits of accounts travel with the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all; 0 admits nobody.
    pub connections: u32,
    /// Connections of one IPv4 address or one IPv6 /64; `None`: no such limit.
    pub connections_per_address: Option<u32>,
}

/// Under which name a login is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountKey {
    /// One configured account.
    Named(AccountName),
    /// All anonymous sessions together.
    Anonymous,
}

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Open a control connection.
    Connection {
        /// Where it comes from; mapped IPv4 addresses count as IPv4.
        address: IpAddr,
    },
    /// Use an account, its password being right.
    Login {
        /// Whose.
        account: AccountKey,
        /// How many sessions it may have; `None`: no such limit.
        limit: Option<u32>,
    },
}

impl Question {
    /// Asks for a control connection from `address`.
    pub const fn connection(address: IpAddr) -> Self {
        Self::Connection { address }
    }

    /// Asks for one more session of `account`, which may have `limit`.
    pub const fn login(account: AccountKey, limit: Option<u32>) -> Self {
        Self::Login { account, limit }
    }
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an admitted permit that is dropped is never released"]
pub enum Decision {
    /// Come in; give the permit back when the last byte is done.
    Admit(PermitId),
    /// Not now.
    Refuse(Refusal),
}

/// What one rule says to a question at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The cause it would refuse with.
    pub cause: Cause,
    /// How many there are; 0 where counting makes no sense.
    pub in_use: u32,
    /// How many are allowed; `None` where counting makes no sense or no limit is set.
    pub limit: Option<u32>,
    /// Whether it refuses.
    pub refuses: bool,
}

/// What [`Engine::ask`](crate::Engine::ask) would answer, and what each rule says, in the order they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The refusal, without jitter; `None`: admitted.
    pub refusal: Option<Refusal>,
    /// Every rule of the question.
    pub checks: Vec<Check>,
}

/// A drain under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// When it began.
    pub since: Moment,
    /// Its announced end.
    pub until: Moment,
}

/// The causes the engine refuses with, in the order they are tried.
pub const REFUSAL_CAUSES: [Cause; 6] = [
    Cause::Draining,
    Cause::Overloaded,
    Cause::AddressFull,
    Cause::ServerFull,
    Cause::AccountFull,
    Cause::AnonymousFull,
];

/// What happened since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Connections admitted.
    pub connections_admitted: u64,
    /// Logins admitted.
    pub logins_admitted: u64,
    /// Refusals by cause, in the order of [`REFUSAL_CAUSES`].
    pub refused: [(Cause, u64); REFUSAL_CAUSES.len()],
    /// Permits given back that were not held (any more); each is a mistake of the caller, and ignored.
    pub stale_releases: u64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            connections_admitted: 0,
            logins_admitted: 0,
            refused: REFUSAL_CAUSES.map(|cause| (cause, 0)),
            stale_releases: 0,
        }
    }

    pub(crate) fn count_refusal(&mut self, cause: Cause) {
        let row = self.refused.iter_mut().find(|(known, _)| *known == cause);
        debug_assert!(row.is_some(), "{cause:?} is missing in REFUSAL_CAUSES");
        if let Some((_, count)) = row {
            *count = count.saturating_add(1);
        }
    }

    /// Returns how often `cause` was the answer; 0 for causes that are not the engine's.
    pub fn refused_for(&self, cause: Cause) -> u64 {
        self.refused.iter().find(|(known, _)| *known == cause).map_or(0, |(_, count)| *count)
    }
}

/// The state at one moment, in a fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The limits in force.
    pub limits: Limits,
    /// Since when; `None`: since the start.
    pub limits_changed: Option<Moment>,
    /// Connections inside.
    pub connections: u32,
    /// Addresses (IPv6: /64s) they come from.
    pub addresses: usize,
    /// Sessions logged in, the anonymous ones included.
    pub logins: u32,
    /// Accounts in use, all anonymous ones as one.
    pub accounts: usize,
    /// Anonymous sessions.
    pub anonymous: u32,
    /// The drain under way.
    pub drain: Option<Drain>,
    /// What happened since the start.
    pub counters: Counters,
}
