//! What is measured is what happened: a history known to the last byte, and probes that leave no trace.
#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::{Client, Reply};

use super::house::{House, LOOK_EVERY};

/// Bytes of the file that is downloaded and of the one that is uploaded.
const SENT: usize = 70_001;
const RECEIVED: usize = 30_003;

/// Health, metrics and the agent check, on ports of their own.
const ADMIN: &str = "[admin]\nhttp = \"127.0.0.1:0\"\nagent = \"127.0.0.1:0\"\n";

/// Where a server can be looked at.
struct Pages {
    http: SocketAddr,
    agent: SocketAddr,
}

impl Pages {
    fn of(house: &mut House) -> Self {
        let screen = house.program().said();
        let value = |name: &str| {
            let row = screen.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(' '));
            let row = row.unwrap_or_else(|| panic!("no {name} on the screen:\n{screen}")).trim_start();
            let end = row.trim_start_matches("http://").find(['/', ' ']);
            let bare = row.trim_start_matches("http://");
            bare[..end.unwrap_or(bare.len())].parse().unwrap_or_else(|error| panic!("{row}: {error}"))
        };
        Self { http: value("http"), agent: value("agent") }
    }

    /// Asks for a page; returns its status and its body.
    fn page(&self, path: &str) -> (u16, String) {
        let answer = whole(self.http, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer}"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// Returns every series with its value: `name{label="value"}`.
    fn scrape(&self) -> BTreeMap<String, f64> {
        let (status, body) = self.page("/metrics");
        assert_eq!(status, 200, "{body}");
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
                (series.to_owned(), value.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
            })
            .collect()
    }

    /// Waits until every series has its value, which is soon: what was answered may be counted a moment later.
    fn settles(&self, expected: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
        let end = Instant::now() + PATIENCE;
        loop {
            let measured = self.scrape();
            let others: Vec<_> = expected
                .iter()
                .map(|(series, value)| (series, *value, measured.get(series).copied()))
                .filter(|(_, value, measured)| *measured != Some(*value))
                .collect();
            if others.is_empty() {
                return measured;
            }
            assert!(Instant::now() < end, "series, fact, measured: {others:#?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn whole(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Clients, and every reply they read by its code.
struct Crowd {
    server: SocketAddr,
    replies: BTreeMap<u16, u32>,
}

impl Crowd {
    /// Connects from 127.0.0.`host`; nothing is read.
    fn enter(&self, host: u8) -> Client {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0))).unwrap();
        connect(&socket, &self.server).unwrap();
        Client::from_stream(TcpStream::from(socket))
    }

    fn heard(&mut self, reply: &Reply) {
        *self.replies.entry(reply.code).or_default() += 1;
    }

    /// Connects and reads the first reply, which must have `code`.
    fn greeted(&mut self, host: u8, code: u16) -> (Client, Reply) {
        let mut client = self.enter(host);
        let reply = client.expect(code);
        self.heard(&reply);
        (client, reply)
    }

    fn says(&mut self, client: &mut Client, line: &str, code: u16) -> Reply {
        let reply = client.command(line, code);
        self.heard(&reply);
        reply
    }

    fn passive(&mut self, client: &mut Client) -> TcpStream {
        let reply = self.says(client, "EPSV", 229);
        let port = reply.text().split('|').nth(3).and_then(|port| port.parse().ok()).expect("a port");
        let data = TcpStream::connect((self.server.ip(), port)).unwrap();
        data.set_read_timeout(Some(PATIENCE)).unwrap();
        data
    }

    fn ends(&mut self, client: &mut Client, code: u16) {
        let reply = client.expect(code);
        self.heard(&reply);
    }
}

/// Two logins that are accepted and one that is denied, a download, an upload.
fn work(crowd: &mut Crowd) -> [Client; 2] {
    let (mut first, _) = crowd.greeted(1, 220);
    crowd.says(&mut first, "USER anonymous", 331);
    crowd.says(&mut first, "PASS me@", 230);
    crowd.says(&mut first, "TYPE I", 200);
    let mut data = crowd.passive(&mut first);
    crowd.says(&mut first, "RETR known", 150);
    assert_eq!(data.read_to_end(&mut Vec::new()).unwrap(), SENT);
    drop(data);
    crowd.ends(&mut first, 226);
    let mut data = crowd.passive(&mut first);
    crowd.says(&mut first, "STOR new", 150);
    data.write_all(&vec![b'x'; RECEIVED]).unwrap();
    drop(data);
    crowd.ends(&mut first, 226);

    let (mut second, _) = crowd.greeted(1, 220);
    crowd.says(&mut second, "USER nobody", 331);
    crowd.says(&mut second, "PASS wrong", 530);
    crowd.says(&mut second, "USER anonymous", 331);
    crowd.says(&mut second, "PASS me@", 230);
    [first, second]
}

