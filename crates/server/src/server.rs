//! Start, drain and end of a server.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tidegate_net::{BindError, Doorway, DoorwayCounts, Listener, PassivePorts};
use tidegate_protocol::session::{CommandRate, Settings};
use tidegate_storage::Backend;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{ListenerConfig, Rate, ServerConfig};
use crate::door::Door;
use crate::gate::Gate;
use crate::house::{Changeable, House, PASSWORD_CHECKS_MAX, Passive};
use crate::jobs::Jobs;
use crate::observer::{ObserverHandle, StorageClock};
use crate::registry::Registry;
use crate::sampler::Sampler;
use crate::tally::{Tally, read};
use crate::weather::Weather;
use drain::Plan;

mod drain;
mod look;
mod steer;
mod upkeep;

pub use drain::DrainError;

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

/// Looks into a running server, steers it and ends it; cheap to clone. Dropping all handles ends nothing.
#[derive(Clone)]
pub struct ServerHandle {
    inside: Arc<Inside>,
}

struct Inside {
    house: Arc<House>,
    local_addresses: Arc<[SocketAddr]>,
    weather: watch::Sender<Weather>,
    /// A drain that begins later.
    plan: Mutex<Option<Plan>>,
    /// Taken out when the server ends.
    doorway: Mutex<Option<Doorway>>,
    /// Likewise.
    observer: Mutex<Option<ObserverHandle>>,
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

impl Server {
    /// Listens on every address and serves `backend` until drained. Call it inside a tokio runtime with time and IO enabled.
    ///
    /// Errors: [`StartError`]; nothing is left listening then.
    pub fn start(config: ServerConfig, backend: Arc<dyn Backend>) -> Result<ServerHandle, StartError> {
        let runtime = Handle::try_current()?;
        let (listeners, passive, passive_pools) = bind(config.listeners)?;
        let local_addresses = listeners.iter().map(Listener::local_addr).collect();
        let (weather, seen_by_sessions) = watch::channel(Weather::FAIR);
        let clock = Clock::start();
        let settings = Settings {
            extras: config.extras,
            mode_z: config.mode_z,
            file_bytes_max: config.file_bytes_max,
            umask: config.umask,
            command_rate: command_rate(config.command_rate),
            ..Settings::new(config.greeting, config.timeouts)
        };
        let house = Arc::new(House {
            clock,
            gate: Gate::new(config.limits, clock),
            changeable: RwLock::new(Changeable {
                accounts: Arc::new(config.accounts),
                settings: Arc::new(settings),
            }),
            backend,
            passive,
            passive_pools,
            runtime: runtime.clone(),
            password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
            jobs: Jobs::new(),
            tally: Arc::new(Tally::default()),
            crowd: Arc::default(),
            weather: seen_by_sessions,
            registry: Arc::new(Registry::default()),
            sampler: Mutex::new(Sampler::new()),
            storage_clock: StorageClock::new(clock),
            bans_changed: watch::Sender::new(0),
            kill: CancellationToken::new(),
            sessions: TaskTracker::new(),
        });
        for ban in &config.bans {
            house.gate.import_ban(ban);
        }
        let doorway = {
            let (house, runtime) = (Arc::clone(&house), runtime.clone());
            Doorway::open(listeners, |linger| Door::new(house, linger, runtime))
                .map_err(StartError::Doorway)?
        };
        let (door, bell) = (doorway.linger_handle(), doorway.linger_handle());
        house.gate.wake_by(Box::new(move || bell.wake()));
        let inside = Arc::new(Inside {
            house,
            local_addresses,
            weather,
            plan: Mutex::new(None),
            doorway: Mutex::new(Some(doorway)),
            observer: Mutex::new(None),
            summary: watch::Sender::new(None),
        });
        let observer = upkeep::observe(&inside, door, &runtime).map_err(StartError::Doorway)?;
        *inside.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
        runtime.spawn(upkeep::tend(Arc::clone(&inside)));
        runtime.spawn(drain::supervise(Arc::clone(&inside)));
        Ok(ServerHandle { inside })
    }
}

/// The limits of the gate and of a session speak of rates in their own rooms' words.
fn command_rate(rate: Option<Rate>) -> Option<CommandRate> {
    rate.and_then(|rate| CommandRate::new(rate.count(), rate.period()))
}

impl ServerHandle {
    /// Returns the addresses listened on, in the order of the configuration, with the ports the kernel chose.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.inside.local_addresses
    }

    /// Waits until the server has ended after a drain, and tells what it did.
    pub async fn finished(&self) -> Summary {
        let mut summary = self.inside.summary.subscribe();
        let told = summary.wait_for(Option::is_some).await.ok().and_then(|summary| *summary);
        // The sender lives as long as `self`.
        told.unwrap_or_else(|| self.inside.summarize())
    }
}

impl Inside {
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

/// Sockets that listen, how each opens passive data connections, and every pool of ports once.
type Bound = (Vec<Listener>, Vec<Passive>, Vec<PassivePorts>);

fn bind(configs: Vec<ListenerConfig>) -> Result<Bound, StartError> {
    let mut listeners = Vec::with_capacity(configs.len());
    let mut passive = Vec::with_capacity(configs.len());
    // Two listeners with the same ports share one pool: on one address a port can be leased once only.
    let mut pools: Vec<(tidegate_net::PortChoice, PassivePorts)> = Vec::new();
    for config in configs {
        let proxies = config.trusted_proxies;
        listeners.push(Listener::bind(config.address)?.with_proxies(proxies.clone()));
        let known = pools.iter().position(|(choice, _)| *choice == config.passive_ports);
        let range = known.unwrap_or(pools.len());
        let ports = if let Some((_, ports)) = pools.get(range) {
            ports.clone()
        } else {
            let ports = PassivePorts::new(&config.passive_ports).map_err(StartError::PassivePorts)?;
            pools.push((config.passive_ports, ports.clone()));
            ports
        };
        passive.push(Passive {
            ports,
            range: u16::try_from(range).unwrap_or(u16::MAX),
            address: config.passive_address,
            proxies: proxies.into(),
            complained: AtomicU64::new(0),
        });
    }
    Ok((listeners, passive, pools.into_iter().map(|(_, ports)| ports).collect()))
}
