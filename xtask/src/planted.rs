//! `cargo xtask planted`: proof that the tests bite. Each bug of `planted.toml` is put into a copy of the workspace,
//! and the named tests must fail.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::process::{self, Echo, Outcome};
use crate::report;
use crate::test::LEAVE_NOTHING;
use crate::workspace::Workspace;

const BUILD_LIMIT: Duration = Duration::from_mins(20);
/// A test that hangs has noticed the bug too, but it should not take long.
const TEST_LIMIT: Duration = Duration::from_mins(3);

/// The rows of `xtask/planted.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    bug: Vec<Bug>,
}

/// One bug: `find` stands exactly once in `file` and becomes `replace`; `cargo test` with `test` must fail then.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    name: String,
    file: PathBuf,
    find: String,
    replace: String,
    test: Vec<String>,
}

/// What the tests did about a bug.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Caught,
    Hung,
    Survived,
}

impl Fate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::Hung => "caught (the tests hung)",
            Self::Survived => "SURVIVED",
        }
    }
}

/// Plants every bug whose name contains `only`; true when each one was caught.
/// Errors: a row does not fit the source, does not build, or its tests fail without the bug.
pub(crate) fn run(workspace: &Workspace, only: Option<&str>) -> Result<bool> {
    let path = workspace.root.join("xtask/planted.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: Table = toml::from_str(&text).context("xtask/planted.toml")?;
    let bugs: Vec<&Bug> =
        table.bug.iter().filter(|bug| only.is_none_or(|part| bug.name.contains(part))).collect();
    ensure!(!bugs.is_empty(), "no bug to plant: xtask/planted.toml has none of that name");

    let copy = Copy::make(workspace)?;
    for test in bugs.iter().map(|bug| &bug.test).collect::<BTreeSet<_>>() {
        copy.build(test)?;
        let sound = copy.test(test)?;
        ensure!(sound.success, "`cargo test {}` fails without any bug:\n{}", test.join(" "), sound.text);
    }
    let mut survived = 0_u32;
    for bug in &bugs {
        let started = Instant::now();
        let fate = copy.plant(bug).with_context(|| format!("bug `{}`", bug.name))?;
        survived += u32::from(fate == Fate::Survived);
        println!("{:<24} {:>8}  {}", fate.as_str(), report::duration(started.elapsed()), bug.name);
    }
    println!("{} planted, {survived} survived", bugs.len());
    Ok(survived == 0)
}

/// A copy of the workspace in which bugs may be planted; it is kept, so that the next run builds little.
struct Copy {
    workspace: Workspace,
    target: PathBuf,
}

impl Copy {
    /// Makes the copy equal to the workspace and touches only what differs, so that cargo rebuilds only that.
    fn make(workspace: &Workspace) -> Result<Self> {
        let home = workspace.metadata(false)?.target_directory.join("planted");
        let root = home.join("work");
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        let copy = Self { workspace: Workspace { root }, target: home.join("target") };
        let mut wanted = BTreeSet::new();
        for source in workspace.files()? {
            let target = copy.workspace.root.join(workspace.short(&source));
            let bytes = fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
            if fs::read(&target).ok().as_ref() != Some(&bytes) {
                write(&target, &bytes)?;
            }
            wanted.insert(target);
        }
        for stale in copy.workspace.files()?.into_iter().filter(|path| !wanted.contains(path)) {
            fs::remove_file(&stale).with_context(|| format!("cannot remove {}", stale.display()))?;
        }
        Ok(copy)
    }

    /// Plants one bug, runs its tests and takes it out again.
    fn plant(&self, bug: &Bug) -> Result<Fate> {
        let path = self.workspace.root.join(&bug.file);
        let sound =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", bug.file.display()))?;
        write(&path, planted(&sound, bug)?.as_bytes())?;
        let fate = self.build(&bug.test).and_then(|()| {
            self.test(&bug.test).map(|outcome| match (outcome.success, outcome.timed_out) {
                (true, _) => Fate::Survived,
                (false, true) => Fate::Hung,
                (false, false) => Fate::Caught,
            })
        });
        write(&path, sound.as_bytes())?;
        fate
    }

    /// Builds the tests: a bug that does not compile proves nothing.
    fn build(&self, test: &[String]) -> Result<()> {
        let mut command = self.cargo(test);
        let outcome = process::run(command.arg("--no-run"), BUILD_LIMIT, Echo::Quiet)?;
        if !outcome.success {
            bail!("`cargo test {} --no-run` failed:\n{}", test.join(" "), outcome.text);
        }
        Ok(())
    }

    fn test(&self, test: &[String]) -> Result<Outcome> {
        process::run(&mut self.cargo(test), TEST_LIMIT, Echo::Quiet)
    }

    fn cargo(&self, test: &[String]) -> std::process::Command {
        let mut command = self.workspace.cargo(&["test", "--quiet", "--locked"]);
        command.env("CARGO_TARGET_DIR", &self.target).envs(LEAVE_NOTHING).args(test);
        command
    }
}

/// Returns the source with the bug in it. Errors: `find` does not stand exactly once, or nothing changes.
fn planted(sound: &str, bug: &Bug) -> Result<String> {
    let found = sound.matches(&bug.find).count();
    ensure!(found == 1, "`find` stands {found} times in {}, not once", bug.file.display());
    ensure!(bug.find != bug.replace, "`replace` is `find`");
    Ok(sound.replacen(&bug.find, &bug.replace, 1))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bug(find: &str, replace: &str) -> Bug {
        Bug {
            name: "x".into(),
            file: "x.rs".into(),
            find: find.into(),
            replace: replace.into(),
            test: Vec::new(),
        }
    }

    #[test]
    fn a_bug_must_fit_exactly_once_and_change_something() {
        assert_eq!(planted("a < b", &bug("<", "<=")).unwrap(), "a <= b");
        assert!(planted("a < b < c", &bug("<", "<=")).is_err());
        assert!(planted("a > b", &bug("<", "<=")).is_err());
        assert!(planted("a < b", &bug("<", "<")).is_err());
    }

    #[test]
    fn every_bug_of_the_table_fits_the_source() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let table: Table =
            toml::from_str(&fs::read_to_string(root.join("xtask/planted.toml")).unwrap()).unwrap();
        assert!(table.bug.len() >= 10);
        for bug in &table.bug {
            let source = fs::read_to_string(root.join(&bug.file)).unwrap();
            planted(&source, bug).unwrap_or_else(|error| panic!("{}: {error}", bug.name));
        }
    }
}
