//! What was measured, and the page it is written on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::load::Tally;
use super::servers::Kind;
use crate::bench::machine::Facts;
use crate::bench::results::{Spread, align};

const HEAD: [&str; 9] = [
    "server",
    "refusals/s, median (min–max)",
    "× floor",
    "CPU µs each, median (min–max)",
    "× floor",
    "PSS growth, KiB",
    "refused",
    "reset, let in, failed",
    "talked first: refused, reset, failed",
];
/// What tidegate keeps about strangers at most (`tidegate_admission::MEMORY_BYTES_MAX`).
pub(super) const MEMORY_KIB_MAX: i64 = 25 * 1024;
/// What is promised: rate against the peer with the best rate, CPU against the same peer, rate against the floor, NOOP p99.
const RATE_X_PEER: f64 = 2.0;
const CPU_X_PEER: f64 = 0.35;
const RATE_X_FLOOR: f64 = 0.8;
/// The gate keeps rates in sets of eight: when one is full it forgets the oldest, although half of the table is free.
const FORGOTTEN_ONE_IN: u64 = 10;
const NOOP_P99: Duration = Duration::from_millis(5);

/// One server in one round.
#[derive(Clone, Copy, Debug)]
struct Sample {
    per_sec: f64,
    cpu_micros: f64,
}

/// One server in all rounds.
#[derive(Default)]
struct Row {
    samples: Vec<Sample>,
    tally: Tally,
    /// Of clients that had sent a line before they read.
    talked: Tally,
    /// Before the first round, and behind the last one.
    pss_kib: Option<(u64, u64)>,
}

/// What a session inside felt.
#[derive(Clone, Debug)]
pub(super) struct Felt {
    pub(super) per_sec: f64,
    pub(super) quiet: Vec<Duration>,
    pub(super) flooded: Vec<Duration>,
    pub(super) tally: Tally,
}

/// What 65,000 addresses left behind that were let in once, and refused for their rate after that.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) admitted: Tally,
    pub(super) refused: Tally,
    pub(super) grown_kib: i64,
}

/// All figures of a run.
#[derive(Default)]
pub(super) struct Table {
    rows: BTreeMap<Kind, Row>,
    pub(super) remembered: Option<Remembered>,
    pub(super) felt: Option<Felt>,
}

impl Table {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 connections")]
    pub(super) fn add(&mut self, kind: Kind, tally: &Tally, cpu: Duration, (before, after): (u64, u64)) {
        let row = self.rows.entry(kind).or_default();
        let count = tally.lines.max(1) as f64;
        let sample = Sample {
            per_sec: tally.lines as f64 / tally.wall.as_secs_f64(),
            cpu_micros: cpu.as_secs_f64() * 1e6 / count,
        };
        row.samples.push(sample);
        row.tally.add(tally);
        row.pss_kib = Some((row.pss_kib.map_or(before, |(first, _)| first), after));
    }

    pub(super) fn talk(&mut self, kind: Kind, tally: Tally) {
        self.rows.entry(kind).or_default().talked = tally;
    }

    /// Returns the median rate.
    pub(super) fn per_sec(&self, kind: Kind) -> Option<f64> {
        self.spread(kind, |sample| sample.per_sec).map(|spread| spread.median)
    }

    fn cpu_micros(&self, kind: Kind) -> Option<f64> {
        self.spread(kind, |sample| sample.cpu_micros).map(|spread| spread.median)
    }

