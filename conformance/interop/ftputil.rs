//! ftputil (Python): parses LIST itself; the script says what it does.

use std::path::Path;
use std::time::Duration;

use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::run::run_well;

#[test]
fn a_day_of_work() {
    let subject = Subject::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/ftputil_day.py");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/python/bin/python");
    assert!(python.exists(), "ftputil is not installed: run `cargo xtask install`");
    let port = subject.address().port().to_string();
    let arguments = ["-B", script, "127.0.0.1", &port, USER, PASSWORD];
    let said = run_well(Duration::from_mins(1), python.to_str().unwrap(), &arguments);
    assert!(said.ends_with("all well\n"), "{said}");
    // What the client believes it removed is gone.
    let left: Vec<_> =
        std::fs::read_dir(&subject.home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}
