//! What the world checks for itself, after every event and at the end.

use std::collections::BTreeMap;

use tidegate_admission::Snapshot;
use tidegate_types::{AccountName, AddressKey};

use super::door::LONG;
use super::{Connection, ConnectionId, Due, World};

/// What a limit bounds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    All,
    Ordinary,
    Unauthenticated,
    Listener(u16),
    Address(AddressKey),
    Transfers,
    TransfersOf(AddressKey),
    /// `None`: anonymous.
    Account(Option<AccountName>),
}

impl World {
    /// Checks that nobody and nothing is left: call it when every connection is closed.
    pub fn check_empty(&self) {
        assert!(self.live.is_empty() && self.visitors.is_empty(), "somebody is inside");
        assert_eq!(self.fs.handles_open(), 0, "open handles");
        assert_eq!(self.granted, self.released, "permits granted and released");
        assert!(self.permits.is_empty(), "live permits: {:?}", self.permits);
        let gate = self.gate.snapshot(self.clock.now());
        assert_eq!(
            (gate.connections, gate.addresses, gate.logins, gate.accounts, gate.anonymous),
            (0, 0, 0, 0, 0),
            "{gate:?}"
        );
        let pools = [&gate.server, &gate.unauthenticated, &gate.handshakes, &gate.transfers];
        let pooled: u32 = pools.into_iter().chain(&gate.listeners).map(|pool| pool.in_use).sum();
        assert_eq!((gate.reserved, gate.ports, gate.waiting, pooled), (0, 0, 0, 0), "{gate:?}");
        assert_eq!(gate.counters.stale_releases, 0, "permits released twice");
        let counters = &gate.counters;
        assert_eq!(
            counters.waited,
            counters.granted + counters.cancelled + self.refused_waits,
            "every wait ends once"
        );
        let mut later = self.gate.clone();
        later.tidy(self.clock.now() + LONG);
        assert_eq!(later.kept(), 0, "something is kept for ever");
    }

    /// What must hold between two events.
    pub(super) fn check(&mut self, id: ConnectionId) {
        let connection = &self.connections[id];
        let session = &connection.session;
        if connection.closed.is_some() {
            return;
        }
        assert!(!connection.ledger.is_over(), "the last line was said, and nothing closes");
        assert!(session.next_deadline().is_some(), "no deadline is armed: {session:?}");
        let has_permit = connection.permits.login.is_some();
        assert!(
            session.profile().is_some() == has_permit || (connection.reclaimed && !has_permit),
            "logged in without a permit, or the other way round"
        );
        let transferring = connection.running.is_some() || self.has_end_due(id);
        assert_eq!(session.is_transferring(), transferring, "{session:?}");
        // Logged in or not, nothing is open without somebody who asked for it.
        if session.profile().is_none() {
            let nothing =
                connection.opened.is_none() && connection.passive.is_none() && connection.home.is_none();
            assert!(
                nothing || connection.gate_request.is_some(),
                "something is open before login: {connection:?}"
            );
        }
        let permits = &connection.permits;
        let asks = connection.gate_request.is_some() || connection.storage_request.is_some();
        let moves = connection.running.is_some() || connection.opened.is_some();
        assert!(permits.transfer.is_none() || asks || moves, "a place for no transfer: {connection:?}");
        assert!(connection.running.is_none() || permits.transfer.is_some(), "moves without a place");
        assert!(permits.moving_port.is_none() || connection.running.is_some(), "a port is kept");
        assert_eq!(permits.port.is_some(), connection.passive.is_some(), "a port and its permit");
        assert_eq!(self.permits.len() as u64, self.granted - self.released);
        // Somebody who waited may have a place and not know it yet.
        let now = self.clock.now();
        let has_answers = !self.visitors.is_empty() && self.gate.next_deadline(now) == Some(now);
        if !self.occupied && !has_answers {
            self.check_counts();
        }
    }

