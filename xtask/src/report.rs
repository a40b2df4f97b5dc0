//! What a run says: a headline a step, and two lines at the end.

use std::time::Duration;

/// How many checks or tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Counts {
    /// One check.
    pub(crate) const fn one(passed: bool) -> Self {
        Self { passed: passed as u32, failed: !passed as u32 }
    }

    /// Returns these with a failure added when `success` is false and no test was blamed for it.
    pub(crate) const fn blamed(self, success: bool) -> Self {
        if success || self.failed > 0 { self } else { Self { passed: self.passed, failed: 1 } }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// Returns `1 h 2 min 3 s`, without the parts that are zero at the front.
pub(crate) fn duration(took: Duration) -> String {
    let seconds = took.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", took.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, seconds) => format!("{hours} h {minutes} min {seconds} s"),
    }
}

/// Reads the counts from the output of `cargo nextest run`; `None` without a summary.
/// Every skipped test beyond the `children`, which others start, counts as failed.
pub(crate) fn nextest_counts(output: &str, children: u32) -> Option<Counts> {
    let summary = output.lines().rfind(|line| line.trim_start().starts_with("Summary ["))?;
    let (run, results) = summary.split_once(']')?.1.trim().split_once(" run: ")?;
    // `3 tests` or, when it was cut short, `3/10 tests`.
    let total = run.split_whitespace().next()?.rsplit('/').next()?.parse::<u32>().ok()?;
    let passed = number_before(results, "passed").unwrap_or(0);
    let skipped = number_before(results, "skipped").unwrap_or(0).saturating_sub(children);
    Some(Counts { passed, failed: total.saturating_sub(passed).saturating_add(skipped) })
}

/// Adds up the `test result:` lines of `cargo test`.
/// Every ignored test beyond the `children`, which others start, counts as failed.
pub(crate) fn libtest_counts(output: &str, children: u32) -> Counts {
    let mut counts = Counts::default();
    let mut ignored = 0_u32;
    for line in output.lines().filter(|line| line.starts_with("test result: ")) {
        let number = |word| number_before(line, word).unwrap_or(0);
        counts += Counts { passed: number("passed"), failed: number("failed") };
        ignored = ignored.saturating_add(number("ignored"));
    }
    counts += Counts { passed: 0, failed: ignored.saturating_sub(children) };
    counts
}

/// Returns the number right before `word`.
fn number_before(text: &str, word: &str) -> Option<u32> {
    let mut previous = "";
    for piece in text.split_whitespace() {
        if piece.trim_end_matches([',', ';']) == word {
            return previous.parse().ok();
        }
        previous = piece;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_summaries_are_read() {
        let table = [
            ("     Summary [   0.008s] 3 tests run: 3 passed, 0 skipped", 3, 0),
            ("     Summary [   1.2s] 4 tests run: 2 passed (1 slow), 1 failed, 1 timed out, 0 skipped", 2, 2),
            ("     Summary [   1.2s] 3/10 tests run: 2 passed, 1 failed, 0 skipped", 2, 8),
            ("     Summary [   1.2s] 1 test run: 1 passed, 2 skipped", 1, 2),
        ];
        for (line, passed, failed) in table {
            assert_eq!(
                nextest_counts(&format!("noise\n{line}\n"), 0),
                Some(Counts { passed, failed }),
                "{line}"
            );
        }
        assert_eq!(nextest_counts("error: could not compile", 0), None);
        let skipping = "Summary [ 1.2s] 1 test run: 1 passed, 2 skipped";
        assert_eq!(nextest_counts(skipping, 2), Some(Counts { passed: 1, failed: 0 }));
    }

    #[test]
    fn libtest_results_are_added_up() {
        let output = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
                      test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(libtest_counts(output, 0), Counts { passed: 4, failed: 3 });
        assert_eq!(libtest_counts(output, 1), Counts { passed: 4, failed: 2 });
    }

    #[test]
    fn a_failure_without_a_failed_test_is_still_counted() {
        assert_eq!(Counts::default().blamed(false).failed, 1);
        assert_eq!(Counts { passed: 1, failed: 2 }.blamed(false).failed, 2);
        assert_eq!(Counts { passed: 1, failed: 0 }.blamed(true).failed, 0);
    }
}
