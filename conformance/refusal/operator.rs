//! What an operator orders: `drain` with all its words, `resume`.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tidegate_conformance::client::Client;

use crate::house::{House, wait_for};
use crate::visitor::{HERE, Sent, assert_form, client_from, last_words, refused, visit};

#[test]
fn at_the_deadline_the_rest_is_cut() {
    let mut house = House::with("");
    let mut client = Client::logged_in(house.address());
    let _data = client.passive();
    client.command("STOR never-finished", 150);
    let ordered = Instant::now();
    house.ask(&["drain", "--no-wait", "--deadline", "2s"]);
    client.expect(426);
    let cut = ordered.elapsed();
    assert!((1800..4000).contains(&cut.as_millis()), "cut after {cut:?}");
    assert_eq!(last_words(&mut client, "draining"), 1, "the announced end is now");
    assert_eq!(house.wait().code(), Some(0), "{}", house.log());
    assert!(!house.home().join("never-finished").exists());
    let log = house.log();
    let summary = log.lines().rev().find(|line| line.contains("ended")).expect("a summary");
    assert!(summary.contains("\"cut\":1"), "{summary}");
}

/// The command stays until the server has ended. The door stays open for a while although nobody is inside: a balancer sees
/// readiness turn false, a client reads a line.
#[test]
fn the_command_waits_for_the_end() {
    let mut house = House::with("");
    std::thread::scope(|scope| {
        let house = &house;
        let began = Instant::now();
        let command = scope.spawn(move || (house.run(&["drain", "--deadline", "4s"]), began.elapsed()));
        wait_for("the drain", || {
            client_from(HERE, house.address()).line().expect("a line").starts_with("421 ").then_some(())
        });
        assert_eq!(house.http("/readyz").0, 503);
        assert_eq!(house.http("/healthz").0, 200, "it is alive");
        let ((code, said, log), took) = command.join().unwrap();
        assert_eq!(code, Some(0), "{said}{log}");
        assert!((3500..8000).contains(&took.as_millis()), "it ended after {took:?}");
    });
    assert_eq!(house.wait().code(), Some(0));
}

#[test]
fn resume_ends_a_drain() {
    let house = House::with("");
    let mut busy = Client::logged_in(house.address());
    let mut data = busy.passive();
    busy.command("STOR a", 150);
    let mut idle = Client::logged_in(house.address());
    house.drain_and_stay("5m");
    last_words(&mut idle, "draining");
    refused(HERE, house.address(), "draining");
    assert_eq!(house.http("/readyz").0, 503);
    let answer = house.ask(&["resume"]);
    assert_eq!(answer["ready"], true, "{answer:#}");
    assert_eq!(house.http("/readyz").0, 200);
    assert!(house.status()["drain"].is_null());
    let mut next = Client::logged_in(house.address());
    next.command("NOOP", 200);
    // Who was inside all the time may stay: nothing is over for it.
    data.write_all(b"whole").unwrap();
    drop(data);
    busy.expect(226);
    busy.command("NOOP", 200);
    assert_eq!(next.download("RETR a"), b"whole");
    let (code, said, log) = house.run(&["resume"]);
    assert_eq!(code, Some(1), "there is no drain to end: {said}{log}");
}

#[test]
fn a_planned_drain_begins_when_it_said() {
    let mut house = House::with("");
    let mut inside = Client::logged_in(house.address());
    let planned = Instant::now();
    let answer = house.ask(&["drain", "--no-wait", "--at", "+3s", "--deadline", "1s"]);
    assert_eq!(answer["begun"], false, "{answer:#}");
    assert_eq!(house.http("/readyz").0, 200, "until then all is as ever");
    Client::greeted(house.address()).command("NOOP", 200);
    // A plan is given up, and made again.
    house.ask(&["resume"]);
    assert!(house.status()["drain"].is_null());
    house.ask(&["drain", "--no-wait", "--at", "+3s", "--deadline", "2s"]);
    let begins = house.status()["drain"]["begins_in_seconds"].as_f64().expect("a number");
    // `--at` is in whole seconds of the clock.
    assert!((0.0..=4.0).contains(&begins), "{begins}");
    inside.command("NOOP", 200);
    let retry = last_words(&mut inside, "draining");
    let began = planned.elapsed();
    assert!((2500..6000).contains(&began.as_millis()) && retry <= 2, "{began:?} retry={retry}");
    refused(HERE, house.address(), "draining");
    assert!(house.wait().success());
}

#[test]
fn clients_read_the_message_and_the_announced_end() {
    let house = House::with("");
    let message = "Disks are replaced";
    house.ask(&["drain", "--no-wait", "--stay", "--deadline", "10m", "--message", message]);
    for sent in Sent::ALL {
        let text = visit(HERE, house.address(), sent);
        let retry = assert_form(text.trim_end(), 421, "draining");
        assert!((590..=600).contains(&retry), "{text}");
        let whole = format!(
            "421 The server is shutting down: {message}; try again in {retry} seconds [cause=draining retry={retry}]\r\n"
        );
        assert_eq!(text, whole);
    }
    assert_eq!(house.status()["drain"]["message"], message);
    // A second order replaces the first, its message too.
    house.ask(&["drain", "--no-wait", "--stay", "--deadline", "1m"]);
    let retry = refused(HERE, house.address(), "draining");
    assert!((50..=60).contains(&retry), "{retry}");
    assert!(!visit(HERE, house.address(), Sent::Nothing).contains(message));
}

