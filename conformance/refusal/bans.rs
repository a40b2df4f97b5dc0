//! Bans: a name from an address first, the whole address at ten times as many failures; grown, kept, ended, and never for
//! those who are trusted. A failed login takes the same time whoever it names.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, USER};

use crate::house::{House, Plan, wait_for};
use crate::visitor::{assert_form, client_from, greeted_from, last_words, refused};

const BROKEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 67);

/// Fails to log in `times` times and returns the retry of the 421 that comes instead of the last 530, if it does.
fn fail(source: Ipv4Addr, to: SocketAddr, user: &str, times: usize) -> Option<u32> {
    let mut client = greeted_from(source, to);
    for _ in 0..times {
        client.command(format!("USER {user}"), 331);
        let reply = client.say("PASS wrong");
        match reply.code {
            530 => {}
            421 => return Some(assert_form(reply.text(), 421, "login-failures")),
            _ => panic!("{reply:?}"),
        }
    }
    None
}

/// Logs in with the right password; the retry of the refusal otherwise.
fn enter(source: Ipv4Addr, to: SocketAddr, user: &str, password: &str) -> Result<Client, u32> {
    let mut client = greeted_from(source, to);
    client.command(format!("USER {user}"), 331);
    client.send(format!("PASS {password}\r\n").as_bytes());
    let line = client.line().expect("an answer");
    if line.starts_with("230 ") {
        return Ok(client);
    }
    let retry = assert_form(&line, 421, "login-failures");
    client.expect_eof();
    Err(retry)
}

fn assert_may_enter(source: Ipv4Addr, to: SocketAddr) {
    assert!(enter(source, to, USER, PASSWORD).is_ok(), "{source} must be let in");
}

#[test]
fn a_name_from_an_address_is_banned_and_nobody_else() {
    let house = House::with("[limits]\ntrusted = []\nlogin_failures = \"2/5m\"\n");
    let to = house.address();
    let told = fail(BROKEN, to, USER, 2).expect("the second failure is a ban");
    assert!((55..=60).contains(&told), "the ban lasts a minute, and a second of it is over: {told}");
    // The right password does not help, nor is it looked at.
    let before = Instant::now();
    let retry = enter(BROKEN, to, USER, PASSWORD).expect_err("banned");
    assert!((50..=told).contains(&retry), "{retry} after {told}");
    // Another name from there, and this name from elsewhere.
    assert!(enter(BROKEN, to, "anonymous", "me@").is_ok());
    assert_may_enter(NEIGHBOUR, to);
    let bans = house.ask(&["bans"]).to_string();
    assert!(bans.contains("127.0.0.66") && bans.contains(USER) && !bans.contains("127.0.0.67"), "{bans}");
    // An operator ends it.
    house.ask(&["unban", "127.0.0.66"]);
    assert_may_enter(BROKEN, to);
    assert!(!house.ask(&["bans"]).to_string().contains("127.0.0.66"));
    assert!(before.elapsed() < Duration::from_secs(20));
}

#[test]
fn ten_times_as_many_failures_ban_the_address() {
    let house = House::with("[limits]\ntrusted = []\nlogin_failures = \"2/5m\"\n");
    let to = house.address();
    let mut before = Client::from_stream(crate::visitor::connect_from(BROKEN, to));
    before.expect(220);
    before.login(USER, PASSWORD);
    // Twenty names fail once each: no name is banned, the address is. Its failures are padded, so they go side by side.
    let names: Vec<String> = (0..19).map(|index| format!("camera{index}")).collect();
    thread::scope(|scope| {
        for name in &names {
            scope.spawn(move || assert_eq!(fail(BROKEN, to, name, 1), None, "{name}"));
        }
    });
    assert_may_enter(BROKEN, to);
    // The failure that brings it is the end of its session, and reads what is left.
    let mut last = greeted_from(BROKEN, to);
    last.send(b"USER camera19\r\nPASS wrong\r\n");
    last.expect(331);
    let told = last_words(&mut last, "banned");
    let retry = refused(BROKEN, to, "banned");
    assert!((50..=60).contains(&told) && (50..=told).contains(&retry), "{told}, then {retry}");
    // The hospital behind another address is not touched, and who is inside stays.
    assert_may_enter(NEIGHBOUR, to);
    before.command("NOOP", 200);
    // A success in between excuses the name, not the address: that is counted above.
    house.ask(&["unban", "127.0.0.66"]);
    assert_may_enter(BROKEN, to);
}

