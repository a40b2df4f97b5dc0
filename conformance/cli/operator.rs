//! An operator's day with the real program: every command once, a reload, a ban that lives over a restart, a drain, a resume.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::program::{Places, Program, binary};

use super::house::{House, LOOK_EVERY};

/// Far more than socket buffers hold, so that a transfer waits for its client.
const LARGE: usize = 64 << 20;

/// Begins to download a file that is larger than what fits on the way, and reads a part of it.
fn downloading(house: &mut House) -> (Client, std::net::TcpStream) {
    let file = house.home().join("large");
    if !file.exists() {
        fs::File::create(file).unwrap().set_len(LARGE as u64).unwrap();
    }
    let mut guest = house.guest();
    guest.command("TYPE I", 200);
    let mut data = guest.passive();
    guest.command("RETR large", 150);
    data.read_exact(&mut [0; 1024]).unwrap();
    // The server counts a step when it is done, which may be after its bytes are here.
    let is_counted = |sessions: &Value| {
        let rows = sessions["sessions"].as_array().unwrap();
        rows.iter().any(|row| row["transfer"]["bytes"].as_u64().is_some_and(|bytes| bytes > 0))
    };
    house.until_shown(&["sessions"], is_counted);
    (guest, data)
}

fn sockets(places: &Places) -> Vec<PathBuf> {
    let folder = places.path().join("run/tidegate");
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
    entries.unwrap_or_default()
}

#[test]
fn every_command_answers() {
    let mut house = House::open("[limits]\nconnections_per_address = 2\ntrusted = []\n");
    let screen = house.program().said();
    assert!(screen.contains("  control    tidegate status --config t.toml "), "{screen}");
    let mut first = house.guest();
    let _second = Client::greeted(house.address());

    let status = house.json(&["status"]);
    assert_eq!(status["ready"], true, "{status:#}");
    assert_eq!(status["connections"]["in_use"], 2, "{status:#}");
    assert_eq!(status["pid"], house.program().pid(), "{status:#}");
    let said = house.does(&["status"]);
    assert!(said.contains("is ready.") && said.contains("2 of "), "{said}");

    let sessions = house.json(&["sessions"]);
    let id = |session: &Value| session["id"].as_u64().unwrap();
    let mut ids: Vec<u64> = sessions["sessions"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids.len(), 2, "{sessions:#}");
    let said = house.does(&["sessions"]);
    assert!(
        said.contains("127.0.0.1  anonymous ") && said.ends_with("2 sessions, 0 transfers under way.\n"),
        "{said}"
    );
    let (code, said, log) = house.ends(&["sessions", "--watch"]);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("no terminal") && said.ends_with("under way.\n"), "{log}{said}");

    let why = house.json(&["why", "127.0.0.1"]);
    assert_eq!(why["answers"][0]["cause"], "address-full", "{why:#}");
    let said = house.does(&["why", "127.0.0.1"]);
    for part in [
        "127.0.0.1 would be refused now.",
        "cause=address-full",
        "t.toml:7",
        "Who holds the places (2 sessions):",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut refused = Client::connect(house.address());
    let line = refused.expect(421);
    assert!(line.text().contains("[cause=address-full "), "why told the truth: {line:?}");
    refused.expect_eof();
    assert!(house.does(&["why", "anonymous"]).starts_with("anonymous would be admitted now."));
    let (code, said, log) = house.ends(&["why", "nobody"]);
    assert_eq!(code, Some(1), "{said}{log}");
    assert!(said.starts_with("nobody would be told 530 now, ") && !said.contains("admitted"), "{said}");
    assert!(log.contains("no account nobody"), "{log}");
    let (code, said, _) = house.ends(&["why", "nobody", "--json"]);
    let why: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &why["answers"][0]["outcome"]), (Some(1), &Value::from("no-account")), "{why:#}");

    let limits = house.does(&["limits"]);
    let row = limits.lines().find(|line| line.starts_with("limits.connections_per_address ")).expect(&limits);
    assert!(row.contains(" 2 ") && row.ends_with("t.toml:7"), "{row}");

    ids.sort_unstable();
    let said = house.does(&["kick", &ids[0].to_string(), "--retry", "60s"]);
    assert!(said.contains("1m"), "{said}");
    let line = first.expect(421);
    assert!(line.text().ends_with("[cause=kicked retry=60]"), "{line:?}");
    let (code, _, log) = house.ends(&["kick", "999999"]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("no session 999999"), "{log}");

    assert_eq!(house.does(&["bans"]), "Nobody is banned.\n");
    let (code, _, log) = house.ends(&["unban", "192.0.2.7"]);
    assert_eq!(code, Some(1), "{log}");
    let (code, _, log) = house.ends(&["resume"]);
    assert_eq!(code, Some(1), "{log}");
    house.end();
}

