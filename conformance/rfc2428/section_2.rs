//! RFC 2428 §2: EPRT.

use std::time::Duration;

use crate::suite::prelude::*;

group! { "RFC 2428", "2", "rfc2428/section_2":
    Must eprt_transfers "After EPRT the server connects to the client's port";
    Must eprt_with_another_delimiter "EPRT takes any printable delimiter";
    Must unknown_family_is_522 "EPRT with an unknown network protocol is refused with 522 and the list of known ones";
    Must eprt_grammar "EPRT without its form is refused";
    Must other_family_is_refused "EPRT with an address of another family than the connection's is refused, or never used";
    Safety failed_eprt_forgets_the_target "After an EPRT that is refused the target of an earlier one is not used any more";
}

/// Returns the delimited form of an address of our own, after a probe that EPRT is known.
fn target(s: &mut Session, delimiter: char) -> Result<(std::net::TcpListener, String), Stop> {
    let (listener, own, port) = s.listen()?;
    let family = if own.is_ipv4() { 1 } else { 2 };
    Ok((listener, format!("EPRT {delimiter}{family}{delimiter}{own}{delimiter}{port}{delimiter}")))
}

/// Errors: not offered, when the server does not know the plain form.
/// Returns the listener: some connect to it at once.
fn probe(s: &mut Session) -> Result<std::net::TcpListener, Stop> {
    let (listener, line) = target(s, '|')?;
    s.optional("EPRT", line)?;
    Ok(listener)
}

fn transfers(t: &Stage<'_>, delimiter: char) -> Outcome {
    let mut s = t.work()?;
    let _probe = probe(&mut s)?;
    s.put("STOR a", b"extended")?;
    let (listener, line) = target(&mut s, delimiter)?;
    s.want(line, &[200])?;
    s.want("RETR a", &[125, 150])?;
    let data = s.accept(&listener)?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"extended", "not the file")
}

fn eprt_transfers(t: &Stage<'_>) -> Outcome {
    transfers(t, '|')
}

fn eprt_with_another_delimiter(t: &Stage<'_>) -> Outcome {
    transfers(t, '!')
}

fn unknown_family_is_522(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let _probe = probe(&mut s)?;
    let reply = s.want("EPRT |9|127.0.0.1|50000|", &[522])?;
    s.check(
        reply.text().contains('(') && reply.text().contains(')'),
        "no list of known protocols in parentheses",
    )
}

fn eprt_grammar(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let _probe = probe(&mut s)?;
    for line in [
        "EPRT",
        "EPRT foo",
        "EPRT |1|127.0.0.1|",
        "EPRT |1|127.0.0.1|99999|",
        "EPRT |1|not-an-address|5000|",
        "EPRT |||5000|",
    ] {
        s.want(line, &[425, 500, 501, 504, 522])?;
    }
    Ok(())
}

fn other_family_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let other = if s.server()?.is_ipv4() { "EPRT |2|::1|50000|" } else { "EPRT |1|127.0.0.1|50000|" };
    let _probe = probe(&mut s)?;
    s.want(other, &[500, 501, 504, 522, 530, 550, 425]).map(drop)
}

fn failed_eprt_forgets_the_target(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"secret")?;
    let (listener, line) = target(&mut s, '|')?;
    let reply = s.optional("EPRT", line)?;
    s.among(b"EPRT", &reply, &[200])?;
    s.refused("EPRT foo")?;
    let _ = listener.set_nonblocking(true);
    s.send(b"RETR a\r\n")?;
    let first = s.reply_within(Duration::from_secs(3))?;
    if (100..200).contains(&first.code()) {
        let _ = s.reply_within(Duration::from_secs(3))?;
    }
    s.check(listener.accept().is_err(), "the target of the first EPRT was connected to")
}
