use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;

use crate::networks::{NetworkMap, Networks};
use crate::pressure::Overload;

/// How many may enter, how fast, and who is treated otherwise. The limits of accounts travel with the question.
///
/// Make one with [`Limits::new`], which switches everything off, and set what is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections in all, the reserve included; 0 admits nobody.
    pub connections: u32,
    /// Connections of one IPv4 address or one IPv6 /64; `None`: no such limit.
    pub connections_per_address: Option<u32>,
    /// Connections that are not logged in; `None`: no such limit.
    pub connections_unauthenticated: Option<u32>,
    /// New connections of one address; `None`: no such limit.
    pub connection_rate_per_address: Option<Rate>,
    /// By listener, in the order the caller numbers them; a listener that is missing has no limits.
    pub listeners: Vec<ListenerLimits>,
    /// TLS handshakes of control connections under way.
    pub handshakes: u32,
    /// Transfers in all; `None`: no such limit.
    pub transfers: Option<u32>,
    /// Transfers of one address; `None`: no such limit.
    pub transfers_per_address: Option<u32>,
    /// Connections kept for some networks.
    pub reserved: Reserved,
    /// Who may connect; empty: everybody.
    pub allow: Networks,
    /// Who may not connect.
    pub deny: Networks,
    /// Whether the denied are closed without a word.
    pub deny_silent: bool,
    /// Who is never banned, as the reserved networks.
    pub trusted: Networks,
    /// Other limits for some networks; the most specific network wins, what it leaves out is as above.
    pub overrides: NetworkMap<Override>,
    /// When failed logins ban; `None`: never.
    pub login_failures: Option<LoginFailures>,
    /// How long bans last.
    pub ban: BanPolicy,
    /// Where newcomers wait for a place.
    pub waiting_room: WaitingRoom,
    /// Whose place goes to a newcomer of the same address or account.
    pub reclaim: Reclaim,
    /// Limits that are counted and not enforced.
    pub shadow: Shadow,
    /// When the machine is overloaded.
    pub overload: Overload,
    /// How long a session has to log in: the retry of `unauthenticated-full`.
    pub login_timeout: Duration,
}

impl Limits {
    /// Returns limits that admit `connections` and refuse nothing else: defaults of DESIGN §3, features off.
    pub fn new(connections: u32) -> Self {
        Self {
            connections,
            connections_per_address: None,
            connections_unauthenticated: None,
            connection_rate_per_address: None,
            listeners: Vec::new(),
            handshakes: HANDSHAKES_DEFAULT,
            transfers: None,
            transfers_per_address: None,
            reserved: Reserved::default(),
            allow: Networks::default(),
            deny: Networks::default(),
            deny_silent: false,
            trusted: Networks::loopback(),
            overrides: NetworkMap::default(),
            login_failures: None,
            ban: BanPolicy::default(),
            waiting_room: WaitingRoom::default(),
            reclaim: Reclaim::Off,
            shadow: Shadow::default(),
            overload: Overload::default(),
            login_timeout: Duration::from_secs(30),
        }
    }

    /// Returns whether `address` may have a reserved place.
    pub fn is_reserved(&self, address: IpAddr) -> bool {
        self.reserved.connections > 0 && self.reserved.from.contains(address)
    }

    /// Returns whether `address` is never banned.
    pub fn is_never_banned(&self, address: IpAddr) -> bool {
        self.trusted.contains(address) || self.reserved.from.contains(address)
    }

    /// Returns whether `address` may not connect at all.
    pub fn is_denied(&self, address: IpAddr) -> bool {
        self.deny.contains(address) || (!self.allow.is_empty() && !self.allow.contains(address))
    }

    /// Returns the limit of connections for the peer at `address`.
    pub fn connections_of(&self, address: IpAddr) -> Option<u32> {
        self.overridden(address)
            .and_then(|other| other.connections_per_address)
            .or(self.connections_per_address)
    }

    /// Returns the limit of transfers for the peer at `address`.
    pub fn transfers_of(&self, address: IpAddr) -> Option<u32> {
        self.overridden(address).and_then(|other| other.transfers_per_address).or(self.transfers_per_address)
    }

