use std::num::NonZeroU32;
use std::time::Duration;

use tidegate_admission::{LoginFailures, Overload, Reclaim};

use super::*;
use crate::args::ServeArgs;

fn planned(text: &str) -> ServePlan {
    ServePlan::of_file(text, &ServeArgs::default())
}

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

/// Every key of the gate, as DESIGN §3 writes them.
const FULL: &str = r#"
root = "/srv"
state = "/var/lib/tide"
[anonymous]
enabled = true
[[listener]]
address = "127.0.0.1:0"
connections = 50
connection_rate = "100/1s"
trusted_proxies = ["192.0.2.1"]
[[listener]]
address = "127.0.0.1:0"
shadow = { connections = 5, connection_rate = "6/7s" }
[limits]
connections = 200
connections_per_address = 50
connections_unauthenticated = 100
connection_rate_per_address = "30/10s"
transfers = 80
transfers_per_address = 16
reserved = { connections = 8, from = ["10.0.0.0/8"] }
login_failures = "5/5m"
ban = { first = "2m", factor = 3, most = "1h", silent = true }
allow = ["10.0.0.0/8", "203.0.113.0/24", "127.0.0.0/8"]
deny = ["203.0.113.66"]
deny_silent = true
trusted = ["127.0.0.0/8"]
waiting_room = { hold = "3s", places = 10 }
reclaim = "idle"
command_rate = "100/1s"
shadow = { connections = 150, connections_per_address = 20, connections_unauthenticated = 30, connection_rate_per_address = "3/10s", transfers = 40, transfers_per_address = 4 }
[[limits.override]]
from = "203.0.113.0/24"
connections_per_address = 60
connection_rate_per_address = "300/10s"
transfers_per_address = 40
[overload]
memory = "70%"
descriptors = "off"
scheduling_delay = "200ms"
cpu_pressure = "60%"
storage_latency = "off"
[timeouts]
login = "20s"
[admin]
socket = "/run/tide.sock"
http = "127.0.0.1:2180"
agent = "127.0.0.1:2181"
"#;

#[test]
fn every_key_reaches_the_gate() {
    let plan = planned(FULL);
    let limits = limits::limits(&plan);
    let rate = |count, secs| Rate::new(count, Duration::from_secs(secs));
    assert_eq!(limits.connections, 200);
    assert_eq!((limits.connections_per_address, limits.connections_unauthenticated), (Some(50), Some(100)));
    assert_eq!(limits.connection_rate_per_address, rate(30, 10));
    assert_eq!((limits.transfers, limits.transfers_per_address), (Some(80), Some(16)));
    let [first, second] = limits.listeners.as_slice() else { panic!("by the number of the listener") };
    assert_eq!((first.connections, first.connection_rate), (Some(50), rate(100, 1)));
    assert_eq!((second.connections, second.connection_rate), (None, None));
    assert_eq!(limits.reserved.connections, 8);
    assert!(limits.is_reserved(ip("10.1.2.3")) && !limits.is_reserved(ip("203.0.113.1")));
    assert!(
        limits.is_denied(ip("203.0.113.66")) && limits.is_denied(ip("198.51.100.1")) && limits.deny_silent
    );
    assert!(!limits.is_denied(ip("203.0.113.65")));
    assert!(limits.is_never_banned(ip("127.0.0.9")) && !limits.is_never_banned(ip("::1")));
    assert_eq!(
        (limits.connections_of(ip("203.0.113.1")), limits.connections_of(ip("10.0.0.1"))),
        (Some(60), Some(50))
    );
    assert_eq!(
        (limits.transfers_of(ip("203.0.113.1")), limits.rate_of(ip("203.0.113.1"))),
        (Some(40), rate(300, 10))
    );
    let failures = LoginFailures { count: NonZeroU32::new(5).unwrap(), period: Duration::from_mins(5) };
    assert_eq!(limits.login_failures, Some(failures));
    let ban = &limits.ban;
    assert_eq!((ban.first, ban.most, ban.silent), (Duration::from_mins(2), Duration::from_hours(1), true));
    assert!((ban.factor - 3.0).abs() < f64::EPSILON);
    assert_eq!((limits.waiting_room.hold, limits.waiting_room.places), (Duration::from_secs(3), 10));
    assert_eq!((limits.reclaim, limits.login_timeout), (Reclaim::Idle, Duration::from_secs(20)));
    let shadow = &limits.shadow;
    assert_eq!((shadow.connections, shadow.connections_per_address), (Some(150), Some(20)));
    assert_eq!(
        (shadow.connections_unauthenticated, shadow.connection_rate_per_address),
        (Some(30), rate(3, 10))
    );
    assert_eq!((shadow.transfers, shadow.transfers_per_address), (Some(40), Some(4)));
    assert_eq!((shadow.listeners[1].connections, shadow.listeners[1].connection_rate), (Some(5), rate(6, 7)));
    let expected = Overload {
        memory_percent: Some(70),
        descriptors_percent: None,
        scheduling_delay: Some(Duration::from_millis(200)),
        cpu_pressure_percent: Some(60),
        storage_latency: None,
    };
    assert_eq!(limits.overload, expected);
}

#[test]
fn what_is_beside_the_gate_is_planned_too() {
    let plan = planned(FULL);
    assert_eq!(command_rate(&plan), Rate::new(100, Duration::from_secs(1)));
    let [first, second] = plan.listeners.as_slice() else { panic!("two listeners") };
    assert_eq!(listener(first).trusted_proxies, ["192.0.2.1/32".parse().unwrap()]);
    assert!(listener(second).trusted_proxies.is_empty());
    assert_eq!(plan.state, config::Place::At("/var/lib/tide".into()));
    assert_eq!(plan.admin.socket, config::Place::At("/run/tide.sock".into()));
    assert_eq!(
        (plan.admin.http, plan.admin.agent),
        ("127.0.0.1:2180".parse().ok(), "127.0.0.1:2181".parse().ok())
    );
}

#[test]
fn without_keys_nothing_is_limited_but_the_total() {
    let plan = planned("root = '/srv'\n[anonymous]\nenabled = true\n");
    let limits = limits::limits(&plan);
    let bare = tidegate_server::Limits {
        listeners: vec![tidegate_admission::ListenerLimits::default()],
        ..tidegate_server::Limits::new(240)
    };
    assert_eq!(limits, bare);
    assert!(limits.shadow.is_off() && command_rate(&plan).is_none());
}

#[test]
fn a_reload_takes_over_what_a_start_would() {
    let plan = planned(FULL);
    let (started, _) = assemble(&plan).unwrap();
    let reloaded = reconfiguration(&plan).unwrap();
    assert_eq!(reloaded.limits, started.limits);
    assert_eq!((reloaded.greeting, reloaded.command_rate), (started.greeting, started.command_rate));
    assert_eq!(format!("{:?}", reloaded.timeouts), format!("{:?}", started.timeouts));
    assert_eq!(
        (reloaded.extras, reloaded.mode_z, reloaded.file_bytes_max),
        (started.extras, started.mode_z, started.file_bytes_max)
    );
}
