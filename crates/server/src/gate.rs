//! The gate: one engine behind one mutex, and permits that release themselves.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tidegate_admission::{
    AccountKey, Ban, BanPage, BanRecord, Decision, Engine, Explanation, Level, Limits, Overload, PermitId,
    Question, Reclaim, Signal, Snapshot, TicketId,
};
use tidegate_types::{Cause, Moment, Refusal, SignalKind};

use crate::clock::Clock;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// Wakes whoever fetches the answers of those who wait.
pub(crate) type Waker = Box<dyn Fn() + Send + Sync>;

/// Asks the engine, one question at a time; every call is short and never waits for anything but the mutex.
pub(crate) struct Gate {
    engine: Mutex<Engine>,
    clock: Clock,
    /// Set once, when the door is there.
    waker: Mutex<Option<Arc<Waker>>>,
    /// Whether it matters which sessions are idle.
    looks_at_idleness: AtomicBool,
}

/// What the gate says to a question.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Come in.
    Admit(PermitGuard),
    /// Hold the greeting; [`Gate::next_answer`] tells how it ended.
    Wait(TicketId),
    /// End the session of this permit, take its permit away, then ask again.
    Reclaim(PermitId),
    /// Not now.
    Refuse(Refusal),
    /// Never: tell so.
    Deny,
    /// Close without a word.
    Drop(Cause),
}

impl Gate {
    pub(crate) fn new(limits: Limits, clock: Clock) -> Arc<Self> {
        // The standard library's hasher keys are the process's random numbers.
        Self::seeded(limits, clock, std::hash::RandomState::new().build_hasher().finish())
    }

    pub(crate) fn seeded(limits: Limits, clock: Clock, seed: u64) -> Arc<Self> {
        let looks_at_idleness = AtomicBool::new(limits.reclaim != Reclaim::Off);
        Arc::new(Self {
            engine: Mutex::new(Engine::new(limits, seed)),
            clock,
            waker: Mutex::new(None),
            looks_at_idleness,
        })
    }

