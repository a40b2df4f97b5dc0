use core::net::IpAddr;
use core::time::Duration;

use tidegate_types::{AddressKey, Moment, Refusal};

use super::Engine;
use super::check::Asked;
use crate::bans::{Ban, BanPage, BanRecord, Terms};
use crate::question::Rule;

impl Engine {
    /// Asks whether `name` may be tried from `address`: call it before the password is looked at, or a ban would tell that it
    /// was right. Errors: the refusal, counted as `banned` when all of the address is (the session came before), else as
    /// `login-failures`, with the exact end of the ban.
    pub fn attempt(&mut self, address: IpAddr, name: &str, now: Moment) -> Result<(), Refusal> {
        let asked = Asked { name: Some(name), ..Asked::of(address, &self.limits) };
        let checks = [Rule::Banned, Rule::Name].map(|rule| self.check(rule, &asked, now));
        match checks.into_iter().find(|check| check.refuses) {
            Some(check) => Err(self.refuse(check, &asked, now)),
            None => Ok(()),
        }
    }

    /// Counts a failed login with `name`, whether there is such an account or not. Returns the ban it brought: on the name from this
    /// address, or, at ten times the count, on the whole address. While either ban stands, by a check that ended earlier, nothing is
    /// counted and the standing one is returned ([`Ban::is_new`]).
    pub fn login_failed(&mut self, address: IpAddr, name: &str, now: Moment) -> Option<Ban> {
        if self.limits.is_never_banned(address) {
            return None;
        }
        let key = AddressKey::of(address);
        if let Some(standing) = self.bans.standing(key, Some(name), now) {
            return Some(standing);
        }
        let ban = self.bans.failed((key, name), self.terms()?, now);
        self.note_ban(ban, now)
    }

    /// Forgets the failures of `name` from `address`. Those of the address stay: one right password excuses no guessing.
    pub fn login_succeeded(&mut self, address: IpAddr, name: &str, now: Moment) {
        self.bans.succeeded(AddressKey::of(address), name, now);
    }

    /// Counts a session that was ended for its flood of commands. Ten of them in the period of `login_failures` ban the address; while
    /// it is banned nothing is counted and the standing ban is returned.
    pub fn flooded(&mut self, address: IpAddr, now: Moment) -> Option<Ban> {
        if self.limits.is_never_banned(address) {
            return None;
        }
        let key = AddressKey::of(address);
        if let Some(standing) = self.bans.standing(key, None, now) {
            return Some(standing);
        }
        let ban = self.bans.flooded(key, self.terms()?, now);
        self.note_ban(ban, now)
    }

    /// Bans `address` (IPv6: its /64) for `length`, in place of a ban that lasts. `None`: it is never banned, being trusted or reserved.
    pub fn ban(&mut self, address: IpAddr, length: Duration, now: Moment) -> Option<Ban> {
        if self.limits.is_never_banned(address) {
            return None;
        }
        let ban = self.bans.ban(AddressKey::of(address), length, now);
        self.note_ban(Some(ban), now)
    }

    /// Forgets bans and failures of `address` and of all names from it. Returns how many bans that ended. Linear in the bans.
    pub fn unban(&mut self, address: IpAddr, now: Moment) -> usize {
        let ended = self.bans.unban(AddressKey::of(address), now);
        self.settle_free(now);
        ended
    }

    /// Returns up to `count` bans that last, from `cursor` on (0 at first, then [`BanPage::next`]). Bans that begin or end between
    /// two pages may be missing or told twice.
    pub fn bans(&self, cursor: usize, count: usize, now: Moment) -> BanPage {
        self.bans.page(cursor, count, false, now)
    }

    /// As [`Self::bans`], with those that have ended and still make the next one longer: what is worth keeping over a restart.
    pub fn export_bans(&self, cursor: usize, count: usize, now: Moment) -> BanPage {
        self.bans.page(cursor, count, true, now)
    }

    /// Takes over a ban that was exported. The caller subtracts the time since then from `remaining`, and adds what is left of
    /// it to `ended_for`.
    pub fn import_ban(&mut self, record: &BanRecord, now: Moment) {
        self.bans.restore(record, now);
        self.settle(now);
    }

    fn terms(&self) -> Option<Terms> {
        Some(Terms { failures: self.limits.login_failures?, policy: self.limits.ban })
    }

    /// Counts a ban that was just decided; who waits and is banned with its address is told at once.
    fn note_ban(&mut self, ban: Option<Ban>, now: Moment) -> Option<Ban> {
        if let Some(ban) = &ban {
            self.counters.banned = self.counters.banned.saturating_add(1);
            if !ban.one_name {
                self.settle(now);
            }
        }
        ban
    }
}
