use alloc::collections::VecDeque;
use core::net::IpAddr;

use tidegate_types::{AddressKey, Moment};

use crate::limits::WaitingRoom;
use crate::question::{Decision, Grant, TicketId};

/// The most places a waiting room has, whatever is configured: 96 bytes each, and some operations look at all.
pub const PLACES_MAX: u32 = 1_024;
/// The part of the places that one address may take, at least one.
const ADDRESS_PART: u32 = 8;

/// One newcomer who waits, or whose answer waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) address: IpAddr,
    pub(crate) listener: u16,
    pub(crate) until: Moment,
    /// When a rate that alone keeps it out lets it in: time does, nobody has to leave.
    pub(crate) ripe: Option<Moment>,
    pub(crate) answer: Option<Decision>,
}

/// Newcomers in the order they came. Who waited longest is let in first; a newcomer finds no free place before them, because
/// places are given away in the step that frees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    tickets: VecDeque<Ticket>,
    /// How many of them have an answer.
    answered: u32,
    /// How many of the others ripen.
    ripening: u32,
    last: u64,
}

impl Waiting {
    /// Returns until when one more from `address` may wait; `None`: there is no place for it.
    pub(crate) fn until(&self, address: IpAddr, room: WaitingRoom, now: Moment) -> Option<Moment> {
        let places = room.places.min(PLACES_MAX);
        let share = (places / ADDRESS_PART).max(1);
        let free = self.len() < places && self.of(AddressKey::of(address)) < share;
        (free && !room.hold.is_zero()).then(|| now + room.hold)
    }

    pub(crate) fn push(&mut self, address: IpAddr, listener: u16, until: Moment) -> TicketId {
        self.last += 1;
        let id = TicketId(self.last);
        self.tickets.push_back(Ticket { id, address, listener, until, ripe: None, answer: None });
        id
    }

    /// Returns how many places are taken, those included whose answer was not fetched.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.tickets.len()).unwrap_or(u32::MAX)
    }

    /// Returns how many places `key` takes.
    pub(crate) fn of(&self, key: AddressKey) -> u32 {
        let same = self.tickets.iter().filter(|ticket| AddressKey::of(ticket.address) == key);
        u32::try_from(same.count()).unwrap_or(u32::MAX)
    }

    /// Returns the first from place `from` on that has no answer yet, and its place.
    pub(crate) fn next_open(&self, from: usize) -> Option<(usize, Ticket)> {
        let open = self.tickets.iter().enumerate().skip(from).find(|(_, ticket)| ticket.answer.is_none());
        open.map(|(place, ticket)| (place, *ticket))
    }

    pub(crate) fn answer(&mut self, place: usize, decision: Decision) {
        if let Some(ticket) = self.tickets.get_mut(place) {
            debug_assert!(ticket.answer.is_none(), "a ticket is answered once");
            self.ripening = self.ripening.saturating_sub(u32::from(ticket.ripe.take().is_some()));
            ticket.answer = Some(decision);
            self.answered = self.answered.saturating_add(1);
        }
    }

    /// Notes when a rate will let in who has no answer yet; `None`: something else keeps it out.
    pub(crate) fn ripens(&mut self, place: usize, at: Option<Moment>) {
        if let Some(ticket) = self.tickets.get_mut(place) {
            let before = core::mem::replace(&mut ticket.ripe, at);
            self.ripening = self.ripening + u32::from(at.is_some()) - u32::from(before.is_some());
        }
    }

    /// Returns whether time alone will let somebody in.
    pub(crate) const fn has_ripening(&self) -> bool {
        self.ripening > 0
    }

    /// Returns whether somebody has an answer that was not taken out.
    pub(crate) const fn has_answers(&self) -> bool {
        self.answered > 0
    }

    /// Takes the first answer out.
    pub(crate) fn pop_answer(&mut self) -> Option<Grant> {
        if !self.has_answers() {
            return None;
        }
        let place = self.tickets.iter().position(|ticket| ticket.answer.is_some())?;
        let ticket = self.take(place)?;
        ticket.answer.map(|decision| Grant { ticket: ticket.id, decision })
    }

    #[cfg(test)]
    pub(crate) fn was_admitted(&self, id: TicketId) -> bool {
        let admitted = |ticket: &&Ticket| matches!(ticket.answer, Some(Decision::Admit(_)));
        self.tickets.iter().filter(admitted).any(|ticket| ticket.id == id)
    }

    /// Takes one out; its answer may be there already.
    pub(crate) fn remove(&mut self, id: TicketId) -> Option<Ticket> {
        let place = self.tickets.iter().position(|ticket| ticket.id == id)?;
        self.take(place)
    }

    fn take(&mut self, place: usize) -> Option<Ticket> {
        let ticket = self.tickets.remove(place)?;
        self.answered = self.answered.saturating_sub(u32::from(ticket.answer.is_some()));
        self.ripening = self.ripening.saturating_sub(u32::from(ticket.ripe.is_some()));
        Some(ticket)
    }

    /// Returns when the next wait ends or may end; `now` when an answer waits.
    pub(crate) fn next_deadline(&self, now: Moment) -> Option<Moment> {
        let end = |ticket: &Ticket| ticket.ripe.map_or(ticket.until, |ripe| ripe.min(ticket.until));
        self.tickets.iter().map(|ticket| ticket.answer.map_or_else(|| end(ticket), |_| now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_takes_what_the_table_says() {
        assert!(size_of::<Ticket>() <= 96, "{} bytes", size_of::<Ticket>());
    }
}
