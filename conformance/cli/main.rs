//! A user's first steps, typed as the screen says them: start, list, download, upload, stop; and what a wrong start says.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

mod ending;
mod house;
mod measured;
mod operator;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use rustix::process::Signal;
use tempfile::TempDir;
use tidegate_conformance::client::Client;
use tidegate_conformance::program::{Program, binary};

/// Returns the value in the row of the screen that starts with `name`.
fn row<'a>(screen: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.trim_start().strip_prefix(name)?.strip_prefix(' ').map(str::trim);
    screen.lines().find_map(value).unwrap_or_else(|| panic!("no {name} on the screen:\n{screen}"))
}

/// Types `line` into a shell in `folder` that has no settings of this machine; it must end well within a minute.
fn type_in(line: &str, folder: &Path) -> String {
    let Output { status, stdout, stderr } = Command::new("timeout")
        .args(["60", "sh", "-c", line])
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a PATH"))
        .env("HOME", "/nonexistent")
        .output()
        .expect("the `timeout` of coreutils");
    assert!(status.success(), "{line}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_demo_does_what_its_screen_says() {
    let place = TempDir::new().unwrap();
    let mut program = Program::start(&["serve", "demo", "--listen", "127.0.0.1:0"], place.path());
    let screen = program.screen();
    assert_eq!(names(place.path()), ["demo"]);
    let demo = place.path().join("demo");

    let work = TempDir::new().unwrap();
    let listed = type_in(row(&screen, "list"), work.path());
    for name in names(&demo) {
        assert!(listed.lines().any(|line| line.ends_with(&format!(" {name}"))), "{name} in:\n{listed}");
    }
    type_in(row(&screen, "download"), work.path());
    let [file] = &names(work.path())[..] else { panic!("one file downloaded, not {:?}", names(work.path())) };
    let content = fs::read(work.path().join(file)).unwrap();
    assert!(!content.is_empty() && content == fs::read(demo.join(file)).unwrap());
    type_in(row(&screen, "upload"), work.path());
    assert_eq!(names(&demo.join("incoming")), [file.as_str()]);
    assert_eq!(fs::read(demo.join("incoming").join(file)).unwrap(), content);

    program.signal(Signal::INT);
    let status = program.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    let said = program.said();
    let farewell = said.strip_prefix(&screen).expect("the screen first");
    let words = "Stopped: 3 sessions, 3 transfers finished, none cut, 0 refused.\n";
    assert_eq!(farewell, words, "{screen}");
}

#[test]
fn logins_leave_no_memory_behind() {
    let place = TempDir::new().unwrap();
    let mut program = Program::start(&["serve", "demo", "--listen", "127.0.0.1:0"], place.path());
    let screen = program.screen();
    let address = program.addresses()[0];
    // Its hash is made as `hash-password` makes them: each check takes 19 MiB for a moment.
    let log_in =
        || Client::greeted(address).login("tide", row(&screen, "password").split(' ').next().unwrap());
    log_in();
    let before = program.resident_kib();
    for _ in 0..8 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(log_in);
            }
        });
    }
    let grown = program.resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB more after 32 logins than the {before} KiB after one");
}

#[test]
fn a_second_start_changes_nothing_in_the_demo() {
    let place = TempDir::new().unwrap();
    let arguments = ["serve", "demo", "--listen", "127.0.0.1:0"];
    let demo = place.path().join("demo");
    let mut first = Program::start(&arguments, place.path());
    first.screen();
    first.signal(Signal::INT);
    assert!(first.wait().success());
    fs::write(demo.join("README.txt"), b"mine").unwrap();
    fs::remove_file(demo.join("empty.txt")).unwrap();
    fs::write(demo.join("incoming/new"), b"new").unwrap();
    let before = names(&demo);

    let mut second = Program::start(&arguments, place.path());
    let screen = second.screen();
    assert_eq!(type_in(&row(&screen, "download").replace(" -O ", " "), place.path()), "mine");
    second.signal(Signal::INT);
    assert!(second.wait().success());
    assert_eq!(names(&demo), before);
    assert_eq!(fs::read(demo.join("README.txt")).unwrap(), b"mine");
    assert_eq!(names(&demo.join("incoming")), ["new"]);
    assert_eq!(names(place.path()), ["demo"]);
}

