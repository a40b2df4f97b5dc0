//! RFC 2389 §4: OPTS.

use crate::suite::prelude::*;

group! { "RFC 2389", "4", "rfc2389/section_4":
    Must opts_of_nothing "OPTS of an unknown command is refused";
    Must opts_without_argument "OPTS without an argument is refused";
    Must opts_of_a_command_without_options "OPTS of a command that has no options is refused";
    Must opts_in_any_case "OPTS MLST may be written in lower case";
}

fn opts_of_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("OPTS FROBNICATE x", &[451, 500, 501, 502, 504]).map(drop)
}

fn opts_without_argument(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("OPTS", &[451, 500, 501, 502, 504]).map(drop)
}

fn opts_of_a_command_without_options(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("OPTS NOOP x", &[451, 500, 501, 502, 504]).map(drop)
}

fn opts_in_any_case(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.optional("MLST", "MLST")?;
    s.want("opts mlst type;size;", &[200]).map(drop)
}
