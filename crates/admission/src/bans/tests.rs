use core::num::NonZeroU32;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn at(secs: u64) -> Moment {
    Moment::from_start(Duration::from_secs(secs))
}

fn terms() -> Terms {
    Terms {
        failures: LoginFailures { count: NonZeroU32::new(5).unwrap(), period: MINUTE * 5 },
        policy: BanPolicy { first: MINUTE, factor: 2.0, most: MINUTE * 60, silent: false },
    }
}

fn bans() -> Bans {
    Bans::new(Keyed::new(9))
}

fn camera() -> AddressKey {
    "192.0.2.7".parse().unwrap()
}

/// Fails until a ban comes, and returns it with the number of tries.
fn fail(bans: &mut Bans, name: &str, now: Moment) -> (Ban, u32) {
    for tries in 1..=100 {
        if let Some(ban) = bans.failed((camera(), name), terms(), now) {
            return (ban, tries);
        }
    }
    panic!("no ban after 100 failures");
}

#[test]
fn slots_have_the_documented_size() {
    assert_eq!(size_of::<Option<(Whom, Failures)>>(), 64);
    assert_eq!(size_of::<Option<(AddressKey, Failures)>>(), 56);
    assert_eq!(size_of::<Option<(Whom, Entry)>>(), 64);
}

#[test]
fn one_broken_camera_does_not_ban_the_hospital() {
    let mut bans = bans();
    let (ban, tries) = fail(&mut bans, "camera", at(0));
    assert_eq!((tries, ban.one_name, ban.retry_after_secs, ban.until), (5, true, 60, at(60)));
    assert_eq!(bans.of_name(camera(), "camera", at(59)), Some(at(60)));
    assert_eq!(bans.of_name(camera(), "camera", at(60)), None);
    assert_eq!(bans.of_name(camera(), "nurse", at(1)), None);
    assert_eq!(bans.of_address(camera(), at(1)), None);
}

#[test]
fn an_address_that_tries_many_names_is_banned_at_ten_times_the_count() {
    let mut bans = bans();
    let mut tries = 0;
    let ban = loop {
        tries += 1;
        let name = alloc::format!("user{tries}");
        if let Some(ban) = bans.failed((camera(), &name), terms(), at(0)) {
            break ban;
        }
    };
    assert_eq!((tries, ban.one_name), (50, false));
    assert_eq!(bans.of_address(camera(), at(59)), Some(at(60)));
    assert_eq!(bans.of_address("192.0.2.8".parse().unwrap(), at(1)), None);
}

#[test]
fn a_count_above_65_535_still_bans() {
    let count = NonZeroU32::new(70_000).unwrap();
    let terms = Terms { failures: LoginFailures { count, ..terms().failures }, ..terms() };
    let mut bans = bans();
    let mut level = 0;
    for tries in 1..=700_000_u32 {
        let ban = bans.failed((camera(), "mallory"), terms, at(0));
        assert_eq!(ban.is_some(), tries % 70_000 == 0, "{tries}");
        if let Some(ban) = ban {
            level += 1;
            assert_eq!((ban.one_name, ban.is_new), (tries < 700_000, true));
        }
    }
    assert_eq!(level, 10);
    // Ten floods are as heavy as the failures that ban an address.
    for floods in 1..=10 {
        let ban = bans.flooded(AddressKey::V6Net(1), terms, at(0));
        assert_eq!(ban.is_some(), floods == 10, "{floods}");
    }
}

#[test]
fn floods_count_as_much_as_the_failures_that_ban_a_name() {
    let mut bans = bans();
    for _ in 0..9 {
        assert_eq!(bans.flooded(camera(), terms(), at(0)), None);
    }
    assert!(!bans.flooded(camera(), terms(), at(0)).unwrap().one_name);
    assert_eq!(bans.page(0, 9, false, at(1)).bans[0].reason, BanReason::Flood);
}

#[test]
fn bans_grow_up_to_the_cap_and_shrink_in_quiet_times() {
    let mut bans = bans();
    let mut now = at(0);
    for secs in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
        let (ban, tries) = fail(&mut bans, "bob", now);
        assert_eq!((tries, ban.retry_after_secs), (5, secs));
        now = ban.until;
    }
    // The last ban was an hour: each quiet hour takes one of eight steps.
    let (ban, _) = fail(&mut bans, "bob", now + MINUTE * 60 * 6);
    assert_eq!((ban.level, ban.retry_after_secs), (3, 240));
    let (ban, _) = fail(&mut bans, "bob", ban.until + MINUTE * 30);
    assert_eq!((ban.level, ban.retry_after_secs), (1, 60), "three steps of ten minutes are forgotten");
    let end = ban.until + MINUTE * 10;
    bans.sweep(end);
    assert_eq!(bans.len(), 0, "nothing is kept for ever");
}

