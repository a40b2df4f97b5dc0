//! `cargo xtask test`: every step a change must pass, each with a headline, then the sum.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::checks;
use crate::install::{self, Need};
use crate::process::{self, Echo};
use crate::report::{self, Counts};
use crate::workspace::Workspace;

/// What is built for the tests; see the root Cargo.toml.
pub(crate) const PROFILE: &str = "test-bin";
/// A finding is printed, proptest's with its seed; files for it would be left behind in the source tree.
pub(crate) const LEAVE_NOTHING: [(&str, &str); 2] =
    [("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1"), ("INSTA_UPDATE", "no")];
const BUILD_LIMIT: Duration = Duration::from_mins(30);
const TESTS_LIMIT: Duration = Duration::from_hours(1);

const PROGRAM_LIMIT: Duration = Duration::from_secs(30);
/// The folder that the README's example serves.
const README_ROOT: &str = "/srv/ftp";
const NEXTEST: [&str; 12] = [
    "nextest",
    "run",
    "--cargo-quiet",
    "--locked",
    "--workspace",
    "--cargo-profile",
    PROFILE,
    "--no-fail-fast",
    "--status-level",
    "slow",
    "--final-status-level",
    "slow",
];
/// The same tests where there is no nextest.
const LIBTEST: [&str; 10] = [
    "test",
    "--quiet",
    "--locked",
    "--workspace",
    "--profile",
    PROFILE,
    "--no-fail-fast",
    "--lib",
    "--bins",
    "--tests",
];
const NO_NEXTEST: &str = "\
NOTE: cargo-nextest is not installed, so `cargo test` runs the same tests, without a time limit for each one.
      To have it: cargo install cargo-nextest --locked";

/// The steps in their order: what is missing first, then what is cheap, then what takes minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Clients and tools are there, or get installed
    Install,
    /// `cargo fmt --check`
    Format,
    /// Rooms import only what ARCHITECTURE.md allows; pure rooms are pure
    Layers,
    /// Licences, bans and sources as in deny.toml
    Licences,
    /// No test is ignored or skipped, save child processes that another test starts
    Ignored,
    /// Clippy on everything, warnings are errors
    Clippy,
    /// Unit, property, simulation, conformance and interop tests
    Tests,
    /// The configuration file in README.md is accepted by `tidegate check-config`
    Readme,
    /// Examples in the documentation
    Doctests,
    /// The documentation builds without a warning
    Docs,
}

/// Runs the steps in `only` (all when empty) and prints the sum; true when nothing failed.
/// A step that fails does not stop the others, save a failed install.
pub(crate) fn run(workspace: &Workspace, only: &[Step]) -> bool {
    let started = Instant::now();
    let mut sum = Counts::default();
    let mut failed = Vec::new();
    let steps = Step::value_variants().iter().filter(|step| only.is_empty() || only.contains(step));
    for &step in steps {
        let counts = run_one(workspace, step);
        sum += counts;
        if counts.failed > 0 {
            failed.push(name(step));
            if step == Step::Install {
                println!("nothing else was run: the tests need these tools");
                break;
            }
        }
    }
    let took = report::duration(started.elapsed());
    if failed.is_empty() {
        println!("\nEverything passed in {took}.");
    } else {
        println!(
            "\nFailed after {took}: {}. One step alone: cargo xtask test --only STEP",
            failed.join(", ")
        );
    }
    println!("{} passed, {} failed", sum.passed, sum.failed);
    sum.failed == 0
}

