//! A slow, obvious gate beside the real one: a list of who is inside, and the contract of DESIGN §2 written out.
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use core::hash::BuildHasher;
use core::num::NonZeroU32;

use tidegate_types::AccountName;

use super::*;
use crate::{
    BanPolicy, Grant, ListenerLimits, LoginFailures, Networks, Outcome, Override, RETRY_SECS_MAX, Rate,
    Reserved, TicketId, WaitingRoom,
};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Ask(Question),
    /// Releases the n-th permit that is held.
    Release(u32),
    ReleaseStale(u32),
    Authenticated(u32),
    Unauthenticated(u32),
    Touched(u32),
    Busy(u32),
    Dead(u32),
    /// Fails; with an odd number the check began before it could be refused.
    LoginFailed(u8, u8),
    LoginSucceeded(u8, u8),
    Flooded(u8),
    Ban(u8, u16),
    Unban(u8),
    Observe(Signal),
    Relimit(u64),
    Drain(u16),
    Resume,
    /// Somebody comes when no descriptor is left.
    Exhausted(u8),
    /// Cancels the n-th wait; before its answer was fetched if a place is freed in the same step.
    Cancel(u32, Option<u32>),
    Pass(u32),
}

/// Who may come: addresses of two kinds, one denied, one trusted, two with reserved places.
fn address(which: u8) -> IpAddr {
    let text = match which % 12 {
        0..4 => format!("192.0.2.{}", which % 4),
        4 => "::ffff:192.0.2.1".into(),
        5 => "2001:db8::1".into(),
        6 => "2001:db8::2".into(),
        7 => "2001:db8:0:1::1".into(),
        8 => "198.51.100.1".into(),
        9 => "127.0.0.1".into(),
        _ => format!("10.0.0.{}", which % 12 - 9),
    };
    text.parse().unwrap()
}

fn name(which: u8) -> String {
    format!("user{}", which % 3)
}

fn account(which: u8) -> AccountKey {
    if which % 4 == 3 { AccountKey::Anonymous } else { AccountKey::Named(AccountName(name(which % 4))) }
}

impl Step {
    /// Returns the step that `word` stands for.
    pub(super) fn of(word: u64) -> Self {
        let mut random = Keyed::new(word).jitter();
        let mut below = |count: u32| random.between(0, count - 1);
        let kind = below(100);
        let (many, byte) = (below(1 << 16), u8::try_from(below(256)).unwrap());
        let who = u8::try_from(below(256)).unwrap();
        match kind {
            0..27 => Self::Ask(Question::connection(address(who), u16::try_from(many % 3).unwrap())),
            27..30 => Self::Ask(Question::Handshake { address: address(who) }),
            30..37 => {
                let limit = (many % 4 > 0).then_some(many % 5);
                Self::Ask(Question::login(account(byte), limit, address(who)))
            }
            37..41 => Self::Ask(Question::Transfer { address: address(who) }),
            41 => Self::Ask(Question::PassivePort {
                address: address(who),
                range: u16::from(byte) / 4 % 2,
                ports: many % 4,
                leased: u32::from(byte) % 4,
            }),
            42..60 => Self::Release(many),
            60 => Self::ReleaseStale(many),
            61..65 => Self::Authenticated(many),
            65 => Self::Unauthenticated(many),
            66..68 => Self::Touched(many),
            68 => Self::Busy(many),
            69 => Self::Dead(many),
            70..74 => Self::LoginFailed(who, byte),
            74 => Self::LoginSucceeded(who, byte),
            75 => Self::Flooded(who),
            76 => {
                if many % 4 == 0 {
                    Self::Ban(who, u16::try_from(many % 60).unwrap())
                } else {
                    Self::Unban(who)
                }
            }
            77..79 => Self::Observe(Signal::Memory { used: u64::from(many % 100), limit: 100 }),
            79 => Self::Observe(Signal::SchedulingDelay(Duration::from_millis(u64::from(many % 120)))),
            80 => Self::Relimit(word),
            81 => Self::Drain(u16::try_from(many % 90).unwrap()),
            82..85 => Self::Resume,
            85 => Self::Exhausted(who),
            86 => Self::Cancel(many, None),
            87 => Self::Cancel(many, Some(byte.into())),
            88..99 => Self::Pass(many % 2_000),
            _ => Self::Pass(many * 20),
        }
    }
}

