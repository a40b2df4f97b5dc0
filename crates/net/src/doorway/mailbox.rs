//! What other threads tell the doorway: sockets to linger, and the word to stop.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::LINGER_PLACES;
use super::counts::{Counters, count};
use super::lingering::say_goodbye;

/// A bounded box of sockets with an eventfd that wakes the doorway.
#[derive(Debug)]
pub(super) struct Mailbox {
    wake: OwnedFd,
    /// A call of `wake` has rung and the thread has not woken yet.
    rung: AtomicBool,
    content: Mutex<Content>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Content {
    /// At most `LINGER_PLACES`: more than linger at once would be thrown out again anyway.
    sockets: VecDeque<OwnedFd>,
    stop: bool,
    /// The thread is gone: nobody empties the box any more.
    closed: bool,
}

impl Mailbox {
    pub(super) fn new(counters: Arc<Counters>) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { wake, rung: AtomicBool::new(false), content: Mutex::default(), counters })
    }

    /// Puts `socket` in; the oldest is closed when the box is full, `socket` itself when the doorway has ended.
    pub(super) fn deliver(&self, socket: OwnedFd) {
        let surplus = {
            let mut content = self.lock();
            if content.closed {
                Some(socket)
            } else {
                let oldest =
                    if content.sockets.len() >= LINGER_PLACES { content.sockets.pop_front() } else { None };
                content.sockets.push_back(socket);
                oldest
            }
        };
        self.ring();
        // Closed outside the lock.
        if let Some(socket) = surplus {
            count(&self.counters.unspoken);
            say_goodbye(socket.as_fd());
        }
    }

    /// Wakes the thread; what the caller did before is visible to what the thread does after [`silence`](Self::silence).
    pub(super) fn wake(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }

    /// Returns how many sockets linger now.
    pub(super) fn lingering(&self) -> u64 {
        self.counters.lingering.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.ring();
    }

    /// Takes the oldest delivered socket.
    pub(super) fn take(&self) -> Option<OwnedFd> {
        self.lock().sockets.pop_front()
    }

    pub(super) fn stop_requested(&self) -> bool {
        self.lock().stop
    }

    /// Makes the eventfd quiet; call it before emptying the box.
    pub(super) fn silence(&self) {
        // Nothing to read only means that it is quiet already.
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        // A swap, not a store: it has to see what was done before the last `wake` that did not ring.
        self.rung.swap(false, Ordering::AcqRel);
    }

    /// Says that nobody empties the box any more and drops what is in it.
    pub(super) fn close(&self) {
        let left = {
            let mut content = self.lock();
            content.closed = true;
            std::mem::take(&mut content.sockets)
        };
        for socket in left {
            count(&self.counters.unspoken);
            say_goodbye(socket.as_fd());
        }
    }

    fn ring(&self) {
        // It fails only when 2^64 - 2 rings wait: the thread is awake then.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Nothing that can panic runs under this lock, so a poisoned one is whole.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
