//! Patterns that cost other servers minutes (PROTOCOL A17).

use std::fs::{self, File};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;

use crate::lab::survives;

const FILES: usize = 10_000;
/// Processor time of the server for one pattern.
const CPU_SECONDS_MAX: f64 = 0.1;
/// The kernel counts in hundredths of a second: so many are measured together.
const TIMES: usize = 10;
/// A pattern over its bound is measured again, so often in all: the machine may have been throttled or shared.
const ROUNDS: usize = 3;

/// Returns the server's seconds of processor time for `line` once, and the names of the last answer; `None`: refused.
fn cost(subject: &Subject, client: &mut Client, line: &str) -> (f64, Option<Vec<String>>) {
    let mut found = None;
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let before = subject.cpu_seconds();
        for _ in 0..TIMES {
            found = answer(client, line);
        }
        let one = (subject.cpu_seconds() - before) / f64::from(u32::try_from(TIMES).unwrap());
        costs.push(one);
        if one < CPU_SECONDS_MAX {
            break;
        }
    }
    (costs.into_iter().fold(f64::INFINITY, f64::min), found)
}

fn answer(client: &mut Client, line: &str) -> Option<Vec<String>> {
    let mut data = client.passive();
    let reply = client.say(line);
    if reply.code != 150 {
        assert!((500..600).contains(&reply.code), "{line}: {reply:?}");
        return None;
    }
    let mut text = String::new();
    std::io::Read::read_to_string(&mut data, &mut text).unwrap();
    client.expect(226);
    Some(text.lines().map(str::to_owned).collect())
}

#[test]
fn patterns_cost_little() {
    let subject = Subject::start();
    let folder = subject.home.join("many");
    fs::create_dir(&folder).unwrap();
    // Names on which a matcher that goes back takes for ever: nearly a match at every turn, and no b at the end.
    let stem = "a".repeat(200);
    for index in 0..FILES {
        File::create(folder.join(format!("{stem}{index}"))).unwrap();
    }
    File::create(folder.join("axaxaxaxb")).unwrap();
    for name in ["one", "two"] {
        fs::create_dir(subject.home.join(name)).unwrap();
        File::create(subject.home.join(name).join("f")).unwrap();
    }
    survives(&subject, "patterns against 10,000 names", || {
        let mut client = Client::logged_in(subject.address());
        let checks: [(&str, Option<usize>); 11] = [
            ("NLST many/a*a*a*a*b", Some(1)),
            ("LIST many/a*a*a*a*b", Some(1)),
            ("NLST many/*a*x*a*x*a*x*a*b", Some(1)),
            ("NLST many/*a*a*a*a*a*a*ab", None),
            ("NLST many/?*?*?*?*b", Some(1)),
            ("NLST many/[a-z]*[!b]*[a-z]*[!b]*c", None),
            ("NLST */../*/../*", None),
            ("NLST */../*/../*/../*", None),
            ("NLST many/a*a*a*a*a*a*a*a*a*b", None),
            ("NLST */f", Some(2)),
            ("NLST many/**********************b", None),
        ];
        let mut failures = Vec::new();
        for (line, wanted) in checks {
            let (seconds, found) = cost(&subject, &mut client, line);
            println!("{line}: {:.1} ms, {:?} names", seconds * 1000.0, found.as_ref().map(Vec::len));
            // Many stars in a row are one: whether they are refused or match is not said here.
            let right = found.as_ref().map(Vec::len) == wanted || line.contains("**");
            if !right || seconds >= CPU_SECONDS_MAX {
                failures.push(format!(
                    "{line}: {found:?} in {:.1} ms, wanted {wanted:?} names",
                    seconds * 1000.0
                ));
            }
        }
        assert!(failures.is_empty(), "{failures:#?}");
        let (seconds, found) = cost(&subject, &mut client, "NLST many");
        println!("NLST many: {:.1} ms, {:?} names", seconds * 1000.0, found.as_ref().map(Vec::len));
        assert_eq!(found.unwrap().len(), FILES + 1);
    });
}
