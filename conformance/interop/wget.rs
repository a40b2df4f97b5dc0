//! wget: reads LIST, fetches a tree.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_conformance::subject::Subject;
use tidegate_conformance::tree;

use crate::battery::{FOLDER, Job, Worker, encoded};
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

pub(crate) struct Wget;

fn wget(arguments: &[&str]) {
    let own = ["--no-config", "-nv", "--tries=2", "--timeout=20", "--restrict-file-names=nocontrol"];
    run_well(Duration::from_mins(1), "wget", &[&own, arguments].concat());
}

impl Worker for Wget {
    fn name(&self) -> &'static str {
        "wget"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let folder = format!("{}/{}/", subject.url(), encoded(FOLDER));
        let at = |name: &str| format!("{folder}{}", encoded(name));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        for job in jobs {
            match job {
                Job::List { into } => {
                    // It has no list of its own: what it finds in a listing shows in what it fetches by it.
                    let found = TempDir::new().unwrap();
                    wget(&["-r", "-l2", "-nH", "--cut-dirs=1", "-P", &text(found.path()), &folder]);
                    let names = fs::read_dir(found.path())
                        .unwrap()
                        .map(|entry| entry.unwrap().file_name().into_string().unwrap() + "\n");
                    fs::write(into, names.collect::<String>()).unwrap();
                }
                Job::Download { name, local } => wget(&["-O", &text(local), &at(name)]),
                Job::ResumeDownload { name, local, .. } => wget(&["-c", "-O", &text(local), &at(name)]),
                Job::FetchByPattern { pattern, into } => {
                    wget(&["-P", &text(into), &format!("{folder}{pattern}")]);
                }
                other => panic!("excepted in limits.rs: {other:?}"),
            }
        }
    }
}
