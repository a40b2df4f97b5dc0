//! `kill -9` at random moments: every target is the whole old or the whole new file, and leftovers are swept.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};
use tidegate_conformance::tree::Noise;

const MOMENTS: u64 = 50;
/// In so many of these rounds an upload must be under way, or over, when the server is killed.
const BEGUN_MIN: usize = 25;
const UPLOADS: u64 = 8;
const UPLOADS_LEN: usize = 8;
const BYTES: usize = 1 << 20;

fn content(round: u64, file: u64) -> Vec<u8> {
    Noise(round * UPLOADS + file).bytes(BYTES)
}

#[test]
fn kill_leaves_whole_files() {
    let seed = std::env::var("TIDEGATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into());
    println!("TIDEGATE_SEED={seed}");
    let mut noise = Noise(seed);
    let keeper = TempDir::new().unwrap();
    let home = keeper.path().join("home");
    fs::create_dir(&home).unwrap();
    for file in 0..UPLOADS {
        fs::write(home.join(format!("f{file}")), content(0, file)).unwrap();
    }
    let span = time_of_a_round(&home);
    let (mut old, mut new, mut begun) = (0, 0, 0);
    let mut stands = [0; UPLOADS_LEN];
    for round in 1..=MOMENTS {
        let mut subject = Setup::default().start_on(TempDir::new().unwrap(), home.clone());
        // From before the first byte until after the last commit, at this machine's speed; three rounds of five start
        // the clock at the first 150, however long the logins take.
        let delay = span * u32::try_from(noise.below(1250)).unwrap() / 1000;
        let waits = round % 5 < 3;
        let stored = AtomicUsize::new(0);
        let (started, starts) = mpsc::channel();
        std::thread::scope(|scope| {
            for file in 0..UPLOADS {
                let (subject, stored, started) = (&subject, &stored, started.clone());
                scope.spawn(move || {
                    if upload_until_killed(subject, file, &content(round, file), &started).is_some() {
                        stored.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let first = waits.then(|| starts.recv_timeout(PATIENCE).expect("a first 150"));
            std::thread::sleep(delay);
            begun += usize::from(first.is_some() || starts.try_recv().is_ok());
            subject.kill();
        });
        subject.wait();
        for (file, stood) in (0..UPLOADS).zip(&mut stands) {
            let found = fs::read(home.join(format!("f{file}"))).unwrap();
            if found == content(round, file) {
                *stood = round;
                new += 1;
            } else {
                assert!(
                    found == content(*stood, file),
                    "seed {seed}, round {round}: f{file} is neither old nor new"
                );
                old += 1;
            }
        }
        let replaced = stands.iter().filter(|stood| **stood == round).count();
        assert!(
            stored.into_inner() <= replaced,
            "seed {seed}, round {round}: a 226 was said for a file that is not there"
        );
    }
    println!("{old} old, {new} new, a 150 before the kill in {begun} of {MOMENTS} rounds, {span:?} a round");
    assert!(begun >= BEGUN_MIN, "seed {seed}: only {begun} of {MOMENTS} rounds killed uploads");
    assert!(
        old > 0 && new > 0,
        "seed {seed}: the moments must fall on both sides of the commit ({old} old, {new} new)"
    );
    sweeps(&home);
}

/// Returns how long all uploads of a round take, to the last 226, when nobody kills the server.
fn time_of_a_round(home: &Path) -> Duration {
    let subject = Setup::default().start_on(TempDir::new().unwrap(), home.to_path_buf());
    let (started, _starts) = mpsc::channel();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for file in 0..UPLOADS {
            let (subject, started) = (&subject, started.clone());
            scope.spawn(move || upload_until_killed(subject, file, &content(0, file), &started).unwrap());
        }
    });
    begin.elapsed()
}

/// Returns something when 226 was read, and says when 150 was. The server may die under it at any moment.
fn upload_until_killed(subject: &Subject, file: u64, content: &[u8], started: &Sender<()>) -> Option<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut client = Client::logged_in(subject.address());
        let mut data = client.passive();
        client.command(format!("STOR f{file}"), 150);
        let _ = started.send(());
        data.write_all(content).unwrap();
        data.shutdown(Shutdown::Write).unwrap();
        client.expect(226);
    }))
    .ok()
}

/// After a start and a quiet stop, nothing but the eight files and what the server keeps for itself is left.
fn sweeps(home: &Path) {
    let mut subject = Setup::default().start_on(TempDir::new().unwrap(), home.to_path_buf());
    let mut client = Client::logged_in(subject.address());
    let mut names: Vec<_> =
        String::from_utf8(client.download("NLST -a")).unwrap().lines().map(str::to_owned).collect();
    names.retain(|name| ![".", ".."].contains(&name.as_str()));
    names.sort();
    assert_eq!(names, (0..UPLOADS).map(|file| format!("f{file}")).collect::<Vec<_>>());
    subject.terminate();
    subject.wait();
    let bytes: u64 = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    let expected = UPLOADS * BYTES as u64;
    assert!(bytes < expected + (BYTES as u64) / 2, "leftovers of {} bytes", bytes - expected);
}
