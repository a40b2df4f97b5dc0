//! The public FTP conformance suite, and what the black-box tests of tidegate need.
//!
//! The checks of the suite are named by RFC section below `rfc959/` and its neighbours, `drafts/` and `practice/`; `suite` runs
//! them. What is tidegate's own is tested below `tidegate/`, its refusal contract below `refusal/`, floods below
//! `overload/`, real clients, a balancer and a monitor below `interop/`, crashes and system calls below `durability/`, a user's
//! first steps below `cli/`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails at once"
)]

#[macro_use]
pub mod suite;

pub mod client;
pub mod program;
pub mod subject;
pub mod tree;

#[path = "../drafts/mod.rs"]
mod drafts;
#[path = "../practice/mod.rs"]
mod practice;
#[path = "../rfc1123/mod.rs"]
mod rfc1123;
#[path = "../rfc2228/mod.rs"]
mod rfc2228;
#[path = "../rfc2389/mod.rs"]
mod rfc2389;
#[path = "../rfc2428/mod.rs"]
mod rfc2428;
#[path = "../rfc2577/mod.rs"]
mod rfc2577;
#[path = "../rfc2640/mod.rs"]
mod rfc2640;
#[path = "../rfc3659/mod.rs"]
mod rfc3659;
#[path = "../rfc7151/mod.rs"]
mod rfc7151;
#[path = "../rfc959/mod.rs"]
mod rfc959;

/// Every check of the suite, in the order of its documents.
const GROUPS: [&[&suite::Group]; 11] = [
    rfc959::GROUPS,
    rfc1123::GROUPS,
    rfc2228::GROUPS,
    rfc2389::GROUPS,
    rfc2428::GROUPS,
    rfc2577::GROUPS,
    rfc2640::GROUPS,
    rfc3659::GROUPS,
    rfc7151::GROUPS,
    drafts::GROUPS,
    practice::GROUPS,
];

/// How long any single wait may take before the test fails.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
