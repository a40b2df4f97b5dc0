//! The end of a server, and what may still call it off.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tidegate_types::Moment;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Inside, LAST_WORDS, ServerHandle, Summary};
use crate::view::{DrainOrder, DrainView};
use crate::weather::{Closing, Stage, Weather};

/// How long the door stays open for a 421 after a drain was ordered, although nobody is inside: balancers look every few
/// seconds whether the server is ready, and clients shall read why they cannot enter.
const DOOR_OPEN_MIN: Duration = Duration::from_secs(10);
/// The longest message, in bytes: the reply stays one short line.
const MESSAGE_BYTES_MAX: usize = 200;

/// Why a drain does not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// The message would mislead clients.
    #[error("the message {0}")]
    Message(&'static str),
    /// The server is ending already.
    #[error("the server is ending already")]
    Ending,
}

/// A drain that begins later.
#[derive(Debug)]
pub(super) struct Plan {
    begins: Moment,
    order: DrainOrder,
    cancelled: CancellationToken,
}

impl ServerHandle {
    /// Begins the end as SIGTERM does: new connections are refused with `draining`, idle sessions are sent away at once, transfers
    /// may finish within `deadline`; it is over as soon as nobody is inside. During another drain only an earlier end counts. What
    /// begins like this cannot be called off.
    pub fn drain(&self, deadline: Duration) {
        let inside = &self.inside;
        let now = inside.house.clock.now();
        let (until, message) = match &inside.weather.borrow().stage {
            Stage::Open => (now + deadline, None),
            Stage::Draining(closing) => ((now + deadline).min(closing.until), closing.message.clone()),
            Stage::Expired(_) => return,
        };
        inside.forget_plan();
        if inside.begin(Closing { until, open_until: now, message, is_final: true }) {
            info!(deadline_secs = until.since(now).as_secs(), "draining");
        }
    }

    /// Begins a drain, or plans one; again, it replaces the earlier one. The door says 421 for at least ten seconds, or until the
    /// deadline when that comes first or the order says `stay`.
    ///
    /// Errors: [`DrainError`].
    pub fn drain_with(&self, order: &DrainOrder) -> Result<DrainView, DrainError> {
        check_message(order.message.as_deref())?;
        let inside = &self.inside;
        if inside.is_ending() {
            return Err(DrainError::Ending);
        }
        if order.delay.is_zero() {
            inside.forget_plan();
            inside.begin_as(order);
        } else {
            inside.resume();
            Inside::plan(inside, order.clone());
        }
        self.drain_view().ok_or(DrainError::Ending)
    }

    /// Ends a drain that is planned or under way; `false`: there is none, or it is too late.
    pub fn resume(&self) -> bool {
        let planned = self.inside.forget_plan();
        self.inside.resume() || planned
    }

    /// Ends a drain now, or drains without waiting: what still runs is cut.
    pub fn hurry(&self) {
        self.drain(Duration::ZERO);
        self.inside.expire(None);
    }

    /// Returns how far the drain is; `None`: none is planned or under way.
    pub fn drain_view(&self) -> Option<DrainView> {
        self.inside.drain_view()
    }
}

impl Inside {
    /// Returns how far the drain is; `None`: none is planned or under way.
    pub(super) fn drain_view(&self) -> Option<DrainView> {
        let now = self.house.clock.now();
        let stage = self.weather.borrow().stage.clone();
        let (begins_in, ends_in, open_for, message) = match stage {
            Stage::Draining(closing) | Stage::Expired(closing) => {
                let Closing { until, open_until, message, .. } = closing;
                let message = message.map(|message| message.to_string());
                (Duration::ZERO, until.since(now), open_until.since(now), message)
            }
            Stage::Open => {
                let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
                let Plan { begins, order, .. } = plan.as_ref()?;
                let begins_in = begins.since(now);
                (begins_in, begins_in + order.deadline, open_for(order), order.message.clone())
            }
        };
        let mut moved = Vec::new();
        self.house.registry.each(|card| moved.extend(card.moving_bytes()));
        let (transfers, bytes) = (moved.len() as u64, moved.iter().sum());
        let sessions = crate::tally::read(&self.house.tally.sessions_live);
        Some(DrainView { begins_in, ends_in, open_for, message, sessions, transfers, bytes })
    }

