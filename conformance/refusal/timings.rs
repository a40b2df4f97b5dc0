//! A drain at a random moment among 50 transfers: none is cut, none is lost, newcomers are told the announced end, and
//! readiness is false from the first second, and both go on until the last transfer has ended (10 timings;
//! `TIDEGATE_TIMINGS=100` for more).

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::tree::Noise;

use crate::house::{House, http, wait_for};
use crate::visitor::{assert_form, last_words};

const EACH: usize = 25;
/// More than the sockets between server and client hold, so that a download is under way until its client has read on.
const DOWNLOAD_BYTES: usize = 8 << 20;
const UPLOAD_BYTES: usize = 1 << 20;
/// How the rest of a transfer is cut into pieces, with a pause after each.
const PIECES: usize = 8;
const PAUSE_MS_MAX: u64 = 160;
/// When the order comes, after all transfers are half-way; most run on for a while then, some have ended.
const ORDER_MS_MAX: u64 = 900;
const DEADLINE_SECS: u32 = 30;
/// So long after the order one transfer at least is under way.
const STAYS: Duration = Duration::from_millis(400);
/// So many servers at a time.
const ABREAST: usize = 10;

#[test]
fn at_random_moments_a_drain_cuts_no_transfer() {
    let timings = std::env::var("TIDEGATE_TIMINGS").map_or(10, |count| count.parse().expect("a number"));
    let seed = crate::seed();
    let content = Noise(seed).bytes(DOWNLOAD_BYTES);
    let seeds: Vec<u64> = (0..timings).map(|index| seed.wrapping_add(index)).collect();
    let progress = AtomicUsize::new(0);
    for (chunk, seeds) in seeds.chunks(ABREAST).enumerate() {
        thread::scope(|scope| {
            for (index, seed) in seeds.iter().enumerate() {
                let (content, progress) = (&content, &progress);
                let how = if index % 2 == 0 { How::Sigterm } else { How::Command };
                scope.spawn(move || {
                    progress.fetch_add(Run::new(*seed, how, content).run(), Ordering::Relaxed);
                });
            }
        });
        eprintln!(
            "{} of {timings} timings are done",
            (chunk * ABREAST + ABREAST).min(seeds.len() + chunk * ABREAST)
        );
    }
    let progress = progress.into_inner();
    eprintln!("status told of transfers under way {progress} times");
    assert!(progress > 0, "status never told of a transfer under way");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Sigterm,
    Command,
}

/// One server and its drain.
struct Run<'a> {
    seed: u64,
    how: How,
    content: &'a [u8],
    house: House,
    /// How many transfers are half-way; all 50 wait for each other.
    under_way: AtomicUsize,
    /// When the order had been given.
    ordered: OnceLock<Instant>,
    /// Until when the last upload was kept open by its client: the server cannot have ended before.
    held_until: Mutex<Option<Instant>>,
    /// When `status` was not answered any more, and why.
    status_lost: OnceLock<(Instant, String)>,
    over: AtomicBool,
}

