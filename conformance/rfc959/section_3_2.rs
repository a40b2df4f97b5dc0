//! RFC 959 §3.2 and §3.3: establishing and managing data connections.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use crate::suite::prelude::*;

group! { "RFC 959", "3.2", "rfc959/section_3_2":
    Must port_transfers "After PORT the server connects to the client's port and sends the file there";
    Must port_takes_uploads "After PORT the server connects to the client's port and takes a file from there";
    Must pasv_transfers "After PASV the client connects to the port in the 227 reply and gets the file";
    Must connect_before_the_command "A passive data connection that is made before the transfer command serves it";
    Must connect_after_the_command "A passive data connection that is made after the transfer command serves it";
    Must no_data_port_is_answered "RETR without PORT or PASV ends in a refusal, not in silence";
    Must port_then_pasv "The last of PORT and PASV counts";
    Must pasv_then_port "The last of PASV and PORT counts";
    Must closed_data_port_is_425 "When the client's port refuses the connection the transfer ends with 425 and the session goes on";
    Must end_of_file_is_the_end_of_the_connection "In stream mode the server closes the data connection at the end of the file";
    Must many_transfers "One session makes fifty transfers in a row";
    Safety failed_port_forgets_the_target "After a PORT that is refused the target of an earlier one is not used any more";
}

fn port(s: &Session) -> Result<(std::net::TcpListener, String), Stop> {
    let (listener, own, port) = s.listen()?;
    let std::net::IpAddr::V4(own) = own else {
        return Err(Stop::NotApplicable("PORT needs IPv4".into()));
    };
    let host = own.to_string().replace('.', ",");
    Ok((listener, format!("PORT {host},{},{}", port >> 8, port & 255)))
}

fn port_transfers(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"active")?;
    let (listener, line) = port(&s)?;
    s.want(line, &[200])?;
    s.want("RETR a", &[125, 150])?;
    let data = s.accept(&listener)?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"active", "not the file")?;
    let last = s.reply()?;
    s.among(b"RETR a", &last, &[226, 250])
}

fn port_takes_uploads(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let (listener, line) = port(&s)?;
    s.want(line, &[200])?;
    s.want("STOR a", &[125, 150])?;
    let data = s.accept(&listener)?;
    s.fill(data, b"uploaded")?;
    let last = s.reply()?;
    s.among(b"STOR a", &last, &[226, 250])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"uploaded", "not the file")
}

fn pasv(s: &mut Session) -> Result<std::net::SocketAddr, Stop> {
    let reply = s.want("PASV", &[227])?;
    let port = s.port_of(&reply)?;
    Ok(std::net::SocketAddr::new(s.server()?.ip(), port))
}

fn pasv_transfers(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"passive")?;
    let address = pasv(&mut s)?;
    let data = s.connect_data(address)?;
    s.want("RETR a", &[125, 150])?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"passive", "not the file")?;
    let last = s.reply()?;
    s.among(b"RETR a", &last, &[226, 250])
}

fn connect_before_the_command(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"early")?;
    let data = s.passive()?;
    std::thread::sleep(Duration::from_millis(50)); // the server may notice the connection at its leisure
    s.want("RETR a", &[125, 150])?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"early", "not the file")
}

fn connect_after_the_command(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"late")?;
    let address = s.passive_address()?;
    s.send(b"RETR a\r\n")?;
    std::thread::sleep(Duration::from_millis(50)); // the command is there first
    let data = s.connect_data(address)?;
    let first = s.reply()?;
    s.among(b"RETR a", &first, &[125, 150])?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"late", "not the file")
}

/// Reads the final reply to a transfer that cannot get a data connection.
fn refused_transfer(s: &mut Session, line: &str) -> Outcome {
    let mut reply = s.say(line)?;
    if (100..200).contains(&reply.code) {
        reply = s.reply()?;
    }
    s.among(line.as_bytes(), &reply, &[425, 426, 451, 421, 500, 501, 503, 530])
}

fn no_data_port_is_answered(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    refused_transfer(&mut s, "RETR a")?;
    s.in_step()
}

fn port_then_pasv(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"passive")?;
    let (_listener, line) = port(&s)?;
    s.want(line, &[200])?;
    let address = pasv(&mut s)?;
    let data = s.connect_data(address)?;
    s.want("RETR a", &[125, 150])?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"passive", "the file did not come over the passive connection")
}

fn pasv_then_port(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"active")?;
    pasv(&mut s)?;
    let (listener, line) = port(&s)?;
    s.want(line, &[200])?;
    s.want("RETR a", &[125, 150])?;
    let data = s.accept(&listener)?;
    let bytes = s.drain(data)?;
    s.check(bytes == b"active", "the file did not come over the active connection")
}

fn closed_data_port_is_425(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let (listener, line) = port(&s)?;
    drop(listener);
    // Some connect at PORT already, and say so there.
    if s.want(line, &[200, 425])?.code == 200 {
        refused_transfer(&mut s, "RETR a")?;
    }
    s.in_step()?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"x", "the next transfer did not work")
}

fn end_of_file_is_the_end_of_the_connection(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"to the end")?;
    let mut data: TcpStream = s.passive()?;
    s.want("RETR a", &[125, 150])?;
    let mut bytes = [0; 10];
    data.read_exact(&mut bytes).map_err(|error| s.fail(format!("reading the data failed: {error}")))?;
    let rest = s.drain(data)?;
    s.check(&bytes == b"to the end" && rest.is_empty(), "not the file")?;
    let last = s.reply()?;
    s.among(b"RETR a", &last, &[226, 250])
}

fn many_transfers(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"again")?;
    for _ in 0..50 {
        let bytes = s.get("RETR a")?;
        s.check(bytes == b"again", "not the file")?;
    }
    s.in_step()
}

fn failed_port_forgets_the_target(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"secret")?;
    let (listener, line) = port(&s)?;
    s.want(line, &[200])?;
    s.refused("PORT 1,2,3")?;
    let _ = listener.set_nonblocking(true);
    s.send(b"RETR a\r\n")?;
    let first = s.reply_within(Duration::from_secs(3))?;
    if (100..200).contains(&first.code()) {
        // The default data port of RFC 959 may be tried; the forgotten one may not.
        let _ = s.reply_within(Duration::from_secs(3))?;
    }
    s.check(listener.accept().is_err(), "the target of the first PORT was connected to")
}
