//! A NOOP costs no allocation, in the session machine and in the line reader: what a keep-alive of ten thousand idle
//! clients rests on. In its own binary, for the allocator counts.
#![expect(unsafe_code, reason = "a global allocator that counts")]

use core::time::Duration;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use tidegate_protocol::line::{Input, LineReader};
use tidegate_protocol::session::{Action, Actions, Event, LoginAnswer, ServerSession, Settings, Timeouts};
use tidegate_types::{Moment, Profile, Rights, UploadStyle};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_noop_allocates_nothing() {
    let settings = Settings::new(
        "ready".to_owned(),
        Timeouts {
            login: Duration::from_secs(30),
            idle: Duration::from_mins(5),
            data_open: Duration::from_secs(20),
            data_stall: Duration::from_mins(1),
        },
    );
    let profile =
        Profile { account: None, rights: Rights::ALL, upload: UploadStyle::Atomic, connections_max: None };
    let mut session = ServerSession::new(Arc::new(settings), "192.0.2.1".parse().unwrap());
    let mut out = Actions::default();
    let now = Moment::ZERO;
    session.handle(Event::Opened, now, &mut out);
    session.handle(Event::Line(b"USER a"), now, &mut out);
    session.handle(Event::Line(b"PASS b"), now, &mut out);
    let Some(Action::CheckLogin { request, .. }) = out.list.pop() else { panic!("{out:?}") };
    session.handle(Event::LoginAnswered(request, LoginAnswer::Accepted(profile)), now, &mut out);
    let Some(Action::AskGate { request, .. }) = out.list.pop() else { panic!("{out:?}") };
    session.handle(Event::GateAnswered(request, Ok(())), now, &mut out);
    assert!(session.profile().is_some());

    let mut lines = LineReader::new();
    lines.push(b"NOOP\r\n");
    while lines.next().is_some() {}
    out.clear();
    out.wire.reserve(64);
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        lines.push(b"NOOP\r\n");
        while let Some(Input::Line(line)) = lines.next() {
            session.handle(Event::Line(line), now, &mut out);
        }
        assert_eq!(out.wire, b"200 OK.\r\n");
        out.clear();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // The counter counts.
    drop(std::hint::black_box(vec![1_u8]));
    assert!(ALLOCATIONS.get() > before);
}
