//! A server with everything around its gate: control socket, health, a state folder, and a second life.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::program::{Program, binary};
use tidegate_conformance::subject::{PASSWORD_HASH, USER};
use tidegate_conformance::tree::Noise;

/// How often something is asked for that cannot be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a server is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// What stands before the tables, such as `greeting = "hi"`.
    pub(crate) top: String,
    /// What goes into the listener's table beside its address.
    pub(crate) listener: String,
    /// What goes into the account's table.
    pub(crate) account: String,
    /// What goes into the table of anonymous, who may read.
    pub(crate) anonymous: String,
    /// More tables, such as `[limits]`.
    pub(crate) tables: String,
    /// `state` as it is written; `None`: a folder of this house.
    pub(crate) state: Option<&'static str>,
    /// A command run before the server in the same process, such as `ulimit -n 64`.
    pub(crate) shell: Option<String>,
    /// A program that runs the server, such as strace, with its arguments.
    pub(crate) wrapper: Vec<String>,
}

impl Plan {
    /// Returns a plan with `tables`.
    pub(crate) fn with(tables: impl Into<String>) -> Self {
        Self { tables: tables.into(), ..Self::default() }
    }

    pub(crate) fn start(self) -> House {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("home")).expect("a home");
        let http = free_port();
        std::fs::write(folder.path().join("tidegate.toml"), self.config(folder.path(), http)).unwrap();
        let program = self.launch(folder.path());
        let address = program.addresses()[0];
        House { program, address, http, plan: self, folder }
    }

    fn config(&self, folder: &Path, http: u16) -> String {
        let at = |name: &str| folder.join(name).to_str().expect("a plain path").to_owned();
        let Self { top, listener, account, anonymous, tables, .. } = self;
        let state = self.state.map_or_else(|| at("state"), str::to_owned);
        // A crowded machine is late, and may be short of memory: only a test about that wants to hear of it.
        let overload = if tables.contains("[overload]") { String::new() } else { no_overload("") };
        format!(
            "root = {:?}\nstate = {state:?}\n{top}\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\n{listener}\n\
             [[account]]\nname = {USER:?}\npassword_hash = {PASSWORD_HASH:?}\nrights = \"all\"\n{account}\n\
             [anonymous]\nenabled = true\nrights = \"read-only\"\n{anonymous}\n\
             [admin]\nsocket = {:?}\nhttp = \"127.0.0.1:{http}\"\n\
             {tables}\n{overload}",
            at("home"),
            at("socket"),
        )
    }

    fn launch(&self, folder: &Path) -> Program {
        let mut words = self.wrapper.clone();
        words.push(binary().to_str().expect("a plain path").into());
        let config = folder.join("tidegate.toml");
        words.extend(["serve".into(), "--config".into(), config.to_str().expect("a plain path").into()]);
        let mut command = Command::new("sh");
        let first = self.shell.as_deref().unwrap_or(":");
        command.args(["-c", &format!("{first}; exec \"$@\""), "sh"]).args(&words).current_dir(folder);
        let mut program = Program::spawn(&mut command);
        program.screen();
        program
    }
}

/// The signals of `[overload]`.
const SIGNALS: [&str; 5] = ["memory", "descriptors", "scheduling_delay", "cpu_pressure", "storage_latency"];

/// Returns an `[overload]` in which every signal but `beside` is switched off.
pub(crate) fn no_overload(beside: &str) -> String {
    let off =
        SIGNALS.iter().filter(|signal| **signal != beside).map(|signal| format!("{signal} = \"off\"\n"));
    format!("[overload]\n{}", off.collect::<String>())
}

/// Returns a port of 127.0.0.1 that is free. It is not one of those the system gives to clients, of which other tests have thousands:
/// one of them would take it before the server does.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    let mut noise = Noise(u64::from(std::process::id()) << 32 | GIVEN.fetch_add(1, Ordering::Relaxed));
    let mut ports =
        std::iter::repeat_with(|| 10_000 + u16::try_from(noise.below(20_000)).expect("small")).take(100);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.find(is_free).expect("a free port among a hundred")
}

/// A running server; killed when dropped.
pub(crate) struct House {
    program: Program,
    address: SocketAddr,
    http: u16,
    plan: Plan,
    folder: TempDir,
}

impl House {
    /// Starts one with `tables`.
    pub(crate) fn with(tables: impl Into<String>) -> Self {
        Plan::with(tables).start()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the addresses of all listeners, in the order of the configuration.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.program.addresses()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn log(&self) -> String {
        self.program.log()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Waits until the server has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.program.wait()
    }

    /// Kills the server and starts it again with the same configuration.
    pub(crate) fn kill_and_restart(&mut self) {
        self.signal(Signal::KILL);
        let status = self.wait();
        assert!(!status.success(), "it ended by itself: {status}");
        self.program = self.plan.launch(self.folder.path());
        self.address = self.program.addresses()[0];
    }

    /// Writes another configuration; nothing reads it yet.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.plan);
        let text = self.plan.config(self.folder.path(), self.http);
        std::fs::write(self.folder.path().join("tidegate.toml"), text).unwrap();
    }

    /// Changes the configuration and has the server take it over.
    pub(crate) fn reload(&mut self, change: impl FnOnce(&mut Plan)) -> Value {
        self.rewrite(change);
        self.ask(&["reload"])
    }

