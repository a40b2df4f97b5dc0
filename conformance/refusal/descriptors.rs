//! Descriptors used up: never a spin, and 421 is still said (PROTOCOL A21), whole and to everybody.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

use crate::house::wait_for;
use crate::visitor::{HERE, Sent, visit, whole_line};

/// More connections are allowed than there are descriptors: the limit must not help.
fn with_64_descriptors(limits: &str) -> Subject {
    let tables = format!("[limits]\nconnections = 10000\n{limits}[timeouts]\nlogin = \"5m\"\n");
    Setup { shell: Some("ulimit -n 64".into()), ..Setup::with(&tables) }.start()
}

/// Connects until somebody is refused; returns those who were greeted.
fn use_up(subject: &Subject) -> Vec<Client> {
    let mut held = Vec::new();
    let until = Instant::now() + PATIENCE;
    loop {
        let mut client = Client::connect(subject.address());
        let reply = client.reply();
        if reply.code != 220 {
            whole_line(&format!("{}\r\n", reply.text()), "overloaded");
            return held;
        }
        held.push(client);
        assert!(held.len() < 100 && Instant::now() < until, "{} are held with 64 descriptors", held.len());
    }
}

/// All four kinds, several at a time: more than the one descriptor that is kept for refusals.
#[test]
fn every_kind_of_client_reads_its_whole_line() {
    const THREADS: usize = 4;
    const EACH: usize = 50;
    let denied = Ipv4Addr::new(127, 0, 0, 66);
    let subject = with_64_descriptors("deny = [\"127.0.0.66\"]\n");
    let mut inside = Client::logged_in(subject.address());
    let held = use_up(&subject);
    assert!(held.len() >= 20, "{} held", held.len());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let to = subject.address();
            scope.spawn(move || {
                for index in thread..thread + EACH {
                    whole_line(&visit(HERE, to, Sent::of(index)), "overloaded");
                    // Who may never come is told that, and not to come again.
                    if index % 5 == 0 {
                        whole_line(&visit(denied, to, Sent::of(index / 5)), "denied");
                    }
                }
            });
        }
    });
    inside.command("NOOP", 200);
}

#[test]
fn used_up_descriptors_still_say_421_and_never_spin() {
    let subject = with_64_descriptors("");
    let mut inside = Client::logged_in(subject.address());
    let held = use_up(&subject);
    assert!(held.len() >= 20, "{} held", held.len());
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
    wait_for("a place", || {
        let mut client = Client::connect(subject.address());
        (client.reply().code == 220).then(|| client.command("QUIT", 221))
    });
    inside.stream().flush().unwrap();
    assert_eq!(inside.download("NLST"), b"");
}
