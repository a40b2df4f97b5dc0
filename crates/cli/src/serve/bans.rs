//! Bans over a restart: taken over at the start, saved when they change and at the end.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tidegate_records::{Keeper, Records, RecordsError};
use tidegate_server::ServerHandle;
use tidegate_server::view::BanRecord;
use tidegate_types::Moment;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{error, info, warn};

use super::complaints::Complaints;
use super::places::{StateEnvironment, StateFolder, state_folder};
use crate::clock;
use crate::plan::ServePlan;

/// How many bans are fetched from the gate at a time.
const PAGE: usize = 1_000;
/// How often a folder is tried that another process still uses.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How much longer than a drain may take a folder is waited for: the other one may have begun its end after this one's start.
const MORE_PATIENCE: Duration = Duration::from_mins(1);
/// How long the last save may take.
const LAST_SAVE: Duration = Duration::from_secs(2);

/// Bans that were kept, before the server has started.
#[derive(Debug)]
pub(super) struct BanKeeper {
    folder: Folder,
    complaints: Complaints,
}

/// The folder where bans are kept.
#[derive(Debug)]
enum Folder {
    /// This process has it.
    Open(Kept),
    /// Another process has it, most likely an earlier server of the same configuration that still drains.
    Taken(PathBuf),
}

#[derive(Debug)]
struct Kept {
    records: Records,
    bans: Vec<BanRecord>,
}

/// Bans that are being kept.
#[derive(Debug)]
pub(super) struct RunningKeeper {
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl BanKeeper {
    /// Opens the place that the plan names. `None`: bans are forgotten at the end, because that is wanted, or because the usual place
    /// cannot be used: then there is a complaint. A usual place that another process still uses is waited for later.
    ///
    /// Errors: a place that the configuration demands cannot be used.
    pub(super) async fn open(plan: &ServePlan) -> anyhow::Result<(Option<Self>, Complaints)> {
        let folder = state_folder(&plan.state, plan.file.as_deref(), &StateEnvironment::of_process());
        Self::open_at(folder).await
    }

    async fn open_at(folder: StateFolder) -> anyhow::Result<(Option<Self>, Complaints)> {
        let complaints = Complaints::default();
        let opened = match &folder {
            StateFolder::Nowhere => return Ok((None, complaints)),
            StateFolder::Unknown => {
                Err(anyhow::anyhow!("neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME is set"))
            }
            StateFolder::Demanded(path) | StateFolder::Usual(path) => open_in(path, &complaints).await,
        };
        let folder = match (opened, folder) {
            (Ok(kept), _) => Folder::Open(kept),
            (Err(error), StateFolder::Demanded(_)) => {
                return Err(error.context("the folder that `state` names cannot be used"));
            }
            (Err(error), StateFolder::Usual(path)) if is_in_use(&error) => {
                let complaint = format!("bans are not kept yet: {error:#}; it is tried again every second");
                warn!("{complaint}");
                complaints.set_bans(Some(complaint));
                Folder::Taken(path)
            }
            (Err(error), _) => {
                complain_forgotten(&complaints, &error);
                return Ok((None, complaints));
            }
        };
        Ok((Some(Self { folder, complaints: complaints.clone() }), complaints))
    }

    /// Returns the bans that were kept, for the start of the server.
    pub(super) fn take_bans(&mut self) -> Vec<BanRecord> {
        let bans = match &mut self.folder {
            Folder::Open(kept) => std::mem::take(&mut kept.bans),
            Folder::Taken(_) => Vec::new(),
        };
        if !bans.is_empty() {
            info!(bans = bans.len(), "bans taken over");
        }
        bans
    }

    /// Keeps the bans of the server from now on. A folder that another process uses is waited for as long as `shutdown`, which a drain may
    /// take, and a minute more; the bans in it then are taken over late.
    pub(super) fn start(self, server: &ServerHandle, shutdown: Duration) -> RunningKeeper {
        let (end, ended) = watch::channel(false);
        let task = tokio::spawn(keep(server.clone(), self, shutdown + MORE_PATIENCE, ended));
        RunningKeeper { end, task }
    }
}

/// Opens a folder and reads what is in it. Errors: those of [`Records`], and a panic.
async fn open_in(folder: &Path, complaints: &Complaints) -> anyhow::Result<Kept> {
    let folder = folder.to_path_buf();
    let opened = spawn_blocking(move || {
        let mut opened = Records::open(&folder)?;
        let bans = opened.records.load_bans(clock::unix_secs())?;
        Ok::<_, RecordsError>((opened, bans))
    });
    let (opened, bans) = opened.await.context("reading the bans panicked")??;
    if let Some(damage) = &opened.damage {
        let aside = damage.moved_to.display();
        let complaint =
            format!("earlier bans are lost: their file was damaged ({}), it is kept as {aside}", damage.what);
        warn!("{complaint}");
        complaints.add(complaint);
    }
    Ok(Kept { records: opened.records, bans })
}

fn is_in_use(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(RecordsError::InUse { .. }))
}

fn complain_forgotten(complaints: &Complaints, error: &anyhow::Error) {
    let complaint = format!("bans will be forgotten at the end: {error:#}");
    warn!("{complaint}; set `state` to a folder, or to \"off\"");
    complaints.set_bans(None);
    complaints.add(complaint);
}

