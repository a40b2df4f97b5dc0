//! Sessions that are sent away, and commands that are refused: the line arrives, whatever else the client has said.
//!
//! Every cause has as many clients as [`clients`] says, a quarter of each kind. What a session may answer before its last words
//! (a 500 to garbage, a 530 to a wrong password) is read past; a reset, a missing line or a byte behind it fails.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, USER};

use crate::house::{House, Plan, free_port, wait_for};
use crate::visitor::{HERE, Sent, assert_form, client_from, greeted_from, last_words};

/// Clients of each cause, when nothing else is said.
const CLIENTS: usize = 1000;
const THREADS: usize = 10;
/// So that nobody is refused for anything else.
const WIDE: &str = "connections_unauthenticated = 5000\n";

/// Returns how many clients a cause has: `TIDEGATE_CLIENTS`, else [`CLIENTS`]; as many of each kind.
fn clients() -> usize {
    let clients = std::env::var("TIDEGATE_CLIENTS").map_or(CLIENTS, |count| count.parse().expect("a number"));
    assert!(
        clients > 0 && clients.is_multiple_of(Sent::ALL.len()),
        "TIDEGATE_CLIENTS={clients}: a multiple of 4"
    );
    clients
}

/// Checks that `house` has counted every client under `cause`.
fn assert_all_counted(house: &House, cause: &str) {
    assert_eq!(house.refused(cause), clients() as u64, "{cause}");
}

/// Has all clients made and used by ten threads.
fn each(work: impl Fn(usize, Sent) + Sync) {
    let clients = clients();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || {
                for index in (thread..clients).step_by(THREADS) {
                    work(index, Sent::of(index));
                }
            });
        }
    });
}

/// Makes clients that have said what their kind says, in lines, after `enter`; all are there at the same time.
fn crowd(enter: impl Fn() -> Client + Sync) -> Vec<Client> {
    let made = Mutex::new(Vec::new());
    each(|_, sent| {
        let mut client = enter();
        client.send(&sent.lines());
        made.lock().unwrap().push(client);
    });
    made.into_inner().unwrap()
}

/// Reads the last words of all of them.
fn all_leave(clients: &mut [Client], cause: &str) -> Vec<u32> {
    clients.iter_mut().map(|client| last_words(client, cause)).collect()
}

fn logged_in(house: &House) -> Client {
    Client::logged_in(house.address())
}

#[test]
fn account_full_and_anonymous_full() {
    let one = "max_connections = 1\n".to_owned();
    let house = Plan { account: one.clone(), anonymous: one, ..Plan::default() }.start();
    for (user, password, cause) in [(USER, PASSWORD, "account-full"), ("anonymous", "me@", "anonymous-full")]
    {
        let mut holder = Client::greeted(house.address());
        holder.login(user, password);
        each(|_, sent| {
            let mut client = client_from(HERE, house.address());
            let login = format!("USER {user}\r\nPASS {password}\r\n").into_bytes();
            client.send(&[login, sent.lines()].concat());
            client.expect(220);
            client.expect(331);
            last_words(&mut client, cause);
        });
        assert_all_counted(&house, cause);
        // It leaves by REIN: its place as an account is free, its connection lives.
        holder.command("REIN", 220);
        let mut next = Client::greeted(house.address());
        next.login(user, password);
    }
}

#[test]
fn login_failures() {
    let house = House::with(format!("[limits]\n{WIDE}"));
    let mut clients = crowd(|| {
        let mut client = client_from(HERE, house.address());
        client.send(format!("USER {USER}\r\nPASS wrong-{USER}\r\n").repeat(3).as_bytes());
        client
    });
    let retries = all_leave(&mut clients, "login-failures");
    assert!(retries.iter().all(|retry| *retry == 1), "loopback is trusted: no ban: {retries:?}");
    assert_all_counted(&house, "login-failures");
    assert!(!house.log().contains("wrong-"), "a password must not reach the log");
}

#[test]
fn idle() {
    let house = House::with("[timeouts]\nidle = \"2s\"\n");
    let retries = all_leave(&mut crowd(|| logged_in(&house)), "idle");
    assert!(retries.iter().all(|retry| *retry == 1), "{retries:?}");
    assert_all_counted(&house, "idle");
}

#[test]
fn login_timeout() {
    let house = House::with(format!("[limits]\n{WIDE}[timeouts]\nlogin = \"2s\"\n"));
    let mut crowd = crowd(|| {
        let mut client = Client::greeted(house.address());
        // What begins with a TLS hello is no FTP and told so at once; behind a command it is a line that has not ended.
        client.command("NOOP", 200);
        client
    });
    // Those who sent USER and PASS are inside and stay; the others leave.
    let mut inside: Vec<Client> = Vec::new();
    for mut client in crowd.drain(..) {
        let first = client.line();
        if first.as_deref().is_some_and(|line| line.starts_with("331 ")) {
            client.expect(230);
            inside.push(client);
        } else if let Some(line) = first.filter(|line| line.starts_with("421 ")) {
            assert_eq!(assert_form(&line, 421, "login-timeout"), 1);
            client.expect_eof();
        } else {
            assert_eq!(last_words(&mut client, "login-timeout"), 1);
        }
    }
    assert_eq!(inside.len(), clients() / 4);
    for client in &mut inside {
        client.command("NOOP", 200);
    }
    assert_eq!(house.refused("login-timeout"), 3 * clients() as u64 / 4);
}