    /// Counts for itself what the gate must have counted, and compares that with the limits: nothing is above its limit unless it
    /// was above a limit that was made smaller, and then the number only falls.
    fn check_counts(&mut self) {
        let gate = self.gate.snapshot(self.clock.now());
        let counts = self.counts();
        let count = |what: &Counted| counts.get(what).copied().unwrap_or(0);
        assert_eq!(gate.connections, count(&Counted::All), "{gate:?}");
        assert_eq!(gate.connections - gate.reserved, count(&Counted::Ordinary), "{gate:?}");
        assert_eq!(gate.unauthenticated.in_use, count(&Counted::Unauthenticated), "{gate:?}");
        assert_eq!(gate.transfers.in_use, count(&Counted::Transfers), "{gate:?}");
        let holders = |wanted: fn(&Counted) -> bool| counts.keys().filter(|what| wanted(what)).count();
        assert_eq!(gate.addresses, holders(|what| matches!(what, Counted::Address(_))), "{gate:?}");
        assert_eq!(gate.accounts, holders(|what| matches!(what, Counted::Account(_))), "{gate:?}");
        assert_eq!(gate.waiting as usize, self.visitors.len(), "{gate:?}");
        for (what, count) in &counts {
            let limit = self.limit(what, &gate);
            let before = self.counted.get(what).copied().unwrap_or(0);
            assert!(
                limit.is_none_or(|limit| *count <= limit.max(before)),
                "{what:?}: {count} of {limit:?}, before {before}"
            );
        }
        self.counted = counts;
    }

    fn counts(&self) -> BTreeMap<Counted, u32> {
        let mut counts = BTreeMap::new();
        for id in &self.live {
            let one = &self.connections[*id];
            let key = AddressKey::of(one.address);
            let is_inside = one.permits.connection.is_some();
            let holds = [
                (is_inside, Counted::All),
                (is_inside && !one.reserved, Counted::Ordinary),
                (is_inside && !one.reserved && !one.authenticated, Counted::Unauthenticated),
                (is_inside, Counted::Listener(one.listener)),
                (is_inside, Counted::Address(key)),
                (one.permits.transfer.is_some(), Counted::Transfers),
                (one.permits.transfer.is_some(), Counted::TransfersOf(key)),
            ];
            let account = one.session.profile().filter(|_| one.permits.login.is_some());
            let account = account.map(|profile| (true, Counted::Account(profile.account.clone())));
            for (_, what) in holds.into_iter().chain(account).filter(|(holds, _)| *holds) {
                *counts.entry(what).or_default() += 1;
            }
        }
        counts
    }

    fn limit(&self, what: &Counted, gate: &Snapshot) -> Option<u32> {
        let limits = &gate.limits;
        match what {
            Counted::All => Some(limits.connections),
            Counted::Ordinary => Some(limits.connections.saturating_sub(limits.reserved.connections)),
            Counted::Unauthenticated => limits.connections_unauthenticated,
            Counted::Listener(number) => limits.listeners.get(usize::from(*number))?.connections,
            Counted::Address(key) => limits.connections_of(self.address_of(*key)?),
            Counted::Transfers => limits.transfers,
            Counted::TransfersOf(key) => limits.transfers_of(self.address_of(*key)?),
            Counted::Account(name) => {
                let is_theirs =
                    |one: &&Connection| one.session.profile().is_some_and(|profile| profile.account == *name);
                let mut inside = self.live.iter().map(|id| &self.connections[*id]);
                inside.find(is_theirs)?.session.profile()?.connections_max
            }
        }
    }

    fn address_of(&self, key: AddressKey) -> Option<core::net::IpAddr> {
        let addresses = self.live.iter().map(|id| self.connections[*id].address);
        addresses.into_iter().find(|address| AddressKey::of(*address) == key)
    }

    fn has_end_due(&self, id: ConnectionId) -> bool {
        let is_end = |(other, due): &(ConnectionId, Due)| *other == id && matches!(due, Due::End(_));
        self.due.values().any(is_end) || self.held.iter().any(is_end)
    }
}
