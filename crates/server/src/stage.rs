use std::time::Duration;

use tidegate_types::Moment;

/// How far the end of the server has come; told to every session by a watch channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Everybody is served.
    Open,
    /// New connections are refused, transfers may finish until then.
    Draining {
        /// When what still runs is cut.
        until: Moment,
    },
    /// What still runs is cut.
    Expired,
}

/// Returns in how many whole seconds, at least 1, a client should come back when the drain ends at `until`.
pub(crate) fn retry_after_secs(until: Moment, now: Moment) -> u32 {
    let left = until.since(now);
    let whole = left.as_secs() + u64::from(left > Duration::from_secs(left.as_secs()));
    u32::try_from(whole.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_is_rounded_up_and_never_zero() {
        let at = |millis| Moment::from_start(Duration::from_millis(millis));
        for (until, now, expected) in [(5_000, 1_000, 4), (5_000, 1_001, 4), (5_001, 1_000, 5), (1, 9_000, 1)]
        {
            assert_eq!(retry_after_secs(at(until), at(now)), expected);
        }
    }
}
