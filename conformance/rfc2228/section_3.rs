//! RFC 2228 §3: security commands without a security exchange.

use crate::suite::prelude::*;

group! { "RFC 2228", "3", "rfc2228/section_3":
    Must unknown_mechanism "AUTH with an unknown mechanism is refused and the session goes on";
    Must pbsz_needs_auth "PBSZ without AUTH is refused";
    Must prot_needs_pbsz "PROT P without AUTH is refused";
    Must protected_commands_need_auth "MIC, CONF and ENC without AUTH are refused";
    Must ccc_needs_auth "CCC without AUTH is refused";
}

fn unknown_mechanism(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("AUTH NO-SUCH-THING", &[431, 500, 501, 502, 503, 504, 530, 534])?;
    t.login(&mut s)?;
    s.in_step()
}

fn pbsz_needs_auth(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.want("PBSZ 0", &[500, 501, 502, 503, 530, 536]).map(drop)
}

fn prot_needs_pbsz(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("PROT P", &[431, 500, 501, 502, 503, 504, 530, 534, 536, 550]).map(drop)
}

fn protected_commands_need_auth(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["MIC Tk9PUA==", "CONF Tk9PUA==", "ENC Tk9PUA=="] {
        s.want(line, &[500, 501, 502, 503, 530, 533, 535, 537])?;
    }
    s.in_step()
}

fn ccc_needs_auth(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("CCC", &[500, 501, 502, 503, 530, 533, 534]).map(drop)
}
