//! A shell that performs nothing and keeps the books.

use core::fmt::{self, Write};
use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::hash::DefaultHasher;
use std::sync::Arc;

use tidegate_protocol::command::{Extras, verb_of};
use tidegate_protocol::session::{
    Action, Actions, CommandRate, Event, Farewell, GateQuestion, Progress, RequestId, ServerSession, Settings,
};
use tidegate_testkit::{Ledger, WorldOptions};
use tidegate_types::{Cause, Moment, Refusal};

use super::{Step, answers};

/// Lines that wait behind a running one (DESIGN §1).
const LINES_WAITING_MAX: usize = 16;
/// What one event may make a session say: 4,096 counted NOOPs or ABORs of 24 bytes, and the longest lists.
const WIRE_BYTES_MAX: usize = 256 * 1024;

/// The most lines of one script: enough to fill the counters of the queue once.
const LINES_MAX: u32 = 5000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Login(RequestId),
    Gate(RequestId),
    Place(RequestId),
    Storage(RequestId),
    Passive(RequestId),
}

pub(super) struct Shell {
    session: ServerSession,
    ledger: Ledger,
    now: Moment,
    /// The question that waits for an answer.
    asked: Option<Asked>,
    /// Answers that are due at once, behind all actions of the event.
    due: Vec<Asks>,
    /// How long ago bytes moved, in seconds.
    moved_ago: u8,
    transferring: bool,
    closed: bool,
    /// Lines that take no place in the queue, since nothing waited the last time.
    free_lines: usize,
    log: Digest,
    lines: u32,
    /// Whether lines that come too fast are swallowed.
    paced: bool,
    /// When the drain ends that was announced.
    drain: Option<Moment>,
    /// Whether the session was told to leave now: it may, and nothing else.
    leaves: bool,
}

/// What an action asks for that is answered at once.
enum Asks {
    Progress,
    WallTime(RequestId),
}

impl Shell {
    pub(super) fn new(pace: Option<u32>) -> Self {
        let command_rate = pace.and_then(|count| CommandRate::new(count, Duration::from_secs(1)));
        let settings =
            Settings { extras: Extras::ALL, mode_z: true, command_rate, ..WorldOptions::default().settings };
        let mut shell = Self {
            session: ServerSession::new(Arc::new(settings), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
            ledger: Ledger::default(),
            now: Moment::ZERO,
            asked: None,
            due: Vec::new(),
            moved_ago: 0,
            transferring: false,
            closed: false,
            free_lines: 0,
            log: Digest::default(),
            lines: 0,
            paced: command_rate.is_some(),
            drain: None,
            leaves: false,
        };
        shell.tell(Event::Opened);
        shell
    }

    /// Returns a digest of all that was said and asked for.
    pub(super) fn digest(&self) -> u64 {
        self.log.0.finish()
    }

    pub(super) fn perform(&mut self, step: &Step<'_>) {
        match step {
            Step::Line(line) => self.line(line),
            Step::Repeated(times, line) => {
                for _ in 0..*times {
                    self.line(line);
                }
            }
            Step::LineTooLong if self.session.wants_lines() => {
                self.ledger.said_too_much(self.now);
                self.free_lines += 1;
                self.tell(Event::LineTooLong);
            }
            Step::LineTooLong => {}
            Step::LineEndless => self.endless(),
            Step::Answer(kind) => self.answer(*kind),
            Step::Hostile(kind, request) => self.hostile(*kind, RequestId(u32::from(*request))),
            Step::Opened => self.tell(Event::Opened),
            Step::DataOpened => self.tell(Event::DataOpened),
            Step::Ends(kind) => {
                self.transferring = false;
                self.tell(Event::TransferEnded(answers::end(*kind)));
            }
            Step::Tick => self.tell(Event::Tick),
            Step::Passes(secs) => {
                self.now = self.now + Duration::from_secs(u64::from(*secs));
                self.tell(Event::Tick);
            }
            Step::Progress(secs) => {
                self.moved_ago = *secs;
                self.tell(Event::Progress(self.progress()));
            }
            Step::Busy => self.busy(),
            Step::Drain(secs) => {
                self.drain = Some(self.now + Duration::from_secs(u64::from(*secs)));
                self.tell(Event::LeaveSoon(self.drained()));
            }
            Step::DrainExpired => self.leave_now(self.drained()),
            Step::Stay => {
                self.drain = None;
                self.tell(Event::Stay);
            }
            Step::Kicked => self.leave_now(Farewell::new(Refusal::uncounted(Cause::Kicked, 9))),
            Step::Pressed(percent) => self.tell(Event::Pressed(u32::from(*percent))),
            Step::PeerClosed => self.tell(Event::PeerClosed),
        }
    }

    fn drained(&self) -> Farewell {
        let message = self.drain.map(|_| Arc::from("back at noon"));
        Farewell { refusal: Refusal::uncounted(Cause::Draining, 1), until: self.drain, message }
    }

    fn leave_now(&mut self, farewell: Farewell) {
        self.leaves = true;
        self.tell(Event::LeaveNow(farewell));
        assert!(self.closed || self.transferring, "stays though it has to leave");
    }

    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        if self.lines > LINES_MAX {
            return;
        }
        if !self.closed && (!self.session.wants_lines() || line.len() > self.session.line_bytes_max()) {
            return;
        }
        if !self.closed {
            self.ledger.said(line, self.now);
        }
        let verb = verb_of(line).0.to_ascii_uppercase();
        self.free_lines += usize::from([&b"NOOP"[..], b"ABOR", b"STAT"].contains(&verb.as_slice()));
        self.tell(Event::Line(line));
    }