/// The answer to a wrong password comes a second after it, and by then a second of its ban is over: the rest is told, not a second
/// more. The lengths have half a second, so that the machine's delays do not decide how it is rounded.
#[test]
fn bans_grow_up_to_their_cap_and_tell_their_exact_rest() {
    let house = House::with(
        "[limits]\ntrusted = []\nlogin_failures = \"1/5m\"\nban = { first = \"1500ms\", factor = 3.0, most = \"6500ms\" }\n",
    );
    let to = house.address();
    for length in [1500, 4500, 6500].map(Duration::from_millis) {
        let mut client = greeted_from(BROKEN, to);
        client.command(format!("USER {USER}"), 331);
        let asked = Instant::now();
        let told = assert_form(client.say("PASS wrong").text(), 421, "login-failures");
        let rest = length.saturating_sub(asked.elapsed());
        let seconds = rest.as_millis().div_ceil(1000).max(1);
        assert_eq!(u128::from(told), seconds, "of {length:?} {rest:?} are left: times three, then the cap");
        thread::sleep(Duration::from_secs(told.into()));
        // It is over after exactly so long: the next try is looked at. A wrong one, so that the growth is not forgotten.
    }
    assert_may_enter(BROKEN, to);
}

/// All are looked at before the first of them is a ban; what ends after that is no reason for a longer one.
#[test]
fn a_burst_of_wrong_passwords_is_one_ban_of_the_first_level() {
    const BURST: usize = 40;
    let house = House::with("[limits]\ntrusted = []\nlogin_failures = \"3/5m\"\n");
    let mut clients: Vec<Client> = (0..BURST).map(|_| greeted_from(BROKEN, house.address())).collect();
    for client in &mut clients {
        client.command(format!("USER {USER}"), 331);
    }
    for client in &mut clients {
        client.send(b"PASS wrong\r\n");
    }
    let codes: Vec<u16> = clients.iter_mut().map(|client| client.reply().code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 530).count(), 2, "two failures bring no ban: {codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 421).count(), BURST - 2, "{codes:?}");
    let bans = house.ask(&["bans"]);
    let bans = bans["bans"].as_array().expect("a list");
    assert_eq!(bans.len(), 1, "{bans:#?}");
    assert_eq!((&bans[0]["level"], &bans[0]["length_seconds"]), (&1.into(), &60.0.into()), "{bans:#?}");
    assert_eq!(bans[0]["name"], USER);
    assert_eq!(house.metric("tidegate_bans_imposed_total", &[]), 1);
}

/// A ban on the address is for whoever has not logged in yet, too.
#[test]
fn who_was_let_in_before_the_ban_of_the_address_is_told_at_the_password() {
    let house = House::with("[limits]\ntrusted = []\n");
    let mut inside = greeted_from(BROKEN, house.address());
    inside.login(USER, PASSWORD);
    let mut early = greeted_from(BROKEN, house.address());
    house.ban(BROKEN, "10m");
    early.send(format!("USER {USER}\r\nPASS {PASSWORD}\r\n").as_bytes());
    early.expect(331);
    let retry = last_words(&mut early, "banned");
    assert!((540..=600).contains(&retry), "{retry}");
    inside.command("NOOP", 200);
    assert_eq!(house.refused("banned"), 1);
}

