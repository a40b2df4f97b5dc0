//! What a review found and must not come back.

use std::time::Duration;

use tidegate_admission::{Level, Reclaim};
use tidegate_server::Limits;
use tidegate_server::view::DrainOrder;
use tidegate_types::SignalKind;
use tokio::io::AsyncWriteExt;

use super::support::{Client, Setup, soon};

const LONG: Duration = Duration::from_mins(1);

/// Returns the load of the storage signal, in thousandths of what closes the house.
fn storage_load(house: &super::support::House) -> (u32, Level) {
    let gauges = house.handle.snapshot().gate.gauges;
    let gauge = gauges.iter().find(|gauge| gauge.kind == SignalKind::StorageLatency).unwrap();
    (gauge.load_permille, gauge.level)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_makes_no_storage_look_slow() {
    let mut limits = Limits::new(100);
    limits.overload.storage_latency = Some(Duration::from_secs(2));
    let house = Setup { limits, ..Setup::default() }.start();
    for number in 0..500 {
        house.files.put(&format!("/{number}"), "");
    }
    let mut client = house.enter().await;
    let lines = b"STAT /\r\n".repeat(1000);
    let patience = Duration::from_millis(300);
    while tokio::time::timeout(patience, client.stream.write_all(&lines)).await.is_ok_and(|sent| sent.is_ok())
    {
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (load, level) = storage_load(&house);
    assert!(load < 500 && level == Level::Calm, "{load} thousandths, {level:?}");
    house.visit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_to_end_is_not_called_off() {
    let house = Setup::default().start();
    let mut client = house.enter().await;
    let mut data = client.transfer("STOR slow").await;
    data.send(b"x").await;
    house.handle.drain(LONG);
    assert!(!house.handle.resume(), "a signal began it");
    let order = DrainOrder { deadline: LONG * 60, stay: true, ..DrainOrder::default() };
    assert!(house.handle.drain_with(&order).is_err());
    assert!(house.handle.drain_view().is_some_and(|drain| drain.ends_in <= LONG));
    house.handle.hurry();
    soon("the end", house.handle.finished()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_end_of_a_replaced_drain_counts_no_more() {
    let house = Setup::default().start();
    house.files.put("/big", vec![7; 64 << 20]);
    let mut client = house.enter().await;
    let mut data = client.transfer("RETR big").await;
    let order = |millis| DrainOrder { deadline: Duration::from_millis(millis), ..DrainOrder::default() };
    house.handle.drain_with(&order(300)).unwrap();
    house.handle.drain_with(&order(60_000)).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(data.rest().await.len(), 64 << 20, "the first end is not this one's");
    client.hear("226").await;
    house.handle.drain(Duration::ZERO);
    soon("the end", house.handle.finished()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_transfer_is_not_reclaimed_because_idleness_was_not_looked_at_before() {
    let mut limits = Limits::new(100);
    limits.connections_per_address = Some(1);
    let house = Setup { limits: limits.clone(), ..Setup::default() }.start();
    house.files.put("/big", vec![7; 64 << 20]);
    let mut client = house.enter().await;
    let mut data = client.transfer("RETR big").await;
    limits.reclaim = Reclaim::Idle;
    house.handle.reconfigure(super::operator::reconfiguration(limits));
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    let said = Client::connect(house.address).await.rest().await;
    assert!(said.contains("cause=address-full"), "{said}");
    assert_eq!(data.rest().await.len(), 64 << 20);
    client.hear("226").await;
    client.expect("NOOP", "200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pressure_that_is_switched_off_shortens_nothing_any_more() {
    let mut limits = Limits::new(100);
    limits.overload = tidegate_admission::Overload { memory_percent: Some(1), ..super::gate::NO_OVERLOAD };
    let long = Duration::from_secs(12);
    let timeouts = tidegate_server::Timeouts { login: LONG, idle: long, data_open: LONG, data_stall: LONG };
    let house = Setup { limits: limits.clone(), timeouts, ..Setup::default() }.start();
    let mut client = house.enter().await;
    super::gate::until("pressure", || house.handle.snapshot().gate.level == Level::Full).await;
    limits.overload = super::gate::NO_OVERLOAD;
    house.handle.reconfigure(super::operator::reconfiguration(limits));
    // A quarter of the idle time is over; all of it is not.
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.expect("NOOP", "200").await;
}
