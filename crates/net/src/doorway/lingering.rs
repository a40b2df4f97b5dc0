//! The slab of sockets whose last word was said and whose peer may still be sending.
//!
//! Closing a socket with unread bytes, or on which more bytes arrive, makes the kernel send a reset, and a reset may take the last
//! line out of the peer's hands. So what comes is read and dropped until the peer closes, within bounds.
//!
//! Most peers close as soon as they have read the end. So a newcomer is not watched at once: after [`FRESH_TIME`] it is looked at,
//! and only who is still there then costs an epoll entry. In a flood a refusal is accept, send, shutdown, recv, close.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv};

use super::LINGER_DROPPED_BYTES_MAX;
use super::counts::{Counters, count};
use super::slab::{Room, Slab, Token};

const DROP_BUFFER_BYTES: usize = 32 * 1024;
/// How long a newcomer rests before it is looked at for the first time: long enough for a peer on a busy machine, short enough for
/// 100,000 refusals a second and these places.
const FRESH_TIME: Duration = Duration::from_millis(10);

/// The fixed slab: about 64 bytes a place.
#[derive(Debug)]
pub(super) struct Lingering {
    slab: Slab<Resident>,
    /// Those not looked at yet, in the order of their coming; who was closed before leaves at the next turn.
    fresh: VecDeque<Token>,
    time: Duration,
    buffer: Box<[u8]>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Resident {
    socket: OwnedFd,
    dropped: u64,
    watched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    /// The peer has closed, failed, or sent more than it may: close.
    Ended,
    /// More may come.
    Waiting,
}

impl Lingering {
    pub(super) fn new(places: usize, time: Duration, counters: Arc<Counters>) -> Self {
        Self {
            slab: Slab::new(Room::Lingering, places),
            fresh: VecDeque::new(),
            time,
            buffer: vec![0; DROP_BUFFER_BYTES].into(),
            counters,
        }
    }

    /// Says `line` on a fresh `socket`, which has room for any line, and takes it in. A peer that is gone already is closed.
    pub(super) fn say(&mut self, epoll: BorrowedFd<'_>, socket: OwnedFd, line: &[u8], now: Instant) {
        // MORE: the shutdown sends the line and the end in one segment.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT | SendFlags::MORE;
        if rustix::net::send(&socket, line, flags).is_ok() {
            self.take_in(epoll, socket, now);
        }
    }

    /// Ends the sending side of `socket` and keeps it until its peer closes. When the slab is full the oldest closes at once and is
    /// counted as unspoken, unless its peer had closed already.
    pub(super) fn take_in(&mut self, epoll: BorrowedFd<'_>, socket: OwnedFd, now: Instant) {
        if shutdown_write(socket.as_fd()).is_err() {
            return;
        }
        if self.slab.is_full() {
            self.evict_oldest(epoll);
        }
        let resident = Resident { socket, dropped: 0, watched: false };
        let Ok(token) = self.slab.insert(resident, now) else { return };
        self.fresh.push_back(token);
        self.publish();
    }

    /// Reads and drops what came; returns whether the socket was closed. A token of somebody who left is no error.
    pub(super) fn attend(&mut self, epoll: BorrowedFd<'_>, token: Token) -> bool {
        let Some(resident) = self.slab.get_mut(token) else { return false };
        if drain(resident.socket.as_fd(), &mut self.buffer, &mut resident.dropped) == Drained::Waiting {
            return false;
        }
        self.close(epoll, token);
        true
    }

    /// Looks at those who have rested, closes those whose time is over; returns whether a socket was closed.
    pub(super) fn expire(&mut self, epoll: BorrowedFd<'_>, now: Instant) -> bool {
        let mut closed = false;
        while let Some(since) = self.next_fresh()
            && since + FRESH_TIME <= now
        {
            closed |= self.fresh.pop_front().is_some_and(|token| self.settle(epoll, token));
        }
        while let Some(token) = self.slab.older(self.time, now) {
            self.close(epoll, token);
            closed = true;
        }
        closed
    }

    /// Looks at the fresh, whether they have rested or not, until one is found whose peer has closed; returns whether there was one.
    pub(super) fn close_a_fresh(&mut self, epoll: BorrowedFd<'_>) -> bool {
        while let Some(token) = self.fresh.pop_front() {
            if self.settle(epoll, token) {
                return true;
            }
        }
        false
    }

    /// Closes the oldest before its time if it came at least `age` ago; returns whether it did.
    pub(super) fn evict_older(&mut self, epoll: BorrowedFd<'_>, now: Instant, age: Duration) -> bool {
        let old_enough = self.slab.older(age, now).is_some();
        if old_enough {
            self.evict_oldest(epoll);
        }
        old_enough
    }

    /// Returns when somebody has to be looked at or closed.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        let end = self.slab.oldest().map(|(_, since)| since + self.time);
        let look = self.next_fresh().map(|since| since + FRESH_TIME);
        match (end, look) {
            (Some(end), Some(look)) => Some(end.min(look)),
            (end, look) => end.or(look),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Returns when the first of the fresh came, forgetting those before it who were closed.
    fn next_fresh(&mut self) -> Option<Instant> {
        loop {
            let token = *self.fresh.front()?;
            if let Some(since) = self.slab.since(token) {
                return Some(since);
            }
            self.fresh.pop_front();
        }
    }

    /// Looks at somebody for the first time and watches who is still there; returns whether the socket was closed.
    fn settle(&mut self, epoll: BorrowedFd<'_>, token: Token) -> bool {
        if self.attend(epoll, token) {
            return true;
        }
        let Some(resident) = self.slab.get_mut(token) else { return false };
        let interest = EventFlags::IN | EventFlags::RDHUP;
        resident.watched =
            epoll::add(epoll, &resident.socket, EventData::new_u64(token.to_bits()), interest).is_ok();
        if resident.watched {
            return false;
        }
        // No memory for one more watch: this one cannot be waited for.
        count(&self.counters.unspoken);
        self.close(epoll, token);
        true
    }

    fn evict_oldest(&mut self, epoll: BorrowedFd<'_>) {
        if let Some((token, _)) = self.slab.oldest()
            && !self.attend(epoll, token)
        {
            count(&self.counters.unspoken);
            self.close(epoll, token);
        }
    }

    fn close(&mut self, epoll: BorrowedFd<'_>, token: Token) {
        if let Some(resident) = self.slab.remove(token) {
            if resident.watched {
                // A descriptor shared with another process or duplicate would stay in the epoll after the close.
                let _ = epoll::delete(epoll, &resident.socket);
            }
            self.publish();
        }
    }

    fn publish(&self) {
        self.counters.lingering.store(self.slab.len() as u64, Ordering::Relaxed);
    }
}

/// Ends the sending side and drops what has come, without waiting: the most that can be done for a socket that closes now.
pub(super) fn say_goodbye(socket: BorrowedFd<'_>) {
    if shutdown_write(socket).is_ok() {
        drain(socket, &mut [0; 4096], &mut 0);
    }
}

fn shutdown_write(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::net::shutdown(socket, Shutdown::Write)
}

fn drain(socket: BorrowedFd<'_>, buffer: &mut [u8], dropped: &mut u64) -> Drained {
    while *dropped < LINGER_DROPPED_BYTES_MAX {
        match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Drained::Ended,
            Ok((bytes, _)) => *dropped += bytes as u64,
            Err(Errno::AGAIN) => return Drained::Waiting,
            Err(Errno::INTR) => {}
            Err(_) => return Drained::Ended,
        }
    }
    Drained::Ended
}
