//! Overload by real signals: descriptors used up, memory filled, threads stopped, a storage that sleeps, a CPU that is
//! fought for. Nothing is set from outside but thresholds.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, USER};

use crate::house::{House, Plan, no_overload, wait_at_most};
use crate::visitor::{HERE, assert_form, client_from, last_words};

/// Longer than a level is kept at least, three times over, and the time a reading counts.
const LEVEL_WITHIN: Duration = Duration::from_secs(40);
const MIB: usize = 1 << 20;
/// What memory is filled by at a time.
const CHUNK: usize = 128 * MIB;

/// Returns an `[overload]` in which only `key` counts.
fn only(key: &str, value: &str) -> String {
    format!("{}{key} = \"{value}\"\n", no_overload(key))
}

fn wait_for_level(house: &House, level: &str) {
    let until = Instant::now() + LEVEL_WITHIN;
    while house.level() != level {
        assert!(Instant::now() < until, "waited for {level}: {:#}", house.status()["overload"]);
        thread::sleep(Duration::from_millis(50));
    }
}

/// Checks what a full house tells, by every way it is told. `signal` is the word.
fn assert_full(house: &House, signal: &str) {
    let mut client = client_from(HERE, house.address());
    let line = client.line().expect("a line");
    let retry = assert_form(&line, 421, "overloaded");
    assert!(line.contains(&format!("({signal})")) && retry >= 5, "{line}");
    client.expect_eof();
    let status = house.status();
    assert_eq!(status["overload"]["signal"], signal, "{status:#}");
    assert_eq!((&status["ready"], &status["not_ready"]), (&false.into(), &"overloaded".into()), "{status:#}");
    let (code, body) = house.http("/readyz");
    assert!(code == 503 && body.contains("overloaded"), "{code} {body}");
    assert_eq!(house.metric("tidegate_overload_level", &[]), 3);
    assert_eq!(house.http("/healthz").0, 200);
    let told = house.log().lines().any(|line| line.contains(signal) && line.contains("full"));
    assert!(told, "the log does not name {signal}:\n{}", house.log());
}

fn assert_calm_again(house: &House) {
    wait_for_level(house, "calm");
    assert_eq!(house.metric("tidegate_overload_level", &[]), 0);
    assert_eq!(house.http("/readyz").0, 200);
    Client::greeted(house.address()).command("NOOP", 200);
    assert!(house.status()["overload"]["full_seconds"].as_f64().expect("a number") > 0.0);
}

/// Opens or closes connections until the server has `wanted` descriptors open, or refuses to open more.
fn fill_descriptors(house: &House, held: &mut Vec<Client>, wanted: usize) {
    let open = || std::fs::read_dir(format!("/proc/{}/fd", house.pid())).expect("the server runs").count();
    wait_at_most(LEVEL_WITHIN, "descriptors", || {
        let now = open();
        for _ in now..wanted {
            let mut client = client_from(HERE, house.address());
            if client.reply().code == 421 {
                return Some(());
            }
            held.push(client);
        }
        held.truncate(held.len().saturating_sub(now.saturating_sub(wanted)));
        (open() == wanted).then_some(())
    });
}

/// 120 descriptors close the house: it is busy from 96 on, strained from 108 on. On the way down each is left at 90 % of that.
#[test]
fn descriptors_climb_through_every_level_and_back() {
    let tables = format!(
        "[limits]\nconnections = 280\n{}[timeouts]\nlogin = \"20m\"\nidle = \"8s\"\n",
        only("descriptors", "40%")
    );
    let house = Plan { shell: Some("ulimit -n 300".into()), ..Plan::with(tables) }.start();
    let mut held = Vec::new();
    assert_eq!(house.level(), "calm");
    fill_descriptors(&house, &mut held, 101);
    wait_for_level(&house, "busy");
    // Timeouts first: a session that is idle for 8 s goes after a quarter of that. Nobody is refused for it.
    fill_descriptors(&house, &mut held, 112);
    wait_for_level(&house, "strained");
    let mut idle = Client::logged_in(house.address());
    let since = Instant::now();
    assert_eq!(last_words(&mut idle, "idle"), 1);
    let stayed = since.elapsed();
    assert!((1800..4500).contains(&stayed.as_millis()), "8 s idle became {stayed:?}");
    assert_eq!(house.refused("overloaded"), 0);
    fill_descriptors(&house, &mut held, 130);
    wait_for_level(&house, "full");
    assert_full(&house, "descriptors");
    // Down to where it was busy on the way up: now that is strained still.
    fill_descriptors(&house, &mut held, 101);
    wait_for_level(&house, "strained");
    held.clear();
    assert_calm_again(&house);
}

