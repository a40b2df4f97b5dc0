//! RFC 2577 §5: protecting passwords.

use crate::suite::prelude::*;

group! { "RFC 2577", "5", "rfc2577/section_5":
    Safety password_is_never_repeated "No reply to USER, PASS or STAT repeats the password";
}

fn password_is_never_repeated(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    let mut said = Vec::new();
    s.want(format!("USER {}", t.place.user), &[331])?;
    said.push(s.say("PASS wrong-and-unmistakable")?);
    t.login(&mut s)?;
    said.push(s.say("STAT")?);
    let told = said.iter().flat_map(|reply| &reply.lines).any(|line| line.contains("unmistakable"));
    s.check(!told, "a reply repeats the password")
}
