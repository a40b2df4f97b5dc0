//! Where things are, and what `cargo metadata` says about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process::{self, Echo};

/// Folders that hold no source of ours.
const NOT_SOURCE: [&str; 5] = [".git", ".tools", "demo", "node_modules", "target"];
const METADATA_LIMIT: Duration = Duration::from_mins(5);

/// The workspace this program was built from.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
}

/// The part of `cargo metadata` that the checks read.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// Where it was fetched from; `None` for members of this workspace.
    pub(crate) source: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) req: String,
    /// The folder, for members of this workspace.
    pub(crate) path: Option<PathBuf>,
}

impl Workspace {
    /// Finds the workspace by the folder this package was built in.
    pub(crate) fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask has no parent folder")?.to_path_buf();
        ensure!(
            root.join("Cargo.lock").is_file(),
            "no Cargo.lock in {}: is this still the workspace?",
            root.display()
        );
        Ok(Self { root })
    }

    /// Returns a `cargo` command that runs in the root and never colours its output.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).env("CARGO_TERM_COLOR", "never").args(arguments);
        command
    }

    /// Returns what cargo knows: of the members alone, or with everything they depend on.
    pub(crate) fn metadata(&self, with_dependencies: bool) -> Result<Metadata> {
        let mut command = self.cargo(&["metadata", "--format-version", "1", "--locked", "--quiet"]);
        if !with_dependencies {
            command.arg("--no-deps");
        }
        let outcome = process::run(&mut command, METADATA_LIMIT, Echo::Quiet)?;
        ensure!(outcome.success, "cargo metadata failed:\n{}", outcome.text);
        let json = outcome
            .text
            .lines()
            .find(|line| line.starts_with('{'))
            .context("cargo metadata printed no JSON")?;
        serde_json::from_str(json).context("cargo metadata printed something new")
    }

    /// Returns the folder for tools that belong to this workspace alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".tools")
    }

    /// Returns every file of the workspace that is not built, fetched or git's, sorted.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        collect(&self.root, &mut files)?;
        files.sort();
        Ok(files)
    }

    /// Returns `path` as seen from the root, for messages.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !NOT_SOURCE.iter().any(|name| entry.file_name() == *name) {
                collect(&entry.path(), files)?;
            }
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
