//! The one place of this room that asks what time it is.

use std::time::Instant;

/// Returns the time now.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the time now on the runtime's clock, which tests may pause.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub(crate) fn runtime_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
