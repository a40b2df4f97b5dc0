use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use hashbrown::HashMap;
use tidegate_types::{AddressKey, Cause, Moment, Refusal, SignalKind};

use crate::bans::Bans;
use crate::full::FullClock;
use crate::keyed::{Keyed, Random};
use crate::limits::{Limits, Reclaim};
use crate::permits::{IdleList, PermitId, Permits};
use crate::pool::Pool;
use crate::pressure::{Level, Pressure, Signal};
use crate::question::{AccountKey, Check, Decision, Drain, Question, Rule};
use crate::rate::{Bucket, Rates};
use crate::snapshot::Counters;
use crate::told::Told;
use crate::waiting::Waiting;

mod admit;
mod check;
mod look;
mod punish;
mod wait;

use check::{Asked, rules};

/// How long a session must have been idle to be reclaimed.
const RECLAIM_IDLE_MIN: Duration = Duration::from_secs(10);
/// How much of a drain's message is kept, in bytes.
pub const DRAIN_MESSAGE_BYTES_MAX: usize = 200;

/// Decides who enters and counts who is inside. Every operation takes constant time unless it says otherwise; see the crate for the rules.
#[derive(Clone, Debug)]
pub struct Engine {
    limits: Arc<Limits>,
    limits_changed: Option<Moment>,
    drain: Option<Drain>,
    message: Option<Box<str>>,
    permits: Permits<Held>,
    /// Connections that are in no reserved place.
    house: Room,
    reserved: u32,
    unauthenticated: Room,
    listeners: Vec<Entrance>,
    handshakes: Room,
    transfers: Room,
    /// By range.
    ports: Vec<Pool>,
    ports_leased: u32,
    /// Only addresses and accounts that hold a permit are in the maps.
    addresses: HashMap<AddressKey, Group, Keyed>,
    transfers_of: HashMap<AddressKey, Pool, Keyed>,
    accounts: HashMap<AccountKey, Group, Keyed>,
    logins: u32,
    rates: Rates,
    shadow_rates: Rates,
    bans: Bans,
    pressure: Pressure,
    overloaded: FullClock,
    waiting: Waiting,
    told: Told,
    jitter: Random,
    counters: Counters,
}

/// What a permit stands for: where to subtract it.
#[derive(Clone, Debug)]
enum Held {
    Connection(Guest),
    Handshake,
    Login(AccountKey),
    Transfer(AddressKey),
    /// Of this range.
    Port(u16),
}

/// A connection inside.
#[derive(Clone, Copy, Debug)]
struct Guest {
    key: AddressKey,
    listener: u16,
    reserved: bool,
    unauthenticated: bool,
}

/// A pool, and how long it was full.
#[derive(Clone, Debug)]
struct Room {
    pool: Pool,
    full: FullClock,
}

impl Room {
    fn new() -> Self {
        Self { pool: Pool::new(Moment::ZERO), full: FullClock::default() }
    }

    fn note(&mut self, limit: Option<u32>, now: Moment) {
        self.full.note(limit.is_some_and(|limit| self.pool.in_use() >= limit), now);
    }
}

/// One listener.
#[derive(Clone, Debug)]
struct Entrance {
    room: Room,
    bucket: Bucket,
    shadow_bucket: Bucket,
}

impl Entrance {
    fn new() -> Self {
        Self { room: Room::new(), bucket: Bucket::default(), shadow_bucket: Bucket::default() }
    }
}

/// The permits of one address or account.
#[derive(Clone, Debug)]
struct Group {
    pool: Pool,
    idle: IdleList,
}

impl Group {
    fn new(now: Moment) -> Self {
        Self { pool: Pool::new(now), idle: IdleList::default() }
    }
}

impl Engine {
    /// Returns an empty house. `seed` keys the maps and drives the jitter; give each process a random one.
    pub fn new(limits: Limits, seed: u64) -> Self {
        let keyed = Keyed::new(seed);
        let listeners = limits.listeners.iter().map(|_| Entrance::new()).collect();
        let mut engine = Self {
            limits: Arc::new(limits),
            limits_changed: None,
            drain: None,
            message: None,
            permits: Permits::new(),
            house: Room::new(),
            reserved: 0,
            unauthenticated: Room::new(),
            listeners,
            handshakes: Room::new(),
            transfers: Room::new(),
            ports: Vec::new(),
            ports_leased: 0,
            addresses: HashMap::with_hasher(keyed),
            transfers_of: HashMap::with_hasher(keyed),
            accounts: HashMap::with_hasher(keyed),
            logins: 0,
            rates: Rates::new(keyed),
            shadow_rates: Rates::new(keyed),
            bans: Bans::new(keyed),
            pressure: Pressure::new(),
            overloaded: FullClock::default(),
            waiting: Waiting::default(),
            told: Told::new(keyed),
            jitter: keyed.jitter(),
            counters: Counters::new(),
        };
        engine.note_all_full(Moment::ZERO);
        engine
    }

