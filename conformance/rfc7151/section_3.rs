//! RFC 7151 §3: HOST.

use crate::suite::prelude::*;

group! { "RFC 7151", "3", "rfc7151/section_3":
    Must host_before_login "HOST before login is answered 220, or 504 for a host the server does not know (3.1)";
    Must host_after_login "HOST after login is refused with 503 (3.1)";
    Must host_syntax "HOST with a port or with junk is refused with 501 (3.2)";
    Must host_with_an_address "HOST takes an IPv6 address in brackets (3.2)";
    Must host_is_announced "FEAT announces HOST where it works (3.4)";
    Must login_after_host "After HOST the login works as before (3.2)";
}

fn name(t: &Stage<'_>) -> String {
    if t.place.address.is_ipv4() {
        t.place.address.ip().to_string()
    } else {
        format!("[{}]", t.place.address.ip())
    }
}

fn probe(t: &Stage<'_>) -> Result<(Session, u16), Stop> {
    let mut s = t.greeted()?;
    let reply = s.optional("HOST", format!("HOST {}", name(t)))?;
    if reply.code == 530 && !s.announces("HOST")? {
        // What a server without HOST says to every word before login.
        return Err(Stop::NotOffered(reply.text().to_owned()));
    }
    Ok((s, reply.code))
}

fn host_before_login(t: &Stage<'_>) -> Outcome {
    let (s, code) = probe(t)?;
    s.check(matches!(code, 220 | 504), format!("{code}"))
}

fn host_after_login(t: &Stage<'_>) -> Outcome {
    probe(t)?;
    let mut s = t.logged_in()?;
    s.want("HOST example.org", &[503]).map(drop)
}

fn host_syntax(t: &Stage<'_>) -> Outcome {
    probe(t)?;
    let mut s = t.greeted()?;
    for line in ["HOST", "HOST example.org:21", "HOST [::1", "HOST two words"] {
        s.want(line, &[500, 501, 504])?;
    }
    Ok(())
}

fn host_with_an_address(t: &Stage<'_>) -> Outcome {
    probe(t)?;
    let mut s = t.greeted()?;
    s.want("HOST [::1]", &[220, 504]).map(drop)
}

fn host_is_announced(t: &Stage<'_>) -> Outcome {
    let (mut s, _) = probe(t)?;
    let announced = s.announces("HOST")?;
    s.check(announced, "FEAT does not announce HOST")
}

fn login_after_host(t: &Stage<'_>) -> Outcome {
    let (mut s, _) = probe(t)?;
    t.login(&mut s)?;
    s.want("PWD", &[257]).map(drop)
}
