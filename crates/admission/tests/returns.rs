//! A thousand clients of our own policy, in virtual time, before every kind of full house: each waits exactly what it was told,
//! and comes back until it is inside. No second has more than twice the average of returns, seconds in which nobody comes included.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tidegate_admission::{
    AccountKey, Decision, Engine, Limits, ListenerLimits, Outcome, PermitId, Question, Reserved, Signal,
};
use tidegate_types::{Cause, Moment};

const CLIENTS: u32 = 1_000;
const SEEDS: u64 = 8;
/// The number of one that is none of the thousand.
const HOG: u32 = 5_000;
/// The mean of what one stays.
const STAY: Duration = Duration::from_secs(10);

/// Something that happens: a client comes, or the place of one becomes free.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Leaves(PermitId),
    Comes(u32),
}

/// How long they stay.
#[derive(Clone, Copy)]
enum Stays {
    /// Evenly from half to one and a half of the mean.
    Even,
    /// Many shortly, some for long: who has stayed is as likely to leave as who has just come.
    Exponential,
}

/// What house they come to.
#[derive(Clone)]
struct House {
    limits: Limits,
    question: fn(u32) -> Question,
    cause: Cause,
    stays: Stays,
    /// How long it was full before, so that departures are measured.
    warm: Duration,
    /// Over how long the thousand arrive.
    arrival: Duration,
    /// Whether one more, of another address, has knocked a thousand times before them, and goes on a hundred times a second.
    hog: bool,
}

impl House {
    fn full(limits: Limits, cause: Cause) -> Self {
        let warm = Duration::from_mins(10);
        Self {
            limits,
            question: server,
            cause,
            stays: Stays::Even,
            warm,
            arrival: Duration::ZERO,
            hog: false,
        }
    }
}

fn server(client: u32) -> Question {
    Question::connection(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + client)), 0)
}

/// All behind one router.
fn hospital(_client: u32) -> Question {
    Question::connection(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0)
}

fn login(client: u32) -> Question {
    Question::login(AccountKey::Anonymous, Some(100), server(client).address())
}

fn transfer(client: u32) -> Question {
    Question::Transfer { address: server(client).address() }
}

/// Even numbers from 0 to 1, by the seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }

    fn stay(&mut self, stays: Stays) -> Duration {
        match stays {
            Stays::Even => STAY.mul_f64(0.5 + self.roll()),
            Stays::Exponential => STAY.mul_f64(-(1.0 - self.roll()).max(1e-9).ln()),
        }
    }
}

struct Evening {
    house: House,
    engine: Engine,
    dice: Dice,
    due: BinaryHeap<Reverse<(Moment, Due)>>,
    now: Moment,
}

impl Evening {
    fn new(house: &House, seed: u64) -> Self {
        let engine = Engine::new(house.limits.clone(), seed);
        Self { house: house.clone(), engine, dice: Dice(seed), due: BinaryHeap::new(), now: Moment::ZERO }
    }

    /// Fills the house and keeps it full. Nobody is refused meanwhile: who is told a second and never comes lengthens the
    /// estimate of others.
    fn warm(&mut self) {
        let start = Moment::ZERO + self.house.warm;
        let mut guest = 10_000;
        loop {
            while self.engine.explain(&(self.house.question)(guest), self.now).outcome == Outcome::Admit {
                assert!(self.ask(guest).is_none(), "explain is wrong");
                guest += 1;
            }
            let next = self.due.peek().map(|Reverse((when, _))| *when).expect("somebody is inside");
            if next > start {
                self.now = start;
                return;
            }
            self.next();
        }
    }

