//! A server without sockets, for tests: a real engine at a moment that stands still, and what was ordered.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use tidegate_admission::{AccountKey, Decision, Engine, IpNet, Limits, ListenerLimits, Networks, Question};
use tidegate_net::DoorwayCounts;
use tidegate_server::DrainError;
use tidegate_server::view::{
    Ban, BanPage, Doing, DrainOrder, DrainView, HistogramView, Latency, Moving, SessionView, Snapshot,
    Subject, TransferVerb, Why,
};
use tidegate_types::{Cause, Moment};

use crate::host::{About, Host, LimitRow, ReloadError, ReloadReport};
use crate::running::Running;

/// The time since the start.
const UPTIME: Duration = Duration::from_secs(1_000);
/// The sessions there are: numbers 1 to this.
pub(crate) const SESSIONS: u64 = 7;
/// Where it listens.
pub(crate) const LISTENING_ON: [&str; 2] = ["127.0.0.1:2121", "[::1]:2121"];

#[derive(Debug)]
pub(crate) struct Fake {
    engine: Mutex<Engine>,
    drain: Mutex<Option<DrainView>>,
    /// Sessions that were kicked, with the retry.
    pub(crate) kicked: Mutex<Vec<(u64, u32)>>,
    /// Whether it is ending by a signal.
    pub(crate) ending: Mutex<bool>,
}

impl Fake {
    /// A server of `connections`, three of an address, that trusts loopback only.
    pub(crate) fn new(connections: u32) -> Self {
        let mut limits = Limits::new(connections);
        limits.connections_per_address = Some(3);
        limits.listeners = vec![ListenerLimits::default(); 2];
        limits.listeners[0].connections = Some(50);
        limits.deny = networks("198.51.100.0/24");
        Self {
            engine: Mutex::new(Engine::new(limits, 7)),
            drain: Mutex::default(),
            kicked: Mutex::default(),
            ending: Mutex::default(),
        }
    }

    fn now() -> Moment {
        Moment::from_start(UPTIME)
    }

    /// Lets somebody in, or not; returns whether.
    pub(crate) fn enter(&self, address: &str) -> bool {
        let question = Question::connection(address.parse().unwrap(), 0);
        let decision = self.engine.lock().unwrap().ask(&question, Self::now());
        matches!(decision, Decision::Admit(_))
    }

    /// Drains for an hour, from `delay` on.
    pub(crate) fn plan(&self, delay: Duration) {
        let order = DrainOrder {
            deadline: Duration::from_hours(1),
            message: Some("new disks".into()),
            delay,
            stay: false,
        };
        self.drain_with(&order).unwrap();
    }
}

fn networks(net: &str) -> Networks {
    let net: IpNet = net.parse().unwrap();
    [net].into_iter().collect()
}

fn session(id: u64) -> SessionView {
    let doing = match id % 4 {
        0 => Doing::Idle,
        1 => Doing::Moving(Moving {
            verb: TransferVerb::Download,
            path: "/pub/a b\\x0a.iso".into(),
            bytes: 5_000,
            age: Duration::from_millis(2_500),
            rate: 2_000,
        }),
        2 => Doing::LoggingIn,
        _ => Doing::Working("storage"),
    };
    SessionView {
        id,
        peer: SocketAddr::from(([192, 0, 2, 1], 40_000)),
        listener: 0,
        listening_on: LISTENING_ON[0].parse().unwrap(),
        account: (id % 4 != 2).then(|| "alice".into()),
        age: Duration::from_secs(60 + id),
        idle: Duration::ZERO,
        doing,
        bytes_sent: 5_000,
        bytes_received: 0,
    }
}

impl Running for Fake {
    fn is_ready(&self) -> bool {
        self.engine.lock().unwrap().snapshot(Self::now()).is_admitting()
    }

    fn snapshot(&self) -> Snapshot {
        let gate = self.engine.lock().unwrap().snapshot(Self::now());
        let refused = gate.counters.refused.iter().chain([(Cause::Idle, 4)]).collect();
        let histogram =
            HistogramView { buckets: vec![(0.001, 5), (0.1, 2), (f64::INFINITY, 1)], sum: 3.5, count: 8 };
        Snapshot {
            ready: gate.is_admitting(),
            door: DoorwayCounts {
                accepted: 12,
                unspoken: 1,
                proxied: 3,
                proxy_bad: 2,
                ..DoorwayCounts::default()
            },
            uptime: UPTIME,
            listening_on: LISTENING_ON.map(|address| address.parse().unwrap()).into(),
            sessions: SESSIONS,
            sessions_served: 20,
            transfers: 2,
            transfers_ended: [("completed", 9), ("failed", 2), ("cut", 1)],
            bytes_sent: 1 << 40,
            bytes_received: 77,
            logins: [("accepted", 11), ("denied", 3), ("banned", 0), ("unavailable", 0)],
            refused,
            replies: vec![(220, 20), (226, 9), (421, 4)],
            latencies: Latency::ALL.map(|what| (what, histogram.clone())).to_vec(),
            passive_ports: (2, 100),
            drain: self.drain.lock().unwrap().clone(),
            gate,
        }
    }