#[test]
fn kicked() {
    let house = House::with("");
    let mut crowd = crowd(|| logged_in(&house));
    let mut control = house.control();
    let ids = house.sessions();
    assert_eq!(ids.len(), crowd.len());
    for id in &ids[1..] {
        control.ask(&json!({ "command": "kick", "id": id, "retry": 7 }));
    }
    // One by the command line, and one that is not there.
    house.ask(&["kick", &ids[0].to_string(), "--retry", "7s"]);
    assert_eq!(house.run(&["kick", "99999"]).0, Some(1));
    let retries = all_leave(&mut crowd, "kicked");
    assert!(retries.iter().all(|retry| *retry == 7), "{retries:?}");
    assert_all_counted(&house, "kicked");
}

/// A transfer of somebody who is kicked is cut, and said so.
#[test]
fn kicked_in_the_middle_of_a_transfer() {
    let house = House::with("");
    let mut client = logged_in(&house);
    let _data = client.passive();
    client.command("STOR a", 150);
    let ids = house.sessions();
    assert_eq!(ids.len(), 1);
    house.ask(&["kick", &ids[0].to_string()]);
    client.expect(426);
    assert_eq!(last_words(&mut client, "kicked"), 1);
    assert!(!house.home().join("a").exists());
}

/// A full address; newcomers take the places of those who were idle for longest, at least ten seconds.
#[test]
fn reclaimed() {
    let tables = format!("[limits]\n{WIDE}connections_per_address = {}\nreclaim = \"idle\"\n", clients());
    let house = House::with(tables);
    let mut crowd = crowd(|| logged_in(&house));
    let full = Instant::now();
    // Too early: nobody was idle for ten seconds.
    let mut early = client_from(HERE, house.address());
    assert_form(&early.line().expect("a line"), 421, "address-full");
    early.expect_eof();
    std::thread::sleep(Duration::from_secs(11).saturating_sub(full.elapsed()));
    let newcomers = Mutex::new(Vec::new());
    each(|_, _| {
        let newcomer = greeted_from(HERE, house.address());
        newcomers.lock().unwrap().push(newcomer);
    });
    let retries = all_leave(&mut crowd, "reclaimed");
    assert!(retries.iter().all(|retry| *retry == 1), "{retries:?}");
    assert_all_counted(&house, "reclaimed");
    assert_eq!(newcomers.lock().unwrap().len(), clients());
}

#[test]
fn command_flood() {
    let house = House::with("[limits]\ncommand_rate = \"5/10s\"\n");
    each(|_, sent| {
        let mut client = client_from(HERE, house.address());
        client.send(&[b"NOOP\r\n".repeat(50), sent.bytes()].concat());
        client.expect(220);
        for _ in 0..5 {
            client.expect(200);
        }
        assert_eq!(last_words(&mut client, "command-flood"), 60);
    });
    assert_all_counted(&house, "command-flood");
    // Whoever keeps to the rate is left alone.
    let mut calm = Client::greeted(house.address());
    calm.command("NOOP", 200);
}

#[test]
fn draining() {
    let mut house = House::with("");
    let mut crowd = crowd(|| logged_in(&house));
    crowd.push(Client::greeted(house.address()));
    house.ask(&["drain", "--no-wait", "--deadline", "50s"]);
    let retries = all_leave(&mut crowd, "draining");
    assert!(retries.iter().all(|retry| (30..=50).contains(retry)), "{retries:?}");
    assert!(house.wait().success(), "{}", house.log());
}

#[test]
fn transfers_full_keeps_the_session() {
    let house = House::with("[limits]\ntransfers = 1\n[timeouts]\ndata_open = \"60s\"\n");
    std::fs::write(house.home().join("f"), "content").unwrap();
    let mut holder = logged_in(&house);
    let mut held = holder.passive();
    holder.command("STOR held", 150);
    each(|_, sent| {
        let mut client = logged_in(&house);
        let _data = client.passive();
        client.send(&[b"RETR f\r\n", &sent.lines()[..], b"\r\nNOOP\r\n"].concat());
        assert_kept(&mut client, 450, "transfers-full");
    });
    assert_all_counted(&house, "transfers-full");
    held.write_all(b"all").unwrap();
    held.shutdown(Shutdown::Write).unwrap();
    holder.expect(226);
    assert_eq!(logged_in(&house).download("RETR f"), b"content");
}

#[test]
fn no_data_port_keeps_the_session() {
    let port = free_port();
    let house = Plan { listener: format!("passive_ports = \"{port}-{port}\"\n"), ..Plan::default() }.start();
    let mut holder = logged_in(&house);
    holder.passive_address();
    for verb in ["EPSV", "PASV"] {
        each(|_, sent| {
            let mut client = logged_in(&house);
            client.send(&[verb.as_bytes(), b"\r\n", &sent.lines()[..], b"\r\nNOOP\r\n"].concat());
            assert_kept(&mut client, 425, "data-ports");
        });
    }
    assert_eq!(house.refused("data-ports"), 2 * clients() as u64);
    drop(holder);
    wait_for("the port", || (logged_in(&house).say("EPSV").code == 229).then_some(()));
}

/// The first line is the refusal; the session answers everything behind it, to the NOOP.
fn assert_kept(client: &mut Client, code: u16, cause: &str) {
    assert_form(&client.line().expect("a reply"), code, cause);
    loop {
        let reply = client.reply();
        match reply.code {
            200 => break,
            331 | 230 | 500 | 501 | 503 => {}
            _ => panic!("{reply:?} after a refused {cause}"),
        }
    }
    client.command("PWD", 257);
}
