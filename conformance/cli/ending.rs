//! The server ends when it is told to, whatever hangs around it: a log that nobody reads, a configuration that is a pipe, a predecessor
//! that still drains.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::program::{Places, Program, binary};

/// How often something is looked at that cannot be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Far more than socket buffers hold, so that a transfer waits for its client.
const LARGE: usize = 64 << 20;
/// How many sessions come and go while nobody reads the log.
const VISITS: usize = 500;
/// So many at most fill what the server keeps of its log: 256 KiB, and three lines for each.
const VISITS_MAX: usize = 5_000;

/// A folder with a configuration file, its home, and the places of its servers.
struct Site {
    folder: TempDir,
    places: Arc<Places>,
}

impl Site {
    /// Makes a site whose socket is `a.sock`, with `more` at the end of its file.
    fn new(more: &str) -> Self {
        let site = Self { folder: TempDir::new().unwrap(), places: Places::new() };
        fs::create_dir(site.path("home")).unwrap();
        File::create(site.path("home/large")).unwrap().set_len(LARGE as u64).unwrap();
        site.write("a.sock", more);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, socket: &str, more: &str) {
        let text = format!(
            "root = \"./home\"\nadmin.socket = \"./{socket}\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[anonymous]\nenabled = true\n{more}\n"
        );
        fs::write(self.path("t.toml"), text).unwrap();
    }

    /// Begins `tidegate` with arguments, or what `shell` makes of `"$@"`.
    fn begin(&self, shell: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$@\" {shell}"), "sh"]).arg(binary()).args(arguments);
        command.env_remove("TIDEGATE_LOG").env_remove("RUST_LOG");
        Program::spawn_with(command.current_dir(self.folder.path()), Arc::clone(&self.places))
    }

    /// Starts a server and waits for its screen.
    fn serve(&self, shell: &str) -> Program {
        let mut program = self.begin(shell, &["serve", "--config", "t.toml"]);
        program.screen();
        program
    }

    /// Runs a command for the server at a socket; returns its code, standard output and standard error.
    fn ends(&self, socket: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut program = self.begin("", &[arguments, &["--socket", socket]].concat());
        let status = program.wait();
        (status.code(), program.said(), program.log())
    }

    fn does(&self, socket: &str, arguments: &[&str]) -> String {
        let (code, said, log) = self.ends(socket, arguments);
        assert_eq!((code, log.as_str()), (Some(0), ""), "{arguments:?}: {said}{log}");
        said
    }

    fn complaints(&self, socket: &str) -> Vec<String> {
        let status: Value = serde_json::from_str(&self.does(socket, &["status", "--json"])).unwrap();
        let list = status["complaints"].as_array().unwrap();
        list.iter().map(|complaint| complaint.as_str().unwrap().to_owned()).collect()
    }
}

fn guest(program: &Program) -> Client {
    let mut guest = Client::greeted(program.addresses()[0]);
    guest.login("anonymous", "me@");
    guest
}

/// Begins to download more than fits on the way, and reads a part of it.
fn downloading(program: &Program) -> (Client, std::net::TcpStream) {
    let mut guest = guest(program);
    guest.command("TYPE I", 200);
    let mut data = guest.passive();
    guest.command("RETR large", 150);
    data.read_exact(&mut [0; 1024]).unwrap();
    (guest, data)
}

/// Reads the rest of the download, which must be whole, and the farewell.
fn finish((mut guest, mut data): (Client, std::net::TcpStream)) {
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len() + 1024, LARGE, "the transfer was cut");
    guest.expect(226);
    guest.expect(421);
    guest.expect_eof();
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never came: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Makes a pipe with a name that somebody has open for reading and writing, and nobody reads.
fn unread_pipe(path: &std::path::Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let pipe = OpenOptions::new().read(true).write(true).open(path).unwrap();
    rustix::pipe::fcntl_setpipe_size(&pipe, 4096).unwrap();
    pipe
}

#[test]
fn a_log_that_nobody_reads_stops_nothing_and_what_was_lost_is_told() {
    let site = Site::new("");
    let mut pipe = unread_pipe(&site.path("log"));
    let mut program = site.serve("2>log");
    let mut inside = guest(&program);
    for _ in 0..VISITS {
        drop(guest(&program));
    }
    inside.command("NOOP", 200);
    let mut visits = VISITS;
    while site.complaints("a.sock").is_empty() {
        assert!(visits < VISITS_MAX, "no line was ever lost");
        for _ in 0..100 {
            drop(guest(&program));
        }
        visits += 100;
    }
    let complaints = site.complaints("a.sock");
    assert!(
        complaints.len() == 1 && complaints[0].contains(" log lines are lost: nobody reads"),
        "{complaints:?}"
    );

    // Somebody reads again.
    let (seen, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        let has = |text: &[u8], word: &str| String::from_utf8_lossy(text).contains(word);
        while !has(&text, "\"ended\"") {
            let count = pipe.read(&mut buffer).unwrap();
            text.extend_from_slice(&buffer[..count]);
            if has(&buffer[..count], "\n") && has(&text, "log lines were lost") {
                let _ = seen.send(());
            }
        }
        String::from_utf8(text).unwrap()
    });
    lines.recv_timeout(PATIENCE).expect("a line that tells what was lost");
    until("a log without complaints", || site.complaints("a.sock").is_empty());
    inside.command("NOOP", 200);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
    let text = reader.join().unwrap();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string(), "{line}");
    }
}

