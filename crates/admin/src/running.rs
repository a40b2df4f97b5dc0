//! What this room needs of a running server; tests stand in for it.

use std::net::IpAddr;
use std::time::Duration;

use tidegate_server::view::{
    Ban, BanPage, DrainOrder, DrainView, Level, SessionView, Snapshot, Subject, Why,
};
use tidegate_server::{DrainError, ServerHandle};

/// A running server, seen from outside. Every call is short.
pub(crate) trait Running: Send + Sync + 'static {
    fn is_ready(&self) -> bool;
    fn snapshot(&self) -> Snapshot;
    fn sessions(&self, after: u64, count: usize) -> Vec<SessionView>;
    fn session(&self, id: u64) -> Option<SessionView>;
    fn why(&self, subject: &Subject) -> Why;
    fn kick(&self, id: u64, retry_after_secs: u32) -> bool;
    fn ban(&self, address: IpAddr, length: Duration) -> Option<Ban>;
    fn unban(&self, address: IpAddr) -> usize;
    fn bans(&self, cursor: usize, count: usize) -> BanPage;
    fn drain_with(&self, order: &DrainOrder) -> Result<DrainView, DrainError>;
    fn resume(&self) -> bool;
}

impl Running for ServerHandle {
    fn is_ready(&self) -> bool {
        self.is_ready()
    }

    fn snapshot(&self) -> Snapshot {
        self.snapshot()
    }

    fn sessions(&self, after: u64, count: usize) -> Vec<SessionView> {
        self.sessions(after, count)
    }

    fn session(&self, id: u64) -> Option<SessionView> {
        self.session(id)
    }

    fn why(&self, subject: &Subject) -> Why {
        self.why(subject)
    }

    fn kick(&self, id: u64, retry_after_secs: u32) -> bool {
        self.kick(id, retry_after_secs)
    }

    fn ban(&self, address: IpAddr, length: Duration) -> Option<Ban> {
        self.ban(address, length)
    }

    fn unban(&self, address: IpAddr) -> usize {
        self.unban(address)
    }

    fn bans(&self, cursor: usize, count: usize) -> BanPage {
        self.bans(cursor, count)
    }

    fn drain_with(&self, order: &DrainOrder) -> Result<DrainView, DrainError> {
        self.drain_with(order)
    }

    fn resume(&self) -> bool {
        self.resume()
    }
}

/// Returns why a newcomer would find no place: `draining`, `overloaded` or `full`; `None`: one would.
pub(crate) fn why_not_ready(snapshot: &Snapshot) -> Option<&'static str> {
    if snapshot.ready {
        None
    } else if is_draining(snapshot) {
        Some("draining")
    } else if snapshot.gate.level == Level::Full {
        Some("overloaded")
    } else {
        Some("full")
    }
}

/// Returns whether a drain has begun; a planned one does not count.
pub(crate) fn is_draining(snapshot: &Snapshot) -> bool {
    let has_begun = |drain: &DrainView| drain.begins_in.is_zero();
    snapshot.gate.drain.is_some() || snapshot.drain.as_ref().is_some_and(has_begun)
}
