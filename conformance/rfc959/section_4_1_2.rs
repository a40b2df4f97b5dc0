//! RFC 959 §4.1.2: transfer parameter commands.

use crate::suite::prelude::*;

group! { "RFC 959", "4.1.2", "rfc959/section_4_1_2":
    Must type_forms "TYPE A, TYPE A N and TYPE I are accepted";
    Must type_takes_lower_case "The parameter of TYPE may be written in lower case";
    Must unknown_types_are_refused "TYPE with an unknown or a missing parameter is refused";
    Must unknown_type_formats_are_refused "TYPE A with a format that does not exist is refused, not ignored";
    Must local_byte_size_is_not_guessed "TYPE L with a byte size that the server does not have is refused";
    Should a_refused_type_changes_nothing "After a TYPE that is refused the old one is still in force";
    Must stru_file "STRU F is accepted";
    Must stru_others "STRU R and STRU P are served or refused with 504, and an unknown one is refused";
    Must mode_stream "MODE S is accepted";
    Must mode_others "MODE B and MODE C are served or refused with 504, and an unknown one is refused";
    Must port_grammar "PORT with anything but six numbers from 0 to 255 is refused";
    Should port_zero_is_refused "PORT to port 0, where nobody can listen, is refused";
    Must parameters_stay "TYPE stays in force for all later transfers";
}

fn type_forms(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["TYPE A", "TYPE A N", "TYPE I"] {
        s.want(line, &[200])?;
    }
    Ok(())
}

fn type_takes_lower_case(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["TYPE a", "TYPE i", "TYPE a n"] {
        s.want(line, &[200])?;
    }
    Ok(())
}

fn unknown_types_are_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["TYPE", "TYPE X", "TYPE 8"] {
        s.want(line, &[500, 501, 504])?;
    }
    Ok(())
}

fn unknown_type_formats_are_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("TYPE A X", &[500, 501, 504]).map(drop)
}

fn local_byte_size_is_not_guessed(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("TYPE L 7", &[500, 501, 504]).map(drop)
}

fn a_refused_type_changes_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"line\nline\n")?;
    s.refused("TYPE E")?;
    s.refused("TYPE X")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"line\nline\n", "TYPE I is not in force any more")
}

fn stru_file(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("STRU F", &[200]).map(drop)
}

fn stru_others(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("STRU R", &[200, 504, 501, 500])?;
    s.want("STRU F", &[200])?;
    s.want("STRU P", &[200, 504, 501, 500])?;
    s.want("STRU F", &[200])?;
    s.want("STRU X", &[500, 501, 504]).map(drop)
}

fn mode_stream(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("MODE S", &[200]).map(drop)
}

fn mode_others(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["MODE B", "MODE C"] {
        s.want(line, &[200, 504, 501, 500])?;
        s.want("MODE S", &[200])?;
    }
    s.want("MODE X", &[500, 501, 504]).map(drop)
}

fn port_grammar(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in [
        "PORT",
        "PORT x",
        "PORT 1,2,3",
        "PORT 127,0,0,1,256,1",
        "PORT 127,0,0,1,200",
        "PORT 127,0,0,1,200,-1",
    ] {
        s.want(line, &[425, 500, 501, 504])?;
    }
    Ok(())
}

fn port_zero_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    t.on_loopback()?;
    s.want("PORT 127,0,0,1,0,0", &[500, 501, 502, 504, 530, 425]).map(drop)
}

fn parameters_stay(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"1\n2\n")?;
    for _ in 0..3 {
        let bytes = s.get("RETR a")?;
        s.check(bytes == b"1\n2\n", "TYPE I was forgotten after a transfer")?;
        s.names("NLST")?;
    }
    Ok(())
}
