//! The thread of the doorway: one epoll with the listeners, the mailbox and the lingering sockets.

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
use rustix::net::SendFlags;

use super::counts::{Counters, count};
use super::lingering::Lingering;
use super::mailbox::Mailbox;
use super::reserve::Reserve;
use super::{Caller, Doorman, Verdict};
use crate::address::from_kernel;
use crate::clock;
use crate::listener::{Listener, prepare_control};

/// Epoll tokens: a lingering socket has its place (below 2^32), a listener its number above this, the mailbox the last.
const LISTENERS_FROM: u64 = 1 << 32;
const MAILBOX: u64 = u64::MAX;

const EVENTS_MAX: usize = 256;
/// Connections accepted from one listener before the others and the lingering have their turn.
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
    lingering: Lingering,
    reserve: Reserve,
    paused_until: Option<Instant>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
}

/// How one try to accept went.
enum Accepted {
    One(OwnedFd, Caller),
    /// The one who waited has gone; there may be another.
    Gone,
    Nobody,
    NoDescriptor,
    /// The kernel has no memory, or something unknown: trying again at once would spin.
    Trouble,
}

impl<D: Doorman> Keeper<D> {
    pub(super) fn new(
        listeners: Vec<Listener>,
        doorman: D,
        lingering: Lingering,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, mailbox.as_fd(), EventData::new_u64(MAILBOX), EventFlags::IN)?;
        for (listener, number) in listeners.iter().zip(LISTENERS_FROM..) {
            epoll::add(&epoll, listener, EventData::new_u64(number), EventFlags::IN)?;
        }
        let (line, reserve) = (Vec::with_capacity(512), Reserve::new());
        Ok(Self {
            epoll,
            listeners,
            doorman,
            line,
            lingering,
            reserve,
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
            for event in &events {
                closed |= self.attend(event.data.u64(), now);
            }
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
                self.close_listeners(now);
            }
        }
    }

    /// Returns how long nothing needs to be done, rounded up to whole milliseconds; `None` for ever.
    fn timeout(&mut self, now: Instant) -> Option<Timespec> {
        let next = match (self.lingering.next_deadline(), self.paused_until) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other)?,
        };
        let wait = next.saturating_duration_since(now);
        let millis = i64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        Some(Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 })
    }

    /// Does what one event asks for; returns whether a lingering socket was closed.
    fn attend(&mut self, token: u64, now: Instant) -> bool {
        match token {
            MAILBOX => self.empty_mailbox(now),
            place if place < LISTENERS_FROM => return self.lingering.attend(self.epoll.as_fd(), place),
            listener => {
                let listener = usize::try_from(listener - LISTENERS_FROM).unwrap_or(usize::MAX);
                self.accept_some(listener, ACCEPTS_PER_TURN, now);
            }
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
            Accepted::One(socket, caller) => self.answer(socket, caller, now),
            Accepted::Gone => {}
            Accepted::Nobody => return ControlFlow::Break(()),
            Accepted::NoDescriptor => return self.accept_on_reserve(listener, now),
            Accepted::Trouble => return self.pause(now),
        }
        ControlFlow::Continue(())
    }

    /// Frees a descriptor, from the reserve or of the oldest lingering socket, to tell one caller that there are none left.
    fn accept_on_reserve(&mut self, listener: usize, now: Instant) -> ControlFlow<()> {
        if !self.reserve.release_one() && !self.lingering.evict_older(self.epoll.as_fd(), now, EVICTION_AGE) {
            return self.pause(now);
        }
        match self.accept(listener) {
            Accepted::One(socket, caller) => {
                count(&self.counters.exhausted);
                self.line.clear();
                let (doorman, line) = (&mut self.doorman, &mut self.line);
                guarded(&self.counters, || doorman.exhausted(&caller, line));
                self.refuse(socket, now);
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
        let error = match door.accept() {
            Ok((socket, peer)) => {
                count(&self.counters.accepted);
                return Accepted::One(socket, Caller { peer, listener });
            }
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::AGAIN) => Accepted::Nobody,
            Some(Errno::MFILE | Errno::NFILE) => Accepted::NoDescriptor,
            // accept(2): errors of the new connection, to be treated as if nobody had come.
            Some(
                Errno::CONNABORTED
                | Errno::INTR
                | Errno::PROTO
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH,
            ) => Accepted::Gone,
            _ => Accepted::Trouble,
        }
    }

    fn answer(&mut self, socket: OwnedFd, caller: Caller, now: Instant) {
        self.line.clear();
        let (doorman, line) = (&mut self.doorman, &mut self.line);
        match guarded(&self.counters, || doorman.decide(&caller, line)) {
            Some(Verdict::Admit(permit)) => self.admit(permit, socket, caller),
            Some(Verdict::Refuse) => self.refuse(socket, now),
            None => {}
        }
    }

    fn admit(&mut self, permit: D::Permit, socket: OwnedFd, caller: Caller) {
        // Whoever is dead already fails here; the permit's drop gives the place back.
        let Some(local) = local_address(&socket) else { return };
        if prepare_control(&socket).is_err() {
            return;
        }
        count(&self.counters.admitted);
        let doorman = &mut self.doorman;
        guarded(&self.counters, || doorman.admit(permit, TcpStream::from(socket), caller, local));
    }

    /// Says the line, if there is one, and lets the socket linger. A fresh socket has room for any line.
    fn refuse(&mut self, socket: OwnedFd, now: Instant) {
        count(&self.counters.refused);
        if self.line.is_empty() {
            return;
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        if rustix::net::send(&socket, &self.line, flags).is_ok() {
            self.lingering.take_in(self.epoll.as_fd(), socket, now);
        }
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
        for (listener, number) in self.listeners.iter().zip(LISTENERS_FROM..) {
            // It cannot fail for a descriptor that is in the epoll: modifying takes no memory.
            let _ = epoll::modify(&self.epoll, listener, EventData::new_u64(number), interest);
        }
    }

    /// Answers those who are connected already, then listens no more.
    fn close_listeners(&mut self, now: Instant) {
        self.paused_until = None;
        for listener in 0..self.listeners.len() {
            self.accept_some(listener, ACCEPTS_AT_CLOSE, now);
        }
        self.paused_until = None;
        self.listeners.clear();
    }
}

impl<D> Drop for Keeper<D> {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

/// Returns the address the caller reached.
fn local_address(socket: &OwnedFd) -> Option<SocketAddr> {
    rustix::net::getsockname(socket).ok().and_then(from_kernel)
}

/// Runs what the doorman does; a panic costs one connection, not the doorway.
fn guarded<T>(counters: &Counters, work: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(work)).ok();
    if outcome.is_none() {
        count(&counters.panics);
    }
    outcome
}
