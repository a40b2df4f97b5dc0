//! CPU time of a server: of all its processes, with those that have ended.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};

/// How long a server may take to end a session after its client saw the end of the connection.
const SETTLE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// Makes orphans children of this process: vsftpd's session parent sometimes ends before it has waited for the child that did
/// the transfer, and the time of that child would be lost.
pub(crate) fn adopt_orphans() -> Result<()> {
    set_child_subreaper(Some(getpid())).context("cannot become the reaper of orphans")
}

/// Adds up the CPU time of `root`, its descendants and the orphans they leave. While one meter waits for the end of a session, no
/// other server may have one: an orphan does not tell whose it was.
pub(crate) struct Meter {
    root: u32,
    /// How many processes there are while no session is open.
    at_rest: usize,
    /// The ticks of orphans that were reaped here.
    orphans: u64,
}

/// One row of `/proc/PID/stat`, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    is_zombie: bool,
    parent: u32,
    group: u32,
    session: u32,
    /// utime + stime + cutime + cstime: its own and that of the children it has waited for.
    ticks: u64,
}

impl Meter {
    /// Begins with a server of one process.
    pub(crate) fn of(root: u32) -> Self {
        Self { root, at_rest: 1, orphans: 0 }
    }

    /// Takes the processes there are now for all there are while no session is open.
    pub(crate) fn rest(&mut self) -> Result<()> {
        self.at_rest = family(self.root)?.len();
        Ok(())
    }

    /// Waits until no session is open, then returns the CPU time used since the server began. The kernel tells it in ticks
    /// of 10 ms: measure seconds. Errors: the server is gone, or its sessions do not end.
    pub(crate) fn read(&mut self) -> Result<Duration> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut processes = family(self.root)?;
            self.reap_orphans(&processes);
            if processes.len() <= self.at_rest {
                // The sessions are gone by now, but the root may have been read before it reaped them: read it again.
                processes = family(self.root)?;
                let ticks = processes.iter().map(|process| process.ticks).sum::<u64>() + self.orphans;
                return Ok(duration(ticks, rustix::param::clock_ticks_per_second()));
            }
            ensure!(
                Instant::now() < deadline,
                "{} processes instead of {}, {} s after the session",
                processes.len(),
                self.at_rest,
                SETTLE.as_secs()
            );
            std::thread::sleep(POLL);
        }
    }

    /// Returns the memory of the server's processes in KiB, each page they share counted once (PSS, proc(5)).
    pub(crate) fn pss_kib(&self) -> Result<u64> {
        Ok(family(self.root)?.iter().filter_map(|process| pss_kib(process.pid)).sum())
    }

    /// Waits for the orphans that have ended and keeps their time. A zombie's time does not change any more.
    fn reap_orphans(&mut self, processes: &[Process]) {
        let own = std::process::id();
        let orphans = processes.iter().filter(|process| process.is_zombie && process.parent == own);
        for orphan in orphans.filter(|process| process.pid != self.root) {
            let pid = i32::try_from(orphan.pid).ok().and_then(Pid::from_raw);
            if pid.is_some() && matches!(waitpid(pid, WaitOptions::NOHANG), Ok(Some(_))) {
                self.orphans += orphan.ticks;
            }
        }
    }
}

/// Returns the PSS of one process; `None` when it is gone.
fn pss_kib(pid: u32) -> Option<u64> {
    let table = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn duration(ticks: u64, ticks_per_second: u64) -> Duration {
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / ticks_per_second.max(1)))
}

/// Returns `root`, all that descend from it and the orphans, zombies included. Errors: `root` itself is gone or dead.
fn family(root: u32) -> Result<Vec<Process>> {
    let own = std::process::id();
    let mut others = all()?;
    let own_session = others.iter().find(|process| process.pid == own).map(|process| process.session);
    let mut family: Vec<Process> = others
        .extract_if(.., |process| {
            // What was started here is in this session and leads a group; what vsftpd forks is in a session of its own.
            let is_orphan = Some(process.session) != own_session || process.group == root;
            process.pid == root || process.parent == own && is_orphan
        })
        .collect();
    let lives = family.iter().any(|process| process.pid == root && !process.is_zombie);
    ensure!(lives, "the server (process {root}) is gone");
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|process| process.pid) {
        family.extend(others.extract_if(.., |process| process.parent == parent));
        next += 1;
    }
    Ok(family)
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

/// Reads `pid (name) state ppid pgrp session … utime stime cutime cstime …`; the name may hold blanks and parentheses (proc(5)).
fn parse(stat: &str) -> Option<Process> {
    let pid = stat.split_whitespace().next()?.parse().ok()?;
    let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let is_zombie = matches!(*rest.first()?, "Z" | "X");
    let parent = rest.get(1)?.parse().ok()?;
    let group = rest.get(2)?.parse().ok()?;
    let session = rest.get(3)?.parse().ok()?;
    let ticks = rest.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Process { pid, is_zombie, parent, group, session, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    const BURN: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";

    /// A shell that leads a group, has run `script` and now waits for a line with one process.
    fn shell(script: &str) -> Child {
        let mut shell = Command::new("sh")
            .args(["-c", &format!("read -r line; {script}; echo done; read -r line")])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(shell.stdin.as_mut().unwrap(), b"go\n").unwrap();
        shell
    }

    fn wait_for_done(shell: &mut Child) {
        let mut done = [0; 5];
        shell.stdout.as_mut().unwrap().read_exact(&mut done).unwrap();
        assert_eq!(&done, b"done\n");
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "42 (a ) S 9) S 7 41 40 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 99";
        let expected = Process { pid: 42, is_zombie: false, parent: 7, group: 41, session: 40, ticks: 4330 };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse("42 (cut) S 7 42"), None);
    }

    #[test]
    fn ticks_are_hundredths_of_a_second() {
        assert_eq!(duration(123, 100), Duration::from_millis(1230));
    }

    #[test]
    fn the_time_of_a_reaped_child_is_counted() {
        let mut shell = shell(&format!("({BURN})"));
        wait_for_done(&mut shell);
        let mut meter = Meter::of(shell.id());
        let spent = meter.read().unwrap();
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(spent >= Duration::from_millis(50), "{spent:?}");
        assert!(meter.read().is_err(), "a server that is gone is an error");
    }

    #[test]
    fn the_time_of_an_orphan_is_counted() {
        adopt_orphans().unwrap();
        // The inner shell ends at once and leaves the one that burns.
        let mut shell = shell(&format!("(({BURN}) >/dev/null &)"));
        wait_for_done(&mut shell);
        let mut meter = Meter::of(shell.id());
        let spent = meter.read().unwrap();
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(spent >= Duration::from_millis(50), "{spent:?}");
        assert!(meter.orphans > 0);
    }
}
