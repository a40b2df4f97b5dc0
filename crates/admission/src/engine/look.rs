use alloc::sync::Arc;
use core::net::IpAddr;

use tidegate_types::{AddressKey, Moment};

use super::check::{Asked, rules};
use super::{Engine, Room};
use crate::pool::Pool;
use crate::question::{AccountKey, Check, Explanation, Holdings, Outcome, Question};
use crate::snapshot::{Counters, Occupancy, Snapshot};

impl Engine {
    /// Returns what [`Self::ask`] would answer, and why. Changes nothing.
    pub fn explain(&self, question: &Question, now: Moment) -> Explanation {
        let asked = Asked::new(question, &self.limits);
        let explained = |rule| {
            let check = self.check(rule, &asked, now);
            let refusal = if check.refuses { self.expect(check, &asked, now) } else { None };
            Check { frees_after_secs: refusal.map(|refusal| refusal.retry_after_secs), ..check }
        };
        let checks: alloc::vec::Vec<Check> = rules(question).iter().copied().map(explained).collect();
        let first = checks.iter().find(|check| check.refuses).copied();
        Explanation {
            outcome: first.map_or(Outcome::Admit, |check| self.outcome(check, &asked, now)),
            cause: first.map(|check| check.cause),
            refusal: first.and_then(|check| self.expect(check, &asked, now)),
            checks,
        }
    }

    /// Returns what the address (IPv6: its /64) holds. Linear in the places of the waiting room.
    pub fn holdings_of(&self, address: IpAddr) -> Holdings {
        let key = AddressKey::of(address);
        Holdings {
            connections: self.addresses.get(&key).map_or(0, |group| group.pool.in_use()),
            transfers: self.transfers_of.get(&key).map_or(0, Pool::in_use),
            waiting: self.waiting.of(key),
        }
    }

    /// Returns how many sessions the account has.
    pub fn sessions_of(&self, account: &AccountKey) -> u32 {
        self.accounts.get(account).map_or(0, |group| group.pool.in_use())
    }

    /// Returns occupancy, limits and counters. Takes time with the bans that are kept, at most a few hundred microseconds.
    pub fn snapshot(&self, now: Moment) -> Snapshot {
        let occupancy = |room: &Room, limit: Option<u32>| Occupancy {
            in_use: room.pool.in_use(),
            limit,
            full: room.full.total(now),
        };
        let limits = &self.limits;
        let listener_limit = |at: usize| limits.listeners.get(at).and_then(|limits| limits.connections);
        let listeners = self.listeners.iter().enumerate();
        let (level, signal) = self.pressure.worst(now);
        let forgotten = self.rates.evicted() + self.shadow_rates.evicted() + self.bans.evicted();
        Snapshot {
            limits: Arc::clone(limits),
            limits_changed: self.limits_changed,
            connections: self.house.pool.in_use().saturating_add(self.reserved),
            reserved: self.reserved,
            addresses: self.addresses.len(),
            logins: self.logins,
            accounts: self.accounts.len(),
            anonymous: self.sessions_of(&AccountKey::Anonymous),
            ports: self.ports_leased,
            server: occupancy(&self.house, Some(self.house_limit(false, limits.connections))),
            unauthenticated: occupancy(&self.unauthenticated, limits.connections_unauthenticated),
            handshakes: occupancy(&self.handshakes, Some(limits.handshakes)),
            transfers: occupancy(&self.transfers, limits.transfers),
            listeners: listeners.map(|(at, each)| occupancy(&each.room, listener_limit(at))).collect(),
            waiting: self.waiting.len(),
            bans: self.bans.lasting_count(now),
            drain: self.drain,
            level,
            signal,
            overloaded: self.overloaded.total(now),
            gauges: self.pressure.gauges(now),
            counters: Counters { forgotten, ..self.counters },
        }
    }

    fn outcome(&self, check: Check, asked: &Asked<'_>, now: Moment) -> Outcome {
        if let Some(victim) = self.victim(check, asked, now) {
            Outcome::Reclaim(victim)
        } else if self.may_wait(check.rule, asked, now).is_some() {
            Outcome::Wait
        } else if self.is_silent(check.cause, asked) {
            Outcome::Drop
        } else if check.cause.is_permanent() {
            Outcome::Deny
        } else {
            Outcome::Refuse
        }
    }
}
