//! RFC 2577 §7: protecting user names.

use crate::suite::prelude::*;

group! { "RFC 2577", "7", "rfc2577/section_7":
    Should names_are_not_told_at_user "USER of a name that nobody has is answered like that of one that somebody has";
    Should names_are_not_told_at_pass "A wrong password is answered alike for both";
}

fn names_are_not_told_at_user(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    let known = s.say(format!("USER {}", t.place.user))?;
    let mut s = t.greeted()?;
    let unknown = s.say("USER nobody-has-this-name")?;
    s.check(known.code == unknown.code, format!("{} and {}", known.code, unknown.code))
}

fn names_are_not_told_at_pass(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.say(format!("USER {}", t.place.user))?;
    let known = s.say("PASS wrong")?;
    let mut s = t.greeted()?;
    s.say("USER nobody-has-this-name")?;
    let unknown = s.say("PASS wrong")?;
    s.check(known == unknown, format!("{:?} and {:?}", known.lines, unknown.lines))
}
