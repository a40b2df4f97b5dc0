//! RFC 959 §4.1.3 and §5.3.2: a pathname is what stands behind the blank, byte for byte.

use crate::suite::prelude::*;

group! { "RFC 959", "5.3.2 (pathnames)", "rfc959/section_4_1_3_names":
    Must blanks_inside "A name with blanks inside is one name";
    Should leading_blank "A second blank behind the verb belongs to the name";
    Should trailing_blank "A blank at the end belongs to the name";
    Must special_characters "Names with quotes, brackets, semicolons, percent signs and backslashes are kept as they are";
    Must upper_and_lower_case "Names that differ in case are not mixed up where the server lists both";
    Must dashes "A name that begins with a hyphen can be stored, retrieved and deleted";
    Should eight_bit_bytes "Names with bytes above 127 come back in NLST as they were sent";
    Must dots_in_paths "`.` and `..` in a path mean this directory and its parent";
    Must double_slashes "Several slashes in a row are one";
    Must long_names "A name of 200 bytes is kept whole";
}

/// Stores under `name`, finds it in NLST byte for byte, reads it, deletes it.
fn keeps(s: &mut Session, name: &[u8]) -> Outcome {
    s.put([b"STOR ", name].concat(), name)?;
    let listed = s.names("NLST")?;
    let shown: String = name.iter().map(|byte| char::from(*byte)).collect();
    s.check(listed == [shown], format!("NLST shows {listed:?} for {}", name.escape_ascii()))?;
    let bytes = s.get([b"RETR ", name].concat())?;
    s.check(bytes == name, "not the file")?;
    s.done([b"DELE ", name].concat())?;
    let left = s.names("NLST")?;
    s.check(left.is_empty(), "DELE took another name")
}

fn blanks_inside(t: &Stage<'_>) -> Outcome {
    keeps(&mut t.work()?, b"two words  and more")
}

fn leading_blank(t: &Stage<'_>) -> Outcome {
    keeps(&mut t.work()?, b" leading")
}

fn trailing_blank(t: &Stage<'_>) -> Outcome {
    keeps(&mut t.work()?, b"trailing ")
}

fn special_characters(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for name in [
        &b"say \"hi\""[..],
        b"it's",
        b"a;b=c",
        b"100%25",
        b"back\\slash",
        b"#hash&co",
        b"(a)",
        b"~tilde~",
        b"$HOME",
        b"a,b:c",
    ] {
        keeps(&mut s, name)?;
    }
    Ok(())
}

fn upper_and_lower_case(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR name", b"lower")?;
    s.put("STOR NAME", b"upper")?;
    if s.names("NLST")?.len() == 1 {
        return Err(Stop::NotApplicable("the server's file system knows no case".into()));
    }
    let bytes = s.get("RETR name")?;
    s.check(bytes == b"lower", "not the file")
}

fn dashes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    keeps(&mut s, b"-dash")?;
    keeps(&mut s, b"--")
}

fn eight_bit_bytes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    keeps(&mut s, "grüße 日本".as_bytes())?;
    keeps(&mut s, b"latin \xe9\xe8")
}

fn dots_in_paths(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.put("STOR sub/../a", b"above")?;
    for line in ["RETR a", "RETR ./a", "RETR sub/../a", "RETR sub/./../a"] {
        let bytes = s.get(line)?;
        s.check(bytes == b"above", format!("{line}: not the file"))?;
    }
    s.done("CWD sub")?;
    s.done("CWD ..")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"above", "CWD .. did not go up")
}

fn double_slashes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.put("STOR sub//a", b"x")?;
    let bytes = s.get("RETR sub///a")?;
    s.check(bytes == b"x", "not the file")
}

fn long_names(t: &Stage<'_>) -> Outcome {
    keeps(&mut t.work()?, &[b'n'; 200])
}
