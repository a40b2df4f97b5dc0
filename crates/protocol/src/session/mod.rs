//! The server's session machine: one client's dialogue, from the greeting to the last line (RFC 959 §5.4, §6).
//!
//! The shell tells it what happened ([`Event`]) and when, and performs what it returns ([`Actions`]): reply bytes first,
//! then actions in order. The machine owns its deadlines: the shell wakes it at [`ServerSession::next_deadline`].

mod action;
mod change;
mod event;
mod files;
mod glob;
mod info;
mod jobs;
mod login;
mod pace;
mod phase;
mod queue;
mod route;
mod run;
mod site;
mod timers;
mod transfer;

use alloc::string::String;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use tidegate_types::{Cause, Moment, Profile, Refusal, VirtualPath};

use self::pace::Pace;
use self::phase::{CutReason, Parameters, Phase};
use self::queue::Queue;
use self::timers::{Deadline, Timers};
use crate::command::Extras;
use crate::reply::{self, Reason};

pub use action::{
    Action, Actions, CloseReason, DataRoute, GateQuestion, Glob, Job, Note, Secret, StorageRequest,
    TransferPlan,
};
pub use event::{
    Event, Farewell, LoginAnswer, PassiveEnd, PassiveError, Progress, RequestId, StorageDone, TransferEnd,
};

pub use pace::CommandRate;

/// When a client that sent commands too fast may come back (DESIGN §2).
const FLOOD_RETRY_SECS: u32 = 60;
/// The longest line before login, in bytes without its end.
const LINE_BYTES_MAX_BEFORE_LOGIN: usize = 4096;
/// The longest line after login.
const LINE_BYTES_MAX: usize = 8192;

/// What a session needs to know from the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The text of the 220 greeting; never names the version.
    pub greeting: String,
    /// The deadlines.
    pub timeouts: Timeouts,
    /// Which commands are offered that are off by default.
    pub extras: Extras,
    /// Whether MODE Z is offered.
    pub mode_z: bool,
    /// The largest size a file may have, in bytes.
    pub file_bytes_max: Option<u64>,
    /// Permission bits the service withholds from everything it creates, as SITE UMASK tells.
    pub umask: u32,
    /// How fast commands may come; `None`: no such limit.
    pub command_rate: Option<CommandRate>,
}

impl Settings {
    /// Returns settings with everything off that is off by default.
    pub const fn new(greeting: String, timeouts: Timeouts) -> Self {
        Self {
            greeting,
            timeouts,
            extras: Extras::NONE,
            mode_z: false,
            file_bytes_max: None,
            umask: 0,
            command_rate: None,
        }
    }
}

/// How long a session waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the greeting to the login.
    pub login: Duration,
    /// Between two commands.
    pub idle: Duration,
    /// For the data connection to open.
    pub data_open: Duration,
    /// Without a byte on the data connection.
    pub data_stall: Duration,
}

/// For storage or a passive port to answer; not in the configuration, since no operator would want it near.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// From PASV or EPSV to the transfer command: a leased port must not lie idle for the whole idle time (PROTOCOL A22).
const LEASE_TIMEOUT: Duration = Duration::from_mins(1);

/// One client's session: what it said, who it is, what it waits for.
#[derive(Debug)]
pub struct ServerSession {
    settings: Arc<Settings>,
    peer: IpAddr,
    phase: Phase,
    profile: Option<Profile>,
    cwd: VirtualPath,
    parameters: Parameters,
    queue: Queue,
    timers: Timers,
    last_request: u32,
    logins_denied: u8,
    verbs_unknown: u8,
    /// Why it has to end at the next safe point.
    leaving: Option<Farewell>,
    /// Whether that was an order: no other reason takes its place, even while the end of a transfer is waited for.
    leaves_now: bool,
    pace: Pace,
    peer_closed: bool,
}

impl ServerSession {
    /// Returns a session of a client at `peer` (normalised: never an IPv4-mapped IPv6 address).
    pub fn new(settings: Arc<Settings>, peer: IpAddr) -> Self {
        Self {
            settings,
            peer,
            phase: Phase::Greeting,
            profile: None,
            cwd: VirtualPath::root(),
            parameters: Parameters::default(),
            queue: Queue::default(),
            timers: Timers::default(),
            last_request: 0,
            logins_denied: 0,
            verbs_unknown: 0,
            leaving: None,
            leaves_now: false,
            pace: Pace::default(),
            peer_closed: false,
        }
    }

    /// Takes one event and appends what the shell must do to `out`. Pure: same history, same actions.
    pub fn handle(&mut self, event: Event<'_>, now: Moment, out: &mut Actions) {
        if matches!(self.phase, Phase::Closing) {
            return;
        }
        self.take(event, now, out);
        self.go_on(now, out);
        #[cfg(debug_assertions)]
        self.check();
    }

