//! What a shell does with the session's actions.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tidegate_admission::{Decision, Question};
use tidegate_protocol::session::{
    Action, CloseReason, DataRoute, Event, Farewell, Job, PassiveEnd, PassiveError, TransferPlan,
};
use tidegate_types::Cause;

use super::data::{Opened, Running};
use super::store::is_long;
use super::{Connection, ConnectionId, Due, World};

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
            Action::AskGate { request, question } => {
                assert!(self.connections[id].gate_request.is_none(), "two questions to the gate");
                self.connections[id].gate_request = Some(request);
                let after = self.latency();
                self.schedule(id, after, Due::Gate { request, question });
            }
            Action::Logout => return self.log_out(id),
            Action::OpenPassive { request, .. } => {
                self.assert_logged_in(id, "OpenPassive");
                self.connections[id].passive = None;
                self.release_port(id);
                self.connections[id].passive_request = Some(request);
                let after = self.latency();
                self.schedule(id, after, Due::Passive { request });
            }
            Action::ClosePassive => {
                self.connections[id].passive = None;
                self.connections[id].passive_request = None;
                self.release_port(id);
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
                let connection = &mut self.connections[id];
                connection.storage_request = None;
                connection.gate_request = None;
                connection.opened = None;
                self.release_transfer(id);
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

    /// Answers with the order to leave when too many are not logged in.
    fn log_out(&mut self, id: ConnectionId) -> Option<Event<'static>> {
        let connection = &mut self.connections[id];
        assert!(connection.running.is_none(), "logged out during a transfer");
        connection.home = None;
        connection.opened = None;
        connection.storage_request = None;
        connection.gate_request = None;
        connection.passive = None;
        self.release_transfer(id);
        self.release_port(id);
        if let Some(permit) = self.connections[id].permits.login.take() {
            self.release(permit);
        }
        let permit = self.connections[id].permits.connection?;
        match self.gate.unauthenticated(permit, self.clock.now()) {
            Ok(()) => {
                self.connections[id].authenticated = false;
                None
            }
            Err(refusal) => Some(Event::LeaveNow(Farewell::new(refusal))),
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
        let permits = std::mem::take(&mut connection.permits);
        let address = connection.address;
        self.live.remove(&id);
        for permit in permits.iter() {
            self.release(permit);
        }
        if reason == CloseReason::Refused(Cause::CommandFlood) {
            self.gate.flooded(address, self.clock.now());
        }
    }

    pub(super) fn lease(&mut self, id: ConnectionId) -> Result<PassiveEnd, PassiveError> {
        let ports_of = |one: &Connection| {
            u32::from(one.permits.port.is_some()) + u32::from(one.permits.moving_port.is_some())
        };
        let leased = self.live.iter().map(|id| ports_of(&self.connections[*id])).sum();
        let ports = self.ports_free.map_or(u32::MAX, |free| free.saturating_add(leased));
        // Where there is none at all, somebody else has them.
        let (ports, leased) = if ports == 0 { (1, 1) } else { (ports, leased) };
        let address = self.connections[id].address;
        match self.ask(&Question::PassivePort { address, range: 0, ports, leased }) {
            Decision::Admit(permit) => {
                self.note_granted(permit);
                assert!(self.connections[id].permits.port.replace(permit).is_none(), "two ports at once");
            }
            Decision::Refuse(refusal) => return Err(PassiveError::NoFreePort(refusal)),
            other => panic!("{other:?} to a request for a port"),
        }
        let port = self.next_port;
        self.next_port = if port == u16::MAX { 50_000 } else { port + 1 };
        self.connections[id].passive = Some(port);
        let address = match address {
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
            connection.permits.moving_port = connection.permits.port.take();
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
        self.release_transfer(id);
        let after = self.latency();
        self.schedule(id, after, Due::End(end));
    }

    pub(super) fn tell_opened(&mut self, id: ConnectionId) {
        self.tell(id, Event::DataOpened);
    }
}
