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

use tidegate_testkit::FakeFs;

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
    fs.make_directories("/home");
    now(tidegate_storage::battery::run(&fs, "/home".to_owned()));
    assert_eq!(fs.handles_open(), 0);
}