    fn spread(&self, kind: Kind, pick: fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.rows.get(&kind)?.samples.iter().map(pick))
    }

    fn growth_kib(&self, kind: Kind) -> Option<i64> {
        let (before, after) = self.rows.get(&kind)?.pss_kib?;
        Some(after.cast_signed() - before.cast_signed())
    }

    /// Returns what must hold wherever this runs: every client of tidegate read its line, and its memory is bounded.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let felt = self.felt.iter().map(|felt| &felt.tally);
        let own = self.rows.get(&Kind::Tidegate).into_iter().flat_map(|row| [&row.tally, &row.talked]);
        for tally in own.chain(felt) {
            if !tally.is_clean() {
                let odd = tally.odd.as_deref().unwrap_or("let in");
                faults.push(format!("not every client read a refusal and then the end: {odd}"));
            }
        }
        if let Some(Remembered { admitted, refused, .. }) = &self.remembered {
            if admitted.admitted != admitted.connections() {
                faults.push(format!("not every address was let in once: {admitted:?}"));
            }
            let forgotten = refused.admitted * FORGOTTEN_ONE_IN > refused.connections();
            if forgotten || refused.lines + refused.admitted != refused.connections() {
                faults.push(format!("addresses are not refused for their rate: {refused:?}"));
            }
        }
        let grown = self.remembered.iter().map(|remembered| remembered.grown_kib);
        for growth in grown.chain(self.growth_kib(Kind::Tidegate)).filter(|growth| *growth > MEMORY_KIB_MAX) {
            faults.push(format!("PSS grew by {growth} KiB, more than {MEMORY_KIB_MAX}"));
        }
        if !self.rows.contains_key(&Kind::Tidegate) {
            faults.push("tidegate was not measured".into());
        }
        faults
    }

    /// Returns the two promises that compare tidegate with the fastest of `peers`; `None` without peers.
    fn beside(&self, peers: Vec<Kind>, which: &str) -> Option<[(String, bool); 2]> {
        let (rate, cpu) = self.per_sec(Kind::Tidegate).zip(self.cpu_micros(Kind::Tidegate))?;
        let rates = peers.into_iter().filter_map(|kind| Some((kind, self.per_sec(kind)?)));
        let (best, best_rate) = rates.max_by(|left, right| left.1.total_cmp(&right.1))?;
        let (name, rate, cpu) = (best.name(), rate / best_rate, cpu / self.cpu_micros(best)?);
        let of_rate = format!("rate {rate:.2} × that of {which} ({name}): at least {RATE_X_PEER}");
        let of_cpu = format!("CPU {cpu:.2} × that of {which} ({name}): at most {CPU_X_PEER}");
        Some([(of_rate, rate >= RATE_X_PEER), (of_cpu, cpu <= CPU_X_PEER)])
    }

    /// Returns each promise with what was found, and whether it is kept; those that need peers only when there were some.
    pub(super) fn promises(&self) -> Vec<(String, bool)> {
        let mut promises = Vec::new();
        let Some(rate) = self.per_sec(Kind::Tidegate) else { return promises };
        promises.extend(self.beside(Kind::PEERS.to_vec(), "the best peer").into_iter().flatten());
        // Who resets a client that has said something does less than is asked of a refusal.
        let tellers = Kind::PEERS
            .into_iter()
            .filter(|kind| self.rows.get(kind).is_some_and(|row| row.talked.resets == 0));
        promises
            .extend(self.beside(tellers.collect(), "the best peer that resets nobody").into_iter().flatten());
        if let Some(floor) = self.per_sec(Kind::Floor) {
            let ratio = rate / floor;
            promises.push((
                format!("rate {ratio:.2} × the floor's: at least {RATE_X_FLOOR}"),
                ratio >= RATE_X_FLOOR,
            ));
        }
        if let Some(felt) = &self.felt {
            let p99 = percentile(&felt.flooded, 99);
            let text = format!(
                "NOOP inside at half the capacity ({:.0}/s): p99 {:.2} ms: at most {} ms",
                felt.per_sec,
                p99.as_secs_f64() * 1e3,
                NOOP_P99.as_millis()
            );
            promises.push((text, p99 <= NOOP_P99));
        }
        promises
    }

    /// Returns a Markdown table whose columns also stand in line on a terminal.
    pub(super) fn render(&self) -> String {
        let mut rows = vec![HEAD.map(str::to_owned)];
        for (&kind, row) in &self.rows {
            let cell = |pick: fn(&Sample) -> f64, digits: usize| {
                let Some(own) = self.spread(kind, pick) else { return ["–".to_owned(), "–".to_owned()] };
                let floor = self.spread(Kind::Floor, pick).map(|floor| own.median / floor.median);
                [
                    format!("{:.digits$} ({:.digits$}–{:.digits$})", own.median, own.least, own.most),
                    floor.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}")),
                ]
            };
            let [rate, rate_ratio] = cell(|sample| sample.per_sec, 0);
            let [cpu, cpu_ratio] = cell(|sample| sample.cpu_micros, 1);
            let growth = self.growth_kib(kind).map_or_else(|| "–".into(), |kib| kib.to_string());
            let Tally { lines, resets, admitted, errors, .. } = &row.tally;
            let rest = format!("{resets}, {admitted}, {errors}");
            let Tally { lines: heard, resets, admitted, errors, .. } = &row.talked;
            let talked = format!("{heard}, {resets}, {}", admitted + errors);
            let lines = lines.to_string();
            rows.push([kind.name().into(), rate, rate_ratio, cpu, cpu_ratio, growth, lines, rest, talked]);
        }
        align(&rows)
    }

    /// Returns the promises and what the session inside felt, one line each.
    pub(super) fn findings(&self) -> String {
        let mut lines: Vec<String> = self
            .promises()
            .into_iter()
            .map(|(text, kept)| format!("- {text}: **{}**", if kept { "kept" } else { "missed" }))
            .collect();
        if let Some(felt) = &self.felt {
            let told = |times: &[Duration]| {
                [50, 99, 100]
                    .map(|part| format!("{:.2}", percentile(times, part).as_secs_f64() * 1e3))
                    .join(" / ")
            };
            lines.push(format!(
                "- NOOP inside, ms, p50 / p99 / most: {} quiet ({} asked), {} flooded ({} asked, {} refused meanwhile)",
                told(&felt.quiet),
                felt.quiet.len(),
                told(&felt.flooded),
                felt.flooded.len(),
                felt.tally.lines
            ));
        }
        if let Some(Remembered { admitted, refused, grown_kib }) = &self.remembered {
            lines.push(format!(
                "- {} addresses let in once, then {} refusals for their rate ({} were forgotten and let in again): PSS grew by {grown_kib} KiB of at most {MEMORY_KIB_MAX}",
                admitted.admitted, refused.lines, refused.admitted
            ));
        }
        lines.extend(self.faults().into_iter().map(|fault| format!("- **FAULT**: {fault}")));
        lines.join("\n") + "\n"
    }

    /// Returns everything for programs.
    pub(super) fn json(&self, facts: &Facts, command: &str) -> Result<String> {
        let facts: serde_json::Map<String, Value> =
            facts.pairs().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let servers: serde_json::Map<String, Value> = self
            .rows
            .iter()
            .map(|(kind, row)| {
                let rates: Vec<f64> = row.samples.iter().map(|sample| sample.per_sec).collect();
                let cpu: Vec<f64> = row.samples.iter().map(|sample| sample.cpu_micros).collect();
                let value = json!({
                    "refusals_per_sec": rates, "cpu_micros_per_refusal": cpu, "pss_kib": row.pss_kib,
                    "refused": row.tally.lines, "resets": row.tally.resets, "let_in": row.tally.admitted,
                    "failed": row.tally.errors, "first_odd": row.tally.odd,
                    "talked_first": {"refused": row.talked.lines, "resets": row.talked.resets,
                        "first_odd": row.talked.odd},
                });
                (kind.name().to_owned(), value)
            })
            .collect();
        let promises: Vec<Value> =
            self.promises().into_iter().map(|(text, kept)| json!({"promise": text, "kept": kept})).collect();
        let felt = self.felt.as_ref().map(|felt| {
            let millis =
                |times: &[Duration]| [50, 99, 100].map(|part| percentile(times, part).as_secs_f64() * 1e3);
            json!({"flood_per_sec": felt.per_sec, "noop_ms_p50_p99_most": {
                "quiet": millis(&felt.quiet), "flooded": millis(&felt.flooded)}})
        });
        let remembered = self.remembered.as_ref().map(|remembered| {
            json!({"let_in": remembered.admitted.admitted, "refused": remembered.refused.lines, "let_in_again": remembered.refused.admitted,
                "pss_growth_kib": remembered.grown_kib, "pss_growth_kib_most": MEMORY_KIB_MAX})
        });
        let all = json!({"command": command, "facts": facts, "servers": servers, "inside": felt, "remembered": remembered,
            "promises": promises, "faults": self.faults()});
        let text = serde_json::to_string_pretty(&all).context("the figures cannot be written as JSON")?;
        Ok(text + "\n")
    }
}

