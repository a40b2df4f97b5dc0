//! One session from greeting to end, over real sockets.

use std::time::Duration;

use crate::support::{Client, PASSWORD, Setup, soon};
use tidegate_server::{Limits, Timeouts};
use tokio::io::AsyncWriteExt;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn greets_logs_in_and_says_goodbye() {
    let house = Setup::default().start();
    let mut client = house.visit().await;
    client.expect("SYST", "215").await;
    client.expect("PWD", "530").await;
    client.expect("USER tide", "331").await;
    client.expect("PASS wrong", "530").await;
    client.expect("USER tide", "331").await;
    client.expect(&format!("PASS {PASSWORD}"), "230").await;
    client.expect("PWD", "257 \"/\"").await;
    client.expect("QUIT", "221").await;
    assert_eq!(client.rest().await, "");
    let summary = house.end().await;
    assert_eq!((summary.sessions_served, summary.sessions_killed), (1, 0));
    assert_eq!(house.handle.snapshot().logins[..2], [("accepted", 1), ("denied", 1)]);
}

#[tokio::test]
async fn pipelined_lines_before_an_end_of_sending_are_all_answered() {
    let house = Setup::default().start();
    let mut client = house.visit().await;
    client.send("USER anonymous\r\nPASS x\r\nNOOP\r\nPWD\r\nCWD /nowhere\r\nNOOP\r\n").await;
    client.stream.shutdown().await.unwrap();
    let said = client.rest().await;
    let codes: Vec<_> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["331", "230", "200", "257", "550", "200"], "{said}");
}

#[tokio::test]
async fn silence_before_and_after_login_ends_with_421() {
    let timeouts = Timeouts { login: SHORT, idle: SHORT * 2, data_open: LONG, data_stall: LONG };
    let house = Setup { timeouts, ..Setup::default() }.start();
    let mut silent = house.visit().await;
    let mut idle = house.enter().await;
    let said = silent.rest().await;
    assert!(said.starts_with("421 ") && said.ends_with("[cause=login-timeout retry=1]\r\n"), "{said}");
    let said = idle.rest().await;
    assert!(said.starts_with("421 ") && said.ends_with("[cause=idle retry=1]\r\n"), "{said}");
}

#[tokio::test]
async fn a_client_that_keeps_talking_before_login_does_not_stay() {
    let timeouts = Timeouts { login: SHORT * 2, idle: LONG, data_open: LONG, data_stall: LONG };
    let house = Setup { timeouts, ..Setup::default() }.start();
    let mut client = house.visit().await;
    let last = loop {
        client.send("NOOP\r\n").await;
        let reply = client.reply().await;
        if !reply.starts_with("200") {
            break reply;
        }
    };
    assert!(last.contains("cause=login-timeout"), "{last}");
}

#[tokio::test]
async fn the_refused_reads_its_whole_line_and_the_end_however_much_it_sent() {
    let limits = Limits::new(1);
    let house = Setup { limits, ..Setup::default() }.start();
    let mut first = house.enter().await;
    for _ in 0..50 {
        let mut refused = Client::connect(house.address).await;
        let mut noise = b"USER tide\r\nPASS secret\r\n".to_vec();
        noise.resize(noise.len() + 60_000, b'x');
        refused.send(noise).await;
        let said = refused.rest().await;
        assert!(said.starts_with("421 The server is full (1 of 1); try again in "), "{said}");
        assert!(said.contains("[cause=server-full retry=") && said.ends_with("]\r\n"), "{said}");
    }
    first.expect("NOOP", "200").await;
    first.expect("QUIT", "221").await;
    assert_eq!(first.rest().await, "");
    // The place is free as soon as the session has ended, even while its socket lingers.
    house.visit().await;
    let refused = house.handle.snapshot().refused.iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(refused, 50);
}

#[tokio::test]
async fn one_connection_too_many_of_an_account_is_refused_after_pass() {
    let house = Setup { account_connections_max: Some(1), ..Setup::default() }.start();
    let mut first = house.visit().await;
    first.expect("USER tide", "331").await;
    first.expect(&format!("PASS {PASSWORD}"), "230").await;
    let mut second = house.visit().await;
    second.expect("USER tide", "331").await;
    second.send(format!("PASS {PASSWORD}\r\n")).await;
    let said = second.rest().await;
    assert!(said.starts_with("421 Too many connections of this account (1 of 1)"), "{said}");
    // The first logs out: its place is free at once.
    first.expect("REIN", "220").await;
    let mut third = house.visit().await;
    third.expect("USER tide", "331").await;
    third.expect(&format!("PASS {PASSWORD}"), "230").await;
}

#[tokio::test]
async fn what_is_not_ftp_is_closed() {
    let house = Setup::default().start();
    let mut client = house.visit().await;
    let stream = &mut client.stream;
    // The server may close before it has read all of it.
    let _ = soon("room", stream.write_all(&vec![b'x'; 65 * 1024])).await;
    let said = client.rest().await;
    assert!(said.starts_with("500 "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn a_client_that_never_reads_is_not_read_from_for_ever() {
    let house = Setup::default().start();
    let mut client = house.enter().await;
    let noops = b"NOOP\r\n".repeat(10_000);
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), client.stream.write(&noops)).await {
        sent += written.unwrap();
        assert!(sent < 256 << 20, "the server reads without end");
    }
    house.visit().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_gone_after_the_idle_time() {
    let timeouts = Timeouts { login: LONG, idle: SHORT * 2, data_open: LONG, data_stall: LONG };
    let house = Setup { timeouts, ..Setup::default() }.start();
    for number in 0..1000 {
        house.files.put(&format!("/{number}"), "");
    }
    let mut client = house.enter().await;
    let lines = b"STAT /\r\n".repeat(1000);
    while tokio::time::timeout(SHORT, client.stream.write_all(&lines)).await.is_ok_and(|sent| sent.is_ok()) {}
    soon("the session's end", async {
        while house.handle.snapshot().sessions > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_its_replies_slowly_stays() {
    let timeouts = Timeouts { login: LONG, idle: SHORT * 4, data_open: LONG, data_stall: LONG };
    let house = Setup { timeouts, ..Setup::default() }.start();
    for number in 0..1000 {
        house.files.put(&format!("/{number}"), "");
    }
    let mut client = house.enter().await;
    client.send(b"STAT /\r\n".repeat(500)).await;
    client.send("SYST\r\n").await;
    // 30 MB in 3 s: longer than the idle time.
    for round in 0..500 {
        client.hear("212").await;
        if round % 25 == 0 {
            tokio::time::sleep(SHORT * 3 / 4).await;
        }
    }
    client.hear("215").await;
}

#[tokio::test]
async fn a_listening_address_in_use_is_told() {
    let house = Setup::default().start();
    let taken = std::panic::AssertUnwindSafe(|| Setup { listen: house.address, ..Setup::default() }.start());
    let panicked = std::panic::catch_unwind(taken).err().unwrap();
    let text = panicked.downcast_ref::<String>().unwrap();
    assert!(text.contains("InUse"), "{text}");
}