    /// Calls `waker` whenever somebody who waits may have an answer.
    pub(crate) fn wake_by(&self, waker: Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(waker));
    }

    /// Asks `question`.
    pub(crate) fn ask(self: &Arc<Self>, question: &Question) -> Answer {
        let decision = self.with(|engine, now| engine.ask(question, now));
        self.answer(decision)
    }

    /// Returns whose wait ended, and how; `None`: nobody's, now.
    pub(crate) fn next_answer(self: &Arc<Self>) -> Option<(TicketId, Answer)> {
        let grant = self.with(Engine::poll_grant)?;
        Some((grant.ticket, self.answer(grant.decision)))
    }

    fn answer(self: &Arc<Self>, decision: Decision) -> Answer {
        match decision {
            Decision::Admit(permit) => Answer::Admit(PermitGuard { gate: Arc::clone(self), permit }),
            Decision::Wait(ticket, _) => Answer::Wait(ticket),
            Decision::Reclaim(permit) => Answer::Reclaim(permit),
            Decision::Refuse(refusal) => Answer::Refuse(refusal),
            Decision::Deny => Answer::Deny,
            Decision::Drop(cause) => Answer::Drop(cause),
        }
    }

    /// Ends the wait of somebody who went away.
    pub(crate) fn cancel(&self, ticket: TicketId) {
        self.freeing(|engine, now| engine.cancel(ticket, now));
    }

    /// Returns how long from now [`next_answer`](Self::next_answer) has to be asked at the latest; `None`: nobody waits.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.with(|engine, now| Some(engine.next_deadline(now)?.since(now)))
    }

    /// Returns what would be answered, without effect.
    pub(crate) fn explain(&self, question: &Question) -> Explanation {
        self.with(|engine, now| engine.explain(question, now))
    }

    /// Returns what to say to somebody who came when no descriptor was left: never `Admit`, `Wait` or `Reclaim`.
    pub(crate) fn exhausted(self: &Arc<Self>, question: &Question) -> Answer {
        let decision = self.with(|engine, now| engine.exhausted(question, now));
        self.answer(decision)
    }

    /// Notes that the session of a connection has logged in.
    pub(crate) fn authenticated(&self, connection: PermitId) {
        self.freeing(|engine, now| engine.authenticated(connection, now));
    }

    /// Notes that the session of a connection has logged out. Errors: it has to go, since too many are not logged in.
    pub(crate) fn unauthenticated(&self, connection: PermitId) -> Result<(), Refusal> {
        self.with(|engine, now| engine.unauthenticated(connection, now))
    }

    /// Returns whether [`touched`](Self::touched) and [`busy`](Self::busy) are worth calling.
    pub(crate) fn looks_at_idleness(&self) -> bool {
        self.looks_at_idleness.load(Ordering::Relaxed)
    }

    /// Notes that the session of these permits is idle from now on.
    pub(crate) fn touched(&self, permits: impl Iterator<Item = PermitId>) {
        self.with(|engine, now| permits.for_each(|permit| engine.touched(permit, now)));
    }

    /// Notes that the session of these permits is at work.
    pub(crate) fn busy(&self, permits: impl Iterator<Item = PermitId>) {
        self.with(|engine, _| permits.for_each(|permit| engine.busy(permit)));
    }

    /// Notes that the peer of these permits seems to be gone.
    pub(crate) fn note_dead(&self, permits: impl Iterator<Item = PermitId>) {
        self.with(|engine, _| permits.for_each(|permit| engine.note_dead(permit)));
    }

    /// Asks whether `name` may be tried from `address`.
    pub(crate) fn attempt(&self, address: IpAddr, name: &str) -> Result<(), Refusal> {
        self.with(|engine, now| engine.attempt(address, name, now))
    }

    /// Counts a failed login; returns the ban it brought.
    pub(crate) fn login_failed(&self, address: IpAddr, name: &str) -> Option<Ban> {
        self.freeing(|engine, now| engine.login_failed(address, name, now))
    }

    /// Forgets the failures of a name.
    pub(crate) fn login_succeeded(&self, address: IpAddr, name: &str) {
        self.with(|engine, now| engine.login_succeeded(address, name, now));
    }

    /// Counts a session that was ended for its flood of commands; returns the ban it brought.
    pub(crate) fn flooded(&self, address: IpAddr) -> Option<Ban> {
        self.freeing(|engine, now| engine.flooded(address, now))
    }

    /// Bans an address; `None`: it is never banned.
    pub(crate) fn ban(&self, address: IpAddr, length: Duration) -> Option<Ban> {
        self.freeing(|engine, now| engine.ban(address, length, now))
    }

    /// Ends the bans of an address; returns how many.
    pub(crate) fn unban(&self, address: IpAddr) -> usize {
        self.freeing(|engine, now| engine.unban(address, now))
    }

    /// Returns a page of the bans that last.
    pub(crate) fn bans(&self, cursor: usize, count: usize) -> BanPage {
        self.with(|engine, now| engine.bans(cursor, count, now))
    }

    /// Returns a page of the bans that are worth keeping.
    pub(crate) fn export_bans(&self, cursor: usize, count: usize) -> BanPage {
        self.with(|engine, now| engine.export_bans(cursor, count, now))
    }

    /// Takes over a ban that was exported.
    pub(crate) fn import_ban(&self, record: &BanRecord) {
        self.freeing(|engine, now| engine.import_ban(record, now));
    }

    /// Takes in a reading of the machine; returns the level it makes, and whose it is.
    pub(crate) fn observe(&self, signal: Signal) -> (Level, Option<SignalKind>) {
        self.freeing(|engine, now| {
            engine.observe(signal, now);
            (engine.level(now), engine.signal(now))
        })
    }

    /// Replaces the limits; nobody inside is sent away.
    pub(crate) fn relimit(&self, limits: Limits) {
        self.looks_at_idleness.store(limits.reclaim != Reclaim::Off, Ordering::Relaxed);
        self.freeing(|engine, now| engine.relimit(limits, now));
    }

    /// Refuses everybody from now on; `until` is the announced end.
    pub(crate) fn drain(&self, until: Moment, message: Option<&str>) {
        self.freeing(|engine, now| engine.drain(until, message, now));
    }

    /// Ends a drain.
    pub(crate) fn resume(&self) {
        self.freeing(|engine, _| engine.resume());
    }

    /// Returns what the operator wants to say during the drain.
    pub(crate) fn drain_message(&self) -> Option<Box<str>> {
        self.with(|engine, _| engine.drain_message().map(Into::into))
    }

    /// Forgets what says nothing any more.
    pub(crate) fn tidy(&self) {
        self.with(Engine::tidy);
    }

    /// Returns the worst level of all signals.
    pub(crate) fn level(&self) -> Level {
        self.with(|engine, now| engine.level(now))
    }

    /// Returns how much the machine may bear.
    pub(crate) fn overload(&self) -> Overload {
        self.with(|engine, _| engine.limits().overload)
    }

    /// Returns whose place may be taken.
    pub(crate) fn reclaims(&self) -> Reclaim {
        self.with(|engine, _| engine.limits().reclaim)
    }

    /// Copies the state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.with(|engine, now| engine.snapshot(now))
    }

    /// Does something that may let in who waits, and wakes who fetches their answers. The lock is free by then.
    fn freeing<T>(&self, change: impl FnOnce(&mut Engine, Moment) -> T) -> T {
        let (done, waits) = self.with(|engine, now| {
            let done = change(engine, now);
            (done, engine.has_news())
        });
        if waits {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker();
            }
        }
        done
    }

    fn with<T>(&self, work: impl FnOnce(&mut Engine, Moment) -> T) -> T {
        let now = self.clock.now();
        work(&mut self.lock(), now)
    }

    fn lock(&self) -> MutexGuard<'_, Engine> {
        // A panic in the engine would be a mistake there; refusing everybody from then on would be a worse one here.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// A place inside; given back when this drops.
#[derive(Debug)]
pub(crate) struct PermitGuard {
    gate: Arc<Gate>,
    permit: PermitId,
}

impl PermitGuard {
    /// Returns which permit it is.
    pub(crate) fn id(&self) -> PermitId {
        self.permit
    }
}

impl Drop for PermitGuard {
    fn drop(&mut self) {
        self.gate.freeing(|engine, now| engine.release(self.permit, now));
    }
}

/// Returns the name that logins of `account` (`None`: anonymous) are counted under.
pub(crate) fn account_key(account: Option<tidegate_types::AccountName>) -> AccountKey {
    account.map_or(AccountKey::Anonymous, AccountKey::Named)
}
