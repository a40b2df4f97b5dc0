//! Who comes is asked about before anything is spawned or allocated.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidegate_admission::{Question, TicketId};
use tidegate_net::{Caller, Doorman, LingerHandle, Verdict};
use tidegate_protocol::reply::{denied_line, refusal_line_with};
use tidegate_types::{Cause, Refusal, SignalKind};
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::control::{ControlLoop, Visitor};
use crate::gate::{Answer, PermitGuard};
use crate::house::House;
use crate::registry::Card;

/// How many sessions may lose their place for one newcomer before it is turned away: one makes room, more are a mistake.
pub(crate) const RECLAIMS_MAX: usize = 4;

/// Asks the gate about everybody who connects; spawns a session for each who is admitted.
pub(crate) struct Door {
    house: Arc<House>,
    linger: LingerHandle,
    runtime: Handle,
    next_session: AtomicU64,
    /// Those in the waiting room, by ticket: at most as many as the room has places.
    waiting: HashMap<u64, Caller>,
}

impl Door {
    pub(crate) fn new(house: Arc<House>, linger: LingerHandle, runtime: Handle) -> Self {
        Self { house, linger, runtime, next_session: AtomicU64::new(1), waiting: HashMap::new() }
    }

    /// Asks the gate, and makes room for the caller at the cost of another session where it says so.
    fn ask(&self, question: &Question) -> Answer {
        for _ in 0..RECLAIMS_MAX {
            let answer = self.house.gate.ask(question);
            let Answer::Reclaim(permit) = answer else { return answer };
            self.house.reclaim(permit);
        }
        // Whose places were to be taken have all just left: there is room, but who knows for whom.
        Answer::Refuse(Refusal::uncounted(Cause::AddressFull, 1))
    }

    fn judge(&mut self, answer: Answer, caller: &Caller, line: &mut Vec<u8>) -> Verdict<PermitGuard> {
        match answer {
            Answer::Admit(permit) => return Verdict::Admit(permit),
            Answer::Wait(ticket) => {
                self.waiting.insert(ticket.to_bits(), *caller);
                return Verdict::Wait(ticket.to_bits());
            }
            Answer::Refuse(refusal) => self.refuse(&refusal, caller, line),
            Answer::Deny => {
                denied_line(line);
                self.note(&Refusal::uncounted(Cause::Denied, 1), caller);
            }
            // Reclaiming is over before anything is judged.
            Answer::Reclaim(_) => {}
            Answer::Drop(cause) => self.note(&Refusal::uncounted(cause, 1), caller),
        }
        Verdict::Refuse
    }

    fn refuse(&mut self, refusal: &Refusal, caller: &Caller, line: &mut Vec<u8>) {
        let message = match refusal.cause {
            Cause::Draining => self.house.gate.drain_message(),
            _ => None,
        };
        refusal_line_with(refusal, message.as_deref(), line);
        self.house.tally.said(line);
        self.note(refusal, caller);
    }

    /// Counts a refusal; logs one a cause and second.
    fn note(&mut self, refusal: &Refusal, caller: &Caller) {
        if let Some((count, total)) = self.house.note_refusal(refusal.cause) {
            info!(
                cause = refusal.cause.as_str(),
                signal = refusal.signal.map(SignalKind::as_str),
                count,
                total,
                peer = %caller.peer,
                in_use = refusal.in_use,
                limit = refusal.limit,
                retry_after_secs = refusal.retry_after_secs,
                "refused at the door"
            );
        }
    }
}

impl Doorman for Door {
    type Permit = PermitGuard;

    fn decide(&mut self, caller: &Caller, line: &mut Vec<u8>) -> Verdict<PermitGuard> {
        let answer = self.ask(&question(caller));
        self.judge(answer, caller, line)
    }

    fn admit(&mut self, permit: PermitGuard, socket: TcpStream, caller: Caller, local: SocketAddr) {
        let _runtime = self.runtime.enter();
        let stream = match tokio::net::TcpStream::from_std(socket) {
            Ok(stream) => stream,
            Err(error) => {
                warn!(peer = %caller.peer, %error, "the event loop cannot take a connection");
                return;
            }
        };
        // Behind a proxy the caller is not the socket's own peer.
        let own = stream.peer_addr().map(tidegate_net::normalize_socket_address);
        let is_proxied = own.is_ok_and(|own| own != caller.peer);
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let card = Card::new(id, (caller.peer, caller.listener), permit, self.house.clock.now());
        let visitor = Visitor {
            id,
            stream: Arc::new(stream),
            peer: caller.peer,
            reached: caller.reached,
            local,
            listener: caller.listener,
            is_proxied,
            entered: self.house.registry.enter(card),
            linger: self.linger.clone(),
        };
        let session = ControlLoop::new(Arc::clone(&self.house), visitor);
        self.house.sessions.spawn_on(session.run(), &self.runtime);
    }

    fn exhausted(&mut self, caller: &Caller, line: &mut Vec<u8>) {
        let answer = self.house.gate.exhausted(&question(caller));
        // It is a refusal in any case; a permit would be given back here.
        let _ = self.judge(answer, caller, line);
    }

    fn next_answer(&mut self, line: &mut Vec<u8>) -> Option<(u64, Verdict<PermitGuard>)> {
        loop {
            let (ticket, answer) = self.house.gate.next_answer()?;
            // Who gave up meanwhile needs no answer; a permit that was granted drops here.
            if let Some(caller) = self.waiting.remove(&ticket.to_bits()) {
                return Some((ticket.to_bits(), self.judge(answer, &caller, line)));
            }
        }
    }

    fn gave_up(&mut self, ticket: u64) {
        if self.waiting.remove(&ticket).is_some() {
            self.house.gate.cancel(TicketId::from_bits(ticket));
        }
    }

    fn next_deadline(&mut self) -> Option<Duration> {
        self.house.gate.next_deadline()
    }
}

fn question(caller: &Caller) -> Question {
    Question::connection(caller.peer.ip(), u16::try_from(caller.listener).unwrap_or(u16::MAX))
}
