//! Files on this machine, confined below a root.
//!
//! Linux 5.6 or newer: `openat2` resolves every path beneath the home's descriptor, and everything else acts by `*at`
//! calls on descriptors opened that way. Links inside the home are followed, links out of it are refused, and so are
//! absolute links, also when they point inside. Every call is one hop to a thread that may block, never more.

mod backend;
mod blocking;
mod carry;
mod clock;
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
mod upload;
mod writers;

pub use backend::{Durability, LocalBackend, Options};
