//! The program around the server: what it is, and how it takes over a changed configuration.

use std::fmt::Write;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_admin::{About, Host, LimitRow, ReloadError, ReloadReport};
use tidegate_server::ServerHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{error, info, warn};

use super::complaints::Complaints;
use super::load;
use crate::args::ServeArgs;
use crate::assemble::reconfiguration;
use crate::config::reload::{changes, limit_rows, restart_needed};
use crate::config::{Drawing, Source, show_duration};
use crate::escape::for_people;
use crate::logging::Outlet;
use crate::plan::{PlanError, ServePlan, World, plan};
use crate::world::Machine;

/// How long a reload may take: the file and the user database may be on a network that is gone.
const RELOAD_MAX: Duration = Duration::from_secs(30);

/// Keeps the plan in force and replaces it on an operator's word.
#[derive(Clone)]
pub(super) struct Steward {
    inside: Arc<Inside>,
}

struct Inside {
    /// The plan in force. Locked for a copy or a swap only: the end of the server asks for it, too.
    plan: Mutex<ServePlan>,
    turn: Turn,
    args: ServeArgs,
    machine: Machine,
    server: ServerHandle,
    voice: Voice,
    about: About,
}

/// What the program has to tell about itself.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    /// What does not work.
    pub(super) complaints: Complaints,
    /// Where log lines go.
    pub(super) log: Outlet,
}

impl Steward {
    pub(super) fn new(
        plan: ServePlan,
        args: ServeArgs,
        machine: Machine,
        server: ServerHandle,
        voice: Voice,
    ) -> Self {
        let config = args
            .config
            .as_deref()
            .map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()));
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            config,
            complaints: Vec::new(),
        };
        let (plan, turn) = (Mutex::new(plan), Turn::default());
        Self { inside: Arc::new(Inside { plan, turn, args, machine, server, voice, about }) }
    }

    /// Returns whether there is a configuration file to read again.
    pub(super) fn has_file(&self) -> bool {
        self.inside.args.config.is_some()
    }

    /// Returns what transfers get to finish after SIGTERM.
    pub(super) fn shutdown_deadline(&self) -> Duration {
        self.inside.plan().timeouts.shutdown
    }

    /// Reads the configuration again as SIGHUP asks; the outcome goes to the log.
    pub(super) async fn reload_and_log(&self) {
        match reload(Arc::clone(&self.inside)).await {
            Ok(report) => {
                info!(changed = report.changed.len(), "configuration read again");
                for (key, old, new) in &report.changed {
                    info!(key, old, new, "changed");
                }
                for warning in &report.warnings {
                    warn!("{warning}");
                }
            }
            Err(ReloadError { message }) => {
                error!("the configuration was not taken over, everything stays as it was");
                for line in message.lines().filter(|line| !line.trim().is_empty()) {
                    error!("{line}");
                }
            }
        }
    }
}

impl Host for Steward {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<ReloadReport, ReloadError>> + Send + '_>> {
        Box::pin(reload(Arc::clone(&self.inside)))
    }

    fn limits(&self) -> Vec<LimitRow> {
        limit_rows(&self.inside.plan())
    }

    fn about(&self) -> About {
        let Voice { complaints, log } = &self.inside.voice;
        let complaints = complaints.list().into_iter().chain(log.complaint()).collect();
        About { complaints, ..self.inside.about.clone() }
    }

    fn drain_deadline(&self) -> Duration {
        self.shutdown_deadline()
    }
}

impl Inside {
    fn plan(&self) -> MutexGuard<'_, ServePlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the configuration again and takes it over. One at a time; what takes longer than 30 s is given up and changes nothing.
async fn reload(inside: Arc<Inside>) -> Result<ReloadReport, ReloadError> {
    let planned = inside.turn.take(RELOAD_MAX, {
        let inside = Arc::clone(&inside);
        move || {
            let Some(file) = inside.args.config.as_deref() else {
                return Err(failed(
                    "the server was started without a configuration file: there is nothing to read again",
                ));
            };
            // Nobody else replaces it meanwhile.
            let current = inside.plan().clone();
            let (new, report) = next_plan(&current, file, &inside.args, &inside.machine)?;
            let reconfiguration = reconfiguration(&new).map_err(|error| failed(format!("{error:#}")))?;
            Ok((new, reconfiguration, report))
        }
    });
    // Only here it takes effect: nothing does that was given up and goes on later. The turn lasts until then.
    let ((new, reconfiguration, report), _turn) = planned.await?;
    inside.server.reconfigure(reconfiguration);
    *inside.plan() = new;
    Ok(report)
}

fn failed(message: impl Into<String>) -> ReloadError {
    ReloadError { message: message.into() }
}

/// Lets one reload run at a time, off the threads of the runtime and each for a bounded time.
#[derive(Clone, Debug)]
struct Turn(Arc<Semaphore>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turn {
    /// Does the work on a thread that may block; returns what came out and the turn itself, which ends when dropped.
    ///
    /// Errors: the work's own; another has the turn; it is not done within `limit`, and keeps the turn until it is.
    async fn take<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> Result<T, ReloadError> + Send + 'static,
    ) -> Result<(T, OwnedSemaphorePermit), ReloadError> {
        let Ok(turn) = Arc::clone(&self.0).try_acquire_owned() else {
            return Err(failed("another reload is under way: wait for its end"));
        };
        let task = tokio::task::spawn_blocking(move || work().map(|done| (done, turn)));
        match tokio::time::timeout(limit, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(failed(format!("the reload broke off: {error}"))),
            Err(_) => Err(failed(format!(
                "the reload was given up after {}: the configuration or the user database does not answer",
                show_duration(limit)
            ))),
        }
    }
}

/// Reads the file again and returns the plan it makes, with what it changes. Errors: the file is bad, or a change needs a restart.
fn next_plan(
    current: &ServePlan,
    file: &Path,
    args: &ServeArgs,
    world: &dyn World,
) -> Result<(ServePlan, ReloadReport), ReloadError> {
    let source = Source::read(file).map_err(|error| ReloadError { message: error.to_string() })?;
    let loaded = load(&source, args, world)
        .map_err(|problems| ReloadError { message: problems.render(Drawing::Plain) })?;
    let new = plan(args, Some(&loaded.config), world).map_err(|error| match error {
        PlanError::Usage { what, hint } | PlanError::World { what, hint } => {
            ReloadError { message: format!("{what}\n  hint: {hint}") }
        }
    })?;
    let restarts = restart_needed(current, &new);
    if !restarts.is_empty() {
        let mut message = format!("{} asks for what a running server cannot take over:\n", source.name);
        for change in &restarts {
            // Writing into a String does not fail.
            let _ = writeln!(message, "  {}", for_people(&change.to_string()));
        }
        message.push_str("restart the server, or take these changes back");
        return Err(ReloadError { message });
    }
    let warnings = loaded.warnings.iter().flat_map(|problems| &problems.list);
    let report = ReloadReport {
        changed: changes(current, &new),
        warnings: warnings.map(ToString::to_string).collect(),
    };
    Ok((new, report))
}

#[cfg(test)]
mod tests;
