use serde_json::json;

use super::super::sessions::tests::{moving, session};
use super::*;

fn check(rule: &str, cause: &str, in_use: u32, limit: Option<u32>) -> CheckRow {
    CheckRow {
        rule: rule.into(),
        cause: cause.into(),
        signal: None,
        in_use,
        limit,
        refuses: false,
        frees_after_seconds: None,
    }
}

fn refusing(rule: &str, cause: &str, count: Option<(u32, u32)>, frees: Option<u32>) -> CheckRow {
    CheckRow {
        refuses: true,
        frees_after_seconds: frees,
        ..check(rule, cause, count.map_or(0, |count| count.0), count.map(|count| count.1))
    }
}

fn answer(listener: Option<&str>, checks: Vec<CheckRow>) -> WhyAnswer {
    let decisive = checks.iter().find(|check| check.refuses).cloned();
    WhyAnswer {
        listener: listener.map(Into::into),
        outcome: if decisive.is_some() { "refuse".into() } else { "admit".into() },
        rule: decisive.as_ref().map(|check| check.rule.clone()),
        cause: decisive.as_ref().map(|check| check.cause.clone()),
        signal: None,
        retry_seconds: decisive.as_ref().and_then(|check| check.frees_after_seconds),
        hold_seconds: None,
        line: decisive.as_ref().map(|check| format!("421 Because [cause={} retry=30]", check.cause)),
        checks,
    }
}

fn report(answers: Vec<WhyAnswer>) -> WhyReport {
    WhyReport {
        address: Some("192.0.2.7".into()),
        account: None,
        from: None,
        account_exists: None,
        answers,
        holders: Vec::new(),
        held: 0,
        bans: Vec::new(),
    }
}

fn limits() -> Background {
    let row = |key: &str, value: &str, origin: &str| LimitRow {
        key: key.into(),
        value: value.into(),
        origin: origin.into(),
    };
    Background {
        limits: vec![
            row("limits.connections", "10000", "default"),
            row("limits.connections_per_address", "8", "tidegate.toml:12"),
            row("limits.deny", "192.0.2.0/24", "tidegate.toml:13"),
            row("listener[2].connections", "5", "tidegate.toml:20"),
            row("account[alice].max_connections", "2", "tidegate.toml:30"),
            row("anonymous.max_connections", "3", "tidegate.toml:40"),
        ],
    }
}

#[test]
fn a_full_address_reads_who_holds_it() {
    let checks = || {
        vec![
            check("limits.allow/deny", "denied", 0, None),
            check("limits.connections_unauthenticated", "unauthenticated-full", 3, None),
            refusing("limits.connections_per_address", "address-full", Some((8, 8)), Some(30)),
            check("limits.connections", "server-full", 12, Some(10_000)),
        ]
    };
    let mut report =
        report(vec![answer(Some("127.0.0.1:2121"), checks()), answer(Some("[::1]:2121"), checks())]);
    report.holders = vec![session(7, None), moving(41, "/pub/a.iso")];
    report.held = 8;
    let expected = "\
192.0.2.7 would be refused now.
  421 Because [cause=address-full retry=30]
  Because limits.connections_per_address = 8 (tidegate.toml:12), and 8 are in use.
  It is expected to end in 30s.

Who holds the places (8 sessions, the oldest 2 of them):
  ID  FROM        ACCOUNT  SINCE  IDLE  DOING
   7  192.0.2.7   -        3m12s    4s  logging in
  41  192.0.2.41  alice    3m12s     -  download /pub/a.iso  12.3 MiB at 4.1 MiB/s

Rules, in the order they are tried:
  1  limits.allow/deny                                 passes
  2  limits.connections_unauthenticated  3, no limit   passes
  3  limits.connections_per_address      8 of 8        refuses: address-full  for about 30s
  4  limits.connections                  12 of 10,000  passes
";
    assert_eq!(text(&report, &limits(), false), expected);
}

#[test]
fn who_is_admitted_reads_what_is_nearest() {
    let checks = vec![
        check("limits.connections_per_address", "address-full", 7, Some(8)),
        check("limits.connections", "server-full", 12, Some(10_000)),
    ];
    let shown = text(&report(vec![answer(Some("127.0.0.1:2121"), checks)]), &limits(), false);
    let expected = "192.0.2.7 would be admitted now.\n  Nearest to refusing: limits.connections_per_address, 7 of 8 in use.\n";
    assert!(shown.starts_with(expected), "{shown}");
    let empty = vec![check("limits.connections", "server-full", 0, Some(8))];
    let shown = text(&report(vec![answer(None, empty)]), &limits(), false);
    assert!(shown.contains("\n  Nothing is near to refusing.\n"), "{shown}");
}

