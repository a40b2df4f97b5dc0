//! Connections from trusted proxies whose PROXY protocol header has not come yet.
//!
//! The gate is asked only when the header says who is behind the proxy. Until then a connection costs a place here, bounded in
//! number and time, and nothing else: it cannot hold up those who come directly.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::Caller;
use super::counts::{Counters, count};
use super::slab::{Room, Slab, Token};
use crate::proxy::{Header, Progress};

/// The bounded pool: at most 144 bytes a place, and up to 536 more while part of a header is there.
#[derive(Debug)]
pub(super) struct Pending {
    slab: Slab<Newcomer>,
    time: Duration,
    counters: Arc<Counters>,
}

const _: () = assert!(size_of::<Newcomer>() <= 112);

#[derive(Debug)]
struct Newcomer {
    socket: OwnedFd,
    /// With the socket's own addresses.
    caller: Caller,
    header: Header,
}

/// Somebody about whom the doorman can be asked.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) socket: OwnedFd,
    pub(super) caller: Caller,
    /// Whether the addresses of `caller` are those that a proxy named.
    pub(super) proxied: bool,
    /// Bytes of a header that are still in the socket, before those of the client.
    pub(super) header_unread: usize,
}

impl Arrival {
    pub(super) fn direct(socket: OwnedFd, caller: Caller) -> Self {
        Self { socket, caller, proxied: false, header_unread: 0 }
    }
}

impl Pending {
    pub(super) fn new(places: usize, time: Duration, counters: Arc<Counters>) -> Self {
        Self { slab: Slab::new(Room::Pending, places), time, counters }
    }

    /// Takes a connection of a proxy in, or gives it back at once if its header has come already. When the pool is full the oldest
    /// closes and is counted as late.
    pub(super) fn begin(
        &mut self,
        epoll: BorrowedFd<'_>,
        socket: OwnedFd,
        caller: Caller,
        now: Instant,
    ) -> Option<Arrival> {
        let mut newcomer = Newcomer { socket, caller, header: Header::default() };
        match newcomer.header.read_on(&newcomer.socket) {
            Progress::Waiting => {}
            progress => return self.conclude(newcomer, progress),
        }
        if self.slab.is_full() {
            self.evict_older(now, Duration::ZERO);
        }
        let token = self.slab.insert(newcomer, now).ok()?;
        let newcomer = self.slab.get_mut(token)?;
        let interest = EventFlags::IN | EventFlags::RDHUP;
        if epoll::add(epoll, &newcomer.socket, EventData::new_u64(token.to_bits()), interest).is_err() {
            // No memory for one more watch.
            count(&self.counters.proxy_late);
            self.slab.remove(token);
        }
        self.publish();
        None
    }

    /// Reads on; returns who has arrived. A token of somebody who left is no error.
    pub(super) fn attend(&mut self, epoll: BorrowedFd<'_>, token: Token) -> Option<Arrival> {
        let newcomer = self.slab.get_mut(token)?;
        let progress = newcomer.header.read_on(&newcomer.socket);
        if progress == Progress::Waiting {
            return None;
        }
        let newcomer = self.slab.remove(token)?;
        self.publish();
        // It may be watched again, in another room.
        let _ = epoll::delete(epoll, &newcomer.socket);
        self.conclude(newcomer, progress)
    }

    /// Closes those whose time is over; returns whether there was one.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let mut closed = false;
        while self.evict_older(now, self.time) {
            closed = true;
        }
        closed
    }

    /// Closes the oldest if it came at least `age` ago; returns whether it did.
    pub(super) fn evict_older(&mut self, now: Instant, age: Duration) -> bool {
        let Some(token) = self.slab.older(age, now) else { return false };
        // Nobody else holds this descriptor, so its close takes it out of the epoll.
        self.slab.remove(token);
        self.publish();
        count(&self.counters.proxy_late);
        true
    }

    /// Returns the token of who came first.
    pub(super) fn oldest(&mut self) -> Option<Token> {
        self.slab.oldest().map(|(token, _)| token)
    }

    /// Closes the one under `token`, because the doorway closes.
    pub(super) fn dismiss(&mut self, token: Token) {
        if self.slab.remove(token).is_some() {
            self.publish();
            count(&self.counters.proxy_gone);
        }
    }

    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        self.slab.oldest().map(|(_, since)| since + self.time)
    }

    fn conclude(&self, newcomer: Newcomer, progress: Progress) -> Option<Arrival> {
        let Newcomer { socket, mut caller, header } = newcomer;
        match progress {
            Progress::Whole { route, unread } => {
                count(&self.counters.proxied);
                if let Some(route) = route {
                    (caller.peer, caller.reached) = (route.source, route.destination);
                }
                return Some(Arrival { socket, caller, proxied: route.is_some(), header_unread: unread });
            }
            Progress::Bad => count(&self.counters.proxy_bad),
            Progress::Gone if header.has_begun() => count(&self.counters.proxy_bad),
            // A balancer that only looks whether the port is open does this.
            Progress::Gone => count(&self.counters.proxy_gone),
            Progress::Waiting => {}
        }
        None
    }

    fn publish(&self) {
        self.counters.proxy_pending.store(self.slab.len() as u64, Ordering::Relaxed);
    }
}
