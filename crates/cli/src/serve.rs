//! `tidegate serve`: reads, plans, hands the plan to the server, and stays to steer it.

mod bans;
mod complaints;
mod places;
mod reload;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_admin::{Admin, AdminConfig, AdminHandle, Host};
use tidegate_server::{Server, ServerHandle, Summary};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::warn;

use crate::args::ServeArgs;
use crate::assemble::assemble;
use crate::config::{Config, Facts, Loaded, Source, show_duration};
use crate::logging::Outlet;
use crate::operator::counted;
use crate::plan::{PlanError, ServePlan, World, plan};
use crate::screen::{Doors, start_screen};
use crate::world::Machine;
use crate::{Exit, clock, console, demo, logging};
use bans::BanKeeper;
pub use places::socket_choice;
use reload::{Steward, Voice};

/// How many blocking calls (storage, password checks) may run at a time.
const BLOCKING_THREADS_MAX: usize = 128;

/// How long blocking calls may take to end after everything else has.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// How long operators' connections may take to end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How long the last words wait for their readers.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where a running server speaks: it never waits for who reads it, and about a second for readers of its last words when dropped.
#[derive(Debug)]
struct Mouth {
    /// Standard output: the start screen and the farewell.
    out: Outlet,
    /// Standard error: the log, and why it ended.
    log: Outlet,
}

impl Mouth {
    /// Starts logging to standard error. Errors: what is wrong, and whose fault it is.
    fn open(plan: &ServePlan) -> Result<Self, (Exit, String)> {
        // Nobody is told how much of the screen is missing: there is one screen.
        let out = Outlet::open(io::stdout(), |_| {})
            .map_err(|error| (Exit::Failed, format!("cannot write to standard output: {error}")))?;
        let log = logging::start(plan.log_format).map_err(|what| (Exit::Usage, what))?;
        Ok(Self { out, log })
    }

    fn say(&self, text: &str) {
        self.out.say(text.as_bytes());
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        let until = clock::now() + LAST_WORDS;
        for outlet in [&self.log, &self.out] {
            // Both have been writing since it was said. Who does not read by now is not told.
            outlet.finish(until.saturating_duration_since(clock::now()));
        }
    }
}

/// Serves until it is told to stop.
pub fn command(args: ServeArgs, machine: Machine) -> Exit {
    match prepare(&args, &machine) {
        Ok((plan, mouth)) => serve(plan, args, machine, &mouth),
        Err(exit) => exit,
    }
}

/// Decides what to serve and makes the machine ready for it; what is wrong is printed.
fn prepare(args: &ServeArgs, world: &dyn World) -> Result<(ServePlan, Mouth), Exit> {
    let loaded = args.config.as_deref().map(|file| load_aloud(file, args, world)).transpose()?;
    let plan =
        plan(args, loaded.as_ref().map(|loaded| &loaded.config), world).map_err(|error| match error {
            PlanError::Usage { what, hint } => {
                console::complain_with_hint(&what, &hint);
                Exit::Usage
            }
            PlanError::World { what, hint } => {
                console::complain_with_hint(&what, &hint);
                Exit::Failed
            }
        })?;
    if let Some(folder) = &plan.demo {
        demo::prepare(folder).map_err(|error| {
            let what = format!("cannot make the demo folder {}: {error}", folder.display());
            console::complain_with_hint(
                &what,
                "start it in a folder you may write to, or name another folder",
            );
            Exit::Failed
        })?;
    }
    let mouth = Mouth::open(&plan).map_err(|(exit, what)| {
        console::complain(&format!("error: {what}\n"));
        exit
    })?;
    Ok((plan, mouth))
}

/// Reads and checks a file; what is wrong is printed.
fn load_aloud(file: &Path, args: &ServeArgs, world: &dyn World) -> Result<Loaded, Exit> {
    let source = Source::read(file).map_err(|error| {
        console::complain(&format!("error: {error}\n"));
        Exit::BadConfig
    })?;
    let loaded = load(&source, args, world).map_err(|problems| {
        console::complain(&problems.render(console::drawing()));
        Exit::BadConfig
    })?;
    if let Some(warnings) = &loaded.warnings {
        console::complain(&warnings.render(console::drawing()));
    }
    Ok(loaded)
}

/// Checks a file as `serve` does.
fn load(source: &Source, args: &ServeArgs, world: &dyn World) -> Result<Loaded, crate::config::Problems> {
    let kind_of = |path: &Path| world.kind_of(path);
    let facts = Facts {
        descriptor_limit: world.descriptor_limit(),
        is_strict: false,
        root: args.dir.as_deref(),
        kind_of: &kind_of,
        umask: world.umask(),
        users: world,
    };
    Config::load(source, &facts)
}

