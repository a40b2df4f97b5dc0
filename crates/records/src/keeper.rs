//! When to save.

use std::time::Duration;

use tidegate_types::Moment;

/// How much time lies between two saves at least.
pub const SAVE_EVERY: Duration = Duration::from_secs(5);

/// Decides when bans are saved: at once after a change, but at most every 5 s; what failed is tried again 5 s later. Pure.
///
/// ```
/// # use std::time::Duration;
/// # use tidegate_records::Keeper;
/// # use tidegate_types::Moment;
/// let (mut keeper, now) = (Keeper::default(), Moment::ZERO);
/// assert_eq!(keeper.due(), None);
/// keeper.changed();
/// assert_eq!(keeper.due(), Some(now));
/// keeper.begin(now); // and then save
/// keeper.changed();
/// assert_eq!(keeper.due(), Some(now + Duration::from_secs(5)));
/// assert!(keeper.is_unsaved(), "so save once more at the end");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Keeper {
    is_unsaved: bool,
    /// No save before.
    next: Moment,
}

impl Keeper {
    /// Notes a change.
    pub fn changed(&mut self) {
        self.is_unsaved = true;
    }

    /// Returns when to save, maybe in the past; `None` while nothing has changed.
    pub fn due(&self) -> Option<Moment> {
        self.is_unsaved.then_some(self.next)
    }

    /// Returns whether something would be lost if the process ended now.
    pub fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// Notes that a save begins: what changes from now on is not in it.
    pub fn begin(&mut self, now: Moment) {
        *self = Self { is_unsaved: false, next: now + SAVE_EVERY };
    }

    /// Notes that the save failed, at `now`.
    pub fn failed(&mut self, now: Moment) {
        *self = Self { is_unsaved: true, next: now + SAVE_EVERY };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_start(Duration::from_secs(secs))
    }

    #[test]
    fn a_storm_of_changes_is_saved_every_five_seconds() {
        let (mut keeper, mut saves) = (Keeper::default(), Vec::new());
        for secs in 0..23 {
            if (3..21).contains(&secs) {
                keeper.changed();
            }
            if keeper.due().is_some_and(|due| due <= at(secs)) {
                keeper.begin(at(secs));
                saves.push(secs);
            }
        }
        assert_eq!(saves, [3, 8, 13, 18]);
        assert_eq!(keeper.due(), Some(at(23)), "the last changes are not forgotten");
    }

    #[test]
    fn a_change_during_a_save_and_a_failed_save_are_saved_again() {
        let mut keeper = Keeper::default();
        keeper.changed();
        keeper.begin(at(100));
        assert!(!keeper.is_unsaved());
        keeper.failed(at(102));
        assert_eq!(keeper.due(), Some(at(107)));
        keeper.begin(at(107));
        keeper.changed();
        assert_eq!((keeper.due(), keeper.is_unsaved()), (Some(at(112)), true));
    }
}
