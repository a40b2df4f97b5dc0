//! What refused clients are told: again, when no descriptor is left, and by ranges of ports.
use super::*;

#[test]
fn exhausted_grows_and_shares_the_queue_of_the_server() {
    let mut engine = engine(1, None);
    let first = exhausted(&mut engine, "192.0.2.11", at(0));
    assert_eq!((first.cause, first.in_use, first.limit), (Cause::Overloaded, 0, 0));
    assert_eq!(first.signal, Some(SignalKind::Descriptors));
    assert!((5..=7).contains(&first.retry_after_secs), "{first:?}");
    assert_eq!(exhausted(&mut engine, "192.0.2.11", at(0)), first, "the same moment again");
    let hosts = (12..=20).map(|host| format!("192.0.2.{host}"));
    let tenth = hosts.map(|host| exhausted(&mut engine, &host, at(0)).retry_after_secs).last().unwrap();
    assert!(tenth >= 50, "{tenth}");
    admit(&mut engine, &from("192.0.2.1"), at(0));
    assert!(refuse(&mut engine, &from("192.0.2.2"), at(0)).retry_after_secs >= 55);
    let full = refuse(&mut engine, &from("192.0.2.11"), at(1));
    assert_eq!(full.retry_after_secs, first.retry_after_secs - 1, "its place in the queue is the same");
}

#[test]
fn exhausted_tells_the_denied_and_the_banned_what_they_are() {
    let limits = Limits { deny: nets(&["203.0.113.0/24"]), ..Limits::new(9) };
    let mut engine = Engine::new(limits.clone(), 1);
    engine.ban(ip("192.0.2.1"), Duration::from_secs(90), at(0)).unwrap();
    let (denied, banned) = (from("203.0.113.9"), from("::ffff:192.0.2.1"));
    assert_eq!(engine.exhausted(&denied, at(1)), Decision::Deny);
    assert_eq!(engine.exhausted(&banned, at(1)), Decision::Refuse(Refusal::uncounted(Cause::Banned, 89)));
    engine.drain(at(60), None, at(1));
    assert_eq!(engine.exhausted(&denied, at(1)), Decision::Deny);
    assert_eq!(exhausted(&mut engine, "192.0.2.1", at(1)).cause, Cause::Banned);
    let draining = Refusal::uncounted(Cause::Draining, 59);
    assert_eq!(exhausted(&mut engine, "192.0.2.2", at(1)), draining);
    let silent = BanPolicy { silent: true, ..BanPolicy::default() };
    engine.relimit(Limits { deny_silent: true, ban: silent, ..limits }, at(2));
    assert_eq!(engine.exhausted(&denied, at(2)), Decision::Drop(Cause::Denied));
    assert_eq!(engine.exhausted(&banned, at(2)), Decision::Drop(Cause::Banned));
    let counters = engine.snapshot(at(2)).counters;
    let refused = [Cause::Denied, Cause::Banned, Cause::Draining, Cause::Overloaded];
    assert_eq!(refused.map(|cause| counters.refused_for(cause)), [3, 3, 1, 0]);
}