    /// The session says 500 out of turn and closes; commands that wait are never answered.
    fn endless(&mut self) {
        if self.ledger.is_settled() && !self.closed {
            self.ledger.said_too_much(self.now);
            self.tell(Event::LineEndless);
            assert!(self.closed, "goes on behind what is no FTP");
        }
    }

    fn progress(&self) -> Progress {
        let ago = self.now.since_start().saturating_sub(Duration::from_secs(u64::from(self.moved_ago)));
        Progress { bytes: 7, last_at: Moment::from_start(ago) }
    }

    fn answer(&mut self, kind: u8) {
        match self.asked.take() {
            None => {}
            Some(Asked::Login(request)) => self.tell(Event::LoginAnswered(request, answers::login(kind))),
            Some(Asked::Gate(request)) => {
                self.tell(Event::GateAnswered(request, answers::gate(kind, false)));
            }
            Some(Asked::Place(request)) => self.tell(Event::GateAnswered(request, answers::gate(kind, true))),
            Some(Asked::Storage(request)) => {
                self.tell(Event::StorageAnswered(request, answers::storage(kind)));
            }
            Some(Asked::Passive(request)) => self.tell(Event::PassiveOpened(request, answers::passive(kind))),
        }
    }

    /// Answers any request: what was asked with something of the wrong kind, all others stale.
    fn hostile(&mut self, kind: u8, request: RequestId) {
        let was_asked = |asked: Asked| self.asked == Some(asked);
        match kind % 8 {
            0 if !was_asked(Asked::Login(request)) => {
                self.tell(Event::LoginAnswered(request, answers::login(kind / 8)));
            }
            1 if !was_asked(Asked::Gate(request)) && !was_asked(Asked::Place(request)) => {
                self.tell(Event::GateAnswered(request, Ok(())));
            }
            2 => self.tell(Event::StorageBusy(request)),
            3 => self.tell(Event::WallTimeTold(request, answers::wall(kind / 8))),
            4 | 5 => {
                self.forget_question(request);
                self.tell(Event::StorageAnswered(request, answers::storage(kind / 8)));
            }
            6 | 7 => {
                self.forget_question(request);
                self.tell(Event::PassiveOpened(request, answers::passive(kind / 8)));
            }
            _ => {}
        }
    }

    /// The session may take what follows for the answer: then the question is over.
    fn forget_question(&mut self, request: RequestId) {
        if matches!(self.asked, Some(Asked::Storage(asked) | Asked::Passive(asked)) if asked == request) {
            self.asked = None;
        }
    }

