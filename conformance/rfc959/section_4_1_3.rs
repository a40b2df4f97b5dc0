//! RFC 959 §4.1.3: FTP service commands, what they do to files.

use std::time::Duration;

use crate::suite::prelude::*;

group! { "RFC 959", "4.1.3", "rfc959/section_4_1_3":
    Must retr_missing_is_refused "RETR of a file that does not exist is refused, without data";
    Must retr_of_a_directory_is_refused "RETR of a directory is refused, without data";
    Must stor_replaces "STOR over a file replaces it, also by a shorter one";
    Must stor_into_nothing_is_refused "STOR into a directory that does not exist is refused";
    Must stor_over_a_directory_is_refused "STOR with the name of a directory is refused and the directory stays";
    Must appe_appends "APPE adds to the end of a file";
    Must appe_creates "APPE to a name that is free makes the file";
    Must stou_makes_new_files "STOU twice with one name makes two files and touches no other";
    Must allo_is_answered "ALLO is answered 200 or 202, or refused for the space";
    Must allo_with_records "ALLO takes a record size after R";
    Must rename "RNFR and RNTO rename a file, also into another directory";
    Must rename_a_directory "RNFR and RNTO rename a directory";
    Must rnfr_missing_is_refused "RNFR of a file that does not exist is refused";
    Must rnto_alone_is_refused "RNTO without RNFR is refused as a bad sequence";
    Should rnto_right_after_rnfr "A command between RNFR and RNTO cancels the rename";
    Must rnto_missing_directory "RNTO into a directory that does not exist is refused and the file stays";
    Must dele "DELE removes a file";
    Must dele_missing_is_refused "DELE of a file that does not exist is refused";
    Must dele_of_a_directory_is_refused "DELE of a directory is refused and the directory stays";
    Must mkd_and_rmd "MKD makes a directory and RMD removes it";
    Must mkd_existing_is_refused "MKD of a directory that exists is refused";
    Must mkd_in_nothing_is_refused "MKD below a directory that does not exist is refused";
    Must rmd_missing_is_refused "RMD of a directory that does not exist is refused";
    Must rmd_of_a_file_is_refused "RMD of a file is refused and the file stays";
    Should rmd_of_a_full_directory_is_refused "RMD of a directory with content is refused and nothing is lost";
    Must syst_names_a_system "SYST is answered 215 with the name of a system";
    Must stat_tells_the_state "STAT without argument is answered 211";
    Must stat_of_a_path_lists_it "STAT with a path is answered 211, 212 or 213 on the control connection and names what is there";
    Must help "HELP is answered 211 or 214";
    Must help_for_one_command "HELP with the name of a command is answered 211 or 214, or refused";
    Must noop "NOOP is answered 200";
    Must unknown_site_is_refused "SITE with an unknown word is refused";
    Must rest_zero "REST 0 is answered 350, or refused as not implemented";
    Must queued_commands_wait "Commands sent during a transfer are answered after it, in their order";
    Must broken_download_is_told "A client that breaks the data connection of a download gets one final reply and the session goes on";
}

fn retr_missing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let tried = s.attempt("RETR nothing-here", None)?;
    s.check(tried.refused(), "not refused")?;
    s.among(b"RETR nothing-here", &tried.last, &[450, 550, 500, 501, 451])
}

fn retr_of_a_directory_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD dir")?;
    let tried = s.attempt("RETR dir", None)?;
    s.check(tried.refused(), "not refused")
}

fn stor_replaces(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"the first and long one")?;
    s.put("STOR a", b"short")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"short", format!("now it is {}", bytes.escape_ascii()))
}

fn stor_into_nothing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let tried = s.attempt("STOR nothing-here/a", Some(b"x"))?;
    s.among(b"STOR nothing-here/a", &tried.last, &[550, 553, 451, 450, 500, 501])
}

fn stor_over_a_directory_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD dir")?;
    let tried = s.attempt("STOR dir", Some(b"x"))?;
    s.among(b"STOR dir", &tried.last, &[550, 553, 451, 450, 500, 501])?;
    s.done("CWD dir").map(drop)
}

fn appe_appends(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"one")?;
    s.put("APPE a", b"two")?;
    s.put("APPE a", b"three")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"onetwothree", format!("now it is {}", bytes.escape_ascii()))
}

fn appe_creates(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("APPE new", b"one")?;
    let bytes = s.get("RETR new")?;
    s.check(bytes == b"one", "not the file")
}

fn stou_makes_new_files(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR name", b"precious")?;
    for _ in 0..2 {
        let tried = s.attempt("STOU name", Some(b"new"))?;
        if matches!(tried.last.code, 500 | 502) {
            return Err(Stop::NotOffered("STOU".into()));
        }
        s.check(tried.succeeded(), "STOU failed")?;
    }
    let names = s.names("NLST")?;
    s.check(names.len() == 3, format!("there should be three files: {names:?}"))?;
    let bytes = s.get("RETR name")?;
    s.check(bytes == b"precious", "STOU replaced a file")
}

fn allo_is_answered(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("ALLO 10", &[200, 202, 452, 500, 502, 504, 552]).map(drop)
}

