use std::sync::atomic::AtomicU32;

use std::sync::Arc;
use std::time::Duration;

use tidegate_admission::{Limits, Question};
use tidegate_types::Cause;

use crate::clock::Clock;
use crate::gate::{Answer, Gate, PermitGuard, account_key};
use crate::sync::Ordering;

fn gate(limits: Limits) -> Arc<Gate> {
    Gate::seeded(limits, Clock::start(), 1)
}

fn connection(gate: &Arc<Gate>) -> Answer {
    gate.ask(&Question::connection("192.0.2.1".parse().unwrap(), 0))
}

fn admitted(answer: Answer) -> PermitGuard {
    match answer {
        Answer::Admit(permit) => permit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_permit_frees_its_place_on_drop() {
    let gate = gate(Limits::new(1));
    let permit = admitted(connection(&gate));
    assert!(matches!(connection(&gate), Answer::Refuse(refusal) if refusal.cause == Cause::ServerFull));
    drop(permit);
    let again = admitted(connection(&gate));
    assert_eq!(gate.snapshot().connections, 1);
    drop(again);
    assert_eq!(gate.snapshot().connections, 0);
}

#[test]
fn a_panic_inside_gives_the_place_back() {
    let gate = gate(Limits::new(1));
    let question = Question::login(account_key(None), Some(1), "192.0.2.1".parse().unwrap());
    let permit = admitted(gate.ask(&question));
    let inside = std::thread::spawn(move || {
        let _permit = permit;
        panic!("a session that panics");
    });
    assert!(inside.join().is_err());
    assert_eq!(gate.snapshot().logins, 0);
    assert!(matches!(gate.ask(&question), Answer::Admit(_)));
}

#[test]
fn who_waits_is_let_in_when_a_place_frees_and_the_door_is_woken() {
    let mut limits = Limits::new(1);
    limits.waiting_room.hold = Duration::from_secs(5);
    let gate = gate(limits);
    let rings = Arc::new(AtomicU32::new(0));
    let bell = Arc::clone(&rings);
    gate.wake_by(Box::new(move || {
        bell.fetch_add(1, Ordering::Relaxed);
    }));
    let inside = admitted(connection(&gate));
    let Answer::Wait(ticket) = connection(&gate) else { panic!("nobody waits") };
    assert!(gate.next_answer().is_none());
    assert!(gate.next_deadline().is_some());
    drop(inside);
    assert!(rings.load(Ordering::Relaxed) > 0, "the door has to know");
    let (granted, answer) = gate.next_answer().unwrap();
    assert_eq!(granted, ticket);
    drop(admitted(answer));
    assert_eq!(gate.snapshot().connections, 0);
    assert!(gate.next_answer().is_none());
}
