//! RFC 3659 §4: SIZE tells exactly how many octets RETR would send.

use crate::suite::prelude::*;

group! { "RFC 3659", "4", "rfc3659/section_4":
    Must size_is_exact "SIZE in TYPE I is the number of bytes that RETR sends";
    Must size_in_ascii_is_exact "SIZE in TYPE A is the number of bytes that RETR sends in TYPE A, or refused";
    Must size_of_an_empty_file "SIZE of an empty file is 0";
    Must size_of_nothing "SIZE of a file that does not exist is refused with 550";
    Must size_of_a_directory "SIZE of a directory is refused";
    Must size_form "SIZE is answered 213 and digits alone";
    Must size_over_4_gib "SIZE of a file of 5 GiB is told in full";
    Must size_after_appe "SIZE follows what APPE adds";
}

fn size(s: &mut Session, file: &str) -> Result<u64, Stop> {
    let reply = s.optional("SIZE", format!("SIZE {file}"))?;
    s.among(b"SIZE", &reply, &[213])?;
    let digits = reply.text().get(4..).unwrap_or_default().to_owned();
    digits.parse().map_err(|_| s.fail(format!("not digits alone: {digits:?}")))
}

fn size_is_exact(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    for (name, count) in [("a", 1), ("b", 4096), ("c", 70_001)] {
        s.put(format!("STOR {name}"), &vec![b'\n'; count])?;
        let told = size(&mut s, name)?;
        let sent = s.get(format!("RETR {name}"))?.len();
        s.check(told == sent as u64 && sent == count, format!("SIZE {told}, sent {sent}"))?;
    }
    Ok(())
}

fn size_in_ascii_is_exact(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"line1\nline2\n")?;
    s.optional("SIZE", "SIZE a")?;
    s.done("TYPE A")?;
    let sent = s.get("RETR a")?.len();
    let reply = s.want("SIZE a", &[213, 550, 501, 504])?;
    if reply.code == 213 {
        let told = reply.text().get(4..).unwrap_or_default().to_owned();
        s.check(told == sent.to_string(), format!("SIZE tells {told} and RETR sends {sent}"))?;
    }
    Ok(())
}

fn size_of_an_empty_file(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR empty", b"")?;
    let told = size(&mut s, "empty")?;
    s.check(told == 0, format!("SIZE tells {told}"))
}

fn size_of_nothing(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let reply = s.optional("SIZE", "SIZE nothing-here")?;
    s.among(b"SIZE", &reply, &[550, 450, 501])
}

fn size_of_a_directory(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("MKD dir")?;
    let reply = s.optional("SIZE", "SIZE dir")?;
    s.among(b"SIZE", &reply, &[550, 450, 501])
}

fn size_form(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"12345")?;
    size(&mut s, "a")?;
    let reply = s.want("SIZE a", &[213])?;
    s.check(reply.lines == ["213 5"], format!("{:?}", reply.lines))
}

fn size_over_4_gib(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let path = t.plant("big", b"")?;
    let grown = std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(5 << 30));
    grown.map_err(|error| Stop::NotApplicable(format!("no sparse file: {error}")))?;
    let told = size(&mut s, "big")?;
    s.check(told == 5 << 30, format!("SIZE tells {told}"))
}

fn size_after_appe(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"123")?;
    s.put("APPE a", b"45")?;
    let told = size(&mut s, "a")?;
    s.check(told == 5, format!("SIZE tells {told}"))
}
