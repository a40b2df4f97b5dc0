//! With a real server: what is told agrees with what clients meet.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tidegate_accounts::{Account, Accounts, Anonymous, hash_password};
use tidegate_admission::{IpNet, Networks, WaitingRoom};
use tidegate_server::{
    Extras, Limits, ListenerConfig, PassiveAddress, PortChoice, Server, ServerConfig, ServerHandle, Timeouts,
};
use tidegate_storage_local::{LocalBackend, Options};
use tidegate_types::{Creation, Rights, UploadStyle};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::fake::FakeHost;
use crate::message::{
    BanAnswer, DrainStatus, KickAnswer, Request, ResumeAnswer, SessionRow, SessionsAnswer, Status,
    UnbanAnswer, WhyReport,
};
use crate::metrics::openmetrics;
use crate::{Admin, AdminConfig, AdminHandle, Client, SocketChoice};

const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "correct horse";

/// A server with everything of this room around it.
struct House {
    server: ServerHandle,
    admin: AdminHandle,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

fn networks(net: &str) -> Networks {
    [net.parse::<IpNet>().unwrap()].into_iter().collect()
}

fn open(limits: Limits) -> House {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("a"), "content").unwrap();
    let server = serve(limits, home.to_str().unwrap());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = AdminConfig {
        socket: SocketChoice::Path(folder.path().join("x.sock")),
        http: Some(any),
        agent: Some(any),
    };
    let admin = Admin::start(config, server.clone(), Arc::new(FakeHost::default())).unwrap();
    let address = server.local_addresses()[0];
    House { server, admin, address, _folder: folder }
}

fn serve(limits: Limits, home: &str) -> ServerHandle {
    let account = Account {
        name: "tide".into(),
        password_hash: hash_password(PASSWORD.as_bytes()).unwrap(),
        home: home.to_owned(),
        rights: Rights::ALL,
        max_connections: Some(1),
        upload: UploadStyle::Atomic,
        creation: Creation::default(),
    };
    let anonymous = Anonymous { home: home.to_owned(), rights: Rights::ALL, max_connections: None };
    let long = Duration::from_secs(30);
    let config = ServerConfig {
        listeners: vec![ListenerConfig {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            passive_ports: PortChoice::Free,
            trusted_proxies: Vec::new(),
            passive_address: PassiveAddress::auto(),
        }],
        greeting: "tidegate ready".into(),
        timeouts: Timeouts { login: long, idle: long, data_open: long, data_stall: long },
        limits,
        bans: Vec::new(),
        command_rate: None,
        accounts: Accounts::new(vec![account], Some(anonymous)).unwrap(),
        extras: Extras::default(),
        mode_z: false,
        file_bytes_max: None,
        umask: 0o022,
    };
    Server::start(config, Arc::new(LocalBackend::new(Options::default()).unwrap())).unwrap()
}

impl House {
    async fn call<T: DeserializeOwned + Send + 'static>(&self, request: Request) -> T {
        let path = self.admin.socket_path().unwrap().to_owned();
        let call = move || Client::connect(&path).unwrap().call(&request).unwrap();
        tokio::task::spawn_blocking(call).await.unwrap()
    }

    async fn why(&self, address: &str) -> WhyReport {
        self.call(Request::Why { address: Some(address.parse().unwrap()), account: None, from: None }).await
    }

    /// Connects from an address of the loopback network and returns the first line with the connection.
    async fn visit(&self, from: &str) -> (String, BufReader<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        let mut stream = BufReader::new(socket.connect(self.address).await.unwrap());
        (next(&mut stream).await, stream)
    }

    /// What is said and what happens: the cause of `why` is that of the attempt, and so are the words.
    async fn agrees(&self, from: &str, cause: &str) -> WhyReport {
        let report = self.why(from).await;
        let answer = report.answers[0].clone();
        let (line, _) = self.visit(from).await;
        assert_eq!(answer.cause.as_deref(), Some(cause), "{line}");
        assert!(line.contains(&format!("[cause={cause}")), "{line}");
        // The retry differs: by jitter, and by the time between the two.
        let told = answer.line.unwrap();
        let words = |line: &str| line.split("; try again").next().unwrap().trim_end().to_owned();
        assert_eq!(words(&told), words(&line));
        let decisive = answer.checks.iter().find(|check| check.refuses).unwrap();
        assert_eq!((Some(decisive.rule.clone()), decisive.cause.as_str()), (answer.rule, cause));
        report
    }

    async fn admits(&self, from: &str) -> BufReader<TcpStream> {
        let report = self.why(from).await;
        assert_eq!((report.answers[0].outcome.as_str(), report.answers[0].line.as_deref()), ("admit", None));
        let (line, stream) = self.visit(from).await;
        assert!(line.starts_with("220 "), "{line}");
        stream
    }

    async fn page(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = whole(self.admin.http_address().unwrap(), &request).await;
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    async fn end(self) {
        self.server.hurry();
        tokio::time::timeout(PATIENCE, self.server.finished()).await.expect("the server ends");
        assert!(self.admin.socket_path().is_some_and(Path::exists), "it answers until the process ends");
        tokio::time::timeout(PATIENCE, self.admin.stop()).await.expect("the rest ends");
    }
}

