//! Fifty thousand refusals, and addresses without number.

use std::time::Instant;

use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

use crate::load::{Ends, visit};

const FLOOD: u32 = 50_000;
/// What may grow by 50,000 addresses that are told when to come back.
const REMEMBERS_KIB_MAX: u64 = 6 * 1024;
/// What may grow by 50,000 refusals of which nothing is kept: 20 bytes for each would be noticed.
const KEEPS_NOTHING_KIB_MAX: u64 = 1024;

/// A crowded machine delays the server's tasks, and the server refuses for it; that is tested elsewhere.
fn unhurried(tables: &str) -> Setup {
    Setup::with(&format!("[overload]\nscheduling_delay = \"off\"\n{tables}"))
}

/// Returns the memory of the server in KiB, each page it shares counted by its part (PSS, proc(5)).
fn pss_kib(subject: &Subject) -> u64 {
    let table =
        std::fs::read_to_string(format!("/proc/{}/smaps_rollup", subject.pid())).expect("the server runs");
    let line = table.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a line Pss");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Makes the server touch what it needs once, so that growth is what the flood costs.
fn warm(subject: &Subject) {
    let mut client = Client::logged_in(subject.address());
    client.download("NLST");
    client.command("QUIT", 221);
    client.expect_eof();
}

fn assert_all_refused(ends: &Ends, wanted: u32) {
    assert!(ends.others.is_empty(), "{:?}", ends.others);
    assert_eq!((ends.refused, ends.admitted), (wanted, 0));
}

#[test]
fn fifty_thousand_are_refused_and_nothing_stays() {
    let subject = unhurried("[limits]\nconnections = 2\n").start();
    warm(&subject);
    let mut inside = Client::logged_in(subject.address());
    let _other = Client::logged_in(subject.address());
    let grown_by = |what: &str, most: u64| {
        let (before, started) = (pss_kib(&subject), Instant::now());
        assert_all_refused(&visit(subject.address(), 0..FLOOD, "server-full"), FLOOD);
        let grown = pss_kib(&subject).saturating_sub(before);
        eprintln!("{FLOOD} refusals of {what} in {:?}, PSS grew by {grown} KiB", started.elapsed());
        assert!(grown <= most, "PSS grew by {grown} KiB for {what}");
    };
    grown_by("newcomers", REMEMBERS_KIB_MAX);
    grown_by("those who come again", KEEPS_NOTHING_KIB_MAX);
    grown_by("those who come again", KEEPS_NOTHING_KIB_MAX);
    inside.command("NOOP", 200);
    assert_eq!(inside.download("NLST"), b"");
}

/// Each address is remembered for its rate, up to a bound: first a visit that is let in, then one that is not.
#[test]
fn addresses_without_number_take_bounded_memory() {
    const ADDRESSES: u32 = 20_000;
    /// About 200 bytes for each, and half a table while it doubles.
    const GROWTH_KIB_MAX: u64 = 6 * 1024;
    let subject = unhurried("[limits]\nconnection_rate_per_address = \"1/1h\"\n").start();
    // The warm-up uses up what 127.0.0.1 has.
    warm(&subject);
    let before = pss_kib(&subject);
    let first = visit(subject.address(), 0..ADDRESSES, "rate");
    assert!(first.others.is_empty(), "{:?}", first.others);
    assert_eq!((first.refused, first.admitted), (0, ADDRESSES));
    assert_all_refused(&visit(subject.address(), 0..ADDRESSES, "rate"), ADDRESSES);
    let grown = pss_kib(&subject).saturating_sub(before);
    eprintln!("{ADDRESSES} addresses, let in once and refused once: PSS grew by {grown} KiB");
    assert!(grown <= GROWTH_KIB_MAX, "PSS grew by {grown} KiB");
}

/// With descriptors used up by clients that stay, a flood is still answered, and the quiet behind it costs nothing.
#[test]
fn a_flood_without_descriptors_is_answered() {
    let setup = Setup { shell: Some("ulimit -n 64".into()), ..unhurried("[limits]\nconnections = 10000\n") };
    let subject = setup.start();
    let mut inside = Client::logged_in(subject.address());
    let mut held = Vec::new();
    let until = Instant::now() + PATIENCE;
    loop {
        let mut client = Client::connect(subject.address());
        if client.reply().code == 421 {
            break;
        }
        held.push(client);
        assert!(held.len() < 200 && Instant::now() < until, "{} were let in with 64 descriptors", held.len());
    }
    assert_all_refused(&visit(subject.address(), 0..5000, "overloaded"), 5000);
    let (cpu, wall) = (subject.cpu_seconds(), Instant::now());
    std::thread::sleep(std::time::Duration::from_secs(2));
    let share = (subject.cpu_seconds() - cpu) / wall.elapsed().as_secs_f64();
    assert!(share < 0.05, "{:.1} % CPU behind the flood", share * 100.0);
    inside.command("NOOP", 200);
}