    /// Asks for a client; returns what it was told, `None`: it is inside.
    fn ask(&mut self, client: u32) -> Option<Duration> {
        match self.engine.ask(&(self.house.question)(client), self.now) {
            Decision::Admit(permit) => {
                let until = self.now + self.dice.stay(self.house.stays);
                // Where the house counts those who have not logged in, logging in is what frees the place.
                if self.house.cause != Cause::UnauthenticatedFull {
                    self.engine.authenticated(permit, self.now);
                }
                self.due.push(Reverse((until, Due::Leaves(permit))));
                None
            }
            Decision::Refuse(refusal) => {
                assert_eq!(refusal.cause, self.house.cause);
                Some(Duration::from_secs(refusal.retry_after_secs.into()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Goes to the next event; a client that comes is returned.
    fn next(&mut self) -> Option<u32> {
        let Reverse((when, what)) = self.due.pop().expect("somebody still waits");
        self.now = when;
        match what {
            Due::Comes(client) => return Some(client),
            Due::Leaves(permit) if self.house.cause == Cause::UnauthenticatedFull => {
                self.engine.authenticated(permit, self.now);
            }
            Due::Leaves(permit) => self.engine.release(permit, self.now),
        }
        None
    }

    /// Lets the hog knock, unless it would get in.
    fn knock(&mut self) {
        let question = (self.house.question)(HOG);
        if self.engine.explain(&question, self.now).outcome == Outcome::Refuse {
            assert!(self.ask(HOG).is_some(), "explain is wrong");
        }
    }

    /// Lets the thousand come. Returns how many came back in each second since the last of them arrived, until all were inside.
    fn returns(mut self) -> Vec<u32> {
        self.warm();
        let arrived = self.now + self.house.arrival;
        for client in 0..CLIENTS {
            let when = self.now + self.house.arrival * client / CLIENTS;
            self.due.push(Reverse((when, Due::Comes(client))));
        }
        let mut counts = BTreeMap::<u64, u32>::new();
        if self.house.hog {
            (0..CLIENTS).for_each(|_| self.knock());
            self.due.push(Reverse((self.now, Due::Comes(HOG))));
        }
        let (mut inside, mut known) = (0, vec![false; CLIENTS as usize]);
        while inside < CLIENTS {
            let Some(client) = self.next() else { continue };
            if client == HOG {
                self.knock();
                self.due.push(Reverse((self.now + Duration::from_millis(10), Due::Comes(HOG))));
                continue;
            }
            let is_back = std::mem::replace(&mut known[client as usize], true);
            if is_back && self.now > arrived {
                *counts.entry(self.now.since(arrived).as_secs()).or_default() += 1;
            }
            match self.ask(client) {
                None => inside += 1,
                Some(retry) => self.due.push(Reverse((self.now + retry, Due::Comes(client)))),
            }
        }
        let last = counts.keys().last().copied().unwrap_or(0);
        (1..=last).map(|second| counts.get(&second).copied().unwrap_or(0)).collect()
    }
}

/// Checks that they come evenly, and that the last is inside after at most one and a half of `ideal_secs`, what perfect order takes.
#[track_caller]
fn check(house: &House, ideal_secs: usize) {
    for seed in 0..SEEDS {
        let counts = Evening::new(house, seed).returns();
        let sum: u32 = counts.iter().sum();
        let mean = f64::from(sum) / f64::from(u32::try_from(counts.len()).unwrap());
        let most = f64::from(counts.iter().copied().max().unwrap());
        assert!(sum >= CLIENTS / 2, "seed {seed}: hardly anybody was refused");
        assert!(most <= 2.0 * mean, "seed {seed}: {most} in one second, {mean} on average: {counts:?}");
        assert!(counts.len() <= ideal_secs * 3 / 2, "seed {seed}: the last waited {} s", counts.len());
    }
}

#[test]
fn a_full_server_meets_them_evenly() {
    check(&House::full(Limits::new(100), Cause::ServerFull), 100);
    check(&House::full(Limits::new(50), Cause::ServerFull), 200);
}

/// Were each knock booked, all of them would be told up to 300 s.
#[test]
fn one_who_knocks_in_a_loop_changes_nothing_for_them() {
    check(&House { hog: true, ..House::full(Limits::new(100), Cause::ServerFull) }, 100);
    check(&House { hog: true, ..House::full(Limits::new(50), Cause::ServerFull) }, 200);
}

#[test]
fn some_stay_for_long() {
    let house = House::full(Limits::new(100), Cause::ServerFull);
    check(&House { stays: Stays::Exponential, ..house }, 100);
}

#[test]
fn they_come_within_a_minute() {
    let house = House::full(Limits::new(50), Cause::ServerFull);
    check(&House { arrival: Duration::from_mins(1), ..house }, 200);
}

/// Nothing is measured yet: they are spread as far as may be told, and no farther.
#[test]
fn a_house_that_was_just_opened_meets_them_evenly() {
    let house = House::full(Limits::new(100), Cause::ServerFull);
    check(&House { warm: Duration::from_secs(1), ..house }, 200);
}

#[test]
fn a_full_server_with_a_reserve_meets_them_evenly() {
    let from = std::iter::once("172.16.0.0/12".parse().unwrap()).collect();
    let reserved = Reserved { connections: 20, from };
    check(&House::full(Limits { reserved, ..Limits::new(120) }, Cause::ServerFull), 100);
}

#[test]
fn a_full_listener_meets_them_evenly() {
    let listener = ListenerLimits { connections: Some(100), connection_rate: None };
    let limits = Limits { listeners: vec![listener], ..Limits::new(5_000) };
    check(&House::full(limits, Cause::ListenerFull), 100);
}

#[test]
fn one_address_meets_them_evenly() {
    let limits = Limits { connections_per_address: Some(100), ..Limits::new(5_000) };
    check(&House { question: hospital, ..House::full(limits, Cause::AddressFull) }, 100);
}

#[test]
fn one_account_meets_them_evenly() {
    check(&House { question: login, ..House::full(Limits::new(1), Cause::AnonymousFull) }, 100);
}

#[test]
fn full_transfers_meet_them_evenly() {
    let limits = Limits { transfers: Some(100), ..Limits::new(1) };
    check(&House { question: transfer, ..House::full(limits, Cause::TransfersFull) }, 100);
}

#[test]
fn the_unauthenticated_meet_them_evenly() {
    // Each takes ten seconds to log in, a third of what it may; nobody is told less than that.
    let limits = Limits { connections_unauthenticated: Some(100), ..Limits::new(50_000) };
    let house = House::full(limits, Cause::UnauthenticatedFull);
    check(&house, 30 + 100);
}

#[test]
fn an_overloaded_house_spreads_them() {
    for seed in 0..SEEDS {
        let mut engine = Engine::new(Limits::new(5_000), seed);
        let at = |secs| Moment::from_start(Duration::from_secs(secs));
        for secs in (0..=60).step_by(5) {
            engine.observe(Signal::Memory { used: 95, limit: 100 }, at(secs));
        }
        let mut counts = BTreeMap::<u32, u32>::new();
        for client in 0..CLIENTS {
            let Decision::Refuse(refusal) = engine.ask(&server(client), at(60)) else {
                panic!("not refused")
            };
            *counts.entry(refusal.retry_after_secs).or_default() += 1;
        }
        let (first, last) = (*counts.keys().next().unwrap(), *counts.keys().last().unwrap());
        let mean = f64::from(CLIENTS) / f64::from(last - first + 1);
        let most = f64::from(*counts.values().max().unwrap());
        assert!(most <= 2.0 * mean, "seed {seed}: {most} in one second, {mean} on average: {counts:?}");
        assert!(first >= 65, "a minute of overload, and the retry has grown: {first}");
    }
}