    fn plan(inside: &Arc<Self>, order: DrainOrder) {
        let begins = inside.house.clock.now() + order.delay;
        let cancelled = CancellationToken::new();
        info!(in_secs = order.delay.as_secs(), "a drain is planned");
        let plan = Plan { begins, order, cancelled: cancelled.clone() };
        let before = inside.plan.lock().unwrap_or_else(PoisonError::into_inner).replace(plan);
        if let Some(before) = before {
            before.cancelled.cancel();
        }
        let (inside, at) = (Arc::clone(inside), inside.house.clock.instant(begins));
        inside.house.runtime.clone().spawn(async move {
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = tokio::time::sleep_until(at) => inside.begin_planned(&cancelled),
            }
        });
    }

    /// Begins the planned drain, unless it was cancelled or replaced in this very moment.
    fn begin_planned(&self, cancelled: &CancellationToken) {
        let planned = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever cancels has taken the plan out already, and another may stand in its place.
            if cancelled.is_cancelled() { None } else { plan.take() }
        };
        if let Some(plan) = planned {
            self.begin_as(&plan.order);
        }
    }

    /// Gives up a planned drain; returns whether there was one.
    fn forget_plan(&self) -> bool {
        let mut planned = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: a task that wakes now sees either its plan or its end.
        planned.take().inspect(|plan| plan.cancelled.cancel()).is_some()
    }

    fn begin_as(&self, order: &DrainOrder) {
        let now = self.house.clock.now();
        let until = now + order.deadline;
        let open_until = now + open_for(order);
        let message = order.message.as_deref().map(Arc::from);
        if self.begin(Closing { until, open_until, message, is_final: false }) {
            info!(deadline_secs = order.deadline.as_secs(), message = order.message, "draining");
        }
    }

    /// Returns whether the end has begun and cannot be called off.
    fn is_ending(&self) -> bool {
        match &self.weather.borrow().stage {
            Stage::Open => false,
            Stage::Draining(closing) => closing.is_final,
            Stage::Expired(_) => true,
        }
    }

    /// Begins a drain or changes how it ends; `false`: the server is ending already.
    fn begin(&self, closing: Closing) -> bool {
        self.weather.send_if_modified(|weather| {
            match &weather.stage {
                Stage::Expired(_) => return false,
                Stage::Draining(standing) if standing.is_final && !closing.is_final => return false,
                Stage::Draining(_) | Stage::Open => {}
            }
            // Before any session hears of it, so that nobody is sent away and let in again.
            self.house.gate.drain(closing.until, closing.message.as_deref());
            weather.stage = Stage::Draining(closing);
            true
        })
    }

    fn resume(&self) -> bool {
        let resumed = self.weather.send_if_modified(|weather| {
            let drains = matches!(&weather.stage, Stage::Draining(closing) if !closing.is_final);
            if drains {
                weather.stage = Stage::Open;
                self.house.gate.resume();
            }
            drains
        });
        if resumed {
            info!("the drain was called off");
        }
        resumed
    }

    /// Ends a drain, or only `this` one: what still runs is cut, and nobody calls it off any more. Returns whether the server
    /// ends; `false`: the drain was replaced or called off meanwhile.
    fn expire(&self, this: Option<&Closing>) -> bool {
        self.weather.send_if_modified(|weather| match &weather.stage {
            Stage::Draining(closing) if this.is_none_or(|this| this == closing) => {
                weather.stage = Stage::Expired(closing.clone());
                true
            }
            Stage::Open | Stage::Draining(_) | Stage::Expired(_) => false,
        });
        matches!(self.weather.borrow().stage, Stage::Expired(_))
    }
}

