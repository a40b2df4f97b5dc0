//! A fixed number of places for sockets that rest, in the order of their coming, and the tokens by which epoll names them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a token of the doorway's epoll belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Mailbox,
    /// The place is the number of the listener.
    Listener,
    Lingering,
    Pending,
    Waiting,
}

/// Names one stay of one socket in one place, so that a late event about the last tenant does not meet the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) room: Room,
    /// Below 2^24.
    pub(super) place: u32,
    pub(super) stay: u32,
}

const PLACE_BITS: u32 = 24;
const PLACES_MAX: u32 = 1 << PLACE_BITS;

impl Token {
    pub(super) const fn of(room: Room, place: u32) -> Self {
        Self { room, place, stay: 0 }
    }

    pub(super) fn to_bits(self) -> u64 {
        let room: u64 = match self.room {
            Room::Mailbox => 0,
            Room::Listener => 1,
            Room::Lingering => 2,
            Room::Pending => 3,
            Room::Waiting => 4,
        };
        (room << (32 + PLACE_BITS)) | (u64::from(self.place) << 32) | u64::from(self.stay)
    }

    /// Returns what [`to_bits`](Self::to_bits) made the bits of.
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        let room = match bits >> (32 + PLACE_BITS) {
            0 => Room::Mailbox,
            1 => Room::Listener,
            2 => Room::Lingering,
            3 => Room::Pending,
            4 => Room::Waiting,
            _ => return None,
        };
        let place = u32::try_from((bits >> 32) & u64::from(PLACES_MAX - 1)).ok()?;
        let stay = u32::try_from(bits & u64::from(u32::MAX)).ok()?;
        Some(Self { room, place, stay })
    }
}

/// The places of one room, all of them allocated at the start.
#[derive(Debug)]
pub(super) struct Slab<T> {
    room: Room,
    places: Box<[Option<Tenant<T>>]>,
    vacant: Vec<u32>,
    /// Places by age, oldest first. Entries of those who left early stay until they come to the front or the queue is twice as
    /// long as the slab.
    order: VecDeque<Token>,
    stays: u32,
}

#[derive(Debug)]
struct Tenant<T> {
    content: T,
    since: Instant,
    stay: u32,
}

impl<T> Slab<T> {
    /// Returns an empty slab of `places`, but at least 1 and at most 2^24.
    pub(super) fn new(room: Room, places: usize) -> Self {
        let number = u32::try_from(places).unwrap_or(PLACES_MAX).clamp(1, PLACES_MAX);
        Self {
            room,
            places: (0..number).map(|_| None).collect(),
            vacant: (0..number).rev().collect(),
            order: VecDeque::new(),
            stays: 0,
        }
    }

    /// Puts `content` into a vacant place; gives it back when there is none.
    pub(super) fn insert(&mut self, content: T, now: Instant) -> Result<Token, T> {
        let Some(place) = self.vacant.pop() else { return Err(content) };
        let Some(slot) = self.places.get_mut(place as usize) else { return Err(content) };
        self.stays = self.stays.wrapping_add(1);
        let token = Token { room: self.room, place, stay: self.stays };
        *slot = Some(Tenant { content, since: now, stay: token.stay });
        self.remember(token);
        Ok(token)
    }

    /// Returns what rests under `token`; `None` when it has left.
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let tenant = self.places.get_mut(token.place as usize)?.as_mut()?;
        (tenant.stay == token.stay).then_some(&mut tenant.content)
    }

    /// Takes out what rests under `token`; `None` when it has left.
    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self.places.get_mut(token.place as usize)?;
        let tenant = slot.take_if(|tenant| tenant.stay == token.stay)?;
        self.vacant.push(token.place);
        Some(tenant.content)
    }

    /// Returns who came first and when.
    pub(super) fn oldest(&mut self) -> Option<(Token, Instant)> {
        loop {
            let token = *self.order.front()?;
            if let Some(since) = self.since(token) {
                return Some((token, since));
            }
            self.order.pop_front();
        }
    }

    /// Returns who came first, if that is at least `age` ago.
    pub(super) fn older(&mut self, age: Duration, now: Instant) -> Option<Token> {
        self.oldest().filter(|&(_, since)| since + age <= now).map(|(token, _)| token)
    }

    /// Returns when the one under `token` came; `None` when it has left.
    pub(super) fn since(&self, token: Token) -> Option<Instant> {
        let tenant = self.places.get(token.place as usize)?.as_ref()?;
        (tenant.stay == token.stay).then_some(tenant.since)
    }

    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.vacant.is_empty()
    }

    fn remember(&mut self, token: Token) {
        if self.order.len() >= 2 * self.places.len() {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|&token| self.since(token).is_some());
            self.order = order;
        }
        self.order.push_back(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_way_through_the_kernel() {
        for room in [Room::Mailbox, Room::Listener, Room::Lingering, Room::Pending, Room::Waiting] {
            for (place, stay) in [(0, 0), (1, u32::MAX), (PLACES_MAX - 1, 7)] {
                let token = Token { room, place, stay };
                assert_eq!(Token::from_bits(token.to_bits()), Some(token));
            }
        }
        assert_eq!(Token::from_bits(u64::MAX), None);
    }

    #[test]
    fn a_late_token_does_not_meet_the_next_tenant_and_age_keeps_its_order() {
        let (mut slab, now) = (Slab::new(Room::Pending, 2), crate::clock::now());
        let first = slab.insert('a', now).unwrap();
        let second = slab.insert('b', now + Duration::from_secs(1)).unwrap();
        assert_eq!((slab.insert('c', now), slab.is_full()), (Err('c'), true));
        assert_eq!(slab.remove(first), Some('a'));
        let third = slab.insert('c', now + Duration::from_secs(2)).unwrap();
        assert_eq!(third.place, first.place);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.oldest(), Some((second, now + Duration::from_secs(1))));
        assert_eq!(slab.older(Duration::from_secs(1), now + Duration::from_millis(1999)), None);
        assert_eq!(slab.older(Duration::from_secs(1), now + Duration::from_secs(2)), Some(second));
        // Many come and go while one stays: the queue of ages does not grow.
        for _ in 0..1000 {
            let token = {
                slab.remove(third);
                slab.insert('d', now + Duration::from_secs(3)).unwrap()
            };
            assert_eq!(slab.remove(token), Some('d'));
        }
        assert!(slab.order.len() <= 4, "{}", slab.order.len());
        assert_eq!(slab.remove(second), Some('b'));
        assert!(slab.is_empty() && slab.oldest().is_none());
    }
}