/// Without `login_failures` nobody is banned by the server itself, however many fail.
#[test]
fn where_bans_are_off_nobody_is_banned() {
    const CLIENTS: usize = 40;
    let house = House::with("[limits]\ntrusted = []\ncommand_rate = \"20/10s\"\n");
    let to = house.address();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = client_from(BROKEN, to);
                client.send(format!("USER {USER}\r\nPASS wrong\r\n").repeat(3).as_bytes());
                assert_eq!(
                    last_words(&mut client, "login-failures"),
                    1,
                    "three failures end a session, and no more"
                );
            });
        }
    });
    for _ in 0..12 {
        let mut client = client_from(BROKEN, to);
        client.send(&b"NOOP\r\n".repeat(30));
        last_words(&mut client, "command-flood");
    }
    assert_eq!(house.ask(&["bans"])["bans"], serde_json::json!([]));
    assert_eq!(house.metric("tidegate_bans_imposed_total", &[]), 0);
    assert_may_enter(BROKEN, to);
    // An operator bans all the same.
    house.ban(BROKEN, "10m");
    refused(BROKEN, to, "banned");
}

#[test]
fn the_trusted_and_the_reserved_are_never_banned() {
    // Loopback is trusted unless something else is said.
    let house = House::with("[limits]\nlogin_failures = \"1/5m\"\n");
    let here = Ipv4Addr::LOCALHOST;
    assert_eq!(fail(here, house.address(), USER, 2), None);
    assert_may_enter(here, house.address());
    let (code, said, log) = house.run(&["ban", "127.0.0.1"]);
    assert_eq!(code, Some(1), "{said}{log}");
    let complaint = format!("{said}{log}");
    assert!(complaint.contains("trusted") || complaint.contains("never banned"), "{complaint}");

    let house = House::with(
        "[limits]\ntrusted = []\nlogin_failures = \"1/5m\"\nreserved = { connections = 2, from = [\"127.0.0.66\"] }\n",
    );
    assert_eq!(fail(BROKEN, house.address(), USER, 2), None);
    assert_may_enter(BROKEN, house.address());
    assert_eq!(house.run(&["ban", "127.0.0.66"]).0, Some(1));
    assert!(fail(NEIGHBOUR, house.address(), USER, 1).is_some(), "others are banned");
    // Nor does a flood of health probes count for anything.
    for _ in 0..50 {
        assert_eq!(house.http("/healthz").0, 200);
    }
}

#[test]
fn they_outlive_kill_9() {
    let mut house = House::with("[limits]\ntrusted = []\nlogin_failures = \"2/5m\"\n");
    house.ban(NEIGHBOUR, "10m");
    let at_first = refused(NEIGHBOUR, house.address(), "banned");
    fail(BROKEN, house.address(), USER, 2).expect("a ban");
    let ended = Ipv4Addr::new(127, 0, 0, 68);
    house.ban(ended, "10m");
    house.ask(&["unban", "127.0.0.68"]);
    // They are written at once, but at most every 5 s.
    thread::sleep(Duration::from_secs(6));
    house.kill_and_restart();
    let to = house.address();
    let now = refused(NEIGHBOUR, to, "banned");
    assert!(now < at_first && now + 60 > at_first, "{at_first} s, after a restart {now} s");
    let name = enter(BROKEN, to, USER, PASSWORD).expect_err("the name is banned still");
    assert!((1..60).contains(&name), "{name}");
    assert!(enter(BROKEN, to, "anonymous", "me@").is_ok());
    assert_may_enter(ended, to);
}

/// With `state = "off"` they end with the process, and `status` does not complain.
#[test]
fn without_a_state_folder_they_are_forgotten() {
    let plan = Plan { state: Some("off"), ..Plan::with("[limits]\ntrusted = []\n") };
    let mut house = plan.start();
    assert_eq!(house.status()["complaints"], serde_json::json!([]));
    house.ban(BROKEN, "10m");
    house.kill_and_restart();
    greeted_from(BROKEN, house.address());
}

