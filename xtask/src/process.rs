//! External commands: every one has a time limit, none reads standard input, and none outlives its limit.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// How many of the last lines are kept for reports.
const LINES_KEPT_MAX: usize = 20_000;
/// How long output may still trickle in after the command itself has ended.
const GRACE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

/// Whether the lines of a command are shown while it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    Live,
    Quiet,
}

/// What became of a command.
pub(crate) struct Outcome {
    /// It ended by itself, with exit code 0.
    pub(crate) success: bool,
    /// It was killed at its limit.
    pub(crate) timed_out: bool,
    /// The last lines of standard output and standard error as they came.
    pub(crate) text: String,
}

/// Runs `command` for at most `limit`, then kills it and what it started. Errors: it cannot be started.
pub(crate) fn run(command: &mut Command, limit: Duration, echo: Echo) -> Result<Outcome> {
    let started = Instant::now();
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{program}`"))?;
    let lines = read_both(&mut child);
    let mut kept = VecDeque::new();
    let status = follow(&mut child, &lines, started + limit, &mut |line| {
        if echo == Echo::Live {
            println!("{line}");
        }
        if kept.len() == LINES_KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
    })?;
    if status.is_none() {
        kept.push_back(format!("`{program}` was stopped at its limit of {} s", limit.as_secs()));
    }
    let text = kept.into_iter().map(|line| line + "\n").collect();
    let success = status.is_some_and(|status| status.success());
    Ok(Outcome { success, timed_out: status.is_none(), text })
}

/// Passes lines on until the command has ended and said all; `None` when the deadline came first.
fn follow(
    child: &mut Child,
    lines: &Receiver<String>,
    deadline: Instant,
    take: &mut dyn FnMut(String),
) -> Result<Option<ExitStatus>> {
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        let open = match lines.recv_timeout(POLL) {
            Ok(line) => {
                take(line);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(POLL / 10);
                false
            }
        };
        if ended.is_none() {
            ended =
                child.try_wait().context("cannot wait for a command")?.map(|status| (status, Instant::now()));
        }
        match ended {
            Some((status, at)) if !open || at.elapsed() > GRACE => return Ok(Some(status)),
            None if Instant::now() >= deadline => {
                kill_tree(child.id());
                child.wait().context("cannot wait for a killed command")?;
                return Ok(None);
            }
            _ => {}
        }
    }
}

fn read_both(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        read_lines(stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read_lines(stderr, sender);
    }
    lines
}

fn read_lines(source: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n') {
            let Ok(line) = line else { return };
            if sender.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()).is_err() {
                return;
            }
        }
    });
}

/// Kills a process and all that descend from it, as far as they can be found.
fn kill_tree(root: u32) {
    let parents = parents();
    let mut doomed = vec![root];
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        doomed.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    for pid in doomed.into_iter().filter_map(|pid| i32::try_from(pid).ok()).filter_map(Pid::from_raw) {
        // It may have ended meanwhile, which is what is wanted.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Returns every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent …`: the name may hold blanks and parentheses.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_both_streams_is_kept_and_the_exit_code_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let outcome = run(&mut command, Duration::from_secs(20), Echo::Quiet).unwrap();
        assert!(!outcome.success && !outcome.timed_out);
        assert!(outcome.text.contains("one\n") && outcome.text.contains("two\n"), "{}", outcome.text);
    }

    #[test]
    fn at_the_limit_the_command_and_its_children_are_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let outcome = run(&mut command, Duration::from_secs(1), Echo::Quiet).unwrap();
        assert!(outcome.timed_out && !outcome.success);
        let pid = outcome.text.lines().next().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // Gone, or a zombie that nobody has waited for yet.
        while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "process {pid} still lives");
            thread::sleep(POLL);
        }
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = run(&mut Command::new("no-such-program-here"), GRACE, Echo::Quiet).err().unwrap();
        assert!(format!("{error:#}").contains("no-such-program-here"));
    }
}