    fn sessions(&self, after: u64, count: usize) -> Vec<SessionView> {
        (after.saturating_add(1)..=SESSIONS).take(count).map(session).collect()
    }

    fn session(&self, id: u64) -> Option<SessionView> {
        (1..=SESSIONS).contains(&id).then(|| session(id))
    }

    fn why(&self, subject: &Subject) -> Why {
        let engine = self.engine.lock().unwrap();
        let answers = match subject {
            Subject::Address(address) => (0_u16..)
                .zip(LISTENING_ON)
                .map(|(at, listener)| {
                    let question = Question::connection(*address, at);
                    (Some(listener.parse().unwrap()), engine.explain(&question, Self::now()))
                })
                .collect(),
            Subject::Account { account, from } => {
                let key = account.clone().map_or(AccountKey::Anonymous, AccountKey::Named);
                let from = from.unwrap_or(IpAddr::from([0, 0, 0, 0]));
                vec![(None, engine.explain(&Question::login(key, Some(2), from), Self::now()))]
            }
        };
        let account_exists = match subject {
            Subject::Address(_) => None,
            Subject::Account { account, .. } => Some(account.as_ref().is_none_or(|name| name.0 == "alice")),
        };
        let bans = engine.bans(0, 10, Self::now()).bans;
        Why { answers, holders: vec![session(1)], held: 25, bans, account_exists }
    }

    fn kick(&self, id: u64, retry_after_secs: u32) -> bool {
        let exists = self.session(id).is_some();
        if exists {
            self.kicked.lock().unwrap().push((id, retry_after_secs));
        }
        exists
    }

    fn ban(&self, address: IpAddr, length: Duration) -> Option<Ban> {
        self.engine.lock().unwrap().ban(address, length, Self::now())
    }

    fn unban(&self, address: IpAddr) -> usize {
        self.engine.lock().unwrap().unban(address, Self::now())
    }

    fn bans(&self, cursor: usize, count: usize) -> BanPage {
        self.engine.lock().unwrap().bans(cursor, count, Self::now())
    }

    fn drain_with(&self, order: &DrainOrder) -> Result<DrainView, DrainError> {
        if *self.ending.lock().unwrap() {
            return Err(DrainError::Ending);
        }
        if order.message.as_deref().is_some_and(|message| !message.is_ascii()) {
            return Err(DrainError::Message("has other bytes than printable ASCII"));
        }
        if order.delay.is_zero() {
            let until = Self::now() + order.deadline;
            self.engine.lock().unwrap().drain(until, order.message.as_deref(), Self::now());
        }
        let view = DrainView {
            begins_in: order.delay,
            ends_in: order.delay + order.deadline,
            open_for: order.deadline,
            message: order.message.clone(),
            sessions: SESSIONS,
            transfers: 2,
            bytes: 5_000,
        };
        *self.drain.lock().unwrap() = Some(view.clone());
        Ok(view)
    }

    fn resume(&self) -> bool {
        self.engine.lock().unwrap().resume();
        self.drain.lock().unwrap().take().is_some()
    }
}

/// A program around it.
#[derive(Debug, Default)]
pub(crate) struct FakeHost {
    /// What is wrong with the configuration.
    pub(crate) mistake: Option<String>,
}

impl Host for FakeHost {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<ReloadReport, ReloadError>> + Send + '_>> {
        Box::pin(async {
            match &self.mistake {
                Some(message) => Err(ReloadError { message: message.clone() }),
                None => Ok(ReloadReport {
                    changed: vec![("limits.connections".into(), "10".into(), "20".into())],
                    warnings: Vec::new(),
                }),
            }
        })
    }

    fn limits(&self) -> Vec<LimitRow> {
        vec![LimitRow {
            key: "limits.connections".into(),
            value: "10".into(),
            origin: "tidegate.toml:12".into(),
        }]
    }

    fn about(&self) -> About {
        About {
            version: "1.2.3".into(),
            pid: 4711,
            config: Some(PathBuf::from("/etc/tidegate.toml")),
            complaints: vec!["bans are forgotten at the end".into()],
        }
    }

    fn drain_deadline(&self) -> Duration {
        Duration::from_secs(61)
    }
}
