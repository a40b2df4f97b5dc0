//! The ports of a session: leased from the pool and the gate, told to the client, awaited.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tidegate_admission::Question;
use tidegate_net::{LeaseError, PassiveListener};
use tidegate_protocol::session::{PassiveEnd, PassiveError, RequestId};
use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::{Answer, ControlLoop, PendingKind, Visitor};
use crate::gate::PermitGuard;
use crate::house::{House, Passive};
use crate::transfer::Route;

/// A passive port, or why there is none.
pub(super) type Leased = Result<(LeasedPort, PassiveEnd), PassiveError>;

/// A leased port with its place in the gate.
pub(super) struct LeasedPort {
    pub(super) listener: PassiveListener,
    permit: PermitGuard,
}

/// A leased port before its transfer command. The client may connect first, and strangers must not keep it from doing so by
/// filling the queue of the listening socket (PROTOCOL §3.8): so connections are taken from the start.
pub(super) struct Awaiting {
    pub(super) port: LeasedPort,
    pub(super) came: Came,
}

pub(super) enum Came {
    Nobody,
    Client(TcpStream),
    /// The kernel would not; the transfer tries once more and tells.
    Failed,
}

impl Awaiting {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.came, Came::Nobody)
    }

    pub(super) fn into_route(self, peer: IpAddr) -> Route {
        match self.came {
            Came::Client(stream) => Route::Connected(stream),
            Came::Nobody | Came::Failed => Route::Passive(self.port.listener, peer, self.port.permit),
        }
    }
}

impl ControlLoop {
    pub(super) fn open_passive(&mut self, request: RequestId, tells_address: bool) {
        // Its port is free for the next lease.
        self.passive = None;
        let house = Arc::clone(&self.house);
        let ends = Ends::of(&self.visitor);
        let leased = match house.passive.get(self.visitor.listener) {
            Some(passive) => lease(&house, passive, ends),
            None => Err(PassiveError::Failed),
        };
        if let Err(PassiveError::NoFreePort(refusal)) = &leased {
            self.note_refused_command(refusal);
        }
        let place = self.visitor.listener;
        self.wait_for(PendingKind::Passive, async move {
            let leased = match (leased, house.passive.get(place)) {
                (Ok(listener), Some(passive)) if tells_address => {
                    Ok(with_address(&house, passive, ends, listener).await)
                }
                (Ok(listener), _) => Ok(plain(listener, ends)),
                (Err(error), _) => Err(error),
            };
            Answer::Passive(request, leased)
        });
    }

    /// Somebody the port was leased for has connected.
    pub(super) fn on_data_came(&mut self, stream: io::Result<TcpStream>) {
        let Some(awaiting) = &mut self.passive else { return };
        awaiting.came = match stream {
            Ok(stream) => Came::Client(stream),
            Err(error) => {
                debug!(session = self.visitor.id, %error, "taking a data connection");
                Came::Failed
            }
        };
    }
}

/// Both ends of a control connection, for its data connections.
#[derive(Clone, Copy, Debug)]
struct Ends {
    session: u64,
    peer: IpAddr,
    reached: SocketAddr,
    local: SocketAddr,
    is_proxied: bool,
}

impl Ends {
    fn of(visitor: &Visitor) -> Self {
        let Visitor { id, peer, reached, local, is_proxied, .. } = visitor;
        Self { session: *id, peer: peer.ip(), reached: *reached, local: *local, is_proxied: *is_proxied }
    }
}

/// Leases a port on the address the client reached: asks the gate first, which knows when one will be free.
fn lease(house: &Arc<House>, passive: &Passive, ends: Ends) -> Result<LeasedPort, PassiveError> {
    let leased = || {
        let total = u32::try_from(passive.ports.size()).unwrap_or(u32::MAX);
        (total, total.saturating_sub(u32::try_from(passive.ports.free()).unwrap_or(u32::MAX)))
    };
    let ask = |(ports, leased)| {
        house.ask(&Question::PassivePort { address: ends.peer, range: passive.range, ports, leased })
    };
    let complain = |error: &dyn fmt::Display| {
        if passive.may_complain(house.clock.now()) {
            warn!(session = ends.session, %error, "no passive port");
        }
    };
    let permit = ask(leased()).map_err(|refusal| {
        complain(&LeaseError::NoFreePort);
        PassiveError::NoFreePort(refusal)
    })?;
    match passive.ports.lease(ends.local) {
        Ok(listener) if ends.is_proxied => {
            Ok(LeasedPort { listener: listener.behind(Arc::clone(&passive.proxies)), permit })
        }
        Ok(listener) => Ok(LeasedPort { listener, permit }),
        Err(error) => {
            complain(&error);
            drop(permit);
            // Others took what was free when the gate was asked, or the system holds ports of the range.
            let refusal = match (error, leased()) {
                (LeaseError::NoFreePort, (ports, _)) => ask((ports, ports)).err(),
                (LeaseError::Io(_), _) => None,
            };
            Err(refusal.map_or(PassiveError::Failed, PassiveError::NoFreePort))
        }
    }
}

/// For EPSV, which tells a port only.
fn plain(port: LeasedPort, ends: Ends) -> (LeasedPort, PassiveEnd) {
    let end = PassiveEnd { address: ends.reached.ip(), port: port.listener.port() };
    (port, end)
}

/// For PASV: finds out which address to tell. When its name cannot be resolved, the address the client reached is the best
/// guess left.
async fn with_address(
    house: &House,
    passive: &Passive,
    ends: Ends,
    port: LeasedPort,
) -> (LeasedPort, PassiveEnd) {
    let (port, reached) = plain(port, ends);
    let Some(address) = passive.address.advertised(reached.address, ends.peer).await else {
        if passive.may_complain(house.clock.now()) {
            warn!(
                session = ends.session,
                "the passive address cannot be resolved; the address the client reached is told"
            );
        }
        return (port, reached);
    };
    (port, PassiveEnd { address, ..reached })
}
