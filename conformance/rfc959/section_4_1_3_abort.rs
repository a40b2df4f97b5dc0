//! RFC 959 §4.1.3, ABOR, and what else may be said while data moves. RFC 1123 §4.1.3.3 lets a simple server answer late, never
//! twice or not at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::{SendFlags, send, sockopt};

use crate::suite::prelude::*;

group! { "RFC 959", "4.1.3 (ABOR)", "rfc959/section_4_1_3_abort":
    Must abor_idle "ABOR without a transfer is answered 225 or 226";
    Must abor_after_pasv "ABOR after PASV is answered 225 or 226 and the session goes on";
    Must abor_gets_two_replies "ABOR in a download: one final reply for the transfer, one for ABOR, and nothing is out of step";
    Must abor_in_an_upload "ABOR in an upload: one final reply for the transfer, one for ABOR, and nothing is out of step";
    Should abor_plain "A plain ABOR ends a download that the client does not read within 3 s";
    Should abor_with_ip_and_synch "ABOR after Telnet IP and Synch with an urgent DM ends such a download within 3 s";
    Practice abor_all_urgent "ABOR sent whole as urgent data, as Python's ftplib does, ends such a download within 3 s";
    Practice abor_urgent_iac "ABOR after IAC IP IAC as urgent data and DM in band ends such a download within 3 s";
    Must transfer_after_abor "After ABOR the next transfer works";
    Should stat_in_a_transfer "STAT in a transfer is answered 211 at once, while the transfer goes on";
    Must stat_in_a_transfer_once "STAT in a transfer is answered exactly once, at once or after it";
    Must noop_in_a_transfer "NOOP in a transfer is answered exactly once, and the transfer is whole";
    Must quit_in_a_transfer "QUIT in a transfer lets it end well, and then the connection is closed";
}

/// More than socket buffers hold, where the client's is small.
const BIG: usize = 24 << 20;

/// Starts a download that the client does not read on.
fn stuck(t: &Stage<'_>) -> Result<(Session, TcpStream), Stop> {
    let mut s = t.work()?;
    let planted = t.plant("big", &vec![7; BIG]);
    if planted.is_err() {
        s.put("STOR big", &vec![7; BIG])?;
    }
    let mut data = s.passive()?;
    let _ = sockopt::set_socket_recv_buffer_size(&data, 64 << 10);
    s.want("RETR big", &[125, 150])?;
    data.read_exact(&mut [0; 1000]).map_err(|error| s.fail(format!("no data: {error}")))?;
    Ok((s, data))
}

fn urgent(s: &Session, bytes: &[u8]) -> Outcome {
    send(s.stream(), bytes, SendFlags::OOB)
        .map(drop)
        .map_err(|error| s.fail(format!("sending urgent data failed: {error}")))
}

fn abor_idle(t: &Stage<'_>) -> Outcome {
    let mut s = t.logged_in()?;
    s.want("ABOR", &[225, 226])?;
    s.in_step()
}

fn abor_after_pasv(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let _address = s.passive_address()?;
    s.want("ABOR", &[225, 226])?;
    s.in_step()?;
    s.names("NLST").map(drop)
}

fn abor_gets_two_replies(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"ABOR\r\n")?;
    // A server that defers ABOR goes on sending: the client reads, or gives up.
    let mut first = s.reply_within(Duration::from_secs(1))?;
    let _ = s.drain(data);
    if first == Answer::Silence {
        first = Answer::Reply(s.reply()?);
    }
    let second = s.reply()?;
    let good = matches!(first.code(), 226 | 250 | 425 | 426 | 450 | 451) && matches!(second.code, 225 | 226);
    s.check(good, format!("the replies were {} and {}", first.code(), second.code))?;
    s.in_step()
}

