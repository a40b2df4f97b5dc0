//! How long storage takes to answer, and has been taking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_types::Moment;

use crate::clock::Clock;

/// Measures the calls of storage; clones share what they measure. A call that hangs is seen while it hangs. Begin one for each call whose
/// length says something about the storage: not for a digest, a copy or the removal of a tree, which are long because there is
/// much to do. Costs an uncontended lock twice a call, and some 50 bytes for each call under way, of which a session has one or two.
#[derive(Clone, Debug)]
pub(crate) struct StorageClock {
    clock: Clock,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// When each call under way began, by number: the first one is the oldest.
    under_way: BTreeMap<u64, Moment>,
    begun: u64,
    /// Those that ended since the last reading, by how long they took.
    ended: Spread,
}

/// How many took about how long: one bucket for each power of two of microseconds. Fixed size.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    /// How many, and the longest of them.
    buckets: [(u32, Duration); 32],
}

impl Spread {
    fn note(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let at = (micros.ilog2() as usize).min(self.buckets.len() - 1);
        if let Some((count, longest)) = self.buckets.get_mut(at) {
            *count = count.saturating_add(1);
            *longest = time.max(*longest);
        }
    }

    /// Returns about what half of them did not exceed; `None`: there is none.
    fn median(&self) -> Option<Duration> {
        let total: u64 = self.buckets.iter().map(|(count, _)| u64::from(*count)).sum();
        let mut left = total.div_ceil(2);
        for (count, longest) in self.buckets {
            if left <= count.into() {
                return (total > 0).then_some(longest);
            }
            left -= u64::from(count);
        }
        None
    }
}

/// One call under way. Drop it when the call has ended, or when nobody waits for it any more.
#[derive(Debug)]
#[must_use = "it measures until it is dropped"]
pub(crate) struct StorageRequestGuard {
    clock: StorageClock,
    number: u64,
}

impl StorageClock {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, ledger: Arc::default() }
    }

    /// Notes that a call begins now.
    pub(crate) fn begin(&self) -> StorageRequestGuard {
        let now = self.clock.now();
        let number = self.with(|ledger| {
            ledger.begun += 1;
            ledger.under_way.insert(ledger.begun, now);
            ledger.begun
        });
        StorageRequestGuard { clock: self.clone(), number }
    }

    /// Returns what half of the calls did not exceed that ended since the last reading or are under way, by their age; `None` when
    /// there is none. So one call that hangs on one odd file does not speak for the storage while others are answered.
    pub(super) fn read(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.with(|ledger| {
            let mut all = std::mem::take(&mut ledger.ended);
            for begun in ledger.under_way.values() {
                all.note(now.since(*begun));
            }
            all.median()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for StorageRequestGuard {
    fn drop(&mut self) {
        let now = self.clock.clock.now();
        self.clock.with(|ledger| {
            if let Some(begun) = ledger.under_way.remove(&self.number) {
                ledger.ended.note(now.since(begun));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_storage_clock_tells_of_what_ended_and_of_what_lasts() {
        let storage = StorageClock::new(Clock::start());
        let pass = |secs| tokio::time::advance(Duration::from_secs(secs));
        let read = || storage.read().map(|latency| latency.as_secs());
        assert_eq!(read(), None, "nothing was asked");
        let first = storage.begin();
        pass(3).await;
        assert_eq!(read(), Some(3), "it hangs, and is seen while it does");
        drop(first);
        assert_eq!(read(), Some(3), "what ended since the last reading");
        assert_eq!(read(), None);
        drop(storage.begin());
        assert_eq!(read(), Some(0), "a storage that answers at once is told, too");
        let many: Vec<_> = (0..10_000).map(|_| storage.clone().begin()).collect();
        assert_eq!(storage.with(|ledger| ledger.under_way.len()), 10_000);
        drop(many);
        assert_eq!(storage.with(|ledger| ledger.under_way.len()), 0, "nothing is kept of what ended");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_does_not_speak_for_those_that_are_answered() {
        let storage = StorageClock::new(Clock::start());
        let hung = storage.begin();
        tokio::time::advance(Duration::from_mins(1)).await;
        drop(storage.begin());
        assert_eq!(storage.read(), Some(Duration::ZERO), "another was answered at once");
        let others = [storage.begin(), storage.begin()];
        tokio::time::advance(Duration::from_secs(9)).await;
        drop(storage.begin());
        assert_eq!(storage.read(), Some(Duration::from_secs(9)), "most of them hang");
        drop((hung, others));
    }
}
