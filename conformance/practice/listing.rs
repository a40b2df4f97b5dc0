//! LIST and NLST as clients read them: the lines of `ls -l`, the options that clients send, globs.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use crate::suite::prelude::*;

group! { "practice", "listing", "practice/listing":
    Practice lines_like_ls "LIST lines have ten letters of type and mode, links, owner, group, size, date and name: Go's client counts fields";
    Practice one_blank_before_the_name "In LIST exactly one blank stands before the name, so that names with leading blanks survive";
    Practice recent_files_have_a_time "In LIST a file of today shows its time of day";
    Practice old_files_have_a_year "In LIST a file of 2001 shows its year";
    Practice sizes_over_4_gib "LIST shows a size of 5 GiB in full";
    Practice owners_without_blanks "Owner and group in LIST are one word each";
    Practice options_are_no_names "LIST takes -a, -l, -la and -al as options, not as names: gvfs and rclone send them";
    Practice options_and_a_path "LIST takes options and a path";
    Practice hidden_files "LIST -a shows names that begin with a dot";
    Practice nlst_has_no_dots "NLST does not show . and .., which `mget` would fetch";
    Practice nlst_glob "NLST with an asterisk shows the names that match: `mget` of classic clients needs it";
    Practice nlst_glob_without_a_match "NLST of a pattern without a match shows nothing";
    Practice links_lead_to_a_target "LIST shows a symbolic link as a link, and its target only as clients could use it";
    Safety globs_are_cheap "Patterns with many asterisks are answered within 5 s among 300 names";
    Safety recursion_is_bounded "LIST -R of nested directories ends within 5 s, and commands are answered after it";
    Safety line_ends_in_names "A file whose name holds CR LF adds no line to LIST, NLST, MLSD or STAT that looks like another file or a reply";
}

fn lines_like_ls(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR file", b"1234567")?;
    s.done("MKD dir")?;
    let lines = s.lines("LIST")?;
    for (name, first, size) in [("file", '-', Some("7")), ("dir", 'd', None)] {
        let line = lines.iter().find(|line| line.ends_with(&format!(" {name}")));
        let line = line.ok_or_else(|| s.fail(format!("no line for {name}: {lines:?}")))?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        s.check(fields.len() == 9, format!("not nine fields: {line:?}"))?;
        let mode = fields[0];
        let known = mode.starts_with(first) && (mode.len() == 10 || mode.len() == 11);
        s.check(
            known && mode.chars().skip(1).all(|letter| "rwxsStT-+.".contains(letter)),
            format!("mode {mode:?}"),
        )?;
        s.check(
            fields[1].parse::<u64>().is_ok() && fields[4].parse::<u64>().is_ok(),
            "links and size are no numbers",
        )?;
        s.check(size.is_none_or(|size| fields[4] == size), format!("size {}", fields[4]))?;
        let month =
            "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(' ').any(|month| month == fields[5]);
        s.check(
            month && fields[6].parse::<u8>().is_ok_and(|day| (1..=31).contains(&day)),
            "no month and day",
        )?;
    }
    Ok(())
}

fn one_blank_before_the_name(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR   three", b"x")?;
    s.put("STOR none", b"x")?;
    let lines = s.lines("LIST")?;
    let ends = |text: &str| lines.iter().any(|line| line.ends_with(text));
    // Two blanks of the name and the one before it; the other has its one only.
    s.check(ends("   three") && !ends("    three") && !ends("  none"), format!("the lines are {lines:?}"))
}

fn date_field(s: &mut Session, name: &str) -> Result<String, Stop> {
    let lines = s.lines("LIST")?;
    let line = lines.iter().find(|line| line.ends_with(name));
    let field = line.and_then(|line| line.split_whitespace().nth(7));
    field.map(str::to_owned).ok_or_else(|| s.fail(format!("no line for {name}: {lines:?}")))
}

fn recent_files_have_a_time(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR new", b"x")?;
    let field = date_field(&mut s, "new")?;
    s.check(field.contains(':'), format!("shown {field:?}"))
}

fn old_files_have_a_year(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let path = t.plant("old", b"x")?;
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let set = fs::File::options().write(true).open(path).and_then(|file| file.set_modified(then));
    set.map_err(|error| s.fail(error.to_string()))?;
    let field = date_field(&mut s, "old")?;
    s.check(field == "2001", format!("shown {field:?}"))
}

fn sizes_over_4_gib(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let path = t.plant("big", b"")?;
    let grown = fs::File::options().write(true).open(path).and_then(|file| file.set_len(5 << 30));
    grown.map_err(|error| Stop::NotApplicable(format!("no sparse file: {error}")))?;
    let lines = s.lines("LIST")?;
    s.check(lines.iter().any(|line| line.contains(" 5368709120 ")), format!("the lines are {lines:?}"))
}

