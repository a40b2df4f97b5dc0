use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;
use core::time::Duration;

use tidegate_types::AccountName;

use super::*;
use crate::{REFUSAL_CAUSES, RETRY_SECS_MAX};

fn at(secs: u64) -> Moment {
    Moment::from_start(Duration::from_secs(secs))
}

fn engine(connections: u32, per_address: Option<u32>) -> Engine {
    Engine::new(Limits { connections, connections_per_address: per_address }, 42)
}

fn from(address: &str) -> Question {
    Question::connection(address.parse::<IpAddr>().unwrap())
}

fn alice(limit: Option<u32>) -> Question {
    Question::login(AccountKey::Named(AccountName(String::from("alice"))), limit)
}

fn anonymous(limit: Option<u32>) -> Question {
    Question::login(AccountKey::Anonymous, limit)
}

#[track_caller]
fn admit(engine: &mut Engine, question: &Question, now: Moment) -> PermitId {
    match engine.ask(question, now) {
        Decision::Admit(permit) => permit,
        Decision::Refuse(refusal) => panic!("refused: {refusal:?}"),
    }
}

#[track_caller]
fn refuse(engine: &mut Engine, question: &Question, now: Moment) -> Refusal {
    match engine.ask(question, now) {
        Decision::Admit(_) => panic!("admitted"),
        Decision::Refuse(refusal) => refusal,
    }
}

/// Everything an engine is made of, as text.
fn state(engine: &Engine) -> String {
    format!("{engine:?}")
}

#[test]
fn a_full_address_is_told_so_and_others_enter() {
    let mut engine = engine(10, Some(2));
    let first = admit(&mut engine, &from("192.0.2.1"), at(0));
    admit(&mut engine, &from("::ffff:192.0.2.1"), at(0));
    let refusal = refuse(&mut engine, &from("192.0.2.1"), at(0));
    assert_eq!((refusal.cause, refusal.in_use, refusal.limit), (Cause::AddressFull, 2, 2));
    assert!((5..=7).contains(&refusal.retry_after_secs), "nothing measured yet: {refusal:?}");
    admit(&mut engine, &from("192.0.2.2"), at(0));
    engine.release(first, at(1));
    admit(&mut engine, &from("192.0.2.1"), at(1));
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.connections, snapshot.addresses), (3, 2));
}

#[test]
fn ipv6_counts_by_its_64() {
    let mut engine = engine(10, Some(1));
    admit(&mut engine, &from("2001:db8::1"), at(0));
    assert_eq!(refuse(&mut engine, &from("2001:db8::ffff:2"), at(0)).cause, Cause::AddressFull);
    admit(&mut engine, &from("2001:db8:0:1::1"), at(0));
}

#[test]
fn the_first_rule_that_refuses_gives_the_cause() {
    let mut engine = engine(2, Some(1));
    admit(&mut engine, &from("192.0.2.1"), at(0));
    admit(&mut engine, &from("192.0.2.2"), at(0));
    let server = refuse(&mut engine, &from("192.0.2.3"), at(0));
    assert_eq!((server.cause, server.in_use, server.limit), (Cause::ServerFull, 2, 2));
    assert_eq!(refuse(&mut engine, &from("192.0.2.1"), at(0)).cause, Cause::AddressFull, "a hog is a hog");
    assert_eq!(engine.exhausted(at(0)).cause, Cause::Overloaded);
    engine.drain(at(60), at(0));
    assert_eq!(refuse(&mut engine, &from("192.0.2.1"), at(0)).cause, Cause::Draining);
    assert_eq!(refuse(&mut engine, &alice(Some(0)), at(0)).cause, Cause::Draining);
    assert_eq!(engine.exhausted(at(0)).cause, Cause::Draining);

    let counters = engine.snapshot().counters;
    assert_eq!(counters.refused.map(|(cause, _)| cause), REFUSAL_CAUSES);
    assert_eq!(counters.refused.map(|(_, count)| count), [3, 1, 1, 1, 0, 0]);
    assert_eq!((counters.connections_admitted, counters.logins_admitted), (2, 0));
    assert_eq!(counters.refused_for(Cause::Draining), 3);
    assert_eq!(counters.refused_for(Cause::Idle), 0);
}

