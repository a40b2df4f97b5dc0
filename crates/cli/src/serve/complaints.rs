//! What `tidegate status` tells about things that do not work as they are configured.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What cannot be done although it is configured, one sentence each. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaints(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    lasting: Vec<String>,
    /// Why bans are not kept at this time.
    bans: Option<String>,
}

impl Complaints {
    /// Adds one that lasts as long as the program.
    pub(super) fn add(&self, complaint: String) {
        self.lock().lasting.push(complaint);
    }

    /// Replaces what is said about bans that are not kept at this time; returns what was said before.
    pub(super) fn set_bans(&self, complaint: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.lock().bans, complaint)
    }

    /// Returns all of them.
    pub(super) fn list(&self) -> Vec<String> {
        let kept = self.lock();
        kept.lasting.iter().chain(&kept.bans).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
