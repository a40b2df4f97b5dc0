use core::time::Duration;

use tidegate_types::{AddressKey, Moment};

use crate::keyed::Keyed;
use crate::limits::Rate;
use crate::ways::{Ways, Worth};

/// How many addresses have their rate kept. A slot takes 24 bytes: 3 MiB.
pub(crate) const RATE_SLOTS_MAX: usize = 1 << 17;

/// When a bucket is whole again: the generic cell rate algorithm needs no more than this moment. A bucket of `count` tokens gains
/// one every `period / count`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    whole: Moment,
}

impl Bucket {
    /// Returns how long the next one has to wait at `rate`; `None`: it may come now.
    pub(crate) fn wait(self, rate: Rate, now: Moment) -> Option<Duration> {
        let tolerance = interval(rate).saturating_mul(rate.count() - 1);
        let behind = self.clamped(rate, now).since(now);
        behind.checked_sub(tolerance).filter(|wait| !wait.is_zero())
    }

    /// Takes one token out.
    pub(crate) fn spend(&mut self, rate: Rate, now: Moment) {
        self.whole = self.clamped(rate, now).max(now) + interval(rate);
    }

    /// Returns how many tokens are out.
    pub(crate) fn spent(self, rate: Rate, now: Moment) -> u32 {
        let out = self.clamped(rate, now).since(now).as_nanos().div_ceil(interval(rate).as_nanos().max(1));
        u32::try_from(out).unwrap_or(u32::MAX).min(rate.count())
    }

    /// A rate that was made faster forgives what was spent at the old one.
    fn clamped(self, rate: Rate, now: Moment) -> Moment {
        self.whole.min(now + interval(rate).saturating_mul(rate.count()))
    }
}

impl Worth for Bucket {
    fn is_over(&self, now: Moment) -> bool {
        self.whole <= now
    }

    fn worth(&self) -> u64 {
        u64::try_from(self.whole.since_start().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Returns the time in which one token comes back, rounded up: never faster than was allowed.
fn interval(rate: Rate) -> Duration {
    let nanos = rate.period().as_nanos().div_ceil(rate.count().into());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The buckets of addresses. One that is missing is whole; when there are too many, the fullest are forgotten.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    buckets: Ways<AddressKey, Bucket>,
}

impl Rates {
    pub(crate) const fn new(keyed: Keyed) -> Self {
        Self { buckets: Ways::new(RATE_SLOTS_MAX, keyed) }
    }

    pub(crate) fn get(&self, key: AddressKey) -> Bucket {
        self.buckets.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn spend(&mut self, key: AddressKey, rate: Rate, now: Moment) {
        let mut bucket = self.get(key);
        bucket.spend(rate, now);
        self.buckets.insert(key, bucket, now);
    }

    pub(crate) const fn evicted(&self) -> u64 {
        self.buckets.evicted()
    }

    pub(crate) fn sweep(&mut self, now: Moment) {
        self.buckets.sweep(now);
    }

    pub(crate) const fn len(&self) -> usize {
        self.buckets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::num::NonZeroU32;
    use governor::clock::FakeRelativeClock;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;

    fn millis(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_slot_takes_24_bytes() {
        assert_eq!(size_of::<Option<(AddressKey, Bucket)>>(), 24);
    }

    #[test]
    fn the_whole_count_may_come_at_once_then_one_an_interval() {
        let rate = Rate::new(30, Duration::from_secs(10)).unwrap();
        let mut bucket = Bucket::default();
        for spent in 0..30 {
            assert_eq!((bucket.wait(rate, millis(0)), bucket.spent(rate, millis(0))), (None, spent));
            bucket.spend(rate, millis(0));
        }
        let wait = bucket.wait(rate, millis(0)).unwrap();
        assert_eq!(wait.as_millis(), 333);
        assert!(bucket.wait(rate, millis(333)).is_some());
        assert_eq!(bucket.wait(rate, millis(334)), None);
        assert!(!bucket.is_over(millis(9_999)) && bucket.is_over(millis(10_001)));
    }

    #[test]
    fn a_faster_rate_forgives() {
        let slow = Rate::new(1, Duration::from_hours(1)).unwrap();
        let fast = Rate::new(2, Duration::from_secs(2)).unwrap();
        let mut bucket = Bucket::default();
        bucket.spend(slow, millis(0));
        assert_eq!(bucket.wait(slow, millis(0)), Some(Duration::from_hours(1)));
        assert_eq!(bucket.wait(fast, millis(0)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn extremes_do_not_overflow() {
        for rate in [Rate::new(u32::MAX, Duration::MAX), Rate::new(u32::MAX, Duration::from_nanos(1))] {
            let rate = rate.unwrap();
            let mut bucket = Bucket::default();
            for now in [Moment::ZERO, Moment::from_start(Duration::MAX)] {
                bucket.spend(rate, now);
                let _ = (bucket.wait(rate, now), bucket.spent(rate, now));
            }
        }
        assert!(Rate::new(0, Duration::from_secs(1)).is_none() && Rate::new(1, Duration::ZERO).is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_governor(
            count in 1_u32..20,
            interval_millis in 1_u64..5_000,
            steps in prop::collection::vec(0_u64..8_000, 1..120),
        ) {
            let interval = Duration::from_millis(interval_millis);
            let rate = Rate::new(count, interval * count).unwrap();
            let clock = FakeRelativeClock::default();
            let quota = Quota::with_period(interval).unwrap().allow_burst(NonZeroU32::new(count).unwrap());
            let oracle = RateLimiter::direct_with_clock(quota, clock.clone());
            let (mut bucket, mut now) = (Bucket::default(), Moment::ZERO);
            for step in steps {
                // Half of the steps come at once, so that the bucket runs empty.
                let step = Duration::from_millis(step.saturating_sub(4_000));
                now = now + step;
                clock.advance(step);
                let wait = bucket.wait(rate, now);
                match oracle.check() {
                    Ok(()) => {
                        prop_assert_eq!(wait, None);
                        bucket.spend(rate, now);
                    }
                    Err(not_until) => {
                        let earliest = not_until.wait_time_from(governor::clock::Clock::now(&clock));
                        prop_assert_eq!(wait, Some(earliest));
                    }
                }
            }
        }

        #[test]
        fn agrees_with_a_bucket_of_tokens(
            count in 1_u32..6,
            interval in 1_u64..50,
            steps in prop::collection::vec(0_u64..60, 1..200),
        ) {
            // Tokens times the interval, in nanoseconds, counted one by one.
            let rate = Rate::new(count, Duration::from_nanos(interval * u64::from(count))).unwrap();
            let (mut bucket, mut now, mut parts) = (Bucket::default(), 0_u64, u64::from(count) * interval);
            let mut log = Vec::new();
            for step in steps {
                now += step;
                parts = (parts + step).min(u64::from(count) * interval);
                let moment = Moment::from_start(Duration::from_nanos(now));
                let wait = bucket.wait(rate, moment);
                log.push(wait);
                if parts >= interval {
                    prop_assert_eq!(wait, None, "{:?}", log);
                    parts -= interval;
                    bucket.spend(rate, moment);
                } else {
                    prop_assert_eq!(wait, Some(Duration::from_nanos(interval - parts)));
                }
            }
        }
    }
}
