//! One session: waits for what may happen next, tells the session machine, performs what it says.
//!
//! Only this loop changes the session. It lives in one task; what takes long (a password check, storage, a transfer) is a future
//! that is polled here beside the control connection.

mod act;
mod ending;
mod output;
mod outside;
mod places;
mod ports;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tidegate_net::LingerHandle;
use tidegate_protocol::line::{Input, LineReader, Urgent};
use tidegate_protocol::session::{
    Action, Actions, CloseReason, Event, LoginAnswer, RequestId, ServerSession,
};
use tidegate_storage::Storage;
use tidegate_types::Moment;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;
use tracing::{debug, info, warn};

use crate::gate::PermitGuard;
use crate::house::House;
use crate::jobs::Watch;
use crate::registry::Entered;
use crate::storing::{Opened, Stored};
use crate::tally::{LiveSession, add};
use crate::transfer::Step;
use crate::view::Latency;
use crate::weather::Weather;
use act::{Moving, NOTES_MAX};
use output::{OUTPUT_BYTES_MAX, Output};
use ports::{Awaiting, Leased};

/// Read from the control connection at once; on the stack, only while reading.
const READ_BYTES: usize = 4 * 1024;
/// Lines handled before others get their turn: a client that sends without end must not hold a thread of the runtime.
const LINES_A_TURN: usize = 64;

/// Somebody who was let in.
pub(crate) struct Visitor {
    pub(crate) id: u64,
    /// Shared with nobody but, for a moment, a thread that is about to publish an upload.
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) peer: SocketAddr,
    /// The address the client connected to: behind a proxy, the proxy's.
    pub(crate) reached: SocketAddr,
    /// The address of this end of the connection.
    pub(crate) local: SocketAddr,
    pub(crate) listener: usize,
    /// Whether a trusted proxy brought the client.
    pub(crate) is_proxied: bool,
    /// Holds the place of the connection.
    pub(crate) entered: Entered,
    pub(crate) linger: LingerHandle,
}

/// The one thing a session waits for besides its client.
struct Pending {
    kind: PendingKind,
    coming: Coming,
    /// Of a long job: looks whether it goes on.
    watch: Option<Watch>,
}

/// The answer to a pending request.
enum Coming {
    UnderWay(Pin<Box<dyn Future<Output = Answer> + Send>>),
    /// It is here, and is told when the client has taken enough of its replies.
    Here(Box<Answer>),
}

