//! Places: reserved ones, other limits for some networks, who may come at all, the waiting room, reclaim, shadow limits.

use std::io::{ErrorKind, Read};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, USER};

use crate::house::{House, Plan, wait_for};
use crate::visitor::{
    HERE, Sent, assert_denied, assert_form, client_from, greeted_from, last_words, refused, visit,
};

const GUEST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 67);

#[test]
fn reserved_places_are_kept_for_their_networks() {
    let house = House::with(
        "[limits]\nconnections = 4\nreserved = { connections = 2, from = [\"127.0.0.64/30\"] }\n",
    );
    let to = house.address();
    let _strangers = [greeted_from(HERE, to), greeted_from(HERE, to)];
    refused(HERE, to, "server-full");
    let mut kept = vec![greeted_from(GUEST, to), greeted_from(OTHER, to)];
    refused(GUEST, to, "server-full");
    // What the reserve gives back is not for strangers.
    drop(kept.pop());
    wait_for("the place", || (house.sessions().len() == 3).then_some(()));
    refused(HERE, to, "server-full");
    greeted_from(OTHER, to);
}

#[test]
fn the_most_specific_override_wins() {
    let house = House::with(
        "[limits]\nconnections_per_address = 1\n\
         [[limits.override]]\nfrom = \"127.0.0.64/26\"\nconnections_per_address = 2\n\
         [[limits.override]]\nfrom = \"127.0.0.66/32\"\nconnections_per_address = 3\n",
    );
    let to = house.address();
    for (source, limit) in [(HERE, 1), (OTHER, 2), (GUEST, 3)] {
        let inside: Vec<Client> = (0..limit).map(|_| greeted_from(source, to)).collect();
        let mut next = client_from(source, to);
        let line = next.line().expect("a line");
        assert_form(&line, 421, "address-full");
        assert!(line.contains(&format!("({limit} of {limit})")), "{line}");
        next.expect_eof();
        drop(inside);
    }
}

#[test]
fn who_may_connect_at_all() {
    let house = House::with("[limits]\nallow = [\"127.0.0.64/29\"]\ndeny = [\"127.0.0.66\"]\n");
    let to = house.address();
    greeted_from(OTHER, to).command("NOOP", 200);
    for source in [GUEST, HERE] {
        assert_denied(visit(source, to, Sent::Nothing).trim_end());
    }
}

#[test]
fn the_limits_of_transfers() {
    let house = House::with("[limits]\ntransfers = 3\ntransfers_per_address = 2\n");
    let begin = |source, name: &str| {
        let mut client = greeted_from(source, house.address());
        client.login(USER, PASSWORD);
        let data = client.passive_address();
        // The peer of the data connection must be the peer of the session.
        let data = crate::visitor::connect_from(source, data);
        let reply = client.say(format!("STOR {name}"));
        (client, data, reply)
    };
    let first = begin(GUEST, "a");
    let second = begin(GUEST, "b");
    assert_eq!((first.2.code, second.2.code), (150, 150));
    // The address has its two; another one gets the third of the house, and then nobody.
    let (mut third, _data, reply) = begin(GUEST, "c");
    let line = reply.text();
    assert_form(line, 450, "transfers-full");
    assert!(line.contains("(2 of 2)"), "{line}");
    let fourth = begin(OTHER, "d");
    assert_eq!(fourth.2.code, 150);
    let (_fifth, _more, reply) = begin(HERE, "e");
    assert_form(reply.text(), 450, "transfers-full");
    assert!(reply.text().contains("(3 of 3)"), "{}", reply.text());
    // One ends, and the session that was refused may go on where it is.
    let (mut first, data, _) = first;
    drop(data);
    first.expect(226);
    let data = crate::visitor::connect_from(GUEST, third.passive_address());
    third.command("STOR c", 150);
    drop(data);
    third.expect(226);
}

/// REIN leads back among those who have not logged in: when there are too many of them, it is the end of the session.
#[test]
fn rein_needs_a_place_among_the_unauthenticated() {
    let house = House::with("[limits]\nconnections_unauthenticated = 1\n");
    let mut inside = Client::logged_in(house.address());
    let mut other = Client::greeted(house.address());
    inside.send(b"REIN\r\n");
    last_words(&mut inside, "unauthenticated-full");
    other.login(USER, PASSWORD);
    other.command("REIN", 220);
}

/// Whether the greeting is held back: nothing comes within `span`.
fn is_silent(client: &Client, span: Duration) -> bool {
    client.stream().set_read_timeout(Some(span)).unwrap();
    let told = client.stream().read(&mut [0; 1]);
    client.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    match told {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => true,
        other => panic!("a held greeting brought {other:?}"),
    }
}

