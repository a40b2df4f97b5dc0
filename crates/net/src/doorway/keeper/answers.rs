//! What becomes of somebody who has arrived: asked about, let in, refused, or held.

use super::{
    Arc, Arrival, AsFd, AssertUnwindSafe, Counters, Doorman, Duration, Instant, Keeper, OwnedFd, SocketAddr,
    TcpStream, Verdict, catch_unwind, count, from_kernel, prepare_control, proxy,
};
use crate::doorway::Caller;

/// The shortest wait for a doorman who wants to be asked at once although he was just asked.
const ASKING_PAUSE: Duration = Duration::from_millis(1);

impl<D: Doorman> Keeper<D> {
    pub(super) fn answer(&mut self, arrival: Arrival, now: Instant) {
        self.line.clear();
        let (doorman, line) = (&mut self.doorman, &mut self.line);
        if let Some(verdict) = guarded(&self.counters, || doorman.decide(&arrival.caller, line)) {
            self.perform(verdict, arrival, now);
        }
    }

    fn perform(&mut self, verdict: Verdict<D::Permit>, mut arrival: Arrival, now: Instant) {
        match verdict {
            Verdict::Admit(permit) => self.admit(permit, arrival),
            // What is left of a header is dropped with the rest.
            Verdict::Refuse => self.refuse(arrival.socket, now),
            Verdict::Wait(ticket) => {
                let caller = arrival.caller;
                if !arrival.take_header() {
                    self.give_up(ticket);
                } else if let Err(socket) = self.waiting.hold(self.epoll.as_fd(), arrival, ticket, now) {
                    self.give_up(ticket);
                    self.refuse_for_want(&caller, socket, now);
                }
            }
        }
    }

    /// Hands the connection over. Whoever is dead already fails here; the permit's drop gives the place back.
    fn admit(&mut self, permit: D::Permit, mut arrival: Arrival) {
        if !arrival.take_header() {
            return;
        }
        let Arrival { socket, mut caller, proxied, .. } = arrival;
        let Some(local) = local_address(&socket) else { return };
        if prepare_control(&socket).is_err() {
            return;
        }
        if !proxied {
            caller.reached = local;
        }
        count(&self.counters.admitted);
        let doorman = &mut self.doorman;
        guarded(&self.counters, || doorman.admit(permit, TcpStream::from(socket), caller, local));
    }

    /// Says the line, if there is one, and lets the socket linger.
    fn refuse(&mut self, socket: OwnedFd, now: Instant) {
        count(&self.counters.refused);
        if !self.line.is_empty() {
            self.lingering.say(self.epoll.as_fd(), socket, &self.line, now);
        }
    }

    /// Refuses somebody for whom a descriptor or a place is missing.
    pub(super) fn refuse_for_want(&mut self, caller: &Caller, socket: OwnedFd, now: Instant) {
        count(&self.counters.exhausted);
        self.line.clear();
        let (doorman, line) = (&mut self.doorman, &mut self.line);
        guarded(&self.counters, || doorman.exhausted(caller, line));
        self.refuse(socket, now);
    }

    /// Asks the doorman how the waits have ended; returns whether a socket left the waiting room.
    pub(super) fn answer_waiters(&mut self, now: Instant) -> bool {
        let mut left = false;
        // Bounded, so that a doorman who never says `None` cannot stop everything.
        for _ in 0..=self.waiting.places() {
            if self.waiting.is_empty() {
                break;
            }
            self.line.clear();
            let (doorman, line) = (&mut self.doorman, &mut self.line);
            let Some((ticket, verdict)) = guarded(&self.counters, || doorman.next_answer(line)).flatten()
            else {
                break;
            };
            // Whoever gave up in the meantime needs no answer; the drop of the permit gives the place back.
            if !matches!(verdict, Verdict::Wait(_))
                && let Some(arrival) = self.waiting.release(self.epoll.as_fd(), ticket)
            {
                left = true;
                self.perform(verdict, arrival, now);
            }
        }
        left
    }

    /// Returns when the doorman wants to be asked about those who wait.
    pub(super) fn next_question(&mut self, now: Instant) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        let doorman = &mut self.doorman;
        let wait = guarded(&self.counters, || doorman.next_deadline()).flatten()?;
        now.checked_add(wait.max(ASKING_PAUSE))
    }

    pub(super) fn give_up(&mut self, ticket: u64) {
        let doorman = &mut self.doorman;
        guarded(&self.counters, || doorman.gave_up(ticket));
    }
}

impl Arrival {
    /// Takes what is left of the header off the socket; `false` when the connection is dead.
    fn take_header(&mut self) -> bool {
        let unread = std::mem::take(&mut self.header_unread);
        unread == 0 || proxy::take(&self.socket, unread)
    }
}

/// Returns the socket's own address, normalised.
fn local_address(socket: &OwnedFd) -> Option<SocketAddr> {
    rustix::net::getsockname(socket).ok().and_then(from_kernel)
}

/// Runs what the doorman does; a panic costs one connection, not the doorway.
fn guarded<T>(counters: &Arc<Counters>, work: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(work)).ok();
    if outcome.is_none() {
        count(&counters.panics);
    }
    outcome
}