#[test]
fn who_knocks_in_a_loop_makes_nobody_else_wait() {
    let hog = "192.0.2.1";
    let ask = |address: IpAddr| -> [Question; 5] {
        [
            Question::connection(address, 0),
            Question::login(AccountKey::Anonymous, Some(1), address),
            Question::Transfer { address },
            Question::PassivePort { address, range: 0, ports: 1, leased: 1 },
            Question::connection(address, 1),
        ]
    };
    let listeners =
        [None, Some(0)].map(|connections| ListenerLimits { connections, connection_rate: None }).into();
    let limits = Limits { transfers: Some(1), listeners, ..Limits::new(1) };
    for which in 0..5 {
        let mut engine = Engine::new(limits.clone(), 7);
        for question in &ask(ip("192.0.2.9"))[..3] {
            admit(&mut engine, question, at(0));
        }
        let lease = Question::PassivePort { address: ip("192.0.2.9"), range: 0, ports: 1, leased: 0 };
        admit(&mut engine, &lease, at(0));
        let first = refuse(&mut engine, &ask(ip(hog))[which], at(0));
        for knock in 1..=2_000_u32 {
            let now = Moment::from_start(Duration::from_millis(u64::from(knock)));
            let again = refuse(&mut engine, &ask(ip(hog))[which], now);
            let due = u64::from(first.retry_after_secs) * 1_000;
            let rest = (due - u64::from(knock)).div_ceil(1_000);
            let told = u64::from(again.retry_after_secs);
            assert!((rest..=rest + u64::from(knock) / 4).contains(&told), "{which}: {told} for {rest}");
        }
        let other = refuse(&mut engine, &ask(ip("192.0.2.2"))[which], at(2));
        let limit_is_zero = which == 4;
        assert!(other.retry_after_secs <= if limit_is_zero { 300 } else { 18 }, "{which}: {other:?}");
        // Once its second has come it is booked anew.
        let due = at(u64::from(first.retry_after_secs));
        let next = refuse(&mut engine, &ask(ip(hog))[which], due);
        assert_eq!(refuse(&mut engine, &ask(ip(hog))[which], due), next);
        assert!(engine.told.len() == 2, "{which}");
    }
}

#[test]
fn an_overloaded_house_tells_a_hog_no_earlier_moment() {
    let mut engine = engine(9, None);
    engine.observe(Signal::Memory { used: 90, limit: 100 }, at(0));
    let first = refuse(&mut engine, &from("192.0.2.1"), at(0));
    for _ in 0..10_000 {
        let again = refuse(&mut engine, &from("192.0.2.1"), at(0));
        assert!((first.retry_after_secs..=300).contains(&again.retry_after_secs));
        assert_eq!(engine.explain(&from("192.0.2.1"), at(0)).refusal, Some(first));
    }
    let other = refuse(&mut engine, &from("192.0.2.2"), at(0));
    assert!((5..=7).contains(&other.retry_after_secs), "{other:?}");
}

#[test]
fn behind_one_router_a_full_address_tells_each_its_second() {
    let mut engine = engine(10, Some(1));
    admit(&mut engine, &from("192.0.2.1"), at(0));
    let tenth = (0..10).map(|_| refuse(&mut engine, &from("192.0.2.1"), at(0)).retry_after_secs).last();
    assert!(tenth >= Some(50), "{tenth:?}");
    assert!(engine.told.len() == 0);
}

#[test]
fn each_range_of_ports_has_an_estimate_of_its_own() {
    let mut engine = engine(9, None);
    let lease = |range, host: u32, leased| {
        let address = IpAddr::V4((0xc000_0200 + host).into());
        Question::PassivePort { address, range, ports: 4, leased }
    };
    // Range 0: a port comes back every second. Range 1: four are held for ten minutes.
    let quiet: Vec<PermitId> = (0..4).map(|leased| admit(&mut engine, &lease(1, 1, leased), at(0))).collect();
    let mut busy: Vec<PermitId> =
        (0..4).map(|leased| admit(&mut engine, &lease(0, 1, leased), at(0))).collect();
    for second in 1..600_u64 {
        engine.release(busy.remove(0), at(second));
        busy.push(admit(&mut engine, &lease(0, 1, 3), at(second)));
    }
    assert_eq!(engine.snapshot(at(600)).ports, 8);
    let told = |engine: &mut Engine, range| refuse(engine, &lease(range, 2, 4), at(600)).retry_after_secs;
    let [soon, late] = [told(&mut engine, 0), told(&mut engine, 1)];
    assert!((1..=4).contains(&soon), "a port a second: {soon}");
    assert!(late >= 100, "none in ten minutes: {late}");
    for permit in quiet.into_iter().chain(busy) {
        engine.release(permit, at(601));
    }
    assert_eq!((engine.snapshot(at(601)).ports, engine.permits.held()), (0, 0));
}
