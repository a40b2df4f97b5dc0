//! What the gate shares between threads. The check of all interleavings builds the gate with other types in their place.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};
