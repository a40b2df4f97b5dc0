//! The waiting room.
use super::*;

#[test]
fn who_waited_longest_gets_the_place() {
    let mut engine = with_waiting_room(1, 16);
    let inside = admit(&mut engine, &from("192.0.2.1"), at(0));
    let [first, second] = [wait(&mut engine, 2, at(0)), wait(&mut engine, 3, at(1))];
    assert_eq!((engine.poll_grant(at(1)), engine.next_deadline(at(1))), (None, Some(at(3))));
    engine.release(inside, at(2));
    assert_eq!(engine.next_deadline(at(2)), Some(at(2)));
    let third = wait(&mut engine, 4, at(2));
    let Some(Grant { ticket, decision: Decision::Admit(permit) }) = engine.poll_grant(at(2)) else {
        panic!("nobody got the place");
    };
    assert_eq!((ticket, engine.poll_grant(at(2))), (first, None));
    engine.cancel(second, at(3));
    engine.release(permit, at(4));
    let Some(Grant { ticket, decision: Decision::Admit(_) }) = engine.poll_grant(at(4)) else {
        panic!("nobody got the place");
    };
    assert_eq!(ticket, third);
    let counters = engine.snapshot(at(4)).counters;
    assert_eq!((counters.waited, counters.granted, counters.cancelled), (3, 2, 1));
}

#[test]
fn a_wait_that_is_over_ends_in_a_refusal() {
    let mut engine = with_waiting_room(1, 16);
    admit(&mut engine, &from("192.0.2.1"), at(0));
    let first = wait(&mut engine, 2, at(0));
    let second = wait(&mut engine, 3, at(1));
    assert_eq!(engine.poll_grant(at(2)), None);
    let Some(Grant { ticket, decision: Decision::Refuse(refusal) }) = engine.poll_grant(at(3)) else {
        panic!("the wait goes on");
    };
    assert_eq!((ticket, refusal.cause), (first, Cause::ServerFull));
    assert_eq!(engine.poll_grant(at(3)), None);
    engine.drain(at(100), Some("disk\r\nchange"), at(3));
    let refusal = Refusal::uncounted(Cause::Draining, 97);
    assert_eq!(engine.poll_grant(at(3)), Some(Grant { ticket: second, decision: Decision::Refuse(refusal) }));
    assert_eq!(engine.drain_message(), Some("disk??change"));
    engine.resume();
    assert_eq!(engine.drain_message(), None);
}

#[test]
fn a_cancelled_wait_that_had_a_place_gives_it_to_the_next() {
    let mut engine = with_waiting_room(1, 16);
    let inside = admit(&mut engine, &from("192.0.2.1"), at(0));
    let [first, second] = [wait(&mut engine, 2, at(0)), wait(&mut engine, 3, at(0))];
    engine.release(inside, at(1));
    engine.cancel(first, at(1));
    engine.cancel(first, at(1));
    let Some(Grant { ticket, decision: Decision::Admit(permit) }) = engine.poll_grant(at(1)) else {
        panic!("the place is lost");
    };
    assert_eq!(ticket, second);
    engine.release(permit, at(1));
    assert_eq!((engine.snapshot(at(1)).connections, engine.snapshot(at(1)).waiting), (0, 0));
}

#[test]
fn the_waiting_room_is_bounded_in_all_and_for_one_address() {
    let mut engine = with_waiting_room(1, 16);
    admit(&mut engine, &from("192.0.2.1"), at(0));
    wait(&mut engine, 2, at(0));
    wait(&mut engine, 2, at(0));
    assert_eq!(refuse(&mut engine, &from("192.0.2.2"), at(0)).cause, Cause::ServerFull, "an eighth each");
    for host in 3..17 {
        wait(&mut engine, host, at(0));
    }
    refuse(&mut engine, &from("192.0.2.99"), at(0));
    assert_eq!(engine.snapshot(at(0)).waiting, 16);
    engine.drain(at(9), None, at(0));
    refuse(&mut engine, &from("192.0.2.98"), at(0));
    assert_eq!((0..20).filter_map(|_| engine.poll_grant(at(0))).count(), 16);
}

