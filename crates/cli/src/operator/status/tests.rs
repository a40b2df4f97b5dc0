use serde_json::json;

use super::*;

/// A server of whom there is something to tell.
pub(in crate::operator) fn status() -> Status {
    let pool =
        |in_use: u32, limit: Option<u32>| json!({ "in_use": in_use, "limit": limit, "full_seconds": 0.0 });
    serde_json::from_value(json!({
        "version": "0.1.0",
        "pid": 4711,
        "config": "/etc/tidegate.toml",
        "started_at": 1_700_000_000,
        "uptime_seconds": 273_600.5,
        "ready": true,
        "not_ready": null,
        "complaints": [],
        "listeners": [{ "address": "127.0.0.1:2121", "connections": pool(12, Some(500)) }],
        "connections": pool(12, Some(10_000)),
        "unauthenticated": pool(2, Some(1_000)),
        "handshakes": pool(0, None),
        "transfers": pool(3, None),
        "reserved": 0,
        "addresses": 9,
        "sessions": 12,
        "sessions_served": 3_201,
        "logged_in": 10,
        "anonymous": 4,
        "accounts": 3,
        "waiting": 0,
        "bans": 2,
        "passive_ports": { "leased": 3, "total": 1_000 },
        "overload": {
            "level": "calm", "signal": null, "full_seconds": 0.0,
            "signals": [
                { "signal": "descriptors", "level": "calm", "load": 0.02 },
                { "signal": "memory", "level": "calm", "load": 0.41 },
            ],
        },
        "refusals": [
            { "cause": "idle", "count": 14 },
            { "cause": "address-full", "count": 1_100 },
            { "cause": "rate", "count": 90 },
            { "cause": "banned", "count": 3 },
            { "cause": "kicked", "count": 2 },
            { "cause": "denied", "count": 1 },
        ],
        "shadow_refusals": [],
        "unspoken": 0,
        "logins": [{ "result": "accepted", "count": 40 }, { "result": "denied", "count": 1 }],
        "transfers_ended": { "completed": 1_200, "failed": 4, "cut": 0 },
        "bytes_sent": 12_900_000,
        "bytes_received": 0,
        "drain": null,
    }))
    .unwrap()
}

#[test]
fn a_server_that_is_well() {
    let expected = "\
tidegate 0.1.0 is ready.

  running        3d4h                  pid 4711, configuration /etc/tidegate.toml
  address        ftp://127.0.0.1:2121  12 of 500 connections
  connections    12 of 10,000          from 9 addresses
  not logged in  2 of 1,000
  logged in      10                    4 anonymous, 3,201 sessions since the start, 1 login denied
  transfers      3                     1,200 finished, 4 failed, 0 cut
  bytes          12.3 MiB sent         0 B received
  data ports     3 of 1,000
  refused        1,210                 address-full 1,100, rate 90, idle 14, banned 3, others 3
  bans           2
  overload       calm                  most: memory at 41 % of what closes the door
";
    assert_eq!(text(&status(), false), expected);
}

#[test]
fn a_server_that_is_not() {
    let mut status = status();
    status.ready = false;
    status.not_ready = Some("overloaded".into());
    status.config = None;
    status.complaints = vec!["bans will be forgotten\u{1b}[2J".into()];
    status.connections.full_seconds = 192.0;
    status.listeners[0].connections.limit = None;
    status.listeners[0].connections.in_use = 1;
    status.reserved = 3;
    status.waiting = 1;
    status.unspoken = 7;
    status.shadow_refusals = vec![CauseRow { cause: "address-full".into(), count: 5 }];
    status.overload.level = "full".into();
    status.overload.signal = Some("memory".into());
    status.overload.full_seconds = 61.0;
    status.drain = Some(DrainStatus {
        begun: true,
        begins_in_seconds: 0.0,
        ends_in_seconds: 42.0,
        open_seconds: 7.0,
        message: Some("New disks and a story of a length that takes two lines".into()),
        sessions: 2,
        transfers: 1,
        bytes: 5,
    });
    let text = text(&status, false);
    for part in [
        "tidegate 0.1.0 is not ready: overloaded.\n",
        "  running        3d4h                  pid 4711, without a configuration file\n",
        "  address        ftp://127.0.0.1:2121  1 connection\n",
        "from 9 addresses, 3 more in reserved places, was full for\n                                       3m12s\n",
        "denied\n  waiting        1 ",
        "  waiting        1 ",
        "  unspoken       7 ",
        "  shadow limits  5 ",
        "  overload       full                  memory at 41 % of what closes the door, was full for 1m1s\n",
        "  drain          under way, 42s left   2 sessions, 1 transfer: New disks and a story of a length\n                                       that takes two lines\n",
        "\n  Note: bans will be forgotten\\u{1b}[2J\n",
    ] {
        assert!(text.contains(part), "{part}{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}
