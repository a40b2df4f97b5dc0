//! `cargo xtask mutants`: small changes in `protocol`, one at a time; a change that no test of `protocol` notices
//! survives, and must be judged in `fuzz/MUTANTS.md`.

mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use self::page::Fates;
use crate::process::{self, Echo};
use crate::report;
use crate::test::LEAVE_NOTHING;
use crate::workspace::Workspace;

const PACKAGE: &str = "tidegate-protocol";
const VERSION: &str = "27.1.0";
const INSTALL_LIMIT: Duration = Duration::from_mins(20);
const RUN_LIMIT: Duration = Duration::from_hours(8);
/// The tests take about 10 s; what hangs without failing another test is stopped here.
const TEST_SECS: &str = "25";
/// A mutant may loop and fill memory: so much is it given, in KiB of address space, as is every compiler.
const MEMORY_KIB: u64 = 6 * 1024 * 1024;
const PAGE: &str = "fuzz/MUTANTS.md";

/// Which mutants to try.
#[derive(Args)]
pub(crate) struct Options {
    /// Only the k-th of n parts, k from 0: `--shard 0/4`; the page is written when all parts were tried
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<(u32, u32)>,
    /// How many mutants are built and tested at a time
    #[arg(long, default_value_t = 2)]
    jobs: u32,
}

fn shard(text: &str) -> Result<(u32, u32)> {
    let (k, n) = text.split_once('/').context("two numbers, as in 0/4")?;
    let (k, n) = (k.parse()?, n.parse()?);
    ensure!(k < n, "the parts of {n} are 0 to {}", n - 1);
    Ok((k, n))
}

/// Tries the mutants, and writes the page when the last part is done; false when the page has survivors without a judgement.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let program = install(workspace)?;
    let home = workspace.metadata(false)?.target_directory.join("mutants");
    let (k, n) = options.shard.unwrap_or((0, 1));
    let parts = home.join(format!("parts-of-{n}"));
    let part = parts.join(k.to_string());
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
    let started = Instant::now();
    mutate(workspace, &program, (&part, &home.join("copies")), options)?;
    let mut fates = Fates::default();
    let mut missing = Vec::new();
    for number in 0..n {
        let folder = parts.join(number.to_string()).join("mutants.out");
        if folder.join("outcomes.json").is_file() {
            fates.add(&folder)?;
        } else {
            missing.push(number.to_string());
        }
    }
    println!("{fates} in {}", report::duration(started.elapsed()));
    if !missing.is_empty() {
        println!("not tried yet of {n} parts: {}", missing.join(", "));
        return Ok(true);
    }
    let path = workspace.root.join(PAGE);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let (text, unjudged) = page::write(&fates, &before);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{PAGE}: {unjudged} survivors without a judgement");
    Ok(unjudged == 0)
}

/// Returns cargo-mutants, installed into the workspace's own tools when it is not there.
fn install(workspace: &Workspace) -> Result<PathBuf> {
    let program = workspace.tools().join("bin/cargo-mutants");
    let mut probe = Command::new(&program);
    let is_there = program.is_file()
        && process::run(probe.args(["mutants", "--version"]), INSTALL_LIMIT, Echo::Quiet)?
            .text
            .contains(VERSION);
    if !is_there {
        println!("installing cargo-mutants {VERSION} into .tools");
        let mut command =
            workspace.cargo(&["install", "--quiet", "--locked", "cargo-mutants", "--version", VERSION]);
        command.arg("--root").arg(workspace.tools());
        let outcome = process::run(&mut command, INSTALL_LIMIT, Echo::Live)?;
        ensure!(outcome.success, "cargo-mutants cannot be installed");
    }
    Ok(program)
}

/// Runs cargo-mutants on copies of the workspace: nobody's files change, and each job has its own target folder.
fn mutate(
    workspace: &Workspace,
    program: &Path,
    (out, copies): (&Path, &Path),
    options: &Options,
) -> Result<()> {
    if copies.exists() {
        // A run that was killed leaves its copies behind.
        fs::remove_dir_all(copies).with_context(|| format!("cannot remove {}", copies.display()))?;
    }
    fs::create_dir_all(copies).with_context(|| format!("cannot create {}", copies.display()))?;
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\"")])
        .arg(program)
        .current_dir(&workspace.root)
        .args(["mutants", "--package", PACKAGE, "--colors", "never", "--no-times"])
        .arg("--config")
        .arg(workspace.root.join("fuzz/mutants.toml"))
        .arg("--output")
        .arg(out)
        .args(["--timeout", TEST_SECS, "--jobs", &options.jobs.to_string()]);
    if let Some((k, n)) = options.shard {
        // Neighbours differ least, so each part is a fair sample of all rooms.
        command.args(["--sharding", "round-robin", "--shard", &format!("{k}/{n}")]);
    }
    // One process a test, and the first failure ends the run: a loop in one test does not hold up the others.
    let mut probe = workspace.cargo(&["nextest", "--version"]);
    if process::run(&mut probe, INSTALL_LIMIT, Echo::Quiet)?.success {
        command.args(["--test-tool", "nextest", "--", "--locked", "--fail-fast"]);
    } else {
        command.args(["--", "--locked", "--tests"]);
    }
    command
        .env("TMPDIR", copies)
        .env("CARGO_TERM_COLOR", "never")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .env_remove("CARGO_TARGET_DIR")
        .envs(LEAVE_NOTHING);
    let outcome = process::run(&mut command, RUN_LIMIT, Echo::Live)?;
    fs::remove_dir_all(copies).with_context(|| format!("cannot remove {}", copies.display()))?;
    // Survivors and hung tests have exit codes of their own; what counts is whether it came to its end.
    if outcome.timed_out || !out.join("mutants.out/outcomes.json").is_file() {
        bail!("cargo-mutants did not come to its end");
    }
    ensure!(!outcome.text.contains("FAILED   Unmutated baseline"), "the tests fail without any change");
    Ok(())
}
