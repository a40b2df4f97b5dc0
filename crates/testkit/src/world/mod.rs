//! A server without sockets: real session machines, a real gate and line reader, files in memory, and time that is
//! moved by hand. It performs actions as a shell must, and checks the machine's promises after every event.

mod check;
mod data;
mod door;
mod options;
mod perform;
mod store;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use tidegate_admission::{Engine, PermitId, Signal, TicketId};
use tidegate_protocol::line::{Input, LineReader, Urgent};
use tidegate_protocol::session::{
    Actions, CloseReason, Event, Farewell, GateQuestion, LoginAnswer, Note, RequestId, ServerSession,
    Settings, StorageRequest, TransferEnd,
};
use tidegate_types::{Cause, Moment, Refusal};

use crate::{Clock, FakeFs, FakeHome, Ledger, Random, Reply};
use check::Counted;
use data::{Opened, Running};
use door::Visitor;

pub use data::DataScript;
pub use door::Knock;
pub use options::{FakeAccount, Holds, WorldOptions};

/// Names one connection of a world.
pub type ConnectionId = usize;

/// Something that will happen.
#[derive(Debug)]
enum Due {
    Login {
        request: RequestId,
        user: Vec<u8>,
        password: Vec<u8>,
    },
    Gate {
        request: RequestId,
        question: GateQuestion,
    },
    Storage {
        request: RequestId,
        what: Box<StorageRequest>,
    },
    /// News that a long job goes on; told even when it is over.
    Busy {
        request: RequestId,
    },
    Passive {
        request: RequestId,
    },
    /// Of the transfer with this number, as the next two.
    DataOpen(u64),
    DataStep(u64),
    Commit(u64),
    End(TransferEnd),
}

impl Due {
    const fn is_held(&self, holds: Holds) -> bool {
        match self {
            Self::Login { .. } | Self::Gate { .. } | Self::Storage { .. } | Self::Passive { .. } => {
                holds.answers
            }
            // A job goes on while its answer is held.
            Self::Busy { .. } => false,
            Self::DataOpen(_) | Self::DataStep(_) | Self::Commit(_) => holds.data,
            Self::End(_) => holds.ends,
        }
    }
}

/// One client's connection, with everything a shell keeps for it.
#[derive(Debug)]
struct Connection {
    session: ServerSession,
    lines: LineReader,
    /// Bytes the reader had no room for: the socket.
    inbox: Vec<u8>,
    ledger: Ledger,
    wire: Vec<u8>,
    address: IpAddr,
    listener: u16,
    permits: Permits,
    /// Whether it is in a reserved place, and whether the gate was told that it has logged in.
    reserved: bool,
    authenticated: bool,
    /// Whether its place was given to a newcomer: it is on its way out.
    reclaimed: bool,
    seems_dead: bool,
    home: Option<FakeHome>,
    gate_request: Option<RequestId>,
    storage_request: Option<RequestId>,
    passive_request: Option<RequestId>,
    opened: Option<Opened>,
    passive: Option<u16>,
    running: Option<Running>,
    scripts: VecDeque<DataScript>,
    scripts_of_lines: BTreeMap<Vec<u8>, DataScript>,
    /// What came over data connections that have ended, by the line that asked for it.
    received: Vec<(Vec<u8>, Vec<u8>)>,
    /// What the client said of itself.
    notes: Vec<(Note, Vec<u8>)>,
    closed: Option<CloseReason>,
    eof: bool,
    eof_told: bool,
}

/// What one connection holds of the gate's.
#[derive(Debug, Default)]
struct Permits {
    connection: Option<PermitId>,
    login: Option<PermitId>,
    transfer: Option<PermitId>,
    /// Of the port that was told to the client, and of the one a transfer runs over.
    port: Option<PermitId>,
    moving_port: Option<PermitId>,
}

impl Permits {
    fn iter(&self) -> impl Iterator<Item = PermitId> {
        [self.connection, self.login, self.transfer, self.port, self.moving_port].into_iter().flatten()
    }
}

