//! What a session shows of itself, and what it is told by those outside: the house, an operator, the gate.

use tidegate_protocol::session::Event;
use tidegate_types::Moment;

use super::{ControlLoop, Pending, PendingKind, Work};
use crate::registry::{DoingNow, Order};
use crate::weather::{Stage, Weather};

impl ControlLoop {
    /// Tells those who look in what the session does, and the gate how idle it is, as far as that changed.
    pub(super) fn show(&mut self, now: Moment) {
        let work = match (&self.transfer, &self.pending) {
            (Some(_), _) => Work::Moving,
            (None, Some(Pending { watch: Some(_), .. })) => Work::Working("job"),
            (None, Some(Pending { kind: PendingKind::Login, .. })) => Work::Working("login"),
            (None, Some(Pending { kind: PendingKind::Storage, .. })) => Work::Working("storage"),
            (None, Some(Pending { kind: PendingKind::Passive, .. })) => Work::Working("passive"),
            (None, None) if self.session.profile().is_some() => Work::Idle,
            (None, None) => Work::LoggingIn,
        };
        let changed = work != self.work;
        self.work = work;
        if changed {
            match work {
                Work::LoggingIn => self.visitor.entered.card.does(DoingNow::LoggingIn),
                Work::Idle => self.visitor.entered.card.does(DoingNow::Idle),
                Work::Working(what) => self.visitor.entered.card.does(DoingNow::Working(what)),
                // Shown when it began, with all it moves.
                Work::Moving => {}
            }
        }
        let is_fresh = std::mem::take(&mut self.is_fresh);
        if self.house.gate.looks_at_idleness() {
            let is_unknown = std::mem::take(&mut self.is_unknown);
            let permits = self.visitor.entered.card.permits();
            match work {
                Work::Working(_) | Work::Moving if changed || is_unknown => self.house.gate.busy(permits),
                Work::LoggingIn | Work::Idle if changed || is_fresh || is_unknown => {
                    self.is_noted_dead = false;
                    self.house.gate.touched(permits);
                }
                _ => {}
            }
        }
        if is_fresh || changed {
            self.visitor.entered.card.spoke(now);
        }
    }

    pub(super) fn on_weather(&mut self, weather: &Weather) {
        self.tell(Event::Pressed(weather.percent));
        // The gate may have begun to look: it is told where this session stands.
        self.is_unknown = true;
        match &weather.stage {
            Stage::Open => self.tell(Event::Stay),
            Stage::Draining(closing) => self.tell(Event::LeaveSoon(closing.farewell())),
            Stage::Expired(closing) => self.tell(Event::LeaveNow(closing.farewell())),
        }
    }

    pub(super) fn on_order(&mut self) {
        match self.visitor.entered.card.take_order() {
            Some(Order::LeaveSoon(farewell)) => self.tell(Event::LeaveSoon(farewell)),
            Some(Order::LeaveNow(farewell)) => self.tell(Event::LeaveNow(farewell)),
            Some(Order::LookAtPeer) => {
                let is_dead = tidegate_net::is_peer_unreachable(&*self.visitor.stream);
                if is_dead {
                    self.house.gate.note_dead(self.visitor.entered.card.permits());
                }
                // Who answers again is dead no more.
                self.is_unknown |= self.is_noted_dead && !is_dead;
                self.is_noted_dead = is_dead;
            }
            None => {}
        }
    }
}