#[test]
fn a_success_clears_the_name_and_not_the_address() {
    let mut bans = bans();
    for round in 0..12 {
        for _ in 0..4 {
            assert_eq!(bans.failed((camera(), "carol"), terms(), at(0)), None, "round {round}");
        }
        bans.succeeded(camera(), "carol", at(0));
    }
    assert_eq!(bans.failed((camera(), "dave"), terms(), at(0)), None);
    let ban = bans.failed((camera(), "dave"), terms(), at(0)).expect("the fiftieth");
    assert!(!ban.one_name);
}

#[test]
fn operators_ban_and_unban() {
    let mut bans = bans();
    assert_eq!(bans.ban(camera(), MINUTE * 15, at(0)).retry_after_secs, 900);
    bans.ban(camera(), MINUTE, at(0));
    assert_eq!(bans.of_address(camera(), at(1)), Some(at(60)), "replaced");
    fail(&mut bans, "eve", at(0));
    assert_eq!(bans.lasting_count(at(1)), 2);
    assert_eq!(bans.unban(camera(), at(1)), 2);
    assert_eq!((bans.len(), bans.unban(camera(), at(1))), (0, 0));
}

#[test]
fn pages_hold_every_ban_once() {
    let mut bans = bans();
    for host in 0..500_u32 {
        bans.ban(AddressKey::V4(host.into()), MINUTE, at(0));
    }
    let mut seen = Vec::new();
    let mut cursor = Some(0);
    while let Some(at_cursor) = cursor {
        let page = bans.page(at_cursor, 64, false, at(1));
        assert!(page.bans.len() <= 64);
        seen.extend(page.bans.iter().map(|record| record.address));
        cursor = page.next;
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..500_u32).map(|host| AddressKey::V4(host.into())).collect::<Vec<_>>());
    assert_eq!(bans.page(0, 64, false, at(60)).bans, []);
}

#[test]
fn what_is_exported_comes_back_in_another_process() {
    let mut before = bans();
    let (first, _) = fail(&mut before, "frank", at(0));
    fail(&mut before, "frank", first.until);
    before.ban("2001:db8::1".parse().unwrap(), MINUTE * 15, at(60));
    let records = before.page(0, 99, true, at(100)).bans;
    assert_eq!(records.len(), 2);
    // Another seed, another clock, the same bans.
    let mut after = Bans::new(Keyed::new(10));
    for record in &records {
        after.restore(record, at(7));
    }
    assert_eq!(after.of_name(camera(), "frank", at(7)), Some(at(87)));
    let whole_net = "2001:db8::99".parse().unwrap();
    assert_eq!(after.of_address(whole_net, at(7)), Some(at(7 + 860)));
    assert_eq!(fail(&mut after, "frank", at(87)).0.retry_after_secs, 240, "the third in a row");
    // Ended an hour ago: six times ten minutes forget all steps.
    let mut late = Bans::new(Keyed::new(11));
    late.restore(
        &BanRecord { remaining: Duration::ZERO, ended_for: MINUTE * 60, ..records[0].clone() },
        at(0),
    );
    assert_eq!(late.len(), 0);
}

#[test]
fn what_an_operator_said_is_forgotten_last() {
    let mut bans = bans();
    let trouble = AddressKey::V6Net(1);
    bans.ban(trouble, MINUTE, at(0));
    let one =
        Terms { failures: LoginFailures { count: NonZeroU32::new(1).unwrap(), period: MINUTE }, ..terms() };
    for host in 0..100_000_u32 {
        bans.failed((AddressKey::V4(host.into()), "x"), one, at(0));
    }
    assert!(bans.evicted() > 0);
    assert!(bans.of_address(trouble, at(1)).is_some());
}

#[test]
fn long_names_and_odd_factors_are_harmless() {
    let mut bans = bans();
    let long = "ä".repeat(5_000);
    let (ban, _) = fail(&mut bans, &long, at(0));
    assert!(ban.one_name && bans.of_name(camera(), &long, at(1)).is_some());
    assert_eq!(bans.page(0, 1, false, at(1)).bans[0].name.as_ref().unwrap().len(), 64);
    for factor in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
        let policy = BanPolicy { factor, ..terms().policy };
        for level in [0, 1, 63, 255] {
            let length = length_at(level, policy);
            assert!((policy.first..=policy.most).contains(&length), "{factor} {level}: {length:?}");
        }
    }
}