/// Hands bans that come late to the server; what it has banned itself meanwhile stays as it is.
fn take_over(server: &ServerHandle, mut bans: Vec<BanRecord>) {
    let lasts = |ban: &BanRecord| !ban.remaining.is_zero();
    let own = exported(server).into_iter().filter(lasts);
    let own: HashSet<_> = own.map(|ban| (ban.address, ban.name)).collect();
    bans.retain(|ban| !own.contains(&(ban.address, ban.name.clone())));
    server.import_bans(&bans);
    info!(bans = bans.len(), "bans taken over");
}

impl RunningKeeper {
    /// Saves once more, and waits until that is done or has taken 2 s.
    pub(super) async fn finish(self) {
        self.finish_within(LAST_SAVE).await;
    }

    async fn finish_within(self, limit: Duration) {
        self.end.send_replace(true);
        match tokio::time::timeout(limit, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "bans were not saved at the end"),
            Err(_) => error!("bans were not saved at the end: the disk does not answer"),
        }
    }
}

async fn keep(server: ServerHandle, ready: BanKeeper, patience: Duration, mut ended: watch::Receiver<bool>) {
    let mut changed = server.bans_changed();
    let BanKeeper { folder, complaints } = ready;
    let mut keeper = Keeper::default();
    let mut records = match folder {
        Folder::Open(kept) => Some(kept.records),
        Folder::Taken(folder) => {
            let Some(kept) = wait_for(&folder, &complaints, patience, &mut ended).await else { return };
            take_over(&server, kept.bans);
            keeper.changed();
            Some(kept.records)
        }
    };
    let start = clock::now();
    let now = || Moment::from_start(clock::now().duration_since(start));
    loop {
        let wait = keeper.due().map(|due| due.since(now()));
        tokio::select! {
            () = told(&mut ended) => break,
            change = changed.changed() => match change {
                Ok(()) => keeper.changed(),
                Err(_) => break,
            },
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {
                keeper.begin(now());
                if !save(&server, &mut records, &complaints).await {
                    keeper.failed(now());
                }
            }
        }
    }
    save(&server, &mut records, &complaints).await;
}

/// Waits for the end.
async fn told(ended: &mut watch::Receiver<bool>) {
    // Whoever has dropped the other half does not want bans kept any more.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// Tries every second, and once more at the end, whether the other process has left the folder. `None`: it has not, and there is a
/// complaint; or the folder cannot be used at all.
async fn wait_for(
    folder: &Path,
    complaints: &Complaints,
    patience: Duration,
    ended: &mut watch::Receiver<bool>,
) -> Option<Kept> {
    let until = clock::now() + patience;
    loop {
        let is_last = tokio::select! {
            () = told(ended) => true,
            () = tokio::time::sleep(RETRY_EVERY) => clock::now() >= until,
        };
        match open_in(folder, complaints).await {
            Ok(kept) => {
                complaints.set_bans(None);
                return Some(kept);
            }
            Err(error) if !is_last && is_in_use(&error) => {}
            Err(error) => {
                complain_forgotten(complaints, &error);
                return None;
            }
        }
    }
}

/// Saves all bans on a thread that may block. Returns whether that worked; a failure is logged and becomes a complaint.
async fn save(server: &ServerHandle, records: &mut Option<Records>, complaints: &Complaints) -> bool {
    let server = server.clone();
    save_by(records, complaints, move |records| records.save_bans(exported(&server), clock::unix_secs()))
        .await
}

async fn save_by(
    records: &mut Option<Records>,
    complaints: &Complaints,
    save: impl FnOnce(&mut Records) -> Result<usize, RecordsError> + Send + 'static,
) -> bool {
    let error = match records.take() {
        None => Some("an earlier save broke off".to_owned()),
        Some(mut taken) => {
            let saved = spawn_blocking(move || {
                // The folder stays locked when the database panics; `Records` opens the file anew after that.
                let saved = catch_unwind(AssertUnwindSafe(|| save(&mut taken)));
                (taken, saved)
            });
            match saved.await {
                Ok((taken, saved)) => {
                    *records = Some(taken);
                    match saved {
                        Ok(saved) => saved.err().map(|error| format!("{:#}", anyhow::Error::new(error))),
                        Err(_) => Some("writing them panicked, as the log tells".to_owned()),
                    }
                }
                Err(error) => Some(error.to_string()),
            }
        }
    };
    let complaint = error.map(|error| format!("bans are not saved: {error}"));
    let before = complaints.set_bans(complaint.clone());
    match &complaint {
        Some(new) if before.as_ref() != Some(new) => error!("{new}"),
        None if before.is_some() => info!("bans are saved again"),
        Some(_) | None => {}
    }
    complaint.is_none()
}

/// Returns what is worth keeping, page by page.
fn exported(server: &ServerHandle) -> Vec<BanRecord> {
    let (mut bans, mut cursor) = (Vec::new(), 0);
    loop {
        let page = server.export_bans(cursor, PAGE);
        bans.extend(page.bans);
        match page.next.filter(|next| *next > cursor) {
            Some(next) => cursor = next,
            None => return bans,
        }
    }
}

#[cfg(test)]
mod tests;