/// What has to be measured, by series.
fn facts(crowd: &Crowd) -> BTreeMap<String, f64> {
    let labelled = |family: &str, label: &str, rows: &[(&str, u32)]| -> Vec<(String, f64)> {
        rows.iter()
            .map(|(value, count)| (format!("tidegate_{family}{{{label}=\"{value}\"}}"), f64::from(*count)))
            .collect()
    };
    let codes: Vec<(String, u32)> =
        crowd.replies.iter().map(|(code, count)| (code.to_string(), *count)).collect();
    let codes: Vec<(&str, u32)> = codes.iter().map(|(code, count)| (code.as_str(), *count)).collect();
    let sent = u32::try_from(SENT).unwrap();
    let received = u32::try_from(RECEIVED).unwrap();
    [
        labelled("replies_total", "code", &codes),
        labelled(
            "logins_total",
            "result",
            &[("accepted", 2), ("denied", 1), ("banned", 0), ("unavailable", 0)],
        ),
        labelled("transferred_bytes_total", "direction", &[("sent", sent), ("received", received)]),
        labelled("transfers_ended_total", "outcome", &[("completed", 2), ("failed", 0), ("cut", 0)]),
        labelled("refusals_total", "cause", &[("address-full", 1), ("server-full", 1), ("banned", 0)]),
        labelled("admitted_total", "what", &[("connection", 3), ("login", 2), ("transfer", 2)]),
        labelled(
            "pool_in_use",
            "pool",
            &[
                ("server", 3),
                ("unauthenticated", 1),
                ("handshakes", 0),
                ("transfers", 0),
                ("anonymous", 2),
                ("passive_ports", 1),
            ],
        ),
        labelled("pool_limit", "pool", &[("server", 3)]),
        labelled("passive_ports", "state", &[("leased", 1)]),
        [
            ("waiting", 1),
            ("waited_total", 1),
            ("wait_granted_total", 0),
            ("connections", 3),
            ("addresses", 2),
            ("logged_in", 2),
            ("anonymous", 2),
            ("sessions", 3),
            ("sessions_started_total", 3),
            ("transfers", 0),
            ("door_accepted_total", 6),
            ("ready", 0),
            ("bans", 0),
        ]
        .map(|(name, count)| (format!("tidegate_{name}"), f64::from(count)))
        .to_vec(),
    ]
    .concat()
    .into_iter()
    .collect()
}

#[test]
fn a_known_history_is_measured_exactly() {
    let limits = "[limits]\nconnections = 3\nconnections_per_address = 2\n\
        waiting_room = { hold = \"30s\", places = 8 }\n";
    let mut house = House::open(&format!("rights = \"all\"\n{limits}{ADMIN}"));
    fs::write(house.home().join("known"), vec![b'k'; SENT]).unwrap();
    let pages = Pages::of(&mut house);
    let mut crowd = Crowd { server: house.address(), replies: BTreeMap::new() };
    let [mut first, second] = work(&mut crowd);
    let (_, line) = crowd.greeted(1, 421);
    assert!(line.text().contains("[cause=address-full "), "{line:?}");
    assert_eq!(pages.scrape()["tidegate_pool_full_seconds_total{pool=\"server\"}"], 0.0, "a place was left");

    // The last place: from here on the server is full. One address has one place in the waiting room.
    let before = Instant::now();
    let (third, _) = crowd.greeted(2, 220);
    let after = Instant::now();
    let waiter = crowd.enter(3);
    house.until(|status| status["waiting"] == 1);
    let (_, line) = crowd.greeted(3, 421);
    assert!(line.text().contains("[cause=server-full "), "{line:?}");
    // A port that is leased and not used.
    crowd.says(&mut first, "EPSV", 229);

    let expected = facts(&crowd);
    let measured = pages.settles(&expected);
    let codes = |series: &&String| series.starts_with("tidegate_replies_total{");
    let wanted: Vec<_> = expected.keys().filter(codes).collect();
    assert_eq!(measured.keys().filter(codes).collect::<Vec<_>>(), wanted, "no reply that nobody read");
    let causes = measured.iter().filter(|(series, _)| series.starts_with("tidegate_refusals_total{"));
    assert_eq!(causes.map(|(_, count)| count).sum::<f64>(), 2.0);

    let full = loop {
        let least = after.elapsed();
        let full = pages.scrape()["tidegate_pool_full_seconds_total{pool=\"server\"}"];
        let most = before.elapsed();
        let seconds = least.as_secs_f64()..=most.as_secs_f64();
        assert!(seconds.contains(&full), "{full} s in place of {seconds:?}");
        if least >= Duration::from_secs(1) {
            break full;
        }
        std::thread::sleep(LOOK_EVERY);
    };

    // Who waited and everybody else goes; what happened stays counted.
    drop((waiter, third, second, first));
    let gone: BTreeMap<String, f64> = [
        ("tidegate_waiting", 0.0),
        ("tidegate_connections", 0.0),
        ("tidegate_sessions", 0.0),
        ("tidegate_ready", 1.0),
        ("tidegate_logins_total{result=\"accepted\"}", 2.0),
        ("tidegate_pool_in_use{pool=\"passive_ports\"}", 0.0),
        ("tidegate_pool_in_use{pool=\"anonymous\"}", 0.0),
    ]
    .map(|(series, value)| (series.to_owned(), value))
    .into();
    let measured = pages.settles(&gone);
    assert!(measured["tidegate_pool_full_seconds_total{pool=\"server\"}"] >= full);
    house.end();
}

