//! A flood from a million addresses costs a fixed number of bytes. Alone in its process: it counts what is allocated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use peak_alloc::PeakAlloc;
use tidegate_admission::{
    Decision, Engine, Limits, LoginFailures, MEMORY_BYTES_MAX, MEMORY_PEAK_BYTES_MAX, Question, Rate, Shadow,
};
use tidegate_types::{Cause, Moment};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Of each kind: a million together.
const ADDRESSES: u32 = 500_000;

fn v4(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x1000_0000 + number * 7))
}

fn v6(number: u32) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | (u128::from(number) << 64) | 1))
}

fn everything_on() -> Limits {
    let rate = Rate::new(30, Duration::from_secs(10));
    let count = NonZeroU32::MIN;
    Limits {
        connection_rate_per_address: rate,
        // One failed login bans: the dearest that a stranger can do.
        login_failures: Some(LoginFailures { count, period: Duration::from_mins(5) }),
        shadow: Shadow { connection_rate_per_address: rate, ..Shadow::default() },
        ..Limits::new(100)
    }
}

#[test]
fn a_million_addresses_stay_within_the_documented_bytes() {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let mut engine = Engine::new(everything_on(), 7);
    let name = "n".repeat(200);
    let mut now = Moment::ZERO;
    for number in 0..ADDRESSES {
        for address in [v4(number), v6(number)] {
            // 200,000 a second, so that nothing of the flood is old.
            now = now + Duration::from_micros(5);
            match engine.ask(&Question::connection(address, 0), now) {
                Decision::Admit(permit) => engine.release(permit, now),
                Decision::Refuse(refusal) => assert_eq!(refusal.cause, Cause::Banned),
                other => panic!("{other:?}"),
            }
            if number % 2 == 0 {
                let _ = engine.login_failed(address, &name, now);
            }
        }
    }
    // Now failures are remembered before they ban.
    let count = NonZeroU32::new(2).unwrap();
    let login_failures = Some(LoginFailures { count, period: Duration::from_mins(5) });
    engine.relimit(Limits { login_failures, ..everything_on() }, now);
    for number in 0..ADDRESSES / 2 {
        let _ = engine.login_failed(v4(number * 2 + 1), &name, now);
    }
    // And nobody gets in: everybody is told a second, which is remembered.
    let failures = Some(LoginFailures { count, period: Duration::from_mins(5) });
    engine.relimit(Limits { login_failures: failures, connections: 0, ..everything_on() }, now);
    for number in 0..ADDRESSES {
        for address in [v4(number), v6(number)] {
            match engine.ask(&Question::connection(address, 0), now) {
                Decision::Refuse(refusal) => assert_ne!(refusal.cause, Cause::AddressFull),
                other => panic!("{other:?}"),
            }
        }
    }
    let kept = ALLOCATED.current_usage() - before;
    let peak = ALLOCATED.peak_usage() - before;
    println!("kept {kept} bytes, at most {peak}");
    assert!(kept <= MEMORY_BYTES_MAX, "{kept} bytes are kept");
    assert!(peak <= MEMORY_PEAK_BYTES_MAX, "{peak} bytes were in use");
    // The flood was real: the tables are full, and it met their bounds.
    assert!(kept >= MEMORY_BYTES_MAX * 3 / 4, "only {kept} bytes are kept");
    let snapshot = engine.snapshot(now);
    assert!(snapshot.counters.forgotten > 100_000, "{:?}", snapshot.counters);
    assert_eq!((snapshot.connections, snapshot.addresses), (0, 0));

    engine.tidy(now + Duration::from_hours(100));
    let left = ALLOCATED.current_usage() - before;
    assert!(left < 64 << 10, "{left} bytes are left after the flood");
}
