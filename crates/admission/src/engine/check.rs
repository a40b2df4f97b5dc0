use core::net::IpAddr;

use tidegate_types::{AddressKey, Cause, Moment, Refusal, normalize_address};

use super::{Engine, address_of};
use crate::limits::{Limits, Rate};
use crate::pool::Pool;
use crate::pressure::Level;
use crate::question::{AccountKey, Check, Question, Rule};
use crate::returns::whole_secs_of;
use crate::told::Queue;

/// A question, with what several rules need to know about who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) address: IpAddr,
    pub(super) key: AddressKey,
    pub(super) listener: u16,
    pub(super) reserved: bool,
    pub(super) account: Option<(&'a AccountKey, Option<u32>)>,
    pub(super) name: Option<&'a str>,
    /// A range of ports, how many ports it has, and how many are leased.
    pub(super) ports: (u16, u32, u32),
    /// Whether nothing was said to the peer yet: only then it may be closed without a word.
    pub(super) newcomer: bool,
}

impl<'a> Asked<'a> {
    pub(super) fn new(question: &'a Question, limits: &Limits) -> Self {
        let mut asked = Self::of(question.address(), limits);
        match question {
            Question::Connection { listener, .. } => (asked.listener, asked.newcomer) = (*listener, true),
            Question::Login { account, limit, .. } => {
                asked.account = Some((account, *limit));
                if let AccountKey::Named(name) = account {
                    asked.name = Some(&name.0);
                }
            }
            Question::PassivePort { range, ports, leased, .. } => asked.ports = (*range, *ports, *leased),
            Question::Handshake { .. } | Question::Transfer { .. } => {}
        }
        asked
    }

    pub(super) fn of(address: IpAddr, limits: &Limits) -> Self {
        let address = normalize_address(address);
        Self { address, reserved: limits.is_reserved(address), ..Self::of_key(AddressKey::of(address)) }
    }

    /// Asks for an address of `key` that has no reserved place.
    pub(super) fn of_key(key: AddressKey) -> Self {
        Self {
            address: address_of(key),
            key,
            listener: 0,
            reserved: false,
            account: None,
            name: None,
            ports: (0, 0, 0),
            newcomer: false,
        }
    }
}

/// Returns the rules for `question` in the order they are tried.
pub(super) const fn rules(question: &Question) -> &'static [Rule] {
    match question {
        Question::Connection { .. } => &[
            Rule::Denied,
            Rule::Banned,
            Rule::Draining,
            Rule::Overloaded,
            Rule::RateOfAddress,
            Rule::RateOfListener,
            Rule::Address,
            Rule::Unauthenticated,
            Rule::Listener,
            Rule::Server,
        ],
        Question::Handshake { .. } => &[Rule::Draining, Rule::Handshakes],
        // Who came before the ban of its address meets it here.
        Question::Login { .. } => &[Rule::Banned, Rule::Draining, Rule::Name, Rule::Account],
        // A drain lets the sessions that are inside finish what they do.
        Question::Transfer { .. } => &[Rule::TransfersOfAddress, Rule::Transfers],
        Question::PassivePort { .. } => &[Rule::Ports],
    }
}

impl Engine {
    /// Applies one rule to the state: the only place where anything is compared with a limit.
    pub(super) fn check(&self, rule: Rule, asked: &Asked<'_>, now: Moment) -> Check {
        let (in_use, limit, refuses) = match rule {
            Rule::Denied => (0, None, self.limits.is_denied(asked.address)),
            Rule::Banned | Rule::Name => (0, None, self.ban_of(rule, asked, now).is_some()),
            Rule::Draining => (0, None, self.drain.is_some()),
            Rule::Overloaded => (0, None, self.is_overloaded(asked, now)),
            Rule::RateOfAddress | Rule::RateOfListener => {
                let (rate, bucket) = self.bucket_of(rule, asked);
                let spent = rate.map_or(0, |rate| bucket.spent(rate, now));
                let waits = rate.is_some_and(|rate| bucket.wait(rate, now).is_some());
                (spent, rate.map(Rate::count), waits)
            }
            Rule::Ports => {
                let (_, ports, leased) = asked.ports;
                (leased, Some(ports), leased >= ports)
            }
            _ => {
                let in_use = self.pool(rule, asked).map_or(0, Pool::in_use);
                let limit = self.limit(rule, asked);
                (in_use, limit, limit.is_some_and(|limit| in_use >= limit))
            }
        };
        let signal = if rule == Rule::Overloaded { self.signal(now) } else { None };
        Check { rule, cause: cause(rule, asked), signal, in_use, limit, refuses, frees_after_secs: None }
    }

    /// Counts and returns what `check` refuses, and books the return.
    pub(super) fn refuse(&mut self, check: Check, asked: &Asked<'_>, now: Moment) -> Refusal {
        self.counters.refused.count(check.cause);
        let known = self.exact(check.rule, asked, now);
        let secs = known.unwrap_or_else(|| {
            self.tell_once(check.rule, asked, now, |engine| engine.book(check, asked, now))
        });
        refusal(check, secs)
    }

