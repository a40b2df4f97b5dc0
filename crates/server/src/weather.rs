//! What every session has to know of the house, told by one watch channel: whether it drains, and how pressed it is.

use std::sync::Arc;

use tidegate_protocol::session::Farewell;
use tidegate_types::{Cause, Moment, Refusal};

/// The state of the house as sessions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    pub(crate) stage: Stage,
    /// How much of a wait for the client is left to it, in percent.
    pub(crate) percent: u32,
    /// Changes when the gate begins to look at how idle sessions are: each tells it then.
    pub(crate) roll_call: u32,
}

/// How far the end of the server has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Everybody is served.
    Open,
    /// New connections are refused, transfers may finish until the announced end.
    Draining(Closing),
    /// What still runs is cut.
    Expired(Closing),
}

/// How a drain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    /// When what still runs is cut.
    pub(crate) until: Moment,
    /// Until when the door says 421 although nobody is inside any more.
    pub(crate) open_until: Moment,
    /// What is told to clients.
    pub(crate) message: Option<Arc<str>>,
    /// Whether it cannot be called off: a signal began it.
    pub(crate) is_final: bool,
}

impl Closing {
    /// Returns what a session is told.
    pub(crate) fn farewell(&self) -> Farewell {
        Farewell {
            refusal: Refusal::uncounted(Cause::Draining, 1),
            until: Some(self.until),
            message: self.message.clone(),
        }
    }
}

impl Weather {
    pub(crate) const FAIR: Self = Self { stage: Stage::Open, percent: 100, roll_call: 0 };
}
