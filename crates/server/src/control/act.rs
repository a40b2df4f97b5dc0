//! What the session machine wants done, and what came of it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tidegate_protocol::session::{
    Action, DataRoute, Event, GateQuestion, Job, LoginAnswer, Note, Progress, RequestId, StorageRequest,
    TransferEnd, TransferPlan,
};
use tidegate_types::{Cut, Moment, Shown, StorageErrorKind, VirtualPath};
use tracing::{error, info};

use super::ports::{Awaiting, Came};
use super::{Answer, Coming, ControlLoop, Pending, PendingKind};
use crate::clock::Clock;
use crate::gate::PermitGuard;
use crate::jobs::{Pulse, Watch};
use crate::login::{self, Applicant};
use crate::registry::{DoingNow, MovingNow};
use crate::storing::{self, Asking, Opened, OpenedWhat};
use crate::tally::{LiveTransfer, Outcome, add};
use crate::transfer::{Cargo, Coding, Presence, Route, Step, Transfer};
use crate::view::{Latency, TransferVerb};

/// Longest part of what a client says of itself that is logged, in bytes before escaping.
const NOTED_BYTES_MAX: usize = 256;
/// How often a session is listened to.
pub(super) const NOTES_MAX: u8 = 8;

/// A transfer with what the log says of it.
pub(super) struct Moving {
    pub(super) transfer: Transfer,
    live: LiveTransfer,
    /// Its place in the gate: given back when the last byte is committed.
    place: Option<PermitGuard>,
    verb: TransferVerb,
    path: VirtualPath,
    since: Moment,
}

impl ControlLoop {
    pub(super) fn act(&mut self, action: Action) {
        if self.closing.is_some() {
            return;
        }
        match action {
            Action::CheckLogin { request, user, password } => {
                let (session, address) = (self.visitor.id, self.visitor.peer.ip());
                let applicant = Applicant { session, address, user, password };
                let check = login::check(Arc::clone(&self.house), applicant);
                self.wait_for(PendingKind::Login, async move {
                    let (answer, home) = check.await;
                    Answer::Login(request, answer, home)
                });
            }
            Action::AskGate { request, question: GateQuestion::Login { account, connections_max } } => {
                self.ask_for_login(request, account, connections_max);
            }
            Action::AskGate { request, question: GateQuestion::Transfer } => self.ask_for_transfer(request),
            Action::Logout => self.log_out(),
            Action::OpenPassive { request, tells_address } => self.open_passive(request, tells_address),
            Action::ClosePassive => {
                self.passive = None;
                self.forget(PendingKind::Passive);
            }
            Action::Storage { request, what } => self.ask_storage(request, what),
            Action::CancelStorage => {
                self.forget(PendingKind::Storage);
                self.opened = None;
                self.place = None;
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

    fn ask_storage(&mut self, request: RequestId, what: StorageRequest) {
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
        let timed = (!is_long).then(|| self.house.time_storage(now));
        let answer = Box::pin(async move {
            let stored = stored.await;
            drop(timed);
            Answer::Storage(request, stored)
        });
        self.pending = Some(Pending { kind: PendingKind::Storage, coming: Coming::UnderWay(answer), watch });
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
    pub(super) fn answer(&mut self, event: Event<'_>) {
        let now = self.house.clock.now();
        self.session.handle(event, now, &mut self.actions);
    }

    pub(super) fn wait_for(
        &mut self,
        kind: PendingKind,
        answer: impl Future<Output = Answer> + Send + 'static,
    ) {
        self.pending = Some(Pending { kind, coming: Coming::UnderWay(Box::pin(answer)), watch: None });
    }

    fn forget(&mut self, kind: PendingKind) {
        self.pending.take_if(|pending| pending.kind == kind);
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
        let transfer = Transfer::new(
            self.house.clock,
            Presence::new(&self.visitor.stream),
            (route, cargo),
            &self.house.tally,
        );
        if self.session.has_quit() {
            // Said behind the transfer command, before there was a transfer.
            transfer.note_quit();
        }
        let since = self.house.clock.now();
        self.visitor.entered.card.does(DoingNow::Moving(Box::new(MovingNow {
            verb,
            path: path.to_string(),
            link: transfer.link(),
            since,
            looks: [(since, 0); 2],
        })));
        self.transfer = Some(Box::new(Moving {
            transfer,
            live: LiveTransfer::new(&self.house.tally),
            place: self.place.take(),
            verb,
            path,
            since,
        }));
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
        let Moving { transfer, live, place, verb, path, since } = *moving;
        drop(place);
        live.end(match end {
            TransferEnd::Completed { .. } | TransferEnd::Bounded { .. } => Outcome::Completed,
            TransferEnd::Aborted(_) if self.session.is_leaving_now() => Outcome::Cut,
            _ => Outcome::Failed,
        });
        let bytes = transfer.progress().bytes;
        let tally = &self.house.tally;
        let card = &self.visitor.entered.card;
        add(if verb == TransferVerb::Upload { &card.received } else { &card.sent }, bytes);
        let took = self.house.clock.now().since(since);
        tally.took(Latency::Transfer, took);
        info!(
            session = self.visitor.id,
            account = %Shown(self.account.as_bytes()),
            verb = verb.as_str(),
            %path,
            bytes,
            millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            outcome = %Told(end),
            "transfer"
        );
    }

    pub(super) fn on_answer(&mut self, answer: Answer) {
        self.pending = None;
        let since = self.command_since.take();
        self.take_answer(answer);
        match since {
            // The next request of the same command: RNFR and RNTO, say, or a transfer that is opened.
            Some(since) if self.pending.is_some() => self.command_since = Some(since),
            Some(since) if self.transfer.is_none() => {
                self.house.tally.took(Latency::Command, self.house.clock.now().since(since));
            }
            _ => {}
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Login(request, answer, home) => {
                self.home = home;
                self.account = match &answer {
                    LoginAnswer::Accepted(profile) => profile.account.as_ref().map(|name| name.0.clone()),
                    LoginAnswer::Denied { .. } | LoginAnswer::Banned(_) | LoginAnswer::Unavailable => None,
                }
                .unwrap_or_default();
                self.tell(Event::LoginAnswered(request, answer));
            }
            Answer::Storage(request, (result, opened)) => {
                if opened.is_none() {
                    self.place = None;
                }
                self.opened = opened;
                self.tell(Event::StorageAnswered(request, result));
            }
            Answer::Passive(request, leased) => {
                let told = leased.map(|(port, end)| {
                    self.passive = Some(Awaiting { port, came: Came::Nobody });
                    end
                });
                self.tell(Event::PassiveOpened(request, told));
            }
        }
    }
}

/// Puts what storage opened and what the plan says together; `None` when they do not belong together.
fn load(opened: Opened, job: Job, coding: Coding) -> Option<(Cargo, TransferVerb, VirtualPath)> {
    let (cargo, verb) = match (opened.what, job) {
        (OpenedWhat::Download(reader), Job::Download { offset, size }) => {
            (Cargo::Download { reader, from: offset, to: size, coding }, TransferVerb::Download)
        }
        (OpenedWhat::Upload(upload), Job::Upload { end_max }) => {
            (Cargo::Upload { upload, end_max, coding }, TransferVerb::Upload)
        }
        (OpenedWhat::Listing(source), Job::List(plan)) => {
            (Cargo::Listing { source, plan, now: Clock::wall(), deflate: coding.deflate }, TransferVerb::List)
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
