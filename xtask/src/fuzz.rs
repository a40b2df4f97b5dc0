//! `cargo xtask fuzz`: drives the targets of `fuzz/` with libFuzzer, on stable Rust.
//!
//! The coverage flags are those of cargo-fuzz, without its sanitizers, which need a nightly compiler: the rooms that are
//! fuzzed have no `unsafe`. What libFuzzer learns stays under the target folder; `--keep` takes the little of it that
//! reaches everything into `fuzz/corpus`, which every test run replays.

mod corpus;
mod figures;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::figures::Figures;
use crate::process::{self, Echo, Outcome};
use crate::workspace::Workspace;

const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// How much longer than asked a run may take, to load its corpus and to say what it did.
const GRACE: Duration = Duration::from_mins(2);
const MINIMIZE_SECS: u64 = 60;
/// Coverage as libFuzzer reads it, and code that comparisons and branches stay visible in.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Clink-dead-code";
/// The bounds of every run: seconds of one input, and memory.
const BOUNDS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=256"];
/// Bytes of an input, as `INPUT_BYTES_MAX` of the targets. Making a finding smaller has a bound of its own.
const INPUT_MAX: &str = "-max_len=4096";
/// Slow inputs are tried less often.
const QUICK_FIRST: &str = "-entropic_scale_per_exec_time=1";

/// What to fuzz, and how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this target
    target: Option<String>,
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Keeps what was learnt: a small corpus in fuzz/corpus, and the figures in fuzz/README.md
    #[arg(long)]
    keep: bool,
}

/// Runs each target for its time; false when one found something. A finding is made small and kept in `fuzz/corpus`, so
/// that the tests fail until it is mended.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let names = targets(workspace)?;
    let chosen: Vec<&String> =
        names.iter().filter(|name| options.target.as_ref().is_none_or(|only| only == *name)).collect();
    ensure!(!chosen.is_empty(), "no such target; there are: {}", names.join(", "));
    let programs = build(workspace)?;
    let mut sound = true;
    for name in chosen {
        let target = Target::new(workspace, &programs, name)?;
        println!("== {name}, {} s", options.seconds);
        let outcome = target.fuzz(options.seconds)?;
        let figures = Figures::read(&outcome.text);
        println!("{figures}");
        if !outcome.success {
            sound = false;
            target.found(&outcome)?;
        }
        if options.keep {
            let files = target.keep()?;
            figures::write(workspace, name, (options.seconds, files, outcome.success), &figures)?;
        }
    }
    Ok(sound)
}

/// Returns the names of all targets, sorted.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/libfuzzer/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    Ok(names)
}

/// Builds all targets and returns the folder with their programs.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let version = process::run(Command::new("rustc").arg("-vV"), BUILD_LIMIT, Echo::Quiet)?;
    let host =
        version.text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc has no host")?;
    let home = home(workspace)?;
    // What is fuzzed is built with the versions that are shipped; cargo adds what libFuzzer needs beside them.
    fs::copy(workspace.root.join("Cargo.lock"), workspace.root.join("fuzz/libfuzzer/Cargo.lock"))
        .context("cannot write fuzz/libfuzzer/Cargo.lock")?;
    // The flags are for what runs on `--target`, not for build scripts and macros.
    let arguments = ["build", "--release", "--quiet", "--bins", "--target", host];
    let mut command = workspace.cargo(&arguments);
    command
        .arg("--manifest-path")
        .arg(workspace.root.join("fuzz/libfuzzer/Cargo.toml"))
        .env("CARGO_TARGET_DIR", home.join("build"))
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let outcome = process::run(&mut command, BUILD_LIMIT, Echo::Live)?;
    ensure!(outcome.success, "the fuzz targets do not build; libFuzzer needs a C++ compiler (Debian: g++)");
    Ok(home.join("build").join(host).join("release"))
}

fn home(workspace: &Workspace) -> Result<PathBuf> {
    Ok(workspace.metadata(false)?.target_directory.join("fuzz"))
}

