//! What can be seen from outside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tidegate_admission::Question;
use tidegate_types::{AddressKey, Cause};

use super::{Inside, ServerHandle};
use crate::gate::account_key;
use crate::registry::Card;
use crate::tally::read;
use crate::view::{BanRecord, HOLDERS_MAX, SessionView, Snapshot, Subject, Why};
use crate::weather::Stage;

/// How many bans `why` tells of; a few more of the last page may come with them.
const BANS_MAX: usize = 100;
/// Bans looked at under one lock.
const BANS_A_PAGE: usize = 256;

impl ServerHandle {
    /// Returns whether a newcomer would find a place: what `/readyz` says.
    pub fn is_ready(&self) -> bool {
        matches!(self.inside.weather.borrow().stage, Stage::Open)
            && self.inside.house.gate.snapshot().is_admitting()
    }

    /// Copies everything that is counted.
    pub fn snapshot(&self) -> Snapshot {
        let inside = &self.inside;
        let (house, tally) = (&inside.house, &inside.house.tally);
        let gate = house.gate.snapshot();
        let ports = |count: fn(&tidegate_net::PassivePorts) -> usize| -> u64 {
            house.passive_pools.iter().map(|pool| count(pool) as u64).sum()
        };
        let total = ports(tidegate_net::PassivePorts::size);
        Snapshot {
            ready: matches!(inside.weather.borrow().stage, Stage::Open) && gate.is_admitting(),
            gate,
            door: inside.door_counts(),
            uptime: house.clock.now().since_start(),
            listening_on: Arc::clone(&inside.local_addresses),
            sessions: read(&tally.sessions_live),
            sessions_served: read(&tally.sessions_served),
            transfers: read(&tally.transfers_live),
            transfers_ended: [
                ("completed", read(&tally.transfers_completed)),
                ("failed", read(&tally.transfers_failed)),
                ("cut", read(&tally.transfers_cut)),
            ],
            bytes_sent: read(&tally.bytes_sent),
            bytes_received: read(&tally.bytes_received),
            logins: [
                ("accepted", read(&tally.logins)),
                ("denied", read(&tally.logins_denied)),
                ("banned", read(&tally.logins_banned)),
                ("unavailable", read(&tally.logins_unavailable)),
            ],
            refused: tally.refusals().collect(),
            replies: tally.replies(),
            latencies: tally.latencies(),
            passive_ports: (total.saturating_sub(ports(tidegate_net::PassivePorts::free)), total),
            drain: inside.drain_view(),
        }
    }

    /// Returns up to `count` sessions with a number above `after`, by number; ask again with the last number until none comes.
    pub fn sessions(&self, after: u64, count: usize) -> Vec<SessionView> {
        self.inside.house.registry.page(after, count).iter().map(|card| self.inside.view(card)).collect()
    }

    /// Returns one session.
    pub fn session(&self, id: u64) -> Option<SessionView> {
        self.inside.house.registry.get(id).map(|card| self.inside.view(&card))
    }

    /// Returns what would happen to the subject now: by the code that decides, without effect.
    pub fn why(&self, subject: &Subject) -> Why {
        match subject {
            Subject::Address(address) => self.inside.why_address(*address),
            Subject::Account { account, from } => {
                let name = account.as_ref().map(|name| name.0.as_str());
                let limit = self.inside.house.accounts().connections_max(name);
                let from = from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
                let question = Question::login(account_key(account.clone()), limit.flatten(), from);
                let told = name.unwrap_or("anonymous");
                Why {
                    answers: vec![(None, self.inside.house.gate.explain(&question))],
                    bans: self.inside.bans_of(|ban| ban.name.as_deref() == name && name.is_some()),
                    account_exists: Some(limit.is_some()),
                    ..self.inside.held_by(|card| card.account().is_some_and(|account| *account == *told))
                }
            }
        }
    }
}

impl Inside {
    fn why_address(&self, address: IpAddr) -> Why {
        let key = AddressKey::of(address);
        let answer = |(number, listening_on): (usize, &SocketAddr)| {
            let question = Question::connection(address, u16::try_from(number).unwrap_or(u16::MAX));
            (Some(*listening_on), self.house.gate.explain(&question))
        };
        let answers: Vec<_> = self.local_addresses.iter().enumerate().map(answer).collect();
        // Whoever holds the places that are missing; else what the address itself holds.
        let missing =
            answers.iter().enumerate().find_map(|(at, (_, why))| why.cause.map(|cause| (at, cause)));
        let holds = |card: &Card| match missing {
            Some((_, Cause::ServerFull)) => true,
            Some((listener, Cause::ListenerFull)) => card.listener == listener,
            Some((_, Cause::UnauthenticatedFull)) => card.account().is_none(),
            _ => AddressKey::of(card.peer.ip()) == key,
        };
        Why { bans: self.bans_of(|ban| ban.address == key), answers, ..self.held_by(holds) }
    }

    /// Returns who of the sessions holds what is asked about, and nothing else.
    fn held_by(&self, holds: impl Fn(&Card) -> bool) -> Why {
        let mut holders = Vec::new();
        let mut held = 0;
        self.house.registry.each(|card| {
            if holds(card) {
                held += 1;
                if holders.len() < HOLDERS_MAX {
                    holders.push(self.view(card));
                }
            }
        });
        Why { answers: Vec::new(), holders, held, bans: Vec::new(), account_exists: None }
    }

    fn bans_of(&self, concerns: impl Fn(&BanRecord) -> bool) -> Vec<BanRecord> {
        let mut found = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor
            && found.len() < BANS_MAX
        {
            let page = self.house.gate.bans(from, BANS_A_PAGE);
            found.extend(page.bans.into_iter().filter(&concerns));
            cursor = page.next;
        }
        found
    }

    fn view(&self, card: &Card) -> SessionView {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let listening_on = self.local_addresses.get(card.listener).copied().unwrap_or(nowhere);
        card.view(listening_on, self.house.clock.now())
    }
}
