//! The rooms and who may import whom: ARCHITECTURE.md is the law, `cargo metadata` the fact.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::workspace::{Metadata, Package, Workspace};

/// Rooms without socket, clock, thread or random source; the compiler proves most of it.
const PURE: [&str; 3] = ["types", "protocol", "admission"];
/// Rooms that may hold `unsafe` blocks.
const MAY_BE_UNSAFE: [&str; 2] = ["net", "storage-local"];
/// Rooms that use no other room, not even in their tests: they look from outside.
const BLACK_BOXES: [&str; 2] = ["conformance", "xtask"];
const TABLE_HEAD: &str = "| room | may import |";

type Imports = BTreeMap<String, BTreeSet<String>>;

/// Returns each difference between the import table in ARCHITECTURE.md and the manifests, and each broken promise of a room.
pub(crate) fn layers(workspace: &Workspace) -> Result<Vec<String>> {
    let path = workspace.root.join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let metadata = workspace.metadata(false)?;
    let mut findings = differences(&table(&text)?, &imports(&metadata));
    for package in &metadata.packages {
        promises(workspace, package, &mut findings)?;
    }
    Ok(findings)
}

/// Returns the room of a package: `tidegate-net` is `net`, `tidegate` itself is `cli`.
fn room(package: &str) -> &str {
    if package == "tidegate" { "cli" } else { package.strip_prefix("tidegate-").unwrap_or(package) }
}

/// Reads the table: the words in backticks of the second column are the rooms the first may import.
fn table(text: &str) -> Result<Imports> {
    let rows = text
        .lines()
        .skip_while(|line| line.trim() != TABLE_HEAD)
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut imports = Imports::new();
    for row in rows {
        let mut cells = row.trim_matches('|').split('|');
        let rooms = |cell: Option<&str>| -> BTreeSet<String> {
            cell.unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let name = rooms(cells.next()).pop_first().with_context(|| format!("no room in backticks: {row}"))?;
        ensure!(imports.insert(name.clone(), rooms(cells.next())).is_none(), "`{name}` has two rows");
    }
    ensure!(!imports.is_empty(), "ARCHITECTURE.md has no table with the head `{TABLE_HEAD}`");
    Ok(imports)
}

/// Returns what the manifests import. Tests may use more, save those of black boxes.
fn imports(metadata: &Metadata) -> Imports {
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    metadata
        .packages
        .iter()
        .map(|package| {
            let counts_all = BLACK_BOXES.contains(&room(&package.name));
            let imported = package
                .dependencies
                .iter()
                .filter(|dependency| counts_all || dependency.kind.as_deref() != Some("dev"))
                .filter(|dependency| members.contains(dependency.name.as_str()))
                .map(|dependency| room(&dependency.name).to_owned());
            (room(&package.name).to_owned(), imported.collect())
        })
        .collect()
}

fn differences(law: &Imports, fact: &Imports) -> Vec<String> {
    let mut findings = Vec::new();
    let none = BTreeSet::new();
    for name in law.keys().chain(fact.keys()).collect::<BTreeSet<_>>() {
        if !fact.contains_key(name) {
            findings.push(format!("ARCHITECTURE.md has the room `{name}`, the workspace has not"));
            continue;
        }
        if !law.contains_key(name) {
            findings.push(format!("the room `{name}` is missing in ARCHITECTURE.md"));
            continue;
        }
        let (may, does) = (law.get(name).unwrap_or(&none), fact.get(name).unwrap_or(&none));
        findings.extend(
            does.difference(may)
                .map(|other| format!("`{name}` imports `{other}`, which ARCHITECTURE.md does not allow")),
        );
        findings.extend(
            may.difference(does)
                .map(|other| format!("`{name}` does not import `{other}`, though ARCHITECTURE.md says so")),
        );
    }
    findings
}

/// Checks what a room promises in its own files.
fn promises(workspace: &Workspace, package: &Package, findings: &mut Vec<String>) -> Result<()> {
    let name = room(&package.name);
    let folder = package.manifest_path.parent().context("a manifest without a folder")?;
    let manifest = read(&package.manifest_path)?;
    let shared: toml::Table = toml::from_str(&manifest).with_context(|| format!("{name}: Cargo.toml"))?;
    let lints = shared.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    if lints != Some(true) {
        findings.push(format!("`{name}` does not take the workspace's lints"));
    }
    if PURE.contains(&name) {
        let library = read(&folder.join("src/lib.rs"))?;
        for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !library.lines().any(|line| line.trim_end() == attribute) {
                findings.push(format!("`{name}` is pure, but its lib.rs lacks {attribute}"));
            }
        }
    }
    for path in workspace.files()?.iter().filter(|path| path.starts_with(folder)) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            source(name, workspace.short(path), &read(path)?, findings);
        }
    }
    Ok(())
}

