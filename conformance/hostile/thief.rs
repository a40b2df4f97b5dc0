//! Somebody else on the data port (PROTOCOL A3).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;
use tidegate_conformance::tree::Noise;

use crate::lab::survives;
use crate::peer::connect_from;

const THIEF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
const ROUNDS: usize = 50;

/// What the thief has got so far.
#[derive(Default)]
struct Loot {
    connections: AtomicUsize,
    bytes: AtomicUsize,
}

impl Loot {
    /// Connects to `port`, tries to plant bytes and to read some.
    fn steal(&self, port: SocketAddr) {
        let Ok(mut stream) = connect_from(THIEF, port) else { return };
        self.connections.fetch_add(1, Ordering::Relaxed);
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let _ = stream.write_all(b"planted by a stranger");
        let mut bytes = [0; 4096];
        if let Ok(count) = stream.read(&mut bytes) {
            self.bytes.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_thief_that_is_always_there_first() {
    let subject = Subject::start();
    let content = Noise(3).bytes(500_000);
    std::fs::write(subject.home.join("secret"), &content).unwrap();
    let (loot, target, stop) = (Loot::default(), Mutex::new(None), AtomicBool::new(false));
    survives(&subject, "a thief on every data port", || {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let port: Option<SocketAddr> = *target.lock().unwrap();
                    match port {
                        Some(port) => loot.steal(port),
                        None => std::thread::yield_now(),
                    }
                }
            });
            let mut client = Client::logged_in(subject.address());
            let mut slowest = Duration::ZERO;
            for round in 0..ROUNDS {
                let begun = Instant::now();
                let port = client.passive_address();
                *target.lock().unwrap() = Some(port);
                loot.steal(port); // for certain before the client, beside the one in a loop
                let mut data = TcpStream::connect(port).expect("a data connection");
                data.set_read_timeout(Some(tidegate_conformance::PATIENCE)).unwrap();
                if round % 2 == 0 {
                    client.command("RETR secret", 150);
                    let mut bytes = Vec::new();
                    data.read_to_end(&mut bytes).unwrap();
                    assert!(bytes == content, "round {round}: {} bytes", bytes.len());
                } else {
                    client.command("STOR copy", 150);
                    data.write_all(&content).unwrap();
                    data.shutdown(Shutdown::Write).unwrap();
                }
                client.expect(226);
                slowest = slowest.max(begun.elapsed());
                *target.lock().unwrap() = None;
                assert!(round % 2 == 0 || std::fs::read(subject.home.join("copy")).unwrap() == content);
            }
            stop.store(true, Ordering::Relaxed);
            println!("the slowest of {ROUNDS} transfers took {slowest:.1?}");
        });
    });
    let (connections, bytes) = (loot.connections.into_inner(), loot.bytes.into_inner());
    println!("{connections} connections of the thief, {bytes} bytes got");
    assert!(connections >= ROUNDS, "the thief was not there");
    assert_eq!(bytes, 0);
}
