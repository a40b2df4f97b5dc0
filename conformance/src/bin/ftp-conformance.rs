//! `ftp-conformance [SUBJECT]`: runs the conformance suite against a server and tells what it found.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};
use tidegate_conformance::suite::{Done, Failure, Level, Verdict, find, host, run_all};

/// Runs the FTP conformance suite. Exits with 1 when the server fails something that it must do.
#[derive(Parser)]
#[command(
    name = "ftp-conformance",
    after_help = "For HOST:PORT: TIDEGATE_SUBJECT_USER, TIDEGATE_SUBJECT_PASSWORD and TIDEGATE_SUBJECT_HOME name the account."
)]
struct Arguments {
    /// tidegate, vsftpd, proftpd, pure-ftpd, pyftpdlib, or HOST:PORT; its account is set in the environment
    #[arg(env = "TIDEGATE_SUBJECT", default_value = "tidegate")]
    subject: String,
    /// Run only checks whose id contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print the checks and run none
    #[arg(long)]
    list: bool,
    /// How many checks run at the same time
    #[arg(long, value_name = "N", default_value_t = 4)]
    at_once: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        list(&arguments);
        return ExitCode::SUCCESS;
    }
    if find(&arguments.filter).is_empty() {
        eprintln!("no check has an id with {:?} in it", arguments.filter);
        return ExitCode::from(2);
    }
    let hosted = match host(&arguments.subject) {
        Ok(hosted) => hosted,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let each = |done: &Done| {
        if !arguments.json {
            show(done);
        }
    };
    let done = run_all(&hosted.place, &arguments.filter, arguments.at_once, &each);
    if arguments.json {
        println!("{:#}", document(&arguments.subject, &done));
    } else {
        println!("\n{}", sum(&arguments.subject, &done));
    }
    let failed = |one: &Done| one.check.level == Level::Must && matches!(one.verdict, Verdict::Fail(_));
    if done.iter().any(failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn list(arguments: &Arguments) {
    let checks = find(&arguments.filter);
    if arguments.json {
        let checks: Vec<Value> = checks
            .iter()
            .map(|(group, check)| {
                json!({ "id": format!("{}/{}", group.path, check.name), "document": group.document, "section": group.section,
                        "level": check.level.name(), "demands": check.demands })
            })
            .collect();
        println!("{:#}", Value::Array(checks));
        return;
    }
    for (group, check) in checks {
        println!("{:8} {}/{}\n         {}", check.level.name(), group.path, check.name, check.demands);
    }
}

fn show(done: &Done) {
    println!("{:14} {:8} {}", done.verdict.name(), done.check.level.name(), done.id());
    match &done.verdict {
        Verdict::Pass => {}
        Verdict::NotOffered(why) | Verdict::NotApplicable(why) => println!("      {why}"),
        Verdict::Fail(Failure { what, dialogue }) => {
            println!("      demanded: {}\n      found:    {what}", done.check.demands);
            for line in dialogue {
                println!("        {line}");
            }
        }
    }
}

/// Counts verdicts, failures by level.
fn counts(done: &[Done]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in done {
        *counts.entry(one.verdict.name().to_owned()).or_default() += 1;
        if matches!(one.verdict, Verdict::Fail(_)) {
            *counts.entry(format!("fail {}", one.check.level.name())).or_default() += 1;
        }
    }
    counts
}

fn sum(subject: &str, done: &[Done]) -> String {
    let parts: Vec<String> = counts(done).iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("{subject}: {} checks: {}", done.len(), parts.join(", "))
}

fn document(subject: &str, done: &[Done]) -> Value {
    let checks: Vec<Value> = done.iter().map(one).collect();
    json!({ "suite": env!("CARGO_PKG_VERSION"), "subject": subject, "counts": counts(done), "checks": checks })
}

fn one(done: &Done) -> Value {
    let (why, dialogue) = match &done.verdict {
        Verdict::Pass => (None, None),
        Verdict::NotOffered(why) | Verdict::NotApplicable(why) => (Some(why), None),
        Verdict::Fail(failure) => (Some(&failure.what), Some(&failure.dialogue)),
    };
    json!({
        "id": done.id(),
        "document": done.group.document,
        "section": done.group.section,
        "level": done.check.level.name(),
        "demands": done.check.demands,
        "verdict": done.verdict.name(),
        "why": why,
        "dialogue": dialogue,
        "milliseconds": u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX),
    })
}