#[test]
fn only_what_may_let_in_a_waiter_looks_at_the_waiting_room() {
    let mut engine = with_waiting_room(1, 16);
    let inside = admit(&mut engine, &from("192.0.2.1"), at(0));
    let address = ip("192.0.2.1");
    let others = [
        Question::Transfer { address },
        Question::Handshake { address },
        Question::PassivePort { address, range: 0, ports: 1, leased: 0 },
        anonymous(None),
    ]
    .map(|question| admit(&mut engine, &question, at(0)));
    let ticket = wait(&mut engine, 2, at(0));
    assert!(!engine.has_answers());
    // Its time is over: who looks at the room says so.
    for permit in others {
        engine.release(permit, at(5));
        assert!(!engine.has_answers(), "{permit:?}");
    }
    engine.release(inside, at(5));
    assert!(engine.has_answers());
    let Some(Grant { ticket: granted, decision: Decision::Admit(_) }) = engine.poll_grant(at(5)) else {
        panic!("nobody got the place")
    };
    assert_eq!((granted, engine.has_answers(), engine.poll_grant(at(5))), (ticket, false, None));
    // An answer that is taken back with its ticket is none.
    let ticket = wait(&mut engine, 3, at(6));
    engine.drain(at(60), None, at(6));
    assert!(engine.has_answers());
    engine.cancel(ticket, at(6));
    assert!(!engine.has_answers());
}

#[test]
fn who_waits_in_vain_is_told_at_once() {
    let mut engine = with_waiting_room(1, 16);
    admit(&mut engine, &from("192.0.2.1"), at(0));
    let [first, second] = [wait(&mut engine, 2, at(0)), wait(&mut engine, 3, at(0))];
    engine.ban(ip("192.0.2.2"), Duration::from_secs(90), at(1)).unwrap();
    assert!(engine.has_answers());
    let refusal = Refusal::uncounted(Cause::Banned, 90);
    assert_eq!(engine.poll_grant(at(1)), Some(Grant { ticket: first, decision: Decision::Refuse(refusal) }));
    assert_eq!((engine.has_answers(), engine.poll_grant(at(1))), (false, None));
    let limits = Limits { deny: nets(&["192.0.2.3/32"]), ..Limits::clone(engine.limits()) };
    engine.relimit(limits, at(2));
    assert!(engine.has_answers());
    assert_eq!(engine.poll_grant(at(2)), Some(Grant { ticket: second, decision: Decision::Deny }));
}

#[test]
fn whom_only_a_rate_keeps_out_is_let_in_when_its_time_comes() {
    let waiting_room = WaitingRoom { hold: Duration::from_secs(30), places: 16 };
    let connection_rate_per_address = Rate::new(1, Duration::from_secs(10));
    let limits = Limits { connection_rate_per_address, waiting_room, ..Limits::new(2) };
    let mut engine = Engine::new(limits, 1);
    let inside = ["192.0.2.1", "192.0.2.2"].map(|host| admit(&mut engine, &from(host), at(0)));
    // Two behind one router, and one token: nobody has spent it while both wait for a place.
    let [_, second] = [(); 2].map(|()| match engine.ask(&from("192.0.2.9"), at(1)) {
        Decision::Wait(ticket, _) => ticket,
        other => panic!("does not wait: {other:?}"),
    });
    assert!(!engine.has_news());
    for permit in inside {
        engine.release(permit, at(2));
    }
    let Some(Grant { decision: Decision::Admit(first), .. }) = engine.poll_grant(at(2)) else {
        panic!("nobody got the place");
    };
    assert_eq!(engine.poll_grant(at(2)), None, "its token is spent");
    assert!(engine.has_news() && !engine.has_answers(), "the door has to look at the time anew");
    assert_eq!(engine.next_deadline(at(2)), Some(at(12)));
    assert_eq!(engine.poll_grant(at(11)), None);
    let Some(Grant { ticket, decision: Decision::Admit(permit) }) = engine.poll_grant(at(12)) else {
        panic!("it waits before a free place");
    };
    assert_eq!(ticket, second);
    assert!(!engine.has_news());
    engine.release(first, at(13));
    engine.release(permit, at(13));
    assert_eq!(engine.snapshot(at(13)).connections, 0);
}

#[test]
fn a_moment_that_has_come_is_not_asked_about_again_and_again() {
    let waiting_room = WaitingRoom { hold: Duration::from_secs(30), places: 16 };
    let connection_rate_per_address = Rate::new(1, Duration::from_secs(10));
    let limits = Limits { connection_rate_per_address, waiting_room, ..Limits::new(2) };
    let mut engine = Engine::new(limits, 1);
    let inside = ["192.0.2.1", "192.0.2.2"].map(|host| admit(&mut engine, &from(host), at(0)));
    for _ in 0..2 {
        assert!(matches!(engine.ask(&from("192.0.2.9"), at(1)), Decision::Wait(..)));
    }
    for permit in inside {
        engine.release(permit, at(2));
    }
    assert!(engine.poll_grant(at(2)).is_some());
    // The place it would have had at 12 s is taken by another address before.
    admit(&mut engine, &from("192.0.2.3"), at(5));
    assert_eq!(engine.next_deadline(at(5)), Some(at(12)));
    assert_eq!(engine.poll_grant(at(12)), None);
    assert_eq!(engine.next_deadline(at(12)), Some(at(31)), "and then at the end of its wait only");
    assert!(!engine.has_news());
}
