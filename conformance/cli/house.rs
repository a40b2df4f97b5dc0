//! A server with a configuration file, and the commands that go with it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::program::{Places, Program, binary};

/// How often something is looked at that cannot be waited for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server with a configuration file of its own, and the commands that go with it.
pub(crate) struct House {
    folder: TempDir,
    pub(crate) places: Arc<Places>,
    pub(crate) program: Option<Program>,
}

impl House {
    /// Starts a server with anonymous access and `more` at the end of its file.
    pub(crate) fn open(more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        let mut house = Self { folder, places: Places::new(), program: None };
        house.write(more);
        house.start();
        house
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("t.toml")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn write(&self, more: &str) {
        let text = format!(
            "root = \"./home\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[anonymous]\nenabled = true\n{more}\n"
        );
        fs::write(self.file(), text).unwrap();
    }

    pub(crate) fn start(&mut self) {
        let mut command = Command::new(binary());
        command.args(["serve", "--config", "t.toml"]).current_dir(self.folder.path());
        let mut program = Program::spawn_with(&mut command, Arc::clone(&self.places));
        program.screen();
        self.program = Some(program);
    }

    pub(crate) fn program(&mut self) -> &mut Program {
        self.program.as_mut().expect("a server")
    }

    pub(crate) fn address(&mut self) -> SocketAddr {
        self.program().addresses()[0]
    }

    /// Logs in.
    pub(crate) fn guest(&mut self) -> Client {
        let mut guest = Client::greeted(self.address());
        guest.login("anonymous", "me@");
        guest
    }

    /// Begins a command for this server, in any folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Program {
        let mut command = Command::new(binary());
        let file = self.file();
        command.args(arguments).args(["--config", file.to_str().unwrap()]).current_dir("/");
        Program::spawn_with(&mut command, Arc::clone(&self.places))
    }

    /// Runs a command to its end; returns its code, standard output and standard error.
    pub(crate) fn ends(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut program = self.command(arguments);
        let status = program.wait();
        (status.code(), program.said(), program.log())
    }

    /// Runs a command that must work, and returns what it said.
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let (code, said, log) = self.ends(arguments);
        assert_eq!((code, log.as_str()), (Some(0), ""), "{arguments:?}: {said}{log}");
        said
    }

    /// Runs a command that must work with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let said = self.does(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
    }

    /// Waits until `wanted` is true of the status.
    pub(crate) fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_shown(&["status"], wanted)
    }

    /// Asks with `--json` until the answer is as wanted; returns it.
    pub(crate) fn until_shown(&self, arguments: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let shown = self.json(arguments);
            if wanted(&shown) {
                return shown;
            }
            assert!(Instant::now() < end, "it never came: {shown:#}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub(crate) fn end(mut self) {
        self.program().signal(Signal::TERM);
        let status = self.program().wait();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}
