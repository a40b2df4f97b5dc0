//! What is said over the control socket: one JSON object a line each way (docs/control.md). Both sides use these types.
//!
//! Durations and ages are seconds with fractions, times of day are seconds since 1970 (UTC), addresses and causes are the
//! words that the log uses. A field that has nothing to say is `null`, never missing; a reader must ignore fields it does
//! not know, because later versions add some.

mod answer;
mod order;

pub use answer::{
    BanAnswer, BanRow, BansAnswer, CauseRow, CheckRow, DrainAnswer, DrainStatus, KickAnswer, LimitsAnswer,
    ListenerRow, LoginRow, OverloadRow, PoolRow, PortsRow, ReloadAnswer, ResumeAnswer, SessionRow,
    SessionsAnswer, SignalRow, Status, TransferRow, TransfersRow, UnbanAnswer, WhyAnswer, WhyReport,
};
pub use order::{BANS_PAGE_MAX, COMMANDS, Request, SESSIONS_PAGE_MAX};

use serde::{Deserialize, Serialize};

/// The longest request line, its end included.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// More than the longest answer: a page of sessions whose paths are as long as paths get.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub kind: FailureKind,
    /// For people: one sentence; of a reload that failed the whole report.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// Returns a failure with a hint.
    pub fn new(kind: FailureKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: Some(hint.into()) }
    }
}

/// Whose fault it is that an order was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The request is no JSON, no command, or has fields that make no sense.
    BadRequest,
    /// There is no such session, account or drain.
    NotFound,
    /// It is understood and will not be done: a trusted address cannot be banned.
    Refused,
    /// It was tried and did not work.
    Failed,
}

impl FailureKind {
    /// Every kind, for tables.
    pub const ALL: [Self; 4] = [Self::BadRequest, Self::NotFound, Self::Refused, Self::Failed];

    /// Returns the word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NotFound => "not-found",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A line from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reply<T> {
    pub(crate) ok: bool,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Failure>,
}

/// In place of `Default`, which would ask it of `T`.
fn none<T>() -> Option<T> {
    None
}

#[cfg(test)]
mod tests;
