//! Order, pipelining and what a session remembers.

use std::time::Duration;

use crate::suite::prelude::*;

group! { "practice", "sequences", "practice/sequences":
    Practice a_thousand_pipelined "A thousand commands sent in one go are answered each, in order";
    Practice refused_before_150 "A transfer that cannot work is refused before any data connection is announced";
    Practice no_226_before_the_data "The final reply comes after the last byte of data, not before";
    Safety transfer_keeps_its_file "USER and another RETR sent behind a RETR do not change which file it sends";
    Practice passive_twice "A second PASV or EPSV closes the port of the first";
    Practice port_is_closed_after_the_transfer "After a transfer its passive port takes no more connections";
    Practice rein_forgets "REIN forgets TYPE, REST, RNFR and the directory";
    Practice no_unasked_replies "The server says nothing unasked";
    Practice commands_after_a_failed_transfer "After a refused transfer the next command gets its own reply";
    Practice stor_then_rest "An upload that was cut can be resumed with REST and STOR, or APPE";
    Practice two_sessions "A file stored by one session is seen by another as soon as its 226 has come";
    Practice user_before_data_port "PASV, USER and PASS of another login do not carry the data port over";
}

fn a_thousand_pipelined(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.send(&b"NOOP\r\nPWD\r\n".repeat(500))?;
    for _ in 0..500 {
        let (first, second) = (s.reply()?.code, s.reply()?.code);
        s.check((first, second) == (200, 257), format!("{first} and {second} instead of 200 and 257"))?;
    }
    s.in_step()
}

fn refused_before_150(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD dir")?;
    for line in ["RETR nothing-here", "RETR dir", "STOR nothing-here/x", "STOR dir"] {
        let tried = s.attempt(line, Some(b""))?;
        s.check(tried.first.is_none() && tried.last.code >= 400, format!("{line} was announced first"))?;
    }
    Ok(())
}

fn no_226_before_the_data(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    // More than what the sockets on the way can hold.
    s.put("STOR big", &vec![7; 16 << 20])?;
    let data = s.passive()?;
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&data, 64 << 10);
    s.want("RETR big", &[125, 150])?;
    let early = s.reply_within(Duration::from_millis(300))?;
    s.check(early == Answer::Silence, format!("before the data were read: {early:?}"))?;
    let bytes = s.drain(data)?;
    s.check(bytes.len() == 16 << 20, "not the file")?;
    let last = s.reply()?;
    s.among(b"RETR big", &last, &[226, 250])
}

fn transfer_keeps_its_file(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"the first")?;
    s.put("STOR b", b"the second")?;
    let address = s.passive_address()?;
    s.send(b"RETR a\r\nUSER nobody-has-this-name\r\nRETR b\r\n")?;
    let _ = s.reply_within(Duration::from_millis(300))?;
    let data = s.connect_data(address)?;
    let bytes = s.drain(data).unwrap_or_default();
    s.check(bytes == b"the first" || bytes.is_empty(), format!("sent {}", bytes.escape_ascii()))
}

fn gone(s: &Session, address: std::net::SocketAddr) -> bool {
    let Ok(mut data) = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)) else {
        return true;
    };
    let _ = data.set_read_timeout(Some(Duration::from_millis(500)));
    // Accepted by the system's queue and closed at once is gone as well.
    let _ = s;
    matches!(std::io::Read::read(&mut data, &mut [0; 1]), Ok(0))
        || std::io::Write::write_all(&mut data, b"x")
            .and_then(|()| std::io::Write::write_all(&mut data, b"x"))
            .is_err()
}

fn passive_twice(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let first = s.passive_address()?;
    let second = s.passive_address()?;
    s.check(first == second || gone(&s, first), "the first port is still open")?;
    let data = s.connect_data(second)?;
    s.want("RETR a", &[125, 150])?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"x", "the second port does not serve")
}

fn port_is_closed_after_the_transfer(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let address = s.passive_address()?;
    let data = s.connect_data(address)?;
    s.want("RETR a", &[125, 150])?;
    s.drain(data)?;
    s.reply()?;
    s.check(gone(&s, address), "the port is still open")
}

fn rein_forgets(t: &Stage<'_>) -> Outcome {
    t.logged_in()?.optional("REIN", "REIN")?;
    let mut s = t.work()?;
    let home = t.logged_in()?.want("PWD", &[257])?;
    s.put("STOR a", b"one\ntwo\n")?;
    s.say("REST 3")?;
    s.say("RNFR a")?;
    let reply = s.optional("REIN", "REIN")?;
    s.among(b"REIN", &reply, &[220, 230])?;
    t.login(&mut s)?;
    let here = s.want("PWD", &[257])?;
    s.check(here == home, "the directory was kept")?;
    s.want("RNTO b", &[500, 501, 503])?;
    s.done(format!("CWD {}", t.folder))?;
    s.done("TYPE I")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"one\ntwo\n", "REST was kept")
}

fn no_unasked_replies(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let _address = s.passive_address()?;
    let more = s.reply_within(Duration::from_millis(700))?;
    s.check(more == Answer::Silence, format!("unasked: {more:?}"))
}

fn commands_after_a_failed_transfer(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for line in ["RETR nothing-here", "LIST nothing-here", "STOR nothing-here/x"] {
        s.attempt(line, Some(b""))?;
        s.in_step()?;
    }
    Ok(())
}

fn stor_then_rest(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"the first half, ")?;
    let size = s.optional("SIZE", "SIZE a")?;
    s.check(size.text() == "213 16", "SIZE does not tell where to go on")?;
    s.want("REST 16", &[350])?;
    s.put("STOR a", b"the second half")?;
    s.put("APPE a", b", the end")?;
    let bytes = s.get("RETR a")?;
    s.check(
        bytes == b"the first half, the second half, the end",
        format!("now it is {}", bytes.escape_ascii()),
    )
}

fn two_sessions(t: &Stage<'_>) -> Outcome {
    let mut one = t.work()?;
    let mut two = t.work()?;
    for round in 0..5_u8 {
        one.put("STOR a", &[round; 1000])?;
        let bytes = two.get("RETR a")?;
        two.check(bytes == [round; 1000], "the other session sees an older file")?;
    }
    Ok(())
}

fn user_before_data_port(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    t.logged_in()?.optional("REIN", "REIN")?;
    let (listener, _, port) = s.listen()?;
    if !s.server()?.is_ipv4() || !t.place.address.ip().is_loopback() {
        return Err(Stop::NotApplicable("needs a server on 127.0.0.1".into()));
    }
    s.want(format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255), &[200])?;
    let reply = s.optional("REIN", "REIN")?;
    s.among(b"REIN", &reply, &[220, 230])?;
    t.login(&mut s)?;
    s.done(format!("CWD {}", t.folder))?;
    let _ = listener.set_nonblocking(true);
    s.send(b"RETR a\r\n")?;
    if (100..200).contains(&s.reply_within(Duration::from_secs(3))?.code()) {
        let _ = s.reply_within(Duration::from_secs(3))?;
    }
    s.check(listener.accept().is_err(), "the port of the login before was connected to")
}