/// Small limits, so that all of them are met.
pub(super) fn limits(word: u64) -> Limits {
    let mut random = Keyed::new(word).jitter();
    let mut some = |first: u32, last: u32| (random.between(0, 2) > 0).then(|| random.between(first, last));
    let nets = |text: &str| -> Networks { core::iter::once(text.parse().unwrap()).collect() };
    let office = Override {
        connections_per_address: some(0, 4),
        transfers_per_address: some(0, 2),
        ..Override::default()
    };
    Limits {
        connections_per_address: some(0, 4),
        connections_unauthenticated: some(0, 5),
        connection_rate_per_address: some(1, 1).and_then(|_| Rate::new(4, Duration::from_secs(8))),
        listeners: alloc::vec![
            ListenerLimits { connections: some(0, 5), connection_rate: None },
            ListenerLimits {
                connections: None,
                connection_rate: some(1, 1).and_then(|_| Rate::new(6, Duration::from_secs(6))),
            },
        ],
        handshakes: some(0, 2).unwrap_or(9),
        transfers: some(0, 3),
        transfers_per_address: some(0, 2),
        reserved: Reserved { connections: some(0, 3).unwrap_or(0), from: nets("10.0.0.0/8") },
        deny: nets("198.51.100.0/24"),
        deny_silent: some(0, 1) == Some(1),
        overrides: core::iter::once(("192.0.2.2/31".parse().unwrap(), office)).collect(),
        login_failures: some(1, 3)
            .and_then(NonZeroU32::new)
            .map(|count| LoginFailures { count, period: Duration::from_mins(1) }),
        ban: BanPolicy {
            first: Duration::from_secs(10),
            factor: 2.0,
            most: Duration::from_mins(1),
            silent: some(0, 1) == Some(1),
        },
        waiting_room: WaitingRoom {
            hold: Duration::from_secs(some(1, 4).unwrap_or(0).into()),
            places: some(0, 12).unwrap_or(3),
        },
        reclaim: [Reclaim::Off, Reclaim::Dead, Reclaim::Idle][some(0, 2).unwrap_or(0) as usize],
        ..Limits::new(some(0, 8).unwrap_or(6))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Connection { address: IpAddr, listener: u16, reserved: bool, unauthenticated: bool },
    Handshake,
    Login(AccountKey),
    Transfer(AddressKey),
    Port,
}

/// Counts that a limit bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pooled {
    Address(AddressKey),
    Unauthenticated,
    Listener(u16),
    Ordinary,
    All,
    Handshakes,
    Transfers,
    TransfersOf(AddressKey),
}

