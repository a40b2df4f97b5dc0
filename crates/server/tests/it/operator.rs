//! What an operator asks and orders.

use std::time::Duration;

use tidegate_admission::Outcome;
use tidegate_server::view::{DrainOrder, Reconfiguration, Subject};
use tidegate_server::{Extras, Limits, Timeouts};
use tidegate_types::{AccountName, Cause};

use super::support::{Client, Setup, accounts, soon};

const LONG: Duration = Duration::from_mins(1);

fn order(deadline: Duration) -> DrainOrder {
    DrainOrder { deadline, ..DrainOrder::default() }
}

/// Returns a configuration that differs in everything.
pub(crate) fn reconfiguration(limits: Limits) -> Reconfiguration {
    Reconfiguration {
        greeting: "hello again".into(),
        timeouts: Timeouts { login: LONG, idle: LONG, data_open: LONG, data_stall: LONG },
        limits,
        accounts: accounts(Some(1)),
        extras: Extras::NONE,
        mode_z: false,
        file_bytes_max: None,
        command_rate: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kick_cuts_the_transfer_and_says_so() {
    let house = Setup::default().start();
    house.files.put("/big", vec![7; 64 << 20]);
    let mut client = house.enter().await;
    let _data = client.transfer("RETR big").await;
    let id = house.handle.sessions(0, 1)[0].id;
    assert!(!house.handle.kick(id + 1, 5), "there is no such session");
    assert!(house.handle.kick(id, 90));
    client.hear("426").await;
    assert_eq!(
        client.rest().await,
        "421 An operator ended the session; try again in 90 seconds [cause=kicked retry=90]\r\n"
    );
    let summary = house.end().await;
    assert_eq!((summary.transfers_cut, summary.transfers_failed, summary.sessions_killed), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_says_what_the_next_connection_will_hear() {
    let mut limits = Limits::new(100);
    limits.connections_per_address = Some(2);
    let house = Setup { limits, account_connections_max: Some(1), ..Setup::default() }.start();
    let address = "127.0.0.1".parse().unwrap();
    let mut holder = house.enter().await;
    let why = house.handle.why(&Subject::Address(address));
    assert_eq!(why.answers[0].1.outcome, Outcome::Admit);
    let _second = house.visit().await;
    let why = house.handle.why(&Subject::Address(address));
    assert_eq!(
        (why.answers[0].1.outcome, why.answers[0].1.cause),
        (Outcome::Refuse, Some(Cause::AddressFull))
    );
    assert_eq!((why.held, why.holders.len()), (2, 2));
    assert_eq!(why.holders[0].account.as_deref(), Some("anonymous"));
    assert!(Client::connect(house.address).await.rest().await.contains("cause=address-full"));
    holder.expect("QUIT", "221").await;
    let account = |name: &str| Subject::Account { account: Some(AccountName(name.into())), from: None };
    let why = house.handle.why(&account("tide"));
    assert_eq!((why.answers[0].1.outcome, why.account_exists), (Outcome::Admit, Some(true)));
    assert_eq!(house.handle.why(&account("nobody")).account_exists, Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_is_planned_begins_speaks_and_is_called_off() {
    let house = Setup::default().start();
    let mut idle = house.enter().await;
    let plan = DrainOrder { delay: LONG, message: Some("new disks".into()), ..order(LONG) };
    let view = house.handle.drain_with(&plan).unwrap();
    assert!(view.begins_in > LONG / 2 && house.handle.is_ready(), "{view:?}");
    assert!(house.handle.resume() && !house.handle.resume(), "once");
    idle.expect("NOOP", "200").await;

    let view = house.handle.drain_with(&DrainOrder { delay: Duration::ZERO, ..plan }).unwrap();
    assert_eq!((view.begins_in, house.handle.is_ready()), (Duration::ZERO, false));
    let said = idle.rest().await;
    assert!(said.starts_with("421 The server is shutting down: new disks; try again in "), "{said}");
    let said = Client::connect(house.address).await.rest().await;
    assert!(said.contains(": new disks; try again in ") && said.contains("[cause=draining retry="), "{said}");
    assert!(house.handle.resume() && house.handle.is_ready());
    let mut back = house.enter().await;
    back.expect("NOOP", "200").await;
    assert_eq!(house.handle.drain_view(), None);
    let bad = DrainOrder { message: Some("Too many connections".into()), ..order(LONG) };
    assert!(house.handle.drain_with(&bad).is_err());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_by_an_operator_keeps_the_door_open_and_sigterm_ends_it() {
    let house = Setup::default().start();
    house.handle.drain_with(&DrainOrder { stay: true, ..order(LONG) }).unwrap();
    assert!(Client::connect(house.address).await.rest().await.contains("cause=draining"));
    // Nobody is inside: SIGTERM need not wait for the deadline.
    let summary = house.end().await;
    assert_eq!((summary.sessions_served, summary.refused), (0, 1));
    assert!(house.handle.drain_with(&order(LONG)).is_err());
    assert!(!house.handle.resume());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_drain_ends_at_its_deadline() {
    let house = Setup::default().start();
    let mut idle = house.enter().await;
    house.handle.drain_with(&order(Duration::from_millis(300))).unwrap();
    assert!(idle.rest().await.contains("cause=draining"));
    soon("the end", house.handle.finished()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_configuration_drops_nobody() {
    let house = Setup::default().start();
    let mut inside = house.enter().await;
    house.handle.reconfigure(reconfiguration(Limits::new(1)));
    inside.expect("NOOP", "200").await;
    assert!(Client::connect(house.address).await.rest().await.contains("cause=server-full"));
    inside.expect("QUIT", "221").await;
    let mut next = loop {
        let mut next = Client::connect(house.address).await;
        let said = next.reply().await;
        if said.starts_with("220") {
            assert_eq!(said, "220 hello again\r\n");
            break next;
        }
    };
    next.expect("USER anonymous", "331").await;
    next.expect("PASS x", "230").await;
    next.expect("MODE Z", "504").await;
}
