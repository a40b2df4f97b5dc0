//! What the session machine wants done, and what came of it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tidegate_net::{LeaseError, PassiveListener};
use tidegate_protocol::session::{
    Action, DataRoute, Event, Job, LoginAnswer, Note, PassiveEnd, PassiveError, Progress, RequestId,
    TransferEnd, TransferPlan,
};
use tidegate_types::{AccountName, Cut, Moment, Shown, StorageErrorKind, VirtualPath};
use tokio::net::TcpStream;
use tracing::{debug, error, info, warn};

use super::{Answer, ControlLoop, Pending, PendingKind};
use crate::clock::Clock;
use crate::house::{House, Passive};
use crate::jobs::{Pulse, Watch};
use crate::login;
use crate::stage::Stage;
use crate::storing::{self, Asking, Opened, OpenedWhat};
use crate::tally::{LiveTransfer, Outcome, add};
use crate::transfer::{Cargo, Coding, Presence, Route, Step, Transfer};

/// Longest part of what a client says of itself that is logged, in bytes before escaping.
const NOTED_BYTES_MAX: usize = 256;
/// How often a session is listened to.
pub(super) const NOTES_MAX: u8 = 8;

/// A passive port, or why there is none.
pub(super) type Leased = Result<(PassiveListener, PassiveEnd), PassiveError>;

/// A transfer with what the log says of it.
pub(super) struct Moving {
    pub(super) transfer: Transfer,
    live: LiveTransfer,
    verb: Verb,
    path: VirtualPath,
    since: Moment,
}

/// A leased port before its transfer command. The client may connect first, and strangers must not keep it from doing so by
/// filling the queue of the listening socket (PROTOCOL §3.8): so connections are taken from the start.
pub(super) struct Awaiting {
    pub(super) listener: PassiveListener,
    came: Came,
}

enum Came {
    Nobody,
    Client(TcpStream),
    /// The kernel would not; the transfer tries once more and tells.
    Failed,
}

impl Awaiting {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.came, Came::Nobody)
    }

    fn into_route(self, peer: IpAddr) -> Route {
        match self.came {
            Came::Client(stream) => Route::Connected(stream),
            Came::Nobody | Came::Failed => Route::Passive(self.listener, peer),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Download,
    Upload,
    List,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::List => "list",
        }
    }
}

impl ControlLoop {
    pub(super) fn act(&mut self, action: Action) {
        if self.closing.is_some() {
            return;
        }
        match action {
            Action::CheckLogin { request, user, password } => {
                let check = login::check(Arc::clone(&self.house), self.visitor.id, user, password);
                self.wait_for(PendingKind::Login, async move {
                    let (answer, home) = check.await;
                    Answer::Login(request, answer, home)
                });
            }
            Action::AskGate { request, account, connections_max } => {
                self.ask_gate(request, account, connections_max);
            }
            Action::Logout => self.log_out(),
            Action::OpenPassive { request, tells_address } => self.open_passive(request, tells_address),
            Action::ClosePassive => {
                self.passive = None;
                self.forget(PendingKind::Passive);
            }
            Action::Storage { request, what } => {
                self.opened = None;
                let Some(home) = &self.home else {
                    error!(session = self.visitor.id, "storage was asked for without a login");
                    return self.answer(Event::StorageAnswered(request, Err(StorageErrorKind::Failed)));
                };
                let pulse = Arc::new(Pulse::default());
                let is_long = storing::is_long(&what);
                let asking = Asking {
                    session: self.visitor.id,
                    home: Arc::clone(home),
                    share: is_long.then(|| self.house.jobs.of(&self.account)),
                    pulse: Arc::clone(&pulse),
                };
                let now = self.house.clock.now();
                let watch = is_long.then(|| Watch::new(request, pulse, now));
                let stored = storing::perform(asking, what);
                let answer = Box::pin(async move { Answer::Storage(request, stored.await) });
                self.pending = Some(Pending { kind: PendingKind::Storage, answer, watch });
            }
            Action::CancelStorage => {
                self.forget(PendingKind::Storage);
                self.opened = None;
            }
            Action::BeginTransfer(plan) => self.begin_transfer(plan),
            Action::AbortTransfer => {
                if let Some(moving) = &self.transfer {
                    moving.transfer.abort();
                }
            }
            Action::AskProgress => {
                let idle = || Progress { bytes: 0, last_at: self.house.clock.now() };
                let progress = self.transfer.as_ref().map_or_else(idle, |moving| moving.transfer.progress());
                self.answer(Event::Progress(progress));
            }
            Action::AskWallTime { request } => self.answer(Event::WallTimeTold(request, Clock::wall())),
            Action::Note(note, text) => self.note(note, &text),
            Action::Close(reason) => self.closing = Some(reason),
        }
    }

