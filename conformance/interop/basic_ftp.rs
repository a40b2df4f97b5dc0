//! basic-ftp (npm): what web applications use.

use std::path::Path;
use std::time::Duration;

use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::run::run_well;

#[test]
fn a_day_of_work() {
    let subject = Subject::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/basic_ftp_day.cjs");
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/node/node_modules");
    assert!(modules.join("basic-ftp").exists(), "basic-ftp is not installed: run `cargo xtask install`");
    let port = subject.address().port().to_string();
    let modules = format!("NODE_PATH={}", modules.display());
    let arguments = [modules.as_str(), "node", script, "127.0.0.1", &port, USER, PASSWORD];
    let said = run_well(Duration::from_mins(1), "env", &arguments);
    assert!(said.ends_with("all well\n"), "{said}");
}
