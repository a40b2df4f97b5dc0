//! The promises of the engine, for random histories that shrink.
use proptest::prelude::*;

use super::model::{Step, World};

fn run(seed: u64, words: &[u64]) -> u64 {
    let mut world = World::new(seed);
    for word in words {
        world.step(&Step::of(*word));
    }
    world.end().0
}

proptest! {
    #[test]
    fn promises_hold_for_every_history(seed: u64, words in prop::collection::vec(any::<u64>(), 1..200)) {
        prop_assert_eq!(run(seed, &words), run(seed, &words), "same seed, same log");
    }
}
