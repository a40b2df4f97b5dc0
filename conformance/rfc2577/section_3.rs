//! RFC 2577 §3: the bounce attack.

use std::net::TcpListener;
use std::time::Duration;

use crate::suite::prelude::*;

group! { "RFC 2577", "3", "rfc2577/section_3":
    Should port_below_1024 "PORT to a port below 1024 is refused";
    Should eprt_below_1024 "EPRT to a port below 1024 is refused";
    Safety port_to_a_third_party "After PORT to another address than the client's nobody is connected to there";
    Safety eprt_to_a_third_party "After EPRT to another address than the client's nobody is connected to there";
}

fn port_below_1024(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    t.on_loopback()?;
    s.want("PORT 127,0,0,1,0,25", &[425, 500, 501, 504, 530, 550]).map(drop)
}

fn eprt_below_1024(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    t.on_loopback()?;
    let (_listener, own, port) = s.listen()?;
    s.optional("EPRT", format!("EPRT |1|{own}|{port}|"))?;
    s.want("EPRT |1|127.0.0.1|25|", &[425, 500, 501, 504, 522, 530, 550]).map(drop)
}

/// Names a victim on 127.0.0.2 by `line` and asks for a file; the victim must not hear of it.
fn bounce(t: &Stage<'_>, line: fn(u16) -> String) -> Outcome {
    t.on_loopback()?;
    let mut s = t.work()?;
    s.put("STOR a", b"bounced")?;
    let victim =
        TcpListener::bind(("127.0.0.2", 0)).map_err(|error| Stop::NotApplicable(error.to_string()))?;
    let _ = victim.set_nonblocking(true);
    let port = victim.local_addr().map_err(|error| s.fail(error.to_string()))?.port();
    let reply = s.say(line(port))?;
    s.send(b"RETR a\r\n")?;
    let first = s.reply_within(Duration::from_secs(3))?;
    if (100..200).contains(&first.code()) {
        let _ = s.reply_within(Duration::from_secs(3))?;
    }
    s.check(victim.accept().is_err(), "the victim was connected to")?;
    s.check(reply.code >= 400, "the address was accepted")
}

fn port_to_a_third_party(t: &Stage<'_>) -> Outcome {
    bounce(t, |port| format!("PORT 127,0,0,2,{},{}", port >> 8, port & 255))
}

fn eprt_to_a_third_party(t: &Stage<'_>) -> Outcome {
    bounce(t, |port| format!("EPRT |1|127.0.0.2|{port}|"))
}