/// Where the usual folder cannot be had the server starts, keeps bans until its end, and says so.
#[test]
fn a_usual_state_folder_that_cannot_be_opened_is_a_complaint() {
    let plan = Plan {
        state: Some("auto"),
        // What systemd would name, with a file in its place.
        shell: Some("export STATE_DIRECTORY=$PWD/tidegate.toml".into()),
        ..Plan::with("[limits]\ntrusted = []\n")
    };
    let house = plan.start();
    let complaints = house.status()["complaints"].clone();
    let [complaint] = complaints.as_array().expect("a list").as_slice() else { panic!("{complaints:#}") };
    let complaint = complaint.as_str().expect("words");
    assert!(complaint.contains("bans") && complaint.contains("tidegate.toml"), "{complaint}");
    assert!(house.log().contains("WARN") && house.log().contains(complaint), "{}", house.log());
    house.ban(BROKEN, "10m");
    refused(BROKEN, house.address(), "banned");
}

/// Medians over 24 failures each: of a name that exists, of one that does not, of one that is spelt otherwise. All are in the
/// crowd at the same time, so that what the machine does meanwhile meets them alike.
#[test]
fn a_failed_login_takes_the_same_time_for_every_name() {
    const NAMES: [&str; 3] = [USER, "nobody-of-that-name", "tidE"];
    const ROUNDS: usize = 3;
    const CROWD: usize = 8;
    let house = House::with("");
    let to = house.address();
    let mut taken = NAMES.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        let crowd: Vec<(usize, Duration)> = thread::scope(|scope| {
            let fail = |index: usize| (index % NAMES.len(), time_of_failure(to, NAMES[index % NAMES.len()]));
            let tries: Vec<_> =
                (0..CROWD * NAMES.len()).map(|index| scope.spawn(move || fail(index))).collect();
            tries.into_iter().map(|each| each.join().unwrap()).collect()
        });
        for (name, time) in crowd {
            taken[name].push(time);
        }
    }
    let medians = taken.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    eprintln!("medians of failed logins, {NAMES:?}: {medians:?}");
    assert!(*most < *least + Duration::from_millis(10), "medians {medians:?}");
    assert!(*least >= Duration::from_millis(990), "a failed login takes a second: {medians:?}");
}

fn time_of_failure(to: SocketAddr, name: &str) -> Duration {
    let mut client = Client::greeted(to);
    client.command(format!("USER {name}"), 331);
    client.send(b"PASS wrong\r\n");
    let asked = Instant::now();
    client.expect(530);
    asked.elapsed()
}

/// A successful login is not slowed down, and does not wait for those that fail.
#[test]
fn a_good_login_does_not_wait() {
    let house = House::with("");
    let mut failing = Client::greeted(house.address());
    failing.command(format!("USER {USER}"), 331);
    failing.send(b"PASS wrong\r\n");
    let quickest = (0..5)
        .map(|_| {
            let asked = Instant::now();
            Client::logged_in(house.address());
            asked.elapsed()
        })
        .min()
        .unwrap();
    assert!(quickest < Duration::from_millis(700), "{quickest:?}");
    failing.expect(530);
}

/// Ten floods of commands ban the address.
#[test]
fn floods_ban_the_address() {
    let house = House::with("[limits]\ntrusted = []\ncommand_rate = \"5/10s\"\nlogin_failures = \"5/5m\"\n");
    for _ in 0..10 {
        let mut client = client_from(BROKEN, house.address());
        client.send(&b"NOOP\r\n".repeat(20));
        last_words(&mut client, "command-flood");
    }
    let retry = wait_for("the ban", || {
        let line = client_from(BROKEN, house.address()).line().expect("a line");
        line.starts_with("421 ").then(|| assert_form(&line, 421, "banned"))
    });
    assert!((50..=60).contains(&retry), "{retry}");
    assert_may_enter(NEIGHBOUR, house.address());
}
