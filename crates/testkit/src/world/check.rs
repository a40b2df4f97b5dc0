//! What the world checks for itself, after every event and at the end.

use tidegate_types::AddressKey;

use super::{Connection, ConnectionId, Due, World};

impl World {
    /// Checks that nobody and nothing is left: call it when every connection is closed.
    pub fn check_empty(&self) {
        assert!(self.connections.iter().all(|connection| connection.closed.is_some()), "somebody is inside");
        assert_eq!(self.fs.handles_open(), 0, "open handles");
        assert_eq!(self.granted, self.released, "permits granted and released");
        assert!(self.permits.is_empty(), "live permits: {:?}", self.permits);
        let gate = self.gate.snapshot(self.clock.now());
        assert_eq!(
            (gate.connections, gate.addresses, gate.logins, gate.accounts, gate.anonymous),
            (0, 0, 0, 0, 0),
            "{gate:?}"
        );
        assert_eq!(gate.counters.stale_releases, 0, "permits released twice");
    }

    /// What must hold between two events.
    pub(super) fn check(&self, id: ConnectionId) {
        let connection = &self.connections[id];
        let session = &connection.session;
        if connection.closed.is_some() {
            return;
        }
        assert!(!connection.ledger.is_over(), "the last line was said, and nothing closes");
        assert!(session.next_deadline().is_some(), "no deadline is armed: {session:?}");
        assert_eq!(
            session.profile().is_some(),
            connection.login_permit.is_some(),
            "logged in without a permit"
        );
        let transferring = connection.running.is_some() || self.has_end_due(id);
        assert_eq!(session.is_transferring(), transferring, "{session:?}");
        // Logged in or not, nothing is open without somebody who asked for it.
        if session.profile().is_none() {
            let nothing =
                connection.opened.is_none() && connection.passive.is_none() && connection.home.is_none();
            assert!(nothing || self.is_logging_in(id), "something is open before login: {connection:?}");
        }
        self.check_limits(connection);
        assert_eq!(self.permits.len() as u64, self.granted - self.released);
    }

    /// Counts for itself what the gate must have counted.
    fn check_limits(&self, connection: &Connection) {
        let gate = self.gate.snapshot(self.clock.now());
        let inside = self.connections.iter().filter(|other| other.permit.is_some());
        let (address, count) = (AddressKey::of(connection.address), inside.clone().count());
        let neighbours = inside.clone().filter(|other| AddressKey::of(other.address) == address).count();
        let exceeds = |count: usize, limit: Option<u32>| limit.is_some_and(|limit| count > limit as usize);
        if gate.limits_changed.is_none() {
            assert!(!exceeds(count, Some(gate.limits.connections)), "{count} inside: {gate:?}");
            assert!(
                !exceeds(neighbours, gate.limits.connections_per_address),
                "{neighbours} of {address}: {gate:?}"
            );
        }
        if let Some(profile) = connection.session.profile() {
            let same = |other: &&Connection| {
                other.session.profile().is_some_and(|other| other.account == profile.account)
            };
            let logins = inside.filter(same).count();
            assert!(!exceeds(logins, profile.connections_max), "{logins} of {profile:?}");
        }
    }

    fn has_end_due(&self, id: ConnectionId) -> bool {
        let is_end = |(other, due): &(ConnectionId, Due)| *other == id && matches!(due, Due::End(_));
        self.due.values().any(is_end) || self.held.iter().any(is_end)
    }

    fn is_logging_in(&self, id: ConnectionId) -> bool {
        let is_gate = |(other, due): &(ConnectionId, Due)| *other == id && matches!(due, Due::Gate { .. });
        self.due.values().any(is_gate) || self.held.iter().any(is_gate)
    }
}
