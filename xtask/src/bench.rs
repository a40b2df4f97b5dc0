//! `cargo xtask bench`: tidegate beside vsftpd on this machine in the same run, in MB/s and server CPU seconds per GB.
//!
//! Everything happens on the loopback interface and on tmpfs. It never fails on a figure, only when something does not work.

pub(crate) mod client;
pub(crate) mod cpu;
pub(crate) mod machine;
pub(crate) mod results;
pub(crate) mod scratch;
mod servers;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::process::{self, Echo};
use crate::workspace::Workspace;

use client::Client;
use results::{Sample, Table};
use scratch::Scratch;
pub(crate) use servers::free_address;
use servers::{Kind, Server};

const BUILD_LIMIT: Duration = Duration::from_mins(30);
const MIB: u64 = 1024 * 1024;

/// What `bench` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Size of the file, in MiB
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    mib: u64,
    /// How often every server is measured, after a warm-up round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Transfers of the file in one measured session: more make the CPU figure finer
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    transfers: u32,
    /// Measure only this server (may be given more than once); nothing is written to bench/results then
    #[arg(long, value_name = "SERVER")]
    only: Vec<Kind>,
}

impl Options {
    /// Returns the servers to measure, the neighbour first.
    fn kinds(&self) -> Vec<Kind> {
        let all = Kind::value_variants().iter().copied();
        all.filter(|kind| self.only.is_empty() || self.only.contains(kind)).collect()
    }

    /// Returns the line that measures the same again.
    fn command(&self) -> String {
        format!(
            "cargo xtask bench --mib {} --rounds {} --transfers {}",
            self.mib, self.rounds, self.transfers
        )
    }
}

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// From the server.
    Retr,
    /// To the server, over the file of the transfer before.
    Stor,
}

impl Work {
    const ALL: [Self; 2] = [Self::Retr, Self::Stor];

    fn name(self) -> &'static str {
        match self {
            Self::Retr => "RETR",
            Self::Stor => "STOR",
        }
    }
}

/// Builds the program, measures, prints the table and writes it to `bench/results`.
///
/// Errors: vsftpd is not installed, tmpfs is too small, the program does not build, or a server did not do its work.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let kinds = options.kinds();
    if kinds.contains(&Kind::Vsftpd) {
        servers::vsftpd()?;
    }
    let ours = kinds.iter().any(|kind| *kind != Kind::Vsftpd);
    let tidegate = ours.then(|| build(workspace)).transpose()?;
    let scratch = Scratch::make(options.mib * MIB, kinds.len())?;
    cpu::adopt_orphans()?;
    let mut running = Vec::new();
    for kind in kinds {
        running.push(Server::start(kind, tidegate.as_deref(), &scratch)?);
    }
    let table = measure(&mut running, &scratch, options)?;
    drop(running);
    drop(scratch);

    let rows = table.render();
    println!("\n{rows}");
    if let Some(tidegate) = tidegate.filter(|_| options.only.is_empty()) {
        let vsftpd = machine::package_version("vsftpd");
        let facts = machine::Facts::gather(workspace, &tidegate, vec![("vsftpd", vsftpd)])?;
        let path = write(workspace, &facts, &results::page(&facts, &options.command(), &rows))?;
        println!("written to {path}");
    }
    Ok(())
}

/// Builds what a user would run and returns where it is.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    println!("building tidegate (release) ...");
    let arguments = ["build", "--quiet", "--locked", "--release", "--package", "tidegate"];
    let built = process::run(&mut workspace.cargo(&arguments), BUILD_LIMIT, Echo::Live)?;
    ensure!(built.success, "the program does not build");
    Ok(workspace.metadata(false)?.target_directory.join("release").join("tidegate"))
}

/// Runs the warm-up and the rounds. The servers take turns, and another one begins each round, so that no one always
/// runs on what its neighbour left in the caches.
fn measure(servers: &mut [Server], scratch: &Scratch, options: &Options) -> Result<Table> {
    let mut table = Table::default();
    for round in 0..=options.rounds {
        let title =
            if round == 0 { "warm-up".into() } else { format!("round {round} of {}", options.rounds) };
        println!("{title} ...");
        for work in Work::ALL {
            for server in servers.iter_mut() {
                let transfers = if round == 0 { 1 } else { options.transfers };
                let sample = session(server, work, scratch, transfers)
                    .with_context(|| format!("{} with {} in the {title}", work.name(), server.kind.name()))
                    .map_err(|error| server.explain(error))?;
                if round > 0 {
                    table.add(work, server.kind, sample);
                }
            }
        }
        servers.rotate_left(usize::from(servers.len() > 1));
    }
    Ok(table)
}

/// One session: login, `transfers` times the file, QUIT. The rate is that of the transfers alone, from EPSV to the final
/// reply; the CPU time is that of the whole session, taken when the server has reaped it.
fn session(server: &mut Server, work: Work, scratch: &Scratch, transfers: u32) -> Result<Sample> {
    let before = server.meter.read()?;
    let mut client = Client::login(server.address)?;
    let mut wall = Duration::ZERO;
    for _ in 0..transfers {
        wall += match work {
            Work::Retr => client.retr(scratch::SOURCE, scratch.bytes)?,
            Work::Stor => stor(&mut client, server, scratch)?,
        };
    }
    client.quit()?;
    let spent = server.meter.read()?.saturating_sub(before);
    Ok(Sample::new(scratch.bytes * u64::from(transfers), wall, spent))
}

/// Uploads the file, and looks that all of it arrived.
fn stor(client: &mut Client, server: &Server, scratch: &Scratch) -> Result<Duration> {
    let source = File::open(scratch.source()).context("cannot open the file to upload")?;
    let target = server.kind.target();
    let took = client.stor(&source, &target, scratch.bytes)?;
    let arrived = fs::metadata(scratch.home().join(&target)).context("no uploaded file")?.len();
    ensure!(
        arrived == scratch.bytes,
        "226 after {arrived} of {} bytes were stored in {target}",
        scratch.bytes
    );
    Ok(took)
}

/// Writes the page and returns its path from the root of the workspace.
fn write(workspace: &Workspace, facts: &machine::Facts, page: &str) -> Result<String> {
    let relative = Path::new("bench/results").join(facts.file_name());
    let path = workspace.root.join(&relative);
    fs::create_dir_all(path.parent().context("no folder for the results")?)
        .context("cannot make bench/results")?;
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(relative.display().to_string())
}
