//! A flood of connections that must all be refused: every client reads its line, and the server's memory and CPU stay bounded.
//! Speed is measured by `cargo xtask flood`, not here.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod flood;
mod load;
