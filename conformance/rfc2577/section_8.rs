//! RFC 2577 §8: port stealing.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::suite::prelude::*;

group! { "RFC 2577", "8", "rfc2577/section_8":
    Should ports_are_not_in_a_row "Passive ports do not simply count up";
    Safety a_stranger_gets_no_file "Who connects to the passive port from another address gets no byte of the file";
    Safety a_stranger_gives_no_file "Who connects to the passive port from another address cannot put bytes into an upload";
    Should a_stranger_does_not_spoil_the_transfer "After a stranger was turned away the client is still served";
}

fn ports_are_not_in_a_row(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    let mut ports = Vec::new();
    for _ in 0..6 {
        ports.push(s.passive_address()?.port());
    }
    let counting = ports.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 1 || pair[0] == pair[1]);
    s.check(!counting, format!("the ports are {ports:?}"))
}

/// Connects from 127.0.0.77.
fn stranger(s: &Session, to: SocketAddr) -> Result<TcpStream, Stop> {
    let made = socket(AddressFamily::INET, SocketType::STREAM, None)
        .and_then(|own| bind(&own, &SocketAddr::from((Ipv4Addr::new(127, 0, 0, 77), 0))).map(|()| own))
        .map_err(|error| Stop::NotApplicable(format!("no second address: {error}")))?;
    // Refused at once is as good as turned away later.
    let _ = connect(&made, &to).map_err(|error| s.fail(error.to_string()));
    let made = TcpStream::from(made);
    let _ = made.set_read_timeout(Some(Duration::from_secs(2)));
    Ok(made)
}

fn a_stranger_gets_no_file(t: &Stage<'_>) -> Outcome {
    t.on_loopback()?;
    let mut s = t.work()?;
    s.put("STOR a", b"for the client only")?;
    let address = s.passive_address()?;
    let mut thief = stranger(&s, address)?;
    s.send(b"RETR a\r\n")?;
    let _ = s.reply_within(Duration::from_secs(1))?;
    let mut stolen = Vec::new();
    let _ = thief.read_to_end(&mut stolen);
    s.check(stolen.is_empty(), format!("the stranger got {}", stolen.escape_ascii()))
}

fn a_stranger_gives_no_file(t: &Stage<'_>) -> Outcome {
    t.on_loopback()?;
    let mut s = t.work()?;
    let address = s.passive_address()?;
    let mut thief = stranger(&s, address)?;
    s.send(b"STOR a\r\n")?;
    let _ = s.reply_within(Duration::from_secs(1))?;
    let _ = std::io::Write::write_all(&mut thief, b"forged");
    drop(thief);
    let _ = s.reply_within(Duration::from_secs(1))?;
    let mut other = t.work()?;
    let tried = other.attempt("RETR a", None)?;
    other.check(tried.data != b"forged", "the stranger's bytes are in the file")
}

fn a_stranger_does_not_spoil_the_transfer(t: &Stage<'_>) -> Outcome {
    t.on_loopback()?;
    let mut s = t.work()?;
    s.put("STOR a", b"for the client only")?;
    let address = s.passive_address()?;
    let _thieves = [stranger(&s, address)?, stranger(&s, address)?];
    s.send(b"RETR a\r\n")?;
    let data = s.connect_data(address)?;
    let first = s.reply()?;
    s.among(b"RETR a", &first, &[125, 150])?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"for the client only", "the client was not served")
}