#[test]
fn streams_that_nobody_reads_do_not_hold_the_end() {
    let site = Site::new("[timeouts]\nshutdown = \"60s\"\n");
    let _log = unread_pipe(&site.path("log"));
    let out = unread_pipe(&site.path("out"));
    // Standard output is full from the beginning: not even the screen fits.
    rustix::io::write(&out, &[b'x'; 4096]).unwrap();
    let mut program = site.begin("2>log >out", &["serve", "--config", "t.toml"]);
    until("a socket that answers", || site.ends("a.sock", &["status"]).0 == Some(0));
    let status: Value = serde_json::from_str(&site.does("a.sock", &["status", "--json"])).unwrap();
    let address = status["listeners"][0]["address"].as_str().unwrap().parse().unwrap();
    for _ in 0..VISITS {
        Client::greeted(address).login("anonymous", "me@");
    }
    let began = Instant::now();
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn last_lines_arrive_when_somebody_reads() {
    let site = Site::new("");
    let mut program = site.serve("");
    drop(guest(&program));
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
    assert!(program.log().contains("\"ended\""), "{}", program.log());
    assert!(program.said().ends_with("refused.\n"), "{}", program.said());
}

#[test]
fn a_configuration_that_is_a_pipe_is_refused_and_holds_nothing() {
    let site = Site::new("");
    let mut program = site.serve("");
    let mut inside = guest(&program);
    fs::remove_file(site.path("t.toml")).unwrap();
    mknodat(CWD, site.path("t.toml"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (code, said, log) = site.ends("a.sock", &["reload"]);
    assert_eq!(code, Some(1), "{said}{log}");
    assert!(log.contains("t.toml: it is no regular file"), "{log}");
    program.signal(Signal::HUP);
    until("the outcome in the log", || program.log().contains("it is no regular file"));
    for arguments in [&["check-config", "t.toml"][..], &["serve", "--config", "t.toml"]] {
        let mut command = site.begin("", arguments);
        assert_eq!(command.wait().code(), Some(4), "{arguments:?}: {}", command.log());
        assert!(command.log().contains("t.toml: it is no regular file"), "{}", command.log());
    }
    inside.command("NOOP", 200);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn one_signal_during_an_operators_drain_cuts_nothing() {
    let site = Site::new("[timeouts]\nshutdown = \"60s\"\n");
    let mut program = site.serve("");
    let transfer = downloading(&program);
    let _operator = site.begin("", &["drain", "--deadline", "2h", "--socket", "a.sock"]);
    until("a drain", || site.does("a.sock", &["status", "--json"]).contains("\"draining\""));
    program.signal(Signal::TERM);
    until("what it waits for", || program.said().contains("Stopping: 1 transfer may finish within 1m. "));
    finish(transfer);
    assert_eq!(program.wait().code(), Some(0));
    assert!(program.said().contains("none cut"), "{}", program.said());
}

#[test]
fn the_earlier_of_both_ends_counts() {
    for (shutdown, deadline) in [("1s", "2h"), ("2h", "1s")] {
        let site = Site::new(&format!("[timeouts]\nshutdown = \"{shutdown}\"\n"));
        let mut program = site.serve("");
        // Nobody reads what is sent, so it does not finish by itself.
        let (mut guest, _data) = downloading(&program);
        let operator = site.begin("", &["drain", "--deadline", deadline, "--socket", "a.sock"]);
        until("a drain", || operator.said().contains("1 transfer may finish within"));
        program.signal(Signal::TERM);
        guest.expect(426);
        guest.expect(421);
        assert_eq!(program.wait().code(), Some(0));
        assert!(program.said().contains("1 cut"), "{}", program.said());
    }
}

#[test]
fn nobody_calls_off_what_a_signal_began_and_a_second_one_hurries() {
    let site = Site::new("[timeouts]\nshutdown = \"2h\"\n");
    let mut program = site.serve("");
    let (mut guest, _data) = downloading(&program);
    program.signal(Signal::TERM);
    until("a drain", || program.said().contains("Stopping: 1 transfer may finish within 2h. "));
    for arguments in [&["resume"][..], &["drain", "--deadline", "3h"]] {
        let (code, said, log) = site.ends("a.sock", arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}{log}");
    }
    program.signal(Signal::TERM);
    guest.expect(426);
    guest.expect(421);
    assert_eq!(program.wait().code(), Some(0));
    assert!(program.said().contains("1 cut"), "{}", program.said());
}

#[test]
fn a_successor_waits_for_the_bans_of_who_still_drains() {
    let more = "[limits]\ntrusted = []\n[timeouts]\nshutdown = \"5m\"\n";
    let site = Site::new(more);
    let mut old = site.serve("");
    site.does("a.sock", &["ban", "127.0.0.2", "--for", "1h"]);
    let transfer = downloading(&old);
    old.signal(Signal::TERM);
    until("a drain", || old.said().contains("Stopping: 1 transfer"));

    // The same file, and so the same place for bans; its socket is another one, since the old one still answers.
    site.write("b.sock", more);
    let mut new = site.serve("");
    let complaints = site.complaints("b.sock");
    assert!(
        complaints.len() == 1 && complaints[0].starts_with("bans are not kept yet: another process uses "),
        "{complaints:?}"
    );
    site.does("b.sock", &["ban", "127.0.0.3", "--for", "1h"]);
    finish(transfer);
    assert_eq!(old.wait().code(), Some(0));
    until("the bans", || site.does("b.sock", &["bans"]).contains("127.0.0.2  (all)  operator"));
    assert!(site.does("b.sock", &["bans"]).contains("127.0.0.3"));
    until("no complaint", || site.complaints("b.sock").is_empty());
    new.signal(Signal::TERM);
    assert_eq!(new.wait().code(), Some(0));

    let mut third = site.serve("");
    let bans = site.does("b.sock", &["bans"]);
    assert!(bans.contains("127.0.0.2") && bans.contains("127.0.0.3"), "{bans}");
    third.signal(Signal::TERM);
    assert_eq!(third.wait().code(), Some(0));
}
