use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use tidegate_types::{Cause, Moment, SignalKind};

use crate::limits::Limits;
use crate::pressure::{Gauge, Level};
use crate::question::Drain;

/// The causes the engine refuses with, in the order they are tried.
pub const REFUSAL_CAUSES: [Cause; 15] = [
    Cause::Denied,
    Cause::Banned,
    Cause::Draining,
    Cause::Overloaded,
    Cause::Rate,
    Cause::AddressFull,
    Cause::UnauthenticatedFull,
    Cause::ListenerFull,
    Cause::ServerFull,
    Cause::HandshakesFull,
    Cause::LoginFailures,
    Cause::AccountFull,
    Cause::AnonymousFull,
    Cause::TransfersFull,
    Cause::DataPorts,
];

/// A number for each of [`REFUSAL_CAUSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByCause([u64; REFUSAL_CAUSES.len()]);

impl ByCause {
    pub(crate) const fn new() -> Self {
        Self([0; REFUSAL_CAUSES.len()])
    }

    pub(crate) fn count(&mut self, cause: Cause) {
        let row = REFUSAL_CAUSES.iter().zip(&mut self.0).find(|(known, _)| **known == cause);
        debug_assert!(row.is_some(), "{cause:?} is missing in REFUSAL_CAUSES");
        if let Some((_, count)) = row {
            *count = count.saturating_add(1);
        }
    }

    /// Returns the number for `cause`; 0 for causes that are not the engine's.
    pub fn of(&self, cause: Cause) -> u64 {
        self.iter().find(|(known, _)| *known == cause).map_or(0, |(_, count)| count)
    }

    /// Returns all causes with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> {
        REFUSAL_CAUSES.into_iter().zip(self.0)
    }

    /// Returns the sum.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Connections admitted, those who waited included.
    pub connections_admitted: u64,
    /// Handshakes admitted.
    pub handshakes_admitted: u64,
    /// Logins admitted.
    pub logins_admitted: u64,
    /// Transfers admitted.
    pub transfers_admitted: u64,
    /// Refusals by cause, spoken or not.
    pub refused: ByCause,
    /// What the shadow limits would have refused among those who were admitted, by cause.
    pub shadowed: ByCause,
    /// Newcomers who were let into the waiting room.
    pub waited: u64,
    /// Of these, those who got a place.
    pub granted: u64,
    /// Of these, those who went away.
    pub cancelled: u64,
    /// Permits named to be reclaimed.
    pub reclaimed: u64,
    /// Bans decided, those of operators included.
    pub banned: u64,
    /// Rates, failures and bans that were forgotten early because there were too many.
    pub forgotten: u64,
    /// Permits given back that were not held (any more); each is a mistake of the caller, and ignored.
    pub stale_releases: u64,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self {
            connections_admitted: 0,
            handshakes_admitted: 0,
            logins_admitted: 0,
            transfers_admitted: 0,
            refused: ByCause::new(),
            shadowed: ByCause::new(),
            waited: 0,
            granted: 0,
            cancelled: 0,
            reclaimed: 0,
            banned: 0,
            forgotten: 0,
            stale_releases: 0,
        }
    }

    /// Returns how often `cause` was the answer; 0 for causes that are not the engine's.
    pub fn refused_for(&self, cause: Cause) -> u64 {
        self.refused.of(cause)
    }
}

/// One pool that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// How many there are.
    pub in_use: u32,
    /// How many there may be; `None`: no such limit.
    pub limit: Option<u32>,
    /// How long it was full since the start: a newcomer would have been refused.
    pub full: Duration,
}

impl Occupancy {
    /// Returns whether one more would find a place.
    pub fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.in_use < limit)
    }

    /// Returns how much is free, in thousandths, rounded up: 0 only when nothing is; 1,000 where there is no limit.
    pub fn free_permille(&self) -> u32 {
        let Some(limit) = self.limit else { return 1_000 };
        let free = u64::from(limit.saturating_sub(self.in_use)) * 1_000;
        free.checked_div(limit.into())
            .map_or(0, |_| u32::try_from(free.div_ceil(limit.into())).unwrap_or(1_000))
    }
}

/// The state at one moment: a fixed size, and one row a listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The limits in force.
    pub limits: Arc<Limits>,
    /// Since when; `None`: since the start.
    pub limits_changed: Option<Moment>,
    /// Connections inside, those in reserved places included.
    pub connections: u32,
    /// Of these, those from the reserved networks.
    pub reserved: u32,
    /// Addresses (IPv6: /64s) they come from.
    pub addresses: usize,
    /// Sessions logged in, the anonymous ones included.
    pub logins: u32,
    /// Accounts in use, all anonymous ones as one.
    pub accounts: usize,
    /// Anonymous sessions.
    pub anonymous: u32,
    /// Ports leased for data connections, of all ranges.
    pub ports: u32,
    /// Connections without the reserve, as an ordinary newcomer finds them.
    pub server: Occupancy,
    /// Connections that are not logged in, reserved ones not counted.
    pub unauthenticated: Occupancy,
    /// Handshakes.
    pub handshakes: Occupancy,
    /// Transfers.
    pub transfers: Occupancy,
    /// Connections by listener.
    pub listeners: Vec<Occupancy>,
    /// Newcomers in the waiting room, those included whose answer was not fetched yet.
    pub waiting: u32,
    /// Bans that last.
    pub bans: usize,
    /// The drain under way.
    pub drain: Option<Drain>,
    /// The worst level.
    pub level: Level,
    /// Whose level that is; `None`: all is calm.
    pub signal: Option<SignalKind>,
    /// How long the level was full.
    pub overloaded: Duration,
    /// Every signal.
    pub gauges: [Gauge; SignalKind::ALL.len()],
    /// What happened since the start.
    pub counters: Counters,
}

impl Snapshot {
    /// Returns whether an ordinary newcomer to some listener would find a place, its own address and rates aside: what readiness says.
    pub fn is_admitting(&self) -> bool {
        let some_listener = self.listeners.is_empty() || self.listeners.iter().any(Occupancy::has_room);
        self.drain.is_none()
            && self.level < Level::Full
            && self.server.has_room()
            && self.unauthenticated.has_room()
            && some_listener
    }

    /// Returns how much of the server is free for ordinary newcomers, in thousandths, and no more than its freest listener has: what a
    /// balancer is told as a weight. 0 when the server or every listener is full.
    pub fn free_permille(&self) -> u32 {
        let freest = self.listeners.iter().map(Occupancy::free_permille).max();
        self.server.free_permille().min(freest.unwrap_or(1_000))
    }
}
