//! basic-ftp (npm): what web applications use.

use std::path::Path;
use std::time::Duration;

use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::battery::{self, Job, Worker};
use crate::run::run_well;

/// Returns what tells node where the packages of `xtask/tools` are.
fn modules() -> String {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/node/node_modules");
    assert!(modules.join("basic-ftp").exists(), "basic-ftp is not installed: run `cargo xtask install`");
    format!("NODE_PATH={}", modules.display())
}

#[test]
fn a_day_of_work() {
    let subject = Subject::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/basic_ftp_day.cjs");
    let port = subject.address().port().to_string();
    let modules = modules();
    let arguments = [modules.as_str(), "node", script, "127.0.0.1", &port, USER, PASSWORD];
    let said = run_well(Duration::from_mins(1), "env", &arguments);
    assert!(said.ends_with("all well\n"), "{said}");
}

pub(crate) struct BasicFtp;

impl Worker for BasicFtp {
    fn name(&self) -> &'static str {
        "basic-ftp"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/errands.cjs");
        battery::run_script(subject, &["env", &modules(), "node", script], jobs);
    }
}
