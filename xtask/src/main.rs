//! `cargo xtask`: installs what the tests need, runs everything that a change must pass, plants bugs to see them caught.
#![allow(clippy::print_stdout, reason = "this program's output is what a developer reads")]

mod bench;
mod checks;
mod conformance;
mod flood;
mod fuzz;
mod install;
mod mutants;
mod planted;
mod process;
mod report;
mod sweep;
mod test;
mod workspace;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Developer commands of tidegate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the tests need, then runs everything a change must pass
    Test {
        /// Run only this step (may be given more than once)
        #[arg(long, value_name = "STEP")]
        only: Vec<test::Step>,
    },
    /// Installs what tests and benches need, and nothing else
    Install,
    /// Measures RETR and STOR beside vsftpd in the same run and writes bench/results
    Bench(bench::Options),
    /// Floods tidegate, full, with connections it must refuse, beside a bare loop and other servers; writes bench/results
    Flood(flood::Options),
    /// Refuses whoever connects: the least that a refusal can cost, for `flood`
    #[command(hide = true)]
    FloodFloor {
        /// Where to listen
        address: SocketAddr,
    },
    /// Sweeps the gate: 4,096 histories of the engine, 100 timings of a drain
    Sweep(sweep::Options),
    /// Drives the fuzz targets with libFuzzer; a finding goes into fuzz/corpus
    Fuzz(fuzz::Options),
    /// Changes `protocol` one place at a time, expects its tests to fail, and writes fuzz/MUTANTS.md
    Mutants(mutants::Options),
    /// Runs the conformance suite against tidegate and four other servers and writes the table in conformance/README.md
    Conformance,
    /// Plants each bug of xtask/planted.toml in a copy of the workspace and expects the named tests to fail
    Planted {
        /// Plant only the bugs whose name contains this
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; false when it ran and something did not pass.
fn run(command: &Command) -> Result<bool> {
    let workspace = Workspace::find()?;
    match command {
        Command::Test { only } => Ok(test::run(&workspace, only)),
        Command::Install => {
            let tools = [install::Need::Test, install::Need::Bench];
            println!("{}", install::install(&workspace, &tools)?);
            Ok(true)
        }
        Command::Bench(options) => bench::run(&workspace, options).map(|()| true),
        Command::Flood(options) => flood::run(&workspace, options),
        Command::FloodFloor { address } => flood::serve_floor(*address).map(|()| true),
        Command::Sweep(options) => sweep::run(&workspace, options),
        Command::Fuzz(options) => fuzz::run(&workspace, options),
        Command::Mutants(options) => mutants::run(&workspace, options),
        Command::Conformance => conformance::run(&workspace).map(|()| true),
        Command::Planted { name } => planted::run(&workspace, name.as_deref()),
    }
}