    /// Returns the rate of new connections for the peer at `address`.
    pub fn rate_of(&self, address: IpAddr) -> Option<Rate> {
        let other = self.overridden(address).and_then(|other| other.connection_rate_per_address);
        other.or(self.connection_rate_per_address)
    }

    fn overridden(&self, address: IpAddr) -> Option<&Override> {
        if self.overrides.is_empty() { None } else { self.overrides.get(address) }
    }
}

/// TLS handshakes under way when nothing else is said: each may cost a few milliseconds of CPU.
const HANDSHAKES_DEFAULT: u32 = 1_024;

/// So many in a time; all of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    period: Duration,
}

impl Rate {
    /// Returns the rate of `count` in `period`; `None` when either is zero.
    pub const fn new(count: u32, period: Duration) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) if !period.is_zero() => Some(Self { count, period }),
            _ => None,
        }
    }

    /// Returns how many.
    pub const fn count(self) -> u32 {
        self.count.get()
    }

    /// Returns in which time.
    pub const fn period(self) -> Duration {
        self.period
    }
}

/// The limits of one listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections; `None`: no such limit.
    pub connections: Option<u32>,
    /// New connections; `None`: no such limit.
    pub connection_rate: Option<Rate>,
}

/// Places nobody else gets. Peers from these networks take a reserved place first, so `connections` of them always find one;
/// they are not counted as unauthenticated, and while a reserved place is left overload does not refuse them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// How many of all connections.
    pub connections: u32,
    /// For whom.
    pub from: Networks,
}

/// Other limits for one network; `None`: as for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Connections of one address.
    pub connections_per_address: Option<u32>,
    /// Transfers of one address.
    pub transfers_per_address: Option<u32>,
    /// New connections of one address.
    pub connection_rate_per_address: Option<Rate>,
}

/// How many failed logins ban: `count` of one name from one address within `period`, and ten times that of one address.
/// Failures are counted by quarters of the period: `count` within it always ban, fewer within 1.25 periods never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginFailures {
    /// How many.
    pub count: NonZeroU32,
    /// In which time.
    pub period: Duration,
}

/// How long bans last: `first`, then `factor` times as long each time, at most `most`. Each time without a ban that is as long
/// as the last one was, and at least ten minutes, takes one step of that growth back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BanPolicy {
    /// The first ban.
    pub first: Duration,
    /// What each further ban is longer by; below 1 counts as 1.
    pub factor: f64,
    /// The longest.
    pub most: Duration,
    /// Whether the banned are closed without a word.
    pub silent: bool,
}

impl Default for BanPolicy {
    fn default() -> Self {
        Self { first: Duration::from_mins(1), factor: 2.0, most: Duration::from_hours(24), silent: false }
    }
}

/// Where a newcomer to a full house waits for a place before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingRoom {
    /// How long; zero: nobody waits.
    pub hold: Duration,
    /// How many; at most [`PLACES_MAX`](crate::PLACES_MAX) count.
    pub places: u32,
}

impl Default for WaitingRoom {
    fn default() -> Self {
        Self { hold: Duration::ZERO, places: 64 }
    }
}

/// Whose place goes to a newcomer when its address or account is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reclaim {
    /// Nobody's.
    #[default]
    Off,
    /// That of a session noted as dead.
    Dead,
    /// That of a dead session, else of the one that was idle for longest, if that was at least ten seconds.
    Idle,
}

/// Limits to try out: what they would refuse is counted, nobody is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    /// As [`Limits::connections`].
    pub connections: Option<u32>,
    /// As [`Limits::connections_per_address`], for every address.
    pub connections_per_address: Option<u32>,
    /// As [`Limits::connections_unauthenticated`].
    pub connections_unauthenticated: Option<u32>,
    /// As [`Limits::connection_rate_per_address`], for every address.
    pub connection_rate_per_address: Option<Rate>,
    /// As [`Limits::listeners`].
    pub listeners: Vec<ListenerLimits>,
    /// As [`Limits::handshakes`].
    pub handshakes: Option<u32>,
    /// As [`Limits::transfers`].
    pub transfers: Option<u32>,
    /// As [`Limits::transfers_per_address`], for every address.
    pub transfers_per_address: Option<u32>,
}

impl Shadow {
    /// Returns whether no limit is tried out.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}
