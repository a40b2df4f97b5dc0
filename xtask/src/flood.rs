//! `cargo xtask flood`: what a refused connection costs, beside other servers and beside the least it can cost.
//!
//! Everything happens on the loopback interface. It fails when a client did not read its line or memory is not bounded, never on a
//! speed: those are printed with what is promised.

mod floor;
mod load;
mod results;
mod servers;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::bench::client::Client;
use crate::bench::machine::Facts;
use crate::bench::scratch::Scratch;
use crate::bench::{self, cpu};
use crate::install::{self, Need};
use crate::process::{self, Echo};
use crate::workspace::Workspace;

use load::Plan;
use results::{Felt, Remembered, Table};
use servers::{Around, By, Kind, Server};

const BUILD_LIMIT: Duration = Duration::from_mins(30);
const CONNECTIONS: u64 = 50_000;
const WARM_UP: u64 = 2_000;
/// Clients that send a line before they read.
const TALKERS: u64 = 2_000;
/// A slow peer is not measured for longer than this in one round.
const PEER_ROUND: Duration = Duration::from_secs(10);
/// How long the session inside is asked, without and with the flood.
const FELT_FOR: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(5);

/// What `flood` takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Connections to each server in each round; 1000000 come from 65,000 addresses 15 times each
    #[arg(long, default_value_t = CONNECTIONS, value_parser = clap::value_parser!(u64).range(1000..=100_000_000))]
    connections: u64,
    /// How often every server is measured, after a warm-up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Beside pyftpdlib, Pure-FTPd and vsftpd too (as root)
    #[arg(long)]
    peers: bool,
    /// Which limit refuses
    #[arg(long, value_enum, default_value_t = By::Server)]
    by: By,
}

impl Options {
    /// Returns the line that measures the same again.
    fn command(&self) -> String {
        let by = if self.by == By::Address { " --by address" } else { "" };
        let peers = if self.peers { " --peers" } else { "" };
        format!("cargo xtask flood --connections {} --rounds {}{by}{peers}", self.connections, self.rounds)
    }

    /// Returns the name of the page without its ending: what was measured otherwise stands beside the usual one.
    fn stem(&self) -> String {
        let by = if self.by == By::Address { "-address" } else { "" };
        let alone = if self.peers { "" } else { "-alone" };
        let stem = format!("flood{by}{alone}");
        if self.connections == CONNECTIONS { stem } else { format!("{stem}-{}", self.connections) }
    }
}

/// Measures, prints the table and writes it to `bench/results`; false when a client of tidegate did not read its line or memory
/// grew beyond its bound. Errors: a peer is missing, a program does not build or does not serve.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    if cfg!(debug_assertions) {
        return Err(again_in_release(workspace));
    }
    if options.peers {
        println!("{}", install::install(workspace, &[Need::Peers])?);
    }
    let tidegate = match std::env::var_os("TIDEGATE_BIN") {
        Some(path) => PathBuf::from(path),
        None => bench::build(workspace)?,
    };
    let scratch = Scratch::make(0, 0)?;
    cpu::adopt_orphans()?;
    let mut kinds = vec![Kind::Floor, Kind::Tidegate];
    if options.peers {
        kinds.extend(Kind::PEERS);
    }
    let around = Around { workspace, tidegate: &tidegate, scratch: &scratch, by: options.by };
    let mut running = Vec::new();
    for kind in kinds {
        running.push(Server::start(kind, &around)?);
    }
    let mut table = measure(&mut running, options)?;
    let capacity = table.per_sec(Kind::Tidegate).context("tidegate was not measured")?;
    if let Some(server) = running.iter_mut().find(|server| server.kind == Kind::Tidegate) {
        table.felt = Some(feel(server, options.by, capacity / 2.0)?);
    }
    drop(running);
    table.remembered = Some(remember(&around, options.connections)?);
    drop(scratch);

    println!("\n{}\n{}", table.render(), table.findings());
    let neighbours = if options.peers { servers::versions(workspace) } else { Vec::new() };
    let facts = Facts::gather(workspace, &tidegate, neighbours)?;
    let command = options.command();
    write(workspace, &format!("{}.md", options.stem()), &results::page(&table, &facts, &command))?;
    write(workspace, &format!("{}.json", options.stem()), &table.json(&facts, &command)?)?;
    Ok(table.faults().is_empty())
}

/// Serves as the floor, in a process of its own.
pub(crate) fn serve_floor(address: SocketAddr) -> Result<()> {
    floor::serve(address)
}

/// Becomes this program built for speed: the floor and the flood itself are measured too. Returns why that did not work.
fn again_in_release(workspace: &Workspace) -> anyhow::Error {
    let build = || -> Result<PathBuf> {
        println!("building this command (release) ...");
        let arguments = ["build", "--quiet", "--locked", "--release", "--package", "xtask"];
        let built = process::run(&mut workspace.cargo(&arguments), BUILD_LIMIT, Echo::Live)?;
        ensure!(built.success, "this command does not build");
        Ok(workspace.metadata(false)?.target_directory.join("release/xtask"))
    };
    match build() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).exec().into(),
        Err(error) => error,
    }
}

