use hashbrown::HashMap;
use tidegate_types::{AddressKey, Cause, Moment};

use super::check::Asked;
use super::{Engine, Entrance, Group, Guest, Held};
use crate::keyed::Keyed;
use crate::limits::Rate;
use crate::permits::PermitId;
use crate::pool::Pool;
use crate::question::{AccountKey, Question, Rule};
use crate::rate::Bucket;

impl Engine {
    /// Counts one more inside, and what the shadow limits would have refused.
    pub(super) fn admit(&mut self, question: &Question, asked: &Asked<'_>, now: Moment) -> PermitId {
        match question {
            Question::Connection { .. } => self.admit_connection(asked, now),
            Question::Handshake { .. } => {
                let shadow = self.limits.shadow.handshakes;
                self.shadow(Cause::HandshakesFull, self.handshakes.pool.in_use(), shadow);
                self.handshakes.pool.enter(now);
                self.handshakes.note(Some(self.limits.handshakes), now);
                self.counters.handshakes_admitted = self.counters.handshakes_admitted.saturating_add(1);
                self.permits.grant(Held::Handshake, now)
            }
            Question::Login { account, .. } => self.admit_login(account, now),
            Question::Transfer { .. } => self.admit_transfer(asked.key, now),
            Question::PassivePort { range, .. } => {
                let at = usize::from(*range);
                while self.ports.len() <= at {
                    self.ports.push(Pool::new(now));
                }
                if let Some(pool) = self.ports.get_mut(at) {
                    pool.enter(now);
                }
                self.ports_leased = self.ports_leased.saturating_add(1);
                self.permits.grant(Held::Port(*range), now)
            }
        }
    }

    fn admit_connection(&mut self, asked: &Asked<'_>, now: Moment) -> PermitId {
        while self.listeners.len() <= usize::from(asked.listener) {
            self.listeners.push(Entrance::new());
        }
        self.shadow_connection(asked, now);
        self.spend(asked, now);
        let guest = Guest {
            key: asked.key,
            listener: asked.listener,
            reserved: asked.reserved,
            unauthenticated: !asked.reserved,
        };
        if guest.reserved {
            self.reserved = self.reserved.saturating_add(1);
        } else {
            self.house.pool.enter(now);
            self.unauthenticated.pool.enter(now);
        }
        if let Some(entrance) = self.listeners.get_mut(usize::from(guest.listener)) {
            entrance.room.pool.enter(now);
        }
        let permit = self.permits.grant(Held::Connection(guest), now);
        let group = self.addresses.entry(guest.key).or_insert_with(|| Group::new(now));
        group.pool.enter(now);
        self.permits.list_last(&mut group.idle, permit, now);
        self.note_full(guest.listener, now);
        self.counters.connections_admitted = self.counters.connections_admitted.saturating_add(1);
        permit
    }

    fn admit_login(&mut self, account: &AccountKey, now: Moment) -> PermitId {
        self.logins = self.logins.saturating_add(1);
        self.counters.logins_admitted = self.counters.logins_admitted.saturating_add(1);
        let permit = self.permits.grant(Held::Login(account.clone()), now);
        let group = self.accounts.entry(account.clone()).or_insert_with(|| Group::new(now));
        group.pool.enter(now);
        self.permits.list_last(&mut group.idle, permit, now);
        permit
    }

    fn admit_transfer(&mut self, key: AddressKey, now: Moment) -> PermitId {
        let here = self.transfers_of.get(&key).map_or(0, Pool::in_use);
        let shadow = (self.limits.shadow.transfers, self.limits.shadow.transfers_per_address);
        let of_all = exceeds(self.transfers.pool.in_use(), shadow.0);
        if of_all || exceeds(here, shadow.1) {
            self.counters.shadowed.count(Cause::TransfersFull);
        }
        self.transfers.pool.enter(now);
        self.transfers.note(self.limits.transfers, now);
        self.transfers_of.entry(key).or_insert_with(|| Pool::new(now)).enter(now);
        self.counters.transfers_admitted = self.counters.transfers_admitted.saturating_add(1);
        self.permits.grant(Held::Transfer(key), now)
    }

    /// Takes the tokens of a connection that is admitted.
    fn spend(&mut self, asked: &Asked<'_>, now: Moment) {
        if let Some(rate) = self.limits.rate_of(asked.address) {
            self.rates.spend(asked.key, rate, now);
        }
        let at = usize::from(asked.listener);
        if let Some(rate) = self.limits.listeners.get(at).and_then(|listener| listener.connection_rate)
            && let Some(entrance) = self.listeners.get_mut(at)
        {
            entrance.bucket.spend(rate, now);
        }
    }

    /// Gives `permit` back, without letting in who waits for it. Returns whether somebody may wait for that.
    pub(super) fn give_back(&mut self, permit: PermitId, now: Moment) -> bool {
        self.busy(permit);
        match self.permits.take(permit) {
            Some(Held::Connection(guest)) => {
                self.connection_left(guest, now);
                return true;
            }
            Some(Held::Handshake) => {
                self.handshakes.pool.leave(now);
                self.handshakes.note(Some(self.limits.handshakes), now);
            }
            Some(Held::Login(account)) => {
                self.logins = self.logins.saturating_sub(1);
                leave(&mut self.accounts, &account, now);
            }
            Some(Held::Transfer(key)) => {
                self.transfers.pool.leave(now);
                self.transfers.note(self.limits.transfers, now);
                if let Some(pool) = self.transfers_of.get_mut(&key) {
                    pool.leave(now);
                    if pool.in_use() == 0 {
                        self.transfers_of.remove(&key);
                    }
                }
            }
            Some(Held::Port(range)) => {
                self.ports_leased = self.ports_leased.saturating_sub(1);
                if let Some(pool) = self.ports.get_mut(usize::from(range)) {
                    pool.leave(now);
                }
            }
            None => self.counters.stale_releases = self.counters.stale_releases.saturating_add(1),
        }
        false
    }

