//! Records of processes that are killed, that meet, and whose disk is full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests may")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidegate_admission::{BanReason, BanRecord};
use tidegate_records::{Records, RecordsError};
use tidegate_types::AddressKey;

const FOLDER: &str = "TIDEGATE_RECORDS_TEST_FOLDER";
const ROWS: u32 = 20_000;

/// The bans of one save: each carries its number.
fn generation(number: u64, rows: u32) -> impl Iterator<Item = BanRecord> {
    (0..rows).map(move |row| BanRecord {
        address: AddressKey::V4(row.into()),
        name: None,
        reason: BanReason::Flood,
        remaining: Duration::from_secs(number),
        ended_for: Duration::ZERO,
        length: Duration::from_secs(number),
        level: 1,
    })
}

/// Returns the number that all bans in `folder` carry.
fn generation_in(folder: &Path) -> u64 {
    let mut opened = Records::open(folder).unwrap();
    assert_eq!(opened.damage, None);
    let bans = opened.records.load_bans(0).unwrap();
    assert_eq!(bans.len(), ROWS as usize);
    let number = bans[0].length;
    assert!(bans.iter().all(|ban| ban.length == number && ban.remaining == number), "two saves are mixed");
    number.as_secs()
}

/// A process that is killed when the test ends.
struct Subject {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Subject {
    fn start(mut command: Command, role: &str, folder: &Path) -> Self {
        let mut process = command
            .args(["--ignored", "--exact", role, "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// Reads up to the next line `WORD N` and returns N; `None` at the end.
    fn next(&mut self, word: &str) -> Option<u64> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(number) = line.strip_prefix(word) {
                return Some(number.trim().parse().unwrap());
            }
        }
    }

    fn saved(&mut self) -> Option<u64> {
        self.next("saved ")
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn itself() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

fn folder_of_child() -> std::path::PathBuf {
    std::env::var_os(FOLDER).expect("started by its parent").into()
}

#[test]
#[ignore = "runs as a child of the tests below"]
fn child_that_saves_without_end() {
    let mut records = Records::open(&folder_of_child()).unwrap().records;
    let first = records.load_bans(0).unwrap().first().map_or(0, |ban| ban.length.as_secs());
    // Ends by itself should its parent be gone.
    for number in first + 1..first + 2_000 {
        println!("\nbegin {number}");
        records.save_bans(generation(number, ROWS), 0).unwrap();
        println!("\nsaved {number}");
    }
}

#[test]
fn a_kill_in_the_middle_of_a_save_leaves_the_old_or_the_new() {
    let home = tempfile::tempdir().unwrap();
    let (mut old, mut new) = (0, 0);
    for round in 0..16_u64 {
        let mut child = Subject::start(itself(), "child_that_saves_without_end", home.path());
        let mut told = child.saved().unwrap();
        let begun = child.next("begin ").unwrap();
        assert_eq!(begun, told + 1);
        // At another point of that save each time: no event marks them.
        std::thread::park_timeout(Duration::from_millis(12 * round));
        child.kill();
        while let Some(number) = child.saved() {
            told = number;
        }
        let found = generation_in(home.path());
        assert!(found == told || found == told + 1, "round {round}: {told} was told, {found} is there");
        (old, new) = if found == told { (old + 1, new) } else { (old, new + 1) };
    }
    println!("{old} times the save before, {new} times one that was not told yet");
    assert!(old > 0, "no save was cut short");
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Subject::start(itself(), "child_that_saves_without_end", home.path());
    child.saved().unwrap();
    let error = Records::open(home.path()).unwrap_err();
    assert!(matches!(&error, RecordsError::InUse { path } if path == home.path()), "{error:?}");
    assert!(child.saved().is_some(), "the other goes on");
    child.kill();
    assert!(generation_in(home.path()) > 1);
}

#[test]
#[ignore = "runs as a child of the test below"]
fn child_whose_disk_is_full_for_a_while() {
    let mut records = Records::open(&folder_of_child()).unwrap().records;
    records.save_bans(generation(1, ROWS), 0).unwrap();
    let hard = getrlimit(Resource::Fsize).maximum;
    let size = std::fs::metadata(folder_of_child().join(tidegate_records::FILE_NAME)).unwrap().len();
    setrlimit(Resource::Fsize, Rlimit { current: Some(size), maximum: hard }).unwrap();
    for _ in 0..2 {
        let error = records.save_bans(generation(2, ROWS * 20), 0).unwrap_err();
        assert!(matches!(&error, RecordsError::Failed { .. }), "{error:?}");
    }
    setrlimit(Resource::Fsize, Rlimit { current: hard, maximum: hard }).unwrap();
    assert_eq!(records.load_bans(0).unwrap()[0].length.as_secs(), 1, "the old ones are still there");
    records.save_bans(generation(3, ROWS), 0).unwrap();
    println!("\nsaved 3");
}

#[test]
fn a_full_disk_passes() {
    let home = tempfile::tempdir().unwrap();
    // Beyond the limit of a file's size the kernel sends a signal, unless it is ignored.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]).arg(std::env::current_exe().unwrap());
    let mut child = Subject::start(shell, "child_whose_disk_is_full_for_a_while", home.path());
    assert_eq!(child.saved(), Some(3));
    assert!(child.process.wait().unwrap().success());
    assert_eq!(generation_in(home.path()), 3);
}
