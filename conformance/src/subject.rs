//! The server under test, as a process.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Program, binary};

/// The account every subject has.
pub const USER: &str = "tide";
/// Its password.
pub const PASSWORD: &str = "secret";
/// Its hash, as cheap as argon2id gets, so that tests may log in by the hundred.
pub const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$UIdDkLojh1uB+iqkgjTPXA$EFD0fbtBOGOCvIIDn01EKff3A3bVQ9I7I030LJlh7uI";

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
        // A crowded machine is late; only a test about that wants its newcomers refused for it.
        if !self.tables.contains("[overload]") {
            text.push_str("\n[overload]\nscheduling_delay = \"off\"\n");
        }
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
        command.current_dir(folder.path());
        let mut program = Program::spawn(&mut command);
        program.screen();
        let addresses = program.addresses();
        assert_eq!(addresses.len(), count, "listeners on the start screen");
        Subject { program, addresses, home, _folder: folder }
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Subject {
    program: Program,
    /// What it listens on, in the order of the set-up.
    pub addresses: Vec<SocketAddr>,
    /// The folder it serves.
    pub home: PathBuf,
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
        self.program.pid()
    }

    /// Returns what it logged so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Sends SIGTERM: drain.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL, at once and without a chance to tidy up.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Waits until it has ended, at most `PATIENCE`.
    pub fn wait(&mut self) -> ExitStatus {
        self.program.wait()
    }

    /// Returns the memory it has resident, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.program.resident_kib()
    }

    /// Returns the CPU time it has used so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the server runs");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }
}
