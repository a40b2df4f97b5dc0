//! An HAProxy process in front of a tidegate: the control port and the passive ports, with PROXY headers; health checks by the
//! agent and by `/readyz`, read from HAProxy's own statistics.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tidegate_conformance::PATIENCE;

use crate::lab::unpacked;

/// Where HAProxy connects from: the one address that tidegate trusts.
pub(crate) const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// Where tidegate listens: so the passive ports may have the same numbers on both sides.
pub(crate) const BEHIND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Passive ports in a range.
pub(crate) const PORTS: u16 = 16;
/// How long a process that nobody ends may live, in seconds.
const LIFE_SECS: &str = "300";
const POLL: Duration = Duration::from_millis(20);

/// What stands behind the balancer.
pub(crate) struct Behind {
    /// The control port of tidegate on [`BEHIND`].
    pub(crate) control: u16,
    /// The first of [`PORTS`] passive ports, on both sides.
    pub(crate) passive: u16,
    /// The ports of `admin.http` and `admin.agent` on 127.0.0.1.
    pub(crate) http: u16,
    pub(crate) agent: u16,
}

/// A running HAProxy; killed when dropped.
pub(crate) struct Haproxy {
    child: Child,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    statistics: PathBuf,
    folder: TempDir,
}

impl Haproxy {
    /// Starts one that speaks `header` (`send-proxy` or `send-proxy-v2`) to `behind` on the control port; data connections have
    /// version 2 always. Waits until it listens.
    pub(crate) fn before(behind: &Behind, header: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let statistics = folder.path().join("stats.sock");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::lab::free_port()));
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, configuration(behind, header, address, &statistics.display().to_string()))
            .unwrap();
        let haproxy = unpacked("haproxy", "usr/sbin/haproxy");
        let mut command = Command::new("timeout");
        command
            .args(["--signal=KILL", LIFE_SECS])
            .arg(haproxy.get_program())
            .arg("-db")
            .arg("-f")
            .arg(&config);
        for (name, value) in haproxy.get_envs() {
            command.env(name, value.unwrap());
        }
        let printed = fs::File::create(folder.path().join("printed")).unwrap();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(printed.try_clone().unwrap())
            .stderr(printed)
            .spawn()
            .expect("the `timeout` of coreutils");
        let mut haproxy = Self { child, address, statistics, folder };
        haproxy.wait();
        haproxy
    }

    fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        // Its sockets are bound before this one answers.
        while UnixStream::connect(&self.statistics).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "HAProxy {ended:?}: {}", self.printed());
            std::thread::sleep(POLL);
        }
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.folder.path().join("printed")).unwrap_or_default()
    }

    /// Returns what HAProxy thinks of the server in `backend`: the columns of `show stat` by name.
    pub(crate) fn server(&self, backend: &str) -> BTreeMap<String, String> {
        let mut stream = UnixStream::connect(&self.statistics).expect("HAProxy's statistics");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"show stat\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let mut lines = text.lines().map(|line| line.trim_start_matches("# ").split(','));
        let names: Vec<&str> = lines.next().expect("a head").collect();
        lines
            .map(|cells| {
                names.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect()
            })
            .find(|row: &BTreeMap<String, String>| row["pxname"] == backend && row["svname"] == "tide")
            .unwrap_or_else(|| panic!("no server in {backend}:\n{text}"))
    }

    /// Waits until the status of the server in `backend` begins with `status`, at most `PATIENCE`; returns its columns.
    pub(crate) fn wait_for(&self, backend: &str, status: &str) -> BTreeMap<String, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let row = self.server(backend);
            if row["status"].starts_with(status) {
                return row;
            }
            assert!(Instant::now() < until, "{backend} is {}, not {status}: {row:?}", row["status"]);
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- HAProxy printed\n{}", self.printed());
        }
    }
}

/// The backend `control` takes the traffic; `by_agent` and `by_readiness` only watch, each in its own way.
fn configuration(behind: &Behind, header: &str, address: SocketAddr, statistics: &str) -> String {
    let Behind { control, passive, http, agent } = behind;
    let last = passive + PORTS - 1;
    format!(
        "global\n    stats socket {statistics} mode 600 level admin\n    maxconn 500\n    nbthread 1\n\
         defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n    timeout check 2s\n\
         frontend control\n    bind {address}\n    default_backend control\n\
         backend control\n    server tide {BEHIND}:{control} {header} source {PROXY}\n\
         frontend data\n    bind 127.0.0.1:{passive}-{last}\n    default_backend data\n\
         backend data\n    server tide {BEHIND} send-proxy-v2 source {PROXY}\n\
         backend by_agent\n    server tide {BEHIND}:{control} {header} check addr 127.0.0.1 port {agent} inter 1s agent-check agent-addr 127.0.0.1 agent-port {agent} agent-inter 100ms\n\
         backend by_readiness\n    option httpchk\n    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host tidegate\n    \
         http-check expect status 200\n    server tide {BEHIND}:{control} {header} check addr 127.0.0.1 port {http} inter 100ms fall 2 rise 1\n"
    )
}

/// Returns the first of [`PORTS`] ports that are free on both sides, below those that the kernel gives away by itself. Each
/// `place` has a region of its own, so that tests side by side do not meet.
pub(crate) fn free_range(place: u16) -> u16 {
    let start = 20_000 + place * 500 + u16::try_from(std::process::id() % 20).unwrap() * PORTS;
    let is_free = |port: u16| {
        [Ipv4Addr::LOCALHOST, BEHIND].iter().all(|address| TcpListener::bind((*address, port)).is_ok())
    };
    (start..start + 10 * PORTS)
        .step_by(usize::from(PORTS))
        .find(|first| (*first..first + PORTS).all(is_free))
        .expect("sixteen free ports in a row")
}

/// Returns everything that comes until the end; a reset counts as one.
pub(crate) fn to_the_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