    fn busy(&mut self) {
        if let Some(Asked::Storage(request)) = self.asked {
            self.tell(Event::StorageBusy(request));
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        let was_logged_in = self.session.profile().is_some();
        let mut out = Actions::default();
        self.session.handle(event, self.now, &mut out);
        self.log.0.write(&out.wire);
        if !out.list.is_empty() {
            let _ = writeln!(self.log, "{:?}", out.list);
        }
        if self.closed {
            assert!(out.wire.is_empty() && out.list.is_empty(), "after Close: {out:?}");
            return;
        }
        assert!(out.wire.len() <= WIRE_BYTES_MAX, "{} bytes at once", out.wire.len());
        self.ledger.heard(&out.wire, self.now);
        for action in &out.list {
            assert!(!self.closed, "{action:?} after Close");
            self.note(action, was_logged_in || self.session.profile().is_some());
        }
        self.check();
        for asks in std::mem::take(&mut self.due) {
            match asks {
                Asks::Progress => self.tell(Event::Progress(self.progress())),
                Asks::WallTime(request) => {
                    self.tell(Event::WallTimeTold(request, answers::wall(self.moved_ago)));
                }
            }
        }
    }

    /// Writes down what an action asks for. A new variant needs its line here: the compiler asks for it.
    fn note(&mut self, action: &Action, logged_in: bool) {
        match action {
            Action::CheckLogin { request, .. } => {
                assert!(self.session.profile().is_none(), "a login check for somebody logged in");
                self.asked = Some(Asked::Login(*request));
            }
            Action::AskGate { request, question: GateQuestion::Login { .. } } => {
                assert!(self.session.profile().is_none(), "logs in twice");
                self.asked = Some(Asked::Gate(*request));
            }
            Action::AskGate { request, question: GateQuestion::Transfer } => {
                assert!(logged_in && !self.transferring, "a place for no transfer");
                self.asked = Some(Asked::Place(*request));
            }
            Action::Storage { request, .. } => {
                assert!(logged_in, "storage before login: {action:?}");
                assert!(!self.transferring, "storage during a transfer: {action:?}");
                assert!(!matches!(self.asked, Some(Asked::Storage(_))), "two questions at once: {action:?}");
                self.asked = Some(Asked::Storage(*request));
            }
            Action::OpenPassive { request, .. } => {
                assert!(logged_in, "a port before login");
                self.asked = Some(Asked::Passive(*request));
            }
            Action::CancelStorage => self.asked = None,
            Action::BeginTransfer(plan) => {
                assert!(!self.leaves, "begins a transfer though it has to leave");
                assert!(logged_in && !self.transferring, "a second transfer: {plan:?}");
                self.transferring = true;
            }
            Action::AskProgress => {
                assert!(self.transferring, "the progress of nothing");
                self.due.push(Asks::Progress);
            }
            Action::AskWallTime { request } => self.due.push(Asks::WallTime(*request)),
            Action::AbortTransfer => assert!(self.transferring, "aborts nothing"),
            Action::Logout => assert!(!self.transferring, "logged out during a transfer"),
            Action::ClosePassive | Action::Note(..) => {}
            Action::Close(_) => self.closed = true,
        }
    }

    /// What holds between two events.
    fn check(&mut self) {
        if self.closed {
            assert_eq!(self.session.next_deadline(), None, "a deadline after Close");
            assert!(!self.session.wants_lines() && !self.session.wants_urgent());
            return;
        }
        assert!(self.session.next_deadline().is_some(), "no deadline is armed: {:?}", self.session);
        assert_eq!(self.session.is_transferring(), self.transferring, "{:?}", self.session);
        assert_eq!(self.session.line_bytes_max(), if self.session.profile().is_some() { 8192 } else { 4096 });
        assert!(!self.ledger.is_over(), "the last line was said, and nothing closes");
        if self.ledger.is_settled() {
            self.free_lines = 0;
        }
        let waiting = self.ledger.waiting().saturating_sub(self.free_lines);
        assert!(self.transferring || !self.leaves, "stays though it had to leave: {:?}", self.session);
        assert!(self.paced || waiting <= 1 + LINES_WAITING_MAX, "{waiting} lines wait: {:?}", self.session);
    }
}

/// What was said and asked for, as a number: two histories are compared by it.
#[derive(Default)]
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