#[test]
fn a_socket_is_found_and_goes_with_the_server() {
    let house = House::open("");
    let [socket] = &sockets(&house.places)[..] else { panic!("one socket: {:?}", sockets(&house.places)) };
    let by_path = |socket: &Path| {
        let mut command = Command::new(binary());
        command.args(["status", "--json", "--socket", socket.to_str().unwrap()]);
        let mut program = Program::spawn_with(&mut command, Arc::clone(&house.places));
        (program.wait().code(), program.said())
    };
    let (code, said) = by_path(socket);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = by_path(Path::new("/nonexistent/s.sock"));
    let error: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &error["ok"]), (Some(1), &Value::Bool(false)), "{said}");
    let places = Arc::clone(&house.places);
    house.end();
    assert!(sockets(&places).is_empty(), "{:?}", sockets(&places));
}

#[test]
fn what_cannot_be_had_as_it_was_asked_for_is_a_start_error() {
    let house =
        House::open("[admin]\nsocket = \"./s.sock\"\nhttp = \"127.0.0.1:0\"\nagent = \"127.0.0.1:0\"\n");
    let screen = house.program.as_ref().unwrap().said();
    assert!(
        screen.contains("  http       http://127.0.0.1:") && screen.contains("  agent      127.0.0.1:"),
        "{screen}"
    );
    house.does(&["status"]);
    // The same file once more: the socket it names is taken.
    let (code, said, log) = house.ends(&["serve"]);
    assert_eq!((code, said.as_str()), (Some(1), ""), "{log}");
    assert!(log.contains("s.sock") && log.contains("hint: "), "{log}");
    house.does(&["status"]);

    let other = TempDir::new().unwrap();
    fs::write(other.path().join("file"), "").unwrap();
    let text = "root = \".\"\nstate = \"./file\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[anonymous]\nenabled = true\n";
    fs::write(other.path().join("t.toml"), text).unwrap();
    let mut program = Program::start(&["serve", "--config", "t.toml"], other.path());
    assert!(program.wait().code().is_some_and(|code| code == 1 || code == 4), "{}", program.log());
    assert!(program.log().contains("state"), "{}", program.log());
    house.end();
}

