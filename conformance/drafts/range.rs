//! draft-bryan-ftp-range §3 to §5: RANG, both ends inclusive.

use crate::suite::prelude::*;

group! { "draft-bryan-ftp-range", "3", "drafts/range":
    Must rang_retr "RANG and RETR send the bytes from the first to the last, both included";
    Must rang_holds_for_one_transfer "RANG holds for one transfer";
    Must rang_reset "RANG 1 0 takes the range back";
    Must rang_grammar "RANG with its ends reversed or with anything but two numbers is refused";
    Must rest_and_rang "The last of REST and RANG counts";
    Should rang_past_the_end "RANG past the end of the file sends what there is";
    Must rang_stor "RANG and STOR write at the first byte and leave the rest";
}

fn file(t: &Stage<'_>) -> Result<Session, Stop> {
    let mut s = t.work()?;
    s.put("STOR a", b"abcdefghijkl")?;
    let reply = s.optional("RANG", "RANG 1 0")?;
    s.among(b"RANG 1 0", &reply, &[350])?;
    Ok(s)
}

fn sends(s: &mut Session, expected: &[u8]) -> Outcome {
    let bytes = s.get("RETR a")?;
    s.check(bytes == expected, format!("sent {}", bytes.escape_ascii()))
}

fn rang_retr(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    for (range, expected) in [("0 0", &b"a"[..]), ("2 4", b"cde"), ("11 11", b"l"), ("0 11", b"abcdefghijkl")]
    {
        s.want(format!("RANG {range}"), &[350])?;
        sends(&mut s, expected)?;
    }
    Ok(())
}

fn rang_holds_for_one_transfer(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("RANG 2 4", &[350])?;
    sends(&mut s, b"cde")?;
    sends(&mut s, b"abcdefghijkl")
}

fn rang_reset(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("RANG 2 4", &[350])?;
    s.want("RANG 1 0", &[350])?;
    sends(&mut s, b"abcdefghijkl")
}

fn rang_grammar(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    for line in ["RANG", "RANG 5", "RANG 5 3", "RANG x y", "RANG -1 5", "RANG 1 2 3"] {
        s.want(line, &[500, 501])?;
    }
    Ok(())
}

fn rest_and_rang(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("RANG 2 4", &[350])?;
    s.want("REST 10", &[350])?;
    sends(&mut s, b"kl")?;
    s.want("REST 10", &[350])?;
    s.want("RANG 2 4", &[350])?;
    sends(&mut s, b"cde")
}

fn rang_past_the_end(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("RANG 10 99", &[350])?;
    sends(&mut s, b"kl")
}

fn rang_stor(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("RANG 2 4", &[350])?;
    s.put("STOR a", b"XYZ")?;
    sends(&mut s, b"abXYZfghijkl")
}
