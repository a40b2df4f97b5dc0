//! RFC 1123 §4.1.2: corrections and additions to RFC 959.

use std::time::Duration;

use crate::suite::prelude::*;

group! { "RFC 1123", "4.1.2", "rfc1123/section_4_1_2":
    Must type_l_8 "TYPE L 8 is implemented (4.1.2.1)";
    Should type_a_t "TYPE A T is implemented like TYPE A N where there is no difference (4.1.2.2)";
    Must pasv_is_implemented "PASV is implemented, and its reply can be found by its six numbers (4.1.2.6)";
    Must nlst_names_can_be_used "The names that NLST shows can be given to RETR as they are (4.1.2.7)";
    Must nlst_of_a_path_can_be_used "The names that NLST of a directory shows can be given to RETR as they are (4.1.2.7)";
    Should listings_are_type_a "LIST and NLST send lines that end with CR LF whatever the TYPE (4.1.2.7)";
    Must site_is_answered "SITE without a known word gets a reply and no action (4.1.2.8)";
    Must stou_tells_the_name "STOU tells the new name in the 125 or 150 reply as `FILE: name` (4.1.2.9)";
    Must split_lines "A command whose CR and LF arrive in different segments is a command (4.1.2.10)";
    Must typed_byte_by_byte "A command that arrives byte by byte is a command (4.1.2.10)";
    Must several_commands_in_one_segment "Several commands in one segment are answered each, in their order (4.1.2.10)";
    Must telnet_negotiation "A Telnet option is refused or dropped, and the command behind it is answered (4.1.2.12)";
    Must minimum_commands "Every command of the minimum implementation is known, save ACCT (4.1.2.13)";
}

fn type_l_8(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"one\ntwo\r\n\r")?;
    s.done("TYPE A")?;
    s.want("TYPE L 8", &[200])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"one\ntwo\r\n\r", "TYPE L 8 changes bytes")
}

fn type_a_t(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("TYPE A T", &[200]).map(drop)
}

fn pasv_is_implemented(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    if s.server()?.is_ipv6() {
        return Err(Stop::NotApplicable("PASV needs IPv4".into()));
    }
    let reply = s.want("PASV", &[227])?;
    s.port_of(&reply).map(drop)
}

/// Every name that `command` shows must work with RETR.
fn usable(s: &mut Session, command: &str, count: usize) -> Outcome {
    let names = s.lines(command)?;
    s.check(names.len() == count, format!("{command} shows {names:?}"))?;
    for name in names {
        let bytes: Vec<u8> = name.chars().map(|letter| letter as u8).collect();
        let content = s.get([b"RETR ", &bytes[..]].concat())?;
        s.check(content == b"content", "not the file")?;
    }
    Ok(())
}

fn nlst_names_can_be_used(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for name in ["plain", "two words", "grüße", "say \"hi\""] {
        s.put(format!("STOR {name}"), b"content")?;
    }
    usable(&mut s, "NLST", 4)
}

fn nlst_of_a_path_can_be_used(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD sub")?;
    s.put("STOR sub/a", b"content")?;
    s.put("STOR sub/b", b"content")?;
    usable(&mut s, "NLST sub", 2)?;
    usable(&mut s, "NLST sub/a", 1)
}

fn listings_are_type_a(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    s.put("STOR b", b"x")?;
    for kind in ["TYPE A", "TYPE I"] {
        s.done(kind)?;
        for line in ["LIST", "NLST"] {
            // `lines` fails on a line that does not end with CR LF, and CR CR LF would leave a CR.
            let lines = s.lines(line)?;
            s.check(
                lines.len() >= 2 && !lines.iter().any(|line| line.contains('\r')),
                format!("{line}: {lines:?}"),
            )?;
        }
    }
    Ok(())
}

fn site_is_answered(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let reply = s.say("SITE NOSUCHWORD")?;
    s.check(reply.code == 202 || reply.code >= 400, "an unknown SITE word is a success")
}

fn stou_tells_the_name(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let tried = s.attempt("STOU", Some(b"unique"))?;
    if tried.first.is_none() && matches!(tried.last.code, 500..=502) {
        return Err(Stop::NotOffered("STOU without a name".into()));
    }
    s.check(tried.succeeded(), "STOU failed")?;
    let told = tried.first.map(|reply| reply.text().to_owned()).unwrap_or_default();
    let name = told.get(4..).and_then(|text| text.trim_start().strip_prefix("FILE: ")).map(str::to_owned);
    let name = name.ok_or_else(|| s.fail("the 1yz reply is not `FILE: name`"))?;
    let bytes = s.get(format!("RETR {name}"))?;
    s.check(bytes == b"unique", "the name that was told holds another file")
}

fn split_lines(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.send(b"NOOP\r")?;
    std::thread::sleep(Duration::from_millis(60)); // so that LF is a segment of its own
    s.send(b"\n")?;
    let answer = s.reply_within(Duration::from_secs(3))?;
    s.check(answer.code() == 200, format!("no 200: {answer:?}"))?;
    s.in_step()
}

fn typed_byte_by_byte(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    for byte in b"NOOP\r\n" {
        s.send(&[*byte])?;
        std::thread::sleep(Duration::from_millis(10)); // a person types slower still
    }
    let answer = s.reply_within(Duration::from_secs(3))?;
    s.check(answer.code() == 200, format!("no 200: {answer:?}"))?;
    s.in_step()
}

fn several_commands_in_one_segment(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.send(b"PWD\r\nNOOP\r\nSYST\r\nFROBNICATE\r\nNOOP\r\n")?;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(s.reply()?.code);
    }
    s.check(matches!(codes[..], [257, 200, 215, 500 | 502, 200]), format!("the replies came as {codes:?}"))?;
    s.in_step()
}

fn telnet_negotiation(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    // IAC DO TIMING-MARK, IAC WILL ECHO.
    s.send(b"\xff\xfd\x06NOOP\r\n")?;
    let answer = s.reply_within(Duration::from_secs(3))?;
    s.check(answer.code() == 200, format!("DO: no 200: {answer:?}"))?;
    s.send(b"\xff\xfb\x01NOOP\r\n")?;
    let answer = s.reply_within(Duration::from_secs(3))?;
    s.check(answer.code() == 200, format!("WILL: no 200: {answer:?}"))?;
    s.in_step()
}

fn minimum_commands(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    // ACCT is left out: where nobody has an account string all servers in wide use answer 502.
    for line in [
        "PASV", "TYPE I", "MODE S", "STRU F", "RNFR a", "RNTO b", "DELE b", "MKD d", "CWD d", "CDUP",
        "RMD d", "PWD", "SYST", "STAT", "HELP", "NOOP",
    ] {
        let reply = s.say(line)?;
        s.check(!matches!(reply.code, 500 | 502) && reply.code < 400, format!("{line} is not implemented"))?;
    }
    for (line, upload) in
        [("STOR a", true), ("APPE a", true), ("RETR a", false), ("LIST", false), ("NLST", false)]
    {
        let tried = s.attempt(line, upload.then_some(b"x"))?;
        s.check(tried.succeeded(), format!("{line} is not implemented"))?;
    }
    s.want("QUIT", &[221]).map(drop)
}
