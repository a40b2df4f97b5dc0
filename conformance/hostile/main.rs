//! Hostile input: what a client may do that no client should, and what the server owes everybody else meanwhile.
//!
//! Each attack runs inside [`lab::survives`]: the server lives on, the next client is served within 100 ms, memory and
//! descriptors come back, no file is harmed. What cannot be shown on a loopback: a peer that vanishes without FIN or RST, for
//! no packet can be dropped here without rights; the deadlines that end such a session are shown with peers that stay silent.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests that print their figures"
)]

mod crowd;
mod deep;
mod globs;
mod half_open;
mod injection;
mod lab;
mod lines;
mod million;
mod peer;
mod slow;
mod storms;
mod thief;
mod uploads;