    /// Writes down what the client says of itself; what it repeats without end does not fill the log.
    fn note(&mut self, note: Note, text: &[u8]) {
        if self.notes_left == 0 {
            return;
        }
        self.notes_left -= 1;
        let what = match note {
            Note::Client => "client",
            Note::Host => "host",
        };
        let said = Shown(text.get(..NOTED_BYTES_MAX).unwrap_or(text));
        info!(session = self.visitor.id, account = %Shown(self.account.as_bytes()), what, %said, "told");
    }

    /// Tells the machine an answer that is known on the spot; what it leads to is performed by the caller of `act`.
    fn answer(&mut self, event: Event<'_>) {
        let now = self.house.clock.now();
        self.session.handle(event, now, &mut self.actions);
    }

    fn wait_for(&mut self, kind: PendingKind, answer: impl Future<Output = Answer> + Send + 'static) {
        self.pending = Some(Pending { kind, answer: Box::pin(answer), watch: None });
    }

    fn forget(&mut self, kind: PendingKind) {
        self.pending.take_if(|pending| pending.kind == kind);
    }

    fn ask_gate(&mut self, request: RequestId, account: Option<AccountName>, connections_max: Option<u32>) {
        let name = account.as_ref().map_or_else(|| "anonymous".to_owned(), |name| name.0.clone());
        // A second login of this session must not count against the first.
        self.login = None;
        match self.house.gate.ask_login(account, connections_max, self.visitor.peer.ip()) {
            Ok(permit) => {
                self.login = Some(permit);
                add(&self.house.tally.logins, 1);
                info!(session = self.visitor.id, account = %Shown(name.as_bytes()), "login");
                self.account = name;
                self.answer(Event::GateAnswered(request, Ok(())));
            }
            Err(refusal) => {
                let (cause, limit) = (refusal.cause.as_str(), refusal.limit);
                info!(session = self.visitor.id, account = %Shown(name.as_bytes()), cause, limit, "login refused");
                self.answer(Event::GateAnswered(request, Err(refusal)));
            }
        }
    }

    fn log_out(&mut self) {
        self.pending = None;
        self.opened = None;
        self.passive = None;
        self.home = None;
        self.login = None;
        self.account.clear();
    }

    fn open_passive(&mut self, request: RequestId, tells_address: bool) {
        // Its port is free for the next lease.
        self.passive = None;
        let house = Arc::clone(&self.house);
        let (local, peer) = (self.visitor.local, self.visitor.peer.ip());
        let (session, place) = (self.visitor.id, self.visitor.listener);
        self.wait_for(PendingKind::Passive, async move {
            let Some(passive) = house.passive.get(place) else {
                return Answer::Passive(request, Err(PassiveError::Failed));
            };
            let leased = match lease(&house, passive, session, local) {
                Ok(listener) if tells_address => {
                    Ok(with_address(&house, passive, (session, peer), listener).await)
                }
                Ok(listener) => Ok(plain(listener)),
                Err(error) => Err(error),
            };
            Answer::Passive(request, leased)
        });
    }

    fn begin_transfer(&mut self, plan: TransferPlan) {
        let opened = self.opened.take();
        let Some((cargo, verb, path)) = opened
            .and_then(|opened| load(opened, plan.job, Coding { ascii: plan.ascii, deflate: plan.deflate }))
        else {
            error!(session = self.visitor.id, "a transfer was begun of nothing");
            let end = TransferEnd::StorageFailed(StorageErrorKind::Failed, None);
            return self.answer(Event::TransferEnded(end));
        };
        let route = match plan.route {
            DataRoute::Passive => {
                let peer = self.visitor.peer.ip();
                self.passive.take().map_or(Route::None, |awaiting| awaiting.into_route(peer))
            }
            DataRoute::Active(to) => Route::Active { local: self.visitor.local, to },
        };
        let transfer = Transfer::new(self.house.clock, Presence::new(&self.visitor.stream), route, cargo);
        if self.session.has_quit() {
            // Said behind the transfer command, before there was a transfer.
            transfer.note_quit();
        }
        self.transfer = Some(Box::new(Moving {
            transfer,
            live: LiveTransfer::new(&self.house.tally),
            verb,
            path,
            since: self.house.clock.now(),
        }));
    }

    /// Somebody the port was leased for has connected.
    pub(super) fn on_data_came(&mut self, stream: io::Result<TcpStream>) {
        let Some(awaiting) = &mut self.passive else { return };
        awaiting.came = match stream {
            Ok(stream) => Came::Client(stream),
            Err(error) => {
                debug!(session = self.visitor.id, %error, "taking a data connection");
                Came::Failed
            }
        };
    }

    pub(super) fn on_transfer(&mut self, step: Step) {
        match step {
            Step::Opened => self.tell(Event::DataOpened),
            Step::Received => self.look_for_the_client(),
            Step::Ended(end) => {
                self.end_transfer(end);
                self.tell(Event::TransferEnded(end));
            }
        }
    }

