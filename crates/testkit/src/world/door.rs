//! How the world asks its gate: who enters, who waits, whose place is taken, and what is told to those who stay outside.

use core::net::IpAddr;
use core::time::Duration;
use std::hash::Hasher;
use std::sync::Arc;

use tidegate_admission::{
    AccountKey, Decision, Explanation, Grant, Limits, Outcome, PermitId, Question, TicketId,
};
use tidegate_protocol::line::LineReader;
use tidegate_protocol::reply::{denied_line, refusal_line_with};
use tidegate_protocol::session::{Event, Farewell, GateQuestion, ServerSession};
use tidegate_types::{Cause, Moment, Refusal};

use super::{Connection, ConnectionId, Permits, World};
use crate::Ledger;

/// How often a newcomer may take somebody's place before it is refused.
const RECLAIMS_MAX: u32 = 3;

/// What came of somebody who knocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knock {
    /// It is inside and was greeted.
    Inside(ConnectionId),
    /// It waits for its greeting.
    Waits(TicketId),
    /// It was told this line, or nothing, and the connection is closed.
    Refused(Vec<u8>),
}

/// Somebody who waits before the door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    address: IpAddr,
    listener: u16,
    until: Moment,
}

impl World {
    /// Connects from `address` to the first listener of a house without a waiting room. Errors: the line with which the gate
    /// refuses, empty when it closes without a word.
    pub fn connect_from(&mut self, address: IpAddr) -> Result<ConnectionId, Vec<u8>> {
        match self.knock(address, 0) {
            Knock::Inside(id) => Ok(id),
            Knock::Refused(line) => Err(line),
            Knock::Waits(ticket) => panic!("{ticket:?} waits: use `knock`"),
        }
    }

    /// Connects from `address` to `listener`.
    pub fn knock(&mut self, address: IpAddr, listener: u16) -> Knock {
        let question = Question::connection(address, listener);
        let decision = self.ask(&question);
        let knock = if let Decision::Wait(ticket, until) = decision {
            let hold = self.gate.snapshot(self.clock.now()).limits.waiting_room.hold;
            assert_eq!(until, self.clock.now() + hold, "waits for something else");
            let known = self.visitors.insert(ticket, Visitor { address, listener, until });
            assert!(known.is_none(), "a ticket is given twice");
            Knock::Waits(ticket)
        } else {
            self.open(decision, address, listener)
        };
        self.settle();
        knock
    }

    /// Takes a place of the gate for ever, without a session.
    pub fn occupy(&mut self, question: &Question) {
        let decision = self.ask(question);
        assert!(matches!(decision, Decision::Admit(_)), "{decision:?}");
        self.occupied = true;
    }

    /// Takes out who was called in, or sent away, after waiting.
    pub fn take_called(&mut self) -> Vec<(TicketId, Knock)> {
        std::mem::take(&mut self.called)
    }

    /// Returns who waits.
    pub fn visitors(&self) -> Vec<TicketId> {
        self.visitors.keys().copied().collect()
    }

    /// Lets somebody who waits go away.
    pub fn give_up(&mut self, ticket: TicketId) {
        if self.visitors.remove(&ticket).is_some() {
            self.gate.cancel(ticket, self.clock.now());
        }
        self.settle();
    }

    /// Replaces the gate's limits.
    pub fn relimit(&mut self, limits: Limits) {
        self.gate.relimit(limits, self.clock.now());
        self.settle();
    }

    /// Notes that the peer of a connection seems to be gone.
    pub fn seem_dead(&mut self, id: ConnectionId) {
        self.connections[id].seems_dead = true;
        for permit in self.idle_permits(id) {
            self.gate.note_dead(permit);
        }
    }

    /// Lets in, or sends away, those whose wait has ended.
    pub(super) fn call_in(&mut self) {
        if self.visitors.is_empty() {
            return;
        }
        let now = self.clock.now();
        while let Some(Grant { ticket, decision }) = self.gate.poll_grant(now) {
            let Visitor { address, listener, until } =
                self.visitors.remove(&ticket).expect("a wait ends once, and for somebody who waits");
            if let Decision::Refuse(refusal) = decision {
                let hopeless = matches!(refusal.cause, Cause::Banned | Cause::Draining);
                assert!(until <= now || hopeless, "{refusal:?} before {until:?}");
            }
            self.note(&format!("{ticket:?} {decision:?}"));
            self.refused_waits += u64::from(!matches!(decision, Decision::Admit(_)));
            let knock = self.open(decision, address, listener);
            self.called.push((ticket, knock));
        }
    }

