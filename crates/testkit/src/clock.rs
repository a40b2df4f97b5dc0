use core::time::Duration;

use tidegate_types::{Moment, Timestamp};

/// What the wall clock of a test shows at its start: 2023-11-14T22:13:20Z.
const START_SECS: i64 = 1_700_000_000;

/// A clock that only moves when it is told to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    now: Moment,
}

impl Clock {
    /// Returns the present moment.
    pub const fn now(&self) -> Moment {
        self.now
    }

    /// Moves on by `by`.
    pub fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    /// Moves on to `to`; never back.
    pub fn advance_to(&mut self, to: Moment) {
        self.now = self.now.max(to);
    }

    /// Returns the wall-clock time that belongs to the present moment.
    pub fn wall(&self) -> Timestamp {
        let since_start = self.now.since_start();
        let secs = i64::try_from(since_start.as_secs()).unwrap_or(i64::MAX / 2);
        Timestamp { secs: START_SECS + secs, nanos: since_start.subsec_nanos() }
    }
}