fn name(step: Step) -> String {
    step.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn run_one(workspace: &Workspace, step: Step) -> Counts {
    let started = Instant::now();
    println!("== {}", name(step));
    let counts = perform(workspace, step).unwrap_or_else(|error| {
        println!("{error:#}");
        Counts::one(false)
    });
    let verdict = if counts.failed == 0 { "ok" } else { "FAILED" };
    println!("== {} {verdict} in {}", name(step), report::duration(started.elapsed()));
    counts
}

fn perform(workspace: &Workspace, step: Step) -> Result<Counts> {
    match step {
        Step::Install => install::install(workspace, &[Need::Test]).map(|line| {
            println!("{line}");
            Counts::one(true)
        }),
        Step::Format => simple(&mut workspace.cargo(&["fmt", "--all", "--check", "--", "--color", "never"])),
        Step::Layers => Ok(no_findings(&checks::layers(workspace)?)),
        Step::Licences => Ok(no_findings(&checks::licences(workspace)?)),
        Step::Ignored => Ok(no_findings(&checks::ignored(workspace)?.findings)),
        Step::Clippy => {
            let arguments =
                ["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
            simple(&mut workspace.cargo(&arguments))
        }
        Step::Tests => tests(workspace),
        Step::Readme => readme(workspace),
        Step::Doctests => {
            let arguments = ["test", "--quiet", "--locked", "--workspace", "--doc", "--profile", PROFILE];
            let outcome = process::run(&mut workspace.cargo(&arguments), BUILD_LIMIT, Echo::Quiet)?;
            if !outcome.success {
                println!("{}", outcome.text);
            }
            // The examples, and the step itself: a workspace without examples must still build them.
            let mut counts = report::libtest_counts(&outcome.text, 0).blamed(outcome.success);
            counts += Counts { passed: u32::from(outcome.success), failed: 0 };
            Ok(counts)
        }
        Step::Docs => {
            let mut command = workspace.cargo(&["doc", "--quiet", "--locked", "--workspace", "--no-deps"]);
            simple(command.env("RUSTDOCFLAGS", "-D warnings"))
        }
    }
}

/// Runs a command whose exit code is the whole answer.
fn simple(command: &mut Command) -> Result<Counts> {
    process::run(command, BUILD_LIMIT, Echo::Live).map(|outcome| {
        if outcome.timed_out {
            println!("stopped at its time limit");
        }
        Counts::one(outcome.success)
    })
}

fn no_findings(findings: &[String]) -> Counts {
    for finding in findings {
        println!("{finding}");
    }
    Counts::one(findings.is_empty())
}

/// Builds the program, then runs every test against it.
fn tests(workspace: &Workspace) -> Result<Counts> {
    let Some(program) = build(workspace)? else { return Ok(Counts::one(false)) };
    let mut probe = workspace.cargo(&["nextest", "--version"]);
    let has_nextest = process::run(&mut probe, BUILD_LIMIT, Echo::Quiet)?.success;
    let runner: &[&str] = if has_nextest { &NEXTEST } else { &LIBTEST };
    if !has_nextest {
        println!("{NO_NEXTEST}");
    }
    let mut command = workspace.cargo(runner);
    let outcome = process::run(with_tools(&mut command, workspace, &program), TESTS_LIMIT, Echo::Live)?;
    let children = checks::ignored(workspace)?.children;
    let counts = if has_nextest {
        report::nextest_counts(&outcome.text, children).context("nextest printed no summary: see above")?
    } else {
        report::libtest_counts(&outcome.text, children)
    };
    println!("{} tests passed, {} failed", counts.passed, counts.failed);
    Ok(counts.blamed(outcome.success))
}

/// Builds the program as the tests use it; `None` when it does not build.
pub(crate) fn build(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let arguments = ["build", "--quiet", "--locked", "--workspace", "--bins", "--profile", PROFILE];
    let built = process::run(&mut workspace.cargo(&arguments), BUILD_LIMIT, Echo::Live)?;
    if !built.success {
        println!("the program does not build");
        return Ok(None);
    }
    Ok(Some(workspace.metadata(false)?.target_directory.join(PROFILE).join("tidegate")))
}

/// Gives the example in the README to the program, with a root that exists.
fn readme(workspace: &Workspace) -> Result<Counts> {
    let Some(program) = build(workspace)? else { return Ok(Counts::one(false)) };
    let text = fs::read_to_string(workspace.root.join("README.md")).context("cannot read README.md")?;
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = block.context("README.md has no ```toml block")?;
    ensure!(example.contains(README_ROOT), "the example in README.md does not use {README_ROOT}");
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let path = folder.path().join("tidegate.toml");
    fs::write(&path, example.replace(README_ROOT, &folder.path().to_string_lossy()))
        .context("cannot write")?;
    let mut command = Command::new(program);
    let outcome = process::run(command.arg("check-config").arg(&path), PROGRAM_LIMIT, Echo::Quiet)?;
    if !outcome.success {
        println!("{}", outcome.text);
    }
    Ok(Counts::one(outcome.success))
}

/// Tells the tests where the program and the workspace's own tools are.
pub(crate) fn with_tools<'a>(
    command: &'a mut Command,
    workspace: &Workspace,
    program: &Path,
) -> &'a mut Command {
    let tools = workspace.tools();
    command
        .env("TIDEGATE_BIN", program)
        .env("TIDEGATE_TOOLS", &tools)
        .env("NODE_PATH", tools.join("node/node_modules"))
        .envs(LEAVE_NOTHING)
}
