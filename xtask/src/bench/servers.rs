//! The servers: how each is configured and started. Loopback only, logs off, no limits, anonymous may upload.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail, ensure};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};

use super::client::Client;
use super::cpu::Meter;
use super::scratch::Scratch;

/// How long a server may take until it greets.
const START: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);
/// Folders where a server may be that are not in everybody's PATH.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// The neighbour; it never syncs
    Vsftpd,
    /// tidegate with durability = "none", as vsftpd does it
    Tidegate,
    /// tidegate with durability = "full", as it is by default
    TidegateFull,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Vsftpd, Self::Tidegate, Self::TidegateFull];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vsftpd => "vsftpd",
            Self::Tidegate => "tidegate, durability none",
            Self::TidegateFull => "tidegate, durability full",
        }
    }

    /// Returns the folder for its uploads, which no other server writes to.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Vsftpd => "uploads-vsftpd",
            Self::Tidegate => "uploads-none",
            Self::TidegateFull => "uploads-full",
        }
    }

    /// Returns the path of the uploaded file from the root that clients see.
    pub(super) fn target(self) -> String {
        format!("{}/target.bin", self.folder())
    }

    fn configuration(self, scratch: &Scratch, address: SocketAddr) -> String {
        match self {
            Self::Vsftpd => vsftpd_configuration(scratch, address),
            Self::Tidegate => tidegate_configuration(scratch, address, "none"),
            Self::TidegateFull => tidegate_configuration(scratch, address, "full"),
        }
    }
}

/// A server that greets clients. Dropping it kills its process group and waits.
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    /// Counts its CPU time.
    pub(super) meter: Meter,
    child: Child,
    output: PathBuf,
}

impl Server {
    /// Starts a server and waits until it has let a client in and out.
    /// Errors: it ends, or serves nobody in time; with what it printed.
    pub(super) fn start(kind: Kind, tidegate: Option<&Path>, scratch: &Scratch) -> Result<Self> {
        let address = free_address()?;
        let config = scratch.path(&format!("{}.conf", kind.folder()));
        fs::write(&config, kind.configuration(scratch, address))
            .context("cannot write a configuration file")?;
        let mut command = match kind {
            Kind::Vsftpd => {
                let mut command = Command::new(vsftpd()?);
                command.arg(&config);
                command
            }
            Kind::Tidegate | Kind::TidegateFull => {
                let mut command = Command::new(tidegate.context("tidegate was not built")?);
                command.env("TIDEGATE_LOG", "error").args(["serve", "--config"]).arg(&config);
                command
            }
        };
        let output = scratch.path(&format!("{}.out", kind.folder()));
        let sink = File::create(&output).context("cannot make a file for what a server prints")?;
        let child = command
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(sink.try_clone().context("cannot share a file")?)
            .stderr(sink)
            .spawn()
            .with_context(|| format!("cannot start {}", kind.name()))?;
        let mut server = Self { kind, address, meter: Meter::of(child.id()), child, output };
        scratch.guard(server.child.id())?;
        match server.wait_until_it_serves() {
            Ok(()) => Ok(server),
            Err(error) => Err(server.explain(error)),
        }
    }

    /// Adds what the server printed.
    pub(super) fn explain(&self, error: Error) -> Error {
        let printed = fs::read_to_string(&self.output).unwrap_or_default();
        if printed.trim().is_empty() {
            return error;
        }
        error.context(format!("{} printed:\n{}\n", self.kind.name(), printed.trim()))
    }

    fn wait_until_it_serves(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            // Before a session: a server that is not up yet has no sessions either.
            let at_rest = self.meter.rest();
            let refused = match Client::login(self.address).and_then(Client::quit) {
                Ok(()) => {
                    return at_rest;
                }
                Err(refused) => refused,
            };
            if let Some(status) = self.child.try_wait().context("cannot wait for a server")? {
                bail!("{} ended at once: {status}", self.kind.name());
            }
            if Instant::now() >= deadline {
                let late = format!("{} serves nobody after {} s", self.kind.name(), START.as_secs());
                return Err(refused.context(late));
            }
            std::thread::sleep(POLL);
        }
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

/// Returns where vsftpd is. Errors: it is not installed, with what to do.
pub(super) fn vsftpd() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join("vsftpd"))
        .find(|candidate| candidate.is_file());
    let program = found.context("vsftpd is not installed; `cargo xtask install` brings it")?;
    ensure!(
        geteuid().is_root(),
        "vsftpd serves only when it is started by root: run the bench as root, or with `--only tidegate`"
    );
    Ok(program)
}

/// Returns a loopback address with a port that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .context("no free port on the loopback interface")
}

/// The seccomp sandbox is off because it is too old for new kernels; namespaces are off because they may be forbidden where
/// this runs, and cost only at the start of a session.
fn vsftpd_configuration(scratch: &Scratch, address: SocketAddr) -> String {
    let (home, empty) = (scratch.home(), scratch.empty());
    format!(
        "\
listen=YES
listen_ipv6=NO
listen_address={}
listen_port={}
background=NO
anonymous_enable=YES
local_enable=NO
no_anon_password=NO
anon_root={}
secure_chroot_dir={}
anon_world_readable_only=NO
write_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
anon_umask=022
use_sendfile=YES
connect_from_port_20=NO
pasv_enable=YES
max_clients=0
max_per_ip=0
anon_max_rate=0
idle_session_timeout=300
data_connection_timeout=300
xferlog_enable=NO
syslog_enable=NO
log_ftp_protocol=NO
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
",
        address.ip(),
        address.port(),
        home.display(),
        empty.display()
    )
}

fn tidegate_configuration(scratch: &Scratch, address: SocketAddr, durability: &str) -> String {
    let home = scratch.home();
    format!(
        "\
durability = \"{durability}\"

[[listener]]
address = \"{address}\"

[anonymous]
enabled = true
home = \"{}\"
rights = \"all\"
",
        home.display()
    )
}
