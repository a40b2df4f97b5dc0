//! `tidegate check-config FILE`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::args::CheckConfigArgs;
use crate::config::{Config, Effective, Facts, Loaded, Origin, Problem, Problems, Source};
use crate::plan::World;
use crate::{Exit, console};

/// Checks a file; prints what is in force, or what is wrong.
pub fn run(args: &CheckConfigArgs, world: &dyn World) -> Exit {
    let source = match Source::read(&args.file) {
        Ok(source) => source,
        Err(error) => {
            if args.json {
                console::say(&format!(
                    "{}\n",
                    json!({ "ok": false, "errors": [{ "message": error.to_string() }] })
                ));
            } else {
                console::complain(&format!("error: {error}\n"));
            }
            return Exit::BadConfig;
        }
    };
    let kind_of = |path: &std::path::Path| world.kind_of(path);
    let facts = Facts {
        descriptor_limit: world.descriptor_limit(),
        is_strict: true,
        root: None,
        kind_of: &kind_of,
        umask: world.umask(),
        users: world,
    };
    let result = Config::load(&source, &facts);
    match (&result, args.json) {
        (_, true) => console::say(&format!("{:#}\n", as_json(&source, &result))),
        (Ok(loaded), false) => {
            if let Some(warnings) = &loaded.warnings {
                console::complain(&warnings.render(console::drawing()));
            }
            console::say(&as_text(&source, loaded));
        }
        (Err(problems), false) => console::complain(&problems.render(console::drawing())),
    }
    if result.is_ok() { Exit::Done } else { Exit::BadConfig }
}

/// Returns every value in force in three aligned columns (key, value, where it came from), and the descriptors it all needs.
pub fn as_text(source: &Source, loaded: &Loaded) -> String {
    let effective = &loaded.config.effective;
    let width = |column: fn(&Effective) -> &str| {
        effective.iter().map(|effective| column(effective).chars().count()).max().unwrap_or_default().min(48)
    };
    let (keys, values) = (width(|effective| &effective.key), width(|effective| &effective.value));
    let mut out = String::new();
    for effective in effective {
        let origin = effective.origin.show(&source.name);
        // Writing into a String does not fail.
        let _ = writeln!(out, "{:keys$}  {:values$}  {origin}", effective.key, effective.value);
    }
    let _ = writeln!(out, "\n{}\n{} is good.", loaded.needs.lines(), source.name);
    out
}

fn as_json(source: &Source, result: &Result<Loaded, Problems>) -> Value {
    let (problems, effective) = match result {
        Ok(loaded) => (loaded.warnings.as_ref(), loaded.config.effective.as_slice()),
        Err(problems) => (Some(problems), [].as_slice()),
    };
    let list = problems.map_or([].as_slice(), |problems| problems.list.as_slice());
    let of = |warnings: bool| -> Vec<Value> {
        list.iter()
            .filter(|problem| problem.is_warning == warnings)
            .map(|problem| problem_json(source, problem))
            .collect()
    };
    json!({
        "ok": result.is_ok(),
        "file": source.name,
        "values": effective.iter().map(effective_json).collect::<Vec<_>>(),
        "descriptors": result.as_ref().ok().map(|loaded| loaded.needs.json()),
        "errors": of(false),
        "warnings": of(true),
    })
}

fn effective_json(effective: &Effective) -> Value {
    let (origin, line, how) = match &effective.origin {
        Origin::Default => ("default", None, None),
        Origin::Line(line) => ("file", Some(line), None),
        Origin::Derived(how) => ("derived", None, Some(how)),
    };
    json!({ "key": effective.key, "value": effective.value, "origin": origin, "line": line, "how": how })
}

fn problem_json(source: &Source, problem: &Problem) -> Value {
    let place = problem.at.as_ref().map(|at| source.line_and_column(at.start));
    let other = problem.other.as_ref().map(|other| {
        let line = other.at.as_ref().map(|at| source.line_and_column(at.start).0);
        json!({ "key": other.key, "line": line })
    });
    json!({
        "key": problem.key,
        "message": problem.what,
        "line": place.map(|(line, _)| line),
        "column": place.map(|(_, column)| column),
        "expected": problem.label,
        "other": other,
        "hint": problem.hint,
    })
}
