//! The thread of the doorway: one epoll with the listeners, the mailbox, and the sockets that rest: those whose PROXY header is
//! awaited, those in the waiting room, and those who linger.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use super::accept::{Accepted, accept};
use super::counts::{Counters, count};
use super::lingering::Lingering;
use super::mailbox::Mailbox;
use super::pending::{Arrival, Pending};
use super::reserve::Reserve;
use super::slab::{Room, Token};
use super::waiting::Waiting;
use super::{Bounds, Doorman, Verdict};
use crate::address::from_kernel;
use crate::clock;
use crate::listener::{Listener, prepare_control};
use crate::proxy;

mod answers;

const EVENTS_MAX: usize = 256;
/// Connections accepted from one listener before the others and those who rest have their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// Connections still answered when the doorway closes: as many as a listener's backlog may hold.
const ACCEPTS_AT_CLOSE: usize = 4096;
/// How long accepting rests when neither descriptor nor memory is left.
const PAUSE: Duration = Duration::from_millis(50);
/// What a lingering socket has for its peer to read before its descriptor is taken for the next caller.
const EVICTION_AGE: Duration = Duration::from_millis(100);

/// What the thread owns.
pub(super) struct Keeper<D> {
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    doorman: D,
    line: Vec<u8>,
    pending: Pending,
    waiting: Waiting,
    lingering: Lingering,
    reserve: Reserve,
    paused_until: Option<Instant>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
}

impl<D: Doorman> Keeper<D> {
    pub(super) fn new(
        listeners: Vec<Listener>,
        doorman: D,
        bounds: Bounds,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let watch = |socket, token: Token| {
            epoll::add(&epoll, socket, EventData::new_u64(token.to_bits()), EventFlags::IN)
        };
        watch(mailbox.as_fd(), Token::of(Room::Mailbox, 0))?;
        for (listener, number) in listeners.iter().zip(0..) {
            watch(listener.as_fd(), Token::of(Room::Listener, number))?;
        }
        Ok(Self {
            epoll,
            listeners,
            doorman,
            line: Vec::with_capacity(512),
            pending: Pending::new(bounds.proxy_places, bounds.proxy_time, Arc::clone(&counters)),
            waiting: Waiting::new(bounds.waiting_places, Arc::clone(&counters)),
            lingering: Lingering::new(bounds.linger_places, bounds.linger_time, Arc::clone(&counters)),
            reserve: Reserve::new(),
            paused_until: None,
            mailbox,
            counters,
        })
    }

