//! A tidegate process: what it is told, what it says, and how it ends.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::PATIENCE;

/// How the last line of the start screen begins.
const LAST_LINE: &str = "\nStop it with ";
/// How often a process is asked for what cannot be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Returns the tidegate binary: `TIDEGATE_BIN`, else the one built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TIDEGATE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let path = profile.join("tidegate");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p tidegate` first (cargo xtask test does)",
        path.display()
    );
    path
}

/// Where a server keeps its control socket and what survives a restart: below a temporary folder instead of the machine's. Servers
/// that share it are one after the other.
#[derive(Debug)]
pub struct Places(TempDir);

impl Places {
    /// Makes the folder.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(TempDir::new().expect("a temporary folder")))
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Sets the variables by which tidegate, and the commands that look for its socket, find the places.
    pub fn tell(&self, command: &mut Command) {
        // As root, the state of tidegate is the machine's unless systemd names a folder.
        for (variable, folder) in
            [("XDG_RUNTIME_DIR", "run"), ("XDG_STATE_HOME", "state"), ("STATE_DIRECTORY", "service")]
        {
            let folder = self.path().join(folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            command.env(variable, folder);
        }
    }
}

/// A process of tidegate, perhaps inside a wrapper; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    places: Arc<Places>,
    said: Arc<Mutex<Vec<u8>>>,
    log: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Starts tidegate with `arguments` in `folder`.
    pub fn start(arguments: &[&str], folder: &Path) -> Self {
        Self::spawn(Command::new(binary()).args(arguments).current_dir(folder))
    }

    /// Starts what `command` says, without a standard input, with places of its own.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_with(command, Places::new())
    }

    /// Starts what `command` says, without a standard input.
    pub fn spawn_with(command: &mut Command, places: Arc<Places>) -> Self {
        places.tell(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (said, log) = (Arc::default(), Arc::default());
        let readers = vec![
            collect(child.stdout.take().expect("standard output"), Arc::clone(&said)),
            collect(child.stderr.take().expect("standard error"), Arc::clone(&log)),
        ];
        Self { child, places, said, log, readers }
    }

    /// Returns where it keeps its control socket and what survives a restart.
    pub fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Returns the start screen as soon as its last line has come, at most after `PATIENCE`.
    pub fn screen(&mut self) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if said.split_once(LAST_LINE).is_some_and(|(_, rest)| rest.contains('\n')) {
                return said;
            }
            let ended = self.child.try_wait().expect("the state of the server");
            assert!(
                ended.is_none() && Instant::now() < until,
                "the server did not start ({ended:?}); it said:\n{said}{}",
                self.log()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Returns the addresses on the start screen, in its order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let said = self.said();
        let address = |line: &str| {
            let url = line.trim_start().strip_prefix("address")?.split_whitespace().next()?;
            url.strip_prefix("ftp://")?.parse().ok()
        };
        said.lines().filter_map(address).collect()
    }

    /// Returns what it wrote to standard output so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Returns what it wrote to standard error so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Returns the process that serves: the wrapper's child where there is a wrapper.
    pub fn pid(&self) -> u32 {
        let own = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        children.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap_or(own)
    }

    /// Returns the memory it has resident, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends a signal to the process that serves.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("a signal sent to the server");
    }

    /// Waits until it has ended and all it wrote is read, at most `PATIENCE`.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of the server") {
                self.join_readers();
                return status;
            }
            assert!(Instant::now() < until, "the server did not end; it said:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.join_readers();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}

fn collect(mut pipe: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    })
}
