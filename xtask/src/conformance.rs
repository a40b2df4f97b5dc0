//! `cargo xtask conformance`: the suite against tidegate and four other servers, and the table in `conformance/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::install::{self, Need};
use crate::process::{self, Echo};
use crate::workspace::Workspace;

const SUBJECTS: [&str; 5] = ["tidegate", "vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"];
/// The same program as in `cargo xtask test`.
const PROFILE: &str = "test-bin";
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// One server; the slowest waits out many silences.
const RUN_LIMIT: Duration = Duration::from_mins(10);
const BEGIN: &str = "<!-- table: cargo xtask conformance -->";
const END: &str = "<!-- end of table -->";

/// What `ftp-conformance --json` prints.
#[derive(Deserialize)]
struct Report {
    counts: BTreeMap<String, u32>,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    id: String,
    level: String,
    demands: String,
    verdict: String,
}

/// Installs the servers, runs the suite and writes the table. Errors: a server is missing or does not start, or the README has no
/// place for the table.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    println!("{}", install::install(workspace, &[Need::Peers])?);
    let arguments =
        ["build", "--quiet", "--locked", "-p", "tidegate", "-p", "tidegate-conformance", "--bins"];
    let mut build = workspace.cargo(&arguments);
    let built = process::run(build.args(["--profile", PROFILE]), BUILD_LIMIT, Echo::Live)?;
    ensure!(built.success, "the programs do not build");
    let programs = workspace.metadata(false)?.target_directory.join(PROFILE);

    let mut reports = Vec::new();
    for subject in SUBJECTS {
        let report = report(workspace, &programs, subject)?;
        println!("{subject}: {:?}", report.counts);
        reports.push(report);
    }
    let table = table(&versions(workspace, &programs)?, &reports)?;
    let path = workspace.root.join("conformance/README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (before, rest) =
        text.split_once(BEGIN).context("conformance/README.md has no place for the table")?;
    let (_, after) = rest.split_once(END).context("the table in conformance/README.md has no end")?;
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))
        .context("cannot write conformance/README.md")?;
    println!("conformance/README.md is written");
    Ok(())
}

/// Runs the suite against one server. One check at a time: a server that serves all clients in one thread would fail a check for
/// what another one does.
fn report(workspace: &Workspace, programs: &Path, subject: &str) -> Result<Report> {
    let mut command = Command::new(programs.join("ftp-conformance"));
    command.args([subject, "--json", "--at-once", "1"]);
    command.env("TIDEGATE_TOOLS", workspace.tools()).env("TIDEGATE_BIN", programs.join("tidegate"));
    let outcome = process::run(&mut command, RUN_LIMIT, Echo::Quiet)?;
    ensure!(!outcome.timed_out, "the suite against {subject} took more than {} s", RUN_LIMIT.as_secs());
    // The exit code tells only whether a must failed. Warnings of a server may stand around the document.
    let start =
        outcome.text.find("{\n").with_context(|| format!("no report on {subject}:\n{}", outcome.text))?;
    let mut documents = serde_json::Deserializer::from_str(&outcome.text[start..]).into_iter::<Report>();
    documents.next().context("an empty report")?.with_context(|| format!("an unknown report on {subject}"))
}

/// Returns the version of each server.
fn versions(workspace: &Workspace, programs: &Path) -> Result<Vec<String>> {
    let peers = workspace.tools().join("peers");
    SUBJECTS.iter().map(|subject| version(&peers, programs, subject)).collect()
}

fn version(peers: &Path, programs: &Path, subject: &str) -> Result<String> {
    let told = |command: &mut Command| process::run(command, Duration::from_secs(30), Echo::Quiet);
    let text = match subject {
        "tidegate" => {
            told(Command::new(programs.join("tidegate")).arg("--version"))?.text.replace("tidegate ", "")
        }
        "pyftpdlib" => {
            let script = "import pyftpdlib; print(pyftpdlib.__ver__)";
            told(Command::new(peers.join("pyftpdlib/bin/python")).args(["-c", script]))?.text
        }
        _ => fs::read_to_string(peers.join(subject).join("VERSION"))
            .with_context(|| format!("no version of {subject}"))?,
    };
    Ok(text.trim().to_owned())
}