    /// Decides `question` and, in the same step, counts it: inside when admitted, under its cause when refused.
    pub fn ask(&mut self, question: &Question, now: Moment) -> Decision {
        let asked = Asked::new(question, &self.limits);
        let refused =
            rules(question).iter().map(|rule| self.check(*rule, &asked, now)).find(|check| check.refuses);
        let decision = match refused {
            None => Decision::Admit(self.admit(question, &asked, now)),
            Some(check) => self.turn_away(check, &asked, now),
        };
        debug_assert!(self.adds_up(), "after {question:?}: {self:?}");
        decision
    }

    /// Gives `permit` back. One that is not held (any more) is counted and otherwise ignored. Only a connection lets in who waits, and only
    /// that takes time with the places of the waiting room.
    pub fn release(&mut self, permit: PermitId, now: Moment) {
        if self.give_back(permit, now) {
            self.settle_free(now);
        }
        debug_assert!(self.adds_up(), "after a release: {self:?}");
    }

    /// Notes that the session of a connection permit has logged in: it leaves the pool of the unauthenticated.
    pub fn authenticated(&mut self, permit: PermitId, now: Moment) {
        if let Some(Held::Connection(guest)) = self.permits.get_mut(permit)
            && guest.unauthenticated
        {
            guest.unauthenticated = false;
            self.unauthenticated.pool.leave(now);
            self.unauthenticated.note(self.limits.connections_unauthenticated, now);
            self.settle_free(now);
        }
    }

    /// Notes that the session of a connection permit is logged in no more (REIN). Errors: the pool of the unauthenticated is full;
    /// the session has to end with that refusal.
    pub fn unauthenticated(&mut self, permit: PermitId, now: Moment) -> Result<(), Refusal> {
        let key = match self.permits.get(permit) {
            Some(Held::Connection(guest)) if !guest.unauthenticated && !guest.reserved => guest.key,
            _ => return Ok(()),
        };
        let asked = Asked::of_key(key);
        let check = self.check(Rule::Unauthenticated, &asked, now);
        if check.refuses {
            return Err(self.refuse(check, &asked, now));
        }
        if let Some(Held::Connection(guest)) = self.permits.get_mut(permit) {
            guest.unauthenticated = true;
            self.unauthenticated.pool.enter(now);
            self.unauthenticated.note(self.limits.connections_unauthenticated, now);
        }
        Ok(())
    }

    /// Notes that the session of a connection or login permit did something: it is idle from `now` on.
    pub fn touched(&mut self, permit: PermitId, now: Moment) {
        if let Some((permits, idle)) = self.idle_list_of(permit) {
            permits.list_last(idle, permit, now);
        }
    }

    /// Notes that the session of a connection or login permit is at work (it transfers, say) and may not be reclaimed until
    /// it is [touched](Self::touched).
    pub fn busy(&mut self, permit: PermitId) {
        if let Some((permits, idle)) = self.idle_list_of(permit) {
            permits.unlist(idle, permit);
        }
    }

    /// Notes that the peer of a connection or login permit is gone, as far as can be known: it is reclaimed before others.
    pub fn note_dead(&mut self, permit: PermitId) {
        if let Some((permits, idle)) = self.idle_list_of(permit) {
            permits.list_dead(idle, permit);
        }
    }

    /// Takes in a reading of the machine.
    pub fn observe(&mut self, signal: Signal, now: Moment) {
        self.pressure.observe(signal, self.limits.overload, now);
        self.overloaded.note(self.level(now) == Level::Full, now);
        self.settle_free(now);
    }

    /// Returns the worst level of all signals.
    pub fn level(&self, now: Moment) -> Level {
        self.pressure.worst(now).0
    }

    /// Returns whose the worst level is; `None` while all is calm.
    pub fn signal(&self, now: Moment) -> Option<SignalKind> {
        self.pressure.worst(now).1
    }

    /// Returns by what the timeouts of sessions are to be multiplied: 1 when calm, ½ when busy, ¼ above.
    pub fn timeout_factor(&self, now: Moment) -> f64 {
        self.level(now).timeout_factor()
    }

