//! The only place of this room that asks what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the time since 1970 (UTC).
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub(crate) fn wall() -> Duration {
    // A clock set before 1970 reads as 1970.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
