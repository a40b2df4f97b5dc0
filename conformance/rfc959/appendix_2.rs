//! RFC 959 appendix II: directory commands, and how a path is quoted in 257.

use crate::suite::prelude::*;

group! { "RFC 959", "appendix II", "rfc959/appendix_2":
    Must pwd_quotes_the_path "PWD is answered 257 with the path between double quotes";
    Must mkd_quotes_the_path "MKD is answered 257 with the new path between double quotes";
    Must quotes_are_doubled "A double quote inside a path is written twice in 257";
    Must told_path_can_be_used "The path in the reply to MKD can be given to CWD from anywhere";
    Must deep_paths "A path of ten directories is told whole and leads back";
}

/// Reads the path out of a 257 reply as appendix II has it.
fn quoted(text: &str) -> Option<String> {
    let mut letters = text.strip_prefix("257 ")?.strip_prefix('"')?.chars().peekable();
    let mut path = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if letters.peek() == Some(&'"') => {
                letters.next();
                path.push('"');
            }
            '"' => return Some(path),
            other => path.push(other),
        }
    }
    None
}

fn path(s: &mut Session, line: &str) -> Result<String, Stop> {
    let reply = s.want(line, &[257])?;
    quoted(reply.text())
        .ok_or_else(|| s.fail(format!("no path between double quotes right behind 257: {line}")))
}

fn pwd_quotes_the_path(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let here = path(&mut s, "PWD")?;
    s.check(here.ends_with(&t.folder), format!("PWD tells {here}"))
}

fn mkd_quotes_the_path(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let new = path(&mut s, "MKD with blank")?;
    s.check(new.ends_with("with blank"), format!("MKD tells {new}"))
}

fn quotes_are_doubled(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let told = path(&mut s, "MKD say\"hi\"")?;
    s.check(told.ends_with("say\"hi\""), format!("MKD tells {told}"))?;
    s.done("CWD say\"hi\"")?;
    let told = path(&mut s, "PWD")?;
    s.check(told.ends_with("say\"hi\""), format!("PWD tells {told}"))
}

fn told_path_can_be_used(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.done("CWD sub")?;
    let told = path(&mut s, "MKD new")?;
    s.done("CWD /")?;
    s.want(format!("CWD {told}"), &[200, 250]).map(drop)
}

fn deep_paths(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for level in 0..10 {
        s.want(format!("MKD level {level}"), &[257])?;
        s.want(format!("CWD level {level}"), &[200, 250])?;
    }
    let here = path(&mut s, "PWD")?;
    s.check(here.matches("level").count() == 10, format!("PWD tells {here}"))?;
    s.done("CWD /")?;
    s.want(format!("CWD {here}"), &[200, 250]).map(drop)
}