    /// Decides and counts the question of a connection for which no descriptor is left: never admitted, and it never waits. Denied, banned
    /// and draining are told as ever, else overloaded. Such clients queue with those of a full server, since a departure frees
    /// descriptors too. Constant time; nothing grows but the bounded tables.
    pub fn exhausted(&mut self, question: &Question, now: Moment) -> Decision {
        let asked = Asked::new(question, &self.limits);
        for rule in [Rule::Denied, Rule::Banned, Rule::Draining] {
            let check = self.check(rule, &asked, now);
            if check.refuses {
                return self.final_no(check, &asked, now);
            }
        }
        self.counters.refused.count(Cause::Overloaded);
        // No number of connections is the limit here, so nobody is above it.
        let retry_after_secs = self.tell_once(Rule::Server, &asked, now, |engine| {
            engine.house.pool.tell(u32::MAX, now, &mut engine.jitter)
        });
        let refusal = Refusal::uncounted(Cause::Overloaded, retry_after_secs);
        Decision::Refuse(Refusal { signal: Some(SignalKind::Descriptors), ..refusal })
    }

    /// Replaces the limits from `now` on. Nobody inside is sent away; above a smaller limit the number only falls.
    /// Takes time with what is kept about addresses.
    pub fn relimit(&mut self, limits: Limits, now: Moment) {
        self.pressure.relimit(limits.overload);
        self.limits = Arc::new(limits);
        self.limits_changed = Some(now);
        while self.listeners.len() < self.limits.listeners.len() {
            self.listeners.push(Entrance::new());
        }
        self.tidy(now);
        self.note_all_full(now);
        self.settle(now);
    }

    /// Refuses everybody from `now` on and tells them to come back at `until`; those who wait are refused at once. Again while
    /// draining: moves the end. Of `message` the first [`DRAIN_MESSAGE_BYTES_MAX`] characters that may stand in a reply are kept, others become `?`.
    pub fn drain(&mut self, until: Moment, message: Option<&str>, now: Moment) {
        let since = self.drain.map_or(now, |drain| drain.since);
        self.drain = Some(Drain { since, until });
        let speakable = |char: char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' };
        let shown =
            |text: &str| -> String { text.chars().take(DRAIN_MESSAGE_BYTES_MAX).map(speakable).collect() };
        self.message = message.map(|text| shown(text).into_boxed_str());
        self.settle(now);
    }

    /// Returns what the operator wants to say during the drain.
    pub fn drain_message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Ends a drain.
    pub fn resume(&mut self) {
        self.drain = None;
        self.message = None;
    }

    /// Forgets what says nothing any more about rates, failures, bans and what was told. Takes time with what is kept. Nothing depends
    /// on it but memory.
    pub fn tidy(&mut self, now: Moment) {
        self.rates.sweep(now);
        self.shadow_rates.sweep(now);
        self.bans.sweep(now);
        self.told.sweep(now);
    }

    /// Returns how many rates, failures, bans and told moments are kept, those included that [`Self::tidy`] would forget.
    pub fn kept(&self) -> usize {
        self.rates.len() + self.shadow_rates.len() + self.bans.len() + self.told.len()
    }

    /// Returns the limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns whether somebody is in the waiting room, or has an answer there.
    pub fn has_waiting(&self) -> bool {
        self.waiting.len() > 0
    }

    /// Returns when [`Self::poll_grant`] has to be called next: a wait ends, or a signal that is read no more stops to count.
    pub fn next_deadline(&self, now: Moment) -> Option<Moment> {
        let waits = self.waiting.next_deadline(now);
        [waits, self.pressure.next_deadline(now)].into_iter().flatten().min()
    }

    /// Answers a question that `check` refuses.
    fn turn_away(&mut self, check: Check, asked: &Asked<'_>, now: Moment) -> Decision {
        if let Some(victim) = self.victim(check, asked, now) {
            // Named once: it is not named again while it ends.
            self.busy(victim);
            self.counters.reclaimed = self.counters.reclaimed.saturating_add(1);
            return Decision::Reclaim(victim);
        }
        if let Some(until) = self.may_wait(check.rule, asked, now) {
            self.counters.waited = self.counters.waited.saturating_add(1);
            return Decision::Wait(self.waiting.push(asked.address, asked.listener, until), until);
        }
        self.final_no(check, asked, now)
    }

