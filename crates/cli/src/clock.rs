//! The only place of this room that asks what time it is.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Zoned;
use jiff::tz::TimeZone;

/// Returns the monotonic time.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> Instant {
    Instant::now()
}

/// Returns the time of day in the time zone of this machine; in UTC when that is not known.
pub fn here() -> Zoned {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    jiff::Timestamp::now().to_zoned(zone)
}

/// Returns the seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn unix_secs() -> u64 {
    // A clock set before 1970 reads as 1970: bans then count as old as they can be.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
