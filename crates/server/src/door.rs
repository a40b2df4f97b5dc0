//! Who comes is asked about before anything is spawned or allocated.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_net::{Caller, Doorman, LingerHandle, Verdict};
use tidegate_protocol::reply::refusal_line;
use tidegate_types::Refusal;
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::control::{ControlLoop, Visitor};
use crate::gate::PermitGuard;
use crate::house::House;
use crate::sampler::Sampler;

/// Asks the gate about everybody who connects; spawns a session for each who is admitted.
pub(crate) struct Door {
    house: Arc<House>,
    linger: LingerHandle,
    runtime: Handle,
    sampler: Sampler,
    next_session: AtomicU64,
}

impl Door {
    pub(crate) fn new(house: Arc<House>, linger: LingerHandle, runtime: Handle) -> Self {
        Self { house, linger, runtime, sampler: Sampler::new(), next_session: AtomicU64::new(1) }
    }

    fn refuse(&mut self, refusal: &Refusal, caller: &Caller, line: &mut Vec<u8>) {
        refusal_line(refusal, line);
        let total = self.house.tally.refused(refusal.cause);
        if let Some(count) = self.sampler.note(refusal.cause, self.house.clock.now()) {
            info!(
                cause = refusal.cause.as_str(),
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
        match self
            .house
            .gate
            .ask_connection(caller.peer.ip(), u16::try_from(caller.listener).unwrap_or(u16::MAX))
        {
            Ok(permit) => Verdict::Admit(permit),
            Err(refusal) => {
                self.refuse(&refusal, caller, line);
                Verdict::Refuse
            }
        }
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
        let visitor = Visitor {
            id: self.next_session.fetch_add(1, Ordering::Relaxed),
            stream: Arc::new(stream),
            peer: caller.peer,
            local,
            listener: caller.listener,
            permit,
            linger: self.linger.clone(),
        };
        let session = ControlLoop::new(Arc::clone(&self.house), visitor);
        self.house.sessions.spawn_on(session.run(), &self.runtime);
    }

    fn exhausted(&mut self, caller: &Caller, line: &mut Vec<u8>) {
        let refusal = self.house.gate.exhausted();
        self.refuse(&refusal, caller, line);
    }
}
