//! RFC 959 §5.3: command lines. RFC 1123 §4.1.2.10 and `practice/lines.rs` have the rest about lines.

use std::time::Duration;

use crate::suite::prelude::*;

group! { "RFC 959", "5.3", "rfc959/section_5_3":
    Must verbs_in_any_case "A verb may be written in upper, lower and mixed case";
    Must arguments_keep_their_case "Arguments that are names keep their case";
    Must every_line_gets_a_reply "A line that is no command gets one reply all the same, not silence";
    Must blank_lines_do_no_harm "An empty line gets at most one reply and nothing is out of step";
    Must verbs_are_not_shortened "A verb with letters missing or added is unknown";
    Must long_lines_get_one_reply "A line of 20,000 bytes gets one reply, or one and the end";
    Must missing_arguments_are_refused "Commands that need an argument are refused without one";
    Must surplus_arguments_do_no_harm "Arguments to commands that take none are refused or ignored";
}

fn verbs_in_any_case(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["NOOP", "noop", "NoOp", "nOOP"] {
        s.want(line, &[200])?;
    }
    s.want("pwd", &[257])?;
    s.want("type i", &[200]).map(drop)
}

fn arguments_keep_their_case(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("stor MiXed", b"x")?;
    let names = s.names("nlst")?;
    s.check(names == ["MiXed"], format!("the names are {names:?}"))
}

fn every_line_gets_a_reply(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in [" NOOP", "\tNOOP", "?", "123", "NO OP", "A", "\u{1}\u{2}"] {
        let reply = s.say(line)?;
        s.check(reply.code >= 200, "not a final reply")?;
    }
    s.in_step()
}

fn blank_lines_do_no_harm(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.send(b"\r\n")?;
    let answer = s.reply_within(Duration::from_millis(300))?;
    s.check(matches!(answer.code(), 0 | 500 | 501 | 502) && answer != Answer::Closed, "not a refusal")?;
    s.in_step()
}

fn verbs_are_not_shortened(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for line in ["NOO", "NOOPS", "PW", "PWDX", "SYS"] {
        s.want(line, &[500, 502])?;
    }
    Ok(())
}

fn long_lines_get_one_reply(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.send(&[b"CWD ", &vec![b'A'; 20_000][..], b"\r\n"].concat())?;
    let answer = s.reply_within(Duration::from_secs(3))?;
    s.check(answer.code() >= 400, format!("no refusal: {answer:?}"))?;
    s.send(b"NOOP\r\n")?;
    match s.reply_within(Duration::from_secs(3))? {
        Answer::Closed => Ok(()),
        answer => {
            s.check(answer.code() == 200, "more than one reply to one line: out of step")?;
            s.in_step()
        }
    }
}

fn missing_arguments_are_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in ["TYPE", "MODE", "STRU", "PORT", "DELE", "MKD", "RMD", "RNFR"] {
        s.want(line, &[500, 501, 504, 550, 553])?;
    }
    for line in ["RETR", "STOR", "APPE"] {
        let tried = s.attempt(line, None)?;
        s.check(tried.last.code >= 400, format!("{line} without a name ended with {}", tried.last.code))?;
    }
    s.in_step()
}

fn surplus_arguments_do_no_harm(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for (line, done) in [("PWD x", 257), ("NOOP x", 200), ("SYST x", 215), ("CDUP x", 250)] {
        s.want(line, &[done, 200, 500, 501, 502, 504, 550])?;
    }
    s.in_step()
}