impl Pending {
    fn is_under_way(&self) -> bool {
        matches!(self.coming, Coming::UnderWay(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PendingKind {
    Login,
    Storage,
    Passive,
}

/// What a session does, in the one word that others see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    LoggingIn,
    Idle,
    Working(&'static str),
    Moving,
}

/// What a pending request came to.
enum Answer {
    Login(RequestId, LoginAnswer, Option<Arc<dyn Storage>>),
    Storage(RequestId, Stored),
    Passive(RequestId, Leased),
}

/// How the client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    /// It ended its sending side: lines it sent before are still answered.
    Ended,
    /// The connection broke.
    Broken,
}

/// What happened while the loop waited.
enum Wake {
    Weather(Weather),
    Ordered,
    Control(io::Result<Ready>),
    Answered(Answer),
    Transfer(Step),
    DataCame(io::Result<TcpStream>),
    Timer,
}

/// A running session.
pub(crate) struct ControlLoop {
    house: Arc<House>,
    visitor: Visitor,
    session: ServerSession,
    reader: LineReader,
    line_bytes_max: usize,
    /// How long a client may take no byte of its replies.
    idle_max: Duration,
    output: Output,
    actions: Actions,
    /// Swapped with `actions.list` while it is performed; kept for its memory.
    todo: Vec<Action>,
    pending: Option<Pending>,
    transfer: Option<Box<Moving>>,
    home: Option<Arc<dyn Storage>>,
    opened: Option<Opened>,
    /// The place of the transfer that is being opened.
    place: Option<PermitGuard>,
    passive: Option<Awaiting>,
    gone: Option<Gone>,
    told_gone: bool,
    closing: Option<CloseReason>,
    weather: watch::Receiver<Weather>,
    timer: Pin<Box<Sleep>>,
    /// When the timer rings; `None`: never, or it rang. Moved only to earlier, so that a command costs no timer.
    armed: Option<Moment>,
    since: Moment,
    /// When the command that is not answered yet was taken; `None`: there is none, or it is a transfer.
    command_since: Option<Moment>,
    /// What others were told it does.
    work: Work,
    /// Whether it took a command since the gate was told how idle it is.
    is_fresh: bool,
    /// Whether the gate has to be told what it does, even if that did not change.
    is_unknown: bool,
    /// Whether the gate was told that its client seems to be dead.
    is_noted_dead: bool,
    /// How many more times what the client says of itself is logged.
    notes_left: u8,
    /// For the log.
    account: String,
    live: LiveSession,
}

impl ControlLoop {
    /// Returns the session of `visitor`; boxed, since the task would hold several copies of it otherwise.
    pub(crate) fn new(house: Arc<House>, visitor: Visitor) -> Box<Self> {
        let settings = house.settings();
        let idle_max = settings.timeouts.idle;
        let session = ServerSession::new(settings, visitor.peer.ip());
        let line_bytes_max = session.line_bytes_max();
        let mut reader = LineReader::new();
        reader.set_limit(line_bytes_max);
        let since = house.clock.now();
        Box::new(Self {
            session,
            reader,
            line_bytes_max,
            output: Output::default(),
            actions: Actions::default(),
            todo: Vec::new(),
            pending: None,
            transfer: None,
            home: None,
            opened: None,
            place: None,
            passive: None,
            gone: None,
            told_gone: false,
            closing: None,
            weather: house.weather.clone(),
            timer: Box::pin(tokio::time::sleep_until(house.clock.instant(since))),
            armed: None,
            since,
            command_since: None,
            work: Work::LoggingIn,
            is_fresh: false,
            is_unknown: false,
            is_noted_dead: false,
            idle_max,
            notes_left: NOTES_MAX,
            account: String::new(),
            live: LiveSession::new(&house.tally, &house.crowd),
            visitor,
            house,
        })
    }

    /// Serves until the session ends, or the house ends it.
    pub(crate) async fn run(mut self: Box<Self>) {
        let house = Arc::clone(&self.house);
        let session = self.visitor.id;
        tokio::select! {
            biased;
            () = house.kill.cancelled() => {
                add(&house.tally.sessions_killed, 1);
                warn!(session, "session ended without a word");
            }
            reason = self.serve() => self.close(reason).await,
        }
    }

    /// Serves until the machine says why the session ends.
    async fn serve(&mut self) -> CloseReason {
        info!(session = self.visitor.id, peer = %self.visitor.peer, local = %self.visitor.local, "session opened");
        self.tell(Event::Opened);
        loop {
            let has_more = self.settle();
            if let Some(reason) = self.closing {
                return reason;
            }
            if has_more {
                tokio::task::yield_now().await;
                continue;
            }
            match self.next_wake().await {
                Wake::Weather(weather) => self.on_weather(&weather),
                Wake::Ordered => self.on_order(),
                Wake::Control(ready) => self.on_control(ready),
                Wake::Answered(answer) => self.on_arrived(answer),
                Wake::Transfer(step) => self.on_transfer(step),
                Wake::DataCame(stream) => self.on_data_came(stream),
                Wake::Timer => self.armed = None,
            }
        }
    }

    /// Does what can be done without waiting, up to a turn's worth; returns whether lines are left. What is only said goes out in
    /// one piece at the end.
    fn settle(&mut self) -> bool {
        self.tell_what_arrived();
        let has_more = self.take_lines();
        self.tell_if_gone(has_more);
        let now = self.house.clock.now();
        if self.closing.is_none()
            && let Some(watch) = self.pending.as_mut().and_then(|pending| pending.watch.as_mut())
            && let Some(request) = watch.look(now)
        {
            self.tell(Event::StorageBusy(request));
        }
        if self.closing.is_none() && self.session.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.tell(Event::Tick);
        }
        self.send_wire();
        // A reset is often found in writing only.
        self.tell_if_gone(has_more);
        self.give_up_the_deaf(now);
        self.show(now);
        self.arm();
        has_more
    }

    /// Takes an answer in. What storage answers is said, and the next queued command asked: neither while the client does not read.
    /// It is waited for all the same, so that a client that does not read makes no storage look slow.
    fn on_arrived(&mut self, answer: Answer) {
        match &mut self.pending {
            Some(pending) if self.output.is_full() => {
                pending.coming = Coming::Here(Box::new(answer));
                pending.watch = None;
            }
            _ => self.on_answer(answer),
        }
    }

    fn tell_what_arrived(&mut self) {
        if self.closing.is_none()
            && !self.output.is_full()
            && let Some(Pending { coming: Coming::Here(answer), .. }) =
                self.pending.take_if(|pending| !pending.is_under_way())
        {
            self.on_answer(*answer);
        }
    }

    fn tell_if_gone(&mut self, has_more: bool) {
        if !has_more && self.closing.is_none() && self.is_gone_for_good() {
            self.told_gone = true;
            self.tell(Event::PeerClosed);
            self.send_wire();
        }
    }

    /// Ends the session of a client that has taken no byte of its replies for the idle time. It is as good as gone, whatever it
    /// waits for: its storage answers wait for room, and each would start the clock of the machine again.
    fn give_up_the_deaf(&mut self, now: Moment) {
        let is_deaf = self.deaf_until().is_some_and(|until| until <= now);
        if is_deaf && self.closing.is_none() && self.gone != Some(Gone::Broken) {
            let secs = self.idle_max.as_secs();
            info!(session = self.visitor.id, secs, bytes = self.output.len(), "the client takes no replies");
            self.gone = Some(Gone::Broken);
            self.closing = Some(CloseReason::PeerClosed);
        }
    }

    /// Returns when replies that the client does not take have waited for too long.
    fn deaf_until(&self) -> Option<Moment> {
        self.output.waits_since().map(|since| since + self.idle_max)
    }

    /// Takes the lines of one turn; returns whether there may be more.
    fn take_lines(&mut self) -> bool {
        let mut taken = 0;
        while taken < LINES_A_TURN && self.closing.is_none() && self.take_line() {
            taken += 1;
        }
        if taken > 0
            && let Some(moving) = &self.transfer
            && self.session.has_quit()
        {
            moving.transfer.note_quit();
        }
        taken == LINES_A_TURN && self.closing.is_none()
    }

    /// Tells the machine one line; returns whether there was one.
    fn take_line(&mut self) -> bool {
        if self.actions.wire.len() > OUTPUT_BYTES_MAX {
            self.send_wire();
        }
        if self.output.is_full() {
            // The socket says when it takes more; then the loop comes back here.
            return false;
        }
        let now = self.house.clock.now();
        let (session, actions) = (&mut self.session, &mut self.actions);
        if session.wants_lines() {
            match self.reader.next() {
                Some(Input::Line(line)) => session.handle(Event::Line(line), now, actions),
                Some(Input::TooLong) => session.handle(Event::LineTooLong, now, actions),
                Some(Input::Endless) => session.handle(Event::LineEndless, now, actions),
                None => return false,
            }
        } else if session.wants_urgent() {
            match self.reader.take_urgent() {
                Some(Urgent::Abort) => session.handle(Event::Line(b"ABOR"), now, actions),
                Some(Urgent::Status) => session.handle(Event::Line(b"STAT"), now, actions),
                None => return false,
            }
        } else {
            return false;
        }
        self.is_fresh = true;
        self.perform();
        self.time_command(now);
        true
    }

    /// Notes how long a command took that was answered on the spot, or when one began that was not.
    fn time_command(&mut self, since: Moment) {
        self.command_since = if self.pending.is_some() {
            Some(since)
        } else {
            if self.transfer.is_none() {
                self.house.tally.took(Latency::Command, self.house.clock.now().since(since));
            }
            None
        };
    }

    /// Returns whether the machine must hear now that the client went away. Lines sent before an orderly end come first, but a
    /// transfer or a long job does not go on for nobody.
    fn is_gone_for_good(&self) -> bool {
        let now = match self.gone {
            None => false,
            Some(Gone::Broken) => true,
            Some(Gone::Ended) => {
                self.session.is_transferring()
                    || self.session.has_job()
                    || (self.session.wants_lines() && !self.output.is_full())
            }
        };
        now && !self.told_gone
    }

    /// Tells the machine one event and performs what it says.
    fn tell(&mut self, event: Event<'_>) {
        let now = self.house.clock.now();
        self.session.handle(event, now, &mut self.actions);
        self.perform();
    }

    /// Sends the replies, then performs the actions in order; answers given on the spot may bring more of both. Replies without an
    /// action behind them wait for the end of the turn.
    fn perform(&mut self) {
        while !self.actions.list.is_empty() {
            self.send_wire();
            let mut todo = std::mem::take(&mut self.todo);
            std::mem::swap(&mut self.actions.list, &mut todo);
            for action in todo.drain(..) {
                self.act(action);
            }
            self.todo = todo;
        }
        let line_bytes_max = self.session.line_bytes_max();
        if line_bytes_max != self.line_bytes_max {
            self.line_bytes_max = line_bytes_max;
            self.reader.set_limit(line_bytes_max);
        }
    }

    fn send_wire(&mut self) {
        if self.actions.wire.is_empty() {
            return;
        }
        if self.gone == Some(Gone::Broken) {
            self.actions.wire.clear();
            return;
        }
        let now = self.house.clock.now();
        self.house.tally.said(&self.actions.wire);
        if let Err(error) = self.output.send(&self.visitor.stream, &mut self.actions.wire, now) {
            self.broken(&error);
        }
    }

    fn broken(&mut self, error: &io::Error) {
        debug!(session = self.visitor.id, %error, "the control connection broke");
        self.gone = Some(Gone::Broken);
    }

    /// Makes the timer ring no later than the next deadline, or the next look at a long job.
    fn arm(&mut self) {
        let watch = self.pending.as_ref().and_then(|pending| pending.watch.as_ref());
        let moments = [self.session.next_deadline(), watch.map(Watch::next_at), self.deaf_until()];
        let Some(deadline) = moments.into_iter().flatten().min() else { return };
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.timer.as_mut().reset(self.house.clock.instant(deadline));
            self.armed = Some(deadline);
        }
    }

    async fn next_wake(&mut self) -> Wake {
        let interest = self.interest();
        let peer = self.visitor.peer.ip();
        let Self { visitor, pending, transfer, passive, weather, timer, armed, .. } = self;
        tokio::select! {
            biased;
            Ok(()) = weather.changed() => Wake::Weather(weather.borrow_and_update().clone()),
            () = visitor.entered.card.bell.notified() => Wake::Ordered,
            ready = visitor.stream.ready(interest.unwrap_or(Interest::READABLE)), if interest.is_some() => {
                Wake::Control(ready)
            }
            answer = async {
                match &mut pending.as_mut()?.coming {
                    Coming::UnderWay(answer) => Some(answer.as_mut().await),
                    Coming::Here(_) => None,
                }
            }, if pending.as_ref().is_some_and(Pending::is_under_way) => {
                answer.map_or(Wake::Timer, Wake::Answered)
            }
            step = async { Some(transfer.as_mut()?.transfer.step().await) }, if transfer.is_some() => {
                step.map_or(Wake::Timer, Wake::Transfer)
            }
            came = async { Some(passive.as_ref()?.port.listener.accept_from(peer).await) },
                if passive.as_ref().is_some_and(Awaiting::is_open) => came.map_or(Wake::Timer, Wake::DataCame),
            () = timer.as_mut(), if armed.is_some() => Wake::Timer,
        }
    }

    fn interest(&self) -> Option<Interest> {
        let broken = self.gone == Some(Gone::Broken);
        let read = self.gone.is_none() && self.reader.room() > 0 && !self.output.is_full();
        let write = !broken && !self.output.is_empty();
        match (read, write) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        }
    }