    /// Returns about the rest of what the address was told in the queue of `rule`; when there is none, what `book` returns, which is
    /// remembered then. The queue of one address is its own: many may stand in it behind one router, each with its second.
    pub(super) fn tell_once(
        &mut self,
        rule: Rule,
        asked: &Asked<'_>,
        now: Moment,
        book: impl FnOnce(&mut Self) -> u32,
    ) -> u32 {
        let Some(queue) = self.queue(rule, asked) else { return book(self) };
        if let Some(secs) = self.told.again(asked.key, queue, now, &mut self.jitter) {
            return secs;
        }
        let secs = book(self);
        self.told.note(asked.key, queue, secs, now);
        secs
    }

    /// Books the return of one more in the pool of a rule and returns its seconds.
    fn book(&mut self, check: Check, asked: &Asked<'_>, now: Moment) -> u32 {
        if check.rule == Rule::Overloaded {
            return self.pressure.tell(now, &mut self.jitter);
        }
        let limit = check.limit.unwrap_or(0);
        let wait = self.login_wait(check.rule, limit);
        let mut jitter = self.jitter.clone();
        let mut tell = |pool: &mut Pool| match wait {
            Some(secs) => pool.tell_after(secs, now, &mut jitter),
            None => pool.tell(limit, now, &mut jitter),
        };
        let secs = match self.pool_mut(check.rule, asked) {
            Some(pool) => tell(pool),
            // A limit of 0 refuses where nobody is inside. No pool is made for that.
            None => tell(&mut Pool::new(now)),
        };
        self.jitter = jitter;
        secs
    }

    /// Returns the queue of a rule whose pool many addresses share.
    fn queue(&self, rule: Rule, asked: &Asked<'_>) -> Option<Queue> {
        match rule {
            Rule::Server | Rule::Unauthenticated | Rule::Transfers | Rule::Overloaded => {
                Some(self.told.queue(rule))
            }
            Rule::Listener => Some(self.told.queue((rule, asked.listener))),
            Rule::Ports => Some(self.told.queue((rule, asked.ports.0))),
            Rule::Account => Some(self.told.queue((rule, asked.account?.0))),
            _ => None,
        }
    }

    /// Returns the refusal of `check` without jitter and without effect; `None`: it refuses for ever.
    pub(super) fn expect(&self, check: Check, asked: &Asked<'_>, now: Moment) -> Option<Refusal> {
        if check.cause.is_permanent() {
            return None;
        }
        let limit = check.limit.unwrap_or(0);
        let told = || self.told.rest(asked.key, self.queue(check.rule, asked)?, now);
        let secs = if let Some(secs) = self.exact(check.rule, asked, now).or_else(told) {
            secs
        } else if check.rule == Rule::Overloaded {
            self.pressure.expect(now)
        } else if let Some(secs) = self.login_wait(check.rule, limit) {
            secs.clamp(1, crate::RETRY_SECS_MAX)
        } else {
            match self.pool(check.rule, asked) {
                Some(pool) => pool.expect(limit, now),
                None => Pool::new(now).expect(limit, now),
            }
        };
        Some(refusal(check, secs))
    }

    /// Returns the seconds that are known exactly.
    fn exact(&self, rule: Rule, asked: &Asked<'_>, now: Moment) -> Option<u32> {
        match rule {
            Rule::Banned | Rule::Name => self.ban_of(rule, asked, now).map(|until| secs_until(until, now)),
            Rule::Draining => Some(self.drain_secs(now)),
            Rule::RateOfAddress | Rule::RateOfListener => {
                let (rate, bucket) = self.bucket_of(rule, asked);
                Some(bucket.wait(rate?, now).map_or(1, |wait| whole_secs_of(wait).max(1)))
            }
            Rule::Handshakes => Some(1),
            _ => None,
        }
    }

    /// Returns how long the unauthenticated may stay: then one of them is gone, or has logged in.
    fn login_wait(&self, rule: Rule, limit: u32) -> Option<u32> {
        (rule == Rule::Unauthenticated && limit > 0).then(|| whole_secs_of(self.limits.login_timeout))
    }

    fn ban_of(&self, rule: Rule, asked: &Asked<'_>, now: Moment) -> Option<Moment> {
        let until = match rule {
            Rule::Name => self.bans.of_name(asked.key, asked.name?, now),
            _ => self.bans.of_address(asked.key, now),
        };
        until.filter(|_| !self.limits.is_never_banned(asked.address))
    }

    /// Returns whether overload refuses: everybody but those for whom a reserved place is left.
    fn is_overloaded(&self, asked: &Asked<'_>, now: Moment) -> bool {
        let has_place = asked.reserved && self.reserved < self.limits.reserved.connections;
        self.level(now) == Level::Full && !has_place
    }

