//! Long seeded histories. `TIDEGATE_SEED=n` replays one, `TIDEGATE_SEEDS=n` runs so many instead of 256.
use alloc::collections::BTreeSet;
use std::{env, eprintln, thread};

use super::model::{Step, World};
use crate::keyed::Keyed;
use crate::snapshot::REFUSAL_CAUSES;

const SEEDS: u64 = 256;
const STEPS: u64 = 2_000;

/// Names the seed of a history that breaks a promise.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("replay with TIDEGATE_SEED={}", self.0);
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// Returns what was said, as a number, and which causes occurred.
fn run(seed: u64) -> (u64, BTreeSet<tidegate_types::Cause>) {
    let named = Named(seed);
    let mut random = Keyed::new(seed).jitter();
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        let word = u64::from(random.between(0, u32::MAX)) << 32 | u64::from(random.between(0, u32::MAX));
        world.step(&Step::of(word));
    }
    let end = world.end();
    drop(named);
    end
}

#[test]
fn promises_hold_for_every_seed() {
    if let Some(seed) = setting("TIDEGATE_SEED") {
        run(seed);
        return;
    }
    let mut causes = BTreeSet::new();
    for seed in 0..setting("TIDEGATE_SEEDS").unwrap_or(SEEDS) {
        causes.extend(run(seed).1);
    }
    let missing: alloc::vec::Vec<_> = REFUSAL_CAUSES.iter().filter(|cause| !causes.contains(cause)).collect();
    assert!(missing.is_empty(), "no history met {missing:?}");
}

#[test]
fn the_same_seed_says_the_same() {
    for seed in 0..4 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1).0, run(2).0);
}
