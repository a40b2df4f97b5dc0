//! RFC 959 §3.1: data types. ASCII lines travel with CR LF, image bytes travel as they are.

use std::io::Write;
use std::time::Duration;

use crate::suite::prelude::*;

group! { "RFC 959", "3.1", "rfc959/section_3_1":
    Must image_bytes_are_kept "In TYPE I every one of the 256 bytes arrives as it was sent, up and down";
    Must empty_file "A file of no bytes is a file: it can be stored and retrieved";
    Must large_file_is_whole "A file larger than any buffer arrives whole in both directions";
    Must ascii_round_trip "Lines stored in TYPE A come back in TYPE A as they were sent";
    Must ascii_lines_end_with_cr_lf "In TYPE A a text of the server's system is sent with CR LF at every line's end";
    Must ascii_across_buffers "CR LF is converted wherever it lies, also across the borders of buffers";
    Must ascii_cr_and_lf_in_two_segments "A CR LF that arrives in two segments is one line end";
    Must ascii_keeps_other_bytes "TYPE A changes line ends and nothing else: blanks, tabs and the last line without an end stay";
    Should ascii_keeps_a_lone_cr "A CR that no LF follows is no line end and stays";
}

fn noise(count: usize) -> Vec<u8> {
    crate::tree::Noise(959).bytes(count)
}

fn image_bytes_are_kept(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    s.put("STOR all", &all)?;
    let back = s.get("RETR all")?;
    s.check(back == all, "the bytes that came back are not those that were sent")
}

fn empty_file(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR empty", b"")?;
    let back = s.get("RETR empty")?;
    s.check(back.is_empty(), "an empty file came back with bytes")
}

fn large_file_is_whole(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let bytes = noise(3_000_001);
    s.put("STOR large", &bytes)?;
    let back = s.get("RETR large")?;
    s.check(back == bytes, format!("{} bytes came back, or not the same", back.len()))
}

fn ascii_round_trip(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("TYPE A")?;
    let text = b"one\r\n\r\ntwo  \r\n\tthree\r\n";
    s.put("STOR text", text)?;
    let back = s.get("RETR text")?;
    s.check(back == text, format!("came back as {}", back.escape_ascii()))
}

fn ascii_lines_end_with_cr_lf(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    // Our own disk is POSIX: there a line ends with LF.
    t.plant("text", b"one\n\ntwo\n")?;
    s.done("TYPE A")?;
    let sent = s.get("RETR text")?;
    s.check(sent == b"one\r\n\r\ntwo\r\n", format!("sent {}", sent.escape_ascii()))
}

/// Lines of every length from 0 to 700, so that line ends meet the borders of all usual buffers.
fn many_lines(end: &[u8]) -> Vec<u8> {
    (0..700).flat_map(|length| [&vec![b'x'; length][..], end].concat()).collect()
}

fn ascii_across_buffers(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("TYPE A")?;
    let text = many_lines(b"\r\n");
    s.put("STOR lines", &text)?;
    let back = s.get("RETR lines")?;
    s.check(
        back == text,
        format!("{} bytes were sent, {} came back, or not the same", text.len(), back.len()),
    )?;
    if let Ok(disk) = t.disk() {
        let kept = std::fs::read(disk.join("lines")).unwrap_or_default();
        s.check(kept == many_lines(b"\n"), "on a POSIX disk the lines do not end with LF alone")?;
    }
    Ok(())
}

fn ascii_cr_and_lf_in_two_segments(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("TYPE A")?;
    let mut data = s.passive()?;
    s.want("STOR split", &[125, 150])?;
    for piece in [&b"one\r"[..], b"\ntwo", b"\r", b"\n"] {
        data.write_all(piece).map_err(|error| s.fail(format!("sending the data failed: {error}")))?;
        std::thread::sleep(Duration::from_millis(20)); // so that they are segments of their own
    }
    s.fill(data, b"")?;
    let last = s.reply()?;
    s.among(b"STOR split", &last, &[226, 250])?;
    let back = s.get("RETR split")?;
    s.check(back == b"one\r\ntwo\r\n", format!("came back as {}", back.escape_ascii()))
}

fn ascii_keeps_other_bytes(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("TYPE A")?;
    let text = b" \tone \r\n\r\n~!@#$%^&*()\\\r\nno end";
    s.put("STOR other", text)?;
    let back = s.get("RETR other")?;
    s.check(back == text, format!("came back as {}", back.escape_ascii()))
}

fn ascii_keeps_a_lone_cr(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.done("TYPE A")?;
    s.put("STOR cr", b"a\rb\r\nc\r")?;
    s.done("TYPE I")?;
    let back = s.get("RETR cr")?;
    let good = back == b"a\rb\nc\r" || back == b"a\rb\r\nc\r";
    s.check(good, format!("kept as {}", back.escape_ascii()))
}
