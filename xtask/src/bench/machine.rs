//! What a figure means nothing without: the machine, the commit, the versions.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, Echo};
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(30);

/// Where and of what the figures are.
pub(crate) struct Facts {
    /// UTC, `2030-01-31 12:00`.
    date: String,
    /// Short hash, empty before the first commit.
    commit: String,
    has_changes: bool,
    /// Name and value of each further fact.
    rows: Vec<(&'static str, String)>,
}

impl Facts {
    /// Asks the kernel and the tools; `neighbours` are the versions of the other servers. What cannot be told is said so in its row.
    pub(crate) fn gather(
        workspace: &Workspace,
        tidegate: &Path,
        neighbours: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let date = first_line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"]));
        let mut status = git(workspace);
        // Without the lock git does not write its index while somebody else works in the tree.
        status.args(["--no-optional-locks", "status", "--porcelain"]);
        let commit =
            first_line(git(workspace).args(["rev-parse", "--verify", "--quiet", "--short=12", "HEAD"]));
        let memory = proc_field("/proc/meminfo", "MemTotal").and_then(|text| {
            let kib: u64 = text.split_whitespace().next()?.parse().ok()?;
            Some(format!("{} MiB", kib / 1024))
        });
        let mut rows = vec![
            ("CPU", told(proc_field("/proc/cpuinfo", "model name"))),
            ("cores", told(std::thread::available_parallelism().ok().map(|count| count.to_string()))),
            ("memory", told(memory)),
            ("kernel", told(fs::read_to_string("/proc/sys/kernel/osrelease").ok())),
            ("tidegate", told(first_line(Command::new(tidegate).arg("--version")))),
            (
                "compiler",
                told(first_line(Command::new("rustc").current_dir(&workspace.root).arg("--version"))),
            ),
        ];
        rows.extend(neighbours);
        Ok(Self {
            date: date.context("`date` tells no date")?,
            commit: commit.unwrap_or_default(),
            has_changes: first_line(&mut status).is_some(),
            rows,
        })
    }

    /// Returns a name that sorts by time: `2030-01-31-1200-0123456789ab.md`.
    pub(super) fn file_name(&self) -> String {
        let date = self.date.replace(' ', "-").replace(':', "");
        let commit = if self.commit.is_empty() { "no-commit" } else { &self.commit };
        format!("{date}-{commit}.md")
    }

    /// Returns the facts as a Markdown list.
    pub(crate) fn list(&self) -> String {
        let lines: Vec<String> =
            self.pairs().iter().map(|(name, value)| format!("- {name}: {value}\n")).collect();
        lines.concat()
    }

    /// Returns name and value of each fact.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let commit = match (self.commit.as_str(), self.has_changes) {
            ("", _) => "none yet".to_owned(),
            (commit, true) => format!("{commit}, with changes that are not committed"),
            (commit, false) => commit.to_owned(),
        };
        let head = [("date", format!("{} UTC", self.date)), ("commit", commit)];
        head.into_iter().chain(self.rows.iter().cloned()).collect()
    }
}

/// Returns the version of an installed Debian package.
pub(crate) fn package_version(package: &str) -> String {
    told(first_line(Command::new("dpkg-query").args(["-W", "-f", "${Version}", package])))
}

fn told(fact: Option<String>) -> String {
    fact.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "not told".into())
}

fn git(workspace: &Workspace) -> Command {
    let mut command = Command::new("git");
    command.current_dir(&workspace.root);
    command
}

/// Returns the first line a command prints; `None` when it fails or prints nothing.
fn first_line(command: &mut Command) -> Option<String> {
    let outcome = process::run(command, LIMIT, Echo::Quiet).ok().filter(|outcome| outcome.success)?;
    outcome.text.lines().next().map(|line| line.trim().to_owned())
}

/// Returns what stands behind `name` and a colon.
fn proc_field(path: &str, name: &str) -> Option<String> {
    let table = fs::read_to_string(path).ok()?;
    let line = table.lines().find(|line| line.split(':').next().is_some_and(|head| head.trim() == name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
