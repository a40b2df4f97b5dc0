//! RFC 3659 §3: MDTM.

use crate::suite::prelude::*;

group! { "RFC 3659", "3", "rfc3659/section_3":
    Must mdtm_of_nothing "MDTM of a file that does not exist is refused with 550";
    Must mdtm_without_a_name "MDTM without a name is refused";
    Must names_that_look_like_times "MDTM of a file whose name begins with 14 digits and a blank tells that file's time";
    Must mdtm_changes_nothing "MDTM leaves the file as it is";
}

fn mdtm_of_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let reply = s.optional("MDTM", "MDTM nothing-here")?;
    s.among(b"MDTM", &reply, &[550, 450, 501])
}

fn mdtm_without_a_name(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.optional("MDTM", "MDTM x")?;
    s.want("MDTM", &[500, 501, 550]).map(drop)
}

fn names_that_look_like_times(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.optional("MDTM", "MDTM nothing-here")?;
    s.put("STOR 20200101000000 log", b"x")?;
    let reply = s.want("MDTM 20200101000000 log", &[213])?;
    let told = reply.text().get(4..18).unwrap_or_default();
    s.check(told != "20200101000000", "the name was taken for a time to set")
}

fn mdtm_changes_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let first = s.optional("MDTM", "MDTM a")?;
    let second = s.say("MDTM a")?;
    s.check(first == second, "two answers differ")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"x", "not the file")
}
