//! Start, drain and end of a server.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_net::{BindError, Doorway, DoorwayCounts, Listener, PassivePorts};
use tidegate_protocol::session::Settings;
use tidegate_storage::Backend;
use tidegate_types::{Cause, Moment};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::config::{ListenerConfig, ServerConfig};
use crate::door::Door;
use crate::gate::Gate;
use crate::house::{House, PASSWORD_CHECKS_MAX, Passive};
use crate::jobs::Jobs;
use crate::stage::Stage;
use crate::tally::{Tally, read};

/// How long sessions have to say 426 and 421 after a drain ran out of time, before they are ended without a word.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Starts servers.
#[derive(Debug)]
pub struct Server;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The passive ports are not usable.
    #[error("passive ports: {0}")]
    PassivePorts(#[source] io::Error),
    /// The system gives no thread or event queue.
    #[error("cannot open the door: {0}")]
    Doorway(#[source] io::Error),
    /// It was called outside of a tokio runtime.
    #[error("no tokio runtime: {0}")]
    NoRuntime(#[from] tokio::runtime::TryCurrentError),
}

/// Looks into a running server and ends it; cheap to clone. Dropping all handles ends nothing.
#[derive(Clone)]
pub struct ServerHandle {
    inside: Arc<Inside>,
}

struct Inside {
    house: Arc<House>,
    local_addresses: Vec<SocketAddr>,
    stage: watch::Sender<Stage>,
    /// Taken out when the server ends.
    doorway: Mutex<Option<Doorway>>,
    summary: watch::Sender<Option<Summary>>,
}

/// What a server did, told when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Sessions that were let in.
    pub sessions_served: u64,
    /// Of these, those ended without a word because they did not end in time.
    pub sessions_killed: u64,
    /// Transfers that were finished.
    pub transfers_completed: u64,
    /// Transfers that broke, failed or were aborted by their client.
    pub transfers_failed: u64,
    /// Transfers cut by the end of the drain.
    pub transfers_cut: u64,
    /// Bytes sent over data connections.
    pub bytes_sent: u64,
    /// Bytes received over data connections.
    pub bytes_received: u64,
    /// Connections refused and sessions sent away with a 421, all causes together.
    pub refused: u64,
    /// Those of them who may not have read their line.
    pub unspoken: u64,
    /// How long it ran.
    pub uptime: Duration,
}

/// What is going on inside at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the gate holds and counted.
    pub gate: tidegate_admission::Snapshot,
    /// What the door counted.
    pub door: DoorwayCounts,
    /// Sessions inside.
    pub sessions: u64,
    /// Transfers under way.
    pub transfers: u64,
    /// Logins that succeeded and that were denied, since the start.
    pub logins: (u64, u64),
    /// Refusals since the start, by cause.
    pub refused: Vec<(Cause, u64)>,
    /// Whether it drains, and until when.
    pub draining_until: Option<Moment>,
}

impl Server {
    /// Listens on every address and serves `backend` until drained. Call it inside a tokio runtime with time and IO enabled.
    ///
    /// Errors: [`StartError`]; nothing is left listening then.
    pub fn start(config: ServerConfig, backend: Arc<dyn Backend>) -> Result<ServerHandle, StartError> {
        let runtime = Handle::try_current()?;
        let (listeners, passive) = bind(config.listeners)?;
        let local_addresses = listeners.iter().map(Listener::local_addr).collect();
        let (stage, seen_by_sessions) = watch::channel(Stage::Open);
        let clock = Clock::start();
        let house = Arc::new(House {
            clock,
            gate: Gate::new(config.limits, clock),
            accounts: Arc::new(config.accounts),
            backend,
            settings: Arc::new(Settings {
                greeting: config.greeting,
                timeouts: config.timeouts,
                extras: config.extras,
                mode_z: config.mode_z,
                file_bytes_max: config.file_bytes_max,
                umask: config.umask,
            }),
            passive,
            password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
            jobs: Jobs::new(),
            tally: Arc::new(Tally::default()),
            crowd: Arc::default(),
            stage: seen_by_sessions,
            kill: CancellationToken::new(),
            sessions: TaskTracker::new(),
        });
        let doorway = {
            let (house, runtime) = (Arc::clone(&house), runtime.clone());
            Doorway::open(listeners, |linger| Door::new(house, linger, runtime))
                .map_err(StartError::Doorway)?
        };
        let inside = Arc::new(Inside {
            house,
            local_addresses,
            stage,
            doorway: Mutex::new(Some(doorway)),
            summary: watch::Sender::new(None),
        });
        runtime.spawn(supervise(Arc::clone(&inside)));
        Ok(ServerHandle { inside })
    }
}

fn bind(configs: Vec<ListenerConfig>) -> Result<(Vec<Listener>, Vec<Passive>), StartError> {
    let mut listeners = Vec::with_capacity(configs.len());
    let mut passive = Vec::with_capacity(configs.len());
    // Two listeners with the same ports share one pool: on one address a port can be leased once only.
    let mut pools: Vec<(tidegate_net::PortChoice, PassivePorts)> = Vec::new();
    for config in configs {
        listeners.push(Listener::bind(config.address)?);
        let known = pools.iter().find(|(choice, _)| *choice == config.passive_ports);
        let ports = if let Some((_, ports)) = known {
            ports.clone()
        } else {
            let ports = PassivePorts::new(&config.passive_ports).map_err(StartError::PassivePorts)?;
            pools.push((config.passive_ports, ports.clone()));
            ports
        };
        passive.push(Passive { ports, address: config.passive_address, complained: AtomicU64::new(0) });
    }
    Ok((listeners, passive))
}

