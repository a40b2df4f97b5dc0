//! The text arrives: 1,000 of 1,000, also when the client has already sent much (DESIGN §2.6).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Setup;

use crate::drain::wait_until_draining;
use crate::limits::assert_refusal;

/// Clients at a time; as many as cores would do, more makes the races denser.
const THREADS: usize = 8;
const CLIENTS: usize = 1000;

/// What a client has sent before it reads.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Nothing,
    Much,
}

/// Connects, sends, and reads to the end. Any error, a reset above all, fails.
fn visit(address: SocketAddr, sent: Sent) -> String {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    if let Sent::Much = sent {
        let mut bytes = b"USER tide\r\nPASS secret\r\n".to_vec();
        bytes.resize(bytes.len() + 60_000, b'x');
        stream.write_all(&bytes).unwrap_or_else(|error| panic!("sending with {sent:?}: {error}"));
    }
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .unwrap_or_else(|error| panic!("reading with {sent:?} after {text:?}: {error}"));
    text
}

fn a_thousand(address: SocketAddr, cause: &str) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for index in (thread..CLIENTS).step_by(THREADS) {
                    let text = visit(address, if index % 2 == 0 { Sent::Nothing } else { Sent::Much });
                    let line = text.strip_suffix("\r\n").expect("a whole line");
                    assert_refusal(line, cause);
                }
            });
        }
    });
}

#[test]
fn over_the_limit() {
    let subject = Setup::with("[limits]\nconnections_per_address = 1\n").start();
    let mut inside = Client::logged_in(subject.address());
    a_thousand(subject.address(), "address-full");
    inside.command("NOOP", 200);
}

#[test]
fn during_shutdown() {
    let subject = Setup::with("[timeouts]\nshutdown = \"60s\"\n").start();
    let mut inside = Client::logged_in(subject.address());
    let mut upload = inside.passive();
    inside.command("STOR a", 150);
    subject.terminate();
    wait_until_draining(&subject);
    a_thousand(subject.address(), "draining");
    upload.write_all(b"still here").unwrap();
    drop(upload);
    inside.expect(226);
    assert_refusal(&inside.line().unwrap(), "draining");
    inside.expect_eof();
}

#[test]
fn idle_session() {
    let subject = Setup::with("[timeouts]\nidle = \"2s\"\n").start();
    let address = subject.address();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                // All log in first and then fall silent together, half of them in the middle of a long line.
                let mut clients: Vec<Client> = (0..CLIENTS / THREADS)
                    .map(|index| {
                        let mut client = Client::logged_in(address);
                        if (index + thread) % 2 == 1 {
                            client.send(&vec![b'x'; 60_000]);
                        }
                        client
                    })
                    .collect();
                for client in &mut clients {
                    client.stream().set_read_timeout(Some(PATIENCE + Duration::from_secs(10))).unwrap();
                    assert_refusal(&client.line().expect("a 421"), "idle");
                    client.expect_eof();
                }
            });
        }
    });
}
