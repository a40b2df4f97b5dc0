//! draft-preston-ftpext-deflate: MODE Z.

use crate::suite::prelude::*;

group! { "draft-preston-ftpext-deflate", "3", "drafts/deflate":
    Must mode_z_announced "FEAT announces MODE Z exactly where MODE Z is accepted";
    Must mode_z_compresses "A download in MODE Z is a zlib stream, and shorter for a file that repeats itself";
    Must mode_z_expands "An upload in MODE Z is expanded before it is kept";
    Safety mode_z_bad_stream "An upload in MODE Z that is no zlib stream ends in a refusal";
}

fn mode_z(t: &Stage<'_>) -> Result<Session, Stop> {
    let mut s = t.work()?;
    let reply = s.say("MODE Z")?;
    if reply.code == 200 {
        return Ok(s);
    }
    let announced = s.announces("MODE Z")?;
    s.check(!announced, "FEAT announces MODE Z, which is refused")?;
    Err(Stop::NotOffered(reply.text().to_owned()))
}

fn mode_z_announced(t: &Stage<'_>) -> Outcome {
    let mut s = mode_z(t)?;
    s.done("MODE S")?;
    let announced = s.announces("MODE Z")?;
    s.check(announced, "MODE Z works and FEAT does not announce it")
}

fn mode_z_compresses(t: &Stage<'_>) -> Outcome {
    let mut s = mode_z(t)?;
    s.done("MODE S")?;
    s.put("STOR a", &vec![b'z'; 100_000])?;
    s.done("MODE Z")?;
    let bytes = s.get("RETR a")?;
    // RFC 1950: deflate, and the first two bytes are a multiple of 31.
    let header =
        bytes.len() > 2 && bytes[0] & 15 == 8 && (u16::from(bytes[0]) * 256 + u16::from(bytes[1])) % 31 == 0;
    s.check(header && bytes.len() < 10_000, format!("{} bytes, beginning {:?}", bytes.len(), bytes.get(..2)))
}

/// `hello` as one stored block, with its Adler-32.
const STORED: [u8; 16] =
    [0x78, 0x01, 1, 5, 0, 0xfa, 0xff, b'h', b'e', b'l', b'l', b'o', 0x06, 0x2c, 0x02, 0x15];

fn mode_z_expands(t: &Stage<'_>) -> Outcome {
    let mut s = mode_z(t)?;
    s.put("STOR a", &STORED)?;
    s.done("MODE S")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"hello", format!("kept as {}", bytes.escape_ascii()))
}

fn mode_z_bad_stream(t: &Stage<'_>) -> Outcome {
    let mut s = mode_z(t)?;
    let tried = s.attempt("STOR a", Some(b"this is no zlib stream at all"))?;
    s.check(!tried.succeeded(), "a success")
}
