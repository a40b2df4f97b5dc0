//! The refusal contract (DESIGN §2), over real sockets: who is refused reads why, whole, and then the end.
#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod delivery;
mod descriptors;
mod drain;
mod limits;
