//! SITE commands and setters that FileZilla, lftp and WinSCP use.

use crate::suite::prelude::*;

group! { "practice", "SITE", "practice/site":
    Practice site_help "SITE HELP is answered 200, 211 or 214, or unknown: Windows Explorer sends it";
    Practice site_chmod "SITE CHMOD sets the mode that LIST shows";
    Practice site_chmod_errors "SITE CHMOD of a file that does not exist, or with a mode that is none, is refused";
    Practice site_utime "SITE UTIME with a time and a file sets what MDTM tells";
    Practice site_umask "SITE UMASK without argument tells the umask";
    Practice site_idle "SITE IDLE without argument tells the idle time";
    Practice site_in_any_case "SITE words may be written in lower case";
    Practice mdtm_sets "MDTM with a time and the name of a file sets the time, or is refused: never a success that does nothing";
    Safety site_exec_is_unknown "SITE EXEC is refused";
    Safety site_needs_login "SITE commands that touch files are refused before login";
}

fn optional_site(s: &mut Session, line: &str) -> Outcome {
    let reply = s.say(line)?;
    match reply.code {
        200..300 => Ok(()),
        500 | 501 | 502 | 504 => Err(Stop::NotOffered(format!("{line}: {}", reply.text()))),
        code => Err(s.fail(format!("{line} was answered {code}"))),
    }
}

fn site_help(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("SITE HELP", &[200, 211, 214, 500, 501, 502])?;
    s.in_step()
}

fn mode(s: &mut Session) -> Result<String, Stop> {
    let lines = s.lines("LIST")?;
    Ok(lines.first().and_then(|line| line.get(..10)).unwrap_or_default().to_owned())
}

fn site_chmod(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    optional_site(&mut s, "SITE CHMOD 640 a")?;
    let first = mode(&mut s)?;
    optional_site(&mut s, "SITE CHMOD 600 a")?;
    let second = mode(&mut s)?;
    s.check(first == "-rw-r-----" && second == "-rw-------", format!("640 shows {first}, 600 shows {second}"))
}

fn site_chmod_errors(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    optional_site(&mut s, "SITE CHMOD 640 a")?;
    for line in
        ["SITE CHMOD 640 nothing-here", "SITE CHMOD 999 a", "SITE CHMOD rw a", "SITE CHMOD 640", "SITE CHMOD"]
    {
        s.refused(line)?;
    }
    Ok(())
}

fn site_utime(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let reply = s.say("SITE UTIME 20010909014640 a")?;
    if matches!(reply.code, 500 | 501 | 502 | 504) {
        return Err(Stop::NotOffered(reply.text().to_owned()));
    }
    s.check((200..300).contains(&reply.code), "SITE UTIME failed")?;
    let told = s.want("MDTM a", &[213])?;
    s.check(told.text().starts_with("213 200109090146"), "MDTM tells another time")
}

fn site_umask(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    optional_site(&mut s, "SITE UMASK")
}

fn site_idle(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    optional_site(&mut s, "SITE IDLE")
}

fn site_in_any_case(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    optional_site(&mut s, "SITE CHMOD 640 a")?;
    s.done("site chmod 600 a").map(drop)
}

fn mdtm_sets(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let reply = s.optional("MDTM", "MDTM 20010909014640 a")?;
    let told = s.want("MDTM a", &[213])?;
    let set = told.text().starts_with("213 20010909014640");
    s.check(
        set == (200..300).contains(&reply.code),
        format!("answered {}, and MDTM tells {}", reply.code, told.text()),
    )
}

fn site_exec_is_unknown(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("SITE EXEC /bin/true", &[500, 501, 502, 504, 530, 550]).map(drop)
}

fn site_needs_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    for line in [
        "SITE CHMOD 777 /",
        "SITE UTIME 20010101000000 /",
        "SITE CPFR /etc/passwd",
        "SITE CPTO /copied",
        "SITE SYMLINK / x",
    ] {
        s.refused(line)?;
    }
    Ok(())
}