    pub(super) fn bucket_of(&self, rule: Rule, asked: &Asked<'_>) -> (Option<Rate>, crate::rate::Bucket) {
        if rule == Rule::RateOfAddress {
            let rate = self.limits.rate_of(asked.address);
            return (rate, rate.map(|_| self.rates.get(asked.key)).unwrap_or_default());
        }
        let at = usize::from(asked.listener);
        let rate = self.limits.listeners.get(at).and_then(|listener| listener.connection_rate);
        (rate, self.listeners.get(at).map(|entrance| entrance.bucket).unwrap_or_default())
    }

    /// Returns how many permits the pool of `rule` may have.
    pub(super) fn limit(&self, rule: Rule, asked: &Asked<'_>) -> Option<u32> {
        let limits = &self.limits;
        match rule {
            Rule::Address => limits.connections_of(asked.address),
            Rule::Unauthenticated if asked.reserved => None,
            Rule::Unauthenticated => limits.connections_unauthenticated,
            Rule::Listener => limits.listeners.get(usize::from(asked.listener))?.connections,
            Rule::Server => Some(self.house_limit(asked.reserved, limits.connections)),
            Rule::Handshakes => Some(limits.handshakes),
            Rule::Account => asked.account?.1,
            Rule::TransfersOfAddress => limits.transfers_of(asked.address),
            Rule::Transfers => limits.transfers,
            _ => None,
        }
    }

    /// Returns how many of `connections` may be in no reserved place, as a newcomer finds it. Nobody but the reserved networks
    /// gets into the reserve, and what these hold beyond it is missing to all.
    pub(super) fn house_limit(&self, reserved: bool, connections: u32) -> u32 {
        let left = connections.saturating_sub(self.reserved);
        if reserved {
            return left;
        }
        left.min(connections.saturating_sub(self.limits.reserved.connections))
    }

    fn pool(&self, rule: Rule, asked: &Asked<'_>) -> Option<&Pool> {
        match rule {
            Rule::Address => self.addresses.get(&asked.key).map(|group| &group.pool),
            Rule::Unauthenticated => Some(&self.unauthenticated.pool),
            Rule::Listener => self.listeners.get(usize::from(asked.listener)).map(|at| &at.room.pool),
            Rule::Server => Some(&self.house.pool),
            Rule::Handshakes => Some(&self.handshakes.pool),
            Rule::Account => self.accounts.get(asked.account?.0).map(|group| &group.pool),
            Rule::TransfersOfAddress => self.transfers_of.get(&asked.key),
            Rule::Transfers => Some(&self.transfers.pool),
            Rule::Ports => self.ports.get(usize::from(asked.ports.0)),
            _ => None,
        }
    }

    fn pool_mut(&mut self, rule: Rule, asked: &Asked<'_>) -> Option<&mut Pool> {
        match rule {
            Rule::Address => self.addresses.get_mut(&asked.key).map(|group| &mut group.pool),
            Rule::Unauthenticated => Some(&mut self.unauthenticated.pool),
            Rule::Listener => self.listeners.get_mut(usize::from(asked.listener)).map(|at| &mut at.room.pool),
            Rule::Server => Some(&mut self.house.pool),
            Rule::Handshakes => Some(&mut self.handshakes.pool),
            Rule::Account => self.accounts.get_mut(asked.account?.0).map(|group| &mut group.pool),
            Rule::TransfersOfAddress => self.transfers_of.get_mut(&asked.key),
            Rule::Transfers => Some(&mut self.transfers.pool),
            Rule::Ports => self.ports.get_mut(usize::from(asked.ports.0)),
            _ => None,
        }
    }
}

const fn cause(rule: Rule, asked: &Asked<'_>) -> Cause {
    match rule {
        Rule::Denied => Cause::Denied,
        Rule::Banned => Cause::Banned,
        Rule::Draining => Cause::Draining,
        Rule::Overloaded => Cause::Overloaded,
        Rule::RateOfAddress | Rule::RateOfListener => Cause::Rate,
        Rule::Address => Cause::AddressFull,
        Rule::Unauthenticated => Cause::UnauthenticatedFull,
        Rule::Listener => Cause::ListenerFull,
        Rule::Server => Cause::ServerFull,
        Rule::Handshakes => Cause::HandshakesFull,
        Rule::Name => Cause::LoginFailures,
        Rule::Account => match asked.account {
            Some((AccountKey::Anonymous, _)) => Cause::AnonymousFull,
            _ => Cause::AccountFull,
        },
        Rule::TransfersOfAddress | Rule::Transfers => Cause::TransfersFull,
        Rule::Ports => Cause::DataPorts,
    }
}

fn refusal(check: Check, retry_after_secs: u32) -> Refusal {
    let Check { cause, signal, in_use, limit, .. } = check;
    Refusal { cause, signal, in_use, limit: limit.unwrap_or(0), retry_after_secs }
}

/// Returns the whole seconds until `until`, rounded up, at least 1.
pub(super) fn secs_until(until: Moment, now: Moment) -> u32 {
    whole_secs_of(until.since(now)).max(1)
}
