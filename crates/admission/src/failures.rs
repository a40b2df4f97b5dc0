use core::time::Duration;

use tidegate_types::Moment;

use crate::ways::Worth;

/// Into how many parts the period is cut.
const PARTS: usize = 4;

/// Failures of one key, counted by quarters of the period. What lies between one and one and a quarter periods back may
/// still count: `count` within a period are never missed, and fewer than `count` within 1.25 periods never suffice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// The quarter that `counts[0]` stands for; the others lie before it.
    quarter: u64,
    counts: [u32; PARTS + 1],
    /// When nothing counts any more.
    over: Moment,
}

impl Failures {
    /// Counts `weight` more and returns how many there are.
    pub(crate) fn count(&mut self, weight: u32, period: Duration, now: Moment) -> u32 {
        let quarter = quarter_of(period, now);
        // A reload made the period longer: its quarters have other numbers, and what was counted is forgotten. (One less is a
        // clock read by two threads.)
        if self.over <= now || quarter.saturating_add(1) < self.quarter {
            *self = Self { quarter, over: self.over, ..Self::default() };
        }
        let gone = usize::try_from(quarter.saturating_sub(self.quarter)).unwrap_or(usize::MAX);
        let kept = self.counts;
        for (age, count) in self.counts.iter_mut().enumerate() {
            *count = age.checked_sub(gone).and_then(|age| kept.get(age)).copied().unwrap_or(0);
        }
        self.quarter = self.quarter.max(quarter);
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(weight);
        }
        self.over = self.over.max(now + period.saturating_mul(5) / 4);
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl Worth for Failures {
    fn is_over(&self, now: Moment) -> bool {
        self.over <= now
    }

    /// The oldest go first.
    fn worth(&self) -> u64 {
        u64::try_from(self.over.since_start().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn quarter_of(period: Duration, now: Moment) -> u64 {
    let part = (period.as_nanos() / PARTS as u128).max(1);
    u64::try_from(now.since_start().as_nanos() / part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_longer_period_does_not_keep_failures_for_ever() {
        let at = |secs| Moment::from_start(Duration::from_secs(secs));
        let (short, long) = (Duration::from_mins(1), Duration::from_hours(1));
        let mut failures = Failures::default();
        assert_eq!(failures.count(1, short, at(10_000)), 1);
        // A reload made the period longer. Of failures 4,000 s apart two are within an hour and a quarter, never three.
        for step in 0..20 {
            assert!(failures.count(1, long, at(10_050 + step * 4_000)) <= 2, "{step}");
        }
        // What is over is forgotten whatever the quarters say.
        assert_eq!(failures.count(1, long, at(150_000)), 1);
        // Shorter again: what is old is forgotten.
        assert_eq!(failures.count(1, short, at(200_000)), 1);
    }

    proptest! {
        #[test]
        fn counts_at_least_the_period_and_at_most_a_quarter_more(
            period_millis in 4_u64..4_000,
            steps in prop::collection::vec(0_u64..2_000, 1..60),
        ) {
            let period = Duration::from_millis(period_millis);
            let (mut failures, mut now, mut times) = (Failures::default(), Moment::ZERO, Vec::new());
            for step in steps {
                now = now + Duration::from_millis(step);
                times.push(now);
                let counted = failures.count(1, period, now);
                let within = |span: Duration| times.iter().filter(|time| now.since(**time) < span).count();
                prop_assert!(within(period) <= counted as usize, "{times:?}");
                prop_assert!(counted as usize <= within(period * 5 / 4 + Duration::from_millis(1)), "{times:?}");
            }
        }
    }
}
