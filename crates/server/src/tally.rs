//! What the server counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use std::time::Duration;

use tidegate_types::Cause;

use crate::crowd::Crowd;
use crate::view::{HistogramView, Latency};

mod histogram;
mod replies;

use histogram::Histogram;
use replies::Replies;

/// Counters since the start, and how many there are now. Fixed size.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sessions_served: AtomicU64,
    pub(crate) sessions_live: AtomicU64,
    pub(crate) sessions_killed: AtomicU64,
    pub(crate) logins: AtomicU64,
    pub(crate) logins_denied: AtomicU64,
    pub(crate) logins_banned: AtomicU64,
    pub(crate) logins_unavailable: AtomicU64,
    pub(crate) transfers_live: AtomicU64,
    pub(crate) transfers_completed: AtomicU64,
    pub(crate) transfers_failed: AtomicU64,
    pub(crate) transfers_cut: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    refused: [AtomicU64; Cause::ALL.len()],
    replies: Replies,
    latencies: [Histogram; Latency::ALL.len()],
}

impl Tally {
    /// Counts a refusal, at the door or of a session, under its cause; returns how many that makes.
    pub(crate) fn refused(&self, cause: Cause) -> u64 {
        let row = Cause::ALL.iter().position(|other| *other == cause).and_then(|at| self.refused.get(at));
        row.map_or(0, |counter| counter.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Returns how many were refused for `cause`.
    pub(crate) fn refused_so_far(&self, cause: Cause) -> u64 {
        self.refusals().find(|(other, _)| *other == cause).map_or(0, |(_, count)| count)
    }

    /// Returns how many were refused for each cause.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL.into_iter().zip(&self.refused).map(|(cause, counter)| (cause, read(counter)))
    }

    /// Counts the replies in `wire`, which holds whole lines.
    pub(crate) fn said(&self, wire: &[u8]) {
        self.replies.count(wire);
    }

    /// Returns which codes were said how often.
    pub(crate) fn replies(&self) -> Vec<(u16, u64)> {
        self.replies.view()
    }

    /// Notes how long something took.
    pub(crate) fn took(&self, what: Latency, time: Duration) {
        let row = Latency::ALL.iter().position(|other| *other == what).and_then(|at| self.latencies.get(at));
        if let Some(histogram) = row {
            histogram.note(time);
        }
    }

    /// Returns every histogram.
    pub(crate) fn latencies(&self) -> Vec<(Latency, HistogramView)> {
        Latency::ALL.into_iter().zip(self.latencies.iter().map(Histogram::view)).collect()
    }
}

/// Adds `amount`.
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// Returns the value.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A session that is counted as live until it drops.
#[derive(Debug)]
pub(crate) struct LiveSession {
    tally: Arc<Tally>,
    crowd: Arc<Crowd>,
    held_much: bool,
}

impl LiveSession {
    pub(crate) fn new(tally: &Arc<Tally>, crowd: &Arc<Crowd>) -> Self {
        add(&tally.sessions_served, 1);
        add(&tally.sessions_live, 1);
        crowd.came();
        Self { tally: Arc::clone(tally), crowd: Arc::clone(crowd), held_much: false }
    }

    /// Notes that its buffers are full.
    pub(crate) fn note_much(&mut self) {
        self.held_much = true;
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.tally.sessions_live.fetch_sub(1, Ordering::Relaxed);
        self.crowd.left(self.held_much);
    }
}

/// How a transfer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Failed,
    /// By the end of a drain.
    Cut,
}

/// A transfer that is counted as live until it ends; dropped before its end it counts as cut.
#[derive(Debug)]
pub(crate) struct LiveTransfer {
    tally: Arc<Tally>,
    outcome: Outcome,
}

impl LiveTransfer {
    pub(crate) fn new(tally: &Arc<Tally>) -> Self {
        add(&tally.transfers_live, 1);
        Self { tally: Arc::clone(tally), outcome: Outcome::Cut }
    }

    pub(crate) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for LiveTransfer {
    fn drop(&mut self) {
        self.tally.transfers_live.fetch_sub(1, Ordering::Relaxed);
        let counter = match self.outcome {
            Outcome::Completed => &self.tally.transfers_completed,
            Outcome::Failed => &self.tally.transfers_failed,
            Outcome::Cut => &self.tally.transfers_cut,
        };
        add(counter, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_count_under_their_cause() {
        let tally = Tally::default();
        assert_eq!(tally.refused(Cause::Idle), 1);
        assert_eq!(tally.refused(Cause::Idle), 2);
        assert_eq!(tally.refused(Cause::ServerFull), 1);
        let all: Vec<_> = tally.refusals().filter(|(_, count)| *count > 0).collect();
        assert_eq!(all, [(Cause::ServerFull, 1), (Cause::Idle, 2)]);
    }

    #[test]
    fn a_transfer_dropped_on_the_way_is_cut() {
        let tally = Arc::new(Tally::default());
        LiveTransfer::new(&tally).end(Outcome::Completed);
        LiveTransfer::new(&tally).end(Outcome::Failed);
        let third = LiveTransfer::new(&tally);
        assert_eq!(read(&tally.transfers_live), 1);
        drop(third);
        let ends = [
            &tally.transfers_live,
            &tally.transfers_completed,
            &tally.transfers_failed,
            &tally.transfers_cut,
        ];
        assert_eq!(ends.map(read), [0, 1, 1, 1]);
    }
}
