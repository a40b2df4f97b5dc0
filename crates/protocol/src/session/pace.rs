use core::num::NonZeroU32;
use core::time::Duration;

use tidegate_types::Moment;

/// How fast the commands of one session may come: so many in a time, all of them at once if they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandRate {
    count: NonZeroU32,
    period: Duration,
}

impl CommandRate {
    /// Returns the rate of `count` in `period`; `None` when either is zero.
    pub const fn new(count: u32, period: Duration) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) if !period.is_zero() => Some(Self { count, period }),
            _ => None,
        }
    }
}

/// What a session has spent of its rate (GCRA): the moment at which everything it sent would have been in time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(Moment);

impl Pace {
    /// Counts a command at `now`; returns whether it comes too fast. One that does is not counted.
    pub(super) fn is_too_fast(&mut self, rate: CommandRate, now: Moment) -> bool {
        // At least a nanosecond, so that a rate of billions is still a rate.
        let interval = (rate.period / rate.count.get()).max(Duration::from_nanos(1));
        let paid = self.0.max(now) + interval;
        if paid.since(now) > rate.period {
            return true;
        }
        self.0 = paid;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    fn sent(pace: &mut Pace, rate: CommandRate, count: u32, now: Moment) -> u32 {
        (0..count).take_while(|_| !pace.is_too_fast(rate, now)).count().try_into().unwrap()
    }

    #[test]
    fn all_may_come_at_once_and_then_one_by_one() {
        let rate = CommandRate::new(10, Duration::from_secs(1)).unwrap();
        let mut pace = Pace::default();
        assert_eq!(sent(&mut pace, rate, 20, at(5_000)), 10);
        assert_eq!(sent(&mut pace, rate, 1, at(5_099)), 0);
        assert_eq!(sent(&mut pace, rate, 20, at(5_100)), 1);
        assert_eq!(sent(&mut pace, rate, 20, at(5_350)), 2);
        assert_eq!(sent(&mut pace, rate, 20, at(60_000)), 10, "rest is not saved up beyond the period");
    }

    #[test]
    fn a_steady_client_at_the_rate_is_never_too_fast() {
        let rate = CommandRate::new(100, Duration::from_secs(1)).unwrap();
        let mut pace = Pace::default();
        assert!((0..10_000).all(|step| sent(&mut pace, rate, 1, at(step * 10)) == 1));
    }

    #[test]
    fn nothing_is_no_rate() {
        assert_eq!(CommandRate::new(0, Duration::from_secs(1)), None);
        assert_eq!(CommandRate::new(1, Duration::ZERO), None);
    }
}
