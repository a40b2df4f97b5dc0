//! Every way in which threads can meet at the gate, tried one after the other: loom takes the place of the locks in the very
//! source of `gate.rs`, and the engine behind them is the real one. A wake-up that is lost ends as a deadlock, which loom finds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use loom::sync::Notify;
use loom::thread;
use tidegate_admission::{Limits, Question, Reclaim, TicketId, WaitingRoom};
use tidegate_types::{Cause, Moment};

use clock::Clock;
use gate::{Answer, Gate, PermitGuard};

#[path = "../src/gate.rs"]
#[allow(dead_code, unreachable_pub, reason = "these tests do not use all of it")]
mod gate;

/// What the gate shares between its threads, in loom's hands.
mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

mod clock {
    use tidegate_types::Moment;

    /// Time stands still: who waits is let in by a wake-up or never.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Clock;

    impl Clock {
        #[expect(clippy::unused_self, reason = "as the server's")]
        pub(crate) const fn now(self) -> Moment {
            Moment::ZERO
        }
    }
}

/// A gate, and how many are inside as its clients see it.
#[derive(Clone)]
struct House {
    gate: Arc<Gate>,
    inside: Arc<AtomicU32>,
    /// How many may be.
    most: u32,
    /// Rings when somebody who waits may have an answer, as the doorway's eventfd does.
    bell: Arc<Notify>,
}

/// Somebody who is inside until this drops.
struct Guest {
    guard: Option<PermitGuard>,
    inside: Arc<AtomicU32>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Before the place is free: who comes next must not be counted beside this one.
        self.inside.fetch_sub(1, SeqCst);
        drop(self.guard.take());
    }
}

fn limits(connections: u32) -> Limits {
    let waiting_room = WaitingRoom { hold: Duration::from_secs(3), places: 16 };
    Limits { waiting_room, ..Limits::new(connections) }
}

fn question(host: u8) -> Question {
    Question::connection(IpAddr::from([192, 0, 2, host]), 0)
}

impl House {
    fn new(limits: Limits) -> Self {
        let most = limits.connections;
        let gate = Gate::seeded(limits, Clock, 7);
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        gate.wake_by(Box::new(move || ring.notify()));
        Self { gate, inside: Arc::default(), most, bell }
    }

    fn guest(&self, guard: PermitGuard) -> Guest {
        let before = self.inside.fetch_add(1, SeqCst);
        assert!(before < self.most, "{before} were inside already");
        Guest { guard: Some(guard), inside: Arc::clone(&self.inside) }
    }

