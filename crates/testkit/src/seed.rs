use core::time::Duration;

/// The environment variable that replays one seed.
const SEED: &str = "TIDEGATE_SEED";
/// The environment variable that says how many seeds are run instead of the usual number: a sweep has 4,096.
const SEEDS: &str = "TIDEGATE_SEEDS";

/// A seeded generator (`SplitMix64`): the same seed, the same numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Returns the generator of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 {
            return 0;
        }
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    /// Returns true `per_mille` times of 1,000.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.next() % 1000 < u64::from(per_mille)
    }

    /// Returns one of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Returns a time up to `longest`.
    pub fn duration(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.next() % (nanos + 1))
    }

    /// Returns `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Runs `test` with the seeds from 0 up to `count`. A seed that fails is printed; `TIDEGATE_SEED` runs that one alone,
/// `TIDEGATE_SEEDS` as many as it says.
pub fn for_each_seed(count: u64, mut test: impl FnMut(u64)) {
    let setting = |name: &str| -> Option<u64> {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    let count = setting(SEEDS).unwrap_or(count);
    let only = setting(SEED);
    let seeds = only.map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        let told = ToldOnPanic(seed);
        test(seed);
        drop(told);
    }
}

struct ToldOnPanic(u64);

impl Drop for ToldOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {}; {SEED}={} runs it alone", self.0, self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        assert_eq!(Random::new(7).bytes(40), Random::new(7).bytes(40));
        assert_ne!(Random::new(7).bytes(40), Random::new(8).bytes(40));
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::new(1);
        let mut seen = [false; 3];
        for _ in 0..200 {
            seen[random.below(3)] = true;
            assert!(random.duration(Duration::from_secs(2)) <= Duration::from_secs(2));
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(random.below(0), 0);
        assert!((0..100).all(|_| random.chance(1000) && !random.chance(0)));
    }
}
