use alloc::format;
use core::num::NonZeroU32;

use tidegate_types::AccountName;

use super::*;
use crate::{
    BanPolicy, Explanation, Grant, ListenerLimits, LoginFailures, Networks, Outcome, Override,
    RETRY_SECS_MAX, Rate, Reserved, Shadow, TicketId, WaitingRoom,
};

mod banned;
mod told;
mod waiting;

fn at(secs: u64) -> Moment {
    Moment::from_start(Duration::from_secs(secs))
}

fn engine(connections: u32, per_address: Option<u32>) -> Engine {
    Engine::new(Limits { connections_per_address: per_address, ..Limits::new(connections) }, 42)
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn nets(networks: &[&str]) -> Networks {
    networks.iter().map(|text| text.parse().unwrap()).collect()
}

fn from(address: &str) -> Question {
    Question::connection(ip(address), 0)
}

fn alice(limit: Option<u32>) -> Question {
    Question::login(AccountKey::Named(AccountName(String::from("alice"))), limit, ip("192.0.2.1"))
}

fn anonymous(limit: Option<u32>) -> Question {
    Question::login(AccountKey::Anonymous, limit, ip("192.0.2.1"))
}

#[track_caller]
fn admit(engine: &mut Engine, question: &Question, now: Moment) -> PermitId {
    match engine.ask(question, now) {
        Decision::Admit(permit) => permit,
        other => panic!("not admitted: {other:?}"),
    }
}

#[track_caller]
fn refuse(engine: &mut Engine, question: &Question, now: Moment) -> Refusal {
    match engine.ask(question, now) {
        Decision::Refuse(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn exhausted(engine: &mut Engine, host: &str, now: Moment) -> Refusal {
    match engine.exhausted(&from(host), now) {
        Decision::Refuse(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
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
    let snapshot = engine.snapshot(at(0));
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
    assert_eq!(exhausted(&mut engine, "192.0.2.1", at(0)).cause, Cause::Overloaded);
    engine.drain(at(60), None, at(0));
    assert_eq!(refuse(&mut engine, &from("192.0.2.1"), at(0)).cause, Cause::Draining);
    assert_eq!(refuse(&mut engine, &alice(Some(0)), at(0)).cause, Cause::Draining);
    assert_eq!(exhausted(&mut engine, "192.0.2.1", at(0)).cause, Cause::Draining);

    let counters = engine.snapshot(at(0)).counters;
    assert_eq!(counters.refused.total(), 6);
    let rows: Vec<_> = counters.refused.iter().filter(|(_, count)| *count > 0).collect();
    let one = |cause| (cause, 1);
    assert_eq!(
        rows,
        [(Cause::Draining, 3), one(Cause::Overloaded), one(Cause::AddressFull), one(Cause::ServerFull)]
    );
    assert_eq!((counters.connections_admitted, counters.logins_admitted), (2, 0));
    assert_eq!(counters.refused_for(Cause::Draining), 3);
    assert_eq!(counters.refused_for(Cause::Idle), 0);
}

#[test]
fn a_drain_tells_its_end_exactly() {
    let mut engine = engine(2, None);
    let question = from("192.0.2.1");
    engine.drain(at(90), None, at(30));
    for (millis, secs) in
        [(30_000, 60), (30_001, 60), (31_000, 59), (88_999, 2), (89_500, 1), (90_000, 1), (500_000, 1)]
    {
        let now = Moment::from_start(Duration::from_millis(millis));
        let refusal = refuse(&mut engine, &question, now);
        let expected = Refusal::uncounted(Cause::Draining, secs);
        assert_eq!(refusal, expected, "{millis}");
        assert_eq!(engine.explain(&question, now).refusal, Some(expected), "{millis}");
    }
    engine.drain(at(700), None, at(600));
    assert_eq!(engine.snapshot(at(0)).drain, Some(Drain { since: at(30), until: at(700) }));
    engine.resume();
    assert_eq!(engine.snapshot(at(0)).drain, None);
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
    let snapshot = engine.snapshot(at(0));
    assert_eq!((snapshot.logins, snapshot.accounts, snapshot.anonymous, snapshot.connections), (3, 2, 1, 1));
    engine.release(guest, at(1));
    engine.release(first, at(1));
    let snapshot = engine.snapshot(at(0));
    assert_eq!((snapshot.logins, snapshot.accounts, snapshot.anonymous), (1, 1, 0));
    admit(&mut engine, &alice(Some(2)), at(1));
}

#[test]
fn a_limit_of_zero_refuses_and_makes_no_pool() {
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
            let explained = engine.explain(&question, at(0)).refusal.unwrap();
            assert!(explained.retry_after_secs <= refusal.retry_after_secs, "no earlier than that");
        }
        let other = engine.explain(&from("192.0.2.2"), at(0)).refusal.unwrap();
        assert_eq!(other.retry_after_secs, 100, "who was told nothing yet");
    }
    engine.relimit(Limits { connections_per_address: Some(0), ..Limits::new(9) }, at(0));
    assert_eq!(refuse(&mut engine, &from("192.0.2.1"), at(0)).cause, Cause::AddressFull);
    assert!(engine.addresses.is_empty() && engine.accounts.is_empty());
}

#[test]
fn a_smaller_limit_only_lets_the_number_fall() {
    let mut engine = engine(4, None);
    let permits: Vec<PermitId> =
        (1..=4).map(|host| admit(&mut engine, &from(&format!("192.0.2.{host}")), at(0))).collect();
    engine.relimit(Limits::new(2), at(1));
    let snapshot = engine.snapshot(at(0));
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
    engine.relimit(Limits::new(3), at(4));
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
    assert_eq!(engine.snapshot(at(0)).counters.stale_releases, 2);
    assert_eq!(
        refuse(&mut engine, &from("192.0.2.3"), at(2)).cause,
        Cause::ServerFull,
        "the new one is still inside"
    );
    engine.release(new, at(3));
    assert_eq!((engine.snapshot(at(0)).connections, engine.snapshot(at(0)).addresses), (0, 0));
}

#[test]
fn explain_lists_every_rule_and_changes_nothing() {
    let mut engine = engine(1, Some(3));
    let permit = admit(&mut engine, &from("192.0.2.1"), at(0));
    refuse(&mut engine, &from("192.0.2.2"), at(1));
    let before = state(&engine);
    let explanation = engine.explain(&from("192.0.2.1"), at(2));
    let rows: Vec<_> = explanation
        .checks
        .iter()
        .map(|check| (check.rule, check.in_use, check.limit, check.refuses))
        .collect();
    assert_eq!(
        rows,
        [
            (Rule::Denied, 0, None, false),
            (Rule::Banned, 0, None, false),
            (Rule::Draining, 0, None, false),
            (Rule::Overloaded, 0, None, false),
            (Rule::RateOfAddress, 0, None, false),
            (Rule::RateOfListener, 0, None, false),
            (Rule::Address, 1, Some(3), false),
            (Rule::Unauthenticated, 1, None, false),
            (Rule::Listener, 1, None, false),
            (Rule::Server, 1, Some(1), true),
        ]
    );
    assert_eq!((explanation.outcome, explanation.cause), (Outcome::Refuse, Some(Cause::ServerFull)));
    let frees = explanation.checks.last().unwrap().frees_after_secs;
    assert_eq!(frees, explanation.refusal.map(|refusal| refusal.retry_after_secs));
    assert!(frees.is_some() && explanation.checks[0].frees_after_secs.is_none());
    let Explanation { outcome, refusal, checks, .. } = engine.explain(&alice(None), at(2));
    let rules: Vec<Rule> = checks.iter().map(|check| check.rule).collect();
    assert_eq!(
        (outcome, refusal, rules),
        (Outcome::Admit, None, alloc::vec![Rule::Banned, Rule::Draining, Rule::Name, Rule::Account])
    );
    assert_eq!(state(&engine), before);
    assert_eq!(engine.holdings_of(ip("::ffff:192.0.2.1")).connections, 1);
    engine.release(permit, at(3));
    assert_eq!(engine.explain(&from("192.0.2.1"), at(3)).refusal, None);
}

#[test]
fn the_denied_are_told_so_or_closed_silently() {
    let limits = Limits { deny: nets(&["203.0.113.0/24"]), ..Limits::new(9) };
    let mut engine = Engine::new(limits.clone(), 1);
    let visitor = from("::ffff:203.0.113.9");
    let why = engine.explain(&visitor, at(0));
    assert_eq!((why.outcome, why.cause, why.refusal), (Outcome::Deny, Some(Cause::Denied), None));
    assert_eq!(engine.ask(&visitor, at(0)), Decision::Deny);
    admit(&mut engine, &from("192.0.2.1"), at(0));
    engine.relimit(Limits { deny_silent: true, ..limits.clone() }, at(0));
    assert_eq!(engine.explain(&visitor, at(0)).outcome, Outcome::Drop);
    assert_eq!(engine.ask(&visitor, at(0)), Decision::Drop(Cause::Denied));
    engine.relimit(Limits { allow: nets(&["192.0.2.1/32"]), ..Limits::new(9) }, at(0));
    assert_eq!(engine.ask(&from("192.0.2.2"), at(0)), Decision::Deny, "whom the allow list leaves out");
    admit(&mut engine, &from("192.0.2.1"), at(0));
    assert_eq!(engine.snapshot(at(0)).counters.refused_for(Cause::Denied), 3);
}

fn failing() -> Limits {
    let count = NonZeroU32::new(3).unwrap();
    let login_failures = Some(LoginFailures { count, period: Duration::from_mins(5) });
    Limits { login_failures, ..Limits::new(99) }
}

#[test]
fn a_rate_is_exact_and_refusals_spend_nothing() {
    let rate = Rate::new(2, Duration::from_secs(10));
    let mut engine = Engine::new(Limits { connection_rate_per_address: rate, ..Limits::new(99) }, 1);
    let visitor = from("192.0.2.1");
    admit(&mut engine, &visitor, at(0));
    admit(&mut engine, &visitor, at(0));
    for (secs, retry) in [(0, 5), (1, 4), (1, 4), (4, 1)] {
        let refusal = refuse(&mut engine, &visitor, at(secs));
        assert_eq!((refusal.cause, refusal.in_use, refusal.limit), (Cause::Rate, 2, 2));
        assert_eq!(refusal.retry_after_secs, retry, "at {secs}");
        assert_eq!(engine.explain(&visitor, at(secs)).refusal, Some(refusal));
    }
    admit(&mut engine, &from("192.0.2.2"), at(4));
    admit(&mut engine, &visitor, at(5));
    assert_eq!(refuse(&mut engine, &visitor, at(5)).retry_after_secs, 5);
    engine.tidy(at(16));
    assert_eq!(engine.kept(), 0, "whole buckets are forgotten");
}

#[test]
fn listeners_have_limits_and_rates_of_their_own() {
    let first = ListenerLimits { connections: Some(1), connection_rate: None };
    let second = ListenerLimits { connections: None, connection_rate: Rate::new(1, Duration::from_secs(7)) };
    let mut engine = Engine::new(Limits { listeners: alloc::vec![first, second], ..Limits::new(99) }, 1);
    let to = |listener, host: &str| Question::connection(ip(host), listener);
    admit(&mut engine, &to(0, "192.0.2.1"), at(0));
    let full = refuse(&mut engine, &to(0, "192.0.2.2"), at(1));
    assert_eq!((full.cause, full.in_use, full.limit), (Cause::ListenerFull, 1, 1));
    admit(&mut engine, &to(1, "192.0.2.2"), at(1));
    let fast = refuse(&mut engine, &to(1, "192.0.2.3"), at(2));
    assert_eq!((fast.cause, fast.retry_after_secs), (Cause::Rate, 6));
    admit(&mut engine, &to(7, "192.0.2.3"), at(2));
    let listeners = engine.snapshot(at(10)).listeners;
    assert_eq!(listeners.iter().map(|each| each.in_use).collect::<Vec<_>>(), [1, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!((listeners[0].full, listeners[1].full), (Duration::from_secs(10), Duration::ZERO));
}

#[test]
fn who_has_not_logged_in_has_a_pool_of_its_own() {
    let mut engine = Engine::new(Limits { connections_unauthenticated: Some(2), ..Limits::new(99) }, 1);
    let first = admit(&mut engine, &from("192.0.2.1"), at(0));
    admit(&mut engine, &from("192.0.2.2"), at(0));
    let full = refuse(&mut engine, &from("192.0.2.3"), at(0));
    assert_eq!((full.cause, full.in_use, full.limit), (Cause::UnauthenticatedFull, 2, 2));
    assert!((30..=33).contains(&full.retry_after_secs), "the login timeout: {full:?}");
    engine.authenticated(first, at(1));
    engine.authenticated(first, at(1));
    assert_eq!(engine.snapshot(at(1)).unauthenticated.in_use, 1);
    let third = admit(&mut engine, &from("192.0.2.3"), at(1));
    let refusal = engine.unauthenticated(first, at(2)).unwrap_err();
    assert_eq!(refusal.cause, Cause::UnauthenticatedFull, "REIN finds the pool full");
    engine.release(third, at(3));
    assert!(engine.unauthenticated(first, at(3)).is_ok() && engine.unauthenticated(first, at(3)).is_ok());
    let snapshot = engine.snapshot(at(3));
    assert_eq!((snapshot.unauthenticated.in_use, snapshot.connections), (2, 2));
    assert_eq!(snapshot.unauthenticated.full, Duration::from_secs(3));
    engine.release(first, at(4));
    assert!(engine.unauthenticated(first, at(4)).is_ok(), "a stale permit is no permit");
    assert_eq!(engine.snapshot(at(4)).unauthenticated.in_use, 1);
}

#[test]
fn the_reserve_is_kept_for_its_networks() {
    let reserved = Reserved { connections: 2, from: nets(&["10.0.0.0/8"]) };
    let limits = Limits { reserved, connections_unauthenticated: Some(3), ..Limits::new(5) };
    let mut engine = Engine::new(limits, 1);
    for host in 1..=3 {
        admit(&mut engine, &from(&format!("192.0.2.{host}")), at(0));
    }
    let full = refuse(&mut engine, &from("192.0.2.4"), at(0));
    assert_eq!(full.cause, Cause::UnauthenticatedFull);
    engine.relimit(Limits { connections_unauthenticated: None, ..(*engine.limits).clone() }, at(0));
    let full = refuse(&mut engine, &from("192.0.2.4"), at(0));
    assert_eq!((full.cause, full.in_use, full.limit), (Cause::ServerFull, 3, 3));
    let inside: Vec<PermitId> =
        (1..=2).map(|host| admit(&mut engine, &from(&format!("10.0.0.{host}")), at(0))).collect();
    assert_eq!(refuse(&mut engine, &from("10.0.0.3"), at(0)).cause, Cause::ServerFull);
    engine.release(inside[0], at(1));
    assert_eq!(refuse(&mut engine, &from("192.0.2.4"), at(1)).cause, Cause::ServerFull, "never lent");
    let snapshot = engine.snapshot(at(1));
    assert_eq!((snapshot.connections, snapshot.reserved, snapshot.server.in_use), (4, 1, 3));
    for _ in 0..3 {
        engine.observe(Signal::Descriptors { free: 0, limit: 10 }, at(2));
    }
    assert_eq!(refuse(&mut engine, &from("192.0.2.4"), at(2)).cause, Cause::Overloaded);
    admit(&mut engine, &from("10.0.0.4"), at(2));
    assert_eq!(
        refuse(&mut engine, &from("10.0.0.5"), at(2)).cause,
        Cause::Overloaded,
        "the reserve is used up"
    );
}

#[test]
fn networks_have_limits_of_their_own() {
    let office =
        Override { connections_per_address: Some(3), transfers_per_address: Some(2), ..Override::default() };
    let desk = Override { connections_per_address: Some(1), ..Override::default() };
    let overrides = [("203.0.113.0/24", office), ("203.0.113.7/32", desk)];
    let overrides = overrides.into_iter().map(|(net, limits)| (net.parse().unwrap(), limits)).collect();
    let limits = Limits {
        connections_per_address: Some(2),
        transfers_per_address: Some(1),
        overrides,
        ..Limits::new(99)
    };
    let mut engine = Engine::new(limits, 1);
    for (host, connections, transfers) in [("192.0.2.1", 2, 1), ("203.0.113.1", 3, 2), ("203.0.113.7", 1, 1)]
    {
        for _ in 0..connections {
            admit(&mut engine, &from(host), at(0));
        }
        let full = refuse(&mut engine, &from(host), at(0));
        assert_eq!((full.cause, full.limit), (Cause::AddressFull, connections));
        let transfer = Question::Transfer { address: ip(host) };
        for _ in 0..transfers {
            admit(&mut engine, &transfer, at(0));
        }
        let full = refuse(&mut engine, &transfer, at(0));
        assert_eq!((full.cause, full.in_use, full.limit), (Cause::TransfersFull, transfers, transfers));
        assert_eq!(engine.holdings_of(ip(host)).transfers, transfers);
    }
}

#[test]
fn handshakes_transfers_and_ports_are_counted() {
    let limits = Limits { handshakes: 1, transfers: Some(1), ..Limits::new(9) };
    let mut engine = Engine::new(limits, 1);
    let address = ip("192.0.2.1");
    let handshake = admit(&mut engine, &Question::Handshake { address }, at(0));
    let full = refuse(&mut engine, &Question::Handshake { address }, at(0));
    assert_eq!((full.cause, full.retry_after_secs), (Cause::HandshakesFull, 1));
    let transfer = admit(&mut engine, &Question::Transfer { address }, at(0));
    let full = refuse(&mut engine, &Question::Transfer { address: ip("192.0.2.2") }, at(0));
    assert_eq!((full.cause, full.in_use, full.limit), (Cause::TransfersFull, 1, 1));
    let lease = |leased| Question::PassivePort { address, range: 0, ports: 2, leased };
    let port = admit(&mut engine, &lease(1), at(0));
    let none = refuse(&mut engine, &lease(2), at(0));
    assert_eq!((none.cause, none.in_use, none.limit), (Cause::DataPorts, 2, 2));
    let snapshot = engine.snapshot(at(0));
    assert_eq!((snapshot.handshakes.in_use, snapshot.transfers.in_use, snapshot.ports), (1, 1, 1));
    engine.drain(at(60), None, at(1));
    assert_eq!(refuse(&mut engine, &Question::Handshake { address }, at(1)).cause, Cause::Draining);
    admit(&mut engine, &lease(1), at(1));
    for permit in [handshake, transfer, port] {
        engine.release(permit, at(1));
    }
    admit(&mut engine, &Question::Transfer { address }, at(1));
    assert_eq!(engine.snapshot(at(1)).handshakes.in_use, 0);
}

#[test]
fn overload_is_named_and_ends() {
    let mut engine = engine(9, None);
    let visitor = from("192.0.2.1");
    engine.observe(Signal::Memory { used: 70, limit: 100 }, at(0));
    assert_eq!((engine.level(at(0)), engine.timeout_factor(at(0))), (Level::Busy, 0.5));
    admit(&mut engine, &visitor, at(0));
    engine.observe(Signal::Memory { used: 90, limit: 100 }, at(1));
    let refusal = refuse(&mut engine, &visitor, at(1));
    assert_eq!((refusal.cause, refusal.signal), (Cause::Overloaded, Some(SignalKind::Memory)));
    assert_eq!(engine.signal(at(1)), Some(SignalKind::Memory));
    admit(&mut engine, &alice(None), at(1));
    engine.observe(Signal::Memory { used: 10, limit: 100 }, at(7));
    admit(&mut engine, &visitor, at(7));
    let snapshot = engine.snapshot(at(9));
    assert_eq!((snapshot.level, snapshot.overloaded), (Level::Calm, Duration::from_secs(6)));
    assert_eq!(engine.next_deadline(at(9)), None);
}

#[test]
fn shadow_limits_count_and_refuse_nothing() {
    let shadow = Shadow {
        connections: Some(3),
        connections_per_address: Some(1),
        connection_rate_per_address: Rate::new(2, Duration::from_secs(10)),
        transfers: Some(0),
        handshakes: Some(0),
        ..Shadow::default()
    };
    let mut engine = Engine::new(Limits { shadow, ..Limits::new(5) }, 1);
    for _ in 0..5 {
        admit(&mut engine, &from("192.0.2.1"), at(0));
    }
    refuse(&mut engine, &from("192.0.2.1"), at(0));
    admit(&mut engine, &Question::Transfer { address: ip("192.0.2.1") }, at(0));
    admit(&mut engine, &Question::Handshake { address: ip("192.0.2.1") }, at(0));
    let counters = engine.snapshot(at(0)).counters;
    let shadowed: Vec<_> = counters.shadowed.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(
        shadowed,
        [
            (Cause::Rate, 3),
            (Cause::AddressFull, 4),
            (Cause::ServerFull, 2),
            (Cause::HandshakesFull, 1),
            (Cause::TransfersFull, 1)
        ]
    );
    assert_eq!(counters.refused.total(), 1);
}

#[test]
fn a_shadow_limit_of_the_server_counts_what_that_limit_would_refuse() {
    let reserved = Reserved { connections: 2, from: nets(&["10.0.0.0/8"]) };
    let shadow = Shadow { connections: Some(4), ..Shadow::default() };
    let mut tried = Engine::new(Limits { shadow, reserved: reserved.clone(), ..Limits::new(99) }, 1);
    let mut real = Engine::new(Limits { reserved, ..Limits::new(4) }, 1);
    let mut refused = 0;
    for address in ["10.0.0.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "10.0.0.2", "10.0.0.3", "192.0.2.4"] {
        let inside = admit(&mut tried, &from(address), at(0));
        if !matches!(real.ask(&from(address), at(0)), Decision::Admit(_)) {
            refused += 1;
            tried.release(inside, at(0));
        }
        assert_eq!(tried.snapshot(at(0)).counters.shadowed.of(Cause::ServerFull), refused, "{address}");
    }
    assert_eq!(refused, 3);
}

fn reclaiming(reclaim: Reclaim) -> Engine {
    Engine::new(Limits { reclaim, connections_per_address: Some(2), ..Limits::new(9) }, 1)
}

#[test]
fn the_dead_and_the_idle_make_room_for_their_own_address() {
    let mut engine = reclaiming(Reclaim::Idle);
    let visitor = from("192.0.2.1");
    let first = admit(&mut engine, &visitor, at(0));
    let second = admit(&mut engine, &visitor, at(0));
    refuse(&mut engine, &visitor, at(9));
    engine.touched(first, at(5));
    assert_eq!(engine.explain(&visitor, at(10)).outcome, Outcome::Reclaim(second));
    assert_eq!(engine.ask(&visitor, at(10)), Decision::Reclaim(second), "idle for longest");
    refuse(&mut engine, &visitor, at(10));
    engine.release(second, at(11));
    let third = admit(&mut engine, &visitor, at(11));
    engine.note_dead(third);
    assert_eq!(engine.ask(&visitor, at(11)), Decision::Reclaim(third), "dead before idle");
    engine.busy(first);
    refuse(&mut engine, &visitor, at(1_000));
    engine.touched(first, at(1_000));
    refuse(&mut engine, &visitor, at(1_009));
    assert_eq!(engine.ask(&visitor, at(1_010)), Decision::Reclaim(first));
    assert_eq!(engine.snapshot(at(1_010)).counters.reclaimed, 3);
}

#[test]
fn only_the_dead_are_reclaimed_if_so_wanted_and_accounts_reclaim_logins() {
    let mut engine = reclaiming(Reclaim::Dead);
    let inside = admit(&mut engine, &alice(Some(1)), at(0));
    refuse(&mut engine, &alice(Some(1)), at(1_000));
    engine.note_dead(inside);
    assert_eq!(engine.ask(&alice(Some(1)), at(1_000)), Decision::Reclaim(inside));
    let mut off = reclaiming(Reclaim::Off);
    let inside = admit(&mut off, &alice(Some(1)), at(0));
    off.note_dead(inside);
    refuse(&mut off, &alice(Some(1)), at(1_000));
    off.release(inside, at(1_000));
    off.note_dead(inside);
    off.touched(inside, at(1_000));
    off.busy(inside);
}

#[test]
fn nobody_is_sent_away_when_the_newcomer_would_not_get_in() {
    let visitor = |listener| Question::connection(ip("192.0.2.1"), listener);
    let limits = |connections, places| Limits {
        reclaim: Reclaim::Idle,
        connections_per_address: Some(1),
        connections_unauthenticated: Some(1),
        listeners: [None, places]
            .map(|connections| ListenerLimits { connections, connection_rate: None })
            .into(),
        ..Limits::new(connections)
    };
    // A full listener, to which the idle session did not come.
    let mut engine = Engine::new(limits(9, Some(0)), 1);
    let idle = admit(&mut engine, &visitor(0), at(0));
    refuse(&mut engine, &visitor(1), at(60));
    assert_eq!(engine.ask(&visitor(0), at(60)), Decision::Reclaim(idle));
    // Somebody else has not logged in; the idle session has.
    let mut engine = Engine::new(limits(9, None), 1);
    let idle = admit(&mut engine, &visitor(0), at(0));
    engine.authenticated(idle, at(0));
    let other = admit(&mut engine, &from("192.0.2.2"), at(0));
    refuse(&mut engine, &visitor(0), at(60));
    engine.authenticated(other, at(60));
    assert_eq!(engine.ask(&visitor(0), at(60)), Decision::Reclaim(idle));
    // A full server: the place of the idle session is the newcomer's.
    let mut engine = Engine::new(limits(1, None), 1);
    let idle = admit(&mut engine, &visitor(0), at(0));
    assert_eq!(engine.ask(&visitor(1), at(60)), Decision::Reclaim(idle));
    // A limit that was made smaller: one place less does not make one free.
    let mut engine = Engine::new(Limits { reclaim: Reclaim::Idle, ..Limits::new(9) }, 1);
    let inside = [admit(&mut engine, &visitor(0), at(0)), admit(&mut engine, &visitor(0), at(0))];
    for limit in [0, 1] {
        engine.relimit(
            Limits { reclaim: Reclaim::Idle, connections_per_address: Some(limit), ..Limits::new(9) },
            at(60),
        );
        refuse(&mut engine, &visitor(0), at(60));
    }
    engine.release(inside[0], at(60));
    assert_eq!(engine.ask(&visitor(0), at(60)), Decision::Reclaim(inside[1]));
}

#[test]
fn a_place_that_somebody_waits_for_is_not_the_newcomers() {
    let mut engine = with_waiting_room(2, 16);
    engine.relimit(
        Limits {
            reclaim: Reclaim::Idle,
            connections_per_address: Some(1),
            ..Limits::clone(&engine.snapshot(at(0)).limits)
        },
        at(0),
    );
    let idle = admit(&mut engine, &from("192.0.2.1"), at(0));
    admit(&mut engine, &from("192.0.2.2"), at(0));
    let ticket = wait(&mut engine, 3, at(60));
    refuse(&mut engine, &from("192.0.2.1"), at(60));
    engine.cancel(ticket, at(61));
    assert_eq!(engine.ask(&from("192.0.2.1"), at(61)), Decision::Reclaim(idle));
}

fn with_waiting_room(connections: u32, places: u32) -> Engine {
    let waiting_room = WaitingRoom { hold: Duration::from_secs(3), places };
    Engine::new(Limits { waiting_room, connections_per_address: Some(8), ..Limits::new(connections) }, 1)
}

#[track_caller]
fn wait(engine: &mut Engine, host: u8, now: Moment) -> TicketId {
    match engine.ask(&from(&format!("192.0.2.{host}")), now) {
        Decision::Wait(ticket, until) if until == now + Duration::from_secs(3) => ticket,
        other => panic!("does not wait: {other:?}"),
    }
}

#[test]
fn readiness_and_weight_follow_the_listeners() {
    let limits = |listeners: [Option<u32>; 2]| Limits {
        listeners: listeners.map(|connections| ListenerLimits { connections, connection_rate: None }).into(),
        ..Limits::new(10)
    };
    let told = |engine: &Engine| {
        let snapshot = engine.snapshot(at(0));
        (snapshot.is_admitting(), snapshot.free_permille())
    };
    let mut engine = Engine::new(limits([Some(1), Some(4)]), 1);
    assert_eq!(told(&engine), (true, 1_000));
    admit(&mut engine, &Question::connection(ip("192.0.2.1"), 0), at(0));
    assert_eq!(told(&engine), (true, 900), "the other listener is empty");
    for _ in 0..3 {
        admit(&mut engine, &Question::connection(ip("192.0.2.2"), 1), at(0));
    }
    assert_eq!(told(&engine), (true, 250));
    let last = admit(&mut engine, &Question::connection(ip("192.0.2.2"), 1), at(0));
    assert_eq!(told(&engine), (false, 0), "half of the server is free, and no listener has a place");
    engine.relimit(limits([Some(1), None]), at(0));
    assert_eq!(told(&engine), (true, 500));
    engine.relimit(limits([Some(0), Some(0)]), at(0));
    assert_eq!(told(&engine), (false, 0));
    engine.release(last, at(0));
    engine.relimit(Limits::new(4), at(0));
    assert_eq!(told(&engine), (false, 0), "the server is full");
    let thirds = crate::Occupancy { in_use: 2_999, limit: Some(3_000), full: Duration::ZERO };
    assert_eq!((thirds.free_permille(), thirds.has_room()), (1, true), "0 only when nothing is free");
}

#[test]
fn readiness_follows_drain_overload_and_room() {
    let mut engine = engine(1, None);
    assert!(engine.snapshot(at(0)).is_admitting());
    let inside = admit(&mut engine, &from("192.0.2.1"), at(0));
    assert!(!engine.snapshot(at(0)).is_admitting());
    engine.release(inside, at(0));
    engine.observe(Signal::Descriptors { free: 0, limit: 9 }, at(0));
    assert!(!engine.snapshot(at(0)).is_admitting());
    assert!(engine.snapshot(at(15)).is_admitting());
    engine.drain(at(99), None, at(15));
    assert!(!engine.snapshot(at(15)).is_admitting());
}

#[test]
fn permits_and_groups_have_the_documented_size() {
    // The tables of the crate's documentation; a slot of a map adds a byte, and maps are at most ⅞ and at least 7/16 full.
    assert!(size_of::<Option<Held>>() <= 32, "{}", size_of::<Option<Held>>());
    assert!(Permits::<Held>::slot_bytes() <= 72, "{}", Permits::<Held>::slot_bytes());
    assert!(size_of::<(AddressKey, Group)>() <= 128, "{}", size_of::<(AddressKey, Group)>());
    assert!(size_of::<crate::waiting::Ticket>() <= 96, "{}", size_of::<crate::waiting::Ticket>());
}
