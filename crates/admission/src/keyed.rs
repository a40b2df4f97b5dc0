//! What depends on the seed: the hash of maps whose keys an attacker picks, and the jitter.
#![expect(deprecated, reason = "core's SipHash-2-4 takes a key and needs no std; its successor does neither")]

use core::hash::{BuildHasher, Hasher, SipHasher};

/// Builds hashers keyed with the seed, so that nobody outside can choose addresses that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed {
    keys: (u64, u64),
}

impl Keyed {
    pub(crate) fn new(seed: u64) -> Self {
        let mut expand = Random { state: seed };
        Self { keys: (expand.next(), expand.next()) }
    }

    /// Returns the jitter source. What it draws is told to peers, so its state is one-way from the keys: who works it out
    /// still does not know them.
    pub(crate) fn jitter(self) -> Random {
        let mut hasher = self.build_hasher();
        hasher.write(b"jitter");
        Random { state: hasher.finish() }
    }
}

impl BuildHasher for Keyed {
    type Hasher = SipHasher;

    fn build_hasher(&self) -> SipHasher {
        SipHasher::new_with_keys(self.keys.0, self.keys.1)
    }
}

/// A small seeded generator (`SplitMix64`): even, repeatable, no secret.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from `first` to `last`, both included; `first` when `last` lies below.
    pub(crate) fn between(&mut self, first: u32, last: u32) -> u32 {
        let choices = u64::from(last.saturating_sub(first)) + 1;
        // Multiply and shift: the bias, below 1 in 2^32 / choices, does not matter for jitter.
        let offset = ((self.next() >> 32) * choices) >> 32;
        first.saturating_add(u32::try_from(offset).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_every_number_of_the_range_and_no_other() {
        let mut random = Keyed::new(7).jitter();
        let mut seen = [0_u32; 5];
        for _ in 0..5_000 {
            seen[random.between(3, 7) as usize - 3] += 1;
        }
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
        assert_eq!(random.between(9, 9), 9);
        assert_eq!(random.between(9, 2), 9);
        assert!(random.between(0, u32::MAX) > 0);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(Keyed::new(1).hash_one(5), Keyed::new(1).hash_one(5));
        assert_ne!(Keyed::new(1).hash_one(5), Keyed::new(2).hash_one(5));
        assert_ne!(Keyed::new(1).jitter().next(), Keyed::new(2).jitter().next());
    }
}
