use core::time::Duration;

use tidegate_types::Moment;

/// How long something was full, in all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FullClock {
    since: Option<Moment>,
    before: Duration,
}

impl FullClock {
    /// Notes whether it is full from `now` on.
    pub(crate) fn note(&mut self, full: bool, now: Moment) {
        match (full, self.since) {
            (true, None) => self.since = Some(now),
            (false, Some(since)) => {
                self.before = self.before.saturating_add(now.since(since));
                self.since = None;
            }
            _ => {}
        }
    }

    /// Returns how long it was full until `now`.
    pub(crate) fn total(self, now: Moment) -> Duration {
        self.before.saturating_add(self.since.map_or(Duration::ZERO, |since| now.since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_the_times() {
        let at = |secs| Moment::from_start(Duration::from_secs(secs));
        let mut clock = FullClock::default();
        for (secs, full, total) in [(1, false, 0), (2, true, 0), (4, true, 2), (5, false, 3), (9, false, 3)] {
            clock.note(full, at(secs));
            assert_eq!(clock.total(at(secs)).as_secs(), total, "{secs}");
        }
        clock.note(true, at(10));
        assert_eq!(clock.total(at(20)).as_secs(), 13);
    }
}