    fn on_control(&mut self, ready: io::Result<Ready>) {
        let ready = match ready {
            Ok(ready) => ready,
            Err(error) => return self.broken(&error),
        };
        if ready.is_writable()
            && !self.output.is_empty()
            && let Err(error) = self.output.flush(&self.visitor.stream, self.house.clock.now())
        {
            return self.broken(&error);
        }
        if ready.is_readable() && self.gone.is_none() {
            self.read();
        }
    }

    /// Reads until the socket is empty or the line reader full.
    fn read(&mut self) {
        let mut bytes = [0; READ_BYTES];
        loop {
            let room = self.reader.room().min(READ_BYTES);
            let Some(buffer) = bytes.get_mut(..room).filter(|buffer| !buffer.is_empty()) else { return };
            match self.visitor.stream.try_read(buffer) {
                Ok(0) => {
                    self.gone = Some(Gone::Ended);
                    return;
                }
                Ok(count) => {
                    // Never more than there is room for, so all of it is taken.
                    self.reader.push(buffer.get(..count).unwrap_or_default());
                    if count < room {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.broken(&error),
            }
        }
    }

    /// All data of an upload is here. A client that died closed both connections, the control connection first or at the same
    /// time: then the end of the data is no complete file. The next turn of the loop tells the machine.
    fn look_for_the_client(&mut self) {
        if self.gone.is_none() && tidegate_net::has_ended(&self.visitor.stream) {
            self.gone = Some(Gone::Ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<F: Future>(_: impl Fn(Box<ControlLoop>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_session_is_small() {
        let bytes = future_bytes(ControlLoop::run) + size_of::<ControlLoop>();
        assert!(
            bytes <= 4096,
            "a session's task takes {bytes} bytes, {} of them state",
            size_of::<ControlLoop>()
        );
    }
}