    /// Returns when [`Event::Tick`] is due at the latest; `None` once the session is closing.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// Returns whether the next line may be taken; when not, the shell leaves lines in its `LineReader` (and so the
    /// bytes in the socket), but while [`wants_urgent`](Self::wants_urgent) still looks there for ABOR and STAT by
    /// [`take_urgent`](crate::line::LineReader::take_urgent).
    pub fn wants_lines(&self) -> bool {
        self.queue.has_room() && !matches!(self.phase, Phase::Closing)
    }

    /// Returns whether an ABOR or STAT may overtake the lines that wait: while a transfer runs, up to a bound.
    pub fn wants_urgent(&self) -> bool {
        self.is_transferring() && self.queue.may_count()
    }

    /// Returns how long a line may be now, in bytes without its end: 4 KiB before login, 8 KiB after (DESIGN §6.5).
    pub fn line_bytes_max(&self) -> usize {
        if self.profile.is_some() { LINE_BYTES_MAX } else { LINE_BYTES_MAX_BEFORE_LOGIN }
    }

    /// Returns whether a transfer is under way (from `BeginTransfer` to `TransferEnded`).
    pub fn is_transferring(&self) -> bool {
        matches!(self.phase, Phase::Transferring(_))
    }

    /// Returns whether the client has said QUIT behind what runs: it may close then, and what runs is finished.
    pub fn has_quit(&self) -> bool {
        self.queue.has_quit()
    }

