//! What a session asks the gate for besides its connection: a login, a transfer.

use std::sync::Arc;

use tidegate_admission::Question;
use tidegate_protocol::session::{Event, Farewell, RequestId};
use tidegate_types::{AccountName, Cause, Refusal, Shown};
use tracing::info;

use super::ControlLoop;
use crate::gate::account_key;
use crate::tally::add;
use crate::weather::Stage;

impl ControlLoop {
    pub(super) fn ask_for_login(
        &mut self,
        request: RequestId,
        account: Option<AccountName>,
        connections_max: Option<u32>,
    ) {
        let name: Arc<str> = account.as_ref().map_or("anonymous", |name| name.0.as_str()).into();
        let shown = Shown(name.as_bytes());
        // A second login of this session must not count against the first.
        self.visitor.entered.card.logged_out();
        let question = Question::login(account_key(account), connections_max, self.visitor.peer.ip());
        match self.house.ask(&question) {
            Ok(permit) => {
                self.house.gate.authenticated(self.visitor.entered.card.connection);
                add(&self.house.tally.logins, 1);
                info!(session = self.visitor.id, account = %shown, "login");
                self.account = name.to_string();
                self.visitor.entered.card.logged_in(name, permit);
                self.answer(Event::GateAnswered(request, Ok(())));
            }
            Err(refusal) => {
                let closing = match &self.weather.borrow().stage {
                    Stage::Draining(closing) | Stage::Expired(closing) => Some(closing.farewell()),
                    Stage::Open => None,
                };
                // Counted and logged when the session closes.
                match closing.filter(|_| refusal.cause == Cause::Draining) {
                    Some(farewell) => self.answer(Event::LeaveNow(farewell)),
                    None => self.answer(Event::GateAnswered(request, Err(refusal))),
                }
            }
        }
    }

    pub(super) fn ask_for_transfer(&mut self, request: RequestId) {
        self.place = None;
        let answer = self.house.ask(&Question::Transfer { address: self.visitor.peer.ip() });
        let told = match answer {
            Ok(permit) => {
                self.place = Some(permit);
                Ok(())
            }
            Err(refusal) => {
                self.note_refused_command(&refusal);
                Err(refusal)
            }
        };
        self.answer(Event::GateAnswered(request, told));
    }

    /// Counts and logs a command that was refused while its session goes on.
    pub(super) fn note_refused_command(&self, refusal: &Refusal) {
        if let Some((count, total)) = self.house.note_refusal(refusal.cause) {
            let (cause, limit) = (refusal.cause.as_str(), refusal.limit);
            let account = Shown(self.account.as_bytes());
            info!(session = self.visitor.id, %account, cause, limit, count, total, "refused");
        }
    }

    pub(super) fn log_out(&mut self) {
        self.pending = None;
        self.opened = None;
        self.place = None;
        self.passive = None;
        self.home = None;
        self.account.clear();
        self.visitor.entered.card.logged_out();
        if let Err(refusal) = self.house.gate.unauthenticated(self.visitor.entered.card.connection) {
            self.answer(Event::LeaveNow(Farewell::new(refusal)));
        }
    }
}
