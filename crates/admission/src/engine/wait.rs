use core::net::IpAddr;
use core::time::Duration;

use tidegate_types::Moment;

use super::check::{Asked, rules};
use super::{Engine, Room};
use crate::pressure::Level;
use crate::question::{Check, Decision, Grant, Question, Rule, TicketId};
use crate::waiting::Ticket;

impl Engine {
    /// Returns how the next wait ended: who waited longest and got a place, or, when its time is over, what else is the answer. `None`:
    /// nothing is to be told before [`Self::next_deadline`]. Call it after everything that may free a place, until it returns `None`.
    pub fn poll_grant(&mut self, now: Moment) -> Option<Grant> {
        self.overloaded.note(self.level(now) == Level::Full, now);
        if !self.waiting.has_answers() {
            self.settle_free(now);
        }
        let grant = self.waiting.pop_answer();
        debug_assert!(self.adds_up(), "after a grant: {self:?}");
        grant
    }

    /// Ends a wait because the peer went away. A place it got meanwhile goes to the next.
    pub fn cancel(&mut self, ticket: TicketId, now: Moment) {
        let Some(ticket) = self.waiting.remove(ticket) else { return };
        self.counters.cancelled = self.counters.cancelled.saturating_add(1);
        if let Some(Decision::Admit(permit)) = ticket.answer {
            self.release(permit, now);
        }
    }

    /// Returns whether [`Self::poll_grant`] has something to tell at once: somebody who waited got an answer. Constant time.
    pub const fn has_answers(&self) -> bool {
        self.waiting.has_answers()
    }

    /// Returns whether [`Self::poll_grant`] or [`Self::next_deadline`] has to be asked now: somebody got an answer, or will by time
    /// alone, perhaps sooner than was told before. Constant time.
    pub const fn has_news(&self) -> bool {
        self.waiting.has_answers() || self.waiting.has_ripening()
    }

    /// Returns until when a newcomer that `rule` refuses may wait; `None`: it may not.
    pub(super) fn may_wait(&self, rule: Rule, asked: &Asked<'_>, now: Moment) -> Option<Moment> {
        match rule {
            Rule::Unauthenticated | Rule::Listener | Rule::Server => {
                self.waiting.until(asked.address, self.limits.waiting_room, now)
            }
            _ => None,
        }
    }

    /// Answers those who wait and may enter now, whose wait is over, or who wait in vain. Linear in the places.
    pub(super) fn settle(&mut self, now: Moment) {
        self.answer_unless(now, |_, _| false);
    }

    /// As [`Self::settle`], after something that may have freed a place and made no wait vain: who finds the whole house full is
    /// passed over quickly.
    pub(super) fn settle_free(&mut self, now: Moment) {
        self.answer_unless(now, |engine, ticket| now < ticket.until && engine.has_no_place(ticket.address));
    }

    /// Returns whether the house, or the pool of the unauthenticated, is full for `address`, whatever else it would be told.
    fn has_no_place(&self, address: IpAddr) -> bool {
        let is_full = |room: &Room, limit: u32| room.pool.in_use() >= limit;
        let unauthenticated = self.limits.connections_unauthenticated;
        (is_full(&self.house, self.house_limit(false, self.limits.connections))
            || unauthenticated.is_some_and(|limit| is_full(&self.unauthenticated, limit)))
            && !self.limits.is_reserved(address)
    }

    fn answer_unless(&mut self, now: Moment, waits_on: impl Fn(&Self, &Ticket) -> bool) {
        let mut from = 0;
        while let Some((place, ticket)) = self.waiting.next_open(from) {
            from = place + 1;
            if waits_on(self, &ticket) {
                self.waiting.ripens(place, None);
                continue;
            }
            let question = Question::connection(ticket.address, ticket.listener);
            let asked = Asked::new(&question, &self.limits);
            match self.first_refusal(&question, &asked, now) {
                None => {
                    let permit = self.admit(&question, &asked, now);
                    self.counters.granted = self.counters.granted.saturating_add(1);
                    self.waiting.answer(place, Decision::Admit(permit));
                }
                Some(check) if ticket.until <= now || is_hopeless(check.rule) => {
                    let decision = self.final_no(check, &asked, now);
                    self.waiting.answer(place, decision);
                }
                Some(check) => {
                    let ripe = self.rate_wait(check.rule, &asked, now).map(|wait| now + wait);
                    self.waiting.ripens(place, ripe);
                }
            }
        }
    }

    /// Returns how long the rate of `rule` keeps a newcomer out; `None`: it is no rate.
    fn rate_wait(&self, rule: Rule, asked: &Asked<'_>, now: Moment) -> Option<Duration> {
        if !matches!(rule, Rule::RateOfAddress | Rule::RateOfListener) {
            return None;
        }
        let (rate, bucket) = self.bucket_of(rule, asked);
        rate.and_then(|rate| bucket.wait(rate, now))
    }

    fn first_refusal(&self, question: &Question, asked: &Asked<'_>, now: Moment) -> Option<Check> {
        let checks = rules(question).iter().map(|rule| self.check(*rule, asked, now));
        checks.into_iter().find(|check| check.refuses)
    }
}

/// Returns whether waiting on does not help.
const fn is_hopeless(rule: Rule) -> bool {
    matches!(rule, Rule::Denied | Rule::Banned | Rule::Draining)
}
