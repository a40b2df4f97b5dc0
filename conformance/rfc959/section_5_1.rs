//! RFC 959 §5.1: minimum implementation and defaults.

use crate::suite::prelude::*;

group! { "RFC 959", "5.1", "rfc959/section_5_1":
    Must minimum_implementation "TYPE A N, MODE S, STRU F and the commands of the minimum are implemented";
    Must default_type_is_ascii "Before any TYPE command files are sent as in TYPE A";
    Must default_structure_and_mode "Without STRU and MODE a transfer is a file in stream mode";
}

fn minimum_implementation(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in ["TYPE A N", "MODE S", "STRU F", "NOOP"] {
        s.want(line, &[200])?;
    }
    s.put("STOR a", b"x\r\n")?;
    s.get("RETR a")?;
    s.want("QUIT", &[221]).map(drop)
}

fn default_type_is_ascii(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"one\ntwo\n")?;
    s.done("TYPE A")?;
    let ascii = s.get("RETR a")?;
    let mut fresh = t.logged_in()?;
    fresh.done(format!("CWD {}", t.folder))?;
    let bytes = fresh.get("RETR a")?;
    fresh.check(bytes == ascii, format!("sent {} instead of {}", bytes.escape_ascii(), ascii.escape_ascii()))
}

fn default_structure_and_mode(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"as it is")?;
    s.done("STRU F")?;
    s.done("MODE S")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"as it is", "not the file")
}