#[test]
fn the_waiting_room() {
    let house = House::with("[limits]\nconnections = 1\nwaiting_room = { hold = \"4s\", places = 2 }\n");
    let to = house.address();
    let mut inside = greeted_from(HERE, to);
    let mut first = client_from(GUEST, to);
    let came = Instant::now();
    assert!(is_silent(&first, Duration::from_millis(300)));
    let second = client_from(OTHER, to);
    wait_for("two who wait", || (house.waiting() == 2).then_some(()));
    // The room is full as well.
    refused(HERE, to, "server-full");
    // Who hangs up gives his place in the room back.
    drop(second);
    wait_for("one who waits", || (house.waiting() == 1).then_some(()));
    // A place frees: who waits gets it at once, and is a session like any other.
    inside.command("QUIT", 221);
    let freed = Instant::now();
    first.expect(220);
    assert!(freed.elapsed() < Duration::from_secs(1), "{:?}", freed.elapsed());
    assert!(came.elapsed() < Duration::from_secs(4));
    first.login(USER, PASSWORD);
    assert_eq!(house.waiting(), 0);
    // What has been said meanwhile is not lost.
    let mut eager = client_from(OTHER, to);
    eager.send(&Sent::Login.bytes());
    assert!(is_silent(&eager, Duration::from_millis(300)));
    first.command("QUIT", 221);
    for code in [220, 331, 230] {
        eager.expect(code);
    }
    // Nobody leaves: the hold is over after 4 s.
    let mut unlucky = client_from(GUEST, to);
    let came = Instant::now();
    let line = unlucky.line().expect("a line");
    assert_form(&line, 421, "server-full");
    unlucky.expect_eof();
    let held = came.elapsed();
    assert!((3500..6500).contains(&held.as_millis()), "held for {held:?}");
    // A place that frees for one who has hung up is not lost.
    let gone = client_from(GUEST, to);
    wait_for("one who waits", || (house.waiting() == 1).then_some(()));
    drop(gone);
    eager.command("QUIT", 221);
    house.greeted_at_last(HERE);
}

/// A drain does not let anybody wait in vain.
#[test]
fn a_drain_empties_the_waiting_room() {
    let mut house = House::with("[limits]\nconnections = 1\nwaiting_room = { hold = \"30s\", places = 2 }\n");
    let mut inside = greeted_from(HERE, house.address());
    let mut waiting = client_from(GUEST, house.address());
    waiting.send(&Sent::Garbage.bytes());
    wait_for("one who waits", || (house.waiting() == 1).then_some(()));
    house.ask(&["drain", "--no-wait", "--deadline", "30s"]);
    last_words(&mut waiting, "draining");
    last_words(&mut inside, "draining");
    assert!(house.wait().success());
}

#[test]
fn shadow_limits_count_and_refuse_nobody() {
    let house = House::with(
        "[limits]\nshadow = { connections_per_address = 2, connections = 4, transfers = 1, \
         connection_rate_per_address = \"3/10m\" }\n",
    );
    let mut inside: Vec<Client> = (0..6).map(|_| greeted_from(HERE, house.address())).collect();
    let shadowed = |cause: &str| house.shadowed(cause);
    assert_eq!(shadowed("address-full"), 4);
    assert_eq!(shadowed("server-full"), 2);
    assert_eq!(shadowed("rate"), 3);
    assert_eq!(shadowed("transfers-full"), 0);
    let mut transfers = Vec::new();
    for (index, client) in inside.iter_mut().take(2).enumerate() {
        client.login(USER, PASSWORD);
        transfers.push(client.passive());
        client.command(format!("STOR f{index}"), 150);
    }
    assert_eq!(shadowed("transfers-full"), 1);
    for cause in ["address-full", "server-full", "rate", "transfers-full"] {
        assert_eq!(house.refused(cause), 0, "{cause}");
    }
}

/// Of an account that is full the session that was idle for longest goes; who transfers is never idle. And where reclaim is off
/// nobody goes, however idle. (`sessions::reclaimed` is about addresses.)
#[test]
fn reclaim_idle_works_for_accounts() {
    let off = House::with("[limits]\nconnections_per_address = 1\n");
    let mut stays = greeted_from(HERE, off.address());
    let house =
        Plan { account: "max_connections = 2\n".into(), ..Plan::with("[limits]\nreclaim = \"idle\"\n") }
            .start();
    let to = house.address();
    let mut busy = Client::logged_in(to);
    let mut data = busy.passive();
    busy.command("STOR held", 150);
    let mut idle = Client::logged_in(to);
    let since = Instant::now();
    let mut early = Client::greeted(to);
    early.send(&Sent::Login.bytes());
    last_words(&mut early, "account-full");
    std::thread::sleep(Duration::from_millis(10_500).saturating_sub(since.elapsed()));
    let mut newcomer = Client::greeted(to);
    newcomer.login(USER, PASSWORD);
    assert_eq!(last_words(&mut idle, "reclaimed"), 1);
    refused(HERE, off.address(), "address-full");
    stays.command("NOOP", 200);
    std::io::Write::write_all(&mut data, b"all of it").unwrap();
    drop(data);
    busy.expect(226);
}

/// A client that takes nothing more while the server has something to say is as good as dead after some seconds; one that is only
/// quiet is not.
#[test]
fn reclaim_dead_takes_the_place_of_one_that_does_not_read() {
    let house = House::with("[limits]\nconnections_per_address = 2\nreclaim = \"dead\"\n");
    let to = house.address();
    let mut quiet = Client::logged_in(to);
    let stuck = Client::logged_in(to);
    stuck.stream().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    // Until the server takes no more: its replies have filled every buffer in between.
    while std::io::Write::write_all(&mut stuck.stream(), &b"HELP\r\n".repeat(1000)).is_ok() {}
    refused(HERE, to, "address-full");
    let full = Instant::now();
    let mut newcomer = wait_for("the place of the dead", || {
        let mut client = client_from(HERE, to);
        (client.reply().code == 220).then_some(client)
    });
    assert!(full.elapsed() > Duration::from_secs(2), "a pause of {:?} is no death", full.elapsed());
    assert_eq!(house.refused("reclaimed"), 1);
    quiet.command("NOOP", 200);
    newcomer.login(USER, PASSWORD);
    drop(stuck);
}