impl<'a> Run<'a> {
    fn new(seed: u64, how: How, content: &'a [u8]) -> Self {
        let house = House::with(format!("[timeouts]\nshutdown = \"{DEADLINE_SECS}s\"\n"));
        std::fs::write(house.home().join("big"), content).unwrap();
        let (under_way, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (ordered, held_until) = (OnceLock::new(), Mutex::new(None));
        Self { seed, how, content, house, under_way, ordered, held_until, status_lost: OnceLock::new(), over }
    }

    /// Returns how often `status` told of transfers under way.
    fn run(mut self) -> usize {
        let ready = Mutex::new(Vec::new());
        let told = Mutex::new(Vec::new());
        let under_way = thread::scope(|scope| {
            let this = &self;
            scope.spawn(|| this.poll_readiness(&ready));
            scope.spawn(|| this.keep_knocking(&told));
            let transfers: Vec<_> = (0..EACH)
                .flat_map(|index| {
                    [scope.spawn(move || this.upload(index)), scope.spawn(move || this.download(index))]
                })
                .collect();
            this.wait_for_all();
            this.order();
            let progress = this.watch_progress();
            for transfer in transfers {
                transfer.join().unwrap_or_else(|_| panic!("seed {}: a transfer was not finished", this.seed));
            }
            this.over.store(true, Ordering::Relaxed);
            this.check_progress(&progress);
            progress.iter().filter(|drain| drain["transfers"] != 0).count()
        });
        let status = self.house.wait();
        assert_eq!(status.code(), Some(0), "seed {}: {status}\n{}", self.seed, self.house.log());
        self.check_readiness(&ready.into_inner().unwrap());
        self.check_newcomers(&told.into_inner().unwrap());
        self.check_files();
        self.check_summary();
        under_way
    }

    fn noise(&self, index: usize) -> Noise {
        Noise(self.seed.wrapping_mul(1000).wrapping_add(index as u64))
    }

    fn uploaded(&self, index: usize) -> &[u8] {
        &self.content[index * 1000..][..UPLOAD_BYTES]
    }

    fn upload(&self, index: usize) {
        let mut noise = self.noise(index);
        let mut client = Client::logged_in(self.house.address());
        let mut data = client.passive();
        client.command(format!("STOR up{index}"), 150);
        let (first, second) = self.uploaded(index).split_at(UPLOAD_BYTES / 2);
        data.write_all(first).unwrap();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.wait_for_all();
        for piece in second.chunks(second.len().div_ceil(PIECES)) {
            thread::sleep(Duration::from_millis(noise.below(PAUSE_MS_MAX)));
            data.write_all(piece).expect("the server takes the rest");
        }
        if index == 0 {
            let ordered = wait_for("the order", || self.ordered.get().copied());
            thread::sleep((ordered + STAYS).saturating_duration_since(Instant::now()));
        }
        self.hold_until_now();
        data.shutdown(Shutdown::Write).unwrap();
        client.expect(226);
        last_words(&mut client, "draining");
    }

    /// Notes that an upload is open still.
    fn hold_until_now(&self) {
        let mut held_until = self.held_until.lock().unwrap();
        *held_until = Some(held_until.map_or_else(Instant::now, |at| at.max(Instant::now())));
    }

    fn held_until(&self) -> Instant {
        self.held_until.lock().unwrap().expect("uploads")
    }

    fn download(&self, index: usize) {
        let mut noise = self.noise(EACH + index);
        let mut client = Client::logged_in(self.house.address());
        let mut data = client.passive();
        client.command("RETR big", 150);
        let (first, second) = self.content.split_at(DOWNLOAD_BYTES / 4);
        expect_bytes(&mut data, first);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.wait_for_all();
        for piece in second.chunks(second.len().div_ceil(PIECES)) {
            thread::sleep(Duration::from_millis(noise.below(PAUSE_MS_MAX)));
            expect_bytes(&mut data, piece);
        }
        assert_eq!(data.read(&mut [0; 1]).expect("the end"), 0);
        client.expect(226);
        last_words(&mut client, "draining");
    }

    /// Bounded: when one of them does not get so far, the others fail as well instead of waiting for ever.
    fn wait_for_all(&self) {
        let all = || (self.under_way.load(Ordering::Relaxed) == 2 * EACH).then_some(());
        wait_for("50 transfers under way", all);
    }

    fn order(&self) {
        thread::sleep(Duration::from_millis(Noise(self.seed).below(ORDER_MS_MAX)));
        match self.how {
            How::Sigterm => self.house.signal(Signal::TERM),
            How::Command => {
                let deadline = format!("{DEADLINE_SECS}s");
                let answer = self.house.ask(&["drain", "--no-wait", "--deadline", &deadline]);
                assert_eq!(answer["begun"], true, "{answer:#}");
            }
        }
        self.ordered.set(Instant::now()).unwrap();
    }

    /// Asks `readyz` all the time, from before the order to the end.
    fn poll_readiness(&self, samples: &Mutex<Vec<Sample>>) {
        while !self.over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let code = http(self.house.http_port(), "/readyz").map(|(code, _)| code);
            let code = code.map_err(|error| error.to_string());
            samples.lock().unwrap().push(Sample { asked, answered: Instant::now(), code });
            thread::sleep(Duration::from_millis(15));
        }
    }