#[test]
fn a_reload_takes_over_limits_and_nobody_leaves() {
    let mut house = House::open("[limits]\nconnections_per_address = 1\n");
    let mut guest = house.guest();
    house.write("[limits]\nconnections_per_address = 2\n");
    let said = house.does(&["reload"]);
    assert!(
        said.contains("1 value changed") && said.contains("limits.connections_per_address  1    2"),
        "{said}"
    );
    guest.command("NOOP", 200);
    let mut second = house.guest();
    second.command("NOOP", 200);
    Client::connect(house.address()).expect(421);
    assert!(house.does(&["reload"]).contains("nothing has changed"));

    house.write("[limits]\nconnections_per_address = \"many\"\n");
    let (code, _, log) = house.ends(&["reload"]);
    assert_eq!(code, Some(1), "{log}");
    let mut check = Command::new(binary());
    check.args(["check-config", house.file().to_str().unwrap()]);
    let mut check = Program::spawn(&mut check);
    assert_eq!(check.wait().code(), Some(4));
    for line in check.log().lines().filter(|line| line.contains("many")) {
        assert!(log.contains(line.trim()), "{line} in {log}");
    }
    assert!(log.contains("t.toml:7"), "{log}");

    house.write("[files]\nkeep_partial = false\n[limits]\nconnections_per_address = 9\n");
    let (code, _, log) = house.ends(&["reload"]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("files.keep_partial") && log.contains("restart"), "{log}");
    let limits = house.json(&["limits"]);
    let in_force = |row: &&Value| row["key"] == "limits.connections_per_address";
    let row = limits["limits"].as_array().unwrap().iter().find(in_force).expect("the row");
    assert_eq!(row["value"], "2", "nothing was changed");
    guest.command("NOOP", 200);
    second.command("NOOP", 200);
    drop((guest, second));
    house.end();
}

#[test]
fn a_hangup_reloads_and_says_so_in_the_log() {
    let mut house = House::open("[limits]\nconnections_per_address = 1\n");
    let mut guest = house.guest();
    let logged = |house: &mut House, wanted: &str| {
        let end = Instant::now() + PATIENCE;
        while !house.program().log().contains(wanted) {
            assert!(Instant::now() < end, "{wanted} in {}", house.program().log());
            std::thread::sleep(LOOK_EVERY);
        }
    };
    house.write("[limits]\nconnections_per_address = 5\n");
    house.program().signal(Signal::HUP);
    logged(&mut house, "configuration read again");
    drop(house.guest());
    house.write("nonsense");
    house.program().signal(Signal::HUP);
    logged(&mut house, "was not taken over");
    guest.command("NOOP", 200);
    drop(guest);
    house.end();
}

#[test]
fn a_hangup_ends_a_server_without_a_file() {
    let place = TempDir::new().unwrap();
    let mut program = Program::start(&["serve", "demo", "--listen", "127.0.0.1:0"], place.path());
    let screen = program.screen();
    assert!(screen.contains("  control    tidegate status  "), "{screen}");
    let mut reload = Command::new(binary());
    let mut reload = Program::spawn_with(reload.arg("reload"), Arc::clone(program.places()));
    assert_eq!(reload.wait().code(), Some(1));
    assert!(reload.log().contains("without a configuration file"), "{}", reload.log());
    program.signal(Signal::HUP);
    assert_eq!(program.wait().code(), Some(0), "the terminal was closed");
}

#[test]
fn a_ban_lives_over_a_restart() {
    let mut house = House::open("[limits]\ntrusted = []\n");
    let mut guest = house.guest();
    let said = house.does(&["ban", "127.0.0.1", "--for", "10m"]);
    assert!(said.contains("127.0.0.1 is banned for 10m"), "{said}");
    guest.command("NOOP", 200);
    assert!(house.does(&["bans"]).contains("127.0.0.1  (all)  operator"));
    assert!(Client::connect(house.address()).expect(421).text().contains("[cause=banned "));
    drop(guest);
    house.program().signal(Signal::TERM);
    assert_eq!(house.program().wait().code(), Some(0));

    house.start();
    let line = Client::connect(house.address()).expect(421);
    assert!(line.text().contains("[cause=banned "), "{line:?}");
    let bans = house.json(&["bans"]);
    let left = bans["bans"][0]["remaining_seconds"].as_f64().unwrap();
    assert!((500.0..=600.0).contains(&left), "{bans:#}");
    assert!(house.does(&["unban", "127.0.0.1"]).contains("1 ban ended"));
    drop(house.guest());

    // Killed without a word: what was saved when it changed is there. Other bans see to it that there is a save after this one.
    house.does(&["ban", "127.0.0.2"]);
    let (banned, end) = (SystemTime::now(), Instant::now() + PATIENCE);
    let state = house.places.path().join("service");
    let saved = || {
        let mut folders = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
        let file = folders.next().expect("a folder of this server").join("tidegate.redb");
        fs::metadata(file).unwrap().modified().unwrap()
    };
    while saved() <= banned {
        assert!(Instant::now() < end, "the ban was not saved");
        house.does(&["ban", "127.0.0.3"]);
    }
    house.program().signal(Signal::KILL);
    house.program().wait();
    house.start();
    assert!(house.does(&["bans"]).contains("127.0.0.2"));
    house.end();
}