/// Returns for how long the door says 421 at least.
fn open_for(order: &DrainOrder) -> Duration {
    if order.stay { order.deadline } else { order.deadline.min(DOOR_OPEN_MIN) }
}

/// Returns whether clients may be told the message: one printable line that no client takes for another refusal.
fn check_message(message: Option<&str>) -> Result<(), DrainError> {
    let Some(message) = message else { return Ok(()) };
    let said = |what| Err(DrainError::Message(what));
    if message.len() > MESSAGE_BYTES_MAX {
        return said("is too long: 200 bytes at most");
    }
    if !message.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return said("holds characters a reply cannot: write it in printable ASCII, on one line");
    }
    if message.to_ascii_lowercase().contains("too many connections") {
        return said(
            "says \"too many connections\", by which clients lower their own number: say it otherwise",
        );
    }
    if message.contains("[cause=") || message.trim().is_empty() {
        return said("is empty or looks like the tail that programs read");
    }
    Ok(())
}

/// Waits for a drain and sees it through, unless it is called off.
pub(super) async fn supervise(inside: Arc<Inside>) {
    let mut weather = inside.weather.subscribe();
    loop {
        // The sender lives in `inside`.
        let _ = weather.wait_for(|weather| weather.stage != Stage::Open).await;
        inside.house.sessions.close();
        if empty(&inside, &mut weather).await {
            break;
        }
        inside.house.sessions.reopen();
    }
    let doorway = inside.doorway.lock().unwrap_or_else(PoisonError::into_inner).take();
    let observer = inside.observer.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut summary = None;
    if let Some(doorway) = doorway {
        doorway.request_stop();
        let counts = tokio::task::spawn_blocking(move || {
            let counts = doorway.counts();
            doorway.stop();
            drop(observer);
            counts
        });
        // Somebody may have been let in just before the drain and reach the sessions only now.
        empty(&inside, &mut weather).await;
        if let Ok(counts) = counts.await {
            summary = Some(Summary { unspoken: counts.unspoken, ..inside.summarize() });
        }
        empty(&inside, &mut weather).await;
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

/// Waits until no session is inside: until the drain ends, then a moment for last words, then they are ended. Returns whether
/// the server ends; `false`: the drain was called off.
async fn empty(inside: &Inside, weather: &mut watch::Receiver<Weather>) -> bool {
    let house = &inside.house;
    loop {
        let stage = weather.borrow_and_update().stage.clone();
        match stage {
            Stage::Open => return false,
            Stage::Expired(_) => break,
            Stage::Draining(closing) => {
                let nobody_is_inside = async {
                    tokio::time::sleep_until(house.clock.instant(closing.open_until)).await;
                    house.sessions.wait().await;
                };
                tokio::select! {
                    biased;
                    _ = weather.changed() => {}
                    () = nobody_is_inside => if inside.expire(Some(&closing)) { return true },
                    () = tokio::time::sleep_until(house.clock.instant(closing.until)) => {
                        inside.expire(Some(&closing));
                    }
                }
            }
        }
    }
    if tokio::time::timeout(LAST_WORDS, house.sessions.wait()).await.is_err() {
        warn!(sessions = house.sessions.len(), "ended without a word");
        house.kill.cancel();
        house.sessions.wait().await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_mislead_are_refused() {
        assert_eq!(check_message(None), Ok(()));
        assert_eq!(check_message(Some("new disks until 22:30")), Ok(()));
        for bad in
            ["", " ", "Too Many Connections today", "line\r\n230 ok", "\u{e4}", "x [cause=idle retry=1]"]
        {
            assert!(check_message(Some(bad)).is_err(), "{bad:?}");
        }
        assert!(check_message(Some(&"x".repeat(200))).is_ok());
        assert!(check_message(Some(&"x".repeat(201))).is_err());
    }
}