impl ServerHandle {
    /// Returns the addresses listened on, in the order of the configuration, with the ports the kernel chose.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.inside.local_addresses
    }

    /// Begins the end: new connections are refused with `draining`, idle sessions are sent away at once, transfers may finish
    /// within `deadline`. Called again, only an earlier end counts.
    pub fn drain(&self, deadline: Duration) {
        let until = self.inside.house.clock.now() + deadline;
        let changed = self.inside.stage.send_if_modified(|stage| {
            let sooner = match *stage {
                Stage::Open => true,
                Stage::Draining { until: announced } => until < announced,
                Stage::Expired => false,
            };
            if sooner {
                // Before any session hears of it, so that nobody is sent away and let in again.
                self.inside.house.gate.drain(until);
                *stage = Stage::Draining { until };
            }
            sooner
        });
        if changed {
            info!(deadline_secs = deadline.as_secs(), "draining");
        }
    }

    /// Ends a drain now, or drains without waiting: what still runs is cut.
    pub fn hurry(&self) {
        self.drain(Duration::ZERO);
        self.inside.expire();
    }

    /// Waits until the server has ended after a drain, and tells what it did.
    pub async fn finished(&self) -> Summary {
        let mut summary = self.inside.summary.subscribe();
        let told = summary.wait_for(Option::is_some).await.ok().and_then(|summary| *summary);
        // The sender lives as long as `self`.
        told.unwrap_or_else(|| self.inside.summarize())
    }

    /// Returns what is going on inside.
    pub fn snapshot(&self) -> Snapshot {
        let tally = &self.inside.house.tally;
        Snapshot {
            gate: self.inside.house.gate.snapshot(),
            door: self.inside.door_counts(),
            sessions: read(&tally.sessions_live),
            transfers: read(&tally.transfers_live),
            logins: (read(&tally.logins), read(&tally.logins_denied)),
            refused: tally.refusals().collect(),
            draining_until: match *self.inside.stage.borrow() {
                Stage::Open => None,
                Stage::Draining { until } => Some(until),
                Stage::Expired => Some(self.inside.house.clock.now()),
            },
        }
    }
}

impl Inside {
    fn expire(&self) {
        self.stage.send_if_modified(|stage| {
            let news = *stage != Stage::Expired;
            *stage = Stage::Expired;
            news
        });
    }

    fn door_counts(&self) -> DoorwayCounts {
        let doorway = self.doorway.lock().unwrap_or_else(PoisonError::into_inner);
        doorway.as_ref().map(Doorway::counts).unwrap_or_default()
    }

    fn summarize(&self) -> Summary {
        let tally = &self.house.tally;
        Summary {
            sessions_served: read(&tally.sessions_served),
            sessions_killed: read(&tally.sessions_killed),
            transfers_completed: read(&tally.transfers_completed),
            transfers_failed: read(&tally.transfers_failed),
            transfers_cut: read(&tally.transfers_cut),
            bytes_sent: read(&tally.bytes_sent),
            bytes_received: read(&tally.bytes_received),
            refused: tally.refusals().map(|(_, count)| count).sum(),
            unspoken: self.door_counts().unspoken,
            uptime: self.house.clock.now().since_start(),
        }
    }
}

/// Waits for a drain and sees it through.
async fn supervise(inside: Arc<Inside>) {
    let mut stage = inside.stage.subscribe();
    // The sender lives in `inside`.
    let _ = stage.wait_for(|stage| *stage != Stage::Open).await;
    inside.house.sessions.close();
    empty(&inside, &mut stage).await;
    let doorway = inside.doorway.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut summary = None;
    if let Some(doorway) = doorway {
        doorway.request_stop();
        let counts = tokio::task::spawn_blocking(move || {
            let counts = doorway.counts();
            doorway.stop();
            counts
        });
        // Somebody may have been let in just before the drain and reach the sessions only now.
        empty(&inside, &mut stage).await;
        if let Ok(counts) = counts.await {
            summary = Some(Summary { unspoken: counts.unspoken, ..inside.summarize() });
        }
        empty(&inside, &mut stage).await;
    }
    inside.house.jobs.settled(LAST_WORDS).await;
    let summary = summary.unwrap_or_else(|| inside.summarize());
    info!(
        sessions = summary.sessions_served,
        completed = summary.transfers_completed,
        cut = summary.transfers_cut,
        killed = summary.sessions_killed,
        refused = summary.refused,
        "ended"
    );
    inside.summary.send_replace(Some(summary));
}

/// Waits until no session is inside: until the drain ends, then a moment for last words, then they are ended.
async fn empty(inside: &Inside, stage: &mut watch::Receiver<Stage>) {
    let sessions = &inside.house.sessions;
    loop {
        let seen = *stage.borrow_and_update();
        match seen {
            Stage::Open | Stage::Expired => break,
            Stage::Draining { until } => tokio::select! {
                () = sessions.wait() => return,
                _ = stage.changed() => {}
                () = tokio::time::sleep_until(inside.house.clock.instant(until)) => inside.expire(),
            },
        }
    }
    if tokio::time::timeout(LAST_WORDS, sessions.wait()).await.is_err() {
        warn!(sessions = sessions.len(), "ended without a word");
        inside.house.kill.cancel();
        sessions.wait().await;
    }
}
