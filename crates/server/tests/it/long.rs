//! Jobs that take minutes, in a time that is moved by hand.

use std::time::Duration;

use tidegate_server::Timeouts;
use tokio::time::advance;

use crate::support::{Client, House, PASSWORD, Setup};

/// Keeps paused time from running ahead while only sockets are waited for.
struct Still {
    _ends_with: std::sync::mpsc::Sender<()>,
}

impl Still {
    fn begin() -> Self {
        let (ends_with, end) = std::sync::mpsc::channel::<()>();
        // Time does not move by itself while a thread works.
        tokio::task::spawn_blocking(move || end.recv());
        Self { _ends_with: ends_with }
    }
}

/// A house in paused time with a directory whose removal waits for a permit, and a client inside.
async fn house() -> (House, Client) {
    let long = Duration::from_hours(2);
    let timeouts = Timeouts { login: long, idle: long, data_open: long, data_stall: long };
    let house = Setup { timeouts, ..Setup::default() }.start();
    house.files.put_directory("/slow");
    let client = house.enter().await;
    (house, client)
}

/// Lets time pass, half a second by half a second; everybody may do what is due.
async fn pass(secs: u64) {
    for _ in 0..2 * secs {
        advance(Duration::from_millis(500)).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

fn has_said_nothing(client: &Client) {
    let mut bytes = [0; 100];
    let said =
        client.stream.try_read(&mut bytes).map(|count| String::from_utf8_lossy(&bytes[..count]).into_owned());
    assert_eq!(said.map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
}

async fn begin(client: &mut Client) {
    client.send("RMDA slow\r\n").await;
    // Until the job has begun, which nothing tells from outside: it has by far, once the loop has turned so often.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_job_is_waited_for_as_long_as_it_goes_on() {
    let _still = Still::begin();
    let (house, mut client) = house().await;
    begin(&mut client).await;
    // Ten times the time in which storage must answer.
    pass(590).await;
    has_said_nothing(&client);
    house.files.commits.add_permits(1);
    client.hear("250").await;
    client.expect("CWD slow", "550").await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_hangs_is_given_up() {
    let _still = Still::begin();
    let (house, mut client) = house().await;
    begin(&mut client).await;
    pass(600).await;
    has_said_nothing(&client);
    pass(70).await;
    client.hear("451").await;
    // The job was dropped: its permit is nobody's.
    house.files.commits.add_permits(1);
    assert_eq!(house.files.commits.available_permits(), 1);
    client.expect("CWD slow", "250").await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_takes_a_place_of_its_account() {
    let _still = Still::begin();
    let (house, mut client) = house().await;
    house.files.put("/a", b"abc".to_vec());
    begin(&mut client).await;
    // On a larger machine an account has several places.
    let places = std::thread::available_parallelism().map_or(1, |count| (count.get() / 2).max(2) / 2);
    let mut others = Vec::new();
    for _ in 1..places {
        let mut other = house.enter().await;
        begin(&mut other).await;
        others.push(other);
    }
    let mut same = house.enter().await;
    same.send("HASH a\r\n").await;
    pass(9).await;
    has_said_nothing(&same);
    pass(2).await;
    same.hear("450").await;
    let mut stranger = house.visit().await;
    stranger.expect("USER tide", "331").await;
    stranger.expect(&format!("PASS {PASSWORD}"), "230").await;
    stranger.expect("HASH a", "213").await;
    house.files.commits.add_permits(1);
    client.hear("250").await;
    same.expect("HASH a", "213").await;
}

#[tokio::test(start_paused = true)]
async fn a_job_ends_at_once_when_its_client_is_gone_however_much_waits_behind_it() {
    let _still = Still::begin();
    let (house, mut client) = house().await;
    begin(&mut client).await;
    // More than is queued.
    client.send("PWD\r\n".repeat(300)).await;
    drop(client);
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.handle.snapshot().sessions, 0);
    // The job was dropped: its permit is nobody's.
    house.files.commits.add_permits(1);
    assert_eq!(house.files.commits.available_permits(), 1);
}

#[tokio::test]
async fn a_copy_that_is_given_up_in_its_commit_is_not_published() {
    let house = Setup::default().start();
    house.files.put("/a", b"abc".to_vec());
    let mut client = house.enter().await;
    for is_given_up in [true, false] {
        client.send("SITE COPY a slow\r\n").await;
        // Until the commit has begun, as in `begin`.
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        if is_given_up {
            client.send("ABOR\r\n").await;
            client.hear("450").await;
            client.hear("226").await;
        }
        house.files.commits.add_permits(1);
        // The commit has got it, and ends as soon as it runs.
        assert_eq!(house.files.commits.available_permits(), 0);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        if is_given_up {
            assert_eq!(house.files.get("/slow"), None);
        } else {
            client.hear("200").await;
            assert_eq!(house.files.get("/slow"), Some(b"abc".to_vec()));
        }
    }
}
