//! The text arrives: 1,000 of 1,000 for every cause at the door, whatever the client has already sent (DESIGN §2.6).

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Setup, USER};

use crate::drain::wait_until_draining;
use crate::house::{House, Plan, wait_for};
use crate::visitor::{
    HERE, Sent, client_from, connect_from, greeted_from, last_words, refused, visit, whole_line,
};

/// Clients at a time; as many as cores would do, more makes the races denser.
const THREADS: usize = 8;
const CLIENTS: usize = 1000;
/// One that loopback tests do not use for anything else.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// A thousand clients come from `source`, a quarter of each kind; each must read the whole line and then the end. Returns the
/// smallest and the largest retry.
fn a_thousand(source: Ipv4Addr, to: SocketAddr, cause: &str) -> (u32, u32) {
    let visitor = |thread: usize| -> Vec<u32> {
        let mine = (thread..CLIENTS).step_by(THREADS);
        mine.map(|index| whole_line(&visit(source, to, Sent::of(index)), cause)).collect()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || visitor(thread))).collect();
        let told: Vec<u32> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(told.len(), CLIENTS);
        (*told.iter().min().unwrap(), *told.iter().max().unwrap())
    })
}

/// As [`a_thousand`], and all of them are counted under their cause, and told in the log: a line a second, whose counts add up.
fn a_thousand_counted(house: &House, source: Ipv4Addr, cause: &str) -> (u32, u32) {
    let (before, (lines_before, _), began) = (house.refused(cause), house.logged(cause), Instant::now());
    let told = a_thousand(source, house.address(), cause);
    assert_eq!(house.refused(cause) - before, 1000, "counted under {cause}");
    let metric = house.metric("tidegate_refusals_total", &[&format!("cause=\"{cause}\"")]);
    assert_eq!(metric, house.refused(cause), "status and metrics agree on {cause}");
    assert_eq!(house.status()["unspoken"], 0, "all have read their line");
    // What is left of a burst is told a second after the line before.
    let lines = wait_for("lines that stand for all", || {
        let (lines, stand_for) = house.logged(cause);
        (stand_for == before + 1000).then_some(lines - lines_before)
    });
    let seconds = began.elapsed().as_secs();
    assert!(lines as u64 <= seconds + 2, "{lines} lines in {seconds} s: at most one a second");
    told
}

#[test]
fn denied() {
    let house = House::with("[limits]\ndeny = [\"127.0.0.66\"]\n");
    let mut inside = Client::logged_in(house.address());
    a_thousand_counted(&house, STRANGER, "denied");
    inside.command("NOOP", 200);
}

#[test]
fn banned() {
    let house = House::with("[limits]\ntrusted = []\n");
    house.ban(STRANGER, "10m");
    let (least, most) = a_thousand_counted(&house, STRANGER, "banned");
    assert!((540..=600).contains(&least) && (540..=600).contains(&most), "retry {least} to {most}");
    Client::logged_in(house.address()).command("NOOP", 200);
}

#[test]
fn draining_by_order() {
    let house = House::with("");
    let mut busy = Client::logged_in(house.address());
    let _data = busy.passive();
    busy.command("STOR a", 150);
    house.drain_and_stay("5m");
    let (least, most) = a_thousand_counted(&house, HERE, "draining");
    assert!((240..=300).contains(&least) && (240..=300).contains(&most), "retry {least} to {most}");
}

#[test]
fn draining_by_sigterm() {
    let subject = Setup::with("[timeouts]\nshutdown = \"60s\"\n").start();
    let mut inside = Client::logged_in(subject.address());
    let mut upload = inside.passive();
    inside.command("STOR a", 150);
    subject.terminate();
    wait_until_draining(&subject);
    a_thousand(HERE, subject.address(), "draining");
    upload.write_all(b"still here").unwrap();
    drop(upload);
    inside.expect(226);
    last_words(&mut inside, "draining");
}

#[test]
fn overloaded() {
    // A server has more than ten descriptors open from its start.
    let plan = Plan::with("[limits]\nconnections = 500\n[overload]\ndescriptors = \"1%\"\n");
    let house = Plan { shell: Some("ulimit -n 1000".into()), ..plan }.start();
    wait_for("the first refusal", || (client_from(HERE, house.address()).reply().code == 421).then_some(()));
    a_thousand_counted(&house, HERE, "overloaded");
}

#[test]
fn rate() {
    let house = House::with("[limits]\nconnection_rate_per_address = \"1/10m\"\n");
    let mut inside = greeted_from(STRANGER, house.address());
    let (least, most) = a_thousand_counted(&house, STRANGER, "rate");
    assert!((540..=600).contains(&least) && (540..=600).contains(&most), "retry {least} to {most}");
    inside.command("NOOP", 200);
}

