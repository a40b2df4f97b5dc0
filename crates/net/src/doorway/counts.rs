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
    /// Of the refused, those who came when no descriptor was left, or no place in the waiting room.
    pub exhausted: u64,
    /// Lingering sockets closed before their time because others needed the place: their peer may have read a reset.
    pub unspoken: u64,
    /// Times accepting paused because no descriptor or memory was left.
    pub pauses: u64,
    /// Times the doorman panicked; the connection was closed.
    pub panics: u64,
    /// Sockets lingering now.
    pub lingering: u64,
    /// Connections held in the waiting room now.
    pub waiting: u64,
    /// PROXY protocol headers read from trusted proxies.
    pub proxied: u64,
    /// Connections of trusted proxies closed because what came was no PROXY protocol header, or broke off inside one.
    pub proxy_bad: u64,
    /// Those closed because the header was not whole in time, or others needed the place.
    pub proxy_late: u64,
    /// Those that ended before the first byte, as the look of a balancer at an open port does, or because the doorway stopped.
    pub proxy_gone: u64,
    /// Connections of trusted proxies whose header is awaited now.
    pub proxy_pending: u64,
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
    pub(super) waiting: AtomicU64,
    pub(super) proxied: AtomicU64,
    pub(super) proxy_bad: AtomicU64,
    pub(super) proxy_late: AtomicU64,
    pub(super) proxy_gone: AtomicU64,
    pub(super) proxy_pending: AtomicU64,
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
            waiting: read(&self.waiting),
            proxied: read(&self.proxied),
            proxy_bad: read(&self.proxy_bad),
            proxy_late: read(&self.proxy_late),
            proxy_gone: read(&self.proxy_gone),
            proxy_pending: read(&self.proxy_pending),
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
