//! Memory after a crowd: what hundreds of sessions freed goes back to the system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

/// So many sessions are a crowd: fewer hold less than is worth the work.
const CROWD: u64 = 64;
/// How long after a crowd has left its memory is given back, and the time between two such works at least.
const REST: Duration = Duration::from_secs(1);

/// How many sessions there are, and were.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    live: AtomicU64,
    /// The most since memory was given back last.
    peak: AtomicU64,
    /// Whether somebody left since then who had held much.
    much: AtomicBool,
    tidying: AtomicBool,
}

impl Crowd {
    /// Counts one who came.
    pub(crate) fn came(&self) {
        let live = self.live.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(live, Ordering::Relaxed);
    }

    /// Counts one who left. When half of a crowd has, or somebody whose buffers were full (`much`: hundreds of KiB), what they
    /// held is given back a second later.
    pub(crate) fn left(self: &Arc<Self>, much: bool) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.much.fetch_or(much, Ordering::Relaxed);
        if self.has_dispersed()
            && let Ok(runtime) = Handle::try_current()
            && !self.tidying.swap(true, Ordering::AcqRel)
        {
            runtime.spawn(Arc::clone(self).tidy());
        }
    }

    fn has_dispersed(&self) -> bool {
        let (live, peak) = (self.live.load(Ordering::Relaxed), self.peak.load(Ordering::Relaxed));
        (peak >= CROWD && live < peak / 2) || self.much.load(Ordering::Relaxed)
    }

    /// Gives memory back, again while more and more leave.
    async fn tidy(self: Arc<Self>) {
        loop {
            // Whoever left last is freed by then.
            tokio::time::sleep(REST).await;
            self.peak.store(self.live.load(Ordering::Relaxed), Ordering::Relaxed);
            self.much.store(false, Ordering::Relaxed);
            let tidied = tokio::task::spawn_blocking(tidegate_net::return_freed_memory).await;
            self.tidying.store(false, Ordering::Release);
            // Those who left meanwhile counted on this one.
            let again = tidied.is_ok() && self.has_dispersed();
            if !again || self.tidying.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(count: u64) -> Arc<Crowd> {
        let crowd = Arc::new(Crowd::default());
        (0..count).for_each(|_| crowd.came());
        crowd
    }

    #[tokio::test]
    async fn half_of_a_crowd_must_have_left() {
        let few = crowd(CROWD - 1);
        (0..CROWD - 1).for_each(|_| few.left(false));
        assert!(!few.tidying.load(Ordering::Relaxed), "never a crowd");
        let many = crowd(CROWD);
        (0..CROWD / 2).for_each(|_| many.left(false));
        assert!(!many.tidying.load(Ordering::Relaxed), "half of them are still there");
        many.left(false);
        assert!(many.tidying.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_held_much_is_enough() {
        let crowd = crowd(2);
        crowd.left(true);
        while crowd.tidying.load(Ordering::Relaxed) {
            tokio::time::sleep(REST).await;
        }
        assert!(!crowd.much.load(Ordering::Relaxed));
        crowd.left(false);
        assert!(!crowd.tidying.load(Ordering::Relaxed), "that was before");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_once_a_second_and_then_not_any_more() {
        let crowd = crowd(1000);
        (0..501).for_each(|_| crowd.left(false));
        tokio::time::sleep(REST / 2).await;
        assert_eq!(crowd.peak.load(Ordering::Relaxed), 1000, "not yet");
        (0..400).for_each(|_| crowd.left(false));
        while crowd.tidying.load(Ordering::Relaxed) {
            tokio::time::sleep(REST).await;
        }
        assert_eq!(crowd.peak.load(Ordering::Relaxed), 99);
        (0..60).for_each(|_| crowd.left(false));
        assert!(crowd.tidying.load(Ordering::Relaxed), "the rest of them were a crowd, too");
        while crowd.tidying.load(Ordering::Relaxed) {
            tokio::time::sleep(REST).await;
        }
        (0..39).for_each(|_| crowd.left(false));
        assert!(!crowd.tidying.load(Ordering::Relaxed));
    }
}
