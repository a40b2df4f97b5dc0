//! The slab of sockets whose last word was said and whose peer may still be sending.
//!
//! Closing a socket with unread bytes, or on which more bytes arrive, makes the kernel send a reset, and a reset may take the last
//! line out of the peer's hands. So what comes is read and dropped until the peer closes, within bounds.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv};

use super::LINGER_DROPPED_BYTES_MAX;
use super::counts::{Counters, count};

const DROP_BUFFER_BYTES: usize = 32 * 1024;

/// The fixed slab: about 64 bytes a place.
#[derive(Debug)]
pub(super) struct Lingering {
    places: Box<[Option<Resident>]>,
    vacant: Vec<u32>,
    /// Places by age, oldest first. Entries of those who left early stay until they come to the front or the queue is twice as
    /// long as the slab.
    order: VecDeque<Stay>,
    stays: u32,
    time: Duration,
    buffer: Box<[u8]>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Resident {
    socket: OwnedFd,
    since: Instant,
    dropped: u64,
    stay: u32,
}

/// One stay of one socket: the number tells it from the next in the same place.
#[derive(Clone, Copy, Debug)]
struct Stay {
    place: u32,
    number: u32,
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
        let number = u32::try_from(places).unwrap_or(u32::MAX).max(1);
        Self {
            places: (0..number).map(|_| None).collect(),
            vacant: (0..number).rev().collect(),
            order: VecDeque::new(),
            stays: 0,
            time,
            buffer: vec![0; DROP_BUFFER_BYTES].into(),
            counters,
        }
    }

    /// Ends the sending side of `socket` and keeps it until its peer closes. When the slab is full the oldest closes at once and is
    /// counted as unspoken. The place is the token that epoll reports.
    pub(super) fn take_in(&mut self, epoll: BorrowedFd<'_>, socket: OwnedFd, now: Instant) {
        let mut dropped = 0;
        if shutdown_write(socket.as_fd()).is_err()
            || drain(socket.as_fd(), &mut self.buffer, &mut dropped) == Drained::Ended
        {
            return;
        }
        if self.vacant.is_empty() {
            self.evict_oldest(epoll);
        }
        let Some(place) = self.vacant.pop() else { return };
        let interest = EventFlags::IN | EventFlags::RDHUP;
        if epoll::add(epoll, &socket, EventData::new_u64(u64::from(place)), interest).is_err() {
            // No memory for one more watch: this one cannot be waited for.
            count(&self.counters.unspoken);
            self.vacant.push(place);
            return;
        }
        self.stays = self.stays.wrapping_add(1);
        let stay = self.stays;
        if let Some(slot) = self.places.get_mut(place as usize) {
            *slot = Some(Resident { socket, since: now, dropped, stay });
        }
        self.remember(Stay { place, number: stay });
        self.publish();
    }

    /// Reads and drops what came on `place`; returns whether the socket was closed. A place that is empty by now is no error.
    pub(super) fn attend(&mut self, epoll: BorrowedFd<'_>, place: u64) -> bool {
        let Some((place, slot)) =
            u32::try_from(place).ok().and_then(|place| Some((place, self.places.get_mut(place as usize)?)))
        else {
            return false;
        };
        let Some(resident) = slot else { return false };
        if drain(resident.socket.as_fd(), &mut self.buffer, &mut resident.dropped) == Drained::Waiting {
            return false;
        }
        self.close(epoll, place);
        true
    }

    /// Closes those whose time is over; returns whether there was one.
    pub(super) fn expire(&mut self, epoll: BorrowedFd<'_>, now: Instant) -> bool {
        let mut closed = false;
        while let Some((place, deadline)) = self.oldest()
            && deadline <= now
        {
            self.close(epoll, place);
            closed = true;
        }
        closed
    }

    /// Closes the oldest before its time if it came at least `age` ago; returns whether it did.
    pub(super) fn evict_older(&mut self, epoll: BorrowedFd<'_>, now: Instant, age: Duration) -> bool {
        match self.oldest() {
            Some((_, deadline)) if deadline <= now + self.time.saturating_sub(age) => {
                self.evict_oldest(epoll);
                true
            }
            _ => false,
        }
    }

    /// Returns when the oldest must be closed.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        self.oldest().map(|(_, deadline)| deadline)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.vacant.len() == self.places.len()
    }

    fn evict_oldest(&mut self, epoll: BorrowedFd<'_>) {
        if let Some((place, _)) = self.oldest() {
            count(&self.counters.unspoken);
            self.close(epoll, place);
        }
    }

    /// Returns the place and deadline of the oldest, forgetting the stays before it that have ended.
    fn oldest(&mut self) -> Option<(u32, Instant)> {
        loop {
            let stay = *self.order.front()?;
            if let Some(resident) = self.resident(stay) {
                return Some((stay.place, resident.since + self.time));
            }
            self.order.pop_front();
        }
    }

    fn resident(&self, stay: Stay) -> Option<&Resident> {
        self.places.get(stay.place as usize)?.as_ref().filter(|resident| resident.stay == stay.number)
    }

    fn remember(&mut self, stay: Stay) {
        if self.order.len() >= 2 * self.places.len() {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|&stay| self.resident(stay).is_some());
            self.order = order;
        }
        self.order.push_back(stay);
    }

    fn close(&mut self, epoll: BorrowedFd<'_>, place: u32) {
        if let Some(resident) = self.places.get_mut(place as usize).and_then(Option::take) {
            // A descriptor shared with another process or duplicate would stay in the epoll after the close.
            let _ = epoll::delete(epoll, &resident.socket);
            self.vacant.push(place);
            self.publish();
        }
    }

    fn publish(&self) {
        let lingering = self.places.len() - self.vacant.len();
        self.counters.lingering.store(lingering as u64, Ordering::Relaxed);
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
