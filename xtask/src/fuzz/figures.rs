//! What libFuzzer says at its end, and the table of it in `fuzz/README.md`.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, Echo};
use crate::workspace::Workspace;

const HEAD: &str = "| target | date | commit | seconds | executions | per second | edges | features | files kept | peak MiB | found |";
const LIMIT: Duration = Duration::from_secs(30);

/// The figures of one run; those that libFuzzer did not say are absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    executions: Option<u64>,
    per_sec: Option<u64>,
    peak_mib: Option<u64>,
    edges: Option<u64>,
    features: Option<u64>,
}

impl Figures {
    /// Reads the output of libFuzzer.
    pub(super) fn read(text: &str) -> Self {
        let stat = |name: &str| -> Option<u64> {
            let line = text.lines().rev().find(|line| line.starts_with("stat::") && line.contains(name))?;
            line.split_whitespace().last()?.parse().ok()
        };
        // `#123 DONE cov: 45 ft: 67 corp: 8/90b ...`
        let last = |name: &str| -> Option<u64> {
            let line = text.lines().rev().find(|line| line.starts_with('#') && line.contains(name))?;
            line.split_whitespace().skip_while(|word| *word != name).nth(1)?.parse().ok()
        };
        Self {
            executions: stat("number_of_executed_units"),
            per_sec: stat("average_exec_per_sec"),
            peak_mib: stat("peak_rss_mb"),
            edges: last("cov:"),
            features: last("ft:"),
        }
    }
}

fn told(figure: Option<u64>) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string())
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [executions, per_sec, edges, features, peak] =
            [self.executions, self.per_sec, self.edges, self.features, self.peak_mib].map(told);
        write!(
            f,
            "{executions} executions, {per_sec} a second; {edges} edges, {features} features; peak {peak} MiB"
        )
    }
}

/// Writes the row of `name` in `fuzz/README.md`; the others stay.
pub(super) fn write(
    workspace: &Workspace,
    name: &str,
    (seconds, files, sound): (u64, usize, bool),
    figures: &Figures,
) -> Result<()> {
    let path = workspace.root.join("fuzz/README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let date = first_line(Command::new("date").args(["-u", "+%Y-%m-%d"]));
    let commit = first_line(Command::new("git").current_dir(&workspace.root).args([
        "--no-optional-locks",
        "rev-parse",
        "--short=12",
        "HEAD",
    ]));
    let Figures { executions, per_sec, peak_mib, edges, features } = figures;
    let [executions, per_sec, edges, features, peak] =
        [executions, per_sec, edges, features, peak_mib].map(|figure| told(*figure));
    let found = if sound { "nothing" } else { "a finding" };
    let row = format!(
        "| `{name}` | {date} | {commit} | {seconds} | {executions} | {per_sec} | {edges} | {features} | {files} | {peak} | {found} |"
    );
    fs::write(&path, with_row(&text, name, &row)?).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns `text` with `row` in its table, in place of the row of the same name or at the end.
fn with_row(text: &str, name: &str, row: &str) -> Result<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let head =
        lines.iter().position(|line| *line == HEAD).context("fuzz/README.md lacks its table of figures")?;
    let start = format!("| `{name}` |");
    let rows = lines.iter().enumerate().skip(head + 2).take_while(|(_, line)| line.starts_with('|'));
    let rows: Vec<(usize, &str)> = rows.map(|(at, line)| (at, *line)).collect();
    let end = (head + 2 + rows.len()).min(lines.len());
    let place =
        rows.iter().find(|(_, line)| line.starts_with(&start)).map_or(end..end, |(at, _)| *at..at + 1);
    lines.splice(place, [row]);
    Ok(lines.join("\n") + "\n")
}

fn first_line(command: &mut Command) -> String {
    let outcome = process::run(command, LIMIT, Echo::Quiet).ok().filter(|outcome| outcome.success);
    outcome.and_then(|outcome| outcome.text.lines().next().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        let text = "#2\tINITED cov: 3 ft: 4 corp: 1/1b\n#9\tDONE   cov: 45 ft: 67 corp: 8/90b lim: 4096\n\
                    stat::number_of_executed_units: 9\nstat::average_exec_per_sec:     3\nstat::peak_rss_mb:              36\n";
        let expected = Figures {
            executions: Some(9),
            per_sec: Some(3),
            peak_mib: Some(36),
            edges: Some(45),
            features: Some(67),
        };
        assert_eq!(Figures::read(text), expected);
        assert_eq!(Figures::read("==1== ERROR"), Figures::default());
    }

    #[test]
    fn a_row_is_replaced_or_added() {
        let text = format!("# T\n\n{HEAD}\n|---|\n| `a` | 1 |\n| `b` | 2 |\n\nbehind\n");
        let replaced = with_row(&text, "a", "| `a` | 9 |").unwrap();
        assert_eq!(replaced, text.replace("| `a` | 1 |", "| `a` | 9 |"));
        let added = with_row(&text, "c", "| `c` | 3 |").unwrap();
        assert!(added.contains("| `b` | 2 |\n| `c` | 3 |\n\nbehind\n"), "{added}");
        assert!(with_row("nothing", "a", "").is_err());
    }

    #[test]
    fn the_readme_has_the_table() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = fs::read_to_string(root.join("fuzz/README.md")).unwrap();
        assert!(with_row(&text, "none", "| `none` |").is_ok());
    }
}
