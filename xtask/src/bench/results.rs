//! Samples, their medians and spread, and the page they are written on. MB are 10^6 bytes, GB 10^9.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Work;
use super::machine::Facts;
use super::servers::Kind;

const HEAD: [&str; 6] =
    ["work", "server", "MB/s, median (min–max)", "× vsftpd", "CPU s/GB, median (min–max)", "× vsftpd"];

/// What one session gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    mb_per_sec: f64,
    cpu_secs_per_gb: f64,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "a session moves far less than 2^53 bytes")]
    pub(super) fn new(bytes: u64, wall: Duration, cpu: Duration) -> Self {
        let bytes = bytes as f64;
        Self {
            mb_per_sec: bytes / 1e6 / wall.as_secs_f64(),
            cpu_secs_per_gb: cpu.as_secs_f64() / (bytes / 1e9),
        }
    }
}

/// All samples, by work and server.
#[derive(Default)]
pub(super) struct Table {
    samples: BTreeMap<(Work, Kind), Vec<Sample>>,
}

impl Table {
    pub(super) fn add(&mut self, work: Work, kind: Kind, sample: Sample) {
        self.samples.entry((work, kind)).or_default().push(sample);
    }

    /// Returns a Markdown table whose columns also stand in line on a terminal.
    pub(super) fn render(&self) -> String {
        let mut rows = vec![HEAD.map(str::to_owned)];
        for ((work, kind), samples) in &self.samples {
            let neighbour = self.samples.get(&(*work, Kind::Vsftpd)).filter(|_| *kind != Kind::Vsftpd);
            let [rate, rate_ratio] = cells(samples, neighbour, |sample| sample.mb_per_sec, 0);
            let [cpu, cpu_ratio] = cells(samples, neighbour, |sample| sample.cpu_secs_per_gb, 3);
            rows.push([work.name().into(), kind.name().into(), rate, rate_ratio, cpu, cpu_ratio]);
        }
        align(&rows)
    }
}

/// Returns a median with its spread, and how many times the neighbour's median it is.
fn cells(
    samples: &[Sample],
    neighbour: Option<&Vec<Sample>>,
    pick: fn(&Sample) -> f64,
    digits: usize,
) -> [String; 2] {
    let Some(own) = Spread::of(samples.iter().map(pick)) else { return ["–".into(), "–".into()] };
    let beside = neighbour.and_then(|samples| Spread::of(samples.iter().map(pick)));
    let Spread { median, least, most } = own;
    let ratio = beside.map_or_else(|| "–".into(), |beside| format!("{:.2}", median / beside.median));
    [format!("{median:.digits$} ({least:.digits$}–{most:.digits$})"), ratio]
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Returns the spread; `None` of nothing. Of an even number the median is the mean of the two in the middle.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), least: *values.first()?, most: *values.last()? })
    }
}

/// Returns a Markdown table whose columns also stand in line on a terminal; the first row is its head.
pub(crate) fn align<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
            .collect();
        out.push_str("| ");
        out.push_str(&cells.join(" | "));
        out.push_str(" |\n");
        if number == 0 {
            out.push('|');
            out.push_str(&widths.map(|width| "-".repeat(width + 2)).join("|"));
            out.push_str("|\n");
        }
    }
    out
}

/// Returns the page for `bench/results`.
pub(super) fn page(facts: &Facts, command: &str, rows: &str) -> String {
    format!(
        "\
# RETR and STOR of one large file, beside vsftpd

{rows}
Reproduce it with `{command}` (as root, with vsftpd installed by `cargo xtask install`).

{facts}
How it was measured: file on tmpfs, loopback, one session at a time, anonymous, TYPE I, EPSV. The client discards downloads in
the kernel (MSG_TRUNC) and uploads by sendfile, so that the server is what is measured; it shares the cores with the server.
STOR replaces the file of the transfer before. Servers take turns after a warm-up round that is not counted. MB are 10^6 bytes,
GB 10^9. The rate is taken over the transfers, each from EPSV to its 226. CPU is user and system time of the server's whole
process tree with the children it has reaped, over the whole session from login to QUIT, in steps of 10 ms. vsftpd never syncs
and runs without its seccomp sandbox; on tmpfs `durability full` makes the system calls, but there is no disk to wait for.
",
        facts = facts.list()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        let cpu = Duration::from_millis(500);
        for millis in [1000, 500, 250] {
            table.add(
                Work::Retr,
                Kind::Vsftpd,
                Sample::new(1_000_000_000, Duration::from_millis(millis), cpu),
            );
            table.add(
                Work::Retr,
                Kind::Tidegate,
                Sample::new(2_000_000_000, Duration::from_millis(millis), cpu),
            );
        }
        table
    }

    #[test]
    fn medians_and_ratios_are_told() {
        let text = table().render();
        assert!(text.contains("2000 (1000–4000)"), "{text}");
        let own = text.lines().find(|line| line.contains("tidegate")).unwrap();
        let cells: Vec<&str> = own.split('|').map(str::trim).collect();
        assert_eq!(
            cells[1..7],
            ["RETR", "tidegate, durability none", "4000 (2000–8000)", "2.00", "0.250 (0.250–0.250)", "0.50"]
        );
    }

    #[test]
    fn columns_stand_in_line() {
        let text = table().render();
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    #[test]
    fn the_median_of_an_even_number_is_in_the_middle() {
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0].into_iter()).unwrap();
        assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
