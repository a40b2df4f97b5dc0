//! SIGTERM and Ctrl-C: idle sessions leave, the deadline cuts, a second one hurries, the process ends with 0. That nothing under way
//! is cut before is in `timings`.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

use crate::limits::assert_refusal;

/// How long the end may take once everything is to be cut; more than any machine's load, less than any timeout here.
const SOON: Duration = Duration::from_secs(10);

/// Waits until a new client is refused, at most `PATIENCE`: the drain has begun.
pub(crate) fn wait_until_draining(subject: &Subject) {
    let until = Instant::now() + PATIENCE;
    while Client::connect(subject.address()).reply().code != 421 {
        assert!(Instant::now() < until, "no drain has begun; the log says:\n{}", subject.log());
    }
}

#[test]
fn idle_sessions_hear_of_it_at_once() {
    let mut subject = Subject::start();
    let mut idle = Client::logged_in(subject.address());
    let mut before_login = Client::greeted(subject.address());
    subject.terminate();
    for client in [&mut idle, &mut before_login] {
        assert_refusal(&client.line().expect("a 421"), "draining");
        client.expect_eof();
    }
    assert!(subject.wait().success());
}

#[test]
fn at_the_deadline_the_rest_is_cut_with_426_and_421() {
    let mut subject = Setup::with("[timeouts]\nshutdown = \"1s\"\n").start();
    let mut client = Client::logged_in(subject.address());
    let _data = client.passive();
    client.command("STOR never-finished", 150);
    subject.terminate();
    client.expect(426);
    assert_refusal(&client.line().expect("a 421 after the 426"), "draining");
    client.expect_eof();
    assert!(subject.wait().success());
    assert!(!subject.home.join("never-finished").exists());
}

#[test]
fn a_second_sigterm_hurries() {
    the_second_hurries(Signal::TERM);
}

#[test]
fn a_second_ctrl_c_hurries() {
    the_second_hurries(Signal::INT);
}

/// The first signal lets a transfer go on for as long as it likes; the second cuts it.
fn the_second_hurries(signal: Signal) {
    let mut subject = Setup::with("[timeouts]\nshutdown = \"10m\"\n").start();
    let mut client = Client::logged_in(subject.address());
    let mut data = client.passive();
    client.command("STOR never-finished", 150);
    subject.signal(signal);
    wait_until_draining(&subject);
    data.write_all(b"still going").unwrap();
    client.command("STAT", 211);
    let second = Instant::now();
    subject.signal(signal);
    client.expect(426);
    assert_refusal(&client.line().expect("a 421 after the 426"), "draining");
    client.expect_eof();
    let status = subject.wait();
    assert_eq!(status.code(), Some(0), "{status}: {}", subject.log());
    assert!(second.elapsed() < SOON, "it took {:?}", second.elapsed());
    assert!(!subject.home.join("never-finished").exists());
}
