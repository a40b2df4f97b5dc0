//! CPU time of a server: of the whole process tree, with the children it has reaped.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How long a server may take to end a session after its client saw the end of the connection.
const SETTLE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// One row of `/proc/PID/stat`, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    /// utime + stime + cutime + cstime: its own and that of the children it has waited for.
    ticks: u64,
}

/// Waits until the tree of `root` has `processes` again, then returns the CPU time it has used since it began.
/// The kernel tells it in ticks of 10 ms: measure seconds. Errors: the server is gone, or its sessions do not end.
pub(super) fn settled(root: u32, processes: usize) -> Result<Duration> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let mut tree = tree_of(root)?;
        if tree.len() <= processes {
            // The sessions are gone by now, but the root may have been read before it reaped them: read it again.
            tree = tree_of(root)?;
            let ticks: u64 = tree.iter().map(|process| process.ticks).sum();
            return Ok(duration(ticks, rustix::param::clock_ticks_per_second()));
        }
        ensure!(
            Instant::now() < deadline,
            "{} processes instead of {processes}, {} s after the session",
            tree.len(),
            SETTLE.as_secs()
        );
        std::thread::sleep(POLL);
    }
}

/// Returns how many processes the tree of `root` has now.
pub(super) fn processes(root: u32) -> Result<usize> {
    Ok(tree_of(root)?.len())
}

fn duration(ticks: u64, ticks_per_second: u64) -> Duration {
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / ticks_per_second.max(1)))
}

/// Returns `root` and all that descend from it, zombies included.
fn tree_of(root: u32) -> Result<Vec<Process>> {
    let mut others = all()?;
    let mut tree: Vec<Process> = others.extract_if(.., |process| process.pid == root).collect();
    ensure!(!tree.is_empty(), "the server (process {root}) is gone");
    let mut next = 0;
    while let Some(parent) = tree.get(next).map(|process| process.pid) {
        tree.extend(others.extract_if(.., |process| process.parent == parent));
        next += 1;
    }
    Ok(tree)
}

fn all() -> Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?;
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
        // A process may end between the two reads.
        .filter_map(|entry| parse(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect())
}

/// Reads `pid (name) state ppid … utime stime cutime cstime …`; the name may hold blanks and parentheses (proc(5)).
fn parse(stat: &str) -> Option<Process> {
    let pid = stat.split_whitespace().next()?.parse().ok()?;
    let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = rest.get(1)?.parse().ok()?;
    let ticks = rest.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Process { pid, parent, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "42 (a ) S 9) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 99";
        assert_eq!(parse(stat), Some(Process { pid: 42, parent: 7, ticks: 4330 }));
        assert_eq!(parse("42 (cut) S 7 42"), None);
    }

    #[test]
    fn ticks_are_hundredths_of_a_second() {
        assert_eq!(duration(123, 100), Duration::from_millis(1230));
    }

    #[test]
    fn the_time_of_a_reaped_child_is_counted() {
        // The shell waits for a child that burns CPU, then lives on without one.
        let burn = "(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); echo done; read -r line";
        let mut shell = Command::new("sh")
            .args(["-c", burn])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut done = [0; 5];
        shell.stdout.take().unwrap().read_exact(&mut done).unwrap();
        let own = fs::read_to_string(format!("/proc/{}/schedstat", shell.id())).unwrap();
        let own_nanos: u64 = own.split_whitespace().next().unwrap().parse().unwrap();
        let spent = settled(shell.id(), 1).unwrap();
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(spent > Duration::from_nanos(own_nanos) + Duration::from_millis(20), "{spent:?}");
        assert!(settled(shell.id(), 1).is_err(), "a server that is gone is an error");
    }
}
