use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::time::Duration;

use tidegate_types::{AddressKey, Moment};

use crate::failures::Failures;
use crate::keyed::Keyed;
use crate::limits::{BanPolicy, LoginFailures};
use crate::returns::whole_secs_of;
use crate::ways::{Ways, Worth};

/// How many name-and-address pairs, and how many addresses, have failures kept: 64 and 56 bytes each, 7.5 MiB.
pub(crate) const FAILURE_SLOTS_MAX: usize = 1 << 16;
/// How many bans are kept: 64 bytes each and at most 80 for the name, 9 MiB.
pub(crate) const BAN_SLOTS_MAX: usize = 1 << 16;
/// How much of a name counts, in bytes. Longer names that begin alike are one.
pub const BAN_NAME_BYTES_MAX: usize = 64;
/// How many times as many failures an address has as a name of it, before all of it is banned.
const ADDRESS_FACTOR: u32 = 10;
/// The shortest time without a ban that takes one step of growth back.
const QUIET_MIN: Duration = Duration::from_mins(10);
/// Steps of growth.
const LEVEL_MAX: u8 = 64;

/// Why somebody is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BanReason {
    /// Too many failed logins.
    LoginFailures,
    /// Too many failed logins and sessions that flooded, of the whole address.
    Flood,
    /// An operator said so.
    Operator,
}

impl BanReason {
    /// Returns the word for logs and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginFailures => "login-failures",
            Self::Flood => "flood",
            Self::Operator => "operator",
        }
    }
}

/// A ban that was just decided, or that stood already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who: an IPv4 address or an IPv6 /64.
    pub address: AddressKey,
    /// Whether only the name that failed is banned from there; else the whole address is.
    pub one_name: bool,
    /// When it ends.
    pub until: Moment,
    /// How many bans in a row this is.
    pub level: u8,
    /// How long it lasts from now on, in whole seconds, at least 1.
    pub retry_after_secs: u32,
    /// Whether it was just decided; else it stood already and has not changed: there is nothing to count, log or keep.
    pub is_new: bool,
}

/// A ban as it is listed and kept across restarts. It holds no moment: durations are from the time it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRecord {
    /// Who: an IPv4 address or an IPv6 /64.
    pub address: AddressKey,
    /// The only name that is banned from there, cut to [`BAN_NAME_BYTES_MAX`]; `None`: the whole address is.
    pub name: Option<String>,
    /// Why.
    pub reason: BanReason,
    /// How much of it is left; zero: it has ended, and only the next one remembers it.
    pub remaining: Duration,
    /// How long ago it ended; zero while it lasts.
    pub ended_for: Duration,
    /// How long it was in all.
    pub length: Duration,
    /// How many bans in a row it was.
    pub level: u8,
}

/// A part of the list of bans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanPage {
    /// The bans of this page.
    pub bans: Vec<BanRecord>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<usize>,
}

/// An address, or one name from it: the keyed hash of the name, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Whom {
    address: AddressKey,
    name: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    until: Moment,
    length_nanos: u64,
    name: Option<Box<str>>,
    level: u8,
    reason: BanReason,
}

impl Entry {
    const fn length(&self) -> Duration {
        Duration::from_nanos(self.length_nanos)
    }

    /// Returns how many bans in a row are remembered: one less for each time without a ban that is as long as the last one,
    /// and at least [`QUIET_MIN`].
    fn level(&self, now: Moment) -> u8 {
        let quiet = self.length().max(QUIET_MIN).as_nanos().max(1);
        let steps = now.since(self.until).as_nanos() / quiet;
        self.level.saturating_sub(u8::try_from(steps).unwrap_or(u8::MAX))
    }
}

impl Worth for Entry {
    fn is_over(&self, now: Moment) -> bool {
        self.until <= now && self.level(now) == 0
    }