/// A house with its clients.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub clock: Clock,
    /// The files.
    pub fs: FakeFs,
    /// The gate.
    pub gate: Engine,
    /// Who may log in, by name as sent.
    pub accounts: BTreeMap<Vec<u8>, FakeAccount>,
    /// Passive ports that are free; `None`: as many as wanted.
    pub ports_free: Option<u32>,
    /// Whether logins cannot be checked.
    pub logins_unavailable: bool,
    settings: Arc<Settings>,
    random: Random,
    latency_max: Duration,
    connections: Vec<Connection>,
    /// Those that are not closed.
    live: BTreeSet<ConnectionId>,
    /// Who waits before the door, and what was said to those who waited.
    visitors: BTreeMap<TicketId, Visitor>,
    called: Vec<(TicketId, Knock)>,
    refused_waits: u64,
    /// Whether somebody is inside who has no session: then the counts cannot be compared.
    occupied: bool,
    drain: Option<Farewell>,
    /// What is left of timeouts, in percent.
    percent: u32,
    counted: BTreeMap<Counted, u32>,
    log: DefaultHasher,
    due: BTreeMap<(Moment, u64), (ConnectionId, Due)>,
    held: Vec<(ConnectionId, Due)>,
    holds: Holds,
    last_due: u64,
    next_port: u16,
    permits: HashSet<PermitId>,
    granted: u64,
    released: u64,
}

impl World {
    /// Returns an empty house.
    pub fn new(options: WorldOptions) -> Self {
        let mut random = Random::new(options.seed);
        Self {
            clock: Clock::default(),
            fs: FakeFs::new(),
            gate: Engine::new(options.limits, random.next()),
            accounts: BTreeMap::new(),
            ports_free: None,
            logins_unavailable: false,
            settings: Arc::new(options.settings),
            random,
            latency_max: options.latency_max,
            connections: Vec::new(),
            live: BTreeSet::new(),
            visitors: BTreeMap::new(),
            called: Vec::new(),
            refused_waits: 0,
            occupied: false,
            drain: None,
            percent: 100,
            counted: BTreeMap::new(),
            log: DefaultHasher::new(),
            due: BTreeMap::new(),
            held: Vec::new(),
            holds: Holds::default(),
            last_due: 0,
            next_port: 50_000,
            permits: HashSet::new(),
            granted: 0,
            released: 0,
        }
    }

    /// Lets `account` log in under `name`.
    pub fn add_account(&mut self, name: &str, account: FakeAccount) {
        self.accounts.insert(name.as_bytes().to_vec(), account);
    }

    /// Connects from 192.0.2.1. Errors: the line with which the gate refuses.
    pub fn connect(&mut self) -> Result<ConnectionId, Vec<u8>> {
        self.connect_from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
    }

    /// Gives the server bytes from the client and lets happen what happens at once.
    pub fn send(&mut self, id: ConnectionId, bytes: &[u8]) {
        let connection = &mut self.connections[id];
        if connection.closed.is_none() && !connection.eof {
            connection.inbox.extend_from_slice(bytes);
            self.feed(id);
        }
        self.settle();
    }

    /// Closes the client's side of the control connection.
    pub fn hang_up(&mut self, id: ConnectionId) {
        self.connections[id].eof = true;
        self.feed(id);
        self.settle();
    }

    /// Decides how the data connection of the next transfer behaves; several wait in order.
    pub fn script(&mut self, id: ConnectionId, script: DataScript) {
        self.connections[id].scripts.push_back(script);
    }

    /// As [`script`](Self::script), for the transfer that exactly `line` will ask for.
    pub fn script_for(&mut self, id: ConnectionId, line: &[u8], script: DataScript) {
        self.connections[id].scripts_of_lines.insert(line.to_vec(), script);
    }

    /// Lets `by` pass.
    pub fn advance(&mut self, by: Duration) {
        let until = self.clock.now() + by;
        self.run_until(until);
    }

    /// Lets happen what happens now.
    pub fn settle(&mut self) {
        self.run_until(self.clock.now());
    }

    /// Announces a drain that ends in `retry_after_secs`, to the gate and to every session.
    pub fn drain(&mut self, retry_after_secs: u32) {
        self.drain_saying(retry_after_secs, None);
    }

