//! What a shell does with the session's actions.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tidegate_admission::{AccountKey, Decision, Question};
use tidegate_protocol::session::{
    Action, CloseReason, DataRoute, Event, Job, PassiveEnd, PassiveError, TransferPlan,
};
use tidegate_types::Refusal;

use super::data::{Opened, Running};
use super::store::is_long;
use super::{ConnectionId, Due, World};

impl World {
    /// Does what `action` says; what is answered on the spot comes back.
    pub(super) fn perform(&mut self, id: ConnectionId, action: Action) -> Option<Event<'static>> {
        match action {
            Action::CheckLogin { request, user, password } => {
                assert!(
                    self.connections[id].session.profile().is_none(),
                    "a login check for somebody logged in"
                );
                let after = self.latency();
                let password = password.expose().to_vec();
                self.schedule(id, after, Due::Login { request, user, password });
            }
            Action::AskGate { request, account, connections_max } => {
                let after = self.latency();
                let key = account.map_or(AccountKey::Anonymous, AccountKey::Named);
                self.schedule(id, after, Due::Gate { request, key, limit: connections_max });
            }
            Action::Logout => self.log_out(id),
            Action::OpenPassive { request, .. } => {
                self.assert_logged_in(id, "OpenPassive");
                self.connections[id].passive = None;
                self.connections[id].passive_request = Some(request);
                let after = self.latency();
                self.schedule(id, after, Due::Passive { request });
            }
            Action::ClosePassive => {
                self.connections[id].passive = None;
                self.connections[id].passive_request = None;
            }
            Action::Storage { request, what } => {
                self.assert_logged_in(id, "Storage");
                let connection = &mut self.connections[id];
                assert!(connection.storage_request.is_none(), "two storage requests at once: {what:?}");
                assert!(connection.running.is_none(), "storage asked during a transfer: {what:?}");
                connection.storage_request = Some(request);
                let after = self.latency();
                if is_long(&what) {
                    // On the way, and once too late.
                    self.schedule(id, after / 2, Due::Busy { request });
                    self.schedule(id, after * 2, Due::Busy { request });
                }
                self.schedule(id, after, Due::Storage { request, what: Box::new(what) });
            }
            Action::CancelStorage => {
                self.connections[id].storage_request = None;
                self.connections[id].opened = None;
            }
            Action::BeginTransfer(plan) => self.begin_transfer(id, plan),
            Action::AbortTransfer => self.data_abort(id),
            Action::AskProgress => return Some(Event::Progress(self.data_progress(id))),
            Action::AskWallTime { request } => return Some(Event::WallTimeTold(request, self.clock.wall())),
            Action::Note(note, text) => self.connections[id].notes.push((note, text)),
            Action::Close(reason) => self.close(id, reason),
        }
        None
    }

    fn assert_logged_in(&self, id: ConnectionId, what: &str) {
        assert!(self.connections[id].session.profile().is_some(), "{what} before login");
        assert!(self.connections[id].home.is_some(), "{what} without a home");
    }

    fn log_out(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id];
        assert!(connection.running.is_none(), "logged out during a transfer");
        connection.home = None;
        connection.opened = None;
        connection.storage_request = None;
        if let Some(permit) = connection.login_permit.take() {
            self.release(permit);
        }
    }

    fn close(&mut self, id: ConnectionId, reason: CloseReason) {
        let connection = &mut self.connections[id];
        assert!(
            connection.ledger.is_over() || matches!(reason, CloseReason::PeerClosed | CloseReason::NotFtp),
            "closed without a last line: {reason:?}"
        );
        assert!(connection.session.next_deadline().is_none() && !connection.session.wants_lines());
        connection.closed = Some(reason);
        connection.running = None;
        connection.opened = None;
        connection.home = None;
        connection.passive = None;
        let permits = [connection.permit.take(), connection.login_permit.take()];
        for permit in permits.into_iter().flatten() {
            self.release(permit);
        }
    }

    pub(super) fn ask_gate(
        &mut self,
        id: ConnectionId,
        key: AccountKey,
        limit: Option<u32>,
    ) -> Result<(), Refusal> {
        match self.gate.ask(&Question::login(key, limit, self.connections[id].address), self.clock.now()) {
            Decision::Admit(permit) => {
                assert!(self.connections[id].login_permit.is_none(), "logged in twice");
                self.connections[id].login_permit = Some(permit);
                self.note_granted(permit);
                Ok(())
            }
            Decision::Refuse(refusal) => {
                assert!(refusal.retry_after_secs > 0, "{refusal:?}");
                self.connections[id].home = None;
                Err(refusal)
            }
            other => panic!("worlds switch nothing on that answers {other:?}"),
        }
    }

    pub(super) fn lease(&mut self, id: ConnectionId) -> Result<PassiveEnd, PassiveError> {
        if self.ports_free == Some(0) {
            return Err(PassiveError::NoFreePort);
        }
        let port = self.next_port;
        self.next_port = if port == u16::MAX { 50_000 } else { port + 1 };
        self.connections[id].passive = Some(port);
        let address = match self.connections[id].address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 21)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x21)),
        };
        Ok(PassiveEnd { address, port })
    }

    fn begin_transfer(&mut self, id: ConnectionId, plan: TransferPlan) {
        self.last_due += 1;
        let number = self.last_due;
        let connection = &mut self.connections[id];
        assert!(connection.running.is_none(), "a second transfer");
        let opened = connection.opened.take().expect("storage opened what is moved");
        match (&plan.job, &opened) {
            (Job::Download { offset, size }, Opened::Download(reader)) => {
                assert!(offset <= size && *size <= reader.size(), "{plan:?}");
            }
            (Job::Upload { .. }, Opened::Upload(_)) | (Job::List(_), Opened::Listing(_)) => {}
            _ => panic!("{plan:?} of something else: {opened:?}"),
        }
        if plan.route == DataRoute::Passive {
            assert!(connection.passive.take().is_some(), "a passive transfer without a port");
        }
        if let DataRoute::Active(to) = plan.route {
            assert_eq!(to.ip(), connection.address, "connects to a stranger");
            assert!(to.port() >= 1024, "connects to {to}");
        }
        let line = connection.ledger.front().unwrap_or_default().to_vec();
        let script = connection.scripts_of_lines.remove(&line).or_else(|| connection.scripts.pop_front());
        let script = script.unwrap_or_default();
        let opens_after = script.opens_after;
        connection.running = Some(Running::new((number, line), plan, opened, (script, self.clock.now())));
        if let Some(after) = opens_after {
            let latency = self.latency();
            self.schedule(id, after + latency, Due::DataOpen(number));
        }
    }

    /// Ends the running transfer in the session's eyes, after whatever the news takes.
    pub(super) fn end_transfer(&mut self, id: ConnectionId, end: tidegate_protocol::session::TransferEnd) {
        self.connections[id].running = None;
        let after = self.latency();
        self.schedule(id, after, Due::End(end));
    }

    pub(super) fn tell_opened(&mut self, id: ConnectionId) {
        self.tell(id, Event::DataOpened);
    }
}
