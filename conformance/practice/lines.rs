//! Lines, bytes and case where RFC 959 leaves a choice.

use std::time::Duration;

use crate::suite::prelude::*;

group! { "practice", "lines", "practice/lines":
    Practice lf_alone "A line that ends with LF alone is a command: telnet by hand and old scripts send it";
    Practice telnet_ip_and_synch "IAC IP IAC DM before a command is taken out";
    Safety nul_does_not_cut "A name with a NUL in it never becomes the name before the NUL";
    Safety cr_in_a_name "A name with CR in it is refused, or kept so that no reply and no listing breaks";
    Safety control_characters "A name with other control characters breaks no reply and no listing";
    Safety one_reply_to_70000_bytes "A line of 70,000 bytes gets one reply, or one and the end, never several";
    Safety a_megabyte_without_an_end "A megabyte without a line end is refused or cut off, and others are served meanwhile";
    Practice long_path "A path of 4,000 bytes is answered, not cut off";
    Safety long_user_name "A user name of 5,000 bytes is refused or asked for its password, and nobody is let in";
}

fn lf_alone(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.send(b"NOOP\n")?;
    let answer = s.reply_within(Duration::from_secs(2))?;
    s.check(answer.code() == 200, format!("no 200: {answer:?}"))
}

fn answered_200(s: &mut Session) -> Outcome {
    let answer = s.reply_within(Duration::from_secs(2))?;
    s.check(answer.code() == 200, format!("no 200: {answer:?}"))?;
    s.in_step()
}

fn telnet_ip_and_synch(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.send(b"\xff\xf4\xff\xf2NOOP\r\n")?;
    answered_200(&mut s)
}

fn nul_does_not_cut(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD dir")?;
    s.put("STOR file", b"precious")?;
    for line in [&b"CWD dir\0x\r\n"[..], b"DELE file\0x\r\n", b"SIZE file\0x\r\n"] {
        s.send(line)?;
        let answer = s.reply_within(Duration::from_secs(2))?;
        s.check(!(200..300).contains(&answer.code()), "the name was cut at the NUL")?;
        if answer == Answer::Closed {
            s = t.work()?;
        }
    }
    let mut s = t.work()?;
    let bytes = s.get("RETR file")?;
    s.check(bytes == b"precious", "not the file")
}

/// Makes a directory of that name and looks whether PWD and the listings stay whole.
fn harmless(t: &Stage<'_>, place: &str, name: &[u8]) -> Outcome {
    let mut s = t.work()?;
    s.done(format!("MKD {place}"))?;
    s.done(format!("CWD {place}"))?;
    s.put("STOR other", b"x")?;
    s.send(&[b"MKD ", name, b"\r\n"].concat())?;
    let made = s.reply_within(Duration::from_secs(3))?;
    if made == Answer::Closed {
        return Ok(());
    }
    s.in_step()?;
    if made.code() == 257 {
        let names = s.names("NLST")?;
        s.check(names.len() <= 2, format!("NLST shows {names:?}"))?;
        let lines = s.lines("LIST")?;
        s.check(lines.len() <= 2, format!("LIST shows {lines:?}"))?;
        s.send(&[b"CWD ", name, b"\r\n"].concat())?;
        s.reply()?;
        s.want("PWD", &[257])?;
    }
    s.in_step()
}

fn cr_in_a_name(t: &Stage<'_>) -> Outcome {
    harmless(t, "one", b"a\rb")?;
    harmless(t, "two", b"c\r\0d")
}

fn control_characters(t: &Stage<'_>) -> Outcome {
    harmless(t, "one", b"esc\x1b[2Jx")?;
    harmless(t, "two", b"del\x7fx")?;
    harmless(t, "three", b"bell\x07x")
}

fn one_reply_to_70000_bytes(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    // The server may close before it has read all.
    let _ = s.send(&[b"CWD ", &vec![b'A'; 70_000][..], b"\r\n"].concat());
    let first = s.reply_within(Duration::from_secs(3))?;
    s.check(first == Answer::Closed || first.code() >= 400, format!("no refusal: {first:?}"))?;
    let second = s.reply_within(Duration::from_millis(500))?;
    s.check(matches!(second, Answer::Silence | Answer::Closed), "several replies to one line")
}

fn a_megabyte_without_an_end(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let flood = vec![b'A'; 1 << 20];
    let _ = s.send(&flood);
    let mut other = t.logged_in()?;
    other.in_step()?;
    let mut replies = 0;
    while let Answer::Reply(reply) = s.reply_within(Duration::from_millis(700))? {
        s.check(reply.code >= 400, "not a refusal")?;
        replies += 1;
        s.check(replies < 2, "several replies to bytes without a line end")?;
    }
    Ok(())
}

fn long_path(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let path = "x/".repeat(2000);
    s.refused(format!("CWD {path}"))?;
    s.in_step()
}

fn long_user_name(t: &Stage<'_>) -> Outcome {
    let mut s = t.greeted()?;
    s.send(&[b"USER ", &vec![b'u'; 5000][..], b"\r\n"].concat())?;
    let first = s.reply_within(Duration::from_secs(3))?;
    s.check(
        first == Answer::Closed || first.code() == 331 || first.code() >= 400,
        format!("neither refused nor asked: {first:?}"),
    )?;
    if first.code() == 331 {
        s.want("PASS x", &[500, 501, 503, 530, 421])?;
    }
    Ok(())
}
