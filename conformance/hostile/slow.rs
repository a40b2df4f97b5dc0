//! Clients that send too slowly, or take nothing (PROTOCOL A12).

use std::io::{ErrorKind, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Setup;

use crate::lab::{self, Held, survives, wait_until};
use crate::peer::stuff;

const SECOND: Duration = Duration::from_secs(1);
/// A byte a second against 30 s, scaled down with the time-outs.
const BETWEEN_BYTES: Duration = Duration::from_millis(100);
/// How late a deadline may be kept on a busy machine.
const LATE: Duration = Duration::from_secs(3);

/// Sends `text` again and again, a byte at a time, until a line comes back; returns the line and the time that took since `begun`.
fn drip(client: &mut Client, text: &[u8], begun: Instant) -> (String, Duration) {
    client.stream().set_read_timeout(Some(BETWEEN_BYTES)).unwrap();
    for byte in text.iter().cycle() {
        // The server may have closed already; its words are there to be read.
        let _ = client.stream().write_all(&[*byte]);
        match client.try_line() {
            Ok(line) => return (line.expect("a 421 before the end"), begun.elapsed()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("a reset lost the 421: {error}"),
        }
        assert!(begun.elapsed() < 10 * SECOND, "no deadline ended this");
    }
    unreachable!("the text never ends")
}

#[test]
fn a_byte_now_and_then_before_login() {
    let subject = Setup::with("[timeouts]\nlogin = \"2s\"\n").start();
    survives(&subject, "30 clients that send a byte now and then, before login", || {
        std::thread::scope(|scope| {
            for index in 0..30 {
                let subject = &subject;
                scope.spawn(move || {
                    let begun = Instant::now();
                    let mut client = Client::greeted(subject.address());
                    // Every third finishes lines; what it says is no login either.
                    if index % 3 == 0 {
                        client.command("USER tide", 331);
                        client.command("NOOP", 200);
                    }
                    let (line, took) = drip(&mut client, b"USER tide-of-", begun);
                    assert!(
                        line.starts_with("421 ") && line.contains("[cause=login-timeout retry="),
                        "{line}"
                    );
                    assert!(took + BETWEEN_BYTES >= 2 * SECOND && took < 2 * SECOND + LATE, "{took:?}");
                });
            }
            sleep(SECOND);
            lab::next_client(&subject);
        });
    });
}

#[test]
fn whole_lines_do_not_extend_the_login_either() {
    let subject = Setup::with("[timeouts]\nlogin = \"2s\"\n").start();
    survives(&subject, "a NOOP every 100 ms instead of a login", || {
        let begun = Instant::now();
        let mut client = Client::greeted(subject.address());
        let reply = loop {
            let reply = client.say("NOOP");
            if reply.code != 200 {
                break reply;
            }
            assert!(begun.elapsed() < 2 * SECOND + LATE, "the NOOPs kept it alive");
            sleep(BETWEEN_BYTES);
        };
        assert!(reply.code == 421 && reply.text().contains("[cause=login-timeout retry="), "{reply:?}");
    });
}

#[test]
fn a_line_that_is_never_finished() {
    let subject = Setup::with("[timeouts]\nidle = \"2s\"\n").start();
    survives(&subject, "30 clients with a line that never ends, after login", || {
        std::thread::scope(|scope| {
            for _ in 0..30 {
                let subject = &subject;
                scope.spawn(move || {
                    let mut client = Client::logged_in(subject.address());
                    let begun = Instant::now();
                    let (line, took) = drip(&mut client, b"NOOP-", begun);
                    assert!(line.starts_with("421 ") && line.contains("[cause=idle retry="), "{line}");
                    assert!(took + BETWEEN_BYTES >= 2 * SECOND && took < 2 * SECOND + LATE, "{took:?}");
                });
            }
        });
    });
}

/// Twenty clients that send `commands` in a deep directory and never read a reply.
fn never_read(what: &str, commands: &[u8]) {
    /// Replies under way (64 KiB and a turn's worth), lines read ahead (64 KiB), commands queued (33 KiB): about 256 KiB, twice
    /// that where a buffer has just grown. What they asked for are hundreds of megabytes.
    const HELD_KIB_A_SESSION_MAX: u64 = 512;
    const CLIENTS: u64 = 20;
    let subject = Setup::with("[timeouts]\nidle = \"3s\"\n").start();
    let mut deep = Client::logged_in(subject.address());
    for _ in 0..16 {
        deep.command(format!("MKD {}", "d".repeat(240)), 257);
        deep.command(format!("CWD {}", "d".repeat(240)), 250);
    }
    drop(deep);
    let peak = survives(&subject, what, || {
        let before = Held::by(subject.pid()).descriptors;
        let clients: Vec<Client> = (0..CLIENTS).map(|_| Client::logged_in(subject.address())).collect();
        let way = format!("CWD /{}\r\n", format!("{}/", "d".repeat(240)).repeat(16));
        let taken: Vec<usize> = std::thread::scope(|scope| {
            let stuff = |client| {
                Write::write_all(&mut Client::stream(client), way.as_bytes()).unwrap();
                stuff(client, &commands.repeat(1000))
            };
            let stuffing: Vec<_> = clients.iter().map(|client| scope.spawn(move || stuff(client))).collect();
            stuffing.into_iter().map(|stuffing| stuffing.join().unwrap()).collect()
        });
        let next = lab::next_client(&subject);
        println!("bytes of commands taken a client: {taken:?}; next client meanwhile {next:.1?}");
        // The idle time-out ends them although their 421 cannot be said; then the server holds nothing for them.
        wait_until("the sessions of clients that never read end", || {
            Held::by(subject.pid()).descriptors <= before
        });
    });
    assert!(peak <= CLIENTS * HELD_KIB_A_SESSION_MAX, "{peak} KiB for {CLIENTS} sessions");
}

#[test]
fn clients_that_never_read() {
    never_read("20 clients that never read", b"PWD\r\nFEAT\r\nSYST\r\n");
}

#[test]
fn clients_that_never_read_what_storage_answers() {
    never_read("20 clients that never read what storage answers", b"STAT /\r\nCWD .\r\nLIST x\r\n");
}