    /// Checks that nobody waits for nothing.
    pub(super) fn check_door(&self) {
        let now = self.clock.now();
        for (ticket, visitor) in &self.visitors {
            assert!(now < visitor.until, "{ticket:?} waits for ever");
            let question = Question::connection(visitor.address, visitor.listener);
            let explained = self.gate.explain(&question, now);
            assert_ne!(explained.outcome, Outcome::Admit, "{ticket:?} waits before a free place");
        }
    }

    /// Tells sessions how much of their timeouts is left, when that has changed.
    pub(super) fn press(&mut self) {
        // Halves and quarters: exact.
        let percent = match self.gate.timeout_factor(self.clock.now()) {
            factor if factor > 0.9 => 100,
            factor if factor > 0.4 => 50,
            _ => 25,
        };
        if percent != self.percent {
            self.percent = percent;
            for id in self.live.clone() {
                self.tell(id, Event::Pressed(percent));
            }
        }
    }

    /// Asks the gate, which explains itself first and must keep to it; makes room where it says so.
    pub(super) fn ask(&mut self, question: &Question) -> Decision {
        for _ in 0..RECLAIMS_MAX {
            let now = self.clock.now();
            let explained = self.gate.explain(question, now);
            let decision = self.gate.ask(question, now);
            check_agreement(&explained, decision);
            self.note(&format!("{question:?} {decision:?}"));
            let Decision::Reclaim(victim) = decision else { return decision };
            self.reclaim(victim);
        }
        Decision::Refuse(Refusal::uncounted(Cause::Overloaded, 1))
    }

    pub(super) fn ask_gate(&mut self, id: ConnectionId, question: GateQuestion) -> Result<(), Refusal> {
        let address = self.connections[id].address;
        let is_login = matches!(question, GateQuestion::Login { .. });
        let question = match question {
            GateQuestion::Login { account, connections_max } => {
                let key = account.map_or(AccountKey::Anonymous, AccountKey::Named);
                Question::login(key, connections_max, address)
            }
            GateQuestion::Transfer => Question::Transfer { address },
        };
        let decision = self.ask(&question);
        let permits = &mut self.connections[id].permits;
        match decision {
            Decision::Admit(permit) if is_login => {
                assert!(permits.login.replace(permit).is_none(), "logged in twice");
                self.note_granted(permit);
                self.connections[id].authenticated = true;
                if let Some(connection) = self.connections[id].permits.connection {
                    self.gate.authenticated(connection, self.clock.now());
                }
                Ok(())
            }
            Decision::Admit(permit) => {
                assert!(permits.transfer.replace(permit).is_none(), "two transfers at once");
                self.note_granted(permit);
                Ok(())
            }
            Decision::Refuse(refusal) => {
                if is_login {
                    self.connections[id].home = None;
                }
                Err(refusal)
            }
            other => panic!("{other:?} to somebody inside"),
        }
    }

    pub(super) fn note_granted(&mut self, permit: PermitId) {
        assert!(self.permits.insert(permit), "a live permit was granted again");
        self.granted += 1;
    }

    pub(super) fn release(&mut self, permit: PermitId) {
        assert!(self.permits.remove(&permit), "a permit is released twice");
        self.released += 1;
        self.gate.release(permit, self.clock.now());
    }

    /// Gives back the place of a transfer that has ended, or does not begin.
    pub(super) fn release_transfer(&mut self, id: ConnectionId) {
        let permits = &mut self.connections[id].permits;
        for permit in [permits.transfer.take(), permits.moving_port.take()].into_iter().flatten() {
            self.release(permit);
        }
    }

    pub(super) fn release_port(&mut self, id: ConnectionId) {
        if let Some(permit) = self.connections[id].permits.port.take() {
            self.release(permit);
        }
    }

    /// Tells the gate whether a session may be reclaimed.
    pub(super) fn note_idleness(&mut self, id: ConnectionId) {
        let connection = &self.connections[id];
        let works = connection.running.is_some()
            || connection.storage_request.is_some()
            || connection.gate_request.is_some()
            || !connection.ledger.is_settled();
        let now = self.clock.now();
        for permit in self.idle_permits(id) {
            if works {
                self.gate.busy(permit);
            } else {
                self.gate.touched(permit, now);
            }
        }
    }

    pub(super) fn note(&mut self, line: &str) {
        self.log.write(line.as_bytes());
    }

    /// Returns the permits under which the gate knows a session as idle or not.
    fn idle_permits(&self, id: ConnectionId) -> Vec<PermitId> {
        let permits = &self.connections[id].permits;
        [permits.connection, permits.login].into_iter().flatten().collect()
    }

