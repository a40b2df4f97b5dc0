use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the wall clock in whole seconds since 1970; expiries outlive the process, so monotonic time will not do.
#[expect(clippy::disallowed_methods, reason = "the one place of this room that asks the clock")]
pub(crate) fn now_unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
