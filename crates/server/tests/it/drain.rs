//! The end of a server.

use std::time::Duration;

use crate::support::{Client, Data, House, Setup, soon};
use tokio::io::AsyncWriteExt;

const BYTES: usize = 16 << 20;

/// A transfer in its middle: the control connection and the data connection.
async fn begun(house: &House, number: usize, upload: bool) -> (Client, Data) {
    let mut client = house.enter().await;
    let mut data = client.narrow_data().await;
    if upload {
        client.expect(&format!("STOR up-{number}"), "150").await;
        data.send(&vec![1; BYTES / 2]).await;
    } else {
        client.expect("RETR big", "150").await;
    }
    // 150 is said a moment before its transfer begins and is counted; this is answered after that.
    let stat = client.expect("STAT", "211").await;
    assert!(stat.contains(if upload { "Receiving file" } else { "Sending file" }), "{stat}");
    (client, data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_cuts_no_transfer() {
    let house = Setup { kernel: true, ..Setup::default() }.start();
    house.files.put("/big", vec![7; BYTES]);
    let mut idle = house.enter().await;
    let mut transfers = Vec::new();
    for number in 0..8 {
        transfers.push(begun(&house, number, false).await);
        transfers.push(begun(&house, number, true).await);
    }
    assert_eq!(house.handle.snapshot().transfers, 16);
    house.handle.drain(Duration::from_mins(1));
    let said = idle.rest().await;
    assert!(said.contains("[cause=draining retry="), "{said}");
    let said = Client::connect(house.address).await.rest().await;
    assert!(said.starts_with("421 ") && said.contains("[cause=draining retry="), "{said}");
    let retry: u64 = said.split("retry=").nth(1).unwrap().split(']').next().unwrap().parse().unwrap();
    assert!((50..=60).contains(&retry), "{said}");
    for (at, (mut client, mut data)) in transfers.into_iter().enumerate() {
        if at % 2 == 0 {
            assert_eq!(data.rest().await.len(), BYTES);
        } else {
            data.send(&vec![1; BYTES / 2]).await;
            drop(data);
        }
        client.hear("226").await;
        let said = client.rest().await;
        assert!(said.starts_with("421 ") && said.contains("cause=draining"), "{said}");
    }
    let summary = soon("the end", house.handle.finished()).await;
    let ends = (summary.transfers_completed, summary.transfers_failed, summary.transfers_cut);
    assert_eq!((ends, summary.sessions_killed), ((16, 0, 0), 0));
    for number in 0..8 {
        assert_eq!(house.files.get(&format!("/up-{number}")).unwrap().len(), BYTES);
    }
    assert!(tokio::net::TcpStream::connect(house.address).await.is_err(), "the door is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deadline_cuts_what_still_runs_and_says_so() {
    let house = Setup::default().start();
    house.files.put("/big", vec![7; 64 << 20]);
    let (mut reader, _unread) = begun(&house, 0, false).await;
    let (mut writer, _unfinished) = begun(&house, 0, true).await;
    house.handle.drain(Duration::from_millis(100));
    for client in [&mut reader, &mut writer] {
        client.hear("426").await;
        let said = client.rest().await;
        assert!(said.starts_with("421 ") && said.contains("cause=draining"), "{said}");
    }
    let summary = soon("the end", house.handle.finished()).await;
    assert_eq!((summary.transfers_completed, summary.transfers_cut, summary.sessions_killed), (0, 2, 0));
    assert_eq!(house.files.get("/up-0"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hurry_ends_a_long_drain() {
    let house = Setup::default().start();
    let (mut writer, _unfinished) = begun(&house, 0, true).await;
    house.handle.drain(Duration::from_mins(10));
    assert!(house.handle.drain_view().is_some_and(|drain| drain.transfers == 1));
    house.handle.hurry();
    writer.hear("426").await;
    let summary = soon("the end", house.handle.finished()).await;
    assert_eq!((summary.sessions_served, summary.transfers_cut), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_ends_does_not_keep_the_server() {
    let house = Setup::default().start();
    let mut client = house.enter().await;
    let mut data = client.transfer("STOR slow").await;
    data.send(b"x").await;
    // The server closes its end when it has read ours, and commits.
    data.0.shutdown().await.unwrap();
    assert_eq!(data.rest().await, b"");
    house.handle.hurry();
    let summary = soon("the end", house.handle.finished()).await;
    assert_eq!((summary.sessions_killed, summary.transfers_cut), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_server_ends_at_once() {
    let house = Setup::default().start();
    let summary = house.end().await;
    assert_eq!((summary.sessions_served, summary.refused), (0, 0));
}
