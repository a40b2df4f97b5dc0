//! RFC 2389 §3: FEAT.

use crate::suite::prelude::*;

group! { "RFC 2389", "3", "rfc2389/section_3":
    Must feat_form "FEAT is answered 211: a first line, features behind exactly one blank, a last line `211 `";
    Must feat_in_any_case "FEAT may be written in lower case";
    Must feat_twice "FEAT can be asked again and says the same";
    Should optional_commands_are_announced "SIZE, MDTM, REST STREAM, MLST, EPRT and EPSV are announced where they work";
    Must announced_size_works "SIZE and MDTM work where they are announced";
    Must announced_mlst_works "MLST and MLSD work where MLST is announced";
    Must announced_rest_works "REST works where REST STREAM is announced";
    Must announced_extended_ports_work "EPRT and EPSV work where they are announced";
    Must announced_others_are_known "Every other announced command of this suite is known to the server";
}

fn feat_form(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let reply = s.optional("FEAT", "FEAT")?;
    s.among(b"FEAT", &reply, &[211])?;
    let Some((_, inner)) = reply.lines.split_last() else { return Ok(()) };
    for line in inner.iter().skip(1) {
        let good = line.starts_with(' ') && !line.starts_with("  ") && line.len() > 1;
        s.check(good, format!("not one blank and a feature: {line:?}"))?;
    }
    s.in_step()
}

fn feat_in_any_case(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let upper = s.optional("FEAT", "FEAT")?;
    let lower = s.say("feat")?;
    s.check(upper == lower, "another answer")
}

fn feat_twice(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let first = s.optional("FEAT", "FEAT")?;
    s.done("TYPE I")?;
    let second = s.say("FEAT")?;
    s.check(first == second, "another answer")
}

/// Tells whether FEAT announces `label`. Errors: not applicable, when it does not.
fn announced(s: &mut Session, label: &str) -> Outcome {
    if s.announces(label)? {
        Ok(())
    } else {
        Err(Stop::NotOffered(format!("FEAT does not announce {label}")))
    }
}

fn optional_commands_are_announced(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.optional("FEAT", "FEAT")?;
    s.put("STOR a", b"x")?;
    for (label, line, code) in [
        ("SIZE", "SIZE a", 213),
        ("MDTM", "MDTM a", 213),
        ("MLST", "MLST a", 250),
        ("EPSV", "EPSV", 229),
        ("REST STREAM", "REST 1", 350),
    ] {
        if s.say(line)?.code == code {
            let said = s.announces(label)?;
            s.check(said, format!("{line} works and {label} is not in FEAT"))?;
        }
    }
    Ok(())
}

fn announced_size_works(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    announced(&mut s, "SIZE")?;
    s.put("STOR a", b"x")?;
    s.want("SIZE a", &[213])?;
    announced(&mut s, "MDTM")?;
    s.want("MDTM a", &[213]).map(drop)
}

fn announced_mlst_works(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    announced(&mut s, "MLST")?;
    s.put("STOR a", b"x")?;
    s.want("MLST a", &[250])?;
    let lines = s.lines("MLSD")?;
    s.check(lines.iter().any(|line| line.ends_with(" a")), format!("MLSD shows {lines:?}"))
}

fn announced_rest_works(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    announced(&mut s, "REST STREAM")?;
    s.put("STOR a", b"abc")?;
    s.want("REST 1", &[350])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"bc", "REST did not work")
}

fn announced_extended_ports_work(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    announced(&mut s, "EPSV")?;
    s.want("EPSV", &[229])?;
    announced(&mut s, "EPRT")?;
    let (_listener, own, port) = s.listen()?;
    let family = if own.is_ipv4() { 1 } else { 2 };
    s.want(format!("EPRT |{family}|{own}|{port}|"), &[200]).map(drop)
}

fn announced_others_are_known(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let pairs = [
        ("UTF8", "OPTS UTF8 ON"),
        ("TVFS", "NOOP"),
        ("MFMT", "MFMT 20200101000000 a"),
        ("MFF", "MFF modify=20200101000000; a"),
        ("HASH", "HASH a"),
        ("RANG", "RANG 1 0"),
        ("HOST", "HOST example.org"),
        ("LANG", "LANG"),
        ("CLNT", "CLNT conformance"),
        ("CSID", "CSID Name=conformance;"),
        ("AVBL", "AVBL"),
        ("XCRC", "XCRC a"),
        ("XMD5", "XMD5 a"),
        ("XSHA1", "XSHA1 a"),
        ("XSHA256", "XSHA256 a"),
        ("XSHA512", "XSHA512 a"),
        ("SITE CHMOD", "SITE CHMOD 644 a"),
        ("SITE UTIME", "SITE UTIME 20200101000000 a"),
        ("PRET", "PRET RETR a"),
    ];
    for (label, line) in pairs {
        if s.announces(label)? {
            let reply = s.say(line)?;
            s.check(!matches!(reply.code, 500 | 502), format!("FEAT announces {label}, which is unknown"))?;
        }
    }
    s.in_step()
}