    /// As [`drain`](Self::drain), with what the operator wants to say; printable ASCII.
    pub fn drain_saying(&mut self, retry_after_secs: u32, message: Option<&str>) {
        let now = self.clock.now();
        let until = now + Duration::from_secs(retry_after_secs.into());
        self.gate.drain(until, message, now);
        let farewell = Farewell {
            refusal: Refusal::uncounted(Cause::Draining, 1),
            until: Some(until),
            message: message.map(Arc::from),
        };
        self.drain = Some(farewell.clone());
        self.tell_all(|| Event::LeaveSoon(farewell.clone()));
    }

    /// Tells every session that the drain has run out of time.
    pub fn drain_expired(&mut self) {
        let farewell = Farewell::new(Refusal::uncounted(Cause::Draining, 1));
        let farewell = self.drain.clone().unwrap_or(farewell);
        self.tell_all(|| Event::LeaveNow(farewell.clone()));
    }

    /// Calls the drain off.
    pub fn resume(&mut self) {
        self.gate.resume();
        self.drain = None;
        self.tell_all(|| Event::Stay);
    }

    /// Sends one session away, as an operator does.
    pub fn kick(&mut self, id: ConnectionId, retry_after_secs: u32) {
        let farewell = Farewell::new(Refusal::uncounted(Cause::Kicked, retry_after_secs));
        self.tell(id, Event::LeaveNow(farewell));
        self.feed(id);
        self.settle();
    }

    /// Gives the gate a reading of the machine.
    pub fn observe(&mut self, signal: Signal) {
        self.gate.observe(signal, self.clock.now());
        self.settle();
    }

