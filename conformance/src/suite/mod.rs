//! The public conformance suite: checks that see a server only through its sockets, each with one sentence of what it
//! demands and the document that demands it. `conformance/README.md` tells how to run it and how to add a check.

#[macro_use]
mod check;
mod hosting;
mod peers;
mod runner;
mod session;
mod stage;
mod transfer;

pub use check::{Check, Failure, Group, Level, Outcome, Stop};
pub use hosting::{Hosted, SUBJECTS, host};
pub use runner::{Done, Verdict, find, groups, run_all, run_one};
pub use session::{Answer, Reply, Session};
pub use stage::{Place, Stage};
pub use transfer::Attempt;

/// What most check files need.
pub(crate) mod prelude {
    pub(crate) use super::check::{Check, Group, Level, Outcome, Stop};
    pub(crate) use super::session::{Answer, Session};
    pub(crate) use super::stage::Stage;
}