/// Runs the warm-up and the rounds. The servers take turns, and another one begins each round.
fn measure(running: &mut [Server], options: &Options) -> Result<Table> {
    let mut table = Table::default();
    for round in 0..=options.rounds {
        let connections = if round == 0 { WARM_UP } else { options.connections };
        println!(
            "{} ...",
            if round == 0 { "warm-up".into() } else { format!("round {round} of {}", options.rounds) }
        );
        for server in running.iter_mut() {
            let pss = server.meter.pss_kib()?;
            let before = server.meter.read()?;
            let plan = Plan {
                target: server.address,
                sources: options.by.sources(),
                says: None,
                connections,
                window: server.kind.window(),
                done: server.done,
                rate: None,
                most: server.kind.is_peer().then_some(PEER_ROUND),
            };
            let tally = load::run(plan);
            server.done += connections;
            let name = server.kind.name();
            let spent = server.meter.read().with_context(|| format!("{name} after its flood: {tally:?}"))?;
            ensure!(tally.lines > 0, "{name} refused nobody: {tally:?}");
            if round > 0 {
                let cpu = spent.saturating_sub(before);
                table.add(server.kind, &tally, cpu, (pss, server.meter.pss_kib()?));
            }
        }
        running.rotate_left(1);
    }
    talk(running, options, &mut table);
    Ok(table)
}

/// Floods with clients that have sent a line already: whoever closes without reading it resets them.
fn talk(running: &mut [Server], options: &Options, table: &mut Table) {
    println!("with clients that talk first ...");
    for server in running.iter_mut() {
        let plan = Plan {
            target: server.address,
            sources: options.by.sources(),
            says: Some(b"USER anonymous\r\n"),
            connections: TALKERS,
            window: server.kind.window(),
            done: server.done,
            rate: None,
            most: server.kind.is_peer().then_some(PEER_ROUND),
        };
        server.done += TALKERS;
        table.talk(server.kind, load::run(plan));
    }
}

/// Lets each of 65,000 addresses in once, which makes the gate remember them all, then refuses them for their rate.
fn remember(around: &Around<'_>, connections: u64) -> Result<Remembered> {
    println!("65,000 addresses to remember ...");
    let by_rate = Around { by: By::Rate, ..*around };
    let mut server = Server::start(Kind::Tidegate, &by_rate)?;
    let before = server.meter.pss_kib()?;
    let once = Plan {
        target: server.address,
        sources: load::SOURCES_MAX,
        says: Some(b"QUIT\r\n"),
        connections: load::SOURCES_MAX,
        window: server.kind.window(),
        done: 0,
        rate: None,
        most: None,
    };
    let admitted = load::run(once);
    let refused = load::run(Plan { connections, done: load::SOURCES_MAX, ..once });
    // The sessions have ended by then.
    server.meter.read()?;
    let after = server.meter.pss_kib()?;
    Ok(Remembered { admitted, refused, grown_kib: after.cast_signed() - before.cast_signed() })
}

/// Asks the session inside for NOOP again and again, without a flood and with one of `per_sec`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of connections")]
fn feel(server: &mut Server, by: By, per_sec: f64) -> Result<Felt> {
    println!("NOOP inside, quiet and with {per_sec:.0} refusals a second ...");
    let mut inside = server.inside.take().context("nobody is inside")?;
    let over = AtomicBool::new(false);
    let quiet = ask(&mut inside, Some(FELT_FOR), &over)?;
    let plan = Plan {
        target: server.address,
        sources: by.sources(),
        says: None,
        connections: (per_sec * FELT_FOR.as_secs_f64()) as u64,
        window: server.kind.window(),
        done: server.done,
        rate: Some(per_sec),
        most: None,
    };
    server.done += plan.connections;
    let (tally, flooded) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&mut inside, None, &over));
        let tally = load::run(plan);
        over.store(true, Ordering::Relaxed);
        (tally, asking.join())
    });
    let flooded = flooded.map_err(|_| anyhow::anyhow!("the session inside panicked"))?;
    Ok(Felt { per_sec, quiet, flooded: flooded.context("the session inside")?, tally })
}

/// Says NOOP every 5 ms until it is over, or for `limit`; returns how long each took.
fn ask(inside: &mut Client, limit: Option<Duration>, over: &AtomicBool) -> Result<Vec<Duration>> {
    let started = Instant::now();
    let mut times = Vec::new();
    while !over.load(Ordering::Relaxed) && limit.is_none_or(|limit| started.elapsed() < limit) {
        let took = inside.noop()?;
        times.push(took);
        std::thread::sleep(ASK_EVERY.saturating_sub(took));
    }
    Ok(times)
}

fn write(workspace: &Workspace, name: &str, text: &str) -> Result<()> {
    let relative = Path::new("bench/results").join(name);
    let path = workspace.root.join(&relative);
    fs::create_dir_all(path.parent().context("no folder for the results")?)
        .context("cannot make bench/results")?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("written to {}", relative.display());
    Ok(())
}
