//! What the gate decides, as a client hears it: each wiring once; the rules themselves are the engine's tests.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use tidegate_server::view::Doing;
use tidegate_server::{Limits, PortChoice, Rate};
use tidegate_types::Cause;
use tokio::net::TcpSocket;

use super::support::{Client, House, PASSWORD, Setup, soon};

fn with(change: impl FnOnce(&mut Limits)) -> Setup {
    let mut limits = Limits::new(100);
    limits.trusted = tidegate_admission::Networks::default();
    change(&mut limits);
    Setup { limits, ..Setup::default() }
}

/// Connects from another address of loopback.
async fn from(address: &str, to: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    Client::over(soon("a connection", socket.connect(to)).await.unwrap())
}

/// Nothing is watched.
pub(crate) const NO_OVERLOAD: tidegate_admission::Overload = tidegate_admission::Overload {
    memory_percent: None,
    descriptors_percent: None,
    scheduling_delay: None,
    cpu_pressure_percent: None,
    storage_latency: None,
};

pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn refused(house: &House, cause: Cause) -> u64 {
    house.handle.snapshot().refused.iter().find(|(other, _)| *other == cause).unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_denied_reads_530_or_nothing() {
    let house = with(|limits| limits.deny = ["127.0.0.5/32".parse().unwrap()].into_iter().collect()).start();
    let said = from("127.0.0.5", house.address).await.rest().await;
    assert_eq!(said, "530 Your address may not use this server [cause=denied]\r\n");
    house.visit().await;
    assert_eq!(refused(&house, Cause::Denied), 1);
    let house = with(|limits| {
        limits.deny = ["127.0.0.5/32".parse().unwrap()].into_iter().collect();
        limits.deny_silent = true;
    })
    .start();
    assert_eq!(from("127.0.0.5", house.address).await.rest().await, "");
    assert_eq!(refused(&house, Cause::Denied), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_let_in_when_a_place_frees_or_told_when_it_is_over() {
    let house = with(|limits| {
        limits.connections = 1;
        limits.waiting_room.hold = Duration::from_millis(1_500);
    })
    .start();
    let mut inside = house.visit().await;
    let mut waiting = Client::connect(house.address).await;
    until("a place in the waiting room", || house.handle.snapshot().gate.waiting == 1).await;
    inside.expect("QUIT", "221").await;
    assert_eq!(waiting.reply().await, "220 tidegate ready\r\n");
    // The next one waits in vain.
    let mut late = Client::connect(house.address).await;
    let said = late.rest().await;
    assert!(said.starts_with("421 The server is full (1 of 1)"), "{said}");
    // One who goes away leaves no place taken behind.
    let gone = Client::connect(house.address).await;
    until("a place in the waiting room", || house.handle.snapshot().gate.waiting == 1).await;
    drop(gone);
    until("nobody waits", || house.handle.snapshot().gate.waiting == 0).await;
    assert_eq!(house.handle.snapshot().gate.counters.cancelled, 1);
    waiting.expect("NOOP", "200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_gives_its_place_to_a_newcomer_of_its_account() {
    let house = Setup {
        account_connections_max: Some(1),
        ..with(|limits| limits.reclaim = tidegate_admission::Reclaim::Dead)
    }
    .start();
    let login = |mut client: Client| async move {
        client.expect("USER tide", "331").await;
        client.send(format!("PASS {PASSWORD}\r\n")).await;
        client
    };
    let mut first = login(house.visit().await).await;
    first.hear("230").await;
    let mut second = login(house.visit().await).await;
    assert!(second.rest().await.contains("[cause=account-full "), "nobody is dead");
    drop(first);
    let mut third = login(house.visit().await).await;
    third.hear("230").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_without_a_place_is_450_and_the_session_goes_on() {
    let house = with(|limits| limits.transfers = Some(1)).start();
    house.files.put("/big", vec![7; 64 << 20]);
    let mut first = house.enter().await;
    let running = first.transfer("RETR big").await;
    let mut second = house.enter().await;
    second.expect("EPSV", "229").await;
    let said = second.expect("RETR big", "450").await;
    assert!(said.starts_with("450 Too many transfers are under way (1 of 1); try again in "), "{said}");
    assert!(said.contains("[cause=transfers-full retry="), "{said}");
    second.expect("NOOP", "200").await;
    drop(running);
    first.hear("426").await;
    let mut data = second.transfer("NLST").await;
    data.rest().await;
    second.hear("226").await;
    // A file that does not exist gives its place back.
    second.expect("EPSV", "229").await;
    second.expect("RETR nosuch", "550").await;
    let snapshot = house.handle.snapshot();
    assert_eq!((snapshot.gate.transfers.in_use, snapshot.gate.transfers.limit), (0, Some(1)));
    assert_eq!(refused(&house, Cause::TransfersFull), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_free_port_425_says_when_to_try_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let house = Setup { passive_ports: PortChoice::Range(port..=port), ..with(|_| {}) }.start();
    let mut first = house.enter().await;
    first.expect("EPSV", "229").await;
    let mut second = house.enter().await;
    let said = second.expect("PASV", "425").await;
    assert!(said.contains("; try again in ") && said.contains("[cause=data-ports retry="), "{said}");
    assert_eq!(house.handle.snapshot().passive_ports, (1, 1));
    first.expect("QUIT", "221").await;
    until("the port", || house.handle.snapshot().passive_ports == (0, 1)).await;
    second.expect("EPSV", "229").await;
    assert_eq!(refused(&house, Cause::DataPorts), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_ban_a_name_from_an_address_and_no_other() {
    let house = with(|limits| {
        let period = Duration::from_mins(5);
        limits.login_failures =
            Some(tidegate_admission::LoginFailures { count: NonZeroU32::new(2).unwrap(), period });
    })
    .start();
    let mut client = house.visit().await;
    client.expect("USER camera", "331").await;
    client.expect("PASS wrong", "530").await;
    client.expect("USER camera", "331").await;
    client.send("PASS wrong\r\n").await;
    let said = client.rest().await;
    assert!(said.starts_with("421 Too many failed logins; try again in "), "{said}");
    // The ban began up to a second before this is said.
    let retries = ["[cause=login-failures retry=59]", "[cause=login-failures retry=60]"];
    assert!(retries.iter().any(|retry| said.contains(retry)), "{said}");
    // The name is banned before its password is looked at; others are not.
    let mut again = house.visit().await;
    again.expect("USER camera", "331").await;
    again.send("PASS anything\r\n").await;
    assert!(again.rest().await.contains("cause=login-failures"));
    let mut other = house.visit().await;
    other.expect("USER tide", "331").await;
    other.expect(&format!("PASS {PASSWORD}"), "230").await;
    assert_eq!(
        house.handle.snapshot().logins,
        [("accepted", 1), ("denied", 2), ("banned", 1), ("unavailable", 0)]
    );
    assert_eq!(house.handle.bans(0, 10).bans.len(), 1);
    assert_eq!(*house.handle.bans_changed().borrow(), 1);
    assert_eq!(house.handle.unban("127.0.0.1".parse().unwrap()), 1);
    assert!(house.handle.bans(0, 10).bans.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the time is what is tested")]
async fn a_failed_login_takes_a_second_whoever_it_is() {
    let house = with(|_| {}).start();
    for name in ["tide", "nobody", "anonymous\u{1}"] {
        let mut client = house.visit().await;
        client.expect(&format!("USER {name}"), "331").await;
        let since = tokio::time::Instant::now();
        client.expect("PASS wrong", "530").await;
        let took = since.elapsed();
        let late = took.as_millis() % 1_000;
        assert!(took >= Duration::from_secs(1) && late < 500, "{name}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_come_too_fast_end_the_session() {
    let setup = Setup { command_rate: Rate::new(20, Duration::from_secs(10)), ..with(|_| {}) };
    let house = setup.start();
    let mut client = house.enter().await;
    client.send("NOOP\r\n".repeat(50)).await;
    let said = client.rest().await;
    assert!(
        said.ends_with(
            "421 Commands came too fast; try again in 60 seconds [cause=command-flood retry=60]\r\n"
        )
    );
    assert_eq!(said.matches("200 OK.").count(), 17, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_that_are_not_logged_in_are_refused_and_logging_out_counts() {
    let house = with(|limits| limits.connections_unauthenticated = Some(1)).start();
    let mut first = house.enter().await;
    let second = house.visit().await;
    let said = Client::connect(house.address).await.rest().await;
    assert!(said.contains("[cause=unauthenticated-full retry=30]"), "{said}");
    first.send("REIN\r\n").await;
    let said = first.rest().await;
    assert!(said.starts_with("220 ") && said.contains("[cause=unauthenticated-full "), "{said}");
    drop(second);
    until("the place", || house.handle.snapshot().gate.unauthenticated.in_use == 0).await;
    house.visit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shadow_limits_count_and_refuse_nobody() {
    let house = with(|limits| limits.shadow.connections_per_address = Some(1)).start();
    let _first = house.visit().await;
    let _second = house.visit().await;
    assert_eq!(house.handle.snapshot().gate.counters.shadowed.of(Cause::AddressFull), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_does_can_be_seen() {
    let house = with(|_| {}).start();
    house.files.put("/big", vec![7; 64 << 20]);
    let mut client = house.enter().await;
    let data = client.transfer("RETR big").await;
    client.expect("STAT", "211").await;
    let views = house.handle.sessions(0, 10);
    let [view] = &views[..] else { panic!("{views:?}") };
    assert_eq!(view.account.as_deref(), Some("anonymous"));
    let Doing::Moving(moving) = &view.doing else { panic!("{view:?}") };
    assert_eq!((moving.path.as_str(), moving.verb.as_str()), ("/big", "download"));
    assert!(moving.bytes > 0 && view.bytes_sent == moving.bytes && view.bytes_received == 0, "{view:?}");
    drop(data);
    client.hear("426").await;
    until("rest", || house.handle.session(view.id).unwrap().doing == Doing::Idle).await;
    assert!(house.handle.sessions(view.id, 10).is_empty());
    let snapshot = house.handle.snapshot();
    let said =
        |code| snapshot.replies.iter().find(|(other, _)| *other == code).map_or(0, |(_, count)| *count);
    assert_eq!([said(220), said(230), said(226), said(426)], [1, 1, 0, 1]);
    assert!(snapshot.latencies.iter().all(|(_, histogram)| histogram.buckets.len() == 16));
}