    fn tell_all<'a>(&mut self, event: impl Fn() -> Event<'a>) {
        for id in self.live.clone() {
            self.tell(id, event());
            self.feed(id);
        }
        self.settle();
    }

    /// Holds things back, or lets go of them.
    pub fn hold(&mut self, holds: Holds) {
        self.holds = holds;
        let (held, free): (Vec<_>, Vec<_>) = self.held.drain(..).partition(|(_, due)| due.is_held(holds));
        self.held = held;
        for (id, due) in free {
            self.schedule(id, Duration::ZERO, due);
        }
        self.settle();
    }

    /// Returns what is held back.
    pub const fn holds(&self) -> Holds {
        self.holds
    }

    /// Takes out the bytes that the server wrote.
    pub fn take_wire(&mut self, id: ConnectionId) -> Vec<u8> {
        std::mem::take(&mut self.connections[id].wire)
    }

    /// Takes out the replies since the last time.
    pub fn take_replies(&mut self, id: ConnectionId) -> Vec<Reply> {
        self.connections[id].ledger.take_replies()
    }

    /// Takes out what came over the data connections that have ended, oldest first.
    pub fn take_received(&mut self, id: ConnectionId) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.connections[id].received).into_iter().map(|(_, received)| received).collect()
    }

    /// Takes out what came over the data connection that `line` asked for, if it has ended.
    pub fn take_received_of(&mut self, id: ConnectionId, line: &[u8]) -> Option<Vec<u8>> {
        let received = &mut self.connections[id].received;
        let at = received.iter().position(|(asked, _)| asked == line)?;
        Some(received.remove(at).1)
    }

    /// Takes out what the client said of itself.
    pub fn take_notes(&mut self, id: ConnectionId) -> Vec<(Note, Vec<u8>)> {
        std::mem::take(&mut self.connections[id].notes)
    }

    /// Returns the books of a connection.
    pub fn ledger(&self, id: ConnectionId) -> &Ledger {
        &self.connections[id].ledger
    }

    /// Returns the session machine of a connection.
    pub fn session(&self, id: ConnectionId) -> &ServerSession {
        &self.connections[id].session
    }

    /// Returns why the server closed, `None` while it has not.
    pub fn closed(&self, id: ConnectionId) -> Option<CloseReason> {
        self.connections[id].closed
    }

    /// Returns a number for all that was decided and said: the same seed and the same history have the same.
    pub fn digest(&self) -> u64 {
        self.log.finish()
    }

    /// Returns how many permits were granted, and how many came back.
    pub const fn permits(&self) -> (u64, u64) {
        (self.granted, self.released)
    }

    /// Returns how long an answer takes.
    fn latency(&mut self) -> Duration {
        self.random.duration(self.latency_max)
    }

    fn schedule(&mut self, id: ConnectionId, after: Duration, due: Due) {
        self.last_due += 1;
        self.due.insert((self.clock.now() + after, self.last_due), (id, due));
    }

    fn run_until(&mut self, until: Moment) {
        let mut steps = 0_u32;
        loop {
            steps += 1;
            assert!(steps < 1_000_000, "the world does not come to rest");
            self.call_in();
            self.press();
            let happens = self.due.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= until);
            let ticks = self
                .live
                .iter()
                .filter_map(|id| Some((self.connections[*id].session.next_deadline()?, *id)))
                .min()
                .filter(|(at, _)| *at <= until);
            let gate = self.gate.next_deadline(self.clock.now()).filter(|at| *at <= until);
            let next = [happens, ticks.map(|(at, _)| at), gate].into_iter().flatten().min();
            let Some(next) = next else { break };
            self.clock.advance_to(next);
            self.fs.set_time(self.clock.wall());
            if happens == Some(next) {
                if let Some((_, (id, due))) = self.due.pop_first() {
                    self.happen(id, due);
                }
            } else if let Some((_, id)) = ticks.filter(|(at, _)| *at == next) {
                self.tick(id);
            }
        }
        self.clock.advance_to(until);
        self.fs.set_time(self.clock.wall());
        self.check_door();
    }

    fn tick(&mut self, id: ConnectionId) {
        self.tell(id, Event::Tick);
        let now = self.clock.now();
        let next = self.connections[id].session.next_deadline();
        assert!(next.is_none_or(|next| next > now), "a tick leaves a deadline due: {next:?} at {now:?}");
        self.feed(id);
    }

    /// Gives the session what the client sent, as far as it wants it.
    fn feed(&mut self, id: ConnectionId) {
        loop {
            let now = self.clock.now();
            let connection = &mut self.connections[id];
            if connection.closed.is_some() {
                return;
            }
            let taken = connection.lines.push(&connection.inbox);
            connection.inbox.drain(..taken);
            let wants = connection.session.wants_lines();
            connection.lines.set_limit(connection.session.line_bytes_max());
            if wants {
                let input = connection.lines.next().map(Taken::from);
                match input {
                    Some(Taken::Line(line)) => {
                        connection.ledger.said(&line, now);
                        self.tell(id, Event::Line(&line));
                        continue;
                    }
                    Some(Taken::TooLong) => {
                        connection.ledger.said_too_much(now);
                        self.tell(id, Event::LineTooLong);
                        continue;
                    }
                    Some(Taken::Endless) => {
                        connection.ledger.said_too_much(now);
                        self.tell(id, Event::LineEndless);
                        continue;
                    }
                    None => {}
                }
            } else if connection.session.wants_urgent()
                && let Some(urgent) = connection.lines.take_urgent()
            {
                let line: &[u8] = if urgent == Urgent::Abort { b"ABOR" } else { b"STAT" };
                connection.ledger.said(line, now);
                self.tell(id, Event::Line(line));
                continue;
            }
            let connection = &mut self.connections[id];
            if connection.eof && !connection.eof_told {
                connection.eof_told = true;
                self.tell(id, Event::PeerClosed);
                continue;
            }
            return;
        }
    }

    /// Tells a session one thing and performs what it wants.
    fn tell(&mut self, id: ConnectionId, event: Event<'_>) {
        let now = self.clock.now();
        let connection = &mut self.connections[id];
        if connection.closed.is_some() {
            return;
        }
        let mut out = Actions::default();
        connection.session.handle(event, now, &mut out);
        self.log.write(&out.wire);
        connection.ledger.heard(&out.wire, now);
        connection.wire.extend_from_slice(&out.wire);
        let mut answers = Vec::new();
        for action in out.list {
            assert!(self.connections[id].closed.is_none(), "{action:?} after Close");
            if let Some(answer) = self.perform(id, action) {
                answers.push(answer);
            }
        }
        self.note_idleness(id);
        self.check(id);
        for answer in answers {
            self.tell(id, answer);
        }
    }

    /// Makes one due thing happen, or puts it aside while it is held.
    fn happen(&mut self, id: ConnectionId, due: Due) {
        if self.connections[id].closed.is_some() {
            return;
        }
        if due.is_held(self.holds) {
            self.held.push((id, due));
            return;
        }
        match due {
            Due::Login { request, user, password } => {
                let answer = self.check_login(id, &user, &password);
                self.tell(id, Event::LoginAnswered(request, answer));
            }
            Due::Gate { request, question } => {
                if self.connections[id].gate_request == Some(request) {
                    self.connections[id].gate_request = None;
                    let answer = self.ask_gate(id, question);
                    self.tell(id, Event::GateAnswered(request, answer));
                }
            }
            Due::Storage { request, what } => {
                if self.connections[id].storage_request == Some(request) {
                    self.connections[id].storage_request = None;
                    let answer = self.store(id, *what);
                    if answer.is_err() {
                        self.release_transfer(id);
                    }
                    self.tell(id, Event::StorageAnswered(request, answer));
                }
            }
            Due::Busy { request } => self.tell(id, Event::StorageBusy(request)),
            Due::Passive { request } => {
                if self.connections[id].passive_request == Some(request) {
                    self.connections[id].passive_request = None;
                    let answer = self.lease(id);
                    let before = self.connections[id].wire.len();
                    self.tell(id, Event::PassiveOpened(request, answer));
                    let said = self.connections[id].wire.get(before..).unwrap_or_default();
                    let told = said.starts_with(b"227") || said.starts_with(b"229");
                    assert!(
                        told || self.connections[id].passive.is_none(),
                        "a port is leased that nobody was told of"
                    );
                }
            }
            Due::DataOpen(number) if self.is_running(id, number) => self.data_open(id),
            Due::DataStep(number) if self.is_running(id, number) => self.data_step(id),
            Due::Commit(number) if self.is_running(id, number) => self.data_commit(id),
            Due::DataOpen(_) | Due::DataStep(_) | Due::Commit(_) => {}
            Due::End(end) => self.tell(id, Event::TransferEnded(end)),
        }
        self.feed(id);
    }

    fn is_running(&self, id: ConnectionId, number: u64) -> bool {
        self.connections[id].running.as_ref().is_some_and(|running| running.number == number)
    }

    fn check_login(&mut self, id: ConnectionId, user: &[u8], password: &[u8]) -> LoginAnswer {
        if self.logins_unavailable {
            return LoginAnswer::Unavailable;
        }
        let (now, address) = (self.clock.now(), self.connections[id].address);
        let name = String::from_utf8_lossy(user).into_owned();
        if let Err(refusal) = self.gate.attempt(address, &name, now) {
            return LoginAnswer::Banned(refusal);
        }
        let known = self.accounts.get(user);
        let right = known.filter(|account| account.password.as_deref().is_none_or(|right| right == password));
        let Some(account) = right else {
            let ban = self.gate.login_failed(address, &name, now);
            let refusal = |secs| Refusal::uncounted(Cause::LoginFailures, secs);
            return LoginAnswer::Denied { ban: ban.map(|ban| refusal(ban.retry_after_secs)) };
        };
        self.gate.login_succeeded(address, &name, now);
        match self.fs.home(&account.home, account.profile.account.clone()) {
            Ok(home) => {
                self.connections[id].home = Some(home);
                LoginAnswer::Accepted(account.profile.clone())
            }
            Err(_) => LoginAnswer::Unavailable,
        }
    }
}

/// An [`Input`] that owns its line.
enum Taken {
    Line(Vec<u8>),
    TooLong,
    Endless,
}

impl From<Input<'_>> for Taken {
    fn from(input: Input<'_>) -> Self {
        match input {
            Input::Line(line) => Self::Line(line.to_vec()),
            Input::TooLong => Self::TooLong,
            Input::Endless => Self::Endless,
        }
    }
}