#[test]
fn address_full() {
    let house = House::with("[limits]\nconnections_per_address = 1\n");
    let mut inside = Client::logged_in(house.address());
    a_thousand_counted(&house, HERE, "address-full");
    inside.command("NOOP", 200);
    // Others have an address of their own.
    greeted_from(STRANGER, house.address()).command("NOOP", 200);
}

#[test]
fn unauthenticated_full() {
    let house = House::with("[limits]\nconnections_unauthenticated = 1\n[timeouts]\nlogin = \"2m\"\n");
    let mut inside = Client::logged_in(house.address());
    let mut holder = greeted_from(HERE, house.address());
    let (least, most) = a_thousand_counted(&house, HERE, "unauthenticated-full");
    assert!(least >= 120 && most <= 300, "retry {least} to {most} of a login timeout of 120 s");
    inside.command("NOOP", 200);
    // Who logs in leaves that pool.
    holder.login(USER, PASSWORD);
    greeted_from(HERE, house.address());
}

#[test]
fn listener_full() {
    let house = Plan { listener: "connections = 1\n".into(), ..Plan::default() }.start();
    let mut inside = Client::logged_in(house.address());
    a_thousand_counted(&house, STRANGER, "listener-full");
    inside.command("NOOP", 200);
}

#[test]
fn server_full() {
    let house = House::with("[limits]\nconnections = 1\n");
    let mut inside = Client::logged_in(house.address());
    a_thousand_counted(&house, STRANGER, "server-full");
    inside.command("NOOP", 200);
}

/// Not a byte, and the end. To who has sent something the kernel may tell it by a reset: there is no text that could be lost.
fn is_closed_silently(source: Ipv4Addr, to: SocketAddr, sent: Sent) -> bool {
    let mut stream = connect_from(source, to);
    let wrote = stream.write_all(&sent.bytes());
    let may_be_reset = |error: &std::io::Error| {
        sent != Sent::Nothing && matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
    };
    match (wrote, stream.read(&mut [0; 1])) {
        (Err(error), _) | (Ok(()), Err(error)) => may_be_reset(&error),
        (Ok(()), Ok(count)) => count == 0,
    }
}

#[test]
fn who_is_closed_silently_reads_not_a_byte() {
    let house = House::with(
        "[limits]\ndeny = [\"127.0.0.67\"]\ndeny_silent = true\ntrusted = []\nban = { silent = true }\n",
    );
    house.ban(STRANGER, "10m");
    for (source, cause) in [(Ipv4Addr::new(127, 0, 0, 67), "denied"), (STRANGER, "banned")] {
        for index in 0..100 {
            let sent = Sent::of(index);
            assert!(is_closed_silently(source, house.address(), sent), "{cause} with {sent:?}");
        }
        assert_eq!(house.refused(cause), 100, "{cause} is counted");
    }
    greeted_from(HERE, house.address());
}

/// GCRA: two may come at once, then one each 5 s. However many are refused meanwhile, the time does not move.
#[test]
fn a_refusal_spends_no_token_and_the_retry_of_a_rate_is_exact() {
    let house = House::with("[limits]\nconnection_rate_per_address = \"2/10s\"\n");
    let address = house.address();
    for _ in 0..2 {
        greeted_from(STRANGER, address);
    }
    let mut free_at = Vec::new();
    let until = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < until {
        let retry = refused(STRANGER, address, "rate");
        let told = Instant::now();
        free_at.push((told, told + Duration::from_secs(retry.into())));
    }
    assert!(free_at.len() > 100, "only {} visits", free_at.len());
    let (first, last) = (free_at[0].1, free_at.last().unwrap().1);
    let moved = last.max(first) - last.min(first);
    assert!(moved < Duration::from_millis(1300), "the announced time moved by {moved:?}");
    // Whoever was told to come back in n seconds and comes in n seconds is let in; here the one who was told the soonest.
    let (told, soonest) = free_at.iter().min_by_key(|(_, at)| *at).unwrap();
    assert!(*soonest - *told <= Duration::from_secs(5));
    std::thread::sleep(soonest.saturating_duration_since(Instant::now()));
    greeted_from(STRANGER, address);
    refused(STRANGER, address, "rate");
    // Another address has tokens of its own.
    greeted_from(HERE, address);
}

/// The bans are short, and told in whole seconds.
#[test]
fn the_retry_of_a_ban_is_exact() {
    let house = House::with("[limits]\ntrusted = []\n");
    house.ban(STRANGER, "3s");
    let mut soonest = None;
    while soonest.is_none_or(|at| Instant::now() + Duration::from_millis(1500) < at) {
        let retry = refused(STRANGER, house.address(), "banned");
        let at = Instant::now() + Duration::from_secs(retry.into());
        soonest = Some(soonest.map_or(at, |old: Instant| old.min(at)));
    }
    std::thread::sleep(soonest.unwrap().saturating_duration_since(Instant::now()));
    greeted_from(STRANGER, house.address());
}
