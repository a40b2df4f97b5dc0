//! What every attack is measured by.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Subject, USER};
use tidegate_conformance::tree::Noise;

/// How much more memory the server may hold after an attack than before it.
pub(crate) const GROWTH_KIB_MAX: u64 = 4 * 1024;
/// How long the next client may take from connecting to the reply to its NOOP, median of [`TRIES`].
pub(crate) const NEXT_CLIENT_MAX: Duration = Duration::from_millis(100);
/// How long memory and descriptors may take to come back: longer than a lingering close and an idle thread's life.
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// Measured so often for one median.
const TRIES: usize = 5;
/// A median over its bound is measured again, so often in all: another process may have had both processors. A server that
/// is too slow is too slow each time. The attack itself is never repeated.
const ROUNDS: usize = 3;
const LOOK_EVERY: Duration = Duration::from_millis(20);
const KEEPSAKE: &str = "keepsake.dat";

/// What the server process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Proportional set size, as the kernel says it.
    pub(crate) pss_kib: u64,
    /// PSS as it is when no other process shares pages with the server: resident pages of `smaps_rollup`. This is what is
    /// compared. PSS itself jumps by megabytes when a neighbour test starts or stops a server of the same program file, and
    /// is never larger.
    pub(crate) alone_kib: u64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
}

impl Held {
    /// Asks the kernel.
    pub(crate) fn by(pid: u32) -> Self {
        Self::if_alive(pid).expect("the server runs")
    }

    fn if_alive(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").trim().parse().ok()
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Self { pss_kib: kib("Pss:")?, alone_kib: kib("Rss:")?, descriptors })
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB (PSS {}), {} descriptors", self.alone_kib, self.pss_kib, self.descriptors)
    }
}

/// Looks at the memory of a process all the time and keeps the most it saw.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Watch {
    /// Begins to look at process `pid`.
    pub(crate) fn begin(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            // Once more after it was told to stop: the end of the attack must be seen, too.
            loop {
                let is_last = told.load(Ordering::Relaxed);
                let Some(held) = Held::if_alive(pid) else { return most };
                most = most.max(held.alone_kib);
                if is_last {
                    return most;
                }
                sleep(LOOK_EVERY);
            }
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends and returns the most memory seen, in KiB.
    pub(crate) fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Runs `attack`; then the server must be as good as before: alive, the next client served within 100 ms, memory within
/// 4 MiB of what it was and descriptors all back in a bounded time, a file uploaded before still whole. Prints the figures and
/// returns by how many KiB memory had grown at its peak, while the attack ran.
pub(crate) fn survives(subject: &Subject, what: &str, attack: impl FnOnce()) -> u64 {
    warm(subject);
    let pid = subject.pid();
    let before = settled(subject);
    let watch = Watch::begin(pid);
    let begun = Instant::now();
    attack();
    let took = begun.elapsed();
    let peak = watch.end().saturating_sub(before.alone_kib);
    let next = next_client(subject);
    let (after, back) = back_to(subject, before);
    println!(
        "{what}: took {took:.1?}; next client {next:.1?}; before {before}; at most {peak} KiB more; after {after}, {back:.1?} later"
    );
    let mut client = Client::logged_in(subject.address());
    assert!(client.download(&format!("RETR {KEEPSAKE}")) == keepsake(), "{what}: a file was harmed");
    assert!(!subject.log().contains("panicked"), "{what}: {}", subject.log());
    peak
}

fn keepsake() -> Vec<u8> {
    Noise(4711).bytes(200_000)
}

/// Has the server do once what sessions do, so that its pages and threads are there before memory is measured.
pub(crate) fn warm(subject: &Subject) {
    let mut client = Client::logged_in(subject.address());
    client.upload(&format!("STOR {KEEPSAKE}"), &keepsake());
    assert!(client.download(&format!("RETR {KEEPSAKE}")) == keepsake());
    for command in ["LIST", "NLST", "MLSD"] {
        client.download(command);
    }
    client.command("PWD", 257);
    client.command("NOPE", 500);
    client.command("QUIT", 221);
    client.expect_eof();
}

/// Returns what the server holds when it has stopped changing: earlier sessions are gone, lingering sockets closed.
fn settled(subject: &Subject) -> Held {
    let until = Instant::now() + BACK_WITHIN;
    let mut last = Held::by(subject.pid());
    let mut calm = Instant::now();
    while Instant::now() < until && calm.elapsed() < 15 * LOOK_EVERY {
        sleep(LOOK_EVERY);
        let now = Held::by(subject.pid());
        if now.descriptors != last.descriptors || now.alone_kib != last.alone_kib {
            calm = Instant::now();
        }
        last = now;
    }
    last
}

/// Waits until the server holds what it held `before`; returns what it holds then, and how long that took.
fn back_to(subject: &Subject, before: Held) -> (Held, Duration) {
    let begun = Instant::now();
    loop {
        let now = Held::by(subject.pid());
        let memory = now.alone_kib <= before.alone_kib + GROWTH_KIB_MAX;
        if memory && now.descriptors <= before.descriptors {
            return (now, begun.elapsed());
        }
        assert!(begun.elapsed() < BACK_WITHIN, "not back within {BACK_WITHIN:?}: before {before}, now {now}");
        sleep(LOOK_EVERY);
    }
}

/// Returns the median time from connecting to the reply to a NOOP after the login; fails over 100 ms.
pub(crate) fn next_client(subject: &Subject) -> Duration {
    median_within(NEXT_CLIENT_MAX, "the next client", || {
        let begun = Instant::now();
        let mut client = Client::greeted(subject.address());
        client.login(USER, PASSWORD);
        client.command("NOOP", 200);
        begun.elapsed()
    })
}

/// Returns the median of five measurements; fails when it is over `most` in each of three rounds.
pub(crate) fn median_within(most: Duration, what: &str, mut measure: impl FnMut() -> Duration) -> Duration {
    let mut medians = Vec::new();
    for _ in 0..ROUNDS {
        let mut times: Vec<Duration> = (0..TRIES).map(|_| measure()).collect();
        times.sort();
        let median = times[TRIES / 2];
        if median <= most {
            return median;
        }
        medians.push(median);
    }
    panic!("{what} took longer than {most:?}: medians of {TRIES}: {medians:.1?}");
}

/// Waits until `is_so` says yes, at most the usual patience.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + tidegate_conformance::PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        sleep(LOOK_EVERY);
    }
}