/// Checks one source file for what its room gave up.
fn source(room: &str, path: &Path, text: &str, findings: &mut Vec<String>) {
    let is_integration_test = path.components().any(|part| part.as_os_str() == "tests");
    let is_test = is_integration_test || path.ends_with("tests.rs") || path.ends_with("properties.rs");
    let mut before = "";
    for (line, number) in text.lines().map(str::trim).zip(1_u32..) {
        let attribute = line.starts_with("#[") || line.starts_with("#![");
        let lifts = attribute && (line.contains("allow(unsafe_code") || line.contains("expect(unsafe_code"));
        // A test may count allocations, which takes a global allocator of its own.
        if lifts && !MAY_BE_UNSAFE.contains(&room) && !is_integration_test {
            findings.push(format!("{}:{number}: unsafe code outside of {MAY_BE_UNSAFE:?}", path.display()));
        }
        let links_std = line == "extern crate std;" && before != "#[cfg(test)]";
        if links_std && PURE.contains(&room) && !is_test {
            findings.push(format!("{}:{number}: a pure room links std", path.display()));
        }
        before = line;
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAW: &str =
        "words\n\n| room | may import |\n|---|---|\n| `types` | nothing |\n| `net` | `types` |\n\nmore\n";

    fn set(pairs: &[(&str, &[&str])]) -> Imports {
        pairs
            .iter()
            .map(|(name, to)| ((*name).to_owned(), to.iter().map(|to| (*to).to_owned()).collect()))
            .collect()
    }

    #[test]
    fn the_table_is_read() {
        assert_eq!(table(LAW).unwrap(), set(&[("types", &[]), ("net", &["types"])]));
        assert!(table("no table here").is_err());
        assert!(table(&LAW.replace("`net`", "`types`")).is_err());
    }

    #[test]
    fn a_difference_in_either_direction_is_found() {
        let law = table(LAW).unwrap();
        assert_eq!(differences(&law, &law), Vec::<String>::new());
        assert_eq!(differences(&law, &set(&[("types", &["net"]), ("net", &["types"])])).len(), 1);
        assert_eq!(differences(&law, &set(&[("types", &[]), ("net", &[])])).len(), 1);
        assert_eq!(differences(&law, &set(&[("types", &[])])).len(), 1);
        assert_eq!(differences(&law, &set(&[("types", &[]), ("net", &["types"]), ("new", &[])])).len(), 1);
    }

    #[test]
    fn std_is_found_in_pure_rooms_outside_of_tests() {
        let product = "#![no_std]\nextern crate std;\n";
        let tests = "#[cfg(test)]\nextern crate std;\n";
        for (room, text, count) in [("types", product, 1), ("types", tests, 0), ("server", product, 0)] {
            let mut findings = Vec::new();
            source(room, Path::new("src/lib.rs"), text, &mut findings);
            assert_eq!(findings.len(), count, "{room}: {text}");
        }
    }

    #[test]
    fn unsafe_code_is_found_outside_its_rooms() {
        let text = "    #[expect(unsafe_code, reason = \"…\")]\n";
        for (room, count) in [("server", 1), ("net", 0)] {
            let mut findings = Vec::new();
            source(room, Path::new("x.rs"), text, &mut findings);
            assert_eq!(findings.len(), count, "{room}");
        }
    }
}
