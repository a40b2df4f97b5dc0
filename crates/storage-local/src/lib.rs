//! Files on this machine, confined below a root.
//!
//! Linux 5.6 or newer: `openat2` resolves every path beneath the home's descriptor, and everything else acts by `*at`
//! calls on descriptors opened that way. Links inside the home are followed, links out of it are refused, and so are
//! absolute links, also when they point inside. Every call is one hop to a thread that may block, never more.
//!
//! Denied names are denied as things, not as words: what a path leads to over links counts by the place where it lies.

mod backend;
mod blocking;
mod carry;
mod clock;
mod creation;
mod deny;
mod errors;
mod facts;
mod home;
mod journal;
mod list;
mod names;
mod partials;
mod reader;
mod root;
mod storage;
mod tree;
mod upload;
mod writers;

pub use backend::{Durability, LocalBackend, Options};
