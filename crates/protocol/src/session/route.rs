//! Where the data goes: PASV, EPSV, PORT, EPRT (RFC 959 §4.1.2, RFC 2428).

use core::net::{IpAddr, SocketAddr};

use tidegate_types::{Moment, normalize_address};

use super::phase::{Pending, Phase};
use super::timers::Deadline;
use super::{Action, Actions, DataRoute, LEASE_TIMEOUT, PassiveEnd, PassiveError, RequestId, ServerSession};
use crate::address::{EpsvArg, format_epsv, format_pasv};
use crate::reply::{self, Reason};

/// The lowest port that active mode connects to (RFC 2577 §3).
const ACTIVE_PORT_MIN: u16 = 1024;

impl ServerSession {
    pub(super) fn pasv(&mut self, now: Moment, out: &mut Actions) {
        if self.parameters.only_epsv {
            return reply::write(&mut out.wire, Reason::EpsvAllForbids);
        }
        if self.peer.is_ipv6() {
            return reply::write(&mut out.wire, Reason::PassiveNeedsEpsv);
        }
        self.open_passive(false, now, out);
    }

    pub(super) fn epsv(&mut self, argument: EpsvArg, now: Moment, out: &mut Actions) {
        match argument {
            EpsvArg::All => {
                self.parameters.only_epsv = true;
                self.close_route(out);
                reply::write(&mut out.wire, Reason::EpsvAll);
            }
            EpsvArg::Family(family) if family != self.family() => self.wrong_family(out),
            EpsvArg::Any | EpsvArg::Family(_) => self.open_passive(true, now, out),
        }
    }

    fn open_passive(&mut self, extended: bool, now: Moment, out: &mut Actions) {
        self.close_route(out);
        let request = self.begin_asking(Pending::Passive { extended }, now);
        out.push(Action::OpenPassive { request, tells_address: !extended });
    }

    pub(super) fn passive_opened(
        &mut self,
        request: RequestId,
        answer: Result<PassiveEnd, PassiveError>,
        now: Moment,
        out: &mut Actions,
    ) {
        // An answer to something else must not end that: its client would wait for ever.
        if !matches!(self.phase, Phase::Asking { pending: Pending::Passive { .. }, .. }) {
            return;
        }
        let Some(Pending::Passive { extended }) = self.end_asking(request, now) else { return };
        match (answer, extended) {
            (Ok(PassiveEnd { port, .. }), true) => {
                let port = format_epsv(port);
                reply::write_with(&mut out.wire, Reason::PassiveExtended, &[port.as_bytes()]);
            }
            (Ok(PassiveEnd { address: IpAddr::V4(address), port }), false) => {
                let address = format_pasv(address, port);
                reply::write_with(&mut out.wire, Reason::PassiveOpened, &[address.as_bytes()]);
            }
            (Ok(_), false) => {
                out.push(Action::ClosePassive);
                return reply::write(&mut out.wire, Reason::PassiveNeedsEpsv);
            }
            (Err(PassiveError::NoFreePort(refusal)), _) => {
                return reply::refused_command(&refusal, &mut out.wire);
            }
            (Err(PassiveError::Failed), _) => return reply::write(&mut out.wire, Reason::DataCannotOpen),
        }
        self.parameters.route = Some(DataRoute::Passive);
        self.timers.arm(Deadline::Lease, now, LEASE_TIMEOUT);
    }

    /// PORT and EPRT: only to the client's own address and an unprivileged port (PROTOCOL A1). The old target was
    /// forgotten before the argument was read.
    pub(super) fn active(&mut self, to: SocketAddr, extended: bool, out: &mut Actions) {
        if self.parameters.only_epsv {
            return reply::write(&mut out.wire, Reason::EpsvAllForbids);
        }
        let address = normalize_address(to.ip());
        if address.is_ipv4() != self.peer.is_ipv4() {
            if extended {
                return self.wrong_family(out);
            }
            return reply::write(&mut out.wire, Reason::PortNeedsEprt);
        }
        if address != self.peer || to.port() < ACTIVE_PORT_MIN {
            return reply::write(&mut out.wire, Reason::PortForbidden);
        }
        self.parameters.route = Some(DataRoute::Active(SocketAddr::new(address, to.port())));
        reply::write(&mut out.wire, Reason::PortAccepted);
    }

    pub(super) fn wrong_family(&self, out: &mut Actions) {
        let offered: &[u8] = if self.family() == 1 { b"1" } else { b"2" };
        reply::write_with(&mut out.wire, Reason::ProtocolNotSupported, &[offered]);
    }

    /// Returns the peer's address family as EPRT and EPSV number it (RFC 2428 §2).
    const fn family(&self) -> u8 {
        if self.peer.is_ipv4() { 1 } else { 2 }
    }

    /// Forgets where the data goes, and frees the port.
    pub(super) fn close_route(&mut self, out: &mut Actions) {
        self.timers.disarm(Deadline::Lease);
        if self.parameters.route.take() == Some(DataRoute::Passive) {
            out.push(Action::ClosePassive);
        }
    }
}
