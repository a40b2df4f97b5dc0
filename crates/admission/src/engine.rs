use alloc::vec::Vec;

use hashbrown::HashMap;
use tidegate_types::{AddressKey, Cause, Moment, Refusal};

use crate::keyed::{Keyed, Random};
use crate::permits::{PermitId, Permits};
use crate::pool::Pool;
use crate::question::{
    AccountKey, Check, Counters, Decision, Drain, Explanation, Limits, Question, Snapshot,
};
use crate::returns::whole_secs_of;

/// Decides who enters and counts who is inside. Every operation takes constant time; see the crate for the rules.
#[derive(Clone, Debug)]
pub struct Engine {
    limits: Limits,
    limits_changed: Option<Moment>,
    drain: Option<Drain>,
    permits: Permits<Held>,
    connections: Pool,
    /// Only addresses and accounts that hold a permit are in the maps.
    addresses: HashMap<AddressKey, Pool, Keyed>,
    accounts: HashMap<AccountKey, Pool, Keyed>,
    logins: u32,
    jitter: Random,
    counters: Counters,
}

/// What a permit stands for: where to subtract it.
#[derive(Clone, Debug)]
enum Held {
    Connection(AddressKey),
    Login(AccountKey),
}

/// One reason to refuse. A question has a list of them; the first that refuses decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule<'a> {
    Draining,
    Address(AddressKey),
    Server,
    Account(&'a AccountKey, Option<u32>),
}

impl Engine {
    /// Returns an empty house. `seed` keys the maps and drives the jitter; give each process a random one.
    pub fn new(limits: Limits, seed: u64) -> Self {
        let keyed = Keyed::new(seed);
        Self {
            limits,
            limits_changed: None,
            drain: None,
            permits: Permits::new(),
            connections: Pool::new(Moment::ZERO),
            addresses: HashMap::with_hasher(keyed),
            accounts: HashMap::with_hasher(keyed),
            logins: 0,
            jitter: keyed.jitter(),
            counters: Counters::new(),
        }
    }

    /// Decides `question` and, in the same step, counts it: inside when admitted, under its cause when refused.
    pub fn ask(&mut self, question: &Question, now: Moment) -> Decision {
        let refused = rules(question).into_iter().flatten().find(|rule| self.check(*rule).refuses);
        let decision = match refused {
            None => Decision::Admit(self.admit(question, now)),
            Some(rule) => Decision::Refuse(self.refuse(rule, now)),
        };
        debug_assert!(self.adds_up(), "after {question:?}: {self:?}");
        decision
    }