    /// Counts and logs the end of the running transfer and forgets it.
    pub(super) fn end_transfer(&mut self, end: TransferEnd) {
        let Some(moving) = self.transfer.take() else { return };
        let Moving { transfer, live, verb, path, since } = *moving;
        let expired = *self.stage.borrow() == Stage::Expired;
        live.end(match end {
            TransferEnd::Completed { .. } | TransferEnd::Bounded { .. } => Outcome::Completed,
            TransferEnd::Aborted(_) if expired => Outcome::Cut,
            _ => Outcome::Failed,
        });
        let bytes = transfer.progress().bytes;
        let tally = &self.house.tally;
        add(if verb == Verb::Upload { &tally.bytes_received } else { &tally.bytes_sent }, bytes);
        info!(
            session = self.visitor.id,
            account = %Shown(self.account.as_bytes()),
            verb = verb.as_str(),
            %path,
            bytes,
            millis = u64::try_from(self.house.clock.now().since(since).as_millis()).unwrap_or(u64::MAX),
            outcome = %Told(end),
            "transfer"
        );
    }

    pub(super) fn on_answer(&mut self, answer: Answer) {
        self.pending = None;
        match answer {
            Answer::Login(request, answer, home) => {
                self.home = home;
                self.account = match &answer {
                    LoginAnswer::Accepted(profile) => profile.account.as_ref().map(|name| name.0.clone()),
                    LoginAnswer::Denied | LoginAnswer::Unavailable => None,
                }
                .unwrap_or_default();
                self.tell(Event::LoginAnswered(request, answer));
            }
            Answer::Storage(request, (result, opened)) => {
                self.opened = opened;
                self.tell(Event::StorageAnswered(request, result));
            }
            Answer::Passive(request, leased) => {
                let told = leased.map(|(listener, end)| {
                    self.passive = Some(Awaiting { listener, came: Came::Nobody });
                    end
                });
                self.tell(Event::PassiveOpened(request, told));
            }
        }
    }
}

/// Leases a port on the address the client reached.
fn lease(
    house: &House,
    passive: &Passive,
    session: u64,
    local: SocketAddr,
) -> Result<PassiveListener, PassiveError> {
    passive.ports.lease(local).map_err(|error| {
        if passive.may_complain(house.clock.now()) {
            warn!(session, %error, "no passive port");
        }
        match error {
            LeaseError::NoFreePort => PassiveError::NoFreePort,
            LeaseError::Io(_) => PassiveError::Failed,
        }
    })
}

/// For EPSV, which tells a port only.
fn plain(listener: PassiveListener) -> (PassiveListener, PassiveEnd) {
    let end = PassiveEnd { address: listener.local_addr().ip(), port: listener.port() };
    (listener, end)
}

/// For PASV: finds out which address to tell. When its name cannot be resolved, the address the client reached is the best
/// guess left.
async fn with_address(
    house: &House,
    passive: &Passive,
    (session, peer): (u64, IpAddr),
    listener: PassiveListener,
) -> (PassiveListener, PassiveEnd) {
    let (listener, reached) = plain(listener);
    let Some(address) = passive.address.advertised(reached.address, peer).await else {
        if passive.may_complain(house.clock.now()) {
            warn!(session, "the passive address cannot be resolved; the address the client reached is told");
        }
        return (listener, reached);
    };
    (listener, PassiveEnd { address, ..reached })
}

/// Puts what storage opened and what the plan says together; `None` when they do not belong together.
fn load(opened: Opened, job: Job, coding: Coding) -> Option<(Cargo, Verb, VirtualPath)> {
    let (cargo, verb) = match (opened.what, job) {
        (OpenedWhat::Download(reader), Job::Download { offset, size }) => {
            (Cargo::Download { reader, from: offset, to: size, coding }, Verb::Download)
        }
        (OpenedWhat::Upload(upload), Job::Upload { end_max }) => {
            (Cargo::Upload { upload, end_max, coding }, Verb::Upload)
        }
        (OpenedWhat::Listing(source), Job::List(plan)) => {
            (Cargo::Listing { source, plan, now: Clock::wall(), deflate: coding.deflate }, Verb::List)
        }
        _ => return None,
    };
    Some((cargo, verb, opened.path))
}

/// A transfer's end in the words of the log.
struct Told(TransferEnd);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = match self.0 {
            TransferEnd::Completed { .. } => return f.write_str("completed"),
            TransferEnd::Bounded { .. } => return f.write_str("completed up to its bound"),
            TransferEnd::NoConnection => return f.write_str("no data connection"),
            TransferEnd::ConnectionLost(cut) => {
                f.write_str("data connection lost")?;
                cut
            }
            TransferEnd::Aborted(cut) => {
                f.write_str("aborted")?;
                cut
            }
            TransferEnd::StorageFailed(kind, cut) => {
                f.write_str(kind.as_str())?;
                cut
            }
        };
        match cut {
            Some(Cut::Kept { size }) => write!(f, ", {size} bytes kept"),
            Some(Cut::InPlace) => f.write_str(", written in place so far"),
            Some(Cut::Discarded) => f.write_str(", discarded"),
            None => Ok(()),
        }
    }
}
