//! tidegate behind HAProxy, as Debian has it: logins and transfers through it, limits that see the real address, strangers who are
//! not believed, and a drain that the balancer notices.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Setup, Subject, USER};
use tidegate_conformance::tree::{self, Noise};

use crate::haproxy::{BEHIND, Behind, Haproxy, PORTS, PROXY, free_range, to_the_end};
use crate::lab::{connect_from, free_port, get, unhurried};
use crate::run::run_well;

const LIMIT: Duration = Duration::from_mins(1);
const HEADERS: [&str; 2] = ["send-proxy", "send-proxy-v2"];

/// A tidegate that HAProxy may speak for.
struct House {
    subject: Subject,
    behind: Behind,
}

impl House {
    /// Opens one; `place` numbers the test, so that each has passive ports of its own.
    fn open(place: u16, limits: &str) -> Self {
        let (passive, http, agent) = (free_range(place), free_port(), free_port());
        let last = passive + PORTS - 1;
        let tables = format!(
            "[[listener]]\naddress = \"{BEHIND}:0\"\npassive_ports = \"{passive}-{last}\"\npassive_address = \"127.0.0.1\"\n\
             trusted_proxies = [\"{PROXY}/32\"]\n[admin]\nsocket = \"off\"\nhttp = \"127.0.0.1:{http}\"\nagent = \"127.0.0.1:{agent}\"\n\
             {limits}"
        );
        let setup = Setup { listen: Vec::new(), ..unhurried(&tables) };
        let subject = setup.start_with_addresses(1);
        let control = subject.address().port();
        Self { subject, behind: Behind { control, passive, http, agent } }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn url(haproxy: &Haproxy, path: &str) -> String {
    format!("ftp://{USER}:{PASSWORD}@{}/{path}", haproxy.address)
}

#[test]
fn curl_works_through_it() {
    let house = House::open(0, "");
    let content = Noise(11).bytes(3 << 20);
    fs::write(house.subject.home.join("there"), &content).unwrap();
    for header in HEADERS {
        let haproxy = Haproxy::before(&house.behind, header);
        let work = TempDir::new().unwrap();
        let (got, own) = (work.path().join("got"), work.path().join("own"));
        fs::write(&own, &content[..1 << 20]).unwrap();
        let from = ["--disable", "-sS", "--interface", "127.0.0.11"];
        let curl = |rest: &[&str]| run_well(LIMIT, "curl", &[&from[..], rest].concat());
        let names = curl(&["-l", &url(&haproxy, "")]);
        assert!(names.lines().any(|name| name == "there"), "{header}: {names}");
        for epsv in ["--ftp-pasv", "--disable-epsv"] {
            curl(&[epsv, "-o", text(&got), &url(&haproxy, "there")]);
            assert!(fs::read(&got).unwrap() == content, "{header} {epsv}: the download differs");
            curl(&[epsv, "-T", text(&own), &url(&haproxy, "sent")]);
            assert!(
                fs::read(house.subject.home.join("sent")).unwrap() == content[..1 << 20],
                "{header} {epsv}: the upload differs"
            );
        }
        let log = house.subject.log();
        assert!(log.contains("127.0.0.11"), "{header}: the log does not know the client:\n{log}");
    }
}

#[test]
fn lftp_mirrors_through_it() {
    let house = House::open(1, "");
    let source = house.subject.home.join("source");
    fs::create_dir(&source).unwrap();
    tree::fill(&source, 120, 12);
    for header in HEADERS {
        let haproxy = Haproxy::before(&house.behind, header);
        let work = TempDir::new().unwrap();
        let local = work.path().join("local");
        let script = format!(
            "set cmd:fail-exit yes; set net:max-retries 2; set net:timeout 20; set net:socket-bind-ipv4 127.0.0.12; \
             open -u {USER},{PASSWORD} ftp://{}; cls -l; mirror --parallel=3 source {local}; mirror -R --parallel=3 {local} {header}; bye",
            haproxy.address,
            local = local.display()
        );
        let said = run_well(LIMIT, "lftp", &["--norc", "-c", &script]);
        assert!(said.contains("source"), "{said}");
        tree::assert_same(&source, &local);
        tree::assert_same(&source, &house.subject.home.join(header));
    }
}

/// Connects through the balancer from `source`.
fn through(haproxy: &Haproxy, source: Ipv4Addr) -> Client {
    Client::from_stream(connect_from(source, haproxy.address))
}

#[test]
fn limits_count_the_real_address() {
    let house = House::open(2, "[limits]\nconnections_per_address = 1\n");
    for header in HEADERS {
        let haproxy = Haproxy::before(&house.behind, header);
        let (first, second) = (Ipv4Addr::new(127, 0, 0, 21), Ipv4Addr::new(127, 0, 0, 22));
        let mut inside = through(&haproxy, first);
        inside.expect(220);
        let line = through(&haproxy, first).line().expect("a 421");
        assert!(line.starts_with("421 ") && line.contains("[cause=address-full "), "{header}: {line}");
        let mut other = through(&haproxy, second);
        other.expect(220);
        for mut client in [inside, other] {
            client.command("QUIT", 221);
            client.expect_eof();
        }
    }
}

/// Who is not trusted is an ordinary client, whatever it says: its own address is counted, its header is an unknown command.
#[test]
fn a_header_of_a_stranger_is_not_believed() {
    let house = House::open(3, "[limits]\nconnections_per_address = 1\n");
    let server = house.subject.address();
    let stranger = Ipv4Addr::new(127, 0, 0, 31);
    let mut inside = Client::from_stream(connect_from(stranger, server));
    inside.send(b"PROXY TCP4 127.0.0.99 127.0.0.1 4000 21\r\n");
    inside.expect(220);
    inside.expect(500);
    let lied = connect_from(stranger, server);
    (&lied).write_all(b"PROXY TCP4 127.0.0.98 127.0.0.1 4000 21\r\n").unwrap();
    let line = String::from_utf8(to_the_end(&lied)).unwrap();
    assert!(line.starts_with("421 ") && line.contains("[cause=address-full "), "{line}");
    assert!(!house.subject.log().contains("127.0.0.99"), "{}", house.subject.log());
}

/// A trusted peer must speak PROXY: another word, or none for five seconds, is closed without an answer and counted.
#[test]
fn a_trusted_peer_must_begin_with_a_header() {
    let house = House::open(4, "");
    let server = house.subject.address();
    let silent = connect_from(PROXY, server);
    let wrong = connect_from(PROXY, server);
    (&wrong).write_all(b"USER anonymous\r\n").unwrap();
    assert_eq!(to_the_end(&wrong), b"", "an answer to a bad header");
    assert_eq!(to_the_end(&silent), b"", "an answer to silence");
    // They are counted when they are closed, so perhaps a moment after the end was seen.
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, metrics) = get(house.behind.http, "/metrics");
        let counted = |result: &str| {
            metrics.contains(&format!("tidegate_proxy_headers_total{{result=\"{result}\"}} 1\n"))
        };
        if counted("bad") && counted("late") {
            break;
        }
        assert!(Instant::now() < until, "not counted:\n{metrics}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A data connection through the balancer belongs to the session only when the client behind it is the session's.
#[test]
fn a_thief_behind_the_same_balancer_gets_no_data() {
    let house = House::open(5, "");
    fs::write(house.subject.home.join("mine"), b"for me alone").unwrap();
    let haproxy = Haproxy::before(&house.behind, "send-proxy-v2");
    let own = Ipv4Addr::new(127, 0, 0, 41);
    let mut client = through(&haproxy, own);
    client.expect(220);
    client.login(USER, PASSWORD);
    client.command("TYPE I", 200);
    let data = SocketAddr::from((Ipv4Addr::LOCALHOST, client.passive_address().port()));
    client.send(b"RETR mine\r\n");
    let thief = connect_from(Ipv4Addr::new(127, 0, 0, 42), data);
    assert_eq!(to_the_end(&thief), b"", "another client got the data");
    let mut mine = connect_from(own, data);
    let mut content = Vec::new();
    mine.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"for me alone");
    client.expect(150);
    client.expect(226);
}

#[test]
fn the_balancer_sees_a_drain_while_a_transfer_goes_on() {
    let house = House::open(6, "[timeouts]\nshutdown = \"60s\"\n");
    let haproxy = Haproxy::before(&house.behind, "send-proxy-v2");
    haproxy.wait_for("by_agent", "UP");
    haproxy.wait_for("by_readiness", "UP");
    let mut client = through(&haproxy, Ipv4Addr::new(127, 0, 0, 51));
    client.expect(220);
    client.login(USER, PASSWORD);
    let data = SocketAddr::from((Ipv4Addr::LOCALHOST, client.passive_address().port()));
    let mut upload: TcpStream = connect_from(Ipv4Addr::new(127, 0, 0, 51), data);
    client.command("STOR slow", 150);
    upload.write_all(b"first half, ").unwrap();
    let mut subject = house.subject;
    subject.terminate();
    let agent = haproxy.wait_for("by_agent", "DRAIN");
    let ready = haproxy.wait_for("by_readiness", "DOWN");
    assert_eq!((ready["check_status"].as_str(), ready["check_code"].as_str()), ("L7STS", "503"), "{ready:?}");
    eprintln!("HAProxy: by agent {}, by readiness {}", agent["status"], ready["status"]);
    let line = through(&haproxy, Ipv4Addr::new(127, 0, 0, 52)).line().expect("a 421");
    assert!(line.contains("[cause=draining "), "{line}");
    upload.write_all(b"second half").unwrap();
    drop(upload);
    client.expect(226);
    let line = client.line().expect("a 421 behind the 226");
    assert!(line.contains("[cause=draining "), "{line}");
    let status = subject.wait();
    assert!(status.success(), "{status}: {}", subject.log());
    assert_eq!(fs::read(subject.home.join("slow")).unwrap(), b"first half, second half");
}