    /// What ends soonest goes first; what an operator said goes last.
    fn worth(&self) -> u64 {
        match self.reason {
            BanReason::Operator => u64::MAX,
            _ => u64::try_from(self.until.since_start().as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// What is a ban, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) failures: LoginFailures,
    pub(crate) policy: BanPolicy,
}

/// Who failed, and who is banned for it.
#[derive(Clone, Debug)]
pub(crate) struct Bans {
    of_pairs: Ways<Whom, Failures>,
    of_addresses: Ways<AddressKey, Failures>,
    lasting: Ways<Whom, Entry>,
    keyed: Keyed,
}

impl Bans {
    pub(crate) const fn new(keyed: Keyed) -> Self {
        Self {
            of_pairs: Ways::new(FAILURE_SLOTS_MAX, keyed),
            of_addresses: Ways::new(FAILURE_SLOTS_MAX, keyed),
            lasting: Ways::new(BAN_SLOTS_MAX, keyed),
            keyed,
        }
    }

    /// Returns the end of the ban on all of `address`, if it is banned now.
    pub(crate) fn of_address(&self, address: AddressKey, now: Moment) -> Option<Moment> {
        self.end_of(Whom { address, name: 0 }, now)
    }

    /// Returns the end of the ban on `name` from `address`, if it is banned now.
    pub(crate) fn of_name(&self, address: AddressKey, name: &str, now: Moment) -> Option<Moment> {
        self.end_of(self.whom(address, name), now)
    }

    /// Returns the ban that lasts on all of `address`, else on `name` from there. While there is one nothing is to be counted: checks
    /// that began before it would make it longer.
    pub(crate) fn standing(&self, address: AddressKey, name: Option<&str>, now: Moment) -> Option<Ban> {
        let of = |whom: Whom| {
            let entry = self.lasting.get(&whom).filter(|entry| now < entry.until)?;
            let (until, level) = (entry.until, entry.level);
            let retry_after_secs = whole_secs_of(until.since(now)).max(1);
            Some(Ban { address, one_name: whom.name != 0, until, level, retry_after_secs, is_new: false })
        };
        of(Whom { address, name: 0 }).or_else(|| of(self.whom(address, name?)))
    }

    /// Counts a failed login; the wider ban is told when it brings two. Ask for one that [stands](Self::standing) before.
    pub(crate) fn failed(
        &mut self,
        (address, name): (AddressKey, &str),
        terms: Terms,
        now: Moment,
    ) -> Option<Ban> {
        let whom = self.whom(address, name);
        let mut failures = self.of_pairs.get(&whom).copied().unwrap_or_default();
        let banned = failures.count(1, terms.failures.period, now) >= terms.failures.count.get();
        let ban = if banned {
            self.of_pairs.remove(&whom);
            Some(self.grow(whom, Some(cut(name)), (BanReason::LoginFailures, terms.policy), now))
        } else {
            self.of_pairs.insert(whom, failures, now);
            None
        };
        self.count_address(address, (1, BanReason::LoginFailures), terms, now).or(ban)
    }

    /// Counts a session that flooded, as heavy as the failures that ban one name. Ask for a ban that [stands](Self::standing) before.
    pub(crate) fn flooded(&mut self, address: AddressKey, terms: Terms, now: Moment) -> Option<Ban> {
        let weight = terms.failures.count.get();
        self.count_address(address, (weight, BanReason::Flood), terms, now)
    }

    /// Forgets the failures of `name` from `address`, and its bans when none is under way. Those of the address stay.
    pub(crate) fn succeeded(&mut self, address: AddressKey, name: &str, now: Moment) {
        let whom = self.whom(address, name);
        self.of_pairs.remove(&whom);
        if self.end_of(whom, now).is_none() {
            self.lasting.remove(&whom);
        }
    }

    /// Bans all of `address` for `length`; one that is under way is replaced.
    pub(crate) fn ban(&mut self, address: AddressKey, length: Duration, now: Moment) -> Ban {
        let whom = Whom { address, name: 0 };
        let level = self.lasting.get(&whom).map_or(0, |entry| entry.level(now)).max(1);
        self.put(whom, None, (length, level, BanReason::Operator), now)
    }

    /// Forgets everything about `address` and all names from it, and returns how many bans that ended. Linear.
    pub(crate) fn unban(&mut self, address: AddressKey, now: Moment) -> usize {
        let of_address = |entries: &Ways<Whom, Entry>| -> Vec<(Whom, bool)> {
            let all = entries.iter_from(0).filter(|(_, whom, _)| whom.address == address);
            all.map(|(_, whom, entry)| (*whom, now < entry.until)).collect()
        };
        let known = of_address(&self.lasting);
        for (whom, _) in &known {
            self.lasting.remove(whom);
        }
        self.of_addresses.remove(&address);
        let failed = self.of_pairs.iter_from(0).filter(|(_, whom, _)| whom.address == address);
        for whom in failed.map(|(_, whom, _)| *whom).collect::<Vec<_>>() {
            self.of_pairs.remove(&whom);
        }
        known.iter().filter(|(_, lasting)| *lasting).count()
    }

    /// Returns up to `count` entries from `cursor` on: those that last, and with `ended` also those that are remembered.
    pub(crate) fn page(&self, cursor: usize, count: usize, ended: bool, now: Moment) -> BanPage {
        let mut listed = self
            .lasting
            .iter_from(cursor)
            .filter(|(_, _, entry)| now < entry.until || (ended && !entry.is_over(now)));
        let mut bans = Vec::new();
        while bans.len() < count.max(1) {
            let Some((at, whom, entry)) = listed.next() else { return BanPage { bans, next: None } };
            bans.push(record(*whom, entry, now));
            if bans.len() == count.max(1) {
                let next = (at + 1 < self.lasting.slots()).then_some(at + 1);
                return BanPage { bans, next };
            }
        }
        BanPage { bans, next: None }
    }

    /// Takes over what another process, or an earlier life of this one, had decided.
    pub(crate) fn restore(&mut self, record: &BanRecord, now: Moment) {
        let whom = match record.name.as_deref() {
            Some(name) => self.whom(record.address, name),
            None => Whom { address: record.address, name: 0 },
        };
        // Time begins at zero: what ended before is taken as ending now, with the steps it has lost since.
        let ended = Entry {
            until: Moment::ZERO,
            length_nanos: nanos(record.length),
            name: record.name.as_deref().map(|name| cut(name).into()),
            level: record.level.min(LEVEL_MAX),
            reason: record.reason,
        };
        let level = ended.level(Moment::from_start(record.ended_for));
        if !record.remaining.is_zero() || level > 0 {
            let level = if record.remaining.is_zero() { level } else { ended.level };
            self.lasting.insert(whom, Entry { until: now + record.remaining, level, ..ended }, now);
        }
    }

    /// Returns how many bans last. Linear in the slots in use, at most [`BAN_SLOTS_MAX`].
    pub(crate) fn lasting_count(&self, now: Moment) -> usize {
        self.lasting.iter_from(0).filter(|(_, _, entry)| now < entry.until).count()
    }

    pub(crate) const fn evicted(&self) -> u64 {
        self.of_pairs.evicted() + self.of_addresses.evicted() + self.lasting.evicted()
    }

    /// Returns how many entries are kept.
    pub(crate) const fn len(&self) -> usize {
        self.of_pairs.len() + self.of_addresses.len() + self.lasting.len()
    }

    pub(crate) fn sweep(&mut self, now: Moment) {
        self.of_pairs.sweep(now);
        self.of_addresses.sweep(now);
        self.lasting.sweep(now);
    }

    fn count_address(
        &mut self,
        address: AddressKey,
        (weight, reason): (u32, BanReason),
        terms: Terms,
        now: Moment,
    ) -> Option<Ban> {
        let mut failures = self.of_addresses.get(&address).copied().unwrap_or_default();
        let most = terms.failures.count.get().saturating_mul(ADDRESS_FACTOR);
        if failures.count(weight, terms.failures.period, now) < most {
            self.of_addresses.insert(address, failures, now);
            return None;
        }
        self.of_addresses.remove(&address);
        Some(self.grow(Whom { address, name: 0 }, None, (reason, terms.policy), now))
    }

    /// Bans for longer than the last time.
    fn grow(
        &mut self,
        whom: Whom,
        name: Option<&str>,
        (reason, policy): (BanReason, BanPolicy),
        now: Moment,
    ) -> Ban {
        let level = self.lasting.get(&whom).map_or(0, |entry| entry.level(now));
        let length = length_at(level, policy);
        self.put(whom, name, (length, level.saturating_add(1).min(LEVEL_MAX), reason), now)
    }

    fn put(
        &mut self,
        whom: Whom,
        name: Option<&str>,
        (length, level, reason): (Duration, u8, BanReason),
        now: Moment,
    ) -> Ban {
        let until = now + length;
        let entry = Entry { until, length_nanos: nanos(length), name: name.map(Box::from), level, reason };
        self.lasting.insert(whom, entry, now);
        let retry_after_secs = whole_secs_of(length).max(1);
        Ban { address: whom.address, one_name: whom.name != 0, until, level, retry_after_secs, is_new: true }
    }

    fn end_of(&self, whom: Whom, now: Moment) -> Option<Moment> {
        self.lasting.get(&whom).map(|entry| entry.until).filter(|until| now < *until)
    }

    fn whom(&self, address: AddressKey, name: &str) -> Whom {
        Whom { address, name: self.keyed.hash_one(cut(name)) | 1 }
    }
}

fn record(whom: Whom, entry: &Entry, now: Moment) -> BanRecord {
    BanRecord {
        address: whom.address,
        name: entry.name.as_deref().map(String::from),
        reason: entry.reason,
        remaining: entry.until.since(now),
        ended_for: now.since(entry.until),
        length: entry.length(),
        level: entry.level,
    }
}

/// Returns how long a ban is after `level` others.
fn length_at(level: u8, policy: BanPolicy) -> Duration {
    let factor = policy.factor.max(1.0);
    let mut secs = policy.first.as_secs_f64();
    for _ in 0..level {
        secs *= factor;
        if secs >= policy.most.as_secs_f64() {
            return policy.most;
        }
    }
    Duration::try_from_secs_f64(secs).unwrap_or(policy.most).min(policy.most)
}

/// Returns as much of `name` as counts.
fn cut(name: &str) -> &str {
    name.get(..name.floor_char_boundary(BAN_NAME_BYTES_MAX)).unwrap_or(name)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
