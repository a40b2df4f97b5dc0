//! The servers under the flood: how each is configured, started and filled up. Loopback only, logs off.

use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};

use super::load::SOURCES_MAX;
use crate::bench::client::Client;
use crate::bench::cpu::Meter;
use crate::bench::free_address;
use crate::bench::scratch::Scratch;
use crate::workspace::Workspace;

/// How long a server may take until it answers, and until it says something.
const START: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// Places in each house; the flood finds all of them taken.
const PLACES: u32 = 4;
/// Places for one address, when that is the limit: as many as Debian's Pure-FTPd has in all.
const PLACES_OF_ADDRESS: u32 = 50;
/// More than any house here has.
const HOLDERS_MAX: usize = 100;

/// Which limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// The server is full; the flood comes from 65,000 addresses
    Server,
    /// One address has as many connections as it may; the flood comes from that one
    Address,
    /// Each address may come once in an hour; of tidegate only
    #[value(skip)]
    Rate,
}

impl By {
    /// Returns places of the server and of an address; 0 for as many as come.
    const fn places(self) -> (u32, u32) {
        match self {
            Self::Server => (PLACES, 0),
            Self::Address => (1000, PLACES_OF_ADDRESS),
            Self::Rate => (1000, 0),
        }
    }

    /// Returns from how many addresses the flood comes.
    pub(super) const fn sources(self) -> u64 {
        match self {
            Self::Server | Self::Rate => SOURCES_MAX,
            Self::Address => 1,
        }
    }
}

/// What all servers share.
pub(super) struct Around<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) tidegate: &'a Path,
    pub(super) scratch: &'a Scratch,
    pub(super) by: By,
}

/// What is flooded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Floor,
    Tidegate,
    Pyftpdlib,
    PureFtpd,
    Vsftpd,
}

impl Kind {
    pub(super) const PEERS: [Self; 3] = [Self::Pyftpdlib, Self::PureFtpd, Self::Vsftpd];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tidegate => "tidegate",
            Self::Pyftpdlib => "pyftpdlib",
            Self::PureFtpd => "pure-ftpd",
            Self::Vsftpd => "vsftpd",
        }
    }

    /// Returns how many connections each thread of the flood may have under way: listeners queue 3 (Pure-FTPd), 32 (vsftpd),
    /// 100 (pyftpdlib) and more.
    pub(super) const fn window(self) -> usize {
        match self {
            Self::PureFtpd => 2,
            Self::Floor | Self::Tidegate | Self::Pyftpdlib | Self::Vsftpd => 14,
        }
    }

    pub(super) fn is_peer(self) -> bool {
        Self::PEERS.contains(&self)
    }
}

/// A server in which every place is taken. Dropping it kills its process group and waits.
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    pub(super) meter: Meter,
    /// Connections made by the flood so far.
    pub(super) done: u64,
    /// The session whose answers are timed, in tidegate only.
    pub(super) inside: Option<Client>,
    child: Child,
    /// Those who take the places.
    held: Vec<TcpStream>,
}

impl Server {
    /// Starts a server and fills it up. Errors: it is not installed, ends, or never says 421; with what it printed.
    pub(super) fn start(kind: Kind, around: &Around<'_>) -> Result<Self> {
        let address = free_address()?;
        let mut command = command(kind, address, around)?;
        let output = around.scratch.path(&format!("{}.out", kind.name()));
        let sink = File::create(&output).context("cannot make a file for what a server prints")?;
        let child = command
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(sink.try_clone().context("cannot share a file")?)
            .stderr(sink)
            .spawn()
            .with_context(|| format!("cannot start {}", kind.name()))?;
        let meter = Meter::of(child.id());
        let mut server = Self { kind, address, meter, done: 0, inside: None, child, held: Vec::new() };
        around.scratch.guard(server.child.id())?;
        let filled = server.wait().and_then(|()| match around.by {
            By::Server | By::Address => server.fill(),
            // Nobody stays inside.
            By::Rate => server.meter.rest(),
        });
        filled.with_context(|| {
            let printed = fs::read_to_string(&output).unwrap_or_default();
            format!("{}; it printed:\n{}", kind.name(), printed.trim())
        })?;
        Ok(server)
    }

