//! The sockets of the waiting room: held without a word until the doorman answers, or the peer goes away.

use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::counts::Counters;
use super::pending::Arrival;
use super::slab::{Room, Slab, Token};

/// The bounded map from a ticket to who waits with it: about 160 bytes a place.
#[derive(Debug)]
pub(super) struct Waiting {
    slab: Slab<Waiter>,
    tickets: HashMap<u64, Token>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Waiter {
    arrival: Arrival,
    ticket: u64,
}

impl Waiting {
    pub(super) fn new(places: usize, counters: Arc<Counters>) -> Self {
        Self { slab: Slab::new(Room::Waiting, places), tickets: HashMap::new(), counters }
    }

    /// Holds `arrival`; gives its socket back when no place is left, the ticket is in use, or the kernel has no memory to watch.
    pub(super) fn hold(
        &mut self,
        epoll: BorrowedFd<'_>,
        arrival: Arrival,
        ticket: u64,
        now: Instant,
    ) -> Result<(), OwnedFd> {
        if self.tickets.contains_key(&ticket) {
            return Err(arrival.socket);
        }
        let token =
            self.slab.insert(Waiter { arrival, ticket }, now).map_err(|waiter| waiter.arrival.socket)?;
        self.tickets.insert(ticket, token);
        self.publish();
        // Only whether the peer goes away: what it sends waits in the kernel, and must not wake anybody.
        let watched = self.slab.get_mut(token).is_some_and(|waiter| {
            let data = EventData::new_u64(token.to_bits());
            epoll::add(epoll, &waiter.arrival.socket, data, EventFlags::RDHUP).is_ok()
        });
        match if watched { None } else { self.take(ticket) } {
            None => Ok(()),
            Some(arrival) => Err(arrival.socket),
        }
    }

    /// Takes out who waits with `ticket`; `None` when nobody does.
    pub(super) fn release(&mut self, epoll: BorrowedFd<'_>, ticket: u64) -> Option<Arrival> {
        let arrival = self.take(ticket)?;
        // It may be watched again, in another room.
        let _ = epoll::delete(epoll, &arrival.socket);
        Some(arrival)
    }

    /// Closes who has gone away and returns the ticket. A token of somebody who left is no error.
    pub(super) fn gone(&mut self, token: Token) -> Option<u64> {
        let waiter = self.slab.remove(token)?;
        self.tickets.remove(&waiter.ticket);
        self.publish();
        Some(waiter.ticket)
    }

    /// Closes who has waited longest and returns the ticket.
    pub(super) fn dismiss(&mut self) -> Option<u64> {
        let (token, _) = self.slab.oldest()?;
        self.gone(token)
    }

    pub(super) fn places(&self) -> usize {
        self.slab.places()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    fn take(&mut self, ticket: u64) -> Option<Arrival> {
        let token = self.tickets.remove(&ticket)?;
        let waiter = self.slab.remove(token)?;
        self.publish();
        Some(waiter.arrival)
    }

    fn publish(&self) {
        debug_assert_eq!(self.tickets.len(), self.slab.len(), "a ticket for each who waits");
        self.counters.waiting.store(self.slab.len() as u64, Ordering::Relaxed);
    }
}
