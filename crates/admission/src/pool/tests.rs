use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use super::*;
use crate::keyed::Keyed;

const SEEDS: core::ops::Range<u64> = 0..16;

fn millis(millis: u64) -> Moment {
    Moment::from_start(Duration::from_millis(millis))
}

/// A pool of `limit` that was full from the start and from which one left, and one came, `per_sec` times a second for ten minutes.
fn measured(limit: u32, per_sec: f64) -> (Pool, Moment) {
    let mut pool = Pool::new(Moment::ZERO);
    for _ in 0..limit {
        pool.enter(Moment::ZERO);
    }
    let (mut now, step) = (Moment::ZERO, Duration::from_secs_f64(1.0 / per_sec));
    while now < millis(600_000) {
        now = now + step;
        pool.leave(now);
        pool.enter(now);
    }
    (pool, now)
}

/// How many return in each second from the first to the last.
fn by_second(told: &[u32]) -> Vec<u32> {
    let (first, last) = (*told.iter().min().unwrap(), *told.iter().max().unwrap());
    let mut counts = alloc::vec![0; (last - first + 1) as usize];
    for secs in told {
        counts[(secs - first) as usize] += 1;
    }
    counts
}

fn average(counts: &[u32]) -> f64 {
    f64::from(counts.iter().sum::<u32>()) / f64::from(u32::try_from(counts.len()).unwrap())
}

#[test]
fn an_unmeasured_pool_assumes_five_seconds_and_more_as_nobody_leaves() {
    let mut pool = Pool::new(Moment::ZERO);
    for _ in 0..8 {
        pool.enter(Moment::ZERO);
    }
    for (secs, expected) in [(0, 5), (10, 15), (60, 60)] {
        assert_eq!(pool.expect(8, millis(secs * 1_000)), expected, "after {secs} s");
    }
    assert_eq!(pool.expect(8, millis(86_400_000)), 100, "past the ceiling: the band from 100 to 300");
    let told = pool.tell(8, millis(86_400_000), &mut Keyed::new(1).jitter());
    assert!((100..=300).contains(&told), "{told}");
}

#[test]
fn the_interval_is_measured() {
    for (limit, per_sec) in [(8, 0.05), (8, 0.2), (100, 1.0), (100, 10.0), (1_000, 100.0)] {
        let (pool, _) = measured(limit, per_sec);
        let seen = 1.0 / pool.flow.interval_secs(pool.in_use());
        assert!((0.85..1.15).contains(&(seen / per_sec)), "{seen} for {per_sec}");
    }
}

#[test]
fn departures_in_bursts_and_a_half_empty_house_are_measured_by_their_mean() {
    let mut pool = Pool::new(Moment::ZERO);
    for minute in 0..20 {
        // 50 of 100 places are used; all 50 leave together every minute.
        for _ in 0..50 {
            pool.enter(millis(minute * 60_000));
        }
        for _ in 0..50 {
            pool.leave(millis((minute + 1) * 60_000));
        }
    }
    let full = pool.flow.interval_secs(100);
    assert!((0.55..0.65).contains(&full), "100 that stay 60 s leave every 0.6 s, not {full}");
}

#[test]
fn old_departures_fade() {
    let (pool, now) = measured(10, 1.0);
    let before = pool.expect(10, now);
    let later = pool.expect(10, now + Duration::from_mins(20));
    assert!(before <= 2 && later > before, "{before} then {later}");
}

#[test]
fn about_as_many_are_told_each_second_as_leave() {
    for per_sec in [1.0, 3.0, 10.0, 50.0] {
        for seed in SEEDS {
            let mut random = Keyed::new(seed).jitter();
            let (mut pool, now) = measured(100, per_sec);
            let refused = if per_sec < 4.0 { 200 } else { 1_000 };
            let told: Vec<u32> = (0..refused).map(|_| pool.tell(100, now, &mut random)).collect();
            let counts = by_second(&told);
            let mean = average(&counts);
            let most = f64::from(*counts.iter().max().unwrap());
            assert!(
                (0.7..1.25).contains(&(mean / per_sec)),
                "seed {seed}: {mean}/s return, {per_sec}/s leave"
            );
            assert!(
                most <= 2.0 * mean.ceil(),
                "seed {seed}, {per_sec}/s: {most} in one second, {mean} on average"
            );
            let early = told[..50].iter().sum::<u32>();
            let late = told[told.len() - 50..].iter().sum::<u32>();
            assert!(early < late, "seed {seed}: who is refused later is told a later time");
        }
    }
}

