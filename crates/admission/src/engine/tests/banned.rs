//! Bans as the sessions that are inside meet them.
use super::*;

#[test]
fn a_ban_is_exact_and_spares_the_trusted_and_the_reserved() {
    let reserved = Reserved { connections: 1, from: nets(&["10.0.0.0/8"]) };
    let mut engine = Engine::new(Limits { reserved, ..failing() }, 1);
    let camera = ip("192.0.2.1");
    assert_eq!(engine.login_failed(camera, "cam", at(0)), None);
    assert_eq!(engine.login_failed(camera, "cam", at(0)), None);
    assert!(engine.attempt(camera, "cam", at(0)).is_ok());
    let ban = engine.login_failed(camera, "cam", at(0)).unwrap();
    assert_eq!((ban.one_name, ban.retry_after_secs), (true, 60));
    assert_eq!(engine.attempt(camera, "cam", at(1)), Err(Refusal::uncounted(Cause::LoginFailures, 59)));
    assert!(
        engine.attempt(camera, "other", at(1)).is_ok()
            && engine.attempt(ip("192.0.2.2"), "cam", at(1)).is_ok()
    );
    admit(&mut engine, &from("192.0.2.1"), at(1));
    let login = Question::login(AccountKey::Named(AccountName(String::from("cam"))), None, camera);
    assert_eq!(refuse(&mut engine, &login, at(59)), Refusal::uncounted(Cause::LoginFailures, 1));
    admit(&mut engine, &login, at(60));
    for host in ["127.0.0.1", "10.1.1.1"] {
        for _ in 0..100 {
            assert_eq!(engine.login_failed(ip(host), "cam", at(0)), None);
            assert_eq!(engine.flooded(ip(host), at(0)), None);
        }
        assert_eq!(engine.ban(ip(host), Duration::from_mins(1), at(0)), None);
    }
    engine.ban(camera, Duration::from_secs(90), at(100)).unwrap();
    assert_eq!(refuse(&mut engine, &from("192.0.2.1"), at(101)), Refusal::uncounted(Cause::Banned, 89));
    assert_eq!(engine.snapshot(at(101)).bans, 1);
    engine.relimit(Limits { trusted: nets(&["192.0.2.0/24"]), ..failing() }, at(101));
    admit(&mut engine, &from("192.0.2.1"), at(101));
    let silent = BanPolicy { silent: true, ..BanPolicy::default() };
    engine.relimit(Limits { ban: silent, ..failing() }, at(101));
    assert_eq!(engine.ask(&from("192.0.2.1"), at(101)), Decision::Drop(Cause::Banned));
    assert_eq!(engine.unban(camera, at(102)), 1);
    admit(&mut engine, &from("192.0.2.1"), at(102));
}

#[test]
fn checks_that_began_before_the_ban_do_not_make_it_longer() {
    let count = NonZeroU32::new(5).unwrap();
    let login_failures = Some(LoginFailures { count, period: Duration::from_mins(5) });
    let mut engine = Engine::new(Limits { login_failures, ..Limits::new(99) }, 1);
    let guesser = ip("192.0.2.1");
    // Forty checks at once: all were asked for before the first of them failed.
    for _ in 0..40 {
        assert!(engine.attempt(guesser, "root", at(0)).is_ok());
    }
    for check in 1..=40_u64 {
        let ban = engine.login_failed(guesser, "root", at(check));
        let Some(ban) = ban else {
            assert!(check < 5, "{check}");
            continue;
        };
        assert_eq!((ban.is_new, ban.one_name, ban.level, ban.until), (check == 5, true, 1, at(65)));
        assert_eq!(u64::from(ban.retry_after_secs), 65 - check, "{check}");
    }
    assert_eq!(engine.snapshot(at(41)).counters.banned, 1);
    // Nor do they count for the address: 45 more, of nine other names, are not enough.
    for check in 0..45 {
        let ban = engine.login_failed(guesser, &format!("user{}", check % 9), at(41));
        assert_eq!(ban.as_ref().is_some_and(|ban| !ban.one_name), check == 44, "{check}: {ban:?}");
    }
    // While the address is banned: nothing counts, whatever the name, nor floods.
    let banned = engine.snapshot(at(42)).counters.banned;
    for check in 0..500 {
        let ban = engine.login_failed(guesser, &format!("other{}", check % 7), at(42)).unwrap();
        assert_eq!((ban.is_new, ban.one_name, ban.level, ban.until), (false, false, 1, at(101)));
        let ban = engine.flooded(guesser, at(42)).unwrap();
        assert_eq!((ban.is_new, ban.level, ban.retry_after_secs), (false, 1, 59));
    }
    assert_eq!(engine.snapshot(at(42)).counters.banned, banned);
    assert_eq!(engine.login_failed(guesser, "other1", at(101)), None, "it begins anew");
}

#[test]
fn a_session_that_came_before_the_ban_of_its_address_may_not_log_in() {
    let silent = BanPolicy { silent: true, ..BanPolicy::default() };
    for ban in [BanPolicy::default(), silent] {
        let mut engine = Engine::new(Limits { ban, ..failing() }, 1);
        let address = ip("192.0.2.1");
        admit(&mut engine, &from("192.0.2.1"), at(0));
        engine.ban(address, Duration::from_secs(90), at(10)).unwrap();
        let told = Refusal::uncounted(Cause::Banned, 79);
        assert_eq!(engine.attempt(address, "alice", at(21)), Err(told));
        for question in [alice(None), anonymous(None)] {
            let why = engine.explain(&question, at(21));
            assert_eq!(
                (why.outcome, why.cause, why.refusal),
                (Outcome::Refuse, Some(Cause::Banned), Some(told))
            );
            assert_eq!(refuse(&mut engine, &question, at(21)), told, "told, not dropped: it is inside");
        }
        assert_eq!(engine.snapshot(at(21)).counters.refused_for(Cause::Banned), 3);
        assert!(engine.attempt(address, "alice", at(100)).is_ok());
        admit(&mut engine, &alice(None), at(100));
    }
}