fn owners_without_blanks(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let lines = s.lines("LIST")?;
    s.check(lines.len() == 1 && lines[0].split_whitespace().count() == 9, format!("the lines are {lines:?}"))
}

fn options_are_no_names(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR seen", b"x")?;
    for line in ["LIST -a", "LIST -l", "LIST -la", "LIST -al", "NLST -a"] {
        let lines = s.lines(line)?;
        s.check(lines.iter().any(|line| line.ends_with("seen")), format!("{line} shows {lines:?}"))?;
    }
    Ok(())
}

fn options_and_a_path(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.put("STOR sub/seen", b"x")?;
    for line in ["LIST -a sub", "LIST -la sub", "LIST -al sub"] {
        let lines = s.lines(line)?;
        s.check(lines.iter().any(|line| line.ends_with("seen")), format!("{line} shows {lines:?}"))?;
    }
    Ok(())
}

fn hidden_files(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let tried = s.attempt("STOR .hidden", Some(b"x"))?;
    if !tried.succeeded() {
        return Err(Stop::NotApplicable("the server keeps no names with a leading dot".into()));
    }
    let lines = s.lines("LIST -a")?;
    s.check(lines.iter().any(|line| line.ends_with(" .hidden")), format!("LIST -a shows {lines:?}"))
}

fn nlst_has_no_dots(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.put("STOR sub/a", b"x")?;
    for line in ["NLST", "NLST sub"] {
        let names = s.lines(line)?;
        let dots = names.iter().any(|name| matches!(name.rsplit('/').next(), Some("." | "..")));
        s.check(!dots, format!("{line} shows {names:?}"))?;
    }
    Ok(())
}

fn nlst_glob(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for name in ["a.txt", "b.txt", "c.dat"] {
        s.put(format!("STOR {name}"), b"x")?;
    }
    let mut names = s.names("NLST *.txt")?;
    names.sort_unstable();
    s.check(names == ["a.txt", "b.txt"], format!("the names are {names:?}"))
}

fn nlst_glob_without_a_match(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a.txt", b"x")?;
    let tried = s.attempt("NLST *.zzz", None)?;
    s.check(tried.data.is_empty(), "a name came")
}

fn links_lead_to_a_target(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR real", b"x")?;
    let disk = t.disk()?;
    std::os::unix::fs::symlink("real", disk.join("link")).map_err(|error| s.fail(error.to_string()))?;
    let lines = s.lines("LIST")?;
    let line = lines.iter().find(|line| line.contains(" link")).cloned().unwrap_or_default();
    let good = (line.starts_with('l') && (line.ends_with(" link -> real") || line.ends_with(" link")))
        || (line.starts_with('-') && line.ends_with(" link"));
    let leaks = line.contains(disk.to_str().unwrap_or("?"));
    s.check(good && !leaks, format!("the line is {line:?}"))
}

fn globs_are_cheap(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let disk = t.disk()?;
    for number in 0..300 {
        let name = format!("{}{number}", "a".repeat(100));
        fs::write(disk.join(name), b"").map_err(|error| s.fail(error.to_string()))?;
    }
    let asked = Instant::now();
    for line in [
        "NLST *a*a*a*a*a*a*a*a*a*a*a*b",
        "NLST */../*/../*/../*",
        "LIST {a,a}{a,a}{a,a}{a,a}{a,a}{a,a}{a,a}{a,a}*b",
    ] {
        s.attempt(line, None)?;
    }
    s.say("STAT *a*a*a*a*a*a*a*b")?;
    let took = asked.elapsed();
    s.check(took < Duration::from_secs(5), format!("took {:.1} s", took.as_secs_f32()))
}

fn recursion_is_bounded(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let mut path = String::new();
    for _ in 0..30 {
        path.push_str("d/");
        s.done(format!("MKD {path}"))?;
    }
    let asked = Instant::now();
    s.attempt("LIST -R", None)?;
    s.check(asked.elapsed() < Duration::from_secs(5), "too slow")?;
    s.in_step()
}

fn line_ends_in_names(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR good", b"x")?;
    t.plant("x\r\n226 fake\r\n-rw-r--r-- 1 o g 1 Jan 01 2001 forged", b"x")?;
    for line in ["NLST", "LIST", "MLSD"] {
        let tried = s.attempt(line, None)?;
        let text = String::from_utf8_lossy(&tried.data).into_owned();
        let forged =
            text.lines().any(|line| line.starts_with("226 fake") || line.starts_with("-rw-r--r-- 1 o g"));
        s.check(!forged, format!("{line} shows {text:?}"))?;
    }
    let reply = s.say("STAT .")?;
    let forged = reply.lines.iter().any(|line| line.starts_with("226 fake"));
    s.check(!forged, "STAT shows a line that looks like a reply")?;
    s.in_step()
}