    /// Runs `tidegate COMMAND --json` against this server: exit code, standard output, standard error.
    pub(crate) fn run(&self, command: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(binary())
            .args(command)
            .args(["--json", "--socket"])
            .arg(self.folder.path().join("socket"))
            .output()
            .expect("tidegate runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// As [`Self::run`], which must work, and returns what it printed.
    pub(crate) fn ask(&self, command: &[&str]) -> Value {
        let (code, said, log) = self.run(command);
        assert_eq!(code, Some(0), "tidegate {command:?} said {said:?} and {log:?}");
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error}: tidegate {command:?} said {said}"))
    }

    /// Opens the control socket.
    pub(crate) fn control(&self) -> Control {
        let stream = UnixStream::connect(self.folder.path().join("socket")).expect("a control socket");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Control(BufReader::new(stream))
    }

    /// Returns what `status` tells.
    pub(crate) fn status(&self) -> Value {
        self.control().ask(&json!({ "command": "status" }))
    }

    /// Returns the overload level.
    pub(crate) fn level(&self) -> String {
        self.status()["overload"]["level"].as_str().expect("a level is a word").to_owned()
    }

    /// Asks `GET path` and returns the status code and the body.
    pub(crate) fn http(&self, path: &str) -> (u16, String) {
        http(self.http, path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Returns the port of health and metrics, for those who ask while the server ends.
    pub(crate) fn http_port(&self) -> u16 {
        self.http
    }

    /// Returns the sum of the samples of `name`, a count, whose labels contain all of `labels`, each written `key="value"`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let (status, text) = self.http("/metrics");
        assert_eq!(status, 200, "{text}");
        let samples = text.lines().filter(|line| {
            let name_ends = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
            name_ends && labels.iter().all(|label| line.contains(label))
        });
        let values: Vec<u64> =
            samples.map(|line| line.rsplit(' ').next().unwrap().parse().expect("a count")).collect();
        assert!(!values.is_empty(), "no sample {name} {labels:?} in\n{text}");
        values.iter().sum()
    }

    /// Returns how many were refused for `cause` so far.
    pub(crate) fn refused(&self, cause: &str) -> u64 {
        count_of(&self.status()["refusals"], cause)
    }

    /// Returns how many a shadow limit would have refused for `cause` so far.
    pub(crate) fn shadowed(&self, cause: &str) -> u64 {
        count_of(&self.status()["shadow_refusals"], cause)
    }

    /// Returns how many wait for a place.
    pub(crate) fn waiting(&self) -> u64 {
        self.status()["waiting"].as_u64().expect("a number")
    }

    /// Returns the numbers of the sessions inside.
    pub(crate) fn sessions(&self) -> Vec<u64> {
        let mut control = self.control();
        let (mut ids, mut after) = (Vec::new(), Some(0));
        while let Some(last) = after {
            let told = control.ask(&json!({ "command": "sessions", "after": last, "count": 500 }));
            let rows = told["sessions"].as_array().expect("a list of sessions");
            ids.extend(rows.iter().map(|session| session["id"].as_u64().expect("a number")));
            after = told["next"].as_u64();
        }
        ids
    }

    /// Returns what the log tells with `cause`: how many lines, and for how many they stand.
    pub(crate) fn logged(&self, cause: &str) -> (usize, u64) {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let counts = lines.filter(|line| line["cause"] == cause).filter_map(|line| line["count"].as_u64());
        counts.fold((0, 0), |(lines, sum), count| (lines + 1, sum + count))
    }

    /// Bans `address`.
    pub(crate) fn ban(&self, address: Ipv4Addr, time: &str) {
        self.ask(&["ban", &address.to_string(), "--for", time]);
    }

    /// Begins a drain that lasts until its deadline, whoever is inside.
    pub(crate) fn drain_and_stay(&self, deadline: &str) {
        self.ask(&["drain", "--no-wait", "--stay", "--deadline", deadline]);
    }

    /// Waits until a newcomer from `source` is greeted with 220: somebody who left was seen to leave.
    pub(crate) fn greeted_at_last(&self, source: Ipv4Addr) -> Client {
        wait_for("a greeting with 220", || {
            let mut client = super::visitor::client_from(source, self.address);
            (client.reply().code == 220).then_some(client)
        })
    }
}

/// An open control socket.
pub(crate) struct Control(BufReader<UnixStream>);

impl Control {
    /// Asks and returns the result; an error fails the test.
    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        self.try_ask(request).unwrap_or_else(|error| panic!("{request} was answered {error}"))
    }

    /// Asks and returns the result. Errors: the one that was answered.
    pub(crate) fn try_ask(&mut self, request: &Value) -> Result<Value, Value> {
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).expect("a request sent");
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if answer["ok"] == true { Ok(answer["result"].take()) } else { Err(answer["error"].take()) }
    }
}

/// Asks `GET path` of 127.0.0.1:`port`.
pub(crate) fn http(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, body.to_owned()))
}

/// Returns the count of `cause` in a list of causes; 0 when it never happened.
fn count_of(rows: &Value, cause: &str) -> u64 {
    let rows = rows.as_array().expect("a list of causes");
    rows.iter().find(|row| row["cause"] == cause).map_or(0, |row| row["count"].as_u64().expect("a number"))
}

/// Asks until there is an answer, at most [`PATIENCE`].
pub(crate) fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, what, ask)
}

/// Asks until there is an answer, at most `patience`.
pub(crate) fn wait_at_most<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited {patience:?} for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
