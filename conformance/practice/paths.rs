//! Nothing leads out of the account's root, whatever a path looks like and wherever a link points.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::suite::prelude::*;

group! { "practice", "paths", "practice/paths":
    Safety dots_do_not_climb "No number of `..` leads above the root, in any command";
    Safety encoded_dots_do_not_climb "Percent signs, backslashes and odd dots are no way out either";
    Safety links_do_not_lead_out_for_reading "No command reads what a symbolic link out of the root points to";
    Safety links_do_not_lead_out_for_writing "No command writes, renames or deletes through a symbolic link out of the root";
    Safety dele_takes_the_link "DELE of a symbolic link removes the link, never what it points to";
    Safety root_cannot_be_removed "RMD, DELE and RNFR of the root are refused";
    Safety listing_does_not_lead_out "LIST, NLST, MLSD and STAT show nothing above the root";
}

/// Makes a folder beside the home with a file that only the machine may see.
fn outside(t: &Stage<'_>) -> Result<PathBuf, Stop> {
    let unknown = || Stop::NotApplicable("needs the account's home: set TIDEGATE_SUBJECT_HOME".into());
    let home = t.place.home.as_ref().ok_or_else(unknown)?;
    let outside = home.parent().ok_or_else(unknown)?.join(format!("outside-{}", t.folder));
    let made = fs::create_dir(&outside)
        .and_then(|()| fs::write(outside.join("secret"), b"not yours"))
        .and_then(|()| fs::set_permissions(&outside, std::os::unix::fs::PermissionsExt::from_mode(0o777)))
        .and_then(|()| {
            fs::set_permissions(outside.join("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
        });
    made.map_err(|error| Stop::NotApplicable(format!("cannot write beside the home: {error}")))?;
    Ok(outside)
}

fn dots_do_not_climb(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let up = "../".repeat(20);
    let mut paths = vec![
        format!("{up}etc/passwd"),
        "/../../../../../../etc/passwd".to_owned(),
        format!("./{up}./etc//passwd"),
    ];
    if let Ok(disk) = t.disk() {
        fs::create_dir(disk.join("sub")).map_err(|error| s.fail(error.to_string()))?;
        paths.push(format!("sub/../{up}etc/passwd"));
    }
    for path in paths {
        for verb in ["SIZE", "MDTM", "RNFR", "DELE", "MLST", "SITE CHMOD 777"] {
            s.refused(format!("{verb} {path}"))?;
        }
        let tried = s.attempt(format!("RETR {path}"), None)?;
        s.check(tried.refused(), format!("RETR {path}: {} bytes", tried.data.len()))?;
    }
    s.say(format!("CWD {up}"))?;
    let told = s.want("PWD", &[257])?;
    let etc = s.say("CWD etc")?;
    s.check(etc.code >= 400, format!("`CWD {up}` led to {}", told.text()))
}

fn encoded_dots_do_not_climb(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for path in [
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "..\\..\\..\\..\\etc\\passwd",
        "..../..../..../etc/passwd",
        ".. /.. /.. /etc/passwd",
        "~root/../etc/passwd",
        "..;/..;/etc/passwd",
    ] {
        let tried = s.attempt(format!("RETR {path}"), None)?;
        s.check(tried.refused(), format!("RETR {path}: {} bytes", tried.data.len()))?;
    }
    Ok(())
}

/// Plants links out of the root, absolute and relative.
fn links(t: &Stage<'_>) -> Result<(Session, PathBuf), Stop> {
    let s = t.work()?;
    let (outside, disk) = (outside(t)?, t.disk()?);
    let relative = PathBuf::from("../..").join(outside.file_name().unwrap_or_default());
    let planted = symlink(&outside, disk.join("absolute"))
        .and_then(|()| symlink(&relative, disk.join("relative")))
        .and_then(|()| symlink(relative.join("secret"), disk.join("file")));
    planted.map_err(|error| s.fail(error.to_string()))?;
    Ok((s, outside))
}

fn links_do_not_lead_out_for_reading(t: &Stage<'_>) -> Outcome {
    let (mut s, outside) = links(t)?;
    for path in ["file", "absolute/secret", "relative/secret"] {
        let tried = s.attempt(format!("RETR {path}"), None)?;
        s.check(tried.data.is_empty(), format!("RETR {path} sent {}", tried.data.escape_ascii()))?;
        let told = s.say(format!("SIZE {path}"))?;
        s.check(told.text() != "213 9", format!("SIZE {path} tells about a file outside"))?;
    }
    for line in ["LIST absolute/", "NLST relative/", "MLSD absolute"] {
        let tried = s.attempt(line, None)?;
        let text = String::from_utf8_lossy(&tried.data).into_owned();
        s.check(!text.contains("secret"), format!("{line} shows {text:?}"))?;
    }
    s.say("CWD absolute")?;
    let tried = s.attempt("RETR secret", None)?;
    s.check(tried.data.is_empty(), "CWD through the link and RETR sent the file")?;
    let _ = fs::remove_dir_all(outside);
    Ok(())
}

fn links_do_not_lead_out_for_writing(t: &Stage<'_>) -> Outcome {
    let (mut s, outside) = links(t)?;
    for line in ["STOR file", "APPE file", "STOR absolute/new", "STOR relative/secret"] {
        s.attempt(line, Some(b"overwritten"))?;
    }
    for line in [
        "DELE absolute/secret",
        "MKD relative/new",
        "RMD relative",
        "SITE CHMOD 000 file",
        "MFMT 20010101000000 file",
    ] {
        s.say(line)?;
    }
    if s.say("RNFR relative/secret")?.code == 350 {
        s.say("RNTO taken")?;
    }
    let names = fs::read_dir(&outside).map_or(0, Iterator::count);
    let content = fs::read(outside.join("secret")).unwrap_or_default();
    s.check(
        names == 1 && content == b"not yours",
        format!("outside are {names} files, and the secret is {content:?}"),
    )?;
    let _ = fs::remove_dir_all(outside);
    Ok(())
}

fn dele_takes_the_link(t: &Stage<'_>) -> Outcome {
    let (mut s, outside) = links(t)?;
    s.say("DELE file")?;
    s.check(outside.join("secret").exists(), "the file outside was deleted")?;
    let _ = fs::remove_dir_all(outside);
    Ok(())
}

fn root_cannot_be_removed(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in ["RMD /", "DELE /"] {
        s.refused(line)?;
    }
    if s.say("RNFR /")?.code == 350 {
        s.refused("RNTO elsewhere")?;
    }
    s.done("CWD /").map(drop)
}

fn listing_does_not_lead_out(t: &Stage<'_>) -> Outcome {
    let outside = outside(t)?;
    let name = outside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut s = t.work()?;
    let up = "../".repeat(10);
    for line in [
        format!("LIST {up}"),
        format!("NLST {up}"),
        format!("MLSD {up}"),
        format!("NLST {up}*"),
        format!("LIST -a {up}"),
    ] {
        let tried = s.attempt(&line, None)?;
        let text = String::from_utf8_lossy(&tried.data).into_owned();
        s.check(!text.contains(&name), format!("{line} shows what lies beside the root"))?;
    }
    let told = s.say(format!("STAT {up}"))?;
    s.check(!told.lines.iter().any(|line| line.contains(&name)), "STAT shows what lies beside the root")?;
    let _ = fs::remove_dir_all(outside);
    Ok(())
}