#[test]
fn a_transfer_is_measured_while_it_runs_and_by_how_it_ends() {
    /// Far more than socket buffers hold, so that a transfer waits for its client.
    const LARGE: u64 = 64 << 20;
    let mut house = House::open(ADMIN);
    fs::File::create(house.home().join("large")).unwrap().set_len(LARGE).unwrap();
    let pages = Pages::of(&mut house);
    let ended = |failed: f64, cut: f64| -> BTreeMap<String, f64> {
        let rows = [
            ("transfers_ended_total{outcome=\"completed\"}", 0.0),
            ("transfers_ended_total{outcome=\"failed\"}", failed),
            ("transfers_ended_total{outcome=\"cut\"}", cut),
            ("transfers", 0.0),
            ("pool_in_use{pool=\"transfers\"}", 0.0),
            ("pool_in_use{pool=\"passive_ports\"}", 0.0),
        ];
        rows.map(|(name, value)| (format!("tidegate_{name}"), value)).into()
    };
    let begin = |house: &mut House| {
        let mut guest = house.guest();
        guest.command("TYPE I", 200);
        let mut data = guest.passive();
        guest.command("RETR large", 150);
        data.read_exact(&mut [0; 1024]).unwrap();
        (guest, data)
    };

    let (mut guest, data) = begin(&mut house);
    let under_way = ["tidegate_transfers", "tidegate_pool_in_use{pool=\"transfers\"}"];
    let measured = pages.settles(&under_way.map(|series| (series.to_owned(), 1.0)).into());
    assert_eq!(measured["tidegate_transfers_ended_total{outcome=\"completed\"}"], 0.0);
    let end = Instant::now() + PATIENCE;
    loop {
        let sent = pages.scrape()["tidegate_transferred_bytes_total{direction=\"sent\"}"];
        if sent >= 1024.0 {
            break;
        }
        assert!(Instant::now() < end, "{sent} bytes sent, and more than that was read");
        std::thread::sleep(LOOK_EVERY);
    }
    drop(data);
    assert!(matches!(guest.reply().code, 426 | 451));
    pages.settles(&ended(1.0, 0.0));

    let (guest, data) = begin(&mut house);
    let sessions = house.json(&["sessions"]);
    let moving =
        sessions["sessions"].as_array().unwrap().iter().find(|session| !session["transfer"].is_null());
    house.does(&["kick", &moving.expect("the session that downloads")["id"].to_string()]);
    pages.settles(&ended(1.0, 1.0));
    drop((guest, data));
    house.end();
}

/// Returns the log as soon as `wanted` stands in it.
fn logged(house: &mut House, wanted: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let log = house.program().log();
        if log.lines().any(|line| line.contains(wanted)) {
            return log;
        }
        assert!(Instant::now() < end, "{wanted} in {log}");
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn probes_from_a_banned_address_are_answered_and_leave_no_trace() {
    let mut house = House::open(&format!("[limits]\nconnections = 1\ntrusted = []\n{ADMIN}"));
    let pages = Pages::of(&mut house);
    house.does(&["ban", "127.0.0.1"]);
    let before = logged(&mut house, "127.0.0.1");
    let why = house.json(&["why", "127.0.0.1"]);
    assert_eq!(why["answers"][0]["cause"], "banned", "{why:#}");

    // Held open while the others ask: the one place of the server is not theirs.
    let mut silent = TcpStream::connect_timeout(&pages.http, PATIENCE).unwrap();
    silent.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    for _ in 0..20 {
        assert_eq!(pages.page("/healthz"), (200, "ok".into()));
        assert_eq!(pages.page("/readyz"), (200, "ready".into()));
        assert_eq!(whole(pages.agent, ""), "up ready 100%\n");
    }
    let measured = pages.scrape();
    for series in [
        "tidegate_connections",
        "tidegate_pool_in_use{pool=\"server\"}",
        "tidegate_sessions_started_total",
        "tidegate_door_accepted_total",
        "tidegate_refusals_total{cause=\"banned\"}",
        "tidegate_admitted_total{what=\"connection\"}",
    ] {
        assert_eq!(measured[series], 0.0, "{series}");
    }
    assert_eq!(measured["tidegate_bans"], 1.0);
    drop(silent);

    // Whatever they had logged would stand before this order.
    house.does(&["ban", "127.0.0.99"]);
    let log = logged(&mut house, "127.0.0.99");
    let news: Vec<&str> = log.strip_prefix(&before).expect("the same log, longer").lines().collect();
    assert!(news.iter().all(|line| line.contains("127.0.0.99")), "{news:#?}");

    let line = Client::connect(house.address()).expect(421);
    assert!(line.text().contains("[cause=banned "), "the ban was in force: {line:?}");
    house.end();
}