#[test]
fn a_folder_open_to_other_machines_is_closed_to_anonymous() {
    let place = TempDir::new().unwrap();
    fs::create_dir(place.path().join("files")).unwrap();
    fs::write(place.path().join("files/a"), b"content").unwrap();
    let mut program = Program::start(&["serve", "files", "--listen", "0.0.0.0:0"], place.path());
    let screen = program.screen();
    assert_eq!(row(&screen, "anonymous"), "off");
    assert!(screen.contains("Anonymous is off"), "{screen}");
    let [bound] = program.addresses()[..] else { panic!("one address:\n{screen}") };
    assert!(bound.ip().is_unspecified(), "{bound}");
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port()));

    for name in ["anonymous", "ftp"] {
        let mut stranger = Client::greeted(here);
        let mut reply = stranger.say(format!("USER {name}"));
        if reply.code == 331 {
            reply = stranger.say("PASS me@");
        }
        assert_eq!(reply.code, 530, "{name}: {reply:?}");
        stranger.command("PASV", 530);
        stranger.command("RETR a", 530);
    }

    let mut why = Command::new(binary());
    let mut why = Program::spawn_with(why.args(["why", "anonymous", "--json"]), Arc::clone(program.places()));
    assert_eq!(why.wait().code(), Some(1), "{}", why.said());
    assert!(why.said().contains("\"no-account\"") && !why.said().contains("\"admit\""), "{}", why.said());

    let password = row(&screen, "password").split_whitespace().next().expect("a password");
    let mut known = Client::greeted(here);
    known.login("tide", password);
    assert_eq!(known.download("RETR a"), b"content");
    // The line to list works here too: it names the account and an address that can be reached.
    assert!(type_in(row(&screen, "list"), place.path()).contains(" a\n"));
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
}

/// Runs tidegate to its end, which must come by itself; returns its code, standard output and standard error.
fn ends(arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let mut program = Program::start(arguments, folder);
    let status = program.wait();
    (status.code(), program.said(), program.log())
}

#[test]
fn a_wrong_start_ends_with_its_code_and_a_way_out() {
    let place = TempDir::new().unwrap();
    let (code, said, log) = ends(&["serve", "nosuch", "--listen", "127.0.0.1:0"], place.path());
    assert_eq!((code, said.as_str()), (Some(1), ""), "{log}");
    assert!(log.contains("nosuch does not exist") && log.contains("hint: "), "{log}");
    assert!(names(place.path()).is_empty(), "nothing is made");

    let (code, said, log) = ends(&["serve"], place.path());
    assert_eq!((code, said.as_str()), (Some(2), ""), "{log}");
    assert!(log.contains("tidegate serve DIR"), "{log}");
    let (code, _, log) = ends(&["serve", "demo", "--lisen", "127.0.0.1:0"], place.path());
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("--listen"), "{log}");

    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = place.path().to_str().unwrap();
    let (code, said, log) = ends(&["serve", folder, "--listen", &address], place.path());
    assert_eq!((code, said.as_str()), (Some(1), ""), "{log}");
    assert!(log.contains(&address), "{log}");
}

#[test]
fn a_bad_configuration_ends_with_4_and_names_file_and_line() {
    let place = TempDir::new().unwrap();
    for (text, line, word) in [
        ("root = \"/\"\n\n[timeouts]\nidle = \"soon\"\n", 4, "idle"),
        ("root = \"/\"\nrooot = \"/\"\n", 2, "rooot"),
        ("root = \"/\"\n\n\nthis is no TOML\n", 4, "TOML"),
    ] {
        fs::write(place.path().join("bad.toml"), text).unwrap();
        for command in [&["serve", "--config", "bad.toml"][..], &["check-config", "bad.toml"]] {
            let (code, said, log) = ends(command, place.path());
            assert_eq!(code, Some(4), "{command:?}: {said}{log}");
            let shown = if command.contains(&"serve") { &log } else { &format!("{said}{log}") };
            assert!(
                shown.contains(&format!("bad.toml:{line}")) && shown.contains(word),
                "{command:?}: {shown}"
            );
        }
    }
}