#[test]
fn a_drain_tells_its_end_exactly() {
    let mut engine = engine(2, None);
    let question = from("192.0.2.1");
    engine.drain(at(90), at(30));
    for (millis, secs) in
        [(30_000, 60), (30_001, 60), (31_000, 59), (88_999, 2), (89_500, 1), (90_000, 1), (500_000, 1)]
    {
        let now = Moment::from_start(Duration::from_millis(millis));
        let refusal = refuse(&mut engine, &question, now);
        let expected = Refusal { cause: Cause::Draining, in_use: 0, limit: 0, retry_after_secs: secs };
        assert_eq!(refusal, expected, "{millis}");
        assert_eq!(engine.explain(&question, now).refusal, Some(expected), "{millis}");
    }
    engine.drain(at(700), at(600));
    assert_eq!(engine.snapshot().drain, Some(Drain { since: at(30), until: at(700) }));
    engine.resume();
    assert_eq!(engine.snapshot().drain, None);
    admit(&mut engine, &question, at(601));
}

#[test]
fn accounts_are_counted_apart_from_each_other_and_from_connections() {
    let mut engine = engine(1, None);
    let first = admit(&mut engine, &alice(Some(2)), at(0));
    admit(&mut engine, &alice(None), at(0));
    let full = refuse(&mut engine, &alice(Some(2)), at(0));
    assert_eq!((full.cause, full.in_use, full.limit), (Cause::AccountFull, 2, 2));
    let guest = admit(&mut engine, &anonymous(Some(1)), at(0));
    let full = refuse(&mut engine, &anonymous(Some(1)), at(0));
    assert_eq!((full.cause, full.in_use, full.limit), (Cause::AnonymousFull, 1, 1));
    admit(&mut engine, &from("192.0.2.1"), at(0));
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.logins, snapshot.accounts, snapshot.anonymous, snapshot.connections), (3, 2, 1, 1));
    engine.release(guest, at(1));
    engine.release(first, at(1));
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.logins, snapshot.accounts, snapshot.anonymous), (1, 1, 0));
    admit(&mut engine, &alice(Some(2)), at(1));
}

#[test]
fn a_limit_of_zero_refuses_and_remembers_nothing() {
    let mut engine = engine(0, None);
    for _ in 0..50 {
        for (question, cause) in [
            (from("192.0.2.1"), Cause::ServerFull),
            (alice(Some(0)), Cause::AccountFull),
            (anonymous(Some(0)), Cause::AnonymousFull),
        ] {
            let refusal = refuse(&mut engine, &question, at(0));
            assert_eq!((refusal.cause, refusal.in_use, refusal.limit), (cause, 0, 0));
            assert!((100..=RETRY_SECS_MAX).contains(&refusal.retry_after_secs), "{refusal:?}");
            assert_eq!(engine.explain(&question, at(0)).refusal.unwrap().retry_after_secs, 100);
        }
    }
    engine.relimit(Limits { connections: 9, connections_per_address: Some(0) }, at(0));
    assert_eq!(refuse(&mut engine, &from("192.0.2.1"), at(0)).cause, Cause::AddressFull);
    assert!(engine.addresses.is_empty() && engine.accounts.is_empty());
}

#[test]
fn a_smaller_limit_only_lets_the_number_fall() {
    let mut engine = engine(4, None);
    let permits: Vec<PermitId> =
        (1..=4).map(|host| admit(&mut engine, &from(&format!("192.0.2.{host}")), at(0))).collect();
    engine.relimit(Limits { connections: 2, connections_per_address: None }, at(1));
    let snapshot = engine.snapshot();
    assert_eq!(
        (snapshot.connections, snapshot.limits.connections, snapshot.limits_changed),
        (4, 2, Some(at(1)))
    );
    let refusal = refuse(&mut engine, &from("192.0.2.9"), at(1));
    assert_eq!((refusal.in_use, refusal.limit), (4, 2));
    assert!(refusal.retry_after_secs >= 15, "three have to leave first, 5 s each: {refusal:?}");
    for permit in &permits[..2] {
        engine.release(*permit, at(2));
        assert_eq!(refuse(&mut engine, &from("192.0.2.9"), at(2)).cause, Cause::ServerFull);
    }
    engine.release(permits[2], at(3));
    admit(&mut engine, &from("192.0.2.9"), at(3));
    engine.relimit(Limits { connections: 3, connections_per_address: None }, at(4));
    admit(&mut engine, &from("192.0.2.8"), at(4));
}