#[test]
fn listeners_that_differ_are_told_apart() {
    let first = answer(Some("127.0.0.1:2121"), vec![check("listener.connections", "listener-full", 1, None)]);
    let second = answer(
        Some("127.0.0.1:2122"),
        vec![refusing("listener.connections", "listener-full", Some((5, 5)), Some(90))],
    );
    let shown = text(&report(vec![first, second]), &limits(), false);
    for part in [
        "192.0.2.7 would be admitted now at 127.0.0.1:2121.\n",
        "192.0.2.7 would be refused now at 127.0.0.1:2122.\n",
        "  Because listener[2].connections = 5 (tidegate.toml:20), and 5 are in use.\n",
        "  It is expected to end in 1m30s.\n",
        "Rules, in the order they are tried at 127.0.0.1:2122:\n",
    ] {
        assert!(shown.contains(part), "{part}{shown}");
    }
}

#[test]
fn a_line_is_never_broken() {
    let checks = || vec![refusing("drain", "draining", None, Some(240))];
    let mut answer = answer(None, checks());
    let line = format!(
        "421 The server is shutting down: {}; try again in 240 seconds [cause=draining retry=240]",
        "new disks ".repeat(19).trim_end()
    );
    answer.line = Some(line.clone());
    let shown = text(&report(vec![answer]), &limits(), false);
    assert!(shown.lines().any(|shown| shown == format!("  {line}")), "{shown}");
}

#[test]
fn who_waits_reads_how_long_and_what_then() {
    for (hold, told) in [(2.0, "2s"), (0.5, "500ms"), (30.0, "30s")] {
        let mut answer = answer(
            None,
            vec![refusing("limits.connections", "server-full", Some((10_000, 10_000)), Some(6))],
        );
        (answer.outcome, answer.hold_seconds) = ("wait".into(), Some(hold));
        let shown = text(&report(vec![answer]), &limits(), false);
        let expected = format!(
            "192.0.2.7 would wait for a place now.\n  \
             Its greeting would be held for up to {told}; if no place is free by then, it would be told:\n  \
             421 Because [cause=server-full retry=30]\n  \
             Because limits.connections = 10000 (default), and 10,000 are in use.\n\n"
        );
        assert!(shown.starts_with(&expected), "{shown}");
        assert!(!shown.contains("expected to end"), "{shown}");
    }
}

#[test]
fn every_outcome_has_its_words() {
    for (outcome, rule, expected) in [
        ("deny", "limits.allow/deny", "192.0.2.7 would be refused for ever.\n"),
        ("drop", "ban of the address", "192.0.2.7 would be closed without a word now.\n"),
        ("wait", "limits.connections", "192.0.2.7 would wait for a place now.\n"),
        ("reclaim", "limits.connections", "in the place of a session that is dead or idle.\n"),
    ] {
        let mut answer = answer(None, vec![refusing(rule, "denied", None, None)]);
        answer.outcome = outcome.into();
        let shown = text(&report(vec![answer]), &limits(), false);
        assert!(shown.contains(expected), "{shown}");
        if outcome == "deny" {
            assert!(shown.contains("Because of limits.deny = 192.0.2.0/24 (tidegate.toml:13).\n"), "{shown}");
        }
    }
}

#[test]
fn the_limit_of_an_account_is_found_and_one_of_an_override_is_not_made_up() {
    let full = |rule: &str, limit| refusing(rule, "account-full", Some((limit, limit)), None);
    let of = |account: &str, check: CheckRow| {
        let mut report = report(vec![answer(None, vec![check])]);
        (report.address, report.account, report.from) = (None, Some(account.into()), Some("::1".into()));
        text(&report, &limits(), false)
    };
    let shown = of("alice", full("account.max_connections", 2));
    assert!(shown.starts_with("alice from ::1 would be refused now.\n"), "{shown}");
    assert!(
        shown.contains("Because account[alice].max_connections = 2 (tidegate.toml:30), and 2"),
        "{shown}"
    );
    let shown = of("bob", full("account.max_connections", 1));
    assert!(shown.contains("Because account.max_connections = 1, and 1 is in use."), "{shown}");
    let shown = of("anonymous", full("account.max_connections", 3));
    assert!(shown.contains("Because anonymous.max_connections = 3 (tidegate.toml:40), and 3"), "{shown}");
    let shown = of("alice", full("limits.connections_per_address", 500));
    assert!(shown.contains("Because limits.connections_per_address = 500, and 500 are"), "{shown}");
}

#[test]
fn bans_and_hostile_names_are_told() {
    let mut report =
        report(vec![answer(None, vec![refusing("ban of the name", "login-failures", None, Some(61))])]);
    (report.address, report.account) = (None, Some("a\u{1b}[2J".into()));
    report.bans = vec![
        serde_json::from_value(json!({
            "address": "2001:db8::/64", "name": "a\u{1b}[2J", "reason": "login-failures",
            "remaining_seconds": 61.0, "length_seconds": 120.0, "level": 1,
        }))
        .unwrap(),
    ];
    let shown = text(&report, &limits(), false);
    assert!(shown.starts_with("a\\u{1b}[2J would be refused now.\n"), "{shown}");
    assert!(shown.contains("  Because of: ban of the name.\n  It is expected to end in 1m1s.\n"), "{shown}");
    let ban = "  a\\u{1b}[2J from 2001:db8::/64 is banned for 1m1s more (login failures); tidegate unban 2001:db8:: ends";
    assert!(shown.replace("\n    ", " ").contains(ban), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
}