    /// Newcomers, one after the other: 220 or a whole refusal, or nobody at home when all is over.
    fn keep_knocking(&self, told: &Mutex<Vec<Visit>>) {
        while !self.over.load(Ordering::Relaxed) {
            let came = Instant::now();
            let found = knock(self.house.address());
            told.lock().unwrap().push(Visit { came, left: Instant::now(), found });
            thread::sleep(Duration::from_millis(15));
        }
    }

    /// Returns every drain that `status` showed until no transfer was left or the server had gone.
    fn watch_progress(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        while !self.over.load(Ordering::Relaxed) {
            let (code, said, log) = self.house.run(&["status"]);
            if code != Some(0) {
                // Only when all have ended; else an upload ends later than this.
                self.status_lost.set((Instant::now(), format!("{said}{log}"))).unwrap();
                break;
            }
            let status: Value = serde_json::from_str(&said).expect("JSON");
            let drain = status["drain"].clone();
            if drain.is_null() && self.how == How::Sigterm && seen.is_empty() {
                continue;
            }
            let is_last = drain["transfers"] == 0;
            seen.push(drain);
            if is_last {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        seen
    }

    fn check_progress(&self, seen: &[Value]) {
        let number = |drain: &Value, key: &str| {
            drain[key].as_f64().unwrap_or_else(|| panic!("seed {}: no {key} in {drain:#}", self.seed))
        };
        for drain in seen {
            assert_eq!(drain["begun"], true, "seed {}: {drain:#}", self.seed);
            let left = number(drain, "ends_in_seconds");
            assert!((0.0..=f64::from(DEADLINE_SECS)).contains(&left), "seed {}: {drain:#}", self.seed);
            assert!(number(drain, "transfers") <= 50.0);
        }
        for pair in seen.windows(2) {
            assert!(
                number(&pair[0], "transfers") >= number(&pair[1], "transfers"),
                "seed {}: {pair:#?}",
                self.seed
            );
            assert!(number(&pair[0], "ends_in_seconds") >= number(&pair[1], "ends_in_seconds"));
        }
        assert!(!seen.is_empty(), "seed {}: the drain was never seen in status", self.seed);
    }

    fn check_readiness(&self, samples: &[Sample]) {
        let (seed, ordered, held_until) = (self.seed, *self.ordered.get().unwrap(), self.held_until());
        // A signal is on its way for a moment; an order by command is carried out when it is answered.
        let from = if self.how == How::Sigterm { ordered + Duration::from_millis(500) } else { ordered };
        let is_ready = |sample: &&Sample| sample.answered < ordered && sample.code == Ok(200);
        assert!(samples.iter().any(|sample| is_ready(&sample)), "seed {seed}: never ready");
        let late = samples
            .iter()
            .find(|sample| sample.asked > from && matches!(sample.code, Ok(code) if code != 503));
        assert!(late.is_none(), "seed {seed}: {late:?} after the order at {ordered:?}");
        let unready = samples.iter().any(|sample| sample.asked > ordered && sample.code == Ok(503));
        assert!(unready, "seed {seed}: never asked");
        // As long as a transfer is under way somebody answers.
        let lost = samples.iter().find(|sample| sample.answered < held_until && sample.code.is_err());
        assert!(lost.is_none(), "seed {seed}: {lost:?} while transfers were under way until {held_until:?}");
        let lost = self.status_lost.get().filter(|(at, _)| *at < held_until);
        assert!(lost.is_none(), "seed {seed}: no status: {lost:?} until {held_until:?}");
    }

    fn check_newcomers(&self, told: &[Visit]) {
        let (seed, ordered, held_until) = (self.seed, *self.ordered.get().unwrap(), self.held_until());
        let first = told.iter().position(|visit| matches!(visit.found, Knock::Refused(_)));
        let first = first.unwrap_or_else(|| panic!("seed {seed}: nobody was refused"));
        let (before, after) = told.split_at(first);
        for visit in before {
            let is_early = visit.came < ordered + Duration::from_millis(500);
            assert!(is_early && visit.found == Knock::Greeted, "seed {seed}: {visit:?}");
        }
        // From the first refusal on: refused, each of them, and when the last transfer has ended nobody is at home.
        let refused = after.iter().take_while(|visit| visit.found != Knock::NobodyHome);
        for Visit { came, found, .. } in refused.clone() {
            let Knock::Refused(retry) = found else { panic!("seed {seed}: 220 while it drains") };
            let said = came.saturating_duration_since(ordered).as_secs_f64() + f64::from(*retry);
            let end = f64::from(DEADLINE_SECS);
            assert!((end - 1.0..=end + 1.5).contains(&said), "seed {seed}: the end is after {said} s");
        }
        let rest = &after[refused.count()..];
        for Visit { left, found, .. } in rest {
            assert!(*found == Knock::NobodyHome, "seed {seed}: {found:?} after the end");
            assert!(*left > held_until, "seed {seed}: the door was shut while transfers were under way");
        }
        let late = after.iter().filter(|visit| visit.came > ordered && visit.left < held_until).count();
        assert!(late > 0, "seed {seed}: {late} newcomers while transfers were under way");
    }

    fn check_files(&self) {
        for index in 0..EACH {
            let found =
                std::fs::read(self.house.home().join(format!("up{index}"))).expect("an uploaded file");
            assert!(found == self.uploaded(index), "seed {}: up{index} differs", self.seed);
        }
        let names = std::fs::read_dir(self.house.home()).unwrap().map(|entry| entry.unwrap().file_name());
        let is_own = |name: &std::ffi::OsString| name.as_encoded_bytes().starts_with(b".tidegate-journal");
        let names: Vec<_> = names.filter(|name| !is_own(name)).collect();
        assert_eq!(names.len(), EACH + 1, "seed {}: something is left over: {names:?}", self.seed);
    }

    fn check_summary(&self) {
        let log = self.house.log();
        let summary = log.lines().rev().find(|line| line.contains("\"ended\"") || line.contains("ended"));
        let summary = summary.unwrap_or_else(|| panic!("seed {}: no summary in\n{log}", self.seed));
        for fact in [format!("\"completed\":{}", 2 * EACH), "\"cut\":0".into(), "\"killed\":0".into()] {
            assert!(summary.contains(&fact), "seed {}: {fact} is not in {summary}", self.seed);
        }
    }
}

/// Reads as many bytes as `expected` has, which must be these.
fn expect_bytes(data: &mut TcpStream, expected: &[u8]) {
    let mut buffer = vec![0; 128 << 10];
    for piece in expected.chunks(buffer.len()) {
        data.read_exact(&mut buffer[..piece.len()]).expect("the rest of the file");
        assert!(buffer[..piece.len()] == *piece, "the download differs");
    }
}

/// One answer of `readyz`; an error is nobody there, or half an answer.
#[derive(Clone, Debug)]
struct Sample {
    asked: Instant,
    answered: Instant,
    code: Result<u16, String>,
}

/// One newcomer.
#[derive(Clone, Copy, Debug)]
struct Visit {
    came: Instant,
    left: Instant,
    found: Knock,
}

/// What a newcomer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knock {
    Greeted,
    /// With the retry it was told.
    Refused(u32),
    /// The port is closed, or it was closed before the connection was taken out of its queue.
    NobodyHome,
}

fn knock(to: SocketAddr) -> Knock {
    let Ok(stream) = TcpStream::connect_timeout(&to, PATIENCE) else { return Knock::NobodyHome };
    let mut client = Client::from_stream(stream);
    let line = match client.try_line() {
        Ok(Some(line)) => line,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Knock::NobodyHome,
        other => panic!("a newcomer read {other:?}"),
    };
    if line.starts_with("220 ") {
        return Knock::Greeted;
    }
    client.expect_eof();
    Knock::Refused(assert_form(&line, 421, "draining"))
}
