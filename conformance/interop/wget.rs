//! wget: reads LIST, fetches a tree.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_conformance::subject::Subject;
use tidegate_conformance::tree;

use crate::run::run_well;

#[test]
fn fetches_a_tree_by_its_listings() {
    let subject = Subject::start();
    let source = subject.home.join("tree");
    fs::create_dir(&source).unwrap();
    for (name, content) in [("plain", "1"), ("with space.txt", "2"), (".hidden", "3"), ("ünï", "4")] {
        fs::write(source.join(name), content).unwrap();
        fs::create_dir(source.join(format!("{name} folder"))).unwrap();
        fs::write(source.join(format!("{name} folder")).join("deeper"), "5").unwrap();
    }
    let work = TempDir::new().unwrap();
    let url = format!("{}/tree/", subject.url());
    let target = work.path().to_str().unwrap();
    run_well(
        Duration::from_mins(1),
        "wget",
        &[
            "--no-config",
            "-q",
            "-r",
            "-nH",
            "--restrict-file-names=nocontrol",
            "--tries=2",
            "-P",
            target,
            &url,
        ],
    );
    let (wanted, got) = (tree::read(&source), tree::read(&work.path().join("tree")));
    let names =
        |found: &std::collections::BTreeMap<String, tree::Found>| found.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&got), names(&wanted));
}