    /// Returns who is logged in.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref()
    }

    fn take(&mut self, event: Event<'_>, now: Moment, out: &mut Actions) {
        match event {
            Event::Opened if matches!(self.phase, Phase::Greeting) => self.greet(now, out),
            Event::Opened => {}
            Event::Line(_) | Event::LineTooLong if self.is_too_fast(now) => {
                let refusal = Refusal::uncounted(Cause::CommandFlood, FLOOD_RETRY_SECS);
                self.leave_now(Farewell::new(refusal), now, out);
            }
            Event::Line(line) => self.take_line(line, now, out),
            Event::LineTooLong if self.is_busy() || !self.queue.is_empty() => self.queue.push_too_long(),
            Event::LineTooLong => reply::write(&mut out.wire, Reason::LineTooLong),
            Event::LineEndless => self.not_ftp(out),
            Event::LoginAnswered(request, answer) => self.login_answered(request, answer, out),
            Event::GateAnswered(request, answer) => self.gate_answered(request, answer, now, out),
            Event::StorageAnswered(request, answer) => self.storage_answered(request, answer, now, out),
            Event::StorageBusy(request) => self.storage_busy(request, now),
            Event::WallTimeTold(request, time) => self.wall_time_told(request, time, now, out),
            Event::PassiveOpened(request, answer) => self.passive_opened(request, answer, now, out),
            Event::DataOpened => self.data_opened(now),
            Event::Progress(progress) => self.progress(progress, now, out),
            Event::TransferEnded(end) => self.transfer_ended(end, now, out),
            Event::Tick => self.tick(now, out),
            Event::LeaveSoon(farewell) => self.leave_soon(farewell),
            Event::LeaveNow(farewell) => self.leave_now(farewell, now, out),
            Event::Stay => self.stay(),
            Event::Pressed(percent) => self.timers.press(percent),
            Event::PeerClosed => self.peer_closed(now, out),
        }
    }

    /// Runs what waits, as far as nothing is under way, and leaves at a safe point when it is time to.
    fn go_on(&mut self, now: Moment, out: &mut Actions) {
        loop {
            if self.is_busy() || matches!(self.phase, Phase::Closing) {
                return;
            }
            if self.leaving.is_some() {
                return self.leave(now, out);
            }
            match self.queue.pop() {
                Some(item) => self.run_queued(item, now, out),
                None if self.peer_closed => return self.close(CloseReason::PeerClosed, out),
                None => return,
            }
        }
    }

    /// Returns whether a command is under way, so that the next one has to wait.
    fn is_busy(&self) -> bool {
        match self.phase {
            Phase::Greeting
            | Phase::Checking { .. }
            | Phase::Entering { .. }
            | Phase::Asking { .. }
            | Phase::Transferring(_) => true,
            Phase::NeedUser | Phase::NeedPassword { .. } | Phase::Ready | Phase::Closing => false,
        }
    }

    fn greet(&mut self, now: Moment, out: &mut Actions) {
        reply::write_with(&mut out.wire, Reason::Ready, &[self.settings.greeting.as_bytes()]);
        self.phase = Phase::NeedUser;
        self.timers.arm(Deadline::Login, now, self.settings.timeouts.login);
    }

    fn tick(&mut self, now: Moment, out: &mut Actions) {
        while let Some(due) = self.timers.pop_due(now) {
            match due {
                Deadline::Login => return self.refuse(&timed_out(Cause::LoginTimeout), None, out),
                Deadline::Idle => return self.refuse(&timed_out(Cause::Idle), None, out),
                Deadline::Answer => self.answer_overdue(now, out),
                Deadline::DataOpen => self.cut(CutReason::NotOpened, now, out),
                Deadline::DataStall => self.ask_if_stalled(now, out),
                Deadline::Lease => self.close_route(out),
            }
        }
    }

    /// Back to waiting for a command of somebody who is logged in.
    fn become_ready(&mut self, now: Moment) {
        self.phase = Phase::Ready;
        self.timers.disarm(Deadline::Answer);
        self.timers.disarm(Deadline::DataOpen);
        self.timers.disarm(Deadline::DataStall);
        self.timers.arm(Deadline::Idle, now, self.idle_time());
    }

    /// The client will say no more. What it said before is still answered; a transfer is cut, as RFC 959 §4.1.1 wants
    /// for an unexpected close, unless the client had said QUIT.
    fn peer_closed(&mut self, now: Moment, out: &mut Actions) {
        self.peer_closed = true;
        if !self.queue.has_quit() {
            self.cut(CutReason::PeerGone, now, out);
            self.cancel_job(now, out);
        }
    }

    /// Takes in that the session has to end at the next safe point; one that is being cut leaves for its first reason. A drain,
    /// which may be called off, takes the place of no other reason.
    fn leave_soon(&mut self, farewell: Farewell) {
        let drains = |farewell: &Farewell| farewell.refusal.cause == Cause::Draining;
        let stands = self.leaving.as_ref().is_some_and(|leaving| !drains(leaving) && drains(&farewell));
        if !stands && !self.leaves_now {
            self.leaving = Some(farewell);
        }
    }

    fn leave_now(&mut self, farewell: Farewell, now: Moment, out: &mut Actions) {
        self.leave_soon(farewell);
        self.leaves_now = true;
        if self.is_transferring() {
            self.cut(CutReason::Leaving, now, out);
        } else {
            self.leave(now, out);
        }
    }

    /// A drain was called off. Other reasons to leave stand.
    fn stay(&mut self) {
        if !self.leaves_now {
            self.leaving.take_if(|farewell| farewell.refusal.cause == Cause::Draining);
        }
    }

    /// Returns whether the running transfer is cut because the session has to end now.
    pub fn is_leaving_now(&self) -> bool {
        matches!(&self.phase, Phase::Transferring(transfer) if transfer.cut == Some(CutReason::Leaving))
    }

    /// Says why the session has to end, and closes.
    fn leave(&mut self, now: Moment, out: &mut Actions) {
        let farewell = self.leaving.take().unwrap_or_else(|| Farewell::new(timed_out(Cause::Draining)));
        self.refuse(&farewell.at(now), farewell.message.as_deref(), out);
    }

    /// Counts a line; returns whether it came too fast.
    fn is_too_fast(&mut self, now: Moment) -> bool {
        self.settings.command_rate.is_some_and(|rate| self.pace.is_too_fast(rate, now))
    }

    fn not_ftp(&mut self, out: &mut Actions) {
        reply::write(&mut out.wire, Reason::NotFtp);
        self.close(CloseReason::NotFtp, out);
    }

    /// Says 421 and closes.
    fn refuse(&mut self, refusal: &Refusal, message: Option<&str>, out: &mut Actions) {
        reply::refusal_line_with(refusal, message, &mut out.wire);
        self.close(CloseReason::Refused(refusal.cause), out);
    }

    fn close(&mut self, reason: CloseReason, out: &mut Actions) {
        self.phase = Phase::Closing;
        self.queue = Queue::default();
        self.timers = Timers::default();
        out.push(Action::Close(reason));
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request = self.last_request.wrapping_add(1);
        RequestId(self.last_request)
    }

    /// The invariants that hold between two events.
    #[cfg(debug_assertions)]
    fn check(&self) {
        self.queue.check();
        let logged_in = matches!(self.phase, Phase::Ready | Phase::Asking { .. } | Phase::Transferring(_));
        if !matches!(self.phase, Phase::Closing) {
            debug_assert_eq!(logged_in, self.profile.is_some());
            debug_assert!(
                matches!(self.phase, Phase::Greeting) || self.timers.next().is_some(),
                "no deadline is armed"
            );
            debug_assert!(self.is_busy() || self.queue.is_empty(), "a command waits for nothing");
        }
    }
}

/// Returns the refusal of a session that said nothing for too long: it may come back at once.
const fn timed_out(cause: Cause) -> Refusal {
    Refusal::uncounted(cause, 1)
}

/// Returns whether `line` is the command `verb`, whatever its case and argument.
fn is_verb(line: &[u8], verb: &[u8]) -> bool {
    crate::command::verb_of(line).0.eq_ignore_ascii_case(verb)
}

#[cfg(test)]
mod tests;