    /// Answers a question that `check` refuses and that neither waits nor reclaims.
    fn final_no(&mut self, check: Check, asked: &Asked<'_>, now: Moment) -> Decision {
        let silent = self.is_silent(check.cause, asked);
        if silent || check.cause.is_permanent() {
            self.counters.refused.count(check.cause);
            return if silent { Decision::Drop(check.cause) } else { Decision::Deny };
        }
        Decision::Refuse(self.refuse(check, asked, now))
    }

    /// Returns whether `asked` is closed without a word: never a session that is inside.
    fn is_silent(&self, cause: Cause, asked: &Asked<'_>) -> bool {
        match cause {
            Cause::Denied => self.limits.deny_silent && asked.newcomer,
            Cause::Banned => self.limits.ban.silent && asked.newcomer,
            _ => false,
        }
    }

    /// Returns whose place the newcomer may have, if it gets in then.
    fn victim(&self, check: Check, asked: &Asked<'_>, now: Moment) -> Option<PermitId> {
        let group = match check.rule {
            Rule::Address => self.addresses.get(&asked.key)?,
            Rule::Account => self.accounts.get(asked.account?.0)?,
            _ => return None,
        };
        let idle = self.permits.oldest(group.idle)?;
        let is_free = match self.limits.reclaim {
            Reclaim::Off => false,
            Reclaim::Dead => idle.dead,
            Reclaim::Idle => idle.dead || now.since(idle.touched) >= RECLAIM_IDLE_MIN,
        };
        // Above a limit that was made smaller, one less is still too many.
        let is_enough = check.limit.is_some_and(|limit| check.in_use <= limit);
        (is_free && is_enough && self.enters_without(idle.permit, asked, now)).then_some(idle.permit)
    }

    /// Returns whether the rules behind the address admit the newcomer once `victim` is gone.
    fn enters_without(&self, victim: PermitId, asked: &Asked<'_>, now: Moment) -> bool {
        let Some(Held::Connection(guest)) = self.permits.get(victim) else { return true };
        [Rule::Unauthenticated, Rule::Listener, Rule::Server].into_iter().all(|rule| {
            let check = self.check(rule, asked, now);
            let leaves_place = match rule {
                Rule::Unauthenticated => guest.unauthenticated,
                Rule::Listener => guest.listener == asked.listener,
                _ => !guest.reserved || asked.reserved,
            };
            // A place that somebody waits for is not the newcomer's.
            let frees = leaves_place && self.waiting.len() == 0;
            check.limit.is_none_or(|limit| check.in_use.saturating_sub(u32::from(frees)) < limit)
        })
    }

    /// Returns the permits and the idle list that `permit` may be in.
    fn idle_list_of(&mut self, permit: PermitId) -> Option<(&mut Permits<Held>, &mut IdleList)> {
        let group = match self.permits.get(permit)? {
            Held::Connection(guest) => self.addresses.get_mut(&guest.key)?,
            Held::Login(account) => self.accounts.get_mut(account)?,
            Held::Handshake | Held::Transfer(_) | Held::Port(_) => return None,
        };
        Some((&mut self.permits, &mut group.idle))
    }

    /// Returns the whole seconds to the announced end; 1 when it has passed or there is no drain.
    fn drain_secs(&self, now: Moment) -> u32 {
        self.drain.map_or(1, |drain| check::secs_until(drain.until, now))
    }

    /// Returns whether the counts that can be compared in constant time agree.
    fn adds_up(&self) -> bool {
        let connections = u64::from(self.house.pool.in_use()) + u64::from(self.reserved);
        let transfers = u64::from(self.transfers.pool.in_use());
        let others = u64::from(self.handshakes.pool.in_use()) + u64::from(self.ports_leased);
        let inside = connections + transfers + others + u64::from(self.logins);
        let at_most = |len: usize, most: u64| u64::try_from(len).is_ok_and(|len| len <= most);
        u64::try_from(self.permits.held()) == Ok(inside)
            && at_most(self.addresses.len(), connections)
            && at_most(self.accounts.len(), self.logins.into())
            && at_most(self.transfers_of.len(), transfers)
            && self.unauthenticated.pool.in_use() <= self.house.pool.in_use()
    }
}

/// Returns the address to ask about for a key: any address of it.
fn address_of(key: AddressKey) -> IpAddr {
    match key {
        AddressKey::V4(v4) => IpAddr::V4(v4),
        AddressKey::V6Net(net) => IpAddr::V6((u128::from(net) << 64).into()),
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
