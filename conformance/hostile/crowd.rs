//! Thousands at once: connections that say nothing, sessions that take all data ports.

use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

use crate::lab::{self, Held, survives};
use crate::peer::{connect_from, first_line};

const CROWD: usize = 5000;
/// What this process and the server open besides.
const DESCRIPTORS_BESIDE: u64 = 200;

/// Lets this process, and the servers it starts, open as many descriptors as the system allows.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let needed = CROWD as u64 + DESCRIPTORS_BESIDE;
    assert!(most >= needed, "this test needs {needed} descriptors, the hard limit is {most} (ulimit -Hn)");
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).unwrap();
}

/// Connects `CROWD` clients from many addresses and returns them when all have their greeting.
fn gather(subject: &Subject) -> Vec<TcpStream> {
    let mut crowd = Vec::with_capacity(CROWD);
    for index in 0..CROWD {
        let source = Ipv4Addr::new(127, 0, 0, u8::try_from(2 + index % 200).unwrap());
        crowd.push(connect_from(source, subject.address()).expect("a connection"));
    }
    for client in &crowd {
        let line = first_line(client).expect("a greeting");
        assert!(line.starts_with("220 "), "{line}");
    }
    crowd
}

#[test]
fn five_thousand_that_say_nothing() {
    raise_descriptor_limit();
    let login = Duration::from_secs(8);
    let tables = format!("[limits]\nconnections = {}\n[timeouts]\nlogin = \"8s\"\n", CROWD + 10);
    let subject = Setup::with(&tables).start();
    let peak = survives(&subject, "5,000 that say nothing, until their login time is over", || {
        let before = Held::by(subject.pid());
        let begun = Instant::now();
        let crowd = gather(&subject);
        let greeted = begun.elapsed();
        assert!(greeted < login, "they must all be there at the same time: {greeted:?}");
        let held = Held::by(subject.pid());
        assert!(held.descriptors >= before.descriptors + CROWD, "{held}");
        let bytes = (held.alone_kib - before.alone_kib) * 1024 / CROWD as u64;
        let next = lab::next_client(&subject);
        println!("all greeted after {greeted:.1?}, {bytes} bytes each; next client beside them {next:.1?}");
        for client in &crowd {
            let line = first_line(client).expect("a 421 before the end");
            assert!(line.starts_with("421 ") && line.contains("[cause=login-timeout retry="), "{line}");
        }
        println!("all told to go after {:.1?}", begun.elapsed());
        assert!(begun.elapsed() < greeted + login + PATIENCE / 4);
    });
    // DESIGN's figure for a session is about 6 KiB; 16 KiB a head is the alarm.
    assert!(peak < CROWD as u64 * 16, "{peak} KiB");
    survives(&subject, "5,000 that say nothing and leave", || {
        let crowd = gather(&subject);
        lab::next_client(&subject);
        drop(crowd);
    });
}

#[test]
fn a_thousand_sessions_hoard_data_ports() {
    // Below the ports that the system and other servers choose from, and another hundred in each process.
    let low = 20_000 + 100 * u16::try_from(std::process::id() % 100).unwrap();
    let tables = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\npassive_ports = \"{low}-{}\"\n[limits]\nconnections = 1100\n[timeouts]\nidle = \"10s\"\n",
        low + 99
    );
    raise_descriptor_limit();
    let subject = Setup { listen: vec![], tables, ..Setup::default() }.start_with_addresses(1);
    survives(&subject, "1,000 sessions ask for one of 100 data ports", || {
        let mut hoarders: Vec<Client> = (0..1000).map(|_| Client::logged_in(subject.address())).collect();
        let mut leased = 0;
        for client in &mut hoarders {
            let reply = client.say("PASV");
            if reply.code == 227 {
                leased += 1;
            } else {
                assert!(reply.code == 425 && reply.text().contains("[cause=data-ports"), "{reply:?}");
            }
            // A second one takes the place of the first: one port a session.
            assert_eq!(client.say("EPSV").code == 229, reply.code == 227);
        }
        println!("{leased} of 1000 leased a port");
        assert!((90..=100).contains(&leased), "{leased} of 100 ports");
        // Another user waits until a port is given back. A lease that nobody uses ends after a minute (unit-tested on the
        // session machine's own clock); here the idle time-out of the hoarders comes first.
        let begun = Instant::now();
        let mut other = Client::logged_in(subject.address());
        while other.say("EPSV").code != 229 {
            assert!(begun.elapsed() < Duration::from_secs(15), "no port for others");
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("another user got a port after {:.1?}", begun.elapsed());
    });
}
