//! Who enters, who is refused, why, and when to try again. Pure: no socket, clock, thread or random source; the time
//! and one seed come in as parameters, so the same seed and the same questions give the same answers.
//!
//! # One operation
//! [`Engine::ask`] checks and counts at once; there is no gap in which one place is given twice. The rules of a
//! question are tried in a fixed order and the first that refuses gives the cause: draining, (overloaded,) address,
//! server for a connection; draining, account for a login. So a hog reads that it is the hog. [`Engine::explain`]
//! runs the same rules without effect.
//!
//! # When to come back
//! A drain tells its announced end. A full house (the server, one address, one account, the anonymous users: each is
//! a *pool*) tells an estimate from three numbers it has measured:
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
//! return. When more wait than can be served in 300 s, they are spread over the last 200 of them. The pool cannot
//! tell a client that comes back too early from a new one: such a client is counted twice and lengthens the estimate, up to the 300 s.
//!
//! # Memory
//! A permit takes about 64 bytes; an address or account that holds permits 100 to 220, plus at most 2.4 KiB
//! from the first time it was full until its last permit comes back. A refused peer takes nothing.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod engine;
mod keyed;
mod permits;
mod pool;
mod question;
mod returns;

pub use engine::Engine;
pub use permits::PermitId;
pub use question::{
    AccountKey, Check, Counters, Decision, Drain, Explanation, Limits, Question, REFUSAL_CAUSES, Snapshot,
};
pub use returns::RETRY_SECS_MAX;
