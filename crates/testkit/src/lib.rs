//! Test helpers: a clock that is moved by hand, seeds that replay, storage in memory with faults, and a world in which
//! whole sessions run without a socket.
//!
//! Nothing here is product code: a broken promise is a panic that says which.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests end by panicking, with the seed printed"
)]

mod clock;
mod fakefs;
mod ledger;
mod seed;
mod world;

pub use clock::Clock;
pub use fakefs::{FakeFs, FakeHome, FakeReader, FakeUpload, Operation};
pub use ledger::{Ledger, Reply, is_plausible};
pub use seed::{Random, for_each_seed};
pub use world::{ConnectionId, DataScript, FakeAccount, Holds, Knock, World, WorldOptions};
