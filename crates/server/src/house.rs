use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_accounts::Accounts;
use tidegate_net::{PassiveAddress, PassivePorts};
use tidegate_protocol::session::Settings;
use tidegate_storage::Backend;
use tidegate_types::Moment;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::crowd::Crowd;
use crate::gate::Gate;
use crate::jobs::Jobs;
use crate::stage::Stage;
use crate::tally::Tally;

/// Password checks that may run at once: each takes a processor and tens of MiB for a moment.
pub(crate) const PASSWORD_CHECKS_MAX: usize = 2;

/// What all sessions share.
pub(crate) struct House {
    pub(crate) clock: Clock,
    pub(crate) gate: Arc<Gate>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) settings: Arc<Settings>,
    /// By listener.
    pub(crate) passive: Vec<Passive>,
    pub(crate) password_checks: Arc<Semaphore>,
    /// What digests, copies and joins share.
    pub(crate) jobs: Jobs,
    pub(crate) tally: Arc<Tally>,
    pub(crate) crowd: Arc<Crowd>,
    /// Never marked as seen here: a session's copy sees any stage but the first as a change.
    pub(crate) stage: watch::Receiver<Stage>,
    /// Ends every session without asking.
    pub(crate) kill: CancellationToken,
    pub(crate) sessions: TaskTracker,
}

/// How the sessions of one listener open passive data connections.
#[derive(Debug)]
pub(crate) struct Passive {
    pub(crate) ports: PassivePorts,
    pub(crate) address: PassiveAddress,
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
