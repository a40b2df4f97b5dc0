//! One log line a cause a second, however many are refused.

use std::time::Duration;

use tidegate_types::{Cause, Moment};

const EVERY: Duration = Duration::from_secs(1);

/// Decides which refusals are logged. Fixed size: one row a cause.
#[derive(Debug)]
pub(crate) struct Sampler {
    rows: [Row; Cause::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    told_at: Option<Moment>,
    untold: u64,
}

impl Sampler {
    pub(crate) fn new() -> Self {
        Self { rows: [Row::default(); Cause::ALL.len()] }
    }

    /// Counts one refusal. Returns how many a log line stands for, or `None` when the last line is younger than a second.
    pub(crate) fn note(&mut self, cause: Cause, now: Moment) -> Option<u64> {
        let row = Cause::ALL.iter().position(|other| *other == cause).and_then(|at| self.rows.get_mut(at))?;
        row.untold += 1;
        if row.told_at.is_some_and(|told_at| now.since(told_at) < EVERY) {
            return None;
        }
        row.told_at = Some(now);
        Some(std::mem::take(&mut row.untold))
    }

    /// Returns those that no line stands for although the last one is a second old: what is left of a burst.
    pub(crate) fn rest(&mut self, now: Moment) -> Vec<(Cause, u64)> {
        let due = |row: &Row| row.untold > 0 && row.told_at.is_none_or(|told_at| now.since(told_at) >= EVERY);
        let rows = Cause::ALL.into_iter().zip(&mut self.rows).filter(|(_, row)| due(row));
        rows.map(|(cause, row)| {
            row.told_at = Some(now);
            (cause, std::mem::take(&mut row.untold))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_stands_for_all() {
        let at = |millis| Moment::from_start(Duration::from_millis(millis));
        let mut sampler = Sampler::new();
        assert_eq!(sampler.note(Cause::ServerFull, at(10)), Some(1));
        assert_eq!(sampler.note(Cause::ServerFull, at(20)), None);
        assert_eq!(sampler.note(Cause::AddressFull, at(20)), Some(1), "each cause has its own line");
        assert_eq!(sampler.note(Cause::ServerFull, at(1_009)), None);
        assert_eq!(sampler.note(Cause::ServerFull, at(1_010)), Some(3));
        assert_eq!(sampler.note(Cause::ServerFull, at(1_011)), None);
        assert_eq!(sampler.rest(at(2_009)), []);
        assert_eq!(sampler.rest(at(2_010)), [(Cause::ServerFull, 1)], "the last of a burst is told, too");
        assert_eq!(sampler.rest(at(9_000)), []);
    }
}
