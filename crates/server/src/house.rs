use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ipnet::IpNet;
use tidegate_accounts::Accounts;
use tidegate_admission::{Ban, PermitId, Question};
use tidegate_net::{PassiveAddress, PassivePorts};
use tidegate_protocol::session::{Farewell, Settings};
use tidegate_storage::Backend;
use tidegate_types::{Cause, Moment, Refusal};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use crate::clock::Clock;
use crate::crowd::Crowd;
use crate::door::RECLAIMS_MAX;
use crate::gate::{Answer, Gate, PermitGuard};
use crate::jobs::Jobs;
use crate::observer::{StorageClock, StorageRequestGuard};
use crate::registry::Registry;
use crate::sampler::Sampler;
use crate::tally::Tally;
use crate::view::Latency;
use crate::weather::Weather;

/// Password checks that may run at once: each takes a processor and tens of MiB for a moment.
pub(crate) const PASSWORD_CHECKS_MAX: usize = 2;

/// What all sessions share.
pub(crate) struct House {
    pub(crate) clock: Clock,
    pub(crate) gate: Arc<Gate>,
    pub(crate) changeable: RwLock<Changeable>,
    pub(crate) backend: Arc<dyn Backend>,
    /// By listener.
    pub(crate) passive: Vec<Passive>,
    /// Each pool once, however many listeners share it.
    pub(crate) passive_pools: Vec<PassivePorts>,
    pub(crate) runtime: Handle,
    pub(crate) password_checks: Arc<Semaphore>,
    /// What digests, copies and joins share.
    pub(crate) jobs: Jobs,
    pub(crate) tally: Arc<Tally>,
    pub(crate) crowd: Arc<Crowd>,
    /// Never marked as seen here: a session's copy sees any weather but the first as a change.
    pub(crate) weather: watch::Receiver<Weather>,
    pub(crate) registry: Arc<Registry>,
    /// Which refusals are logged.
    pub(crate) sampler: Mutex<Sampler>,
    /// How long storage takes to answer.
    pub(crate) storage_clock: StorageClock,
    /// Counts changes of the bans.
    pub(crate) bans_changed: watch::Sender<u64>,
    /// Ends every session without asking.
    pub(crate) kill: CancellationToken,
    pub(crate) sessions: TaskTracker,
}

/// What a changed configuration replaces while the server runs.
#[derive(Debug)]
pub(crate) struct Changeable {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) settings: Arc<Settings>,
}

impl House {
    /// Returns who may log in now.
    pub(crate) fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.changeable.read().unwrap_or_else(PoisonError::into_inner).accounts)
    }

    /// Returns what new sessions are run by.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.changeable.read().unwrap_or_else(PoisonError::into_inner).settings)
    }

    /// Counts a refusal under its cause. Returns for how many a log line stands and how many there were in all; `None`: no line
    /// now, it was told within this second.
    pub(crate) fn note_refusal(&self, cause: Cause) -> Option<(u64, u64)> {
        let total = self.tally.refused(cause);
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        Some((sampler.note(cause, self.clock.now())?, total))
    }

    /// Logs the refusals that no line stands for yet.
    pub(crate) fn tell_refusals(&self) {
        let untold = self.sampler.lock().unwrap_or_else(PoisonError::into_inner).rest(self.clock.now());
        for (cause, count) in untold {
            let total = self.tally.refused_so_far(cause);
            info!(cause = cause.as_str(), count, total, "refused, more of the same");
        }
    }

    /// Asks for what a session inside wants; makes room at the cost of another session where the gate says so.
    pub(crate) fn ask(&self, question: &Question) -> Result<PermitGuard, Refusal> {
        for _ in 0..RECLAIMS_MAX {
            match self.gate.ask(question) {
                Answer::Admit(permit) => return Ok(permit),
                Answer::Reclaim(permit) => self.reclaim(permit),
                Answer::Refuse(refusal) => return Err(refusal),
                // Who is inside neither waits nor is turned away for good; the engine gives no such answer.
                Answer::Wait(_) | Answer::Deny | Answer::Drop(_) => break,
            }
        }
        Err(Refusal::uncounted(Cause::Overloaded, 1))
    }

    /// Times a request to storage until the returned value drops.
    pub(crate) fn time_storage(self: &Arc<Self>, now: Moment) -> TimedStorage {
        TimedStorage { _running: self.storage_clock.begin(), house: Arc::clone(self), since: now }
    }

    /// Takes the place of a session for a newcomer: it is told to leave, and its place is free at once.
    pub(crate) fn reclaim(&self, permit: PermitId) {
        let farewell = Farewell::new(Refusal::uncounted(Cause::Reclaimed, 1));
        if !self.registry.reclaim(permit, &farewell) {
            debug!(?permit, "whose place was to be taken has just left");
        }
    }

    /// Notes a ban that was decided, or that one was ended; one that stood already is no news.
    pub(crate) fn note_ban(&self, ban: Option<&Ban>) {
        if ban.is_some_and(|ban| !ban.is_new) {
            return;
        }
        self.bans_changed.send_modify(|count| *count = count.wrapping_add(1));
        if let Some(ban) = ban {
            let Ban { address, one_name, level, retry_after_secs, .. } = ban;
            info!(%address, one_name, level, secs = retry_after_secs, "banned");
        }
    }
}

/// A request to storage under way.
pub(crate) struct TimedStorage {
    /// Measures until it drops.
    _running: StorageRequestGuard,
    house: Arc<House>,
    since: Moment,
}

impl Drop for TimedStorage {
    fn drop(&mut self) {
        self.house.tally.took(Latency::Storage, self.house.clock.now().since(self.since));
    }
}

/// How the sessions of one listener open passive data connections.
#[derive(Debug)]
pub(crate) struct Passive {
    pub(crate) ports: PassivePorts,
    /// The number of its range: listeners with the same ports share one.
    pub(crate) range: u16,
    pub(crate) address: PassiveAddress,
    /// Who must speak the PROXY protocol, on data connections too.
    pub(crate) proxies: Arc<[IpNet]>,
    /// The second in which a missing port was logged last, plus one.
    pub(crate) complained: AtomicU64,
}

impl Passive {
    /// Returns whether a missing port may be logged: once a second, however many clients ask.
    pub(crate) fn may_complain(&self, now: Moment) -> bool {
        let second = now.since_start().as_secs() + 1;
        self.complained.swap(second, Ordering::Relaxed) != second
    }
}
