//! draft-somers-ftp-mfxx: MFMT, MFCT and MFF.

use crate::suite::prelude::*;

group! { "draft-somers-ftp-mfxx", "3 to 5", "drafts/mfxx":
    Must mfmt_sets_the_time "MFMT sets the time that MDTM tells";
    Must mfmt_reply "MFMT is answered 213 with `Modify=time; path`";
    Must mfmt_of_nothing "MFMT of a file that does not exist is refused with 550";
    Must mfmt_of_no_time "MFMT with something that is no time is refused";
    Must mfmt_of_a_day_that_is_none "MFMT with 29 February of a common year is refused";
    Must mff_sets_facts "MFF sets modify and tells it";
    Must mff_unknown_fact "MFF with a fact that cannot be set is refused with 504";
    Must mfct_is_answered "MFCT is answered 213 or a refusal";
}

fn file(t: &Stage<'_>, label: &str, line: &str) -> Result<Session, Stop> {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let reply = s.optional(label, line)?;
    s.among(line.as_bytes(), &reply, &[213])?;
    Ok(s)
}

const MFMT: &str = "MFMT 20200229123456 a";
const MFF: &str = "MFF modify=20200229123456; a";

fn mfmt_sets_the_time(t: &Stage<'_>) -> Outcome {
    let mut s = file(t, "MFMT", MFMT)?;
    let told = s.want("MDTM a", &[213])?;
    s.check(told.text().starts_with("213 20200229123456"), "MDTM tells another time")
}

fn mfmt_reply(t: &Stage<'_>) -> Outcome {
    let mut s = file(t, "MFMT", MFMT)?;
    let reply = s.want(MFMT, &[213])?;
    let text = reply.text().to_ascii_lowercase();
    s.check(text.starts_with("213 modify=20200229123456; ") && text.ends_with('a'), "not `Modify=time; path`")
}

fn mfmt_of_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = file(t, "MFMT", MFMT)?;
    s.want("MFMT 20200229123456 nothing-here", &[550]).map(drop)
}

fn mfmt_of_no_time(t: &Stage<'_>) -> Outcome {
    let mut s = file(t, "MFMT", MFMT)?;
    for line in ["MFMT", "MFMT a", "MFMT 2020 a", "MFMT 20201301000000 a", "MFMT 20200101250000 a"] {
        s.want(line, &[500, 501, 504, 550])?;
    }
    Ok(())
}

fn mfmt_of_a_day_that_is_none(t: &Stage<'_>) -> Outcome {
    let mut s = file(t, "MFMT", MFMT)?;
    s.want("MFMT 20210229000000 a", &[501, 504, 550]).map(drop)
}

fn mff_sets_facts(t: &Stage<'_>) -> Outcome {
    let mut s = file(t, "MFF", MFF)?;
    let reply = s.want(MFF, &[213])?;
    let text = reply.text().to_ascii_lowercase();
    s.check(text.contains("modify=20200229123456;"), "the reply does not tell what was set")?;
    let told = s.want("MDTM a", &[213])?;
    s.check(told.text().starts_with("213 20200229123456"), "MDTM tells another time")
}

fn mff_unknown_fact(t: &Stage<'_>) -> Outcome {
    let mut s = file(t, "MFF", MFF)?;
    // The draft leaves open what becomes of the other facts.
    s.want("MFF modify=20010101000000;no-such-fact=1; a", &[504]).map(drop)
}

fn mfct_is_answered(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let reply = s.optional("MFCT", "MFCT 20200229123456 a")?;
    s.among(b"MFCT", &reply, &[213, 501, 504, 550])
}