/// Both gates, and the time.
pub(super) struct World {
    pub(super) engine: Engine,
    inside: Vec<(PermitId, Kind)>,
    gone: Vec<PermitId>,
    waiting: Vec<(TicketId, IpAddr, u16, Moment)>,
    draining: bool,
    /// How many bans were decided.
    decided: u64,
    /// What each address was told, by the queue.
    told: BTreeMap<(AddressKey, Cause, String), Moment>,
    bans: BTreeMap<(AddressKey, Option<String>), Moment>,
    /// Nanoseconds' worth of tokens left, and when that was: by address, and of the second listener.
    buckets: BTreeMap<Option<AddressKey>, (u128, Moment)>,
    counts: BTreeMap<Pooled, u32>,
    pub(super) log: u64,
    pub(super) causes: BTreeSet<Cause>,
    pub(super) now: Moment,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            engine: Engine::new(limits(seed), seed),
            inside: Vec::new(),
            gone: Vec::new(),
            waiting: Vec::new(),
            draining: false,
            decided: 0,
            told: BTreeMap::new(),
            bans: BTreeMap::new(),
            buckets: BTreeMap::new(),
            counts: BTreeMap::new(),
            log: 0,
            causes: BTreeSet::new(),
            now: Moment::ZERO,
        }
    }

    /// Does `step` in both gates and checks every promise.
    pub(super) fn step(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Ask(question) => self.ask(question),
            Step::Release(which) => self.release(*which),
            Step::ReleaseStale(which) => {
                if let Some(permit) = pick(&self.gone, *which) {
                    let before = self.engine.snapshot(now).counters.stale_releases;
                    self.engine.release(permit, now);
                    assert_eq!(self.engine.snapshot(now).counters.stale_releases, before + 1);
                }
            }
            Step::Authenticated(which) => {
                if let Some((permit, _)) = pick(&self.inside, *which) {
                    self.engine.authenticated(permit, now);
                    self.set_unauthenticated(permit, false);
                }
            }
            Step::Unauthenticated(which) => self.unauthenticated(*which),
            Step::Touched(which) | Step::Busy(which) | Step::Dead(which) => {
                if let Some((permit, _)) = pick(&self.inside, *which) {
                    match step {
                        Step::Touched(_) => self.engine.touched(permit, now),
                        Step::Busy(_) => self.engine.busy(permit),
                        _ => self.engine.note_dead(permit),
                    }
                }
            }
            Step::Observe(signal) => self.engine.observe(*signal, now),
            Step::Relimit(word) => self.engine.relimit(limits(*word), now),
            Step::Drain(secs) => {
                self.engine.drain(now + Duration::from_secs((*secs).into()), None, now);
                self.draining = true;
            }
            Step::Resume => {
                self.engine.resume();
                self.draining = false;
            }
            Step::Exhausted(who) => self.exhausted(address(*who)),
            Step::Cancel(which, freed) => self.cancel(*which, *freed),
            Step::Pass(millis) => self.now = now + Duration::from_millis((*millis).into()),
            _ => self.punish(step),
        }
        self.fetch_answers();
        self.check();
    }

    fn punish(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::LoginFailed(who, which) => {
                let (address, name) = (address(*who), name(*which));
                let allowed = self.engine.attempt(address, &name, now);
                let whole = self.ban_of(address, None).map(|until| (Cause::Banned, until));
                let standing =
                    whole.or_else(|| Some((Cause::LoginFailures, self.ban_of(address, Some(&name))?)));
                let expected = standing.map(|(cause, until)| (cause, check::secs_until(until, now)));
                let told = allowed.err().map(|refusal| (refusal.cause, refusal.retry_after_secs));
                assert_eq!(told, expected);
                if allowed.is_ok() || which % 2 == 1 {
                    let ban = self.engine.login_failed(address, &name, now);
                    self.banned(address, (ban, standing.map(|(_, until)| until)), Some(name));
                }
            }
            Step::LoginSucceeded(who, which) => {
                self.engine.login_succeeded(address(*who), &name(*which), now);
            }
            Step::Flooded(who) => {
                let standing = self.ban_of(address(*who), None);
                let ban = self.engine.flooded(address(*who), now);
                self.banned(address(*who), (ban, standing), None);
            }
            Step::Ban(who, secs) => {
                let ban = self.engine.ban(address(*who), Duration::from_secs((*secs).into()), now);
                self.banned(address(*who), (ban, None), None);
            }
            Step::Unban(who) => {
                let key = AddressKey::of(address(*who));
                let lasting = self.bans.iter().filter(|((of, _), until)| *of == key && now < **until).count();
                assert_eq!(self.engine.unban(address(*who), now), lasting);
                self.bans.retain(|(of, _), _| *of != key);
            }
            other => panic!("{other:?} is no punishment"),
        }
    }

    /// Takes note of what was said about a ban, `standing` being the end of one that was there before.
    fn banned(
        &mut self,
        address: IpAddr,
        (ban, standing): (Option<crate::Ban>, Option<Moment>),
        name: Option<String>,
    ) {
        assert!(ban.is_some() || standing.is_none(), "the end of a ban that stands is told");
        let Some(ban) = ban else { return };
        assert!(!self.engine.limits.is_never_banned(address), "{address} is never banned");
        assert_eq!((ban.is_new, ban.until), (standing.is_none(), standing.unwrap_or(ban.until)));
        assert_eq!(ban.retry_after_secs, check::secs_until(ban.until, self.now));
        self.decided += u64::from(ban.is_new);
        if !ban.is_new {
            return;
        }
        let name = name.filter(|_| ban.one_name);
        self.bans.insert((AddressKey::of(address), name), ban.until);
        // Both at once: the wider one is told. The other one is found in the list.
        for record in self.engine.bans(0, 999, self.now).bans {
            self.bans.insert((record.address, record.name), self.now + record.remaining);
        }
    }

    fn is_banned(&self, address: IpAddr, name: Option<&str>) -> bool {
        self.ban_of(address, name).is_some()
    }

    fn ban_of(&self, address: IpAddr, name: Option<&str>) -> Option<Moment> {
        let key = (AddressKey::of(address), name.map(String::from));
        let lasts = |until: &Moment| self.now < *until && !self.engine.limits.is_never_banned(address);
        self.bans.get(&key).copied().filter(lasts)
    }

    /// Nobody enters where no descriptor is left; who may never come, or is banned, is told that.
    fn exhausted(&mut self, address: IpAddr) {
        let limits = Arc::clone(&self.engine.limits);
        let (denied, banned) = (limits.deny.contains(address), self.is_banned(address, None));
        let question = Question::connection(address, 0);
        let decision = self.engine.exhausted(&question, self.now);
        self.note(&format!("{decision:?}"));
        match decision {
            Decision::Deny => assert!(denied && !limits.deny_silent),
            Decision::Drop(Cause::Denied) => assert!(denied && limits.deny_silent),
            Decision::Drop(Cause::Banned) => assert!(!denied && banned && limits.ban.silent),
            Decision::Refuse(refusal) => {
                let cause = match (banned, self.draining) {
                    (true, _) => Cause::Banned,
                    (false, true) => Cause::Draining,
                    (false, false) => Cause::Overloaded,
                };
                assert!(refusal.cause == cause && refusal.retry_after_secs >= 1 && !denied, "{refusal:?}");
                if cause == Cause::Overloaded {
                    // One queue with those for whom the server is full.
                    self.told(&question, Refusal { cause: Cause::ServerFull, ..refusal });
                }
            }
            other => panic!("{other:?} while nothing is left"),
        }
    }

    /// Checks that who comes back too early is told no earlier moment, in each queue that several addresses share.
    fn told(&mut self, question: &Question, refusal: Refusal) {
        let shared = match refusal.cause {
            Cause::ServerFull
            | Cause::UnauthenticatedFull
            | Cause::ListenerFull
            | Cause::Overloaded
            | Cause::AccountFull
            | Cause::AnonymousFull
            | Cause::DataPorts => true,
            Cause::TransfersFull => {
                let limit = self.engine.limits.transfers_of(question.address());
                !self.is_full(Pooled::TransfersOf(AddressKey::of(question.address())), limit)
            }
            _ => false,
        };
        if !shared {
            return;
        }
        let whose = match question {
            Question::Connection { listener, .. } if refusal.cause == Cause::ListenerFull => {
                format!("{listener}")
            }
            Question::PassivePort { range, .. } => format!("{range}"),
            Question::Login { account, .. } => format!("{account:?}"),
            _ => String::new(),
        };
        let key = (AddressKey::of(question.address()), refusal.cause, whose);
        let secs = Duration::from_secs(refusal.retry_after_secs.into());
        match self.told.get(&key).filter(|due| self.now < **due) {
            Some(due) => {
                // At that moment, or a little later for each time it has asked.
                let rest = check::secs_until(*due, self.now);
                let most = RETRY_SECS_MAX.max(rest);
                assert!((rest..=most).contains(&refusal.retry_after_secs), "{key:?}: {rest}, {refusal:?}");
            }
            None => {
                self.told.insert(key, self.now + secs);
            }
        }
    }

    fn ask(&mut self, question: &Question) {
        let now = self.now;
        let explained = self.engine.explain(question, now);
        let expected = self.cause(question);
        assert_eq!(explained.cause, expected, "the order of causes: {question:?}");
        let may_wait = self.may_wait(question, expected);
        let decision = self.engine.ask(question, now);
        self.note(&format!("{decision:?}"));
        if let Some(refusal) = explained.refusal {
            assert!(refusal.retry_after_secs >= 1);
        }
        match decision {
            Decision::Admit(permit) => {
                assert_eq!((explained.outcome, expected), (Outcome::Admit, None));
                self.admitted(permit, question);
            }
            Decision::Wait(ticket, until) => {
                assert!(may_wait && explained.outcome == Outcome::Wait, "{explained:?}");
                assert_eq!(until, now + self.engine.limits.waiting_room.hold);
                let Question::Connection { address, listener } = question else {
                    panic!("{question:?} waits")
                };
                self.waiting.push((ticket, *address, *listener, until));
            }
            Decision::Reclaim(victim) => {
                assert_eq!(explained.outcome, Outcome::Reclaim(victim));
                self.check_victim(victim, question);
            }
            Decision::Refuse(refusal) => {
                assert_eq!((explained.outcome, may_wait), (Outcome::Refuse, false));
                let told = explained.refusal.expect("explain says refused");
                check_refusal(refusal, told);
                self.told(question, refusal);
            }
            Decision::Deny => assert_eq!((explained.outcome, expected), (Outcome::Deny, Some(Cause::Denied))),
            Decision::Drop(cause) => {
                assert!(matches!(question, Question::Connection { .. }), "{question:?} comes from inside");
                assert_eq!((explained.outcome, expected), (Outcome::Drop, Some(cause)));
            }
        }
        self.causes.extend(expected);
    }

    fn check_victim(&self, victim: PermitId, question: &Question) {
        let (_, kind) =
            self.inside.iter().find(|(permit, _)| *permit == victim).expect("the victim is inside");
        match (kind, question) {
            (Kind::Connection { address, .. }, Question::Connection { address: other, .. }) => {
                assert_eq!(AddressKey::of(*address), AddressKey::of(*other));
            }
            (Kind::Login(account), Question::Login { account: other, .. }) => assert_eq!(account, other),
            other => panic!("{other:?}"),
        }
    }

    fn admitted(&mut self, permit: PermitId, question: &Question) {
        assert!(!self.inside.iter().any(|(held, _)| *held == permit), "a permit is unique");
        let kind = match question {
            Question::Connection { address, listener } => {
                self.spend(*address, *listener);
                let reserved = self.engine.limits.is_reserved(*address);
                Kind::Connection {
                    address: *address,
                    listener: *listener,
                    reserved,
                    unauthenticated: !reserved,
                }
            }
            Question::Handshake { .. } => Kind::Handshake,
            Question::Login { account, limit, .. } => {
                let sessions =
                    self.inside.iter().filter(|(_, kind)| *kind == Kind::Login(account.clone())).count();
                assert!(limit.is_none_or(|limit| sessions < limit as usize), "over-admitted");
                Kind::Login(account.clone())
            }
            Question::Transfer { address } => Kind::Transfer(AddressKey::of(*address)),
            Question::PassivePort { .. } => Kind::Port,
        };
        self.inside.push((permit, kind));
    }

    fn release(&mut self, which: u32) {
        if self.inside.is_empty() {
            return;
        }
        let (permit, _) = self.inside.swap_remove(which as usize % self.inside.len());
        self.engine.release(permit, self.now);
        self.gone.push(permit);
    }

    fn unauthenticated(&mut self, which: u32) {
        let Some((permit, kind)) = pick(&self.inside, which) else { return };
        let Kind::Connection { address, listener, unauthenticated: false, reserved: false } = kind else {
            return;
        };
        let full = self.is_full(Pooled::Unauthenticated, self.engine.limits.connections_unauthenticated);
        let answer = self.engine.unauthenticated(permit, self.now);
        assert_eq!(answer.is_err(), full);
        match answer {
            Ok(()) => self.set_unauthenticated(permit, true),
            Err(refusal) => self.told(&Question::connection(address, listener), refusal),
        }
    }

    fn set_unauthenticated(&mut self, permit: PermitId, value: bool) {
        let kind = self.inside.iter_mut().find(|(held, _)| *held == permit).map(|(_, kind)| kind);
        if let Some(Kind::Connection { unauthenticated, reserved: false, .. }) = kind {
            *unauthenticated = value;
        }
    }

    fn cancel(&mut self, which: u32, freed: Option<u32>) {
        let Some((ticket, address, listener, _)) = pick(&self.waiting, which) else { return };
        if let Some(freed) = freed {
            self.release(freed);
        }
        if self.engine.waiting.was_admitted(ticket) {
            // It came in and went away: that spent a token.
            self.spend(address, listener);
        }
        self.engine.cancel(ticket, self.now);
        self.waiting.retain(|(other, ..)| *other != ticket);
    }

    /// Fetches the answers of those who waited; afterwards nobody waits who could be inside.
    fn fetch_answers(&mut self) {
        loop {
            let had_answers = self.engine.has_answers();
            let Some(Grant { ticket, decision }) = self.engine.poll_grant(self.now) else {
                assert!(!had_answers && !self.engine.has_answers(), "an answer that is not fetched");
                break;
            };
            self.note(&format!("{ticket:?} {decision:?}"));
            let place = self.waiting.iter().position(|(other, ..)| *other == ticket);
            let (_, address, listener, until) =
                self.waiting.remove(place.expect("a ticket is answered once"));
            match decision {
                Decision::Admit(permit) => self.admitted(permit, &Question::connection(address, listener)),
                Decision::Refuse(refusal) => {
                    assert!(refusal.retry_after_secs >= 1);
                    let hopeless = matches!(refusal.cause, Cause::Banned | Cause::Draining);
                    assert!(until <= self.now || hopeless, "{refusal:?} before the time");
                    self.told(&Question::connection(address, listener), refusal);
                }
                Decision::Deny | Decision::Drop(_) => {}
                other => panic!("{other:?} is no end of a wait"),
            }
        }
        for (ticket, address, listener, until) in &self.waiting {
            assert!(self.now < *until, "{ticket:?} waits for ever");
            let cause = self.cause(&Question::connection(*address, *listener));
            assert!(cause.is_some(), "{ticket:?} waits before a free place");
        }
    }

    /// The contract of DESIGN §2, written out.
    fn cause(&self, question: &Question) -> Option<Cause> {
        let limits = &self.engine.limits;
        let address = question.address().to_canonical();
        let key = AddressKey::of(address);
        let draining = self.draining.then_some(Cause::Draining);
        match question {
            Question::Connection { listener, .. } => self.cause_of_connection(address, *listener),
            Question::Handshake { .. } => {
                let full = self.is_full(Pooled::Handshakes, Some(limits.handshakes));
                draining.or(full.then_some(Cause::HandshakesFull))
            }
            Question::Login { account, limit, .. } => {
                if self.is_banned(address, None) {
                    return Some(Cause::Banned);
                }
                let name = if let AccountKey::Named(name) = account { Some(&*name.0) } else { None };
                if name.is_some() && self.is_banned(address, name) && !self.draining {
                    return Some(Cause::LoginFailures);
                }
                let sessions =
                    self.inside.iter().filter(|(_, kind)| *kind == Kind::Login(account.clone())).count();
                let full = limit.is_some_and(|limit| sessions >= limit as usize);
                let cause = if name.is_some() { Cause::AccountFull } else { Cause::AnonymousFull };
                draining.or(full.then_some(cause))
            }
            Question::Transfer { .. } => {
                let here = self.is_full(Pooled::TransfersOf(key), limits.transfers_of(address));
                (here || self.is_full(Pooled::Transfers, limits.transfers)).then_some(Cause::TransfersFull)
            }
            Question::PassivePort { ports, leased, .. } => (leased >= ports).then_some(Cause::DataPorts),
        }
    }

    fn cause_of_connection(&self, address: IpAddr, listener: u16) -> Option<Cause> {
        let limits = &self.engine.limits;
        let reserved = limits.is_reserved(address);
        let (ordinary, all) = (self.count(Pooled::Ordinary), self.count(Pooled::All));
        let free_reserve = reserved && all - ordinary < limits.reserved.connections;
        let here = limits.listeners.get(usize::from(listener)).copied().unwrap_or_default();
        let server_full = all >= limits.connections
            || (!reserved && ordinary + limits.reserved.connections >= limits.connections);
        let address_full =
            self.is_full(Pooled::Address(AddressKey::of(address)), limits.connections_of(address));
        let answers = [
            (limits.deny.contains(address), Cause::Denied),
            (self.is_banned(address, None), Cause::Banned),
            (self.draining, Cause::Draining),
            (self.engine.level(self.now) == Level::Full && !free_reserve, Cause::Overloaded),
            (!self.has_token(Some(AddressKey::of(address)), limits.rate_of(address)), Cause::Rate),
            (listener == 1 && !self.has_token(None, here.connection_rate), Cause::Rate),
            (address_full, Cause::AddressFull),
            (
                !reserved && self.is_full(Pooled::Unauthenticated, limits.connections_unauthenticated),
                Cause::UnauthenticatedFull,
            ),
            (self.is_full(Pooled::Listener(listener), here.connections), Cause::ListenerFull),
            (server_full, Cause::ServerFull),
        ];
        answers.into_iter().find(|(refuses, _)| *refuses).map(|(_, cause)| cause)
    }

    fn may_wait(&self, question: &Question, cause: Option<Cause>) -> bool {
        let waits =
            matches!(cause, Some(Cause::UnauthenticatedFull | Cause::ListenerFull | Cause::ServerFull));
        let room = self.engine.limits.waiting_room;
        let same = |other: IpAddr| AddressKey::of(other) == AddressKey::of(question.address());
        let own = self.waiting.iter().filter(|(_, address, ..)| same(*address)).count();
        let share = (room.places / 8).max(1) as usize;
        waits && !room.hold.is_zero() && self.waiting.len() < room.places as usize && own < share
    }

    fn tokens(&self, whose: Option<AddressKey>, rate: Rate) -> u128 {
        let whole = rate.period().as_nanos();
        let (left, then) = self.buckets.get(&whose).copied().unwrap_or((whole, self.now));
        (left + self.now.since(then).as_nanos()).min(whole)
    }

    fn has_token(&self, whose: Option<AddressKey>, rate: Option<Rate>) -> bool {
        rate.is_none_or(|rate| {
            self.tokens(whose, rate) >= rate.period().as_nanos() / u128::from(rate.count())
        })
    }

    fn spend(&mut self, address: IpAddr, listener: u16) {
        let of_listener = self.engine.limits.listeners.get(usize::from(listener));
        let own = (Some(AddressKey::of(address)), self.engine.limits.rate_of(address));
        let gate = (None, of_listener.and_then(|limits| limits.connection_rate));
        for (whose, rate) in [own, gate] {
            if let Some(rate) = rate {
                let left = self.tokens(whose, rate) - rate.period().as_nanos() / u128::from(rate.count());
                self.buckets.insert(whose, (left, self.now));
            }
        }
    }

    fn is_full(&self, pooled: Pooled, limit: Option<u32>) -> bool {
        limit.is_some_and(|limit| self.count(pooled) >= limit)
    }

    fn count(&self, pooled: Pooled) -> u32 {
        let counts = |kind: &Kind| match (kind, pooled) {
            (Kind::Connection { address, .. }, Pooled::Address(key)) => AddressKey::of(*address) == key,
            (Kind::Connection { unauthenticated, .. }, Pooled::Unauthenticated) => *unauthenticated,
            (Kind::Connection { listener, .. }, Pooled::Listener(other)) => *listener == other,
            (Kind::Connection { reserved, .. }, Pooled::Ordinary) => !reserved,
            (Kind::Transfer(key), Pooled::TransfersOf(other)) => *key == other,
            (Kind::Connection { .. }, Pooled::All)
            | (Kind::Handshake, Pooled::Handshakes)
            | (Kind::Transfer(_), Pooled::Transfers) => true,
            _ => false,
        };
        u32::try_from(self.inside.iter().filter(|(_, kind)| counts(kind)).count()).unwrap()
    }

    /// Checks that nothing is above its limit, unless it was and has not grown, and that the engine counts the same.
    fn check(&mut self) {
        let limits = Arc::clone(&self.engine.limits);
        let mut pools: Vec<(Pooled, Option<u32>)> = alloc::vec![
            (Pooled::Unauthenticated, limits.connections_unauthenticated),
            (Pooled::Ordinary, Some(limits.connections.saturating_sub(limits.reserved.connections))),
            (Pooled::All, Some(limits.connections)),
            (Pooled::Handshakes, Some(limits.handshakes)),
            (Pooled::Transfers, limits.transfers),
            (Pooled::Listener(0), limits.listeners[0].connections),
        ];
        for which in 0..12 {
            let address = address(which);
            pools.push((Pooled::Address(AddressKey::of(address)), limits.connections_of(address)));
            pools.push((Pooled::TransfersOf(AddressKey::of(address)), limits.transfers_of(address)));
        }
        for (pooled, limit) in pools {
            let count = self.count(pooled);
            let before = self.counts.insert(pooled, count).unwrap_or(0);
            assert!(limit.is_none_or(|limit| count <= limit.max(before)), "{pooled:?}: {count} of {limit:?}");
        }
        let engine = &self.engine;
        assert!(engine.adds_up());
        assert_eq!(engine.permits.held(), self.inside.len());
        assert_eq!(engine.house.pool.in_use(), self.counts[&Pooled::Ordinary]);
        assert_eq!(engine.house.pool.in_use() + engine.reserved, self.counts[&Pooled::All]);
        assert_eq!(engine.unauthenticated.pool.in_use(), self.counts[&Pooled::Unauthenticated]);
        assert_eq!(engine.waiting.len() as usize, self.waiting.len());
        let leased = self.inside.iter().filter(|(_, kind)| *kind == Kind::Port).count();
        assert_eq!(engine.ports.iter().map(Pool::in_use).sum::<u32>(), engine.ports_leased);
        assert_eq!(engine.ports_leased as usize, leased);
        let holders = |wanted: fn(Pooled) -> bool| {
            self.counts.iter().filter(|(pooled, count)| wanted(**pooled) && **count > 0).count()
        };
        assert_eq!(engine.addresses.len(), holders(|pooled| matches!(pooled, Pooled::Address(_))));
        assert_eq!(engine.transfers_of.len(), holders(|pooled| matches!(pooled, Pooled::TransfersOf(_))));
    }

    /// Sends everybody away and checks that nothing is left behind.
    pub(super) fn end(mut self) -> (u64, BTreeSet<Cause>) {
        for (ticket, ..) in core::mem::take(&mut self.waiting) {
            self.engine.cancel(ticket, self.now);
        }
        while !self.inside.is_empty() {
            self.release(0);
        }
        assert_eq!(self.engine.poll_grant(self.now), None, "every ticket ended once");
        self.check();
        let engine = &mut self.engine;
        assert!(engine.addresses.is_empty() && engine.accounts.is_empty() && engine.transfers_of.is_empty());
        assert!(engine.house.pool.is_consistent());
        let counters = engine.snapshot(self.now).counters;
        assert_eq!(counters.forgotten, 0, "so few are never too many");
        assert_eq!(counters.banned, self.decided, "a ban that stands is not counted again");
        engine.tidy(self.now + Duration::from_hours(1_000));
        assert_eq!(engine.kept(), 0, "nothing is kept for ever");
        (self.log, self.causes)
    }

    fn note(&mut self, line: &str) {
        self.log = Keyed::new(self.log).hash_one(line);
    }
}

/// Checks what is told against what was explained a moment before.
fn check_refusal(refusal: Refusal, told: Refusal) {
    let Refusal { cause, retry_after_secs: retry, .. } = refusal;
    assert_eq!(Refusal { retry_after_secs: retry, ..told }, refusal);
    assert!(retry >= 1);
    let exact = matches!(
        cause,
        Cause::Banned | Cause::Draining | Cause::Rate | Cause::LoginFailures | Cause::HandshakesFull
    );
    if exact {
        assert_eq!(retry, told.retry_after_secs, "{cause:?} is exact");
    } else {
        assert!(retry <= RETRY_SECS_MAX && retry >= told.retry_after_secs.min(100), "{refusal:?} {told:?}");
    }
}

fn pick<T: Clone>(items: &[T], which: u32) -> Option<T> {
    items.get(which as usize % items.len().max(1)).cloned()
}