    fn connection_left(&mut self, guest: Guest, now: Moment) {
        if guest.reserved {
            self.reserved = self.reserved.saturating_sub(1);
        } else {
            self.house.pool.leave(now);
        }
        if guest.unauthenticated {
            self.unauthenticated.pool.leave(now);
        }
        if let Some(entrance) = self.listeners.get_mut(usize::from(guest.listener)) {
            entrance.room.pool.leave(now);
        }
        leave(&mut self.addresses, &guest.key, now);
        self.note_full(guest.listener, now);
    }

    /// Notes which of the pools that a connection to `listener` is in are full.
    fn note_full(&mut self, listener: u16, now: Moment) {
        let house_limit = self.house_limit(false, self.limits.connections);
        self.house.note(Some(house_limit), now);
        self.unauthenticated.note(self.limits.connections_unauthenticated, now);
        let limit = self.limits.listeners.get(usize::from(listener)).and_then(|limits| limits.connections);
        if let Some(entrance) = self.listeners.get_mut(usize::from(listener)) {
            entrance.room.note(limit, now);
        }
    }

    /// As [`Self::note_full`], for every pool.
    pub(super) fn note_all_full(&mut self, now: Moment) {
        self.handshakes.note(Some(self.limits.handshakes), now);
        self.transfers.note(self.limits.transfers, now);
        self.note_full(0, now);
        for (at, entrance) in self.listeners.iter_mut().enumerate() {
            entrance.room.note(self.limits.listeners.get(at).and_then(|limits| limits.connections), now);
        }
    }

    /// Counts under its cause what a shadow limit would refuse, `in_use` being inside.
    fn shadow(&mut self, cause: Cause, in_use: u32, limit: Option<u32>) {
        if exceeds(in_use, limit) {
            self.counters.shadowed.count(cause);
        }
    }

    fn shadow_connection(&mut self, asked: &Asked<'_>, now: Moment) {
        if self.limits.shadow.is_off() {
            return;
        }
        let limits = alloc::sync::Arc::clone(&self.limits);
        let shadow = &limits.shadow;
        let in_use = |rule| self.check(rule, asked, now).in_use;
        let counts = [
            (Cause::AddressFull, in_use(Rule::Address), shadow.connections_per_address),
            (
                Cause::ServerFull,
                in_use(Rule::Server),
                shadow.connections.map(|connections| self.house_limit(asked.reserved, connections)),
            ),
            (
                Cause::UnauthenticatedFull,
                in_use(Rule::Unauthenticated),
                shadow.connections_unauthenticated.filter(|_| !asked.reserved),
            ),
        ];
        for (cause, in_use, limit) in counts {
            self.shadow(cause, in_use, limit);
        }
        let at = usize::from(asked.listener);
        let listener = shadow.listeners.get(at).copied().unwrap_or_default();
        let here = self.listeners.get(at).map_or(0, |entrance| entrance.room.pool.in_use());
        self.shadow(Cause::ListenerFull, here, listener.connections);
        self.shadow_rates(asked, shadow.connection_rate_per_address, listener.connection_rate, now);
    }

    /// The shadow rates have buckets of their own: whom they would refuse spends nothing there.
    fn shadow_rates(
        &mut self,
        asked: &Asked<'_>,
        of_address: Option<Rate>,
        of_listener: Option<Rate>,
        now: Moment,
    ) {
        let refuses =
            |bucket: Bucket, rate: Option<Rate>| rate.is_some_and(|rate| bucket.wait(rate, now).is_some());
        let at = usize::from(asked.listener);
        let gate = self.listeners.get(at).map(|entrance| entrance.shadow_bucket).unwrap_or_default();
        let own = of_address.map(|_| self.shadow_rates.get(asked.key)).unwrap_or_default();
        if refuses(own, of_address) || refuses(gate, of_listener) {
            self.counters.shadowed.count(Cause::Rate);
            return;
        }
        if let Some(rate) = of_address {
            self.shadow_rates.spend(asked.key, rate, now);
        }
        if let Some(rate) = of_listener
            && let Some(entrance) = self.listeners.get_mut(at)
        {
            entrance.shadow_bucket.spend(rate, now);
        }
    }
}

const fn exceeds(in_use: u32, limit: Option<u32>) -> bool {
    match limit {
        Some(limit) => in_use >= limit,
        None => false,
    }
}

/// Counts one permit of `key` less and forgets a key that holds none.
fn leave<K: Eq + core::hash::Hash>(groups: &mut HashMap<K, Group, Keyed>, key: &K, now: Moment) {
    if let Some(group) = groups.get_mut(key) {
        group.pool.leave(now);
        if group.pool.in_use() == 0 {
            groups.remove(key);
        }
    }
}
