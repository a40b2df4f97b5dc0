//! What a flood from many addresses cannot make the engine forget.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tidegate_admission::{Decision, Engine, Limits, Question, Rate};
use tidegate_types::{Cause, Moment};

#[test]
fn a_flood_from_other_addresses_does_not_whiten_a_hog() {
    let rate = Rate::new(10, Duration::from_mins(10));
    let mut engine = Engine::new(Limits { connection_rate_per_address: rate, ..Limits::new(100) }, 3);
    let hog = Question::connection("192.0.2.1".parse().unwrap(), 0);
    let mut now = Moment::ZERO;
    for _ in 0..10 {
        let Decision::Admit(permit) = engine.ask(&hog, now) else { panic!("ten may come") };
        engine.release(permit, now);
    }
    for number in 0..400_000_u32 {
        now = now + Duration::from_micros(5);
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x1000_0000 + number));
        let Decision::Admit(permit) = engine.ask(&Question::connection(address, 0), now) else {
            panic!("{address} came once")
        };
        engine.release(permit, now);
    }
    assert!(engine.snapshot(now).counters.forgotten > 0, "the table is full");
    let Decision::Refuse(refusal) = engine.ask(&hog, now) else { panic!("the hog was forgotten") };
    assert_eq!(refusal.cause, Cause::Rate);
}