fn serve(plan: ServePlan, args: ServeArgs, machine: Machine, mouth: &Mouth) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("tidegate")
        .build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(run(plan, args, machine, mouth));
            // A disk that hangs holds a thread; it must not hold the end.
            runtime.shutdown_timeout(LAST_CALLS);
            served
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match served {
        Ok(()) => Exit::Done,
        Err(error) => {
            mouth.log.say(format!("error: {error:#}\n").as_bytes());
            Exit::Failed
        }
    }
}

/// What the program is told by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Serves the plan until a signal or an operator ends it: the first SIGTERM or Ctrl-C drains, a second one hurries (DESIGN §6.9).
///
/// The order at the start: listeners are bound, then what looks into the server, and only then is "ready" said.
async fn run(plan: ServePlan, args: ServeArgs, machine: Machine, mouth: &Mouth) -> anyhow::Result<()> {
    let (mut config, backend) = assemble(&plan)?;
    // Before anybody can read that the server is ready: a signal sent then must already drain.
    let signals = Signals::listen()?;
    let (mut keeper, complaints) = BanKeeper::open(&plan).await?;
    config.bans = keeper.as_mut().map(BanKeeper::take_bans).unwrap_or_default();
    let server = Server::start(config, backend)?;
    let keeper = keeper.map(|keeper| keeper.start(&server, plan.timeouts.shutdown));
    let voice = Voice { complaints: complaints.clone(), log: mouth.log.clone() };
    let steward = Arc::new(Steward::new(plan.clone(), args, machine, server.clone(), voice));
    let admin = open_admin(&plan, &server, &steward)?;
    if let Some(complaint) = admin.complaint() {
        complaints.add(complaint.to_owned());
    }
    let doors = Doors {
        listeners: server.local_addresses(),
        socket: admin.socket_path(),
        http: admin.http_address(),
        agent: admin.agent_address(),
    };
    let colour = io::stdout().is_terminal() && console::may_colour();
    mouth.say(&start_screen(&plan, &doors, colour));
    let summary = steer(&server, &steward, signals, mouth).await;
    if tokio::time::timeout(LAST_ANSWERS, admin.stop()).await.is_err() {
        warn!("an operator's connection does not end");
    }
    if let Some(keeper) = keeper {
        keeper.finish().await;
    }
    mouth.say(&farewell(&summary));
    Ok(())
}

/// Opens what looks into the server and steers it. Errors: with what to do about them.
fn open_admin(
    plan: &ServePlan,
    server: &ServerHandle,
    steward: &Arc<Steward>,
) -> anyhow::Result<AdminHandle> {
    let config = AdminConfig {
        socket: socket_choice(&plan.admin.socket, plan.file.as_deref()),
        http: plan.admin.http,
        agent: plan.admin.agent,
    };
    let host: Arc<dyn Host> = Arc::clone(steward) as Arc<dyn Host>;
    Admin::start(config, server.clone(), host).map_err(|error| {
        let hint = error.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        anyhow::anyhow!("{error}{hint}")
    })
}

/// Does what signals say until the server has ended. SIGHUP reads the configuration again; without a configuration file there is nothing
/// to read, the terminal was closed, and it ends the server as SIGTERM does.
async fn steer(server: &ServerHandle, steward: &Arc<Steward>, signals: Signals, mouth: &Mouth) -> Summary {
    let Signals { mut terminate, mut interrupt, mut hangup } = signals;
    // One after the other, and beside the loop: a second signal must not wait for a slow disk.
    let (reload, mut ordered) = watch::channel(());
    let reloader = tokio::spawn({
        let steward = Arc::clone(steward);
        async move {
            while ordered.changed().await.is_ok() {
                steward.reload_and_log().await;
            }
        }
    });
    let mut told = false;
    let finished = server.finished();
    tokio::pin!(finished);
    loop {
        tokio::select! {
            summary = &mut finished => {
                reloader.abort();
                return summary;
            }
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => if steward.has_file() {
                reload.send_replace(());
                continue;
            }
        }
        // Nobody resumes what a signal has begun, so the second one always hurries; an operator's drain before the first does not count.
        if std::mem::replace(&mut told, true) {
            server.hurry();
        } else {
            server.drain(steward.shutdown_deadline());
            announce_end(server, mouth);
        }
    }
}

/// Tells who stopped the server what it waits for, if anything.
fn announce_end(server: &ServerHandle, mouth: &Mouth) {
    let Some(drain) = server.drain_view().filter(|drain| drain.transfers > 0) else { return };
    let left = drain.ends_in;
    let left = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
    mouth.say(&format!(
        "Stopping: {} may finish within {}. Once more cuts them.\n",
        counted(drain.transfers, "transfer"),
        show_duration(left)
    ));
}

/// Returns the last words: what was done, and whether anything was cut.
fn farewell(summary: &Summary) -> String {
    let cut = match summary.transfers_cut {
        0 => "none cut".to_owned(),
        count => format!("{count} cut"),
    };
    format!(
        "Stopped: {}, {} finished, {cut}, {} refused.\n",
        counted(summary.sessions_served, "session"),
        counted(summary.transfers_completed, "transfer"),
        summary.refused
    )
}
