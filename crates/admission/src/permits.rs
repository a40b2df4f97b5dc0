use alloc::vec::Vec;

use tidegate_types::Moment;

/// One place that is held. Given back once; an old or foreign one is recognised by its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId {
    index: u32,
    generation: u32,
}

/// The permits that are held, with what each is for. Grows to the most that were ever held at once.
#[derive(Clone, Debug)]
pub(crate) struct Permits<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    held: Option<T>,
    link: Link,
}

/// The place of a permit in the idle list of its address or account.
#[derive(Clone, Copy, Debug)]
struct Link {
    older: Option<u32>,
    newer: Option<u32>,
    listed: bool,
    dead: bool,
    touched: Moment,
}

/// Permits of one key that may be reclaimed: the dead, then the idle, those longest idle first. The links are in
/// the permits, so every change takes constant time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdleList {
    oldest: Option<u32>,
    newest: Option<u32>,
}

/// The first of an [`IdleList`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) permit: PermitId,
    pub(crate) dead: bool,
    pub(crate) touched: Moment,
}

impl<T> Permits<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Returns a permit for `what`, in no list.
    pub(crate) fn grant(&mut self, what: T, now: Moment) -> PermitId {
        let link = Link { older: None, newer: None, listed: false, dead: false, touched: now };
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slot_mut(index)
        {
            debug_assert!(slot.held.is_none(), "a free slot is held");
            (slot.held, slot.link) = (Some(what), link);
            return PermitId { index, generation: slot.generation };
        }
        // Limits are counted in u32, and a permit takes more than a byte: the index always fits.
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 0, held: Some(what), link });
        PermitId { index, generation: 0 }
    }

    /// Takes `permit` back and returns what it was for; `None` when it is not held (any more). Unlist it before.
    pub(crate) fn take(&mut self, permit: PermitId) -> Option<T> {
        let slot = self.slot_mut(permit.index).filter(|slot| slot.generation == permit.generation)?;
        debug_assert!(!slot.link.listed, "a permit that is taken back is still listed");
        let held = slot.held.take()?;
        // Wraps after 4 billion uses of one slot: a permit would have to be kept that long to be mistaken.
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(permit.index);
        Some(held)
    }

    /// Returns what `permit` is for; `None` when it is not held (any more).
    pub(crate) fn get(&self, permit: PermitId) -> Option<&T> {
        let slot = self.slots.get(permit.index as usize)?;
        slot.held.as_ref().filter(|_| slot.generation == permit.generation)
    }

    pub(crate) fn get_mut(&mut self, permit: PermitId) -> Option<&mut T> {
        let slot = self.slot_mut(permit.index)?;
        slot.held.as_mut().filter(|_| slot.generation == permit.generation)
    }

    /// Returns how many are held.
    pub(crate) fn held(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Puts `permit`, which is held, behind all others as used at `now`.
    pub(crate) fn list_last(&mut self, list: &mut IdleList, permit: PermitId, now: Moment) {
        self.unlist(list, permit);
        let older = list.newest.replace(permit.index);
        match older {
            None => list.oldest = Some(permit.index),
            Some(older) => self.with_link(older, |link| link.newer = Some(permit.index)),
        }
        let link = Link { older, newer: None, listed: true, dead: false, touched: now };
        self.with_link(permit.index, |slot| *slot = link);
    }

    /// Puts `permit`, which is held, before all others, as dead.
    pub(crate) fn list_dead(&mut self, list: &mut IdleList, permit: PermitId) {
        self.unlist(list, permit);
        let newer = list.oldest.replace(permit.index);
        match newer {
            None => list.newest = Some(permit.index),
            Some(newer) => self.with_link(newer, |link| link.older = Some(permit.index)),
        }
        self.with_link(permit.index, |link| {
            *link = Link { older: None, newer, listed: true, dead: true, touched: link.touched };
        });
    }

    /// Takes `permit`, which is held, out of the list; nothing when it is in none.
    pub(crate) fn unlist(&mut self, list: &mut IdleList, permit: PermitId) {
        let Some(slot) = self.slot_mut(permit.index).filter(|slot| slot.link.listed) else { return };
        let Link { older, newer, .. } = slot.link;
        slot.link.listed = false;
        match older {
            None => list.oldest = newer,
            Some(older) => self.with_link(older, |link| link.newer = newer),
        }
        match newer {
            None => list.newest = older,
            Some(newer) => self.with_link(newer, |link| link.older = older),
        }
    }

    /// Returns the dead, else the longest idle permit of the list.
    pub(crate) fn oldest(&self, list: IdleList) -> Option<Idle> {
        let index = list.oldest?;
        let slot = self.slots.get(index as usize)?;
        let permit = PermitId { index, generation: slot.generation };
        Some(Idle { permit, dead: slot.link.dead, touched: slot.link.touched })
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(index as usize)
    }

    fn with_link(&mut self, index: u32, change: impl FnOnce(&mut Link)) {
        if let Some(slot) = self.slot_mut(index) {
            change(&mut slot.link);
        }
    }

    #[cfg(test)]
    pub(crate) const fn slot_bytes() -> usize {
        size_of::<Slot<T>>()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.held.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use proptest::prelude::*;

    fn at(secs: u64) -> Moment {
        Moment::from_start(Duration::from_secs(secs))
    }

    #[test]
    fn a_permit_is_taken_back_once() {
        let mut permits = Permits::new();
        let first = permits.grant('a', at(0));
        let second = permits.grant('b', at(0));
        assert_eq!(permits.held(), 2);
        assert_eq!(permits.take(first), Some('a'));
        assert_eq!(permits.take(first), None);
        let third = permits.grant('c', at(0));
        assert_eq!(third.index, first.index, "the slot is used again");
        assert_eq!(permits.take(first), None, "the old permit does not free the new one");
        assert_eq!((permits.get(first), permits.get(third)), (None, Some(&'c')));
        assert_eq!(permits.iter().collect::<Vec<_>>(), [&'c', &'b']);
        assert_eq!(permits.take(second), Some('b'));
        assert_eq!(permits.take(third), Some('c'));
        assert_eq!(permits.held(), 0);
    }

    #[test]
    fn a_foreign_permit_frees_nothing() {
        let mut permits = Permits::new();
        permits.grant('a', at(0));
        assert_eq!(permits.take(PermitId { index: 7, generation: 0 }), None);
        assert_eq!(permits.take(PermitId { index: 0, generation: 1 }), None);
        assert_eq!(permits.held(), 1);
    }

    #[test]
    fn generations_wrap() {
        let mut permits = Permits::new();
        let first = permits.grant('a', at(0));
        permits.slots[0].generation = u32::MAX;
        let last = PermitId { generation: u32::MAX, ..first };
        assert_eq!(permits.take(last), Some('a'));
        assert_eq!(permits.grant('b', at(0)).generation, 0);
    }

    proptest! {
        #[test]
        fn the_idle_list_agrees_with_a_vector(steps in prop::collection::vec((0_usize..6, 0_u8..4), 1..80)) {
            let mut permits = Permits::new();
            let mut list = IdleList::default();
            let ids: Vec<PermitId> = (0..6).map(|name| permits.grant(name, at(0))).collect();
            let mut model: Vec<(usize, bool)> = Vec::new();
            for (time, (which, what)) in (1_u64..).zip(steps) {
                model.retain(|(other, _)| what == 3 || *other != which);
                match what {
                    0 => permits.unlist(&mut list, ids[which]),
                    1 => {
                        permits.list_last(&mut list, ids[which], at(time));
                        model.push((which, false));
                    }
                    2 => {
                        permits.list_dead(&mut list, ids[which]);
                        model.insert(0, (which, true));
                    }
                    _ => {}
                }
                let oldest = permits.oldest(list).map(|idle| (idle.permit, idle.dead));
                prop_assert_eq!(oldest, model.first().map(|(which, dead)| (ids[*which], *dead)));
            }
            for (which, _) in model {
                prop_assert_eq!(permits.oldest(list).unwrap().permit, ids[which]);
                permits.unlist(&mut list, ids[which]);
            }
            prop_assert!(permits.oldest(list).is_none() && list.newest.is_none());
        }
    }
}
