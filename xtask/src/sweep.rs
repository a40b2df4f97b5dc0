//! `cargo xtask sweep`: the seeded and timed tests of the gate, for longer than every change has to wait for.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::process::{self, Echo};
use crate::report::{self, Counts};
use crate::test;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_hours(2);

/// How far to sweep.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Histories of the admission engine, 2,000 steps each; a run of the tests does 256
    #[arg(long, default_value_t = 4096)]
    seeds: u32,
    /// Histories of the engine among whole sessions, 2,000 steps each; a run of the tests does 256
    #[arg(long, default_value_t = 4096)]
    histories: u32,
    /// Moments at which a drain begins while transfers are under way; a run of the tests does 10
    #[arg(long, default_value_t = 100)]
    timings: u32,
    /// Clients of each cause that sends sessions away, a quarter of each kind; a run of the tests has 1,000 as well
    #[arg(long, default_value_t = 1000)]
    clients: u32,
    /// Servers whose answers to `why` are compared with what happens next, 160 steps each; a run of the tests does 4
    #[arg(long, default_value_t = 32)]
    worlds: u32,
}

/// Tests that look at an environment variable.
struct Part {
    what: String,
    package: &'static str,
    which: &'static [&'static str],
    variable: (&'static str, u32),
}

/// Runs all; false when a test failed. Errors: something does not build, or a test of that name is gone.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let program = test::build(workspace)?.context("nothing to sweep")?;
    let mut passed = true;
    for Part { what, package, which, variable: (name, value) } in parts(options) {
        println!("== {what}");
        let started = Instant::now();
        let mut command = tests(workspace, package, which);
        command.env(name, value.to_string());
        test::with_tools(&mut command, workspace, &program);
        let counts = count(&mut command)?;
        let verdict = if counts.failed == 0 { "ok" } else { "FAILED" };
        println!("== {what} {verdict}: {} tests in {}", counts.passed, report::duration(started.elapsed()));
        passed &= counts.failed == 0;
    }
    Ok(passed)
}

fn parts(options: &Options) -> [Part; 5] {
    let Options { seeds, histories, timings, clients, worlds } = *options;
    [
        Part {
            what: format!("admission, {seeds} histories of the engine"),
            package: "tidegate-admission",
            which: &["--lib", "simulation"],
            variable: ("TIDEGATE_SEEDS", seeds),
        },
        Part {
            what: format!("gate, {histories} histories of whole sessions"),
            package: "tidegate-testkit",
            which: &["--test", "gate"],
            variable: ("TIDEGATE_SEEDS", histories),
        },
        Part {
            what: format!("drain, {timings} timings"),
            package: "tidegate-conformance",
            which: &["--test", "refusal", "timings"],
            variable: ("TIDEGATE_TIMINGS", timings),
        },
        Part {
            what: format!("last words, {clients} clients of each cause"),
            package: "tidegate-conformance",
            which: &["--test", "refusal", "sessions"],
            variable: ("TIDEGATE_CLIENTS", clients),
        },
        Part {
            what: format!("explanation, {worlds} servers"),
            package: "tidegate-conformance",
            which: &["--test", "refusal", "explain"],
            variable: ("TIDEGATE_WORLDS", worlds),
        },
    ]
}

fn tests(workspace: &Workspace, package: &str, which: &[&str]) -> Command {
    let mut command =
        workspace.cargo(&["test", "--quiet", "--locked", "--profile", test::PROFILE, "--package", package]);
    command.args(which);
    command
}

/// Runs tests and counts them. Errors: there are none of that name, which a sweep must not take for success.
fn count(command: &mut Command) -> Result<Counts> {
    let outcome = process::run(command, LIMIT, Echo::Live)?;
    let counts = report::libtest_counts(&outcome.text, 0).blamed(outcome.success);
    ensure!(counts != Counts::default(), "no test ran: was it renamed?");
    Ok(counts)
}