/// Returns the least time that `part` of a hundred do not exceed; zero of nothing.
fn percentile(times: &[Duration], part: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * part).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Returns the page for `bench/results`.
pub(super) fn page(table: &Table, facts: &Facts, command: &str) -> String {
    format!(
        "\
# A flood of refused connections

{rows}
{findings}
Reproduce it with `{command}` (as root when peers are measured).

{facts}
How it was measured: loopback, every server full (4 places, all held; with `--by address` 50 places for one address), logs off.
28 connections are under way (4 with Pure-FTPd, whose listener queues no more) from up to 65,000 source addresses, each reading
its line up to the end of the stream. Servers take turns after a warm-up that is not counted, another one begins each round; a
slow one is stopped after 10 s a round. CPU is user and system time of the whole process tree with the children it has reaped, in
steps of 10 ms; the flood shares the cores with the server. PSS growth is that of the process tree from before the first round to
behind the last. The floor is one thread that accepts, writes such a line, shuts down, drains and closes, with epoll, and does
nothing else. The last column is of 2,000 more clients that send `USER anonymous` before they read: a server that closes without
reading it resets them. NOOP is asked every 5 ms by a session inside tidegate. Addresses that are let in again are those whose
rate was forgotten: the gate keeps rates in sets of eight.
",
        rows = table.render(),
        findings = table.findings(),
        facts = facts.list()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: u64, resets: u64) -> Tally {
        Tally { lines, resets, wall: Duration::from_secs(1), ..Tally::default() }
    }

    fn table(own_resets: u64, after_kib: u64) -> Table {
        let mut table = Table::default();
        let micros = Duration::from_micros;
        table.add(Kind::Floor, &tally(1000, 0), micros(40_000), (100, 100));
        table.add(Kind::Vsftpd, &tally(100, 0), micros(300_000), (100, 100));
        table.add(Kind::Pyftpdlib, &tally(400, 3), micros(80_000), (100, 100));
        table.add(Kind::Tidegate, &tally(900, own_resets), micros(45_000), (1000, after_kib));
        table
    }

    #[test]
    fn promises_are_measured_against_the_best() {
        let promises = table(0, 1000).promises();
        let kept: Vec<bool> = promises.iter().map(|(_, kept)| *kept).collect();
        assert_eq!(kept, [true, true, true, true, true], "{promises:?}");
        assert!(promises[0].0.contains("2.25 × that of the best peer (pyftpdlib)"), "{promises:?}");
        assert!(promises[1].0.contains("0.25 × that of the best peer (pyftpdlib)"), "{promises:?}");
        assert!(table(0, 1000).faults().is_empty());
        let mut talked = table(0, 1000);
        talked.talk(Kind::Pyftpdlib, tally(0, 7));
        let promises = talked.promises();
        assert!(
            promises[2].0.contains("9.00 × that of the best peer that resets nobody (vsftpd)"),
            "{promises:?}"
        );
    }

    #[test]
    fn resets_and_memory_are_faults() {
        assert_eq!(table(1, 1000).faults().len(), 1);
        assert_eq!(table(0, 1001 + 25 * 1024).faults().len(), 1);
        assert_eq!(table(0, 1000 + 25 * 1024).faults().len(), 0);
        assert!(table(1, 1000).findings().contains("FAULT"));
        assert_eq!(Table::default().faults().len(), 1);
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times, 100), Duration::from_millis(200));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