/// What would mislead clients or break the line is not said.
#[test]
fn a_bad_message_begins_nothing() {
    let house = House::with("");
    for message in ["Too many connections", "gr\u{fc}\u{df}e", "two\nlines"] {
        let (code, said, log) = house.run(&["drain", "--no-wait", "--message", message]);
        assert!(matches!(code, Some(1 | 2)), "{message:?}: {code:?} {said}{log}");
        Client::greeted(house.address());
    }
    assert!(house.status()["drain"].is_null());
}

/// `--stay` keeps the door open until the deadline, and then the server ends.
#[test]
fn a_maintenance_window_ends_at_its_deadline() {
    let mut house = House::with("");
    let ordered = Instant::now();
    house.drain_and_stay("3s");
    let mut last = Instant::now();
    wait_for("the end", || {
        match std::net::TcpStream::connect(house.address()) {
            Ok(stream) => match Client::from_stream(stream).try_line() {
                Ok(Some(line)) => {
                    assert_form(&line, 421, "draining");
                    last = Instant::now();
                    None
                }
                // Between the end of the door and the end of the process.
                _ => None,
            },
            Err(_) => Some(()),
        }
    });
    let open = last.duration_since(ordered);
    assert!((2000..4500).contains(&open.as_millis()), "421 was said for {open:?}");
    assert_eq!(house.wait().code(), Some(0));
    assert!(ordered.elapsed() < Duration::from_secs(8));
}

/// Nobody is inside and nobody comes: the door is open for ten seconds all the same, so that balancers see readiness turn false.
#[test]
fn without_stay_the_door_is_open_for_ten_seconds() {
    let mut house = House::with("");
    let ordered = Instant::now();
    house.ask(&["drain", "--no-wait", "--deadline", "60s"]);
    let (mut last, mut refusals) = (ordered, 0);
    loop {
        let told = std::net::TcpStream::connect(house.address())
            .map(|stream| Client::from_stream(stream).try_line());
        let Ok(Ok(Some(line))) = told else { break };
        assert_form(&line, 421, "draining");
        (last, refusals) = (Instant::now(), refusals + 1);
        if ordered.elapsed() < Duration::from_secs(9) {
            assert_eq!(house.http("/readyz").0, 503);
        }
        assert!(ordered.elapsed() < Duration::from_secs(20), "the door stays open");
        std::thread::sleep(Duration::from_millis(50));
    }
    let open = last.duration_since(ordered);
    assert!(
        (9_000..14_000).contains(&open.as_millis()) && refusals > 20,
        "421 was said {refusals} times in {open:?}"
    );
    assert_eq!(house.wait().code(), Some(0), "{}", house.log());
}

/// What a signal began is the end of the process: systemd waits for it.
#[test]
fn a_drain_by_sigterm_is_not_resumed() {
    let mut house = House::with("[timeouts]\nshutdown = \"5m\"\n");
    let (mut busy, mut data) = uploading(&house);
    house.signal(Signal::TERM);
    wait_for("the drain", || (!house.status()["drain"].is_null()).then_some(()));
    let (code, said, log) = house.run(&["resume"]);
    assert_eq!(code, Some(1), "{said}{log}");
    refused(HERE, house.address(), "draining");
    assert_eq!(house.http("/readyz").0, 503);
    data.write_all(b"whole").unwrap();
    drop(data);
    busy.expect(226);
    last_words(&mut busy, "draining");
    assert_eq!(house.wait().code(), Some(0), "{}", house.log());
}

/// An operator drains, then the service is stopped: that is the first SIGTERM, and nothing is cut before its time.
#[test]
fn one_sigterm_behind_a_drain_cuts_nothing() {
    let mut house = House::with("[timeouts]\nshutdown = \"5m\"\n");
    let (mut busy, mut data) = uploading(&house);
    house.ask(&["drain", "--no-wait", "--stay", "--deadline", "4m"]);
    refused(HERE, house.address(), "draining");
    house.signal(Signal::TERM);
    // Once the signal is seen nothing can be resumed any more.
    wait_for("the signal", || (house.run(&["resume"]).0 == Some(1)).then_some(()));
    data.write_all(b"first").unwrap();
    busy.command("STAT", 211);
    refused(HERE, house.address(), "draining");
    data.write_all(b" and last").unwrap();
    drop(data);
    busy.expect(226);
    last_words(&mut busy, "draining");
    assert_eq!(house.wait().code(), Some(0), "{}", house.log());
    assert_eq!(std::fs::read(house.home().join("a")).unwrap(), b"first and last");
    let log = house.log();
    let summary = log.lines().rev().find(|line| line.contains("ended")).expect("a summary");
    assert!(summary.contains("\"cut\":0") && summary.contains("\"completed\":1"), "{summary}");
}

/// Returns a session in the middle of `STOR a`.
fn uploading(house: &House) -> (Client, std::net::TcpStream) {
    let mut client = Client::logged_in(house.address());
    let data = client.passive();
    client.command("STOR a", 150);
    (client, data)
}