/// Those who were refused linger for a moment, each with a descriptor: that is no load, the door gives them up when it needs them.
#[test]
fn a_flood_of_refusals_does_not_make_the_house_look_full() {
    let tables =
        format!("[limits]\nconnections = 40\nconnections_per_address = 2\n{}", only("descriptors", "40%"));
    let house = Plan { shell: Some("ulimit -n 300".into()), ..Plan::with(tables) }.start();
    let held: Vec<Client> = (0..2).map(|_| Client::logged_in(house.address())).collect();
    // They never close, so that each lingers for its whole second: more than the 40 % there are.
    let mut silent = std::collections::VecDeque::new();
    let until = Instant::now() + Duration::from_secs(4);
    let mut refused = 0_u32;
    while Instant::now() < until {
        silent.push_back(Client::connect(house.address()));
        if silent.len() > 200 {
            silent.pop_front();
        }
        refused += 1;
        thread::sleep(Duration::from_millis(4));
    }
    assert!(refused > 300, "{refused} knocked");
    assert_eq!(house.refused("overloaded"), 0);
    assert_eq!(house.level(), "calm");
    drop(held);
}

/// Fills memory of this machine (or of the cgroup, where the server sees one) by the test's own pages.
#[test]
fn memory_that_is_filled() {
    let mut house = House::with(only("memory", "99%"));
    let load = |house: &House| {
        let status = house.status();
        let signals = status["overload"]["signals"].as_array().expect("signals").clone();
        let memory = signals.iter().find(|row| row["signal"] == "memory").expect("a reading of memory");
        memory["load"].as_f64().expect("a number")
    };
    let used_percent = wait_at_most(LEVEL_WITHIN, "a reading", || {
        let load = load(&house);
        (load > 0.0).then_some(load * 99.0)
    });
    // Far enough from what is used now that nothing else on this machine decides how the test ends.
    let threshold = (used_percent + 10.0).max(used_percent / 0.6).ceil();
    assert!(threshold < 99.0, "{used_percent:.1} % of the memory is used already: there is none to fill");
    eprintln!("memory: {used_percent:.1} % used, the house closes at {threshold} %");
    house.reload(|plan| plan.tables = only("memory", &format!("{threshold}%")));
    wait_for_level(&house, "calm");
    let mut pages: Vec<Vec<u8>> = Vec::new();
    let until = Instant::now() + LEVEL_WITHIN;
    while house.level() != "full" {
        let missing = 1.02 - load(&house);
        assert!(Instant::now() < until && pages.len() < 128, "{} chunks are not enough", pages.len());
        if missing > 0.0 {
            pages.push(vec![0xa5; CHUNK]);
        }
        // The next reading is the server's to take.
        thread::sleep(Duration::from_millis(150));
    }
    eprintln!("memory: full with {} MiB more", pages.len() * CHUNK / MIB);
    assert_full(&house, "memory");
    drop(pages);
    assert_calm_again(&house);
}

/// The threads that run sessions are stopped for 400 ms each time they wake up, by strace, which stops no other thread: what
/// watches them goes on and sees it.
#[test]
fn threads_that_are_blocked() {
    let house = House::with(only("scheduling_delay", "200ms"));
    assert_eq!(house.level(), "calm");
    let workers = workers(house.pid());
    assert!(!workers.is_empty(), "no threads of the runtime");
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=epoll_wait,futex"]);
    strace.args(["-e", "inject=epoll_wait,futex:delay_exit=400000"]);
    for worker in &workers {
        strace.args(["-p", worker]);
    }
    let mut strace = Blocker(strace.spawn().expect("strace"));
    // The control socket may be served by these threads: what is asked while they are blocked is the log.
    let full = || house.log().lines().any(|line| line.contains("scheduling-delay") && line.contains("full"));
    wait_at_most(LEVEL_WITHIN, "a full house", || full().then_some(()));
    let mut client = client_from(HERE, house.address());
    let line = client.line().expect("the door has a thread of its own");
    assert_form(&line, 421, "overloaded");
    assert!(line.contains("(scheduling-delay)"), "{line}");
    client.expect_eof();
    strace.end();
    assert_full(&house, "scheduling-delay");
    assert_calm_again(&house);
}

