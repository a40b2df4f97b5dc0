//! Licences, bans and sources of everything we build on, by the lists in `deny.toml`: without network, unlike `cargo deny`.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::workspace::{Metadata, Package, Workspace};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is checked here.
#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    reason: String,
}

/// Returns each package whose licence is not allowed, which is banned, or which comes from elsewhere than crates.io.
pub(crate) fn licences(workspace: &Workspace) -> Result<Vec<String>> {
    let path = workspace.root.join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let deny: Deny = toml::from_str(&text).context("deny.toml is not as expected")?;
    judge(&deny, &workspace.metadata(true)?)
}

fn judge(deny: &Deny, metadata: &Metadata) -> Result<Vec<String>> {
    let allowed = deny
        .licenses
        .allow
        .iter()
        .map(|name| {
            Licensee::parse(name).with_context(|| format!("deny.toml allows `{name}`, which is no SPDX name"))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut findings = BTreeSet::new();
    for package in &metadata.packages {
        let mut add = |what: String| findings.insert(format!("{} {}: {what}", package.name, package.version));
        if let Some(problem) = licence_problem(package, &allowed) {
            add(problem);
        }
        if package.source.as_deref().is_some_and(|source| source != CRATES_IO) {
            add("does not come from crates.io".into());
        }
        for ban in deny.bans.deny.iter().filter(|ban| ban.name == package.name) {
            add(format!("banned: {}", ban.reason));
        }
        let any = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.req == "*" && dependency.path.is_none());
        for dependency in any.filter(|_| package.source.is_none()) {
            add(format!("takes any version of {}", dependency.name));
        }
    }
    Ok(findings.into_iter().collect())
}

fn licence_problem(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let Some(licence) = &package.license else { return Some("names no licence".into()) };
    match Expression::parse_mode(licence, ParseMode::LAX) {
        Err(_) => Some(format!("`{licence}` is no SPDX expression")),
        Ok(expression) if expression.evaluate(|wanted| allowed.iter().any(|one| one.satisfies(wanted))) => {
            None
        }
        Ok(_) => Some(format!("licence `{licence}` is not in deny.toml's list")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: license.map(Into::into),
            source: source.map(Into::into),
            manifest_path: PathBuf::new(),
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn only_what_is_allowed_passes() {
        let deny: Deny = toml::from_str(
            "licenses.allow = ['MIT', 'Apache-2.0']\nbans.deny = [{ name = 'evil', reason = 'it is' }]",
        )
        .unwrap();
        let table = [
            (package("a", Some("MIT OR GPL-3.0-only"), Some(CRATES_IO)), 0),
            (package("b", Some("MIT/Apache-2.0"), Some(CRATES_IO)), 0),
            (package("c", Some("MIT AND GPL-3.0-only"), Some(CRATES_IO)), 1),
            (package("d", None, Some(CRATES_IO)), 1),
            (package("e", Some("MIT"), Some("git+https://example.org/e")), 1),
            (package("evil", Some("MIT"), Some(CRATES_IO)), 1),
            (package("ours", Some("MIT"), None), 0),
        ];
        for (package, count) in table {
            let name = package.name.clone();
            let metadata = Metadata { packages: vec![package], target_directory: PathBuf::new() };
            assert_eq!(judge(&deny, &metadata).unwrap().len(), count, "{name}");
        }
    }
}
