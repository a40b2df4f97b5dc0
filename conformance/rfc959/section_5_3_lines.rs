//! Lines however they arrive, and one reply to each.

use std::thread::sleep;
use std::time::Duration;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;

#[test]
fn cr_and_lf_in_separate_segments() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    for piece in [&b"NO"[..], b"OP\r", b"\n"] {
        client.send(piece);
        sleep(Duration::from_millis(30)); // so that they are segments of their own
    }
    client.expect(200);
    client.send(b"NOOP\n");
    client.expect(200);
}

#[test]
fn one_reply_to_each_line_in_order() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.send(b"PWD\r\n\r\nSYST\r\n NOOP\r\nFROB\r\nNOOP\r\n");
    let codes: Vec<u16> = (0..6).map(|_| client.reply().code).collect();
    assert_eq!(codes, [257, 500, 215, 500, 500, 200]);
    client.send(&[&vec![b'A'; 60_000][..], b"\r\nNOOP\r\n"].concat());
    client.expect(500);
    client.expect(200);
}

#[test]
fn no_line_end_at_all() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.send(&vec![b'A'; 70_000]);
    client.expect(500);
    client.expect_eof();
}

#[test]
fn a_hundred_thousand_commands_in_one_write() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    let mut writer = client.stream().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::Write::write_all(&mut writer, &b"NOOP\r\n".repeat(100_000)).unwrap());
        for _ in 0..100_000 {
            client.expect(200);
        }
    });
    client.command("PWD", 257);
}

#[test]
fn telnet_bytes_are_taken_out() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.send(b"\xff\xfd\x06NOOP\r\n\xff\xf4\xff\xf2NO\xff\xf1OP\r\n");
    client.expect(200);
    client.expect(200);
}
