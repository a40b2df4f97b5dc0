use core::hash::{BuildHasher, Hash};

use tidegate_types::{AddressKey, Moment};

use crate::keyed::{Keyed, Random};
use crate::returns::{RETRY_SECS_MAX, whole_secs_of};
use crate::ways::{Ways, Worth};

/// For how many addresses and queues is remembered what they were told: 40 bytes each, 2.5 MiB.
pub(crate) const TOLD_SLOTS_MAX: usize = 1 << 16;

/// A queue that many addresses stand in: the keyed hash of what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Queue(u64);

/// An address in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    address: AddressKey,
    queue: Queue,
}

/// When somebody was told to come back, and how often it has asked again since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    at: Moment,
    again: u32,
}

impl Worth for Due {
    fn is_over(&self, now: Moment) -> bool {
        self.at <= now
    }

    /// What comes soonest goes first.
    fn worth(&self) -> u64 {
        u64::try_from(self.at.since_start().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// So many of one address are told to come back in each second behind its moment, at most.
const AGAIN_PER_SECOND: u32 = 4;

/// Which moment each address was told in each queue. Until it has come the address is told that one again, or one a little
/// later for each time it asked, since many clients may stand behind one router; and no other return is booked for it: who
/// knocks in a loop makes nobody else wait longer.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    due: Ways<Place, Due>,
    keyed: Keyed,
}

impl Told {
    pub(crate) const fn new(keyed: Keyed) -> Self {
        Self { due: Ways::new(TOLD_SLOTS_MAX, keyed), keyed }
    }

    /// Returns the queue for `what`.
    pub(crate) fn queue(&self, what: impl Hash) -> Queue {
        Queue(self.keyed.hash_one(what))
    }

    /// Returns in how many whole seconds, at least 1, the moment comes that `address` was told in `queue`; `None`: it was told
    /// none, or it has come.
    pub(crate) fn rest(&self, address: AddressKey, queue: Queue, now: Moment) -> Option<u32> {
        let Due { at, .. } = self.due.get(&Place { address, queue })?;
        (now < *at).then(|| whole_secs_of(at.since(now)))
    }

    /// As [`Self::rest`], for one more that asks: at that moment or, the more have asked, up to [`RETRY_SECS_MAX`] from now.
    pub(crate) fn again(
        &mut self,
        address: AddressKey,
        queue: Queue,
        now: Moment,
        random: &mut Random,
    ) -> Option<u32> {
        let due = self.due.get_mut(&Place { address, queue }).filter(|due| now < due.at)?;
        due.again = due.again.saturating_add(1);
        let first = whole_secs_of(due.at.since(now));
        let last = first.saturating_add(due.again / AGAIN_PER_SECOND).min(RETRY_SECS_MAX.max(first));
        Some(random.between(first, last))
    }

    /// Remembers that `address` was told in `queue` to come back in `secs`.
    pub(crate) fn note(&mut self, address: AddressKey, queue: Queue, secs: u32, now: Moment) {
        let due = Due { at: now + core::time::Duration::from_secs(secs.into()), again: 0 };
        self.due.insert(Place { address, queue }, due, now);
    }

    pub(crate) fn sweep(&mut self, now: Moment) {
        self.due.sweep(now);
    }

    pub(crate) const fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn millis(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_slot_takes_40_bytes() {
        assert_eq!(size_of::<Option<(Place, Due)>>(), 40);
    }

    #[test]
    fn the_moment_stays_until_it_has_come() {
        let mut told = Told::new(Keyed::new(3));
        let address = AddressKey::V6Net(7);
        let [server, listener] = [told.queue(1_u8), told.queue(2_u8)];
        assert_eq!(told.rest(address, server, millis(0)), None);
        told.note(address, server, 10, millis(500));
        for (now, rest) in
            [(500, Some(10)), (501, Some(10)), (1_500, Some(9)), (10_499, Some(1)), (10_500, None)]
        {
            assert_eq!(told.rest(address, server, millis(now)), rest, "{now}");
        }
        assert_eq!(told.rest(address, listener, millis(500)), None, "another queue");
        assert_eq!(told.rest(AddressKey::V6Net(8), server, millis(500)), None, "another address");
        let mut random = Keyed::new(3).jitter();
        let again: alloc::vec::Vec<u32> =
            (0..1_000).filter_map(|_| told.again(address, server, millis(500), &mut random)).collect();
        assert!(again[..3].iter().all(|secs| *secs == 10), "who asks once more is told the same");
        assert!(again.iter().all(|secs| (10..=260).contains(secs)));
        let most = (10..=260).map(|secs| again.iter().filter(|other| **other == secs).count()).max();
        assert!(most < Some(40), "a thousand behind one router do not come back in one second: {most:?}");
        assert_eq!(told.rest(address, server, millis(500)), Some(10), "what was booked stays");
        told.sweep(millis(10_499));
        assert_eq!(told.len(), 1);
        told.sweep(millis(10_500));
        assert_eq!(told.len(), 0);
    }
}