    /// Returns what [`Self::ask`] would answer, and why. Changes nothing.
    pub fn explain(&self, question: &Question, now: Moment) -> Explanation {
        let rules = rules(question).into_iter().flatten();
        let checks: Vec<(Rule<'_>, Check)> = rules.map(|rule| (rule, self.check(rule))).collect();
        let refusal = checks
            .iter()
            .find(|(_, check)| check.refuses)
            .map(|(rule, check)| refusal(*check, self.expect(*rule, *check, now)));
        Explanation { refusal, checks: checks.into_iter().map(|(_, check)| check).collect() }
    }

    /// Gives `permit` back. One that is not held (any more) is counted and otherwise ignored.
    pub fn release(&mut self, permit: PermitId, now: Moment) {
        match self.permits.take(permit) {
            Some(Held::Connection(key)) => {
                self.connections.leave(now);
                leave(&mut self.addresses, &key, now);
            }
            Some(Held::Login(account)) => {
                self.logins = self.logins.saturating_sub(1);
                leave(&mut self.accounts, &account, now);
            }
            None => self.counters.stale_releases = self.counters.stale_releases.saturating_add(1),
        }
        debug_assert!(self.adds_up(), "after a release: {self:?}");
    }

    /// Counts and returns the refusal of a connection for which no descriptor is left: draining if the house drains,
    /// else overloaded. Such clients queue with those of a full server, since a departure frees descriptors too.
    pub fn exhausted(&mut self, now: Moment) -> Refusal {
        if self.check(Rule::Draining).refuses {
            return self.refuse(Rule::Draining, now);
        }
        self.counters.count_refusal(Cause::Overloaded);
        // No number of connections is the limit here, so nobody is above it.
        let retry_after_secs = self.connections.tell(u32::MAX, now, &mut self.jitter);
        Refusal { cause: Cause::Overloaded, in_use: 0, limit: 0, retry_after_secs }
    }

    /// Replaces the limits from `now` on. Nobody inside is sent away; above a smaller limit the number only falls.
    pub fn relimit(&mut self, limits: Limits, now: Moment) {
        self.limits = limits;
        self.limits_changed = Some(now);
    }

    /// Refuses everybody from `now` on and tells them to come back at `until`. Again while draining: moves the end.
    pub fn drain(&mut self, until: Moment, now: Moment) {
        let since = self.drain.map_or(now, |drain| drain.since);
        self.drain = Some(Drain { since, until });
    }

    /// Ends a drain.
    pub fn resume(&mut self) {
        self.drain = None;
    }

    /// Returns occupancy, limits and counters.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            limits: self.limits,
            limits_changed: self.limits_changed,
            connections: self.connections.in_use(),
            addresses: self.addresses.len(),
            logins: self.logins,
            accounts: self.accounts.len(),
            anonymous: self.accounts.get(&AccountKey::Anonymous).map_or(0, Pool::in_use),
            drain: self.drain,
            counters: self.counters,
        }
    }

    /// Applies one rule to the state: the only place where anything is compared with a limit.
    fn check(&self, rule: Rule<'_>) -> Check {
        let counted = |cause, in_use, limit: Option<u32>| Check {
            cause,
            in_use,
            limit,
            refuses: limit.is_some_and(|limit| in_use >= limit),
        };
        match rule {
            Rule::Draining => {
                Check { cause: Cause::Draining, in_use: 0, limit: None, refuses: self.drain.is_some() }
            }
            Rule::Address(key) => {
                let in_use = self.addresses.get(&key).map_or(0, Pool::in_use);
                counted(Cause::AddressFull, in_use, self.limits.connections_per_address)
            }
            Rule::Server => {
                counted(Cause::ServerFull, self.connections.in_use(), Some(self.limits.connections))
            }
            Rule::Account(account, limit) => {
                let cause = match account {
                    AccountKey::Named(_) => Cause::AccountFull,
                    AccountKey::Anonymous => Cause::AnonymousFull,
                };
                counted(cause, self.accounts.get(account).map_or(0, Pool::in_use), limit)
            }
        }
    }

    fn admit(&mut self, question: &Question, now: Moment) -> PermitId {
        match question {
            Question::Connection { address } => {
                let key = AddressKey::of(*address);
                self.connections.enter(now);
                self.addresses.entry(key).or_insert_with(|| Pool::new(now)).enter(now);
                self.counters.connections_admitted = self.counters.connections_admitted.saturating_add(1);
                self.permits.grant(Held::Connection(key))
            }
            Question::Login { account, limit: _ } => {
                self.logins = self.logins.saturating_add(1);
                self.accounts.entry(account.clone()).or_insert_with(|| Pool::new(now)).enter(now);
                self.counters.logins_admitted = self.counters.logins_admitted.saturating_add(1);
                self.permits.grant(Held::Login(account.clone()))
            }
        }
    }

    fn refuse(&mut self, rule: Rule<'_>, now: Moment) -> Refusal {
        let check = self.check(rule);
        self.counters.count_refusal(check.cause);
        let limit = check.limit.unwrap_or(0);
        let pool = match rule {
            Rule::Draining => return refusal(check, self.drain_secs(now)),
            Rule::Address(key) => self.addresses.get_mut(&key),
            Rule::Server => Some(&mut self.connections),
            Rule::Account(account, _) => self.accounts.get_mut(account),
        };
        let retry_after_secs = match pool {
            Some(pool) => pool.tell(limit, now, &mut self.jitter),
            // A limit of 0 refuses where nobody is inside. No pool is made for that: refused peers take no memory.
            None => Pool::new(now).tell(limit, now, &mut self.jitter),
        };
        refusal(check, retry_after_secs)
    }

    /// Returns the seconds `rule` would tell, without jitter and without effect.
    fn expect(&self, rule: Rule<'_>, check: Check, now: Moment) -> u32 {
        let pool = match rule {
            Rule::Draining => return self.drain_secs(now),
            Rule::Address(key) => self.addresses.get(&key),
            Rule::Server => Some(&self.connections),
            Rule::Account(account, _) => self.accounts.get(account),
        };
        let limit = check.limit.unwrap_or(0);
        pool.map_or_else(|| Pool::new(now).expect(limit, now), |pool| pool.expect(limit, now))
    }

    /// Returns the whole seconds to the announced end; 1 when it has passed or there is no drain.
    fn drain_secs(&self, now: Moment) -> u32 {
        self.drain.map_or(1, |drain| whole_secs_of(drain.until.since(now)).max(1))
    }

    /// Returns whether the counts that can be compared in constant time agree.
    fn adds_up(&self) -> bool {
        let inside = u64::from(self.connections.in_use()) + u64::from(self.logins);
        u64::try_from(self.permits.held()) == Ok(inside)
            && u64::try_from(self.addresses.len()).is_ok_and(|len| len <= self.connections.in_use().into())
            && u64::try_from(self.accounts.len()).is_ok_and(|len| len <= self.logins.into())
    }
}

/// Returns the rules for `question` in the order they are tried.
fn rules(question: &Question) -> [Option<Rule<'_>>; 3] {
    match question {
        Question::Connection { address } => {
            [Some(Rule::Draining), Some(Rule::Address(AddressKey::of(*address))), Some(Rule::Server)]
        }
        Question::Login { account, limit } => {
            [Some(Rule::Draining), Some(Rule::Account(account, *limit)), None]
        }
    }
}

fn refusal(check: Check, retry_after_secs: u32) -> Refusal {
    let Check { cause, in_use, limit, .. } = check;
    Refusal { cause, in_use, limit: limit.unwrap_or(0), retry_after_secs }
}

/// Counts one permit of `key` less and forgets a key that holds none.
fn leave<K: Eq + core::hash::Hash>(pools: &mut HashMap<K, Pool, Keyed>, key: &K, now: Moment) {
    if let Some(pool) = pools.get_mut(key) {
        pool.leave(now);
        if pool.in_use() == 0 {
            pools.remove(key);
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
