//! RFC 959 §4.1.1: access control commands.

use crate::suite::prelude::*;

group! { "RFC 959", "4.1.1", "rfc959/section_4_1_1":
    Must user_and_pass_log_in "USER and PASS of a known account log it in";
    Must pass_without_user_is_refused "PASS without USER logs nobody in";
    Must wrong_password_is_refused "A wrong password is refused, and leaves no rights behind";
    Must unknown_user_is_refused "A name that nobody has is refused, at USER or at PASS";
    Must nothing_before_login "Commands that touch files are refused before login";
    Must password_is_all_after_the_blank "A password with one blank too many at its end is another password";
    Must user_again_drops_the_old_rights "USER in a session that is logged in never leaves the old rights to the new name";
    Must login_again_after_failure "After a failed login the session can still log in";
    Must cwd_changes_the_directory "CWD changes the directory, and relative names are then looked up there";
    Must cwd_absolute "CWD takes the path that PWD told";
    Must cwd_to_nothing_is_refused "CWD to a directory that does not exist is refused and the old one stays";
    Must cwd_to_a_file_is_refused "CWD to a file is refused";
    Must cdup_goes_up "CDUP goes to the parent directory";
    Must cdup_at_the_top_stays "CDUP at the top of the tree never leaves it";
    Must rein_logs_out "REIN ends the login and lets another one begin";
    Must quit_says_221_and_closes "QUIT is answered 221 and the server closes the connection";
    Must quit_before_login "QUIT works before login";
    Must acct_is_answered "ACCT gets a reply that RFC 959 lists, or 502";
    Must smnt_is_answered "SMNT gets a reply that RFC 959 lists";
}

fn user_and_pass_log_in(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("PWD", &[257]).map(drop)
}

fn pass_without_user_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    let password = &t.place.password;
    s.want(format!("PASS {password}"), &[530, 500, 501, 503, 421, 332])?;
    s.refused("PWD").map(drop)
}

/// Sends USER and PASS that must not work.
fn fails_to_log_in(s: &mut Session, user: &str, password: &str) -> Outcome {
    let reply = s.want(format!("USER {user}"), &[331, 332, 530, 500, 501])?;
    if reply.code == 331 {
        s.want(format!("PASS {password}"), &[530, 500, 501])?;
    }
    Ok(())
}

fn wrong_password_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    fails_to_log_in(&mut s, &t.place.user, "not the password")?;
    s.refused("PWD").map(drop)
}

fn unknown_user_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    fails_to_log_in(&mut s, "nobody-has-this-name", "x")?;
    s.refused("PWD").map(drop)
}

fn nothing_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    for line in [
        "CWD /",
        "CDUP",
        "PWD",
        "PASV",
        "PORT 127,0,0,1,200,1",
        "RETR a",
        "STOR a",
        "APPE a",
        "STOU",
        "RNFR a",
        "RNTO b",
        "DELE a",
        "MKD a",
        "RMD a",
        "LIST",
        "NLST",
        "STAT /",
        "REST 1",
        "SITE CHMOD 777 a",
    ] {
        s.refused(line)?;
    }
    Ok(())
}

fn password_is_all_after_the_blank(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want(format!("USER {}", t.place.user), &[331])?;
    s.want(format!("PASS {} ", t.place.password), &[530, 500, 501]).map(drop)
}

fn user_again_drops_the_old_rights(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let reply = s.say("USER nobody-has-this-name")?;
    if reply.code == 331 {
        // Half a login is none.
        s.refused("PWD").map(drop)
    } else {
        // Refused: then the old login goes on, or it is gone; both are clear.
        s.among(b"USER nobody-has-this-name", &reply, &[500, 501, 503, 530, 550])
    }
}

fn login_again_after_failure(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    fails_to_log_in(&mut s, &t.place.user, "not the password")?;
    t.login(&mut s)?;
    s.want("PWD", &[257]).map(drop)
}

fn cwd_changes_the_directory(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.put("STOR sub/a", b"inside")?;
    s.want("CWD sub", &[200, 250])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"inside", "a relative name is not looked up in the new directory")
}

fn cwd_absolute(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.want("CWD sub", &[200, 250])?;
    let told = s.want("PWD", &[257])?;
    let path = told.text().split('"').nth(1).unwrap_or_default().to_owned();
    s.done("CDUP")?;
    s.want(format!("CWD {path}"), &[200, 250])?;
    let again = s.want("PWD", &[257])?;
    s.check(told == again, "PWD tells another path")
}

fn cwd_to_nothing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let before = s.want("PWD", &[257])?;
    s.want("CWD nothing-here", &[450, 500, 501, 502, 550, 553])?;
    let after = s.want("PWD", &[257])?;
    s.check(before == after, "the directory changed")
}

fn cwd_to_a_file_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR file", b"x")?;
    s.want("CWD file", &[500, 501, 502, 550, 553]).map(drop)
}

fn cdup_goes_up(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let before = s.want("PWD", &[257])?;
    s.done("MKD sub")?;
    s.want("CWD sub", &[200, 250])?;
    s.want("CDUP", &[200, 250])?;
    let after = s.want("PWD", &[257])?;
    s.check(before == after, "CDUP did not come back to where CWD began")
}

fn cdup_at_the_top_stays(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.done("CWD /")?;
    s.want("CDUP", &[200, 250, 550, 553])?;
    let told = s.want("PWD", &[257])?;
    s.check(told.text().contains("\"/\""), "PWD is not \"/\" any more")
}

fn rein_logs_out(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let mut reply = s.optional("REIN", "REIN")?;
    if reply.code == 120 {
        reply = s.reply()?;
    }
    s.among(b"REIN", &reply, &[220, 230])?;
    s.refused("PWD")?;
    t.login(&mut s)?;
    s.want("PWD", &[257]).map(drop)
}

fn quit_says_221_and_closes(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("QUIT", &[221])?;
    s.closed()
}

fn quit_before_login(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("QUIT", &[221])?;
    s.closed()
}

fn acct_is_answered(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("ACCT x", &[230, 202, 530, 500, 501, 502, 503]).map(drop)
}

fn smnt_is_answered(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("SMNT x", &[202, 250, 500, 501, 502, 530, 550]).map(drop)
}
