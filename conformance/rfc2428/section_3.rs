//! RFC 2428 §3 and §4: EPSV and EPSV ALL.

use crate::suite::prelude::*;

group! { "RFC 2428", "3", "rfc2428/section_3":
    Must epsv_form "EPSV is answered 229 with `(|||port|)`: three equal delimiters, a port, one more";
    Must epsv_transfers "The port that EPSV tells serves the transfer";
    Must epsv_with_the_own_family "EPSV with the network protocol of the control connection is answered 229";
    Must epsv_unknown_family "EPSV with an unknown network protocol is refused with 522, or 501";
    Must epsv_junk "EPSV with a word that is no protocol is refused";
    Must epsv_all_then_pasv "After EPSV ALL the server refuses PASV, PORT and EPRT";
    Must epsv_all_then_epsv "After EPSV ALL the server serves EPSV";
    Should epsv_again "A second EPSV replaces the first and serves the transfer";
}

fn probe(s: &mut Session) -> Outcome {
    s.optional("EPSV", "EPSV").map(drop)
}

fn epsv_form(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let reply = s.optional("EPSV", "EPSV")?;
    s.among(b"EPSV", &reply, &[229])?;
    let text = reply.text();
    let inside =
        text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inside, _)| inside);
    let delimiter = inside.chars().next().unwrap_or(' ');
    let digits = inside.trim_matches(delimiter);
    let port: u16 = digits.parse().unwrap_or(0);
    let form = format!("{delimiter}{delimiter}{delimiter}{port}{delimiter}");
    s.check(delimiter.is_ascii_graphic() && port > 0 && inside == form, format!("not (|||port|): {inside:?}"))
}

fn epsv_transfers(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    probe(&mut s)?;
    s.put("STOR a", b"extended")?;
    let reply = s.want("EPSV", &[229])?;
    let port = s.port_of(&reply)?;
    let address = std::net::SocketAddr::new(s.server()?.ip(), port);
    let data = s.connect_data(address)?;
    s.want("RETR a", &[125, 150])?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"extended", "not the file")
}

fn epsv_with_the_own_family(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    probe(&mut s)?;
    let family = if s.server()?.is_ipv4() { 1 } else { 2 };
    s.want(format!("EPSV {family}"), &[229]).map(drop)
}

fn epsv_unknown_family(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    probe(&mut s)?;
    s.want("EPSV 9", &[501, 522]).map(drop)
}

fn epsv_junk(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    probe(&mut s)?;
    s.want("EPSV frob", &[500, 501, 504, 522]).map(drop)
}

fn all(s: &mut Session) -> Outcome {
    probe(s)?;
    let reply = s.say("EPSV ALL")?;
    s.check((200..300).contains(&reply.code), "EPSV ALL is not accepted")
}

fn epsv_all_then_pasv(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    all(&mut s)?;
    let (_listener, _, port) = s.listen()?;
    s.refused("PASV")?;
    s.refused(format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255))?;
    s.refused(format!("EPRT |1|127.0.0.1|{port}|")).map(drop)
}

fn epsv_all_then_epsv(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"extended")?;
    all(&mut s)?;
    s.want("EPSV", &[229])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"extended", "not the file")
}

fn epsv_again(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    probe(&mut s)?;
    s.put("STOR a", b"x")?;
    s.want("EPSV", &[229])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"x", "not the file")
}
