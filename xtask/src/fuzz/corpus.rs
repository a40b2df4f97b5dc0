//! The corpus of one target as the repository has it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The most files that libFuzzer's choice may bring, smallest first.
const FILES_MAX: usize = 200;

/// Replaces what libFuzzer once chose by its present choice, and returns how many files there are. Its files are named by
/// forty hexadecimal digits; what has another name was put there by somebody and stays.
pub(super) fn replace(kept: &Path, chosen: &Path) -> Result<usize> {
    let mut fresh = Vec::new();
    for entry in fs::read_dir(chosen).with_context(|| format!("cannot list {}", chosen.display()))? {
        let entry = entry?;
        fresh.push((entry.metadata()?.len(), entry.file_name()));
    }
    fresh.sort();
    fresh.truncate(FILES_MAX);
    let fresh: BTreeSet<OsString> = fresh.into_iter().map(|(_, name)| name).collect();
    let mut count = fresh.len();
    for entry in fs::read_dir(kept).with_context(|| format!("cannot list {}", kept.display()))? {
        let name = entry?.file_name();
        let is_chosen = name.to_str().is_some_and(is_hash);
        if !is_chosen {
            count += 1;
        } else if !fresh.contains(&name) {
            fs::remove_file(kept.join(&name)).context("cannot remove a file of the corpus")?;
        }
    }
    for name in fresh {
        fs::copy(chosen.join(&name), kept.join(&name)).context("cannot write a file of the corpus")?;
    }
    Ok(count)
}

fn is_hash(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_libfuzzer_chose_is_replaced() {
        let (kept, chosen) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (old, both, new) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
        for name in [old.as_str(), &both, "by-hand"] {
            fs::write(kept.path().join(name), name).unwrap();
        }
        for name in [&both, &new] {
            fs::write(chosen.path().join(name), name).unwrap();
        }
        assert_eq!(replace(kept.path(), chosen.path()).unwrap(), 3);
        let names = fs::read_dir(kept.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names: BTreeSet<OsString> = names.collect();
        assert_eq!(names, [both, new, "by-hand".to_owned()].map(OsString::from).into());
    }

    #[test]
    fn the_smallest_are_kept() {
        let (kept, chosen) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for number in 0..FILES_MAX + 5 {
            fs::write(chosen.path().join(format!("{number:040x}")), vec![b'x'; FILES_MAX + 9 - number])
                .unwrap();
        }
        assert_eq!(replace(kept.path(), chosen.path()).unwrap(), FILES_MAX);
        assert!(!kept.path().join(format!("{:040x}", 4)).exists(), "the longest is gone");
    }
}