#[test]
fn a_stale_release_is_counted_and_ignored() {
    let mut engine = engine(1, Some(1));
    let old = admit(&mut engine, &from("192.0.2.1"), at(0));
    engine.release(old, at(1));
    let new = admit(&mut engine, &from("192.0.2.2"), at(1));
    engine.release(old, at(2));
    engine.release(old, at(2));
    assert_eq!(engine.snapshot().counters.stale_releases, 2);
    assert_eq!(
        refuse(&mut engine, &from("192.0.2.3"), at(2)).cause,
        Cause::ServerFull,
        "the new one is still inside"
    );
    engine.release(new, at(3));
    assert_eq!((engine.snapshot().connections, engine.snapshot().addresses), (0, 0));
}

#[test]
fn exhausted_grows_and_shares_the_queue_of_the_server() {
    let mut engine = engine(1, None);
    let first = engine.exhausted(at(0));
    assert_eq!((first.cause, first.in_use, first.limit), (Cause::Overloaded, 0, 0));
    assert!((5..=7).contains(&first.retry_after_secs), "{first:?}");
    let tenth = (0..9).map(|_| engine.exhausted(at(0)).retry_after_secs).last().unwrap();
    assert!(tenth >= 50, "{tenth}");
    admit(&mut engine, &from("192.0.2.1"), at(0));
    assert!(refuse(&mut engine, &from("192.0.2.2"), at(0)).retry_after_secs >= 55);
}

#[test]
fn explain_lists_every_rule_and_changes_nothing() {
    let mut engine = engine(1, Some(3));
    let permit = admit(&mut engine, &from("192.0.2.1"), at(0));
    refuse(&mut engine, &from("192.0.2.2"), at(1));
    let before = state(&engine);
    let explanation = engine.explain(&from("192.0.2.1"), at(2));
    assert_eq!(
        explanation.checks,
        [
            Check { cause: Cause::Draining, in_use: 0, limit: None, refuses: false },
            Check { cause: Cause::AddressFull, in_use: 1, limit: Some(3), refuses: false },
            Check { cause: Cause::ServerFull, in_use: 1, limit: Some(1), refuses: true },
        ]
    );
    assert_eq!(explanation.refusal.unwrap().cause, Cause::ServerFull);
    assert_eq!(
        engine.explain(&alice(None), at(2)),
        Explanation {
            refusal: None,
            checks: alloc::vec![
                Check { cause: Cause::Draining, in_use: 0, limit: None, refuses: false },
                Check { cause: Cause::AccountFull, in_use: 0, limit: None, refuses: false },
            ]
        }
    );
    assert_eq!(state(&engine), before);
    engine.release(permit, at(3));
    assert_eq!(engine.explain(&from("192.0.2.1"), at(3)).refusal, None);
}

#[test]
fn snapshot_of_an_empty_house() {
    let snapshot = engine(7, Some(3)).snapshot();
    assert_eq!(snapshot.limits, Limits { connections: 7, connections_per_address: Some(3) });
    assert_eq!((snapshot.limits_changed, snapshot.drain), (None, None));
    assert_eq!((snapshot.connections, snapshot.addresses, snapshot.logins), (0, 0, 0));
    assert_eq!((snapshot.accounts, snapshot.anonymous, snapshot.counters.stale_releases), (0, 0, 0));
    assert_eq!("[draining, overloaded, address-full, server-full, account-full, anonymous-full]", {
        let words: Vec<&str> = snapshot.counters.refused.iter().map(|(cause, _)| cause.as_str()).collect();
        format!("[{}]", words.join(", ")).to_string()
    });
}
