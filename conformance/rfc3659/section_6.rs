//! RFC 3659 §6: TVFS, the file system as a tree of names and slashes.

use crate::suite::prelude::*;

group! { "RFC 3659", "6", "rfc3659/section_6":
    Must absolute_and_relative "Where TVFS is announced a file is the same by its absolute and its relative path";
    Must pwd_is_absolute "Where TVFS is announced PWD and MKD tell absolute paths";
    Must names_through_directories "Where TVFS is announced every command takes a path through directories";
}

fn probe(s: &mut Session) -> Outcome {
    if s.announces("TVFS")? { Ok(()) } else { Err(Stop::NotOffered("FEAT does not announce TVFS".into())) }
}

fn here(s: &mut Session) -> Result<String, Stop> {
    let reply = s.want("PWD", &[257])?;
    Ok(reply.text().split('"').nth(1).unwrap_or_default().to_owned())
}

fn absolute_and_relative(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    probe(&mut s)?;
    s.put("STOR a", b"the same")?;
    let here = here(&mut s)?;
    s.done("MKD sub")?;
    s.done("CWD sub")?;
    for path in [format!("{here}/a"), "../a".into(), format!("{here}/sub/../a")] {
        let bytes = s.get(format!("RETR {path}"))?;
        s.check(bytes == b"the same", format!("{path}: not the file"))?;
    }
    Ok(())
}

fn pwd_is_absolute(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    probe(&mut s)?;
    let here = here(&mut s)?;
    s.check(here.starts_with('/'), format!("PWD tells {here}"))?;
    let told = s.want("MKD sub", &[257])?;
    s.check(told.text().contains(&format!("\"{here}/sub\"")), "MKD does not tell the absolute path")
}

fn names_through_directories(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    probe(&mut s)?;
    s.done("MKD x")?;
    s.done("MKD x/y")?;
    s.put("STOR x/y/a", b"deep")?;
    s.want("SIZE x/y/a", &[213])?;
    s.want("RNFR x/y/a", &[350])?;
    s.want("RNTO x/b", &[250])?;
    s.want("DELE x/b", &[250])?;
    s.want("RMD x/y", &[250]).map(drop)
}