    /// Waits until somebody answers.
    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while let Err(error) = greeting(self.address) {
            if let Some(status) = self.child.try_wait().context("cannot wait for a server")? {
                bail!("it ended at once: {status}");
            }
            ensure!(Instant::now() < deadline, "it answers nobody after {} s: {error:#}", START.as_secs());
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Takes every place, then takes the processes there are for all there are between floods.
    fn fill(&mut self) -> Result<()> {
        if self.kind == Kind::Tidegate {
            self.inside = Some(Client::login(self.address)?);
        }
        loop {
            let (line, stream) = greeting(self.address)?;
            if line.starts_with("421") {
                break;
            }
            ensure!(line.starts_with("220"), "it says `{line}`");
            self.held.push(stream);
            ensure!(self.held.len() < HOLDERS_MAX, "it lets everybody in");
        }
        // vsftpd counts the child of the one that was refused until it has ended.
        std::thread::sleep(Duration::from_millis(500));
        self.meter.rest()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Returns the first line a server says, and the connection.
fn greeting(address: SocketAddr) -> Result<(String, TcpStream)> {
    let mut stream = TcpStream::connect_timeout(&address, START).context("cannot connect")?;
    stream.set_read_timeout(Some(START)).context("cannot set a limit")?;
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        ensure!(stream.read(&mut byte).context("no greeting")? == 1, "no greeting");
        line.extend(byte);
        ensure!(line.len() < 1000, "an endless greeting");
    }
    Ok((String::from_utf8_lossy(&line).trim_end().to_owned(), stream))
}

fn command(kind: Kind, address: SocketAddr, around: &Around<'_>) -> Result<Command> {
    let scratch = around.scratch;
    let tools = peer_tools(around.workspace, kind)?;
    let write = |text: String| -> Result<PathBuf> {
        let path = scratch.path(&format!("{}.conf", kind.name()));
        fs::write(&path, text).context("cannot write a configuration file")?;
        Ok(path)
    };
    let (most, of_address) = around.by.places();
    let (ip, port) = (address.ip().to_string(), address.port());
    let mut command = match kind {
        Kind::Floor => {
            let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
            command.args(["flood-floor", &address.to_string()]);
            command
        }
        Kind::Tidegate => {
            let mut command = Command::new(around.tidegate);
            let config = write(tidegate_configuration(around, address))?;
            command.env("TIDEGATE_LOG", "error").args(["serve", "--config"]).arg(config);
            command
        }
        Kind::Pyftpdlib => {
            let mut command = Command::new(tools.join("bin/python"));
            command
                .args(["-c", PYFTPDLIB, &ip, &port.to_string()])
                .arg(scratch.home())
                .args([most.to_string(), of_address.to_string()]);
            command
        }
        Kind::PureFtpd => {
            let mut command = Command::new(tools.join("usr/sbin/pure-ftpd"));
            command
                .args(["-S", &format!("{ip},{port}"), "-c", &most.to_string(), "-g"])
                .arg(scratch.path("pure-ftpd.pid"));
            command.args(["-E", "-H", "-f", "none", "-Y", "0", "-I", "60", "-l", "unix"]);
            if of_address > 0 {
                command.args(["-C", &of_address.to_string()]);
            }
            command
        }
        Kind::Vsftpd => {
            let mut command = Command::new(tools.join("usr/sbin/vsftpd"));
            command.arg(write(vsftpd_configuration(around, address))?);
            command
        }
    };
    if kind.is_peer() {
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        command.env("LD_LIBRARY_PATH", tools.join(libraries));
    }
    Ok(command)
}

/// Returns the folder of a peer below `.tools/peers`. Errors: it is not installed, or we are not root.
fn peer_tools(workspace: &Workspace, kind: Kind) -> Result<PathBuf> {
    let tools = workspace.tools().join("peers").join(kind.name());
    if kind.is_peer() {
        ensure!(tools.is_dir(), "{} is missing: `cargo xtask conformance` installs it", tools.display());
        ensure!(geteuid().is_root(), "{} is served by root only: run this as root", kind.name());
    }
    Ok(tools)
}

/// Returns the versions of the peers, for the page.
pub(super) fn versions(workspace: &Workspace) -> Vec<(&'static str, String)> {
    let version = |kind: Kind| {
        let folder = workspace.tools().join("peers").join(kind.name());
        if kind == Kind::Pyftpdlib {
            let script = "import pyftpdlib; print(pyftpdlib.__ver__)";
            let told = Command::new(folder.join("bin/python")).args(["-c", script]).output();
            return told.map_or_else(
                |_| String::new(),
                |told| String::from_utf8_lossy(&told.stdout).trim().to_owned(),
            );
        }
        fs::read_to_string(folder.join("VERSION")).unwrap_or_default().trim().to_owned()
    };
    Kind::PEERS.map(|kind| (kind.name(), version(kind))).to_vec()
}

/// Address, port, home, places, places of an address.
const PYFTPDLIB: &str = "\
import logging, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
logging.basicConfig(level=logging.CRITICAL)
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(sys.argv[3])
FTPHandler.timeout = 3600
FTPServer.max_cons = int(sys.argv[4])
FTPServer.max_cons_per_ip = int(sys.argv[5])
FTPServer((sys.argv[1], int(sys.argv[2])), FTPHandler).serve_forever()
";

/// See `bench/servers.rs` for what is switched off and why.
fn vsftpd_configuration(around: &Around<'_>, address: SocketAddr) -> String {
    let (most, of_address) = around.by.places();
    format!(
        "listen=YES\nlisten_ipv6=NO\nlisten_address={}\nlisten_port={}\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\n\
         ftp_username=nobody\nanon_root={}\nsecure_chroot_dir={}\nmax_clients={most}\nmax_per_ip={of_address}\nidle_session_timeout=3600\n\
         accept_timeout=60\nxferlog_enable=NO\nsyslog_enable=NO\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n",
        address.ip(),
        address.port(),
        around.scratch.home().display(),
        around.scratch.empty().display()
    )
}

fn tidegate_configuration(around: &Around<'_>, address: SocketAddr) -> String {
    let (most, of_address) = around.by.places();
    let limit = match around.by {
        By::Server => String::new(),
        By::Address => format!("connections_per_address = {of_address}\n"),
        By::Rate => "connection_rate_per_address = \"1/1h\"\n".into(),
    };
    format!(
        "root = {:?}\nstate = \"off\"\n[[listener]]\naddress = \"{address}\"\n[anonymous]\nenabled = true\nrights = \"read-only\"\n\
         [limits]\nconnections = {most}\n{limit}[timeouts]\nlogin = \"1h\"\nidle = \"1h\"\n[admin]\nsocket = \"off\"\n",
        around.scratch.home().display().to_string()
    )
}