    #[track_caller]
    fn enter(&self, host: u8) -> Guest {
        match self.gate.ask(&question(host)) {
            Answer::Admit(guard) => self.guest(guard),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn wait(&self, host: u8) -> TicketId {
        match self.gate.ask(&question(host)) {
            Answer::Wait(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// What the doorway does: sleeps until the bell rings, then fetches all answers; until it has `count` of them.
    fn doorway(&self, count: usize) -> Vec<(TicketId, Answer)> {
        let mut answers = Vec::new();
        loop {
            while let Some(answer) = self.gate.next_answer() {
                answers.push(answer);
            }
            if answers.len() >= count {
                return answers;
            }
            self.bell.wait();
        }
    }

    /// Everybody has left: nothing is held, and nothing was given back twice.
    fn check_empty(&self) {
        let snapshot = self.gate.snapshot();
        assert_eq!((snapshot.connections, snapshot.addresses, snapshot.waiting), (0, 0, 0), "{snapshot:?}");
        assert_eq!(snapshot.counters.stale_releases, 0);
        assert_eq!(self.inside.load(SeqCst), 0);
    }
}

/// Tries every interleaving of `test`, and says how many there were.
fn every_way(name: &str, test: impl Fn() + Send + Sync + 'static) {
    let ways = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ways);
    loom::model(move || {
        count.fetch_add(1, SeqCst);
        test();
    });
    let ways = ways.load(SeqCst);
    println!("{name}: {ways} ways");
    assert!(ways > 1, "nothing was interleaved");
}

#[test]
fn a_place_is_given_to_one() {
    every_way("ask, ask, ask", || {
        let house = House::new(Limits::new(1));
        let come = |host| {
            let house = house.clone();
            thread::spawn(move || match house.gate.ask(&question(host)) {
                Answer::Admit(guard) => drop(house.guest(guard)),
                Answer::Refuse(refusal) => assert_eq!(refusal.cause, Cause::ServerFull),
                other => panic!("{other:?}"),
            })
        };
        let threads = [come(1), come(2)];
        if let Answer::Admit(guard) = house.gate.ask(&question(3)) {
            drop(house.guest(guard));
        }
        for thread in threads {
            thread.join().unwrap();
        }
        house.check_empty();
        let counters = house.gate.snapshot().counters;
        assert!(counters.connections_admitted >= 1);
        assert_eq!(counters.connections_admitted + counters.refused.total(), 3);
    });
}

#[test]
fn who_waits_is_woken_when_a_place_is_free() {
    every_way("leave, leave, wait", || {
        let house = House::new(limits(2));
        let guests = [house.enter(1), house.enter(2)];
        let leaving = guests.map(|guest| thread::spawn(move || drop(guest)));
        // They leave before it asks, while it does, or afterwards.
        let guest = match house.gate.ask(&question(3)) {
            Answer::Admit(guard) => house.guest(guard),
            Answer::Wait(ticket) => match house.doorway(1).pop() {
                Some((whose, Answer::Admit(guard))) if whose == ticket => house.guest(guard),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        drop(guest);
        for thread in leaving {
            thread.join().unwrap();
        }
        house.check_empty();
    });
}

#[test]
fn two_who_wait_are_both_woken_in_their_order() {
    every_way("two leave, two wait", || {
        let house = House::new(limits(2));
        let guests = [house.enter(1), house.enter(2)];
        let tickets = [house.wait(3), house.wait(4)];
        let leaving = guests.map(|guest| thread::spawn(move || drop(guest)));
        let answers = house.doorway(2);
        assert_eq!([answers[0].0, answers[1].0], tickets);
        for (_, answer) in answers {
            assert!(matches!(answer, Answer::Admit(_)), "{answer:?}");
        }
        for thread in leaving {
            thread.join().unwrap();
        }
        house.check_empty();
    });
}

#[test]
fn who_gives_up_while_a_place_becomes_free_leaves_it_to_the_next() {
    every_way("leave, cancel, wait", || {
        let house = House::new(limits(1));
        let guest = house.enter(1);
        let (first, second) = (house.wait(2), house.wait(3));
        let leaving = thread::spawn(move || drop(guest));
        // The first may have its answer, fetched or not, before it gives up: then its place goes to the next.
        match house.gate.next_answer() {
            Some((ticket, Answer::Admit(guard))) if ticket == first => drop(house.guest(guard)),
            None => house.gate.cancel(first),
            other => panic!("{other:?}"),
        }
        let answers = house.doorway(1);
        assert!(matches!(answers[..], [(whose, Answer::Admit(_))] if whose == second), "{answers:?}");
        drop(answers);
        leaving.join().unwrap();
        house.check_empty();
    });
}

#[test]
fn a_drain_ends_every_wait_once() {
    every_way("drain, leave, wait", || {
        let house = House::new(limits(1));
        let guest = house.enter(1);
        let ticket = house.wait(2);
        let leaving = thread::spawn(move || drop(guest));
        let other = house.clone();
        let drains = thread::spawn(move || {
            other.gate.drain(Moment::from_start(Duration::from_mins(1)), Some("back at noon"));
        });
        let answers = house.doorway(1);
        assert_eq!(answers.len(), 1);
        for (whose, answer) in answers {
            assert_eq!(whose, ticket);
            match answer {
                Answer::Admit(guard) => drop(house.guest(guard)),
                Answer::Refuse(refusal) => {
                    assert_eq!((refusal.cause, refusal.retry_after_secs), (Cause::Draining, 60));
                }
                other => panic!("{other:?}"),
            }
        }
        leaving.join().unwrap();
        drains.join().unwrap();
        assert!(matches!(house.gate.ask(&question(3)), Answer::Refuse(_)));
        house.gate.resume();
        drop(house.enter(3));
        house.check_empty();
    });
}

#[test]
fn a_drain_wakes_who_waits_for_somebody_who_stays() {
    every_way("drain, wait", || {
        let house = House::new(limits(1));
        let guest = house.enter(1);
        let ticket = house.wait(2);
        let other = house.clone();
        let drains =
            thread::spawn(move || other.gate.drain(Moment::from_start(Duration::from_mins(1)), None));
        let answers = house.doorway(1);
        assert!(matches!(answers[..], [(whose, Answer::Refuse(_))] if whose == ticket), "{answers:?}");
        drains.join().unwrap();
        drop(guest);
        house.check_empty();
    });
}

#[test]
fn a_larger_limit_wakes_who_waits_and_a_smaller_one_lets_nobody_in() {
    every_way("relimit, ask, wait", || {
        let house = House::new(limits(1));
        let guest = house.enter(1);
        let ticket = house.wait(2);
        house.gate.relimit(limits(0));
        let other = house.clone();
        let relimits = thread::spawn(move || {
            other.gate.relimit(Limits { reclaim: Reclaim::Idle, ..limits(2) });
        });
        let answers = house.doorway(1);
        assert!(matches!(answers[..], [(whose, Answer::Admit(_))] if whose == ticket), "{answers:?}");
        relimits.join().unwrap();
        assert!(house.gate.looks_at_idleness());
        house.wait(3);
        drop((guest, answers));
        drop(house.doorway(1));
        house.check_empty();
    });
}

#[test]
fn logging_in_frees_a_place_among_the_unauthenticated() {
    every_way("log in, wait", || {
        let house = House::new(Limits { connections_unauthenticated: Some(1), ..limits(2) });
        let Answer::Admit(guard) = house.gate.ask(&question(1)) else { panic!("one may enter") };
        let ticket = house.wait(2);
        let session = house.clone();
        let session = thread::spawn(move || {
            session.gate.authenticated(guard.id());
            session.gate.touched(std::iter::once(guard.id()));
            guard
        });
        let answers = house.doorway(1);
        assert!(matches!(answers[..], [(whose, Answer::Admit(_))] if whose == ticket), "{answers:?}");
        drop((answers, session.join().unwrap()));
        house.check_empty();
    });
}

#[test]
fn whose_place_is_reclaimed_gives_it_up_once() {
    every_way("reclaim, leave", || {
        let house =
            House::new(Limits { reclaim: Reclaim::Dead, connections_per_address: Some(1), ..Limits::new(9) });
        let Answer::Admit(guard) = house.gate.ask(&question(1)) else { panic!("one may enter") };
        house.gate.note_dead(std::iter::once(guard.id()));
        let victim = guard.id();
        let leaving = thread::spawn(move || drop(guard));
        // It is told to leave, or has left, or is leaving: never is somebody else's place taken away.
        match house.gate.ask(&question(1)) {
            Answer::Reclaim(permit) => assert_eq!(permit, victim),
            Answer::Admit(guard) => assert_ne!(guard.id(), victim),
            other => panic!("{other:?}"),
        }
        leaving.join().unwrap();
        house.check_empty();
    });
}
