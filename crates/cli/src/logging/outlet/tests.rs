use std::io::Read;
use std::sync::mpsc;

use super::*;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

/// Says lines until some are lost; returns how many were said.
fn fill(outlet: &Outlet) -> u64 {
    let mut said = 0;
    while outlet.complaint().is_none() {
        outlet.say(format!("line {said}\n").as_bytes());
        said += 1;
        assert!(said < 1_000_000, "nothing is ever lost");
    }
    said
}

/// Returns a pipe in which nothing fits any more: many `x`.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(b"x").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

#[test]
fn nobody_waits_for_a_reader_and_what_was_lost_is_told() {
    let (mut reader, writer) = full_pipe();
    let (told, lost) = mpsc::channel();
    let outlet = Outlet::open(&writer, move |count| told.send(count).unwrap()).unwrap();
    drop(writer);
    let said = fill(&outlet);
    for _ in 0..10 {
        outlet.say(b"a longer line, so that it does not fit by chance\n");
    }
    assert!(!outlet.finish(SHORT), "the pipe is full");
    let complaint = outlet.complaint().unwrap();
    assert!(complaint.starts_with("11 log lines are lost: nobody reads"), "{complaint}");

    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        while !text.ends_with("end\n") {
            let mut buffer = [0; 4096];
            let count = reader.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        text
    });
    assert_eq!(lost.recv_timeout(LONG), Ok(11));
    assert_eq!(outlet.complaint(), None, "it flows again");
    outlet.say(b"end\n");
    assert!(outlet.finish(LONG));
    let text = reading.join().unwrap();
    let text = text.trim_start_matches('x');
    let expected = (0..said - 1).map(|number| format!("line {number}")).chain(["end".to_owned()]);
    assert!(text.lines().eq(expected), "lines are whole and in order");
}

#[test]
fn lines_that_nobody_can_read_any_more_are_a_complaint() {
    let (reader, writer) = io::pipe().unwrap();
    let outlet = Outlet::open(&writer, |_| {}).unwrap();
    drop(reader);
    outlet.say(b"one\n");
    assert!(outlet.finish(LONG), "there is nothing to wait for");
    let complaint = outlet.complaint().unwrap();
    assert!(complaint.starts_with("1 log lines are lost: ") && complaint.contains("pipe"), "{complaint}");
}

#[test]
fn a_stream_that_does_not_block_is_waited_for() {
    let (mut reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let outlet = Outlet::open(&writer, |_| {}).unwrap();
    let text = vec![b'x'; WAITING_BYTES_MAX];
    outlet.say(&text);
    let mut read = vec![0; text.len()];
    reader.read_exact(&mut read).unwrap();
    assert!(outlet.finish(LONG) && outlet.complaint().is_none() && read == text);
}

#[test]
fn what_the_writer_says_always_fits() {
    let outlet = Outlet::default();
    fill(&outlet);
    let before = outlet.lock().waiting.len();
    outlet.lock().writer = Some(std::thread::current().id());
    outlet.say(&[b'x'; 4096]);
    assert_eq!(outlet.lock().waiting.len(), before + 4096);
}
