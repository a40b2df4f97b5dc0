//! The probe against a live server.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::run::run_well;
use crate::table::Case;
use crate::{defects, table};

/// The probe takes about 20 s, most of it waiting for silence.
const LIMIT: Duration = Duration::from_secs(110);
const PROBE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/edge/edge_probe.py");

#[test]
fn every_answer_is_the_expected_one_and_no_peer_defect_is_here() {
    let subject = Subject::start();
    let port = subject.address().port().to_string();
    let home = subject.home.to_str().unwrap();
    let said = run_well(LIMIT, "python3", &["-B", PROBE, &port, home, USER, PASSWORD]);
    drop(subject); // its log would bury the differences
    let answers: Map<String, Value> = serde_json::from_str(&said).expect("the probe prints JSON");
    let problems = judge(&table::cases(), &said);
    let shown = defects::found(|case| answers.get(case).cloned());
    assert!(
        problems.is_empty() && shown.is_empty(),
        "{} of {} answers are not the expected ones (- expected, + got):\n{}\ndefects of other servers:\n{}",
        problems.len(),
        table::CASES,
        problems.join("\n"),
        shown.join("\n")
    );
}

/// Returns what is wrong with what the probe `said`: other answers than expected, and cases that are missing, extra or not
/// in the order of `cases`.
fn judge(cases: &[Case], said: &str) -> Vec<String> {
    let answers: Map<String, Value> = serde_json::from_str(said).expect("the probe prints JSON");
    let (mut problems, mut before) = (Vec::new(), 0);
    for case in cases {
        let Some(answer) = answers.get(&case.name) else {
            problems.push(format!("{:?} was not played", case.name));
            continue;
        };
        problems.extend(case.problem(answer));
        let here = said.find(&format!("\n {}: ", Value::from(case.name.as_str())));
        match here {
            Some(here) if here >= before => before = here,
            _ => problems.push(format!("{:?} does not stand where the probe plays it", case.name)),
        }
    }
    let extra = answers.keys().filter(|name| cases.iter().all(|case| case.name != **name));
    problems.extend(extra.map(|name| format!("{name:?} is not in expected.toml")));
    problems
}

#[test]
fn what_is_missing_extra_or_misplaced_is_told() {
    let mut cases = table::cases();
    cases.retain(|case| ["pre: PWD", "pre: RNTO x"].contains(&case.name.as_str()));
    let [good, wrong] = ["530 No.", "257 \"/\""];
    let said = |lines: &[(&str, &str)]| {
        let lines: Vec<String> =
            lines.iter().map(|(case, answer)| format!("\n \"{case}\": {}", Value::from(*answer))).collect();
        format!("{{{}\n}}", lines.join(","))
    };
    assert_eq!(judge(&cases, &said(&[("pre: PWD", good), ("pre: RNTO x", good)])), [""; 0]);
    for (lines, told) in [
        (&[("pre: PWD", wrong), ("pre: RNTO x", good)][..], "  + 257"),
        (&[("pre: PWD", good)], "\"pre: RNTO x\" was not played"),
        (&[("pre: RNTO x", good), ("pre: PWD", good)], "\"pre: RNTO x\" does not stand"),
        (&[("pre: PWD", good), ("new", good), ("pre: RNTO x", good)], "\"new\" is not in"),
    ] {
        let problems = judge(&cases, &said(lines));
        assert!(problems.len() == 1 && problems[0].contains(told), "{problems:?}");
    }
}

#[test]
fn the_probe_is_the_shared_one() {
    let here = fs::read(PROBE).unwrap();
    assert!(here.starts_with(b"#!/usr/bin/env python3\n"));
    // Where the project's shared folder is, its probe is the same; a fresh clone has none to compare with.
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/tools/edge_probe.py");
    match fs::read(&shared) {
        Ok(other) => assert!(here == other, "{} is another version", shared.display()),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", shared.display()),
    }
}