    /// Takes the place of a session away at once; the session itself leaves as soon as it can.
    fn reclaim(&mut self, victim: PermitId) {
        let holds = |id: &ConnectionId| self.connections[*id].permits.iter().any(|held| held == victim);
        let id = self.live.iter().copied().find(holds).expect("the victim is inside");
        let connection = &mut self.connections[id];
        assert!(connection.running.is_none() || connection.seems_dead, "somebody at work is reclaimed");
        connection.reclaimed = true;
        let permits = &mut connection.permits;
        let held =
            if permits.connection == Some(victim) { &mut permits.connection } else { &mut permits.login };
        assert_eq!(held.take(), Some(victim), "neither a connection nor a login");
        self.release(victim);
        let farewell = Farewell::new(Refusal::uncounted(Cause::Reclaimed, 1));
        self.tell(id, Event::LeaveNow(farewell));
    }

    /// Does with somebody who knocked as was decided.
    fn open(&mut self, decision: Decision, address: IpAddr, listener: u16) -> Knock {
        let mut line = Vec::new();
        match decision {
            Decision::Admit(permit) => return Knock::Inside(self.enter(permit, address, listener)),
            Decision::Refuse(refusal) => {
                assert!(refusal.retry_after_secs > 0, "{refusal:?}");
                let message = self.gate.drain_message().filter(|_| refusal.cause == Cause::Draining);
                refusal_line_with(&refusal, message, &mut line);
            }
            Decision::Deny => denied_line(&mut line),
            Decision::Drop(_) => {}
            other => panic!("{other:?} is no last word"),
        }
        Knock::Refused(line)
    }

    fn enter(&mut self, permit: PermitId, address: IpAddr, listener: u16) -> ConnectionId {
        self.note_granted(permit);
        let limits = self.gate.snapshot(self.clock.now()).limits;
        self.connections.push(Connection {
            session: ServerSession::new(Arc::clone(&self.settings), address),
            lines: LineReader::new(),
            inbox: Vec::new(),
            ledger: Ledger::default(),
            wire: Vec::new(),
            address,
            listener,
            permits: Permits { connection: Some(permit), ..Permits::default() },
            reserved: limits.is_reserved(address),
            authenticated: false,
            reclaimed: false,
            seems_dead: false,
            home: None,
            gate_request: None,
            storage_request: None,
            passive_request: None,
            opened: None,
            passive: None,
            running: None,
            scripts: std::collections::VecDeque::new(),
            scripts_of_lines: std::collections::BTreeMap::new(),
            received: Vec::new(),
            notes: Vec::new(),
            closed: None,
            eof: false,
            eof_told: false,
        });
        let id = self.connections.len() - 1;
        self.live.insert(id);
        self.tell(id, Event::Opened);
        if self.percent != 100 {
            self.tell(id, Event::Pressed(self.percent));
        }
        id
    }
}

/// Checks a decision against what was explained the moment before.
fn check_agreement(explained: &Explanation, decision: Decision) {
    let outcome = match decision {
        Decision::Admit(_) => Outcome::Admit,
        Decision::Wait(..) => Outcome::Wait,
        Decision::Reclaim(victim) => Outcome::Reclaim(victim),
        Decision::Refuse(_) => Outcome::Refuse,
        Decision::Deny => Outcome::Deny,
        Decision::Drop(_) => Outcome::Drop,
    };
    assert_eq!(explained.outcome, outcome, "{explained:?} {decision:?}");
    let first = explained.checks.iter().find(|check| check.refuses).map(|check| check.cause);
    assert_eq!(explained.cause, first, "{explained:?}");
    match decision {
        Decision::Refuse(refusal) => {
            let told = explained.refusal.expect("it is refused for now");
            assert!(refusal.retry_after_secs >= 1 && told.retry_after_secs >= 1, "{refusal:?}");
            let retry_after_secs = refusal.retry_after_secs;
            assert_eq!(Refusal { retry_after_secs, ..told }, refusal);
            if matches!(refusal.cause, Cause::Draining | Cause::Banned | Cause::Rate) {
                assert_eq!(told.retry_after_secs, retry_after_secs, "{:?} is exact", refusal.cause);
            }
        }
        Decision::Drop(cause) => assert_eq!(explained.cause, Some(cause)),
        Decision::Deny => assert_eq!(explained.cause, Some(Cause::Denied)),
        Decision::Admit(_) => assert_eq!(explained.cause, None),
        Decision::Wait(..) | Decision::Reclaim(_) => {}
    }
}

/// Long enough for everything that is remembered to be worth nothing any more.
pub(super) const LONG: Duration = Duration::from_hours(10_000);