async fn whole(address: SocketAddr, request: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("an answer")
}

async fn next(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await.expect("a line").unwrap();
    line
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> String {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    next(stream).await
}

/// Waits until `is_so`, asking again and again.
async fn until(house: &House, what: &str, is_so: impl Fn(&Status) -> bool) {
    let wait = async { while !is_so(&house.call::<Status>(Request::Status {}).await) {} };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_agrees_with_what_happens() {
    let mut limits = Limits::new(3);
    limits.connections_per_address = Some(2);
    limits.deny = networks("127.0.0.9/32");
    limits.trusted = networks("127.0.0.1/32");
    let house = open(limits);
    house.agrees("127.0.0.9", "denied").await;
    let first = house.admits("127.0.0.2").await;
    let _second = house.admits("127.0.0.2").await;
    let report = house.agrees("127.0.0.2", "address-full").await;
    assert_eq!((report.held, report.holders.len()), (2, 2));
    assert!(report.holders.iter().all(|row| row.peer.starts_with("127.0.0.2:")), "{:?}", report.holders);
    let _third = house.admits("127.0.0.3").await;
    let report = house.agrees("127.0.0.4", "server-full").await;
    assert_eq!(report.held, 3, "whoever holds the places that are missing");
    let address = "127.0.0.4".parse().unwrap();
    let banned: BanAnswer = house.call(Request::Ban { address, seconds: 600 }).await;
    assert_eq!(banned.seconds, 600);
    let report = house.agrees("127.0.0.4", "banned").await;
    assert_eq!(report.bans.len(), 1);
    assert!((report.answers[0].retry_seconds.unwrap()).abs_diff(600) <= 2);
    let ended: UnbanAnswer = house.call(Request::Unban { address }).await;
    assert_eq!(ended.ended, 1);
    drop(first);
    until(&house, "a place is free", |status| status.connections.in_use == 2).await;
    let _fourth = house.admits("127.0.0.4").await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_full_is_explained() {
    let house = open(Limits::new(10));
    let login = async || {
        let (_, mut stream) = house.visit("127.0.0.1").await;
        assert!(say(&mut stream, "USER tide").await.starts_with("331 "));
        let line = say(&mut stream, &format!("PASS {PASSWORD}")).await;
        (line, stream)
    };
    let ask = || Request::Why { address: None, account: Some("tide".into()), from: None };
    let free: WhyReport = house.call(ask()).await;
    assert_eq!((free.answers[0].outcome.as_str(), free.account_exists), ("admit", Some(true)));
    let (line, _inside) = login().await;
    assert!(line.starts_with("230 "), "{line}");
    let full: WhyReport = house.call(ask()).await;
    assert_eq!(full.answers[0].cause.as_deref(), Some("account-full"));
    assert_eq!((full.held, full.holders[0].account.as_deref()), (1, Some("tide")));
    let (line, _) = login().await;
    assert!(line.starts_with("421 ") && line.contains("[cause=account-full "), "{line}");
    let nobody: WhyReport =
        house.call(Request::Why { address: None, account: Some("mallory".into()), from: None }).await;
    assert_eq!((nobody.account_exists, nobody.answers[0].outcome.as_str()), (Some(false), "no-account"));
    let (_, mut stream) = house.visit("127.0.0.1").await;
    assert!(say(&mut stream, "USER mallory").await.starts_with("331 "));
    let line = say(&mut stream, &format!("PASS {PASSWORD}")).await;
    assert_eq!(nobody.answers[0].line.as_deref(), Some(line.trim_end()));
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_wait_is_told_how_long_and_what_then() {
    let mut limits = Limits::new(1);
    limits.waiting_room = WaitingRoom { hold: Duration::from_millis(1_500), places: 8 };
    let house = open(limits);
    let _inside = house.admits("127.0.0.1").await;
    let report = house.why("127.0.0.2").await;
    let answer = &report.answers[0];
    assert_eq!((answer.outcome.as_str(), answer.cause.as_deref()), ("wait", Some("server-full")));
    assert_eq!(answer.hold_seconds, Some(1.5));
    let (line, _) = house.visit("127.0.0.2").await;
    let words = |line: &str| line.split("; try again").next().unwrap().to_owned();
    assert_eq!(answer.line.as_deref().map(words), Some(words(&line)), "what is said when the wait is over");
    assert!(line.starts_with("421 ") && line.contains("[cause=server-full "), "{line}");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_seen_and_kicked() {
    let house = open(Limits::new(10));
    let (_, mut stream) = house.visit("127.0.0.1").await;
    let page: SessionsAnswer = house.call(Request::Sessions { after: 0, count: 10 }).await;
    let [row] = &page.sessions[..] else { panic!("{page:?}") };
    assert_eq!((row.doing.as_str(), row.account.as_deref()), ("logging-in", None));
    assert_eq!(row.peer, stream.get_ref().local_addr().unwrap().to_string());
    assert_eq!(row.listening_on, house.address.to_string());
    say(&mut stream, "USER anonymous").await;
    assert!(say(&mut stream, "PASS x@y").await.starts_with("230 "));
    let row: SessionRow = house.call(Request::Session { id: row.id }).await;
    assert_eq!((row.doing.as_str(), row.account.as_deref()), ("idle", Some("anonymous")));
    let status: Status = house.call(Request::Status {}).await;
    assert_eq!((status.sessions, status.logged_in, status.anonymous), (1, 1, 1));
    let kicked: KickAnswer = house.call(Request::Kick { id: row.id, retry: 77 }).await;
    assert_eq!(kicked.id, row.id);
    let line = next(&mut stream).await;
    assert!(line.starts_with("421 ") && line.trim_end().ends_with("[cause=kicked retry=77]"), "{line}");
    assert_eq!(next(&mut stream).await, "");
    until(&house, "the session is gone", |status| status.sessions == 0).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_is_seen_everywhere_and_ended() {
    let house = open(Limits::new(10));
    let agent = house.admin.agent_address().unwrap();
    assert_eq!(
        (house.page("/readyz").await.as_str(), whole(agent, "").await.as_str()),
        ("ready", "up ready 100%\n")
    );
    let order = || Request::Drain {
        deadline_seconds: Some(120),
        message: Some("new disks".into()),
        at: None,
        delay_seconds: None,
        stay: true,
    };
    let drain: DrainStatus = house.call(order()).await;
    assert!(drain.begun && drain.ends_in_seconds > 110.0, "{drain:?}");
    assert_eq!(
        (house.page("/readyz").await.as_str(), whole(agent, "").await.as_str()),
        ("draining", "drain\n")
    );
    assert_eq!(house.page("/healthz").await, "ok");
    let report = house.agrees("127.0.0.1", "draining").await;
    assert!(report.answers[0].line.as_deref().unwrap().contains("new disks"));
    let status: Status = house.call(Request::Status {}).await;
    assert_eq!((status.ready, status.not_ready.as_deref()), (false, Some("draining")));
    let resumed: ResumeAnswer = house.call(Request::Resume {}).await;
    assert!(resumed.ready);
    assert_eq!(
        (house.page("/readyz").await.as_str(), whole(agent, "").await.as_str()),
        ("ready", "up ready 100%\n")
    );
    let _inside = house.admits("127.0.0.1").await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_count_what_happened() {
    let mut limits = Limits::new(10);
    limits.connections_per_address = Some(1);
    let house = open(limits);
    let (_, mut stream) = house.visit("127.0.0.2").await;
    for _ in 0..3 {
        assert!(house.visit("127.0.0.2").await.0.starts_with("421 "));
    }
    say(&mut stream, "USER anonymous").await;
    say(&mut stream, "PASS x@y").await;
    say(&mut stream, "NOOP").await;
    let text = house.page("/metrics").await;
    let families = openmetrics::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let value = |name: &str, label: Option<&str>| {
        let family = families.iter().find(|family| family.name == format!("tidegate_{name}"));
        family.and_then(|family| family.value(label)).unwrap_or_else(|| panic!("no {name} {label:?}\n{text}"))
    };
    for (name, label, expected) in [
        ("refusals", Some("address-full"), 3.0),
        ("sessions", None, 1.0),
        ("sessions_started", None, 1.0),
        ("connections", None, 1.0),
        ("door_accepted", None, 4.0),
        ("logins", Some("accepted"), 1.0),
        ("replies", Some("230"), 1.0),
        ("replies", Some("421"), 3.0),
        ("ready", None, 1.0),
        ("anonymous", None, 1.0),
    ] {
        assert!((value(name, label) - expected).abs() < 0.5, "{name} {label:?} is not {expected}\n{text}");
    }
    assert!(value("latency_seconds", Some("command")) > 0.0);
    house.end().await;
}