fn allo_with_records(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("ALLO 10 R 5", &[200, 202, 452, 500, 502, 504, 552]).map(drop)
}

fn rename(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"moved")?;
    s.done("MKD sub")?;
    s.want("RNFR a", &[350])?;
    s.want("RNTO sub/b", &[250])?;
    let bytes = s.get("RETR sub/b")?;
    s.check(bytes == b"moved", "not the file")?;
    let old = s.attempt("RETR a", None)?;
    s.check(old.refused(), "the old name is still there")
}

fn rename_a_directory(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD old")?;
    s.put("STOR old/a", b"inside")?;
    s.want("RNFR old", &[350])?;
    s.want("RNTO new", &[250])?;
    let bytes = s.get("RETR new/a")?;
    s.check(bytes == b"inside", "not the file")
}

fn rnfr_missing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("RNFR nothing-here", &[450, 550, 553, 500, 501])?;
    s.want("RNTO x", &[503, 550, 553, 500, 501]).map(drop)
}

fn rnto_alone_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("RNTO x", &[503, 500, 501]).map(drop)
}

fn rnto_right_after_rnfr(t: &Stage<'_>) -> Outcome {
    // "Immediately followed" is said to the client; 503 is the reply for a sequence that is not kept.
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    s.want("RNFR a", &[350])?;
    s.done("NOOP")?;
    s.want("RNTO b", &[503, 500, 501]).map(drop)
}

fn rnto_missing_directory(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    s.want("RNFR a", &[350])?;
    s.want("RNTO nothing-here/b", &[550, 553, 451, 500, 501])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"x", "the file is gone")
}

fn dele(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    s.want("DELE a", &[200, 250])?;
    let tried = s.attempt("RETR a", None)?;
    s.check(tried.refused(), "the file is still there")
}

fn dele_missing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("DELE nothing-here", &[450, 550, 553, 500, 501]).map(drop)
}

fn dele_of_a_directory_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD dir")?;
    s.want("DELE dir", &[450, 550, 553, 500, 501])?;
    s.done("CWD dir").map(drop)
}

fn mkd_and_rmd(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("MKD dir", &[257])?;
    s.done("CWD dir")?;
    s.done("CDUP")?;
    s.want("RMD dir", &[250])?;
    s.refused("CWD dir").map(drop)
}

fn mkd_existing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("MKD dir", &[257])?;
    s.want("MKD dir", &[550, 521, 553, 500, 501]).map(drop)
}

fn mkd_in_nothing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("MKD nothing-here/dir", &[550, 553, 500, 501]).map(drop)
}

fn rmd_missing_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("RMD nothing-here", &[450, 550, 500, 501]).map(drop)
}

fn rmd_of_a_file_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    s.want("RMD a", &[550, 553, 500, 501])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"x", "the file is gone")
}

fn rmd_of_a_full_directory_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD dir")?;
    s.put("STOR dir/a", b"x")?;
    s.want("RMD dir", &[450, 550, 500, 501])?;
    let bytes = s.get("RETR dir/a")?;
    s.check(bytes == b"x", "the file is gone")
}

fn syst_names_a_system(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let reply = s.want("SYST", &[215])?;
    s.check(reply.text().len() > 4, "no name")
}

fn stat_tells_the_state(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("STAT", &[211])?;
    s.in_step()
}

fn stat_of_a_path_lists_it(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR some-file", b"x")?;
    for line in ["STAT some-file", "STAT ."] {
        let reply = s.want(line, &[211, 212, 213])?;
        s.check(
            reply.lines.iter().any(|line| line.contains("some-file")),
            format!("{line} does not name the file"),
        )?;
    }
    s.in_step()
}

fn help(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("HELP", &[211, 214])?;
    s.in_step()
}

fn help_for_one_command(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("HELP RETR", &[211, 214, 501, 502, 504])?;
    s.want("HELP NONSENSE", &[211, 214, 500, 501, 502, 504])?;
    s.in_step()
}

fn noop(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("NOOP", &[200])?;
    s.in_step()
}

fn unknown_site_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("SITE FROBNICATE", &[202, 500, 501, 502, 504, 530, 550]).map(drop)
}

fn rest_zero(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.want("REST 0", &[350, 500, 501, 502]).map(drop)
}

fn queued_commands_wait(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"content")?;
    let address = s.passive_address()?;
    let data = s.connect_data(address)?;
    s.send(b"RETR a\r\nPWD\r\nSYST\r\n")?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"content", "not the file")?;
    let codes = [s.reply()?.code, s.reply()?.code, s.reply()?.code, s.reply()?.code];
    let good = matches!(codes, [125 | 150, 226 | 250, 257, 215]);
    s.check(good, format!("the replies came as {codes:?}"))
}

fn broken_download_is_told(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", &vec![7; 8 << 20])?;
    let data = s.passive()?;
    s.want("RETR a", &[125, 150])?;
    // Unread bytes make this a reset: the server cannot take it for success.
    std::thread::sleep(Duration::from_millis(50));
    drop(data);
    let last = s.reply()?;
    s.among(b"RETR a", &last, &[426, 425, 451])?;
    s.in_step()
}
