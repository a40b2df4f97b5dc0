//! `tidegate serve`: reads, plans, and hands the plan to the server.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use tidegate_server::{Server, Summary};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::ServeArgs;
use crate::assemble::assemble;
use crate::config::{Config, Facts, Loaded, Source, show_duration};
use crate::plan::{PlanError, ServePlan, World, plan};
use crate::screen::start_screen;
use crate::{Exit, console, demo, logging};

/// How many blocking calls (storage, password checks) may run at a time.
const BLOCKING_THREADS_MAX: usize = 128;

/// How long blocking calls may take to end after everything else has.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// Serves until it is told to stop.
pub fn command(args: &ServeArgs, world: &dyn World) -> Exit {
    match prepare(args, world) {
        Ok(plan) => serve(plan),
        Err(exit) => exit,
    }
}

/// Decides what to serve and makes the machine ready for it; what is wrong is printed.
fn prepare(args: &ServeArgs, world: &dyn World) -> Result<ServePlan, Exit> {
    let loaded = args.config.as_deref().map(|file| load(file, args, world)).transpose()?;
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
    logging::start(plan.log_format).map_err(|what| {
        console::complain(&format!("error: {what}\n"));
        Exit::Usage
    })?;
    Ok(plan)
}

fn load(file: &Path, args: &ServeArgs, world: &dyn World) -> Result<Loaded, Exit> {
    let source = Source::read(file).map_err(|error| {
        console::complain(&format!("error: {error}\n"));
        Exit::BadConfig
    })?;
    let kind_of = |path: &Path| world.kind_of(path);
    let facts = Facts {
        descriptor_limit: world.descriptor_limit(),
        is_strict: false,
        root: args.dir.as_deref(),
        kind_of: &kind_of,
        umask: world.umask(),
        users: world,
    };
    let loaded = Config::load(&source, &facts).map_err(|problems| {
        console::complain(&problems.render(console::drawing()));
        Exit::BadConfig
    })?;
    if let Some(warnings) = &loaded.warnings {
        console::complain(&warnings.render(console::drawing()));
    }
    Ok(loaded)
}

fn serve(plan: ServePlan) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("tidegate")
        .build();
    let served = match runtime {
        Ok(runtime) => {
            let served = runtime.block_on(run(plan));
            // A disk that hangs holds a thread; it must not hold the end.
            runtime.shutdown_timeout(LAST_CALLS);
            served
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match served {
        Ok(()) => Exit::Done,
        Err(error) => {
            console::complain(&format!("error: {error:#}\n"));
            Exit::Failed
        }
    }
}

/// Serves the plan until a signal ends it: the first SIGTERM or Ctrl-C drains, a second one hurries (DESIGN §6.9).
async fn run(plan: ServePlan) -> anyhow::Result<()> {
    let (config, backend) = assemble(&plan)?;
    // Before anybody can read that the server is ready: a signal sent then must already drain.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config, backend)?;
    console::say(&start_screen(
        &plan,
        server.local_addresses(),
        io::stdout().is_terminal() && console::may_colour(),
    ));
    let mut told = false;
    let finished = server.finished();
    tokio::pin!(finished);
    loop {
        tokio::select! {
            summary = &mut finished => {
                console::say(&farewell(&summary));
                return Ok(());
            }
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if told {
            server.hurry();
        } else {
            told = true;
            server.drain(plan.timeouts.shutdown);
            let running = server.snapshot().transfers;
            if running > 0 {
                let limit = show_duration(plan.timeouts.shutdown);
                let transfers = counted(running, "transfer");
                console::say(&format!(
                    "Stopping: {transfers} may finish within {limit}. Once more cuts them.\n"
                ));
            }
        }
    }
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

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