fn abor_in_an_upload(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let mut data = s.passive()?;
    s.want("STOR up", &[125, 150])?;
    data.write_all(b"half").map_err(|error| s.fail(error.to_string()))?;
    s.send(b"ABOR\r\n")?;
    let mut first = s.reply_within(Duration::from_secs(1))?;
    drop(data);
    if first == Answer::Silence {
        first = Answer::Reply(s.reply()?);
    }
    let second = s.reply_within(Duration::from_secs(3))?;
    let good =
        matches!(first.code(), 226 | 250 | 425 | 426 | 450 | 451) && matches!(second.code(), 225 | 226);
    s.check(good, format!("the replies were {} and {} (0: none)", first.code(), second.code()))?;
    s.in_step()
}

/// Fails unless both replies to an ABOR come while the client still does not read the data.
fn at_once(s: &mut Session, data: &TcpStream) -> Outcome {
    let first = s.reply_within(Duration::from_secs(3))?;
    s.check(
        matches!(first.code(), 425 | 426 | 450 | 451),
        format!("the transfer was not cut within 3 s: {first:?}"),
    )?;
    let second = s.reply_within(Duration::from_secs(3))?;
    s.check(matches!(second.code(), 225 | 226), format!("no reply to ABOR itself: {second:?}"))?;
    let _ = data.take_error();
    s.in_step()
}

fn abor_plain(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"ABOR\r\n")?;
    at_once(&mut s, &data)
}

fn abor_with_ip_and_synch(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"\xff\xf4\xff")?;
    urgent(&s, b"\xf2")?;
    s.send(b"ABOR\r\n")?;
    at_once(&mut s, &data)
}

fn abor_all_urgent(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    urgent(&s, b"ABOR\r\n")?;
    at_once(&mut s, &data)
}

fn abor_urgent_iac(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    urgent(&s, b"\xff\xf4\xff")?;
    s.send(b"\xf2ABOR\r\n")?;
    at_once(&mut s, &data)
}

fn transfer_after_abor(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"ABOR\r\n")?;
    let first = s.reply_within(Duration::from_secs(1))?;
    drop(data);
    if first == Answer::Silence {
        s.reply()?;
    }
    s.reply()?;
    s.put("STOR small", b"after")?;
    let bytes = s.get("RETR small")?;
    s.check(bytes == b"after", "not the file")
}

fn stat_in_a_transfer(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"STAT\r\n")?;
    let answer = s.reply_within(Duration::from_secs(2))?;
    s.check(answer.code() == 211, format!("no 211 within 2 s: {answer:?}"))?;
    let bytes = s.drain(data)?;
    s.check(bytes.len() == BIG - 1000, "the transfer is not whole")?;
    let last = s.reply()?;
    s.among(b"RETR big", &last, &[226, 250])?;
    s.in_step()
}

fn stat_in_a_transfer_once(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"STAT\r\n")?;
    let _ = s.drain(data)?;
    let mut codes = [s.reply()?.code, s.reply()?.code];
    codes.sort_unstable();
    s.check(
        matches!(codes, [211, 226 | 250]),
        format!("the replies were {codes:?}, not one 211 and one 226"),
    )?;
    s.in_step()
}

fn noop_in_a_transfer(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"NOOP\r\n")?;
    let bytes = s.drain(data)?;
    s.check(bytes.len() == BIG - 1000, "the transfer is not whole")?;
    let mut codes = [s.reply()?.code, s.reply()?.code];
    codes.sort_unstable();
    s.check(
        matches!(codes, [200, 226 | 250]),
        format!("the replies were {codes:?}, not one 200 and one 226"),
    )?;
    s.in_step()
}

fn quit_in_a_transfer(t: &Stage<'_>) -> Outcome {
    let (mut s, data) = stuck(t)?;
    s.send(b"QUIT\r\n")?;
    let bytes = s.drain(data)?;
    s.check(bytes.len() == BIG - 1000, format!("the transfer was cut after {} bytes", bytes.len() + 1000))?;
    let first = s.reply()?;
    s.check(matches!(first.code, 226 | 250), "the transfer's reply does not come first")?;
    let second = s.reply()?;
    s.among(b"QUIT", &second, &[221])?;
    s.closed()
}
