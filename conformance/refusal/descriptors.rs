//! Descriptors used up: never a spin, and 421 is still said (PROTOCOL A21).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Setup;

use crate::limits::assert_refusal;

#[test]
fn used_up_descriptors_still_say_421_and_never_spin() {
    // More connections are allowed than there are descriptors: the limit must not help.
    let setup =
        Setup { shell: Some("ulimit -n 64".into()), ..Setup::with("[limits]\nconnections = 10000\n") };
    let subject = setup.start();
    let mut inside = Client::logged_in(subject.address());
    let mut held = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        let mut stream = TcpStream::connect_timeout(&subject.address(), PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut first = [0; 4];
        stream.read_exact(&mut first).expect("the first bytes of an answer");
        match &first {
            b"220 " => held.push(stream),
            b"421 " => {
                let mut rest = String::new();
                stream.read_to_string(&mut rest).expect("the rest of the line, then the end");
                assert_refusal(&format!("421 {}", rest.trim_end()), "overloaded");
                refused += 1;
            }
            other => panic!("answered {:?}", other.escape_ascii().to_string()),
        }
    }
    assert!(refused >= 40 && held.len() >= 20, "{} held, {refused} refused", held.len());
    // Clients that connect and do not read keep the descriptors used up; the server must not burn a core over it.
    let waiting: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect_timeout(&subject.address(), PATIENCE).unwrap()).collect();
    let (cpu, wall) = (subject.cpu_seconds(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let share = (subject.cpu_seconds() - cpu) / wall.elapsed().as_secs_f64();
    assert!(share < 0.05, "{:.1} % CPU while descriptors are used up", share * 100.0);
    inside.command("NOOP", 200);
    // And it recovers.
    drop((held, waiting));
    let until = Instant::now() + PATIENCE;
    loop {
        let mut client = Client::connect(subject.address());
        if client.reply().code == 220 {
            client.send(b"QUIT\r\n");
            client.expect(221);
            break;
        }
        assert!(Instant::now() < until, "it does not recover");
    }
    inside.stream().flush().unwrap();
    assert_eq!(inside.download("NLST"), b"");
}
