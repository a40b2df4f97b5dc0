//! SIGTERM: nothing under way is cut, nobody new comes in, the process ends with 0.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Barrier;
use std::thread;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};
use tidegate_conformance::tree::Noise;

use crate::limits::assert_refusal;

const EACH: usize = 8;
const BYTES: usize = 24 << 20;

#[test]
fn cuts_no_transfer() {
    let mut subject = Setup::with("[timeouts]\nshutdown = \"60s\"\n").start();
    let content = Noise(7).bytes(BYTES);
    std::fs::write(subject.home.join("big"), &content).unwrap();
    let under_way = Barrier::new(2 * EACH + 1);
    thread::scope(|scope| {
        for index in 0..EACH {
            let (subject, content, under_way) = (&subject, &content, &under_way);
            scope.spawn(move || upload(subject, index, content, under_way));
            scope.spawn(move || download(subject, content, under_way));
        }
        under_way.wait();
        subject.terminate();
    });
    for index in 0..EACH {
        assert!(
            std::fs::read(subject.home.join(format!("up{index}"))).unwrap() == content,
            "up{index} differs"
        );
    }
    let status = subject.wait();
    assert!(status.success(), "{status}: {}", subject.log());
}

/// Sends half, waits until all are half-way and SIGTERM is on its way, sends the rest.
fn upload(subject: &Subject, index: usize, content: &[u8], under_way: &Barrier) {
    let mut client = Client::logged_in(subject.address());
    let mut data = client.passive();
    client.command(format!("STOR up{index}"), 150);
    let (first, second) = content.split_at(content.len() / 2);
    data.write_all(first).unwrap();
    under_way.wait();
    wait_until_draining(subject);
    data.write_all(second).unwrap();
    data.shutdown(Shutdown::Write).unwrap();
    client.expect(226);
    assert_refusal(&client.line().expect("a 421 after the 226"), "draining");
    client.expect_eof();
}

fn download(subject: &Subject, content: &[u8], under_way: &Barrier) {
    let mut client = Client::logged_in(subject.address());
    let mut data = client.passive();
    client.command("RETR big", 150);
    let mut bytes = vec![0; content.len() / 2];
    data.read_exact(&mut bytes).unwrap();
    under_way.wait();
    wait_until_draining(subject);
    data.read_to_end(&mut bytes).unwrap();
    assert!(bytes == content, "the download differs");
    client.expect(226);
    assert_refusal(&client.line().expect("a 421 after the 226"), "draining");
    client.expect_eof();
}

fn wait_until_draining(subject: &Subject) {
    while Client::connect(subject.address()).reply().code != 421 {}
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
