//! RFC 3659 §5: REST in stream mode.

use crate::suite::prelude::*;

group! { "RFC 3659", "5", "rfc3659/section_5":
    Must rest_retr "REST n and RETR send the file from byte n on";
    Must rest_at_the_end "REST at the end of the file and RETR send no byte and end well";
    Safety rest_past_the_end "REST past the end of the file and RETR never send the file from its beginning";
    Practice rest_past_the_end_is_refused "REST past the end of the file and RETR end in a refusal, so that the client sees its mistake";
    Must rest_holds_for_one_transfer "REST holds for one transfer; the next begins at 0";
    Practice rest_survives_other_commands "REST survives commands that transfer nothing, such as TYPE, PASV and PWD";
    Must rest_without_a_number "REST with nothing, with a word or with a negative number is refused";
    Should rest_grammar "REST with more than digits, such as a sign, is refused";
    Safety rest_too_large "REST with a number that does not fit never restarts at another place";
    Must rest_stor "REST n and STOR write from byte n on and leave what stands before";
    Practice rest_stor_keeps_the_tail "REST n and STOR of few bytes leave what stands behind them";
    Should rest_stor_past_the_end "REST past the end of the file and STOR is refused, or leaves zeros between: no byte goes elsewhere";
    Must rest_then_failed_retr "After a transfer that fails the offset is gone";
    Must rest_announced "FEAT says REST STREAM where REST works in stream mode";
    Must rest_large_offset "REST beyond 4 GiB sends the right bytes";
}

fn probe(s: &mut Session) -> Outcome {
    let reply = s.optional("REST STREAM", "REST 0")?;
    s.among(b"REST 0", &reply, &[350])
}

fn file(t: &Stage<'_>) -> Result<Session, Stop> {
    let mut s = t.work()?;
    probe(&mut s)?;
    s.put("STOR a", b"abcdefghijkl")?;
    Ok(s)
}

fn rest_retr(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    for (offset, rest) in [("0", &b"abcdefghijkl"[..]), ("1", b"bcdefghijkl"), ("11", b"l")] {
        s.want(format!("REST {offset}"), &[350])?;
        let bytes = s.get("RETR a")?;
        s.check(bytes == rest, format!("from {offset}: {}", bytes.escape_ascii()))?;
    }
    Ok(())
}

fn rest_at_the_end(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 12", &[350])?;
    let bytes = s.get("RETR a")?;
    s.check(bytes.is_empty(), "bytes came")
}

fn rest_past_the_end(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 13", &[350])?;
    let tried = s.attempt("RETR a", None)?;
    s.check(tried.data.is_empty(), format!("{} came", tried.data.escape_ascii()))
}

fn rest_past_the_end_is_refused(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 13", &[350])?;
    let tried = s.attempt("RETR a", None)?;
    s.check(tried.refused(), "an empty success")
}

fn rest_holds_for_one_transfer(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 5", &[350])?;
    s.get("RETR a")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"abcdefghijkl", format!("the second began elsewhere: {}", bytes.escape_ascii()))
}

fn rest_survives_other_commands(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 5", &[350])?;
    s.done("PWD")?;
    s.done("TYPE I")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"fghijkl", format!("sent {}", bytes.escape_ascii()))
}

fn rest_without_a_number(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    for line in ["REST", "REST x", "REST -1"] {
        s.want(line, &[500, 501, 504, 554])?;
    }
    Ok(())
}

fn rest_grammar(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    for line in ["REST +5", "REST 5x", "REST 0x5", "REST 5 5"] {
        s.want(line, &[500, 501, 504, 554])?;
    }
    Ok(())
}

fn rest_too_large(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    for offset in
        ["9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999999"]
    {
        let told = s.say(format!("REST {offset}"))?;
        let tried = s.attempt("RETR a", None)?;
        // Refused at REST: then RETR may send the whole file, for the client knows.
        s.check(
            told.code != 350 || tried.data.is_empty(),
            format!("350 to {offset}, then {} bytes", tried.data.len()),
        )?;
        s.say("REST 0")?;
    }
    Ok(())
}

fn rest_stor(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 3", &[350])?;
    s.put("STOR a", b"ZZ")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes.starts_with(b"abcZZ"), format!("now it is {}", bytes.escape_ascii()))
}

fn rest_stor_keeps_the_tail(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 3", &[350])?;
    s.put("STOR a", b"ZZ")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"abcZZfghijkl", format!("now it is {}", bytes.escape_ascii()))
}

fn rest_stor_past_the_end(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 20", &[350])?;
    let tried = s.attempt("STOR a", Some(b"ZZ"))?;
    let bytes = s.get("RETR a")?;
    let sparse = [&b"abcdefghijkl"[..], &[0; 8], b"ZZ"].concat();
    let good = if tried.succeeded() { bytes == sparse } else { bytes == b"abcdefghijkl" };
    s.check(good, format!("now it is {}", bytes.escape_ascii()))
}

fn rest_then_failed_retr(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    s.want("REST 5", &[350])?;
    let tried = s.attempt("RETR nothing-here", None)?;
    s.check(tried.refused(), "not refused")?;
    let bytes = s.get("RETR a")?;
    s.check(bytes == b"abcdefghijkl", format!("sent {}", bytes.escape_ascii()))
}

fn rest_announced(t: &Stage<'_>) -> Outcome {
    let mut s = file(t)?;
    let announced = s.announces("REST STREAM")?;
    s.check(announced, "FEAT has no line REST STREAM")
}

fn rest_large_offset(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    probe(&mut s)?;
    let path = t.plant("big", b"")?;
    let write = |file: std::fs::File| std::os::unix::fs::FileExt::write_all_at(&file, b"the end", 5 << 30);
    let grown = std::fs::File::options().write(true).open(path).and_then(write);
    grown.map_err(|error| Stop::NotApplicable(format!("no sparse file: {error}")))?;
    s.want(format!("REST {}", 5_u64 << 30), &[350])?;
    let bytes = s.get("RETR big")?;
    s.check(bytes == b"the end", format!("{} bytes came", bytes.len()))
}
