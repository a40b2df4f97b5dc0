//! Lines however they arrive, and one reply to each.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Subject, USER};

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
        scope.spawn(move || Write::write_all(&mut writer, &b"NOOP\r\n".repeat(100_000)).unwrap());
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

/// Sends NOOPs without end and reads the replies, until `stop` is set.
fn flood(address: std::net::SocketAddr, stop: &AtomicBool) {
    let mut client = Client::greeted(address);
    client.login(USER, PASSWORD);
    let (reader, mut writer) = (client.stream().try_clone().unwrap(), client.stream().try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut reader = reader;
            let mut bytes = vec![0; 1 << 20];
            while matches!(reader.read(&mut bytes), Ok(1..)) {}
        });
        let noops = b"NOOP\r\n".repeat(10_000);
        while !stop.load(Ordering::Relaxed) {
            writer.write_all(&noops).unwrap();
        }
        writer.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

#[test]
fn clients_that_send_without_end_do_not_hold_up_the_others() {
    let mut subject = Subject::start();
    let address = subject.address();
    let mut quiet: Vec<Client> = (0..6).map(|_| Client::logged_in(address)).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // As many as there are processors, so that each could hold one.
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| flood(address, &stop));
        }
        sleep(Duration::from_millis(300));
        let asked = Instant::now();
        for _ in 0..10 {
            for client in &mut quiet {
                client.command("NOOP", 200);
            }
        }
        drop(Client::logged_in(address));
        let took = asked.elapsed();
        stop.store(true, Ordering::Relaxed);
        // Together with the floods on this machine's few processors; a session that waits behind them takes seconds each.
        assert!(took < Duration::from_secs(3), "60 NOOPs and a login took {took:?}");
    });
    subject.terminate();
    assert!(subject.wait().success());
}

#[test]
fn long_replies_to_pipelined_commands_all_come() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    for _ in 0..19 {
        let name = "d".repeat(200);
        client.command(format!("MKD {name}"), 257);
        client.command(format!("CWD {name}"), 250);
    }
    // Far more than what a session gathers before it sends, and nothing follows that would wake it.
    client.send(&b"PWD\r\n".repeat(200));
    for _ in 0..200 {
        assert!(client.expect(257).text().len() > 3800);
    }
}
