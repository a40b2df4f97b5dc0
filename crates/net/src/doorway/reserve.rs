//! Descriptors kept back, so that a caller can still be told that there are none left.

use std::os::fd::OwnedFd;

use rustix::event::{EventfdFlags, eventfd};

/// How many are kept: as many callers can be told at once. One would let a silent caller hold up the next for its whole second.
pub(super) const RESERVE_PLACES: usize = 16;

/// Up to `RESERVE_PLACES` descriptors of nothing.
#[derive(Debug)]
pub(super) struct Reserve {
    held: Vec<OwnedFd>,
}

impl Reserve {
    pub(super) fn new() -> Self {
        let mut reserve = Self { held: Vec::with_capacity(RESERVE_PLACES) };
        reserve.fill();
        reserve
    }

    /// Takes back what is free again; returns whether the reserve is full, which means that the process has descriptors to spare.
    pub(super) fn fill(&mut self) -> bool {
        while self.held.len() < RESERVE_PLACES {
            match eventfd(0, EventfdFlags::CLOEXEC) {
                Ok(descriptor) => self.held.push(descriptor),
                Err(_) => return false,
            }
        }
        true
    }

    /// Frees one descriptor for the next accept; `false` when none is held.
    pub(super) fn release_one(&mut self) -> bool {
        self.held.pop().is_some()
    }
}
