//! A directory with a million entries (issue 3): memory does not grow with it, the first byte comes at once, nothing is missing.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, Mode};
use tempfile::TempDir;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

use crate::lab::{GROWTH_KIB_MAX, Held, Watch, median_within, survives};

const ENTRIES: usize = 1_000_000;
/// Below the most hard links that ext4 lets a file have (65,000).
const LINKS: usize = 60_000;
/// From the client's command to the first data byte, median of five.
const FIRST_BYTE_MAX: Duration = Duration::from_millis(20);
/// How long the client dawdles before it reads at full speed.
const DAWDLE: Duration = Duration::from_secs(1);

/// Returns a folder for the tree: in memory where the system offers that, for a million names on a disk take a minute to make and
/// remove. A test of bounds, not of disks.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.or_else(|_| TempDir::new()).expect("a temporary folder")
}

/// Makes the entries in two threads, most of them hard links: the names count, not the files.
fn fill(big: &Path) {
    fs::create_dir(big).unwrap();
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                let dir = File::open(big).unwrap();
                let mut file = String::new();
                for index in (half * ENTRIES / 2)..((half + 1) * ENTRIES / 2) {
                    let name = format!("entry-{index:06}.dat");
                    if index % LINKS == 0 || file.is_empty() {
                        let mode = Mode::from_raw_mode(0o644);
                        rustix::fs::mknodat(&dir, &name, FileType::RegularFile, mode, 0).unwrap();
                        file = name;
                    } else {
                        rustix::fs::linkat(&dir, &file, &dir, &name, AtFlags::empty()).unwrap();
                    }
                }
            });
        }
    });
}

/// Asks and returns the time from the command to the first byte of data; the rest is not wanted.
fn first_byte(client: &mut Client, command: &str) -> Duration {
    let mut data = client.passive();
    let begun = Instant::now();
    client.send(format!("{command}\r\n").as_bytes());
    data.read_exact(&mut [0]).expect("a first byte");
    let took = begun.elapsed();
    drop(data);
    client.expect(150);
    client.expect(426);
    took
}

/// Reads slowly at first.
struct Dawdler {
    stream: TcpStream,
    until: Instant,
}

impl Read for Dawdler {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until {
            return self.stream.read(buffer);
        }
        std::thread::sleep(Duration::from_millis(5));
        let most = buffer.len().min(4096);
        self.stream.read(&mut buffer[..most])
    }
}

/// Which entries came.
struct Tally {
    seen: Vec<u8>,
    other_lines: Vec<String>,
}

impl Tally {
    fn count(reader: impl BufRead) -> Self {
        let mut tally = Self { seen: vec![0; ENTRIES], other_lines: Vec::new() };
        for line in reader.lines() {
            let line = line.expect("a line of the listing");
            let name = line.strip_suffix(".dat").and_then(|line| line.rsplit_once("entry-"));
            match name.and_then(|(_, digits)| digits.parse::<usize>().ok()) {
                Some(index) => tally.seen[index] += 1,
                None => tally.other_lines.push(line),
            }
        }
        tally
    }

    /// A recursive listing may stop at a bound (PROTOCOL A17), says so, and is right as far as it goes.
    fn assert_cut_at_a_bound(&self, command: &str, reply: &str) {
        let came = self.seen.iter().filter(|count| **count > 0).count();
        assert!(self.seen.iter().all(|count| *count <= 1), "{command}: entries came twice");
        assert!(came >= 10_000 && reply.contains("stopped"), "{command}: {came} entries, then {reply}");
        println!("{command}: stopped at its bound after {came} entries");
    }

    fn assert_each_once(&self, command: &str) {
        let (mut missing, mut twice) = (0, 0);
        for count in &self.seen {
            missing += usize::from(*count == 0);
            twice += usize::from(*count > 1);
        }
        assert!(missing == 0 && twice == 0, "{command}: {missing} entries missing, {twice} more than once");
        assert!(self.other_lines.len() <= 3, "{command}: {:?}", &self.other_lines[..4]);
    }
}

fn list(subject: &Subject, command: &str) {
    let mut client = Client::logged_in(subject.address());
    let first = median_within(FIRST_BYTE_MAX, &format!("{command}: the first byte"), || {
        first_byte(&mut client, command)
    });
    let before = Held::by(subject.pid());
    let watch = Watch::begin(subject.pid());
    let begun = Instant::now();
    let data = client.passive();
    client.command(command, 150);
    let dawdler = Dawdler { stream: data, until: Instant::now() + DAWDLE };
    let tally = Tally::count(BufReader::with_capacity(1 << 16, dawdler));
    let reply = client.expect(226);
    let growth = watch.end().saturating_sub(before.alone_kib);
    println!(
        "{command}: first byte {first:.1?}, {growth} KiB more, all in {:.1?}; {}",
        begun.elapsed(),
        reply.text()
    );
    assert!(growth <= GROWTH_KIB_MAX, "{command}: {growth} KiB");
    if command.contains("-R") && !reply.text().starts_with("226 Transfer complete") {
        tally.assert_cut_at_a_bound(command, reply.text());
    } else {
        tally.assert_each_once(command);
    }
}

#[test]
fn a_million_entries() {
    let keeper = folder();
    let home: PathBuf = keeper.path().join("home");
    let big = home.join("big");
    fs::create_dir(&home).unwrap();
    let begun = Instant::now();
    fill(&big);
    println!("{ENTRIES} entries made in {:.1?} below {}", begun.elapsed(), keeper.path().display());
    let subject = Setup::default().start_on(TempDir::new().unwrap(), home);
    survives(&subject, "a million entries, four ways", || {
        let mut client = Client::logged_in(subject.address());
        client.download("NLST big"); // the dentry cache is warm from here on
        for command in ["LIST big", "NLST big", "MLSD big", "LIST -R big"] {
            list(&subject, command);
        }
    });
    drop(subject);
}