#[test]
fn a_drain_shows_its_progress_and_ends_the_server() {
    let mut house = House::open("");
    let (mut guest, mut data) = downloading(&mut house);
    let mut idle = house.guest();
    let mut drain = house.command(&["drain", "--deadline", "60s", "--message", "New disks"]);
    let line = idle.expect(421);
    assert!(line.text().contains("New disks") && line.text().contains("[cause=draining "), "{line:?}");
    idle.expect_eof();
    house.until(|status| status["ready"] == false && status["not_ready"] == "draining");
    let line = Client::connect(house.address()).expect(421);
    assert!(line.text().contains("New disks"), "{line:?}");

    let mut rest = Vec::new();
    data.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len() + 1024, LARGE, "no transfer is cut");
    guest.expect(226);
    guest.expect(421);
    let status = drain.wait();
    let said = drain.said();
    assert_eq!(status.code(), Some(0), "{said}{}", drain.log());
    for part in [
        "1 transfer may finish within 1m.\nClients are told: New disks\n",
        ", 1 transfer (",
        "nobody is inside any more, ",
        "The server has ended after ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(house.program().wait().code(), Some(0));
    let words = house.program().said();
    assert!(words.ends_with("refused.\n") && words.contains("none cut"), "{words}");
}

#[test]
fn a_drain_tells_programs_each_change_and_the_end() {
    let documents = |said: &str| -> Vec<Value> {
        said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"))).collect()
    };
    let mut house = House::open("");
    let (guest, data) = downloading(&mut house);
    let mut drain = house.command(&["drain", "--json", "--deadline", "5m"]);
    house.until(|status| status["drain"]["begun"] == true);
    house.does(&["resume"]);
    assert_eq!(drain.wait().code(), Some(1), "{}", drain.said());
    assert_eq!(documents(&drain.said()).last().unwrap()["resumed"], true, "{}", drain.said());

    let planned = house.json(&["drain", "--at", "+1h", "--no-wait"]);
    assert_eq!(planned["begins_in_seconds"], 3600.0, "{planned:#}");
    let mut drain = house.command(&["drain", "--json", "--deadline", "2s"]);
    house.until(|status| status["drain"]["begun"] == true);
    drop((data, guest));
    assert_eq!(drain.wait().code(), Some(0), "{}", drain.said());
    assert_eq!(drain.log(), "");
    let told = documents(&drain.said());
    assert!(told.len() >= 2 && told[0]["begun"] == true, "{}", drain.said());
    let (end, steps) = told.split_last().unwrap();
    assert_eq!((&end["ended"], &end["transfers_last_seen"]), (&Value::Bool(true), &Value::from(0)));
    assert!(end["took_seconds"].as_f64().is_some_and(|secs| secs < 60.0), "{end}");
    let numbers = |step: &Value| [step["begun"].clone(), step["sessions"].clone(), step["transfers"].clone()];
    assert!(steps.windows(2).all(|pair| numbers(&pair[0]) != numbers(&pair[1])), "{}", drain.said());
    assert_eq!(house.program().wait().code(), Some(0));
}

