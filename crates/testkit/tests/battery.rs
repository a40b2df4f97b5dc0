//! The fake keeps the promises that it stands in for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_for_each,
    clippy::format_push_string,
    reason = "helpers of tests"
)]

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use tidegate_storage::battery;
use tidegate_testkit::FakeFs;
use tidegate_types::Pattern;

/// Runs a future that never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the fake answers at once"),
    }
}

#[test]
fn the_fake_keeps_every_promise() {
    let fs = FakeFs::new();
    now(battery::run(&fs, "/".to_owned()));
    assert_eq!(fs.handles_open(), 0);
}

#[test]
fn the_fake_keeps_its_promises_in_a_home_below_the_top() {
    let fs = FakeFs::new();
    fs.make_directories("/home");
    for (number, case) in battery::cases().iter().enumerate() {
        let stage = now(battery::Stage::open(&fs, &fs, "/home", number)).unwrap();
        // With its home before them the longest paths would be too long for the fake's one tree.
        let expected = !case.name.contains("longest paths");
        assert_eq!(now((case.run)(&stage)).is_ok(), expected, "{}", case.name);
    }
    assert_eq!(fs.handles_open(), 0);
}

#[test]
fn the_fake_keeps_every_promise_where_names_are_denied() {
    let fs = FakeFs::new();
    let patterns: Vec<Pattern> = battery::DENIED.map(|text| Pattern::parse(text.as_bytes()).unwrap()).into();
    let denying = fs.denying(patterns);
    now(battery::run_denying(&fs, &denying, "/".to_owned()));
    assert_eq!(fs.handles_open(), 0);
}
