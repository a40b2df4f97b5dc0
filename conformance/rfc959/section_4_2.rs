//! RFC 959 §4.2: replies. The session itself refuses what has no code, no CR LF or no last line; here it is made to read many.

use crate::suite::prelude::*;

group! { "RFC 959", "4.2", "rfc959/section_4_2":
    Must greeting "The greeting is 220, perhaps after 120, or 421 and the end";
    Must every_reply_is_well_formed "Every reply has three digits, a blank or a hyphen, and ends with CR LF";
    Must lines_in_between_look_like_no_end "No line inside a reply looks like its last line, or another reply, to a client";
    Must one_final_reply "Each command gets exactly one final reply";
    Must refusals_are_not_success "Unknown commands are answered 500 or 502";
    Must text_after_the_code "No reply holds control characters";
}

const LINES: [&str; 16] = [
    "SYST",
    "FEAT",
    "HELP",
    "HELP SITE",
    "STAT",
    "STAT .",
    "PWD",
    "NOOP",
    "SITE HELP",
    "MLST",
    "OPTS UTF8 ON",
    "FROBNICATE",
    "CWD nowhere",
    "TYPE X",
    "PORT x",
    "ABOR",
];

fn greeting(t: &Stage<'_>) -> Outcome {
    t.greeted().map(drop)
}

fn every_reply_is_well_formed(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in LINES {
        let reply = s.say(line)?;
        s.check(reply.lines[0].len() >= 4, "a reply of three digits alone")?;
    }
    Ok(())
}

fn lines_in_between_look_like_no_end(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR 226 done", b"x")?;
    for line in LINES {
        let reply = s.say(line)?;
        let inside = reply.lines.len().saturating_sub(1);
        for middle in reply.lines.iter().take(inside).skip(1) {
            let bytes = middle.as_bytes();
            let like_an_end =
                bytes.len() > 3 && bytes[..3].iter().all(u8::is_ascii_digit) && bytes[3] == b' ';
            s.check(!like_an_end, format!("a line inside the reply to {line} looks like an end: {middle}"))?;
        }
    }
    s.in_step()
}

fn one_final_reply(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in LINES {
        s.say(line)?;
        s.in_step()?;
    }
    Ok(())
}

fn refusals_are_not_success(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["FROBNICATE", "XYZ abc", "QWERTY"] {
        s.want(line, &[500, 502])?;
    }
    s.in_step()
}

fn text_after_the_code(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in LINES {
        let reply = s.say(line)?;
        let clean = reply
            .lines
            .iter()
            .all(|line| !line.chars().any(|letter| letter.is_ascii_control() && letter != '\t'));
        s.check(clean, format!("a control character in the reply to {line}"))?;
    }
    Ok(())
}