    /// Runs until a stop is requested and nobody lingers any more.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut closing = false;
        while !(closing && self.lingering.is_empty()) {
            events.clear();
            let timeout = self.timeout(clock::now());
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // Only a broken epoll says anything else; ending the thread closes the listeners, which the operator sees.
                Err(_) => return,
            }
            let now = clock::now();
            let mut closed = false;
            for token in events.iter().filter_map(|event| Token::from_bits(event.data.u64())) {
                closed |= self.attend(token, now);
            }
            closed |= self.answer_waiters(now);
            closed |= self.pending.expire(now);
            closed |= self.lingering.expire(self.epoll.as_fd(), now);
            // A descriptor that became free belongs to the reserve first, then to callers.
            self.reserve.fill();
            if self.paused_until.is_some_and(|until| closed || until <= now) {
                self.resume();
            }
            if !closing && self.mailbox.stop_requested() {
                closing = true;
                // What was delivered before the word to stop has its time too.
                self.empty_mailbox(now);
                self.close_doors(now);
            }
        }
    }

    /// Returns how long nothing needs to be done, rounded up to whole milliseconds; `None` for ever.
    fn timeout(&mut self, now: Instant) -> Option<Timespec> {
        let deadlines = [
            self.lingering.next_deadline(),
            self.pending.next_deadline(),
            self.paused_until,
            self.next_question(now),
        ];
        let wait = deadlines.into_iter().flatten().min()?.saturating_duration_since(now);
        let millis = i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        Some(Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 })
    }

    /// Does what one event asks for; returns whether a resting socket was closed.
    fn attend(&mut self, token: Token, now: Instant) -> bool {
        match token.room {
            Room::Mailbox => self.empty_mailbox(now),
            Room::Lingering => return self.lingering.attend(self.epoll.as_fd(), token),
            Room::Pending => {
                if let Some(arrival) = self.pending.attend(self.epoll.as_fd(), token) {
                    self.answer(arrival, now);
                }
            }
            Room::Waiting => {
                if let Some(ticket) = self.waiting.gone(token) {
                    self.give_up(ticket);
                    return true;
                }
            }
            Room::Listener => self.accept_some(token.place as usize, ACCEPTS_PER_TURN, now),
        }
        false
    }

    fn empty_mailbox(&mut self, now: Instant) {
        self.mailbox.silence();
        while let Some(socket) = self.mailbox.take() {
            self.lingering.take_in(self.epoll.as_fd(), socket, now);
        }
    }

    fn accept_some(&mut self, listener: usize, number_max: usize, now: Instant) {
        for _ in 0..number_max {
            if self.paused_until.is_some() || self.accept_one(listener, now).is_break() {
                return;
            }
        }
    }

    fn accept_one(&mut self, listener: usize, now: Instant) -> ControlFlow<()> {
        if !self.reserve.fill() {
            return self.accept_on_reserve(listener, now);
        }
        match self.accept(listener) {
            Accepted::One(socket, caller) => {
                let is_proxy =
                    self.listeners.get(listener).is_some_and(|door| door.is_proxy(caller.peer.ip()));
                let arrival = if is_proxy {
                    self.pending.begin(self.epoll.as_fd(), socket, caller, now)
                } else {
                    Some(Arrival::direct(socket, caller))
                };
                if let Some(arrival) = arrival {
                    self.answer(arrival, now);
                }
            }
            Accepted::Gone => {}
            Accepted::Nobody => return ControlFlow::Break(()),
            Accepted::NoDescriptor => return self.accept_on_reserve(listener, now),
            Accepted::Trouble => return self.pause(now),
        }
        ControlFlow::Continue(())
    }

    /// Frees a descriptor, from the reserve or of the oldest that lingers or awaits its header, to tell one caller that there are
    /// none left. Who comes by a proxy is told too, without waiting for the header.
    fn accept_on_reserve(&mut self, listener: usize, now: Instant) -> ControlFlow<()> {
        if !self.reserve.release_one()
            && !self.lingering.close_a_fresh(self.epoll.as_fd())
            && !self.lingering.evict_older(self.epoll.as_fd(), now, EVICTION_AGE)
            && !self.pending.evict_older(now, EVICTION_AGE)
        {
            return self.pause(now);
        }
        match self.accept(listener) {
            Accepted::One(socket, caller) => {
                self.refuse_for_want(&caller, socket, now);
            }
            // Another thread took the descriptor: the next turn frees one more, until there is none and accepting rests.
            Accepted::Gone | Accepted::NoDescriptor => {}
            Accepted::Nobody => return ControlFlow::Break(()),
            Accepted::Trouble => return self.pause(now),
        }
        ControlFlow::Continue(())
    }

    fn accept(&self, listener: usize) -> Accepted {
        let Some(door) = self.listeners.get(listener) else { return Accepted::Nobody };
        let accepted = accept(door, listener);
        if matches!(accepted, Accepted::One(..)) {
            count(&self.counters.accepted);
        }
        accepted
    }

    /// Stops listening for events of the listeners until the pause is over or a descriptor is free.
    fn pause(&mut self, now: Instant) -> ControlFlow<()> {
        count(&self.counters.pauses);
        self.paused_until = Some(now + PAUSE);
        self.watch_listeners(EventFlags::empty());
        ControlFlow::Break(())
    }

    fn resume(&mut self) {
        self.paused_until = None;
        self.watch_listeners(EventFlags::IN);
    }

    fn watch_listeners(&self, interest: EventFlags) {
        for (listener, number) in self.listeners.iter().zip(0..) {
            let data = EventData::new_u64(Token::of(Room::Listener, number).to_bits());
            // It cannot fail for a descriptor that is in the epoll: modifying takes no memory.
            let _ = epoll::modify(&self.epoll, listener, data, interest);
        }
    }

    /// Answers those who are connected already, then listens no more. Proxies whose header has not come, and whoever waits and gets
    /// no answer, are closed.
    fn close_doors(&mut self, now: Instant) {
        self.paused_until = None;
        for listener in 0..self.listeners.len() {
            self.accept_some(listener, ACCEPTS_AT_CLOSE, now);
        }
        self.paused_until = None;
        while let Some(token) = self.pending.oldest() {
            match self.pending.attend(self.epoll.as_fd(), token) {
                Some(arrival) => self.answer(arrival, now),
                None => self.pending.dismiss(token),
            }
        }
        self.answer_waiters(now);
        while let Some(ticket) = self.waiting.dismiss() {
            self.give_up(ticket);
        }
        self.listeners.clear();
    }
}

impl<D> Drop for Keeper<D> {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}