/// One target, built.
struct Target {
    program: PathBuf,
    dictionary: PathBuf,
    /// What libFuzzer learnt, in this run and before.
    learnt: PathBuf,
    findings: PathBuf,
    /// What is in the repository.
    kept: PathBuf,
}

impl Target {
    fn new(workspace: &Workspace, programs: &Path, name: &str) -> Result<Self> {
        let home = home(workspace)?;
        let target = Self {
            program: programs.join(name),
            dictionary: workspace.root.join("fuzz/dictionary.txt"),
            learnt: home.join("learnt").join(name),
            findings: home.join("findings").join(name),
            kept: workspace.root.join("fuzz/corpus").join(name),
        };
        for folder in [&target.learnt, &target.findings, &target.kept] {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(target)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(BOUNDS).args(arguments);
        command
    }

    /// Runs libFuzzer until the time is over or something is found.
    fn fuzz(&self, seconds: u64) -> Result<Outcome> {
        let (time, prefix) = (format!("-max_total_time={seconds}"), format!("{}/", self.findings.display()));
        let mut command = self.command(&[INPUT_MAX, &time, "-print_final_stats=1", QUICK_FIRST]);
        command
            .arg(format!("-artifact_prefix={prefix}"))
            .arg(format!("-dict={}", self.dictionary.display()))
            .args([&self.learnt, &self.kept]);
        process::run(&mut command, Duration::from_secs(seconds) + GRACE, Echo::Quiet)
    }

    /// Says what was found, makes its input small and puts it into the corpus.
    fn found(&self, outcome: &Outcome) -> Result<()> {
        let lines: Vec<&str> = outcome.text.lines().collect();
        let at = lines.iter().position(|line| line.contains("panicked at") || line.contains("ERROR:"));
        let told = lines.get(at.unwrap_or_default()..).unwrap_or_default();
        told.iter().take(12).for_each(|line| println!("{line}"));
        let Some(input) = outcome.text.lines().find_map(|line| line.split("Test unit written to ").nth(1))
        else {
            println!("libFuzzer kept no input: see above");
            return Ok(());
        };
        let input = Path::new(input.trim());
        let name = input.file_name().and_then(|name| name.to_str()).context("an input without a name")?;
        // `crash-<hash>`: enough of it to tell findings apart.
        let kept = self.kept.join(name.chars().take(14).collect::<String>());
        fs::copy(input, &kept).with_context(|| format!("cannot write {}", kept.display()))?;
        if name.starts_with("crash-") {
            let time = format!("-max_total_time={MINIMIZE_SECS}");
            let mut command = self.command(&["-minimize_crash=1", &time]);
            let small = self.findings.join("small");
            command.arg(format!("-exact_artifact_path={}", small.display())).arg(input);
            process::run(&mut command, Duration::from_secs(MINIMIZE_SECS) + GRACE, Echo::Quiet)?;
            if fs::metadata(&small).is_ok_and(|about| about.len() > 0) {
                fs::copy(&small, &kept).context("cannot keep the small input")?;
            }
            let _ = fs::remove_file(&small);
        }
        println!("kept as {}: the tests fail with it until it is mended", kept.display());
        Ok(())
    }

    /// Makes the corpus in the repository anew from all that was learnt; returns how many files it has.
    fn keep(&self) -> Result<usize> {
        let fresh = tempfile::tempdir().context("cannot make a folder")?;
        // By edges alone: how often each was taken would keep thousands of inputs.
        let mut command = self.command(&[INPUT_MAX, "-set_cover_merge=1", "-use_counters=0"]);
        command.arg(fresh.path()).args([&self.kept, &self.learnt]);
        let outcome = process::run(&mut command, BUILD_LIMIT, Echo::Quiet)?;
        ensure!(outcome.success, "libFuzzer cannot merge the corpus:\n{}", outcome.text);
        corpus::replace(&self.kept, fresh.path())
    }
}
