//! A control socket that answers what a test wants, and an [`Out`] that listens.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_admin::message::{Failure, Request};

use super::Out;
use crate::args::ServerArgs;

/// What the fake answers; `None` closes the connection instead.
pub(super) type Answer = Option<Result<Value, Failure>>;

/// Answers every connection to a socket, one after the other.
pub(super) struct FakeServer {
    folder: TempDir,
    thread: Option<JoinHandle<Vec<Request>>>,
}

impl FakeServer {
    /// Listens, and answers by `answer`, which is told the number of the request too. It takes `connections` connections.
    pub(super) fn start(
        connections: usize,
        mut answer: impl FnMut(usize, &Request) -> Answer + Send + 'static,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("s.sock")).unwrap();
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for _ in 0..connections {
                let (stream, _) = listener.accept().unwrap();
                serve(stream, &mut requests, &mut answer);
            }
            requests
        });
        Self { folder, thread: Some(thread) }
    }

    /// Answers each request on one connection with the next of `answers`.
    pub(super) fn saying(answers: Vec<Result<Value, Failure>>) -> Self {
        let mut answers = answers.into_iter();
        Self::start(1, move |_, _| answers.next())
    }

    pub(super) fn args(&self, json: bool) -> ServerArgs {
        ServerArgs { socket: Some(self.path()), config: None, json }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("s.sock")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns what it was asked, after the last connection was closed.
    pub(super) fn asked(mut self) -> Vec<Request> {
        self.thread.take().unwrap().join().unwrap()
    }
}

fn serve(
    stream: UnixStream,
    requests: &mut Vec<Request>,
    answer: &mut impl FnMut(usize, &Request) -> Answer,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut writer, mut line) = (stream, String::new());
    while reader.read_line(&mut line).unwrap() > 0 {
        let request: Request = serde_json::from_str(&line).unwrap();
        let answered = answer(requests.len(), &request);
        requests.push(request);
        let reply = match answered {
            None => return,
            Some(Ok(result)) => json!({ "ok": true, "result": result }),
            Some(Err(failure)) => json!({ "ok": false, "error": failure }),
        };
        writeln!(writer, "{reply}").unwrap();
        line.clear();
    }
}

/// Keeps what is said.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) said: String,
    pub(super) complained: String,
    pub(super) terminal: bool,
    /// After how many lines it stops to listen; `None`: never.
    pub(super) reads: Option<usize>,
}

impl Out for Heard {
    fn say(&mut self, text: &str) -> bool {
        self.said.push_str(text);
        self.reads.is_none_or(|lines| self.said.lines().count() < lines)
    }

    fn complain(&mut self, text: &str) {
        self.complained.push_str(text);
    }

    fn is_terminal(&self) -> bool {
        self.terminal
    }

    fn colour(&self) -> bool {
        false
    }
}
