//! What became of the mutants, and the page that judges the survivors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const TABLE_HEAD: &str = "| survivor | judgement |";
const UNJUDGED: &str = "**not judged**";

/// Mutants by what became of them, each as `file:line:column: what was changed`.
#[derive(Debug, Default)]
pub(super) struct Fates {
    caught: Vec<String>,
    /// The tests hung, which notices it too.
    timeout: Vec<String>,
    missed: Vec<String>,
    /// It does not compile: nothing is proved either way.
    unviable: Vec<String>,
}

impl Fates {
    /// Adds what cargo-mutants wrote into `folder`.
    pub(super) fn add(&mut self, folder: &Path) -> Result<()> {
        let lists = [
            ("caught", &mut self.caught),
            ("timeout", &mut self.timeout),
            ("missed", &mut self.missed),
            ("unviable", &mut self.unviable),
        ];
        for (name, list) in lists {
            let path = folder.join(format!("{name}.txt"));
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            list.extend(text.lines().map(str::to_owned));
        }
        Ok(())
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [caught, hung, missed, unviable] =
            [&self.caught, &self.timeout, &self.missed, &self.unviable].map(Vec::len);
        let tried = caught + hung + missed;
        write!(
            f,
            "{tried} mutants tried: {caught} caught, {hung} hung the tests, {missed} survived; {unviable} more do not compile"
        )
    }
}

/// Returns the page, and how many survivors nobody has judged. Judgements in `before` stay with their mutant wherever
/// its line has moved to.
pub(super) fn write(fates: &Fates, before: &str) -> (String, usize) {
    let judged = judgements(before);
    let survivors: BTreeSet<String> = fates.missed.iter().map(|mutant| without_place(mutant)).collect();
    let mut rows = String::new();
    let mut unjudged = 0;
    for survivor in survivors {
        let judgement = judged.get(&survivor).map_or(UNJUDGED, String::as_str);
        unjudged += usize::from(judgement == UNJUDGED);
        let _ = writeln!(rows, "| `{}` | {judgement} |", survivor.replace('|', "\\|"));
    }
    let page = format!(
        "\
# Mutants of `protocol`

`cargo xtask mutants` changes one place at a time and runs the tests of `protocol` alone; `fuzz/mutants.toml` says what is
left out and why. {fates}.

A survivor is either a change that nobody can observe, or a test that is missing. A judgement says which; it stays here
when the page is written anew, as long as the mutant does.

{TABLE_HEAD}
|---|---|
{rows}"
    );
    (page, unjudged)
}

fn judgements(page: &str) -> BTreeMap<String, String> {
    let rows =
        page.lines().skip_while(|line| *line != TABLE_HEAD).skip(2).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| {
        let (survivor, judgement) = row.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")?;
        Some((survivor.replace("\\|", "|"), judgement.to_owned()))
    })
    .collect()
}

/// Returns a mutant as `file: change`: lines move with every edit. Two of the same name in one file are judged as one.
fn without_place(mutant: &str) -> String {
    let mut parts = mutant.splitn(4, ':');
    let (file, _line, _column) = (parts.next(), parts.next(), parts.next());
    let change = parts.next().unwrap_or_default().trim();
    let file = file.unwrap_or_default().trim_start_matches("crates/protocol/src/");
    format!("{file}: {change}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survived(mutants: &[&str]) -> Fates {
        Fates { missed: mutants.iter().map(|mutant| (*mutant).to_owned()).collect(), ..Fates::default() }
    }

    #[test]
    fn judgements_stay_when_lines_move() {
        let one = survived(&["crates/protocol/src/line.rs:9:3: replace || with && in LineReader::push"]);
        let (page, unjudged) = write(&one, "");
        assert_eq!(unjudged, 1);
        assert!(
            page.contains("| `line.rs: replace \\|\\| with && in LineReader::push` | **not judged** |"),
            "{page}"
        );
        let judged = page.replace(UNJUDGED, "the same: both are never true");
        let moved = survived(&[
            "crates/protocol/src/line.rs:99:3: replace || with && in LineReader::push",
            "crates/protocol/src/time.rs:1:1: replace x -> u8 with 0",
        ]);
        let (page, unjudged) = write(&moved, &judged);
        assert_eq!(unjudged, 1);
        assert!(page.contains(
            "`line.rs: replace \\|\\| with && in LineReader::push` | the same: both are never true |"
        ));
    }

    #[test]
    fn a_page_is_stable() {
        let (page, _) = write(&survived(&["crates/protocol/src/a.rs:1:1: replace b with c"]), "");
        let (again, _) = write(&survived(&["crates/protocol/src/a.rs:1:1: replace b with c"]), &page);
        assert_eq!(page, again);
    }

    #[test]
    fn counts_are_told() {
        let mut fates = survived(&["a:1:1: b"]);
        fates.caught = vec!["c".to_owned(); 3];
        assert!(fates.to_string().starts_with("4 mutants tried: 3 caught, 0 hung the tests, 1 survived"));
    }
}
