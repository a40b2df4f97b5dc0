use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use tidegate_types::Moment;

use crate::keyed::Keyed;

/// How many places one key may be kept in.
const WAYS: usize = 8;
/// How many sets the first entry makes.
const SETS_MIN: usize = 8;

/// What a value in [`Ways`] is worth keeping.
pub(crate) trait Worth {
    /// Returns whether the value says nothing any more: losing it changes no answer.
    fn is_over(&self, now: Moment) -> bool;

    /// Returns a number that is smaller the less is lost with the value.
    fn worth(&self) -> u64;
}

/// A map whose keys strangers choose: it never has more than a fixed number of slots. Each key may live in the eight
/// slots of its set (a keyed hash picks the set); when they are taken, one that is over makes room, else the table doubles, and at
/// its largest the least worth is forgotten. Constant time, doubling aside.
#[derive(Clone, Debug)]
pub(crate) struct Ways<K, V> {
    slots: Vec<Option<(K, V)>>,
    slots_max: usize,
    len: usize,
    evicted: u64,
    keyed: Keyed,
}

impl<K: Copy + Eq + Hash, V: Worth> Ways<K, V> {
    /// Returns an empty map of at most `slots_max` slots, a power of two.
    pub(crate) const fn new(slots_max: usize, keyed: Keyed) -> Self {
        Self { slots: Vec::new(), slots_max, len: 0, evicted: 0, keyed }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let start = self.start(key)?;
        let set = self.slots.get(start..start + WAYS)?;
        set.iter().flatten().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let start = self.start(key)?;
        let set = self.slots.get_mut(start..start + WAYS)?;
        set.iter_mut().flatten().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let start = self.start(key)?;
        let set = self.slots.get_mut(start..start + WAYS)?;
        let slot = set.iter_mut().find(|slot| slot.as_ref().is_some_and(|(known, _)| known == key))?;
        self.len = self.len.saturating_sub(1);
        slot.take().map(|(_, value)| value)
    }

    /// Gives `key` a value, in place of the one it has.
    pub(crate) fn insert(&mut self, key: K, value: V, now: Moment) {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return;
        }
        loop {
            let slots_max = self.slots_max;
            let may_grow = self.slots.len() < slots_max;
            let Some(at) = self.room_for(&key, now, may_grow) else {
                self.grow();
                continue;
            };
            if let Some(slot) = self.slots.get_mut(at) {
                match slot.replace((key, value)) {
                    None => self.len += 1,
                    Some((_, old)) if !old.is_over(now) => self.evicted = self.evicted.saturating_add(1),
                    Some(_) => {}
                }
            }
            return;
        }
    }

    /// Returns how many are kept, those that are over included.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns how many were forgotten that still said something.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Returns how many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Returns what is kept from slot `first` on, with the slot.
    pub(crate) fn iter_from(&self, first: usize) -> impl Iterator<Item = (usize, &K, &V)> {
        let slots = self.slots.iter().enumerate().skip(first);
        slots.filter_map(|(at, slot)| slot.as_ref().map(|(key, value)| (at, key, value)))
    }

    /// Forgets what is over in all slots. Linear.
    pub(crate) fn sweep(&mut self, now: Moment) {
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|(_, value)| value.is_over(now)) {
                *slot = None;
                self.len = self.len.saturating_sub(1);
            }
        }
        if self.len == 0 {
            self.slots = Vec::new();
        }
    }

    fn start(&self, key: &K) -> Option<usize> {
        let sets = self.slots.len() / WAYS;
        let hash = self.keyed.hash_one(key);
        // The upper bits of the product pick the set, so that doubling splits a set in two.
        let set = (u128::from(hash) * u128::try_from(sets).ok()?) >> 64;
        (sets > 0).then_some(usize::try_from(set).ok()? * WAYS)
    }

    /// Returns the slot `key` may have; `None`: the table has to grow first.
    fn room_for(&self, key: &K, now: Moment, may_grow: bool) -> Option<usize> {
        let start = self.start(key)?;
        let set = self.slots.get(start..start + WAYS)?;
        let over = |slot: &Option<(K, V)>| slot.as_ref().is_none_or(|(_, value)| value.is_over(now));
        if let Some(way) = set.iter().position(Option::is_none).or_else(|| set.iter().position(over)) {
            return Some(start + way);
        }
        if may_grow {
            return None;
        }
        let worth = |slot: &Option<(K, V)>| slot.as_ref().map_or(0, |(_, value)| value.worth());
        let least = set.iter().enumerate().min_by_key(|(_, slot)| worth(slot));
        least.map(|(way, _)| start + way)
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(SETS_MIN * WAYS);
        let mut wider = Vec::new();
        wider.resize_with(slots, || None);
        let old = core::mem::replace(&mut self.slots, wider);
        for (key, value) in old.into_iter().flatten() {
            // The keys of two sets come from one old set of eight, so there always is room.
            if let Some(start) = self.start(&key)
                && let Some(set) = self.slots.get_mut(start..start + WAYS)
                && let Some(slot) = set.iter_mut().find(|slot| slot.is_none())
            {
                *slot = Some((key, value));
            }
        }
        debug_assert_eq!(self.len, self.slots.iter().flatten().count(), "growing loses nothing");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    impl Worth for u64 {
        fn is_over(&self, now: Moment) -> bool {
            Duration::from_secs(*self) <= now.since_start()
        }

        fn worth(&self) -> u64 {
            *self
        }
    }

    fn ways(slots_max: usize) -> Ways<u32, u64> {
        Ways::new(slots_max, Keyed::new(5))
    }

    #[test]
    fn grows_without_losing_anything() {
        let mut map = ways(1 << 16);
        assert!(map.get(&1).is_none() && map.remove(&1).is_none() && map.slots() == 0);
        for key in 0..1_000 {
            map.insert(key, u64::from(key) + 1, Moment::ZERO);
        }
        assert_eq!((map.len(), map.evicted()), (1_000, 0));
        for key in 0..1_000 {
            assert_eq!(map.get(&key), Some(&(u64::from(key) + 1)));
        }
        assert_eq!(map.iter_from(0).count(), 1_000);
        map.insert(7, 99, Moment::ZERO);
        assert_eq!((map.len(), map.remove(&7)), (1_000, Some(99)));
        assert_eq!((map.len(), map.get(&7)), (999, None));
    }

    #[test]
    fn forgets_the_least_worth_when_it_is_full() {
        let mut map = ways(64);
        // Worth counts down, so the first are worth most.
        for key in 0..10_000 {
            map.insert(key, 20_000 - u64::from(key), Moment::ZERO);
        }
        assert_eq!((map.slots(), map.len()), (64, 64));
        let worthy = map.iter_from(0).filter(|(_, key, _)| **key < 160).count();
        assert!(worthy >= 50, "the newest replace each other, the worthiest stay: {worthy} of 64");
        assert_eq!(map.evicted(), 10_000 - 64);
    }

    #[test]
    fn what_is_over_makes_room_before_the_table_grows() {
        let mut map = ways(1 << 16);
        for key in 0..100 {
            map.insert(key, 10, Moment::ZERO);
        }
        let slots = map.slots();
        let later = Moment::from_start(Duration::from_secs(10));
        for key in 100..50_000 {
            map.insert(key, 5, later);
        }
        assert_eq!((map.slots(), map.evicted()), (slots, 0));
        map.sweep(later);
        assert_eq!((map.slots(), map.len()), (0, 0));
    }
}
