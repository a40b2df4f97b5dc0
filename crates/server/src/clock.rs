//! The only place of this room that asks what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_types::{Moment, Timestamp};
use tokio::time::Instant;

/// Further ahead than any deadline; `Instant` cannot hold every [`Moment`].
const FAR: Duration = Duration::from_hours(30 * 365 * 24);

/// Tells moments since the server started, as the runtime counts them, so that its timers agree; so do copies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Returns a clock whose time starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Returns the monotonic time.
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub(crate) fn now(&self) -> Moment {
        Moment::from_start(self.start.elapsed())
    }

    /// Returns the wall-clock time in UTC.
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub(crate) fn wall() -> Timestamp {
        // A clock set before 1970 reads as 1970: it only decides how dates in listings look.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp { secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
    }

    /// Returns `moment` as the runtime's timers want it.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.since_start().min(FAR)
    }
}
