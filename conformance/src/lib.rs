//! Black-box tests of an FTP server: what they all need. Named by RFC section below `rfc959/` and its neighbours; the
//! refusal contract is below `refusal/`, real clients below `interop/`, crashes and system calls below `durability/`, a
//! user's first steps below `cli/`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails at once"
)]

pub mod client;
pub mod program;
pub mod subject;
pub mod tree;

/// How long any single wait may take before the test fails.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
