use alloc::vec::Vec;

/// One place that is held. Given back once; an old or foreign one is recognised by its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PermitId {
    index: usize,
    generation: u32,
}

/// The permits that are held, with what each is for. Grows to the most that were ever held at once.
#[derive(Clone, Debug)]
pub(crate) struct Permits<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    held: Option<T>,
}

impl<T> Permits<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Returns a permit for `what`.
    pub(crate) fn grant(&mut self, what: T) -> PermitId {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index)
        {
            debug_assert!(slot.held.is_none(), "a free slot is held");
            slot.held = Some(what);
            return PermitId { index, generation: slot.generation };
        }
        self.slots.push(Slot { generation: 0, held: Some(what) });
        PermitId { index: self.slots.len() - 1, generation: 0 }
    }

    /// Takes `permit` back and returns what it was for; `None` when it is not held (any more).
    pub(crate) fn take(&mut self, permit: PermitId) -> Option<T> {
        let slot = self.slots.get_mut(permit.index).filter(|slot| slot.generation == permit.generation)?;
        let held = slot.held.take()?;
        // Wraps after 4 billion uses of one slot: a permit would have to be kept that long to be mistaken.
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(permit.index);
        Some(held)
    }

    /// Returns how many are held.
    pub(crate) fn held(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.held.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_taken_back_once() {
        let mut permits = Permits::new();
        let first = permits.grant('a');
        let second = permits.grant('b');
        assert_eq!(permits.held(), 2);
        assert_eq!(permits.take(first), Some('a'));
        assert_eq!(permits.take(first), None);
        let third = permits.grant('c');
        assert_eq!(third.index, first.index, "the slot is used again");
        assert_eq!(permits.take(first), None, "the old permit does not free the new one");
        assert_eq!(permits.iter().collect::<Vec<_>>(), [&'c', &'b']);
        assert_eq!(permits.take(second), Some('b'));
        assert_eq!(permits.take(third), Some('c'));
        assert_eq!(permits.held(), 0);
    }

    #[test]
    fn a_foreign_permit_frees_nothing() {
        let mut permits = Permits::new();
        permits.grant('a');
        assert_eq!(permits.take(PermitId { index: 7, generation: 0 }), None);
        assert_eq!(permits.take(PermitId { index: 0, generation: 1 }), None);
        assert_eq!(permits.held(), 1);
    }

    #[test]
    fn generations_wrap() {
        let mut permits = Permits::new();
        let first = permits.grant('a');
        permits.slots[0].generation = u32::MAX;
        let last = PermitId { generation: u32::MAX, ..first };
        assert_eq!(permits.take(last), Some('a'));
        assert_eq!(permits.grant('b').generation, 0);
    }
}