fn table(versions: &[String], reports: &[Report]) -> Result<String> {
    let date =
        process::run(Command::new("date").args(["-u", "+%Y-%m-%d"]), Duration::from_secs(10), Echo::Quiet)?
            .text;
    let first = reports.first().context("no report")?;
    let mut text = format!(
        "{} checks, {}, each server as its package comes, one account, everything allowed.\n\n",
        first.checks.len(),
        date.trim()
    );
    text.push_str("| | pass | fail: must | safety | should | practice | not offered | not applicable |\n|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for ((subject, version), report) in SUBJECTS.iter().zip(versions).zip(reports) {
        let count = |name: &str| report.counts.get(name).copied().unwrap_or(0);
        let _ = writeln!(
            text,
            "| {subject} {version} | {} | {} | {} | {} | {} | {} | {} |",
            count("pass"),
            count("fail must"),
            count("fail safety"),
            count("fail should"),
            count("fail practice"),
            count("not offered"),
            count("not applicable")
        );
    }
    let _ = write!(
        text,
        "\nWhat at least one of them fails (✔ pass, **✘** fail, – not offered, · not applicable):\n\n| check | level |"
    );
    for subject in SUBJECTS {
        let _ = write!(text, " {subject} |");
    }
    text.push_str("\n|---|---|");
    text.push_str(&":-:|".repeat(SUBJECTS.len()));
    for (index, check) in first.checks.iter().enumerate() {
        let cells: Vec<&Check> = reports.iter().filter_map(|report| report.checks.get(index)).collect();
        ensure!(
            cells.len() == reports.len() && cells.iter().all(|cell| cell.id == check.id),
            "the reports differ in their checks"
        );
        if cells.iter().any(|cell| cell.verdict == "fail") {
            let signs: Vec<&str> = cells.iter().map(|cell| sign(&cell.verdict)).collect();
            let _ = write!(
                text,
                "\n| `{}`<br>{} | {} | {} |",
                check.id,
                check.demands,
                check.level,
                signs.join(" | ")
            );
        }
    }
    Ok(text)
}

fn sign(verdict: &str) -> &'static str {
    match verdict {
        "pass" => "✔",
        "fail" => "**✘**",
        "not offered" => "–",
        _ => "·",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: &str) -> Report {
        let check = |id: &str, verdict: &str| Check {
            id: id.into(),
            level: "must".into(),
            demands: "SIZE tells a number".into(),
            verdict: verdict.into(),
        };
        let counts = BTreeMap::from([("pass".to_owned(), 1), ("fail must".to_owned(), 7)]);
        Report { counts, checks: vec![check("a/good", "pass"), check("a/other", verdict)] }
    }

    #[test]
    fn only_what_somebody_fails_is_in_the_table() {
        let versions: Vec<String> = (0..5).map(|number| format!("1.{number}")).collect();
        let reports: Vec<Report> = ["pass", "fail", "not offered", "pass", "pass"].map(report).into();
        let text = table(&versions, &reports).unwrap();
        assert!(text.contains("| vsftpd 1.1 | 1 | 7 | 0 |"), "{text}");
        assert!(text.contains("`a/other`") && !text.contains("`a/good`"), "{text}");
        assert!(text.contains("| ✔ | **✘** | – | ✔ | ✔ |"), "{text}");
    }

    #[test]
    fn reports_of_different_suites_are_not_mixed() {
        let mut reports: Vec<Report> = ["pass", "fail", "pass", "pass", "pass"].map(report).into();
        reports[4].checks.pop();
        assert!(table(&vec![String::new(); 5], &reports).is_err());
    }
}
