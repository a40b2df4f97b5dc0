//! How late a runtime runs what is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_types::Moment;
use tokio::runtime::Handle;

use crate::clock::Clock;

/// How many tasks one probe has at most.
const TASKS_MAX: usize = 8;

/// Sends tiny tasks into a runtime and looks when they ran. One probe at a time, of as many tasks as the runtime has threads
/// (8 at most), of which the slowest counts; so a runtime that is stuck collects no heap of them.
#[derive(Debug)]
pub(super) struct Probe {
    runtime: Handle,
    clock: Clock,
    tasks: usize,
    under_way: Option<Round>,
}

#[derive(Debug)]
struct Round {
    sent: Moment,
    outcome: Arc<Outcome>,
}

#[derive(Debug)]
struct Outcome {
    missing: AtomicUsize,
    slowest_nanos: AtomicU64,
}

impl Probe {
    pub(super) fn new(runtime: Handle, clock: Clock) -> Self {
        let tasks = runtime.metrics().num_workers().clamp(1, TASKS_MAX);
        Self { runtime, clock, tasks, under_way: None }
    }

    /// Returns the delay of the probe that was sent at the last call, or its age while it has not run; sends the next one when it
    /// has. `None` at the first call.
    pub(super) fn read(&mut self) -> Option<Duration> {
        let now = self.clock.now();
        let Some(round) = &self.under_way else {
            self.under_way = Some(self.send(now));
            return None;
        };
        if round.outcome.missing.load(Ordering::Acquire) > 0 {
            return Some(now.since(round.sent));
        }
        let delay = Duration::from_nanos(round.outcome.slowest_nanos.load(Ordering::Relaxed));
        self.under_way = Some(self.send(now));
        Some(delay)
    }

    fn send(&self, now: Moment) -> Round {
        let missing = AtomicUsize::new(self.tasks);
        let outcome = Arc::new(Outcome { missing, slowest_nanos: AtomicU64::new(0) });
        for _ in 0..self.tasks {
            let (outcome, clock) = (Arc::clone(&outcome), self.clock);
            // A runtime that has ended drops it: the probe then stays under way, and nobody is there to be told.
            self.runtime.spawn(async move {
                let nanos = u64::try_from(clock.now().since(now).as_nanos()).unwrap_or(u64::MAX);
                outcome.slowest_nanos.fetch_max(nanos, Ordering::Relaxed);
                outcome.missing.fetch_sub(1, Ordering::Release);
            });
        }
        Round { sent: now, outcome }
    }
}
