//! The server under test, as a process.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use tempfile::TempDir;

use crate::PATIENCE;

/// The account every subject has.
pub const USER: &str = "tide";
/// Its password.
pub const PASSWORD: &str = "secret";
/// Its hash, as cheap as argon2id gets, so that tests may log in by the hundred.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$UIdDkLojh1uB+iqkgjTPXA$EFD0fbtBOGOCvIIDn01EKff3A3bVQ9I7I030LJlh7uI";

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

/// How a subject is set up. Ports are chosen by the system; the account `tide` may do everything.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What stands before the tables of the configuration, such as `durability = "none"`.
    pub top: String,
    /// More tables, such as `[limits]`.
    pub tables: String,
    /// What goes into the account's table beside name, hash and rights.
    pub account: String,
    /// The addresses to listen on.
    pub listen: Vec<String>,
    /// Whether anonymous may read.
    pub anonymous: bool,
    /// Commands run before the server in the same process (`ulimit -n 64`), for a POSIX shell.
    pub shell: Option<String>,
    /// A program that runs the server, such as strace, with its arguments.
    pub wrapper: Vec<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            top: String::new(),
            tables: String::new(),
            account: String::new(),
            listen: vec!["127.0.0.1:0".into()],
            anonymous: true,
            shell: None,
            wrapper: Vec::new(),
        }
    }
}

impl Setup {
    /// Returns the default with `tables` added.
    pub fn with(tables: &str) -> Self {
        Self { tables: tables.into(), ..Self::default() }
    }

    fn config(&self, home: &Path) -> String {
        let mut text = format!("root = {:?}\n{}\n", home.to_str().expect("a plain path"), self.top);
        for address in &self.listen {
            let _ = writeln!(text, "[[listener]]\naddress = {address:?}");
        }
        let _ = writeln!(
            text,
            "[[account]]\nname = {USER:?}\npassword_hash = {PASSWORD_HASH:?}\nrights = \"all\"\n{}",
            self.account
        );
        if self.anonymous {
            text.push_str("[anonymous]\nenabled = true\nrights = \"read-only\"\n");
        }
        text.push_str(&self.tables);
        text
    }

    /// Starts a server on a fresh home.
    pub fn start(&self) -> Subject {
        self.start_with_addresses(self.listen.len())
    }

    /// Starts a server whose listeners are all in `tables`, `count` of them.
    pub fn start_with_addresses(&self, count: usize) -> Subject {
        let folder = TempDir::new().expect("a temporary folder");
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("a home");
        self.launch(folder, home, count)
    }

    /// Starts a server on `home`; `folder` keeps the configuration and is removed with the subject.
    pub fn start_on(&self, folder: TempDir, home: PathBuf) -> Subject {
        self.launch(folder, home, self.listen.len())
    }

    fn launch(&self, folder: TempDir, home: PathBuf, count: usize) -> Subject {
        let config = folder.path().join("tidegate.toml");
        std::fs::write(&config, self.config(&home)).expect("a configuration file");
        let mut words: Vec<String> = self.wrapper.clone();
        words.push(binary().to_str().expect("a plain path").into());
        words.extend(["serve".into(), "--config".into(), config.to_str().expect("a plain path").into()]);
        let mut command = match &self.shell {
            None => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }
            Some(first) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("{first}; exec \"$@\""), "sh"]).args(&words);
                command
            }
        };
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {words:?}: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let logger = collect(child.stderr.take().expect("standard error"), Arc::clone(&log));
        let (addresses, screen) = bound(&mut child, count, &log);
        Subject { child, addresses, home, log, threads: vec![logger, screen], _folder: folder }
    }
}

/// Reads the start screen until all addresses are known; what follows is read and dropped.
fn bound(child: &mut Child, count: usize, log: &Mutex<String>) -> (Vec<SocketAddr>, JoinHandle<()>) {
    let screen = child.stdout.take().expect("standard output");
    let (found, addresses) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(screen).lines().map_while(Result::ok) {
            let mut words = line.split_whitespace();
            if let (Some("address"), Some(url)) = (words.next(), words.next())
                && let Some(address) =
                    url.strip_prefix("ftp://").and_then(|text| text.parse::<SocketAddr>().ok())
            {
                // The test may be over already.
                let _ = found.send(address);
            }
        }
    });
    let addresses = (0..count)
        .map(|_| {
            addresses
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("the server did not start; it said:\n{}", log.lock().unwrap()))
        })
        .collect();
    (addresses, reader)
}

fn collect(mut pipe: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    })
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Subject {
    child: Child,
    /// What it listens on, in the order of the set-up.
    pub addresses: Vec<SocketAddr>,
    /// The folder it serves.
    pub home: PathBuf,
    log: Arc<Mutex<String>>,
    threads: Vec<JoinHandle<()>>,
    _folder: TempDir,
}

impl Subject {
    /// Starts one with the default set-up.
    pub fn start() -> Self {
        Setup::default().start()
    }

    /// Returns the first address.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Returns the URL of the account at the first address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("ftp://{USER}:{PASSWORD}@{}", self.address())
    }

    /// Returns the process that serves: the wrapper's child where there is a wrapper.
    pub fn pid(&self) -> u32 {
        let own = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        children.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap_or(own)
    }

    /// Returns what it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends SIGTERM: drain.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends SIGKILL, at once and without a chance to tidy up.
    pub fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("a signal sent to the server");
    }

    /// Waits until it has ended, at most `PATIENCE`.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of the server") {
                for thread in self.threads.drain(..) {
                    let _ = thread.join();
                }
                return status;
            }
            assert!(Instant::now() < until, "the server did not end; it said:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Returns the CPU time it has used so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the server runs");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}
