//! What the doorway counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the doorway counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorwayCounts {
    /// Connections accepted from the kernel, whatever became of them.
    pub accepted: u64,
    /// Of these, those handed to [`Doorman::admit`](crate::Doorman::admit).
    pub admitted: u64,
    /// Of these, those told a refusal (or closed silently on the doorman's word).
    pub refused: u64,
    /// Of the refused, those who came when no descriptor was left.
    pub exhausted: u64,
    /// Lingering sockets closed before their time because others needed the place: their peer may have read a reset.
    pub unspoken: u64,
    /// Times accepting paused because no descriptor or memory was left.
    pub pauses: u64,
    /// Times the doorman panicked; the connection was closed.
    pub panics: u64,
    /// Sockets lingering now.
    pub lingering: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) admitted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) exhausted: AtomicU64,
    pub(super) unspoken: AtomicU64,
    pub(super) pauses: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) lingering: AtomicU64,
}

impl Counters {
    pub(super) fn snapshot(&self) -> DoorwayCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DoorwayCounts {
            accepted: read(&self.accepted),
            admitted: read(&self.admitted),
            refused: read(&self.refused),
            exhausted: read(&self.exhausted),
            unspoken: read(&self.unspoken),
            pauses: read(&self.pauses),
            panics: read(&self.panics),
            lingering: read(&self.lingering),
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
