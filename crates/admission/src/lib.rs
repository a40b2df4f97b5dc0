//! Who enters, who is refused, why, and when to try again. Pure: no socket, clock, thread or random source; the time
//! and one seed come in as parameters, so the same seed and the same questions give the same answers.
//!
//! # One operation
//! [`Engine::ask`] checks and counts at once; there is no gap in which one place is given twice. The rules of a
//! question are tried in a fixed order ([`Rule`]) and the first that refuses gives the cause. For a connection that is: denied,
//! banned, draining, overloaded, rate, address, unauthenticated, listener, server minus the reserve. So a hog reads that
//! it is the hog. A refusal counts nothing but its cause and spends no token of a rate. [`Engine::explain`] runs
//! the same rules without effect.
//!
//! # When to come back
//! A drain tells its announced end; a rate and a ban tell exactly when they end; the unauthenticated have the login
//! timeout to be gone, and as much more as those told before need at the measured interval; an overloaded house tells a time that grows while it lasts; handshakes tell 1. A full house (the server,
//! a listener, one address, one account, the anonymous users, transfers: each is a *pool*) tells an estimate from three numbers it has measured:
//!
//! ```text
//! interval = (held / in_use + 5 s) / (departures + 1)        seconds until the next one leaves
//! ahead    = told + (in_use − limit)                         who has to leave, or comes back, before this one
//! estimate = (ahead + 1) × interval
//! band     = estimate ..= estimate + max(2 s, estimate / 8)  upward jitter
//!          = min(estimate, 100 s) ..= 300 s                  when that ends past 300 s, or the limit is 0
//! retry    = the least booked of eight seconds drawn from the band, at least 1 s
//! ```
//!
//! `departures` counts those who left, `held` adds up the seconds that all permits of the pool were held; both fade
//! with a memory of 600 s, so `held / departures` is how long one stays, also when the house was half empty
//! or many left at once. The `5 s` and the `1` are what is assumed before anything is known: the first refused client of a
//! fresh, full house is told 5 to 7 s, and more the longer nobody leaves.
//!
//! `told` counts the clients that were told a second which has not come yet. The pool keeps how many it told each of
//! the next 300 seconds; successive refused clients get later times, and with departures at a rate r about r a second
//! return. When more wait than can be served in 300 s, they are spread over the last 200 of them.
//!
//! Who comes back too early is told the same moment again and is not counted again: of one address (IPv6: a /64) each pool that
//! others share, and an overloaded house, book one return at a time, so who knocks in a loop makes nobody else wait longer.
//! Clients behind one router are one there, so the more of them ask, the farther behind that moment each is sent: four to a
//! second. The pools of one address are its own: there each client has its second, and one in a loop lengthens the estimate of
//! that address alone, up to the 300 s.
//!
//! # Who is kept out of the way
//! Bans are keyed by name and address first, so one broken camera does not ban a hospital behind a NAT; ten times as many failures
//! ban the address. While a ban stands nothing more is counted for it: password checks that were under way make it no longer. Sessions that came before the
//! ban of their address may stay, but not log in. [`Limits::trusted`] and the reserved networks are never banned. Overload tightens
//! ([`Engine::timeout_factor`]) before it refuses. A newcomer may take the place of a dead or idle session of its own
//! address or account ([`Reclaim`]), or wait for one ([`WaitingRoom`]). [`Shadow`] limits only count.
//!
//! # Memory
//! What strangers can make the engine keep is bounded, whatever they do:
//!
//! | table | slots | bytes a slot | MiB |
//! |---|---|---|---|
//! | rates of addresses, and again for a shadow rate | 131,072 | 24 | 3 + 3 |
//! | failures of a name from an address | 65,536 | 64 | 4 |
//! | failures of an address | 65,536 | 56 | 3.5 |
//! | bans, with names of up to 64 bytes | 65,536 | 64 + 80 | 4 + 5 |
//! | what an address was told | 65,536 | 40 | 2.5 |
//! | waiting room | 1,024 | 96 | 0.1 |
//!
//! together [`MEMORY_BYTES_MAX`], and half as much again of one table while it doubles ([`MEMORY_PEAK_BYTES_MAX`]). Tables begin
//! empty and grow with use; a feature that is off keeps nothing. A full table forgets what is worth least: what is over, then the bucket
//! that is nearest to whole, the oldest failure, the ban that ends soonest, the moment that comes first. Permits are never forgotten: one takes at most
//! 76 bytes; an address or account that holds permits 150 to 300, plus at most 2.4 KiB from the first time it was
//! full until its last permit comes back. That is bounded by the limits. A refused peer takes nothing else.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bans;
mod engine;
mod failures;
mod full;
mod keyed;
mod limits;
mod networks;
mod permits;
mod pool;
mod pressure;
mod question;
mod rate;
mod returns;
mod snapshot;
mod told;
mod waiting;
mod ways;

pub use bans::{BAN_NAME_BYTES_MAX, Ban, BanPage, BanReason, BanRecord};
pub use engine::{DRAIN_MESSAGE_BYTES_MAX, Engine};
pub use ipnet::IpNet;
pub use limits::{
    BanPolicy, Limits, ListenerLimits, LoginFailures, Override, Rate, Reclaim, Reserved, Shadow, WaitingRoom,
};
pub use networks::{NetworkMap, Networks};
pub use permits::PermitId;
pub use pressure::{Gauge, Level, Overload, Signal};
pub use question::{
    AccountKey, Check, Decision, Drain, Explanation, Grant, Holdings, Outcome, Question, Rule, TicketId,
};
pub use returns::RETRY_SECS_MAX;
pub use snapshot::{ByCause, Counters, Occupancy, REFUSAL_CAUSES, Snapshot};
pub use waiting::PLACES_MAX;

/// The most bytes kept about strangers, allocator overhead of names included.
pub const MEMORY_BYTES_MAX: usize = 25 << 20;
/// The most bytes in use about strangers while a table doubles.
pub const MEMORY_PEAK_BYTES_MAX: usize = MEMORY_BYTES_MAX + (2 << 20);