/// Returns the numbers of the threads that run sessions.
fn workers(pid: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the server runs");
    let name = |path: &Path| std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    threads
        .map(|thread| thread.unwrap().path())
        .filter(|path| name(path).trim_end() == "tidegate" && !path.ends_with(pid.to_string()))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// A strace that blocks threads; it lets go of them when it is ended or dropped.
struct Blocker(Child);

impl Blocker {
    fn end(&mut self) {
        let pid = Pid::from_raw(self.0.id().cast_signed()).expect("a process id");
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// The system call that makes a folder takes 400 ms: strace delays it. Everything else is as fast as ever.
#[test]
fn a_storage_that_sleeps() {
    let strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=mkdirat"];
    let delay = ["-e", "inject=mkdirat:delay_enter=400000"];
    let wrapper = strace.iter().chain(&delay).map(|word| (*word).to_owned()).collect();
    let tables = format!("{}[timeouts]\nidle = \"5m\"\n", only("storage_latency", "200ms"));
    let house = Plan { wrapper, ..Plan::with(tables) }.start();
    assert_eq!(house.level(), "calm");
    let mut client = Client::logged_in(house.address());
    let until = Instant::now() + LEVEL_WITHIN;
    let mut made = 0;
    while house.level() != "full" {
        assert!(Instant::now() < until, "{:#}\n{}", house.status()["overload"], house.log());
        client.command(format!("MKD d{made}"), 257);
        made += 1;
    }
    assert_full(&house, "storage-latency");
    // Quick answers, and none at all, are both no reason to stay closed.
    client.command("MLST d0", 250);
    assert_calm_again(&house);
}

/// More threads than processors want to run. PSI is the kernel's own reading.
#[test]
fn a_cpu_that_is_fought_for() {
    let mut house = House::with(only("cpu_pressure", "25%"));
    if std::fs::read_to_string("/proc/pressure/cpu").is_err() {
        // A kernel without PSI: the server must say that it cannot keep its word.
        let complaint = || house.log().contains("overload signal cpu-pressure cannot be read").then_some(());
        wait_at_most(LEVEL_WITHIN, "a complaint about PSI", complaint);
        eprintln!("cpu-pressure: this kernel has no PSI; only the complaint was checked");
        return;
    }
    let done = AtomicBool::new(false);
    let threads = 4 * thread::available_parallelism().map_or(2, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let until = Instant::now() + LEVEL_WITHIN;
        while house.level() != "full" && Instant::now() < until {
            thread::sleep(Duration::from_millis(100));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(house.level(), "full", "{:#}", house.status()["overload"]);
    assert_full(&house, "cpu-pressure");
    // The machine may be busy for other reasons: switching the signal off is the way out that does not depend on them.
    house.reload(|plan| plan.tables = only("cpu_pressure", "off"));
    assert_calm_again(&house);
}

/// A drain, a full house and an overloaded one are told apart by `readyz`, and login works once the door was passed.
#[test]
fn readiness_names_its_reason() {
    let mut house = House::with("[limits]\nconnections = 1\n");
    assert_eq!(house.http("/readyz"), (200, house.http("/readyz").1));
    let mut inside = Client::greeted(house.address());
    let (code, body) = house.http("/readyz");
    assert!(code == 503 && body.contains("full"), "{code} {body}");
    inside.login(USER, PASSWORD);
    house.drain_and_stay("2s");
    let (code, body) = house.http("/readyz");
    assert!(code == 503 && body.contains("draining"), "{code} {body}");
    last_words(&mut inside, "draining");
    assert!(house.wait().success());
}