#[test]
fn more_than_can_be_served_are_spread_below_the_ceiling() {
    for per_sec in [0.05, 0.2, 1.0] {
        for seed in SEEDS {
            let mut random = Keyed::new(seed).jitter();
            let (mut pool, now) = measured(10, per_sec);
            let told: Vec<u32> = (0..1_000).map(|_| pool.tell(10, now, &mut random)).collect();
            assert!(told.iter().all(|secs| (1..=300).contains(secs)));
            let counts = by_second(&told);
            let (mean, most) = (average(&counts), f64::from(*counts.iter().max().unwrap()));
            assert!(most <= 2.0 * mean, "seed {seed}, {per_sec}/s: {most} in one second, {mean} on average");
        }
    }
}

/// A full house of `limit` where each stays about `stay_millis`, its departures measured, meets a thousand more clients
/// at once, which come back when they are told. Returns how many came in each second, until the last was inside.
fn thousand_waiting(seed: u64, limit: u32, stay_millis: u32) -> Vec<u32> {
    let mut random = Keyed::new(seed).jitter();
    let (mut pool, start) = measured(limit, f64::from(limit) * 1_000.0 / f64::from(stay_millis));
    let mut departures: BinaryHeap<Reverse<Moment>> = (0..limit)
        .map(|_| Reverse(start + Duration::from_millis(random.between(1, stay_millis).into())))
        .collect();
    let mut arrivals: BinaryHeap<Reverse<(Moment, u32)>> =
        (0..1_000).map(|client| Reverse((start, client))).collect();
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    while let Some(Reverse((now, client))) = arrivals.pop() {
        while let Some(Reverse(due)) = departures.peek().copied().filter(|Reverse(due)| *due <= now) {
            departures.pop();
            pool.leave(due);
        }
        if now > start {
            *counts.entry(now.since(start).as_secs()).or_default() += 1;
        }
        if pool.in_use() < limit {
            pool.enter(now);
            let stay = random.between(stay_millis / 2, stay_millis * 3 / 2);
            departures.push(Reverse(now + Duration::from_millis(stay.into())));
        } else {
            let secs = pool.tell(limit, now, &mut random);
            arrivals.push(Reverse((now + Duration::from_secs(secs.into()), client)));
        }
    }
    let last = *counts.keys().last().unwrap();
    (1..=last).map(|second| counts.get(&second).copied().unwrap_or(0)).collect()
}

/// Returns the average of the sixty seconds with the most returns.
fn busiest_minute(counts: &[u32]) -> f64 {
    counts.windows(60.min(counts.len())).map(average).fold(0.0, f64::max)
}

#[test]
fn a_thousand_waiting_clients_never_return_together() {
    // limit, how long one stays, the seconds it takes to serve a thousand without a gap.
    for (limit, stay_millis, ideal_secs) in [(100, 2_000, 20), (100, 10_000, 100), (50, 10_000, 200)] {
        for seed in SEEDS {
            let counts = thousand_waiting(seed, limit, stay_millis);
            let (mean, most) = (average(&counts), f64::from(*counts.iter().max().unwrap()));
            assert!(
                most <= 2.0 * mean,
                "seed {seed}, limit {limit}: {most} in one second, {mean} on average"
            );
            let took_secs = counts.len();
            assert!(
                took_secs <= ideal_secs * 3 / 2,
                "seed {seed}, limit {limit}: the last waited {took_secs} s"
            );
        }
    }
}

#[test]
fn clients_that_wait_for_longer_than_the_ceiling_return_evenly() {
    for (limit, stay_millis, ideal_secs) in [(50, 30_000, 600), (10, 10_000, 1_000), (20, 100_000, 5_000)] {
        for seed in SEEDS {
            let counts = thousand_waiting(seed, limit, stay_millis);
            // The returns thin out as more are served, so the whole run is no measure of what is even.
            let (mean, most) = (busiest_minute(&counts), f64::from(*counts.iter().max().unwrap()));
            assert!(
                most <= 2.0 * mean,
                "seed {seed}, limit {limit}: {most} in one second, {mean} on average"
            );
            let took_secs = counts.len();
            assert!(
                took_secs <= ideal_secs * 3 / 2,
                "seed {seed}, limit {limit}: the last waited {took_secs} s"
            );
        }
    }
}