#[test]
fn a_drain_that_is_resumed_lets_people_in_again() {
    let mut house = House::open("");
    let (mut guest, data) = downloading(&mut house);
    let mut drain = house.command(&["drain", "--deadline", "5m"]);
    house.until(|status| status["drain"]["begun"] == true);
    Client::connect(house.address()).expect(421);
    assert!(house.does(&["resume"]).contains("let in again"));
    drop(house.guest());
    assert_eq!(drain.wait().code(), Some(1), "{}", drain.said());
    assert!(drain.log().contains("was resumed"), "{}", drain.log());

    let said = house.does(&["drain", "--at", "+1h", "--no-wait"]);
    assert!(
        said.starts_with("A drain is planned for ")
            && (said.contains("(in 59m59s)") || said.contains("(in 1h)")),
        "{said}"
    );
    let status = house.json(&["status"]);
    assert_eq!((&status["ready"], &status["drain"]["begun"]), (&Value::Bool(true), &Value::Bool(false)));
    house.does(&["resume"]);
    assert_eq!(house.json(&["status"])["drain"], Value::Null);
    let (code, _, log) = house.ends(&["drain", "--at", "yesterday"]);
    assert_eq!(code, Some(2), "{log}");

    // A signal after a resume is a first one again: the transfer may finish.
    drop(data);
    let reply = guest.reply();
    assert!(matches!(reply.code, 226 | 426 | 451), "{reply:?}");
    drop(guest);
    house.end();
}

#[test]
fn sessions_can_be_watched_as_json() {
    let mut house = House::open("");
    let _guest = house.guest();
    let mut watch = house.command(&["sessions", "--watch", "--json"]);
    let end = Instant::now() + PATIENCE;
    while watch.said().lines().count() < 2 {
        assert!(Instant::now() < end, "{}", watch.log());
        std::thread::sleep(LOOK_EVERY);
    }
    for line in watch.said().lines().take(2) {
        let document: Value = serde_json::from_str(line).unwrap();
        assert_eq!(document["sessions"][0]["account"], "anonymous", "{document:#}");
    }
    watch.signal(Signal::TERM);
    watch.wait();
    house.end();
}

/// Returns the last of a line of only children: the program behind its wrappers.
fn innermost(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().next().map_or(pid, |child| innermost(child.parse().unwrap()))
}

/// Watches the sessions on a terminal, ends that by `end` as soon as a session is seen, and returns all that was written.
fn watched(house: &House, end: impl FnOnce(u32, &mut dyn Write)) -> String {
    let view = format!(
        "stty rows 24 cols 100; exec {} sessions --watch --config {}",
        binary().display(),
        house.file().display()
    );
    // `script` of util-linux gives it a terminal; `timeout` bounds every wait below.
    let mut command = Command::new("timeout");
    command.args(["--foreground", "20", "script", "-qefc", &view, "/dev/null"]);
    command.env("TERM", "xterm").env("SHELL", "/bin/sh").env_remove("NO_COLOR");
    house.places.tell(&mut command);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`script` of util-linux");
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("anonymous") {
        let count = output.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    end(innermost(child.id()), &mut input);
    output.read_to_end(&mut seen).unwrap();
    drop(input);
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&seen));
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn the_live_view_leaves_the_terminal_as_it_was() {
    let mut house = House::open("");
    let mut guest = house.guest();
    let by_key = watched(&house, |_, input| input.write_all(b"q").unwrap());
    let by_signal = watched(&house, |pid, _| {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
    });
    let after_a_kick = watched(&house, |_, input| {
        input.write_all(b"ky").unwrap();
        let line = guest.expect(421);
        assert!(line.text().contains("[cause=kicked "), "{line:?}");
        input.write_all(b"q").unwrap();
    });
    for seen in [by_key, by_signal, after_a_kick] {
        let (into, out_of) = (seen.find("\u{1b}[?1049h"), seen.rfind("\u{1b}[?1049l"));
        assert!(into.is_some() && out_of > into, "the first screen is there again: {seen:?}");
        assert!(seen.rfind("\u{1b}[?25h") > seen.rfind("\u{1b}[?25l"), "the cursor is there again: {seen:?}");
    }
    house.end();
}
