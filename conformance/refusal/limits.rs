//! Which limit refuses whom, when, and with which words.

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Setup, USER};

use crate::visitor::assert_form;

/// Checks the form of a 421 (DESIGN §2.4) and returns its `retry`.
pub(crate) fn assert_refusal(line: &str, cause: &str) -> u32 {
    assert_form(line, 421, cause)
}

fn expect_refused(client: &mut Client, cause: &str) {
    let line = client.line().expect("a 421, not the end of the connection");
    assert_refusal(&line, cause);
    client.expect_eof();
}

#[test]
fn connection_over_the_limit_of_its_address() {
    let subject = Setup::with("[limits]\nconnections_per_address = 2\nconnections = 100\n").start();
    let first = Client::greeted(subject.address());
    let _second = Client::greeted(subject.address());
    let mut third = Client::connect(subject.address());
    let line = third.line().unwrap();
    assert_refusal(&line, "address-full");
    assert!(line.contains("(2 of 2)"), "{line}");
    third.expect_eof();
    // One leaves, one may enter.
    drop(first);
    greeted_at_last(subject.address());
}

/// The place of a client that left is free as soon as the server has seen it leave.
fn greeted_at_last(address: std::net::SocketAddr) -> Client {
    let until = std::time::Instant::now() + tidegate_conformance::PATIENCE;
    loop {
        let mut client = Client::connect(address);
        let reply = client.reply();
        if reply.code == 220 {
            return client;
        }
        assert!(std::time::Instant::now() < until, "still refused: {reply:?}");
    }
}

#[test]
fn connection_over_the_limit_of_the_server() {
    let subject = Setup::with("[limits]\nconnections = 1\n").start();
    let _first = Client::greeted(subject.address());
    let mut second = Client::connect(subject.address());
    expect_refused(&mut second, "server-full");
}

#[test]
fn account_and_anonymous_limits_are_said_after_the_password() {
    let setup = Setup { account: "max_connections = 1\n".into(), anonymous: false, ..Setup::default() };
    let setup = Setup {
        tables: "[anonymous]\nenabled = true\nrights = \"read-only\"\nmax_connections = 1\n".into(),
        ..setup
    };
    let subject = setup.start();
    for (user, password, cause) in [(USER, PASSWORD, "account-full"), ("anonymous", "me@", "anonymous-full")]
    {
        let first = Client::greeted(subject.address());
        let mut first = first;
        first.login(user, password);
        let mut second = Client::greeted(subject.address());
        second.command(format!("USER {user}"), 331);
        second.send(format!("PASS {password}\r\n").as_bytes());
        expect_refused(&mut second, cause);
        // The first leaves by REIN: its place as an account is free, its connection lives.
        first.command("REIN", 220);
        let mut third = Client::greeted(subject.address());
        third.login(user, password);
    }
}

#[test]
fn wrong_passwords_end_in_421() {
    let subject = Setup::default().start();
    let mut client = Client::greeted(subject.address());
    for _ in 0..2 {
        client.command(format!("USER {USER}"), 331);
        client.command("PASS wrong", 530);
    }
    client.command("USER nobody", 331);
    client.send(b"PASS wrong\r\n");
    expect_refused(&mut client, "login-failures");
    assert!(!subject.log().contains("wrong"), "a password must not reach the log:\n{}", subject.log());
}

#[test]
fn no_login_in_time() {
    let subject = Setup::with("[timeouts]\nlogin = \"1s\"\n").start();
    let mut client = Client::greeted(subject.address());
    client.command("NOOP", 200);
    expect_refused(&mut client, "login-timeout");
}

#[test]
fn nothing_said_for_too_long() {
    let subject = Setup::with("[timeouts]\nidle = \"1s\"\n").start();
    let mut client = Client::logged_in(subject.address());
    expect_refused(&mut client, "idle");
}

#[test]
fn http_is_sent_away_with_one_reply() {
    let subject = Setup::default().start();
    let mut client = Client::greeted(subject.address());
    client.send(b"GET /secret-path HTTP/1.1\r\nHost: x\r\n\r\n");
    let line = client.line().unwrap();
    assert!(line.starts_with("500 ") && !line.contains("secret-path"), "{line}");
    client.expect_eof();
}
