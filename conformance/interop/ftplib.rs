//! Python's ftplib; the script says what it does.

use std::time::Duration;

use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::battery::{self, Job, Worker};
use crate::run::run_well;

#[test]
fn a_day_of_work() {
    let subject = Subject::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/ftplib_day.py");
    let port = subject.address().port().to_string();
    let said = run_well(Duration::from_mins(1), "python3", &[script, "127.0.0.1", &port, USER, PASSWORD]);
    assert!(said.ends_with("all well\n"), "{said}");
}

pub(crate) struct Ftplib;

impl Worker for Ftplib {
    fn name(&self) -> &'static str {
        "ftplib"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/errands.py");
        battery::run_script(subject, &["python3", "-B", script], jobs);
    }
}
