//! No test may be switched off: what does not run proves nothing. One thing looks like it and is not: the child process
//! of a test, which is an ignored test that another test of the same file starts by its name.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// What was found.
#[derive(Default)]
pub(crate) struct Ignored {
    /// Each place where a test or a documentation example is ignored or skipped.
    pub(crate) findings: Vec<String>,
    /// How many ignored tests are the child processes of others.
    pub(crate) children: u32,
}

/// Looks through the sources of all tests.
pub(crate) fn ignored(workspace: &Workspace) -> Result<Ignored> {
    let mut ignored = Ignored::default();
    for path in workspace.files()? {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !matches!(extension, "rs" | "py" | "js" | "mjs" | "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        find(workspace.short(&path), extension, &text, &mut ignored);
    }
    Ok(ignored)
}

fn find(path: &Path, extension: &str, text: &str, ignored: &mut Ignored) {
    let mut lines = text.lines().map(str::trim).zip(1_u32..);
    while let Some((line, number)) = lines.next() {
        if !switches_off(extension, line) {
            continue;
        }
        // What follows is looked at without being taken: it may hold the next one.
        let name = lines.clone().find_map(|(line, _)| line.split_once("fn ")?.1.split('(').next());
        if line.starts_with("#[ignore") && name.is_some_and(|name| is_started(name, text)) {
            ignored.children += 1;
        } else {
            ignored.findings.push(format!("{}:{number}: {line}", path.display()));
        }
    }
}

/// Tells whether the file runs the ignored test `name` in a process of its own: alone, by its name.
fn is_started(name: &str, text: &str) -> bool {
    let named = text.contains(&format!("\"{name}\"")) || text.contains(&format!("::{name}\""));
    named && text.contains("--ignored") && text.contains("--exact") && text.contains("current_exe()")
}

/// Tells whether a line, without its indentation, switches a test off.
fn switches_off(extension: &str, line: &str) -> bool {
    match extension {
        "rs" => {
            let conditional = line.starts_with("#[cfg_attr(") && line.contains("ignore");
            let example = line.trim_start_matches(['/', '!', ' ']);
            let example = line.starts_with("//") && example.starts_with("```") && example.contains("ignore");
            line.starts_with("#[ignore") || conditional || example
        }
        "py" => {
            line.contains("unittest.skip") || line.contains("pytest.mark.skip") || line.contains("skipTest(")
        }
        "js" | "mjs" => line.contains("test.skip(") || line.contains("it.skip("),
        _ => line.starts_with("default-filter") || line.starts_with("test = false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_child_that_is_started_may_be_ignored() {
        let child = "#[test]\n#[ignore = \"a child\"]\nfn child_at_work() {}\n";
        let parent = "Command::new(current_exe()).args([\"--ignored\", \"--exact\", \"child_at_work\"]);";
        let other = parent.replace("child_at_work", "another");
        for (text, findings, children) in
            [(child.to_owned(), 1, 0), (format!("{child}{parent}"), 0, 1), (format!("{child}{other}"), 1, 0)]
        {
            let mut ignored = Ignored::default();
            find(Path::new("x.rs"), "rs", &text, &mut ignored);
            assert_eq!((ignored.findings.len(), ignored.children), (findings, children), "{text}");
        }
    }

    #[test]
    fn every_way_to_switch_a_test_off_is_seen() {
        let bad = [
            ("rs", "#[ignore]"),
            ("rs", "#[ignore = \"slow\"]"),
            ("rs", "#[cfg_attr(not(feature = \"slow\"), ignore)]"),
            ("rs", "/// ```ignore"),
            ("rs", "//! ```rust,ignore"),
            ("py", "@unittest.skipIf(True, 'no')"),
            ("toml", "default-filter = \"not test(slow)\""),
            ("toml", "test = false"),
        ];
        for (extension, line) in bad {
            assert!(switches_off(extension, line), "{extension}: {line}");
        }
        let good = [
            ("rs", "/// ```"),
            ("rs", "let ignored = skip;"),
            ("rs", "// #[ignore] is not used"),
            ("toml", "test = [\"-p\"]"),
        ];
        for (extension, line) in good {
            assert!(!switches_off(extension, line), "{extension}: {line}");
        }
    }
}
