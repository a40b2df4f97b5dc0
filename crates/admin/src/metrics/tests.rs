use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_server::view::HistogramView;

use super::openmetrics::{Family, read};
use super::*;
use crate::fake::Fake;
use crate::running::Running;

/// Returns what a scrape of `snapshot` would read, by name.
pub(crate) fn scrape(snapshot: Snapshot) -> BTreeMap<String, Family> {
    let identity = Identity { version: "1.2.3".into(), started_at: 1_700_000_000 };
    let text = encode(snapshot, &identity).unwrap();
    let families = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    families.into_iter().map(|family| (family.name.clone(), family)).collect()
}

fn value(families: &BTreeMap<String, Family>, name: &str, label: Option<&str>) -> Option<f64> {
    families.get(&format!("tidegate_{name}")).unwrap_or_else(|| panic!("no {name}")).value(label)
}

#[test]
fn it_tells_what_the_snapshot_holds() {
    let fake = Fake::new(4);
    for _ in 0..5 {
        fake.enter("192.0.2.1");
    }
    fake.ban([203, 0, 113, 9].into(), Duration::from_secs(9)).unwrap();
    let families = scrape(fake.snapshot());
    let of = |name: &str, label: Option<&str>| value(&families, name, label);
    assert_eq!(of("refusals", Some("address-full")), Some(2.0));
    assert_eq!(of("refusals", Some("idle")), Some(4.0));
    assert_eq!(
        of("refusals", Some("kicked")),
        Some(0.0),
        "causes that never happened are there from the start"
    );
    assert_eq!(of("admitted", Some("connection")), Some(3.0));
    assert_eq!((of("connections", None), of("pool_in_use", Some("server"))), (Some(3.0), Some(3.0)));
    assert_eq!(of("pool_limit", Some("server")), Some(4.0));
    assert_eq!(of("pool_limit", Some("unauthenticated")), None, "where there is no limit there is no sample");
    assert_eq!(of("pool_full_seconds", Some("unauthenticated")), Some(0.0));
    assert_eq!(
        (of("pool_in_use", Some("anonymous")), of("pool_limit", Some("anonymous"))),
        (Some(0.0), None)
    );
    assert_eq!(
        (of("pool_in_use", Some("passive_ports")), of("pool_limit", Some("passive_ports"))),
        (Some(2.0), Some(100.0))
    );
    assert_eq!(
        (of("listener_connections", Some("0")), of("listener_connections", Some("1"))),
        (Some(3.0), Some(0.0))
    );
    assert_eq!((of("listener_limit", Some("0")), of("listener_limit", Some("1"))), (Some(50.0), None));
    assert_eq!((of("bans", None), of("bans_imposed", None)), (Some(1.0), Some(1.0)));
    assert_eq!((of("sessions", None), of("sessions_started", None)), (Some(7.0), Some(20.0)));
    assert_eq!(of("transfers_ended", Some("completed")), Some(9.0));
    assert_eq!(of("transferred_bytes", Some("sent")), Some(1_099_511_627_776.0));
    assert_eq!(of("replies", Some("421")), Some(4.0));
    assert_eq!(of("logins", Some("denied")), Some(3.0));
    assert_eq!(
        (of("passive_ports", Some("leased")), of("passive_ports", Some("free"))),
        (Some(2.0), Some(98.0))
    );
    assert_eq!(of("unspoken_refusals", None), Some(1.0));
    assert_eq!((of("proxy_headers", Some("good")), of("proxy_headers", Some("bad"))), (Some(3.0), Some(2.0)));
    assert_eq!((of("ready", None), of("draining", None)), (Some(1.0), Some(0.0)));
    assert_eq!(of("start_time_seconds", None), Some(1_700_000_000.0));
    assert_eq!(of("overload_signal_load", Some("storage-latency")), Some(0.0));
    let commands = families["tidegate_latency_seconds"].samples.iter();
    let command = |sample: &&openmetrics::Sample| sample.labels["what"] == "command";
    assert_eq!(
        commands.filter(command).map(|sample| sample.value).collect::<Vec<_>>(),
        [3.5, 8.0, 5.0, 7.0, 8.0]
    );
}

#[test]
fn readiness_and_drain_are_told() {
    let fake = Fake::new(1);
    assert!(fake.enter("192.0.2.1"));
    let full = scrape(fake.snapshot());
    assert_eq!((value(&full, "ready", None), value(&full, "draining", None)), (Some(0.0), Some(0.0)));
    fake.plan(Duration::from_mins(1));
    assert_eq!(value(&scrape(fake.snapshot()), "draining", None), Some(0.0));
    fake.plan(Duration::ZERO);
    assert_eq!(value(&scrape(fake.snapshot()), "draining", None), Some(1.0));
}

#[test]
fn a_histogram_agrees_with_itself_whatever_it_is_given() {
    let mut snapshot = Fake::new(4).snapshot();
    let torn = HistogramView { buckets: vec![(0.1, 5), (f64::INFINITY, 1)], sum: 1.0, count: 9 };
    let open = HistogramView { buckets: vec![(0.1, 5)], sum: 1.0, count: 5 };
    snapshot.latencies =
        vec![(Latency::Command, torn), (Latency::Login, open), (Latency::Storage, HistogramView::default())];
    let families = scrape(snapshot);
    let histogram = &families["tidegate_latency_seconds"];
    let whats: Vec<&str> = histogram
        .samples
        .iter()
        .filter(|sample| sample.name.ends_with("_count"))
        .map(|sample| sample.labels["what"].as_str())
        .collect();
    assert_eq!(whats, ["command", "login", "storage"]);
}

#[test]
fn no_label_can_name_a_client() {
    let fake = Fake::new(100);
    for last in 0..100 {
        fake.enter(&format!("203.0.113.{last}"));
    }
    let few: usize = scrape(Fake::new(100).snapshot()).values().map(|family| family.samples.len()).sum();
    let many: usize = scrape(fake.snapshot()).values().map(|family| family.samples.len()).sum();
    assert_eq!(few, many, "the number of series does not grow with clients");
}
