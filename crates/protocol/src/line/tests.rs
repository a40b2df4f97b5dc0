use super::*;
use proptest::prelude::*;

/// What a reader said, with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Line(Vec<u8>),
    TooLong,
    Endless,
}

fn line(text: &[u8]) -> Said {
    Said::Line(text.to_vec())
}

fn drain(reader: &mut LineReader, said: &mut Vec<Said>) {
    while let Some(input) = reader.next() {
        said.push(match input {
            Input::Line(text) => line(text),
            Input::TooLong => Said::TooLong,
            Input::Endless => Said::Endless,
        });
    }
}

/// Feeds `parts` one after the other and takes the lines after each.
fn read(parts: &[&[u8]], limit: usize) -> Vec<Said> {
    let (mut reader, mut said) = (LineReader::new(), Vec::new());
    reader.set_limit(limit);
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let room = reader.room();
            let taken = reader.push(rest);
            assert!(taken >= room.min(rest.len()), "took {taken} of {} with room for {room}", rest.len());
            assert!(reader.buffer.capacity() <= BUFFER_BYTES_MAX);
            rest = &rest[taken..];
            drain(&mut reader, &mut said);
            assert!(reader.room() > 0, "stuck");
        }
    }
    said
}

/// The same rules, a byte at a time and without bounds.
fn model(bytes: &[u8], limit: usize) -> Vec<Said> {
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        return vec![Said::Endless];
    }
    let (mut said, mut current, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte == 0xff {
            let Some(&command) = bytes.get(at) else { break };
            match command {
                0xfb..=0xfe => at += if bytes.get(at + 1) == Some(&b'\n') { 1 } else { 2 },
                0xfa => {
                    at += 1;
                    while bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                        if bytes[at] == 0xff && bytes.get(at + 1).is_some_and(|byte| *byte != b'\n') {
                            at += 2;
                            if bytes[at - 1] == 0xf0 {
                                break;
                            }
                        } else {
                            at += 1;
                        }
                    }
                }
                0xf0..=0xf9 | 0xff => at += 1,
                _ => {}
            }
            if matches!(command, 0xf0..=0xfe) {
                continue;
            }
        }
        if byte == b'\n' {
            let text = current.strip_suffix(b"\r").unwrap_or(&current);
            said.push(if text.len() > limit { Said::TooLong } else { line(text) });
            current.clear();
        } else {
            current.push(byte);
        }
        if current.len() >= ENDLESS_BYTES {
            said.push(Said::Endless);
            break;
        }
    }
    said
}

#[test]
fn table_at_every_cut() {
    let table: [(&[u8], &[&[u8]]); 23] = [
        (b"NOOP\r\n", &[b"NOOP"]),
        (b"NOOP\n", &[b"NOOP"]),
        (b"USER a\r\nPASS b\r\n", &[b"USER a", b"PASS b"]),
        (b"NOOP", &[]),
        (b"NOOP\r", &[]),
        (b"\r\n", &[b""]),
        (b"\n\n", &[b"", b""]),
        (b"CWD  d \r\n", &[b"CWD  d "]),
        (b"a\rb\r\n", &[b"a\rb"]),
        (b"a\r\r\n", &[b"a\r"]),
        (b"a\r\0b\r\n", &[b"a\r\0b"]),
        (b"\xff\xf4\xff\xf2ABOR\r\n", &[b"ABOR"]),
        (b"\xff\xf4\xff\xf2", &[]),
        (b"\xff\xf4\r\n", &[b""]),
        (b"NO\xff\xfd\x06OP\r\xff\xf1\n", &[b"NOOP"]),
        (b"\xff\xfb\xffNOOP\r\n", &[b"NOOP"]),
        (b"\xff\xfa\x18\x00abc\xff\xff\xf0\xff\xf0NOOP\r\n", &[b"NOOP"]),
        (b"RETR a\xff\xffb\r\n", &[b"RETR a\xffb"]),
        (b"RETR a\xffb\xff\r\n", &[b"RETR a\xffb\xff"]),
        (b"RETR \xff\n", &[b"RETR \xff"]),
        (b"RETR \xff\xfb\nNOOP\n", &[b"RETR ", b"NOOP"]),
        (b"RETR \xff\xfa\nNOOP\n", &[b"RETR ", b"NOOP"]),
        (b"RETR \xff\xfaab\xff\nNOOP\n", &[b"RETR ", b"NOOP"]),
    ];
    for (input, lines) in table {
        let expected: Vec<Said> = lines.iter().map(|text| line(text)).collect();
        assert_eq!(model(input, 100), expected, "the model on {}", input.escape_ascii());
        for cut in 0..=input.len() {
            let said = read(&[&input[..cut], &input[cut..]], 100);
            assert_eq!(said, expected, "{} at {cut}", input.escape_ascii());
        }
    }
}

#[test]
fn limit_counts_without_the_end() {
    for (input, expected) in [
        (&b"12345\r\n1\n"[..], [line(b"12345"), line(b"1")]),
        (b"12345\n1\n", [line(b"12345"), line(b"1")]),
        (b"123456\r\n1\n", [Said::TooLong, line(b"1")]),
        (b"123456\n1\n", [Said::TooLong, line(b"1")]),
        (b"12345\r\r\n1\n", [Said::TooLong, line(b"1")]),
        (b"12345\xff\xff\n1\n", [Said::TooLong, line(b"1")]),
        (b"12345\xff\xf4\xff\xfb\x01\n1\n", [line(b"12345"), line(b"1")]),
    ] {
        for cut in 0..=input.len() {
            assert_eq!(
                read(&[&input[..cut], &input[cut..]], 5),
                expected,
                "{} at {cut}",
                input.escape_ascii()
            );
        }
    }
}

#[test]
fn the_limit_is_raised_for_lines_that_wait() {
    let mut reader = LineReader::new();
    let long = [b'x'; 5000];
    for _ in 0..2 {
        reader.push(&long);
        reader.push(b"\r\n");
    }
    assert_eq!(reader.next(), Some(Input::TooLong));
    reader.set_limit(8192);
    assert_eq!(reader.next(), Some(Input::Line(&long)));
}

#[test]
fn too_long_is_said_once_and_the_next_line_lives() {
    for length in [4097, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, LINE_BYTES_MAX + 2, 40_000, ENDLESS_BYTES - 1] {
        for end in [&b"\r\n"[..], b"\n"] {
            if length + end.len() > ENDLESS_BYTES {
                continue;
            }
            let mut input = vec![b'x'; length];
            input.extend_from_slice(end);
            input.extend_from_slice(b"NOOP\r\n");
            for size in [input.len(), 1000, 7] {
                let parts: Vec<&[u8]> = input.chunks(size).collect();
                assert_eq!(read(&parts, 4096), [Said::TooLong, line(b"NOOP")], "{length} by {size}");
            }
        }
    }
}

#[test]
fn the_highest_limit_is_exact() {
    for (length, fits) in [(LINE_BYTES_MAX, true), (LINE_BYTES_MAX + 1, false)] {
        for end in ["\n", "\r\n"] {
            let input = [&vec![b'x'; length], end.as_bytes()].concat();
            assert_eq!(matches!(read(&[&input], usize::MAX)[..], [Said::Line(_)]), fits, "{length}");
        }
    }
}

#[test]
fn endless_is_said_once_and_last() {
    for more in [&b""[..], b"\nNOOP\r\n", b"xxxxx"] {
        let input = [b"NOOP\r\n", &vec![b'x'; ENDLESS_BYTES][..], more].concat();
        for size in [input.len(), 4096, 1000] {
            let parts: Vec<&[u8]> = input.chunks(size).collect();
            assert_eq!(read(&parts, 4096), [line(b"NOOP"), Said::Endless]);
        }
    }
    assert_eq!(read(&[&vec![b'x'; ENDLESS_BYTES - 1]], 4096), []);
}

#[test]
fn telnet_storms_cost_nothing() {
    for storm in [&b"\xff\xf4"[..], b"\xff\xfb\x01", b"\xff\xfa\x01\x02\xff\xff\xff\xf0", b"\xff\xfaabcdefgh"]
    {
        let mut reader = LineReader::new();
        reader.push(b"NO");
        for _ in 0..200 {
            let bytes = storm.repeat(1000);
            assert_eq!(reader.push(&bytes), bytes.len());
            assert_eq!(reader.next(), None);
        }
        assert_eq!((reader.buffer.len(), reader.lines), (2, 0));
        assert!(reader.buffer.capacity() <= BUFFER_BYTES_MAX);
        // The last storm leaves a subnegotiation open; a line end closes it.
        reader.push(b"\n");
        assert_eq!(reader.next(), Some(Input::Line(b"NO")));
    }
}

#[test]
fn memory_is_bounded_and_given_back() {
    let mut reader = LineReader::new();
    assert_eq!((reader.buffer.capacity(), reader.room()), (0, BUFFER_BYTES_MAX));
    let flood = b"NOOP\r\n".repeat(20_000);
    assert_eq!(reader.push(&flood), BUFFER_BYTES_MAX);
    assert_eq!((reader.push(b"NOOP\r\n"), reader.room()), (0, 0));
    assert_eq!(reader.buffer.capacity(), BUFFER_BYTES_MAX);
    // One line out, one line in, for as long as somebody likes.
    let mut at = BUFFER_BYTES_MAX;
    for _ in 0..1000 {
        assert_eq!(reader.next(), Some(Input::Line(b"NOOP")));
        at += reader.push(&flood[at..]);
        assert!(reader.buffer.capacity() <= BUFFER_BYTES_MAX);
    }
    assert_eq!(at, BUFFER_BYTES_MAX + 6000);
    while reader.next().is_some() {}
    reader.push(&flood[at..][..6 - reader.held_bytes()]);
    while reader.next().is_some() {}
    assert!(reader.is_empty());
    assert!(reader.buffer.capacity() <= IDLE_BYTES_MAX);
}

#[test]
fn a_full_buffer_loses_nothing() {
    // An FF at the very end of the room: whether it is text is known one byte later.
    let mut reader = LineReader::new();
    let filler = [&b"x".repeat(99)[..], b"\n"].concat().repeat(BUFFER_BYTES_MAX / 100);
    let rest = [&b"y".repeat(BUFFER_BYTES_MAX - filler.len() - 1)[..], b"\xff"].concat();
    assert_eq!(reader.push(&filler), filler.len());
    assert_eq!(reader.push(&rest), rest.len());
    assert_eq!(reader.room(), 0);
    assert_eq!(reader.push(b"z\n"), 0, "the FF takes the last place");
    assert_eq!(reader.next(), Some(Input::Line(&[b'x'; 99])));
    assert_eq!(reader.push(b"z\n"), 2);
    let mut said = Vec::new();
    drain(&mut reader, &mut said);
    assert_eq!(said.pop(), Some(Said::Line([&rest, &b"z"[..]].concat())));
    assert_eq!(said.len(), filler.len() / 100 - 1);
}

#[test]
fn urgent_lines_overtake() {
    use Urgent::{Abort, Status};
    let mut reader = LineReader::new();
    assert_eq!(reader.take_urgent(), None);
    reader.push(b"NOOP\r\nSTAT /\r\nABORT\r\n ABOR\r\nABO");
    assert_eq!(reader.take_urgent(), None);
    reader.push(b"R");
    assert_eq!(reader.take_urgent(), None);
    reader.push(b" \t\r\nDELE a\r\nstat\nAbor\r\nRETR b\r\nST");
    assert_eq!(reader.take_urgent(), Some(Abort));
    assert_eq!(reader.take_urgent(), Some(Status));
    assert_eq!(reader.next(), Some(Input::Line(b"NOOP")));
    assert_eq!(reader.take_urgent(), Some(Abort));
    assert_eq!(reader.take_urgent(), None);
    reader.push(b"AT\r\n");
    assert_eq!(reader.take_urgent(), Some(Status));
    let mut left = Vec::new();
    drain(&mut reader, &mut left);
    assert_eq!(left, [&b"STAT /"[..], b"ABORT", b" ABOR", b"DELE a", b"RETR b"].map(line));
    assert!(reader.is_empty());
}

#[test]
fn parts_of_lines_are_never_urgent() {
    // What is left of the moved line is not looked at again from its middle.
    let mut reader = LineReader::new();
    reader.push(b"12ABOR\r\nSTAT\r\nNOOP 1234\r\n");
    assert_eq!(reader.take_urgent(), Some(Urgent::Status));
    assert_eq!(reader.take_urgent(), None);
    // A line that the full buffer cut is not whole.
    let mut reader = LineReader::new();
    let filler = [&[b'x'; 99][..], b"\n"].concat().repeat(BUFFER_BYTES_MAX / 100);
    reader.push(&filler);
    reader.push(&[b'\n'; 32][..]);
    assert_eq!(reader.push(b"ABORT\r\n"), 4);
    assert_eq!(reader.take_urgent(), None);
    while reader.next().is_some() {}
    assert_eq!(reader.push(b"T\r\n"), 3);
    assert_eq!(reader.next(), Some(Input::Line(b"ABORT")));
}

#[test]
fn an_urgent_line_over_the_limit_is_too_long() {
    let mut reader = LineReader::new();
    reader.push(&[b"ABOR", &[b' '; 5000][..], b"\r\n"].concat());
    assert_eq!(reader.take_urgent(), None);
    assert_eq!(reader.next(), Some(Input::TooLong));
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let alphabet = &b"\r\n\nabS \xff\xff\xf0\xf2\xf4\xfa\xfb\xfe\0"[..];
    prop::collection::vec(prop::sample::select(alphabet), 0..60)
}

proptest! {
    #[test]
    fn cuts_do_not_matter(input in hostile(), limit in 0_usize..8, sizes in prop::collection::vec(1_usize..9, 1..8)) {
        let expected = model(&input, limit);
        prop_assert_eq!(&read(&[&input], limit), &expected);
        let bytewise: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&read(&bytewise, limit), &expected);
        let (mut parts, mut rest) = (Vec::new(), &input[..]);
        for size in sizes.iter().cycle() {
            let (part, tail) = rest.split_at((*size).min(rest.len()));
            parts.push(part);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&read(&parts, limit), &expected);
    }

    /// Lines that fill the buffer again and again, taken out now and then, come out whole and in order.
    #[test]
    fn a_full_buffer_keeps_order(
        lengths in prop::collection::vec(0_usize..20_000, 1..40),
        chunk in 1_usize..30_000,
        taken_at_once in 1_usize..6,
    ) {
        let mut input = Vec::new();
        for (index, length) in lengths.iter().enumerate() {
            input.extend(core::iter::repeat_n(b"abcdefghij"[index % 10], *length));
            input.extend_from_slice(if index % 3 == 0 { b"\n" } else { b"\r\n" });
        }
        let (mut reader, mut said, mut at) = (LineReader::new(), Vec::new(), 0);
        while at < input.len() || reader.lines > 0 {
            let end = input.len().min(at + chunk);
            at += reader.push(&input[at..end]);
            prop_assert!(reader.buffer.capacity() <= BUFFER_BYTES_MAX);
            for _ in 0..taken_at_once {
                match reader.next() {
                    Some(Input::Line(text)) => said.push(line(text)),
                    Some(Input::TooLong) => said.push(Said::TooLong),
                    Some(Input::Endless) => said.push(Said::Endless),
                    None => break,
                }
            }
        }
        prop_assert_eq!(said, model(&input, LIMIT_BEFORE_LOGIN));
    }

    /// Taking urgent lines out at any time changes nothing for the others.
    #[test]
    fn urgent_lines_leave_the_rest_alone(
        script in prop::collection::vec((prop::sample::select(&["ABOR", "STAT", "NOOP", "RETR x", "stat ", "", "STAT /"][..]), 0_u8..4), 0..60),
    ) {
        let (mut reader, mut said, mut urgent) = (LineReader::new(), Vec::new(), Vec::new());
        let (mut plain, mut expected_urgent) = (Vec::new(), Vec::new());
        for (text, action) in script {
            let mut half = Vec::from(text.as_bytes());
            half.extend_from_slice(b"\r\n");
            let (first, second) = half.split_at(half.len() / 2);
            reader.push(first);
            urgent.extend(reader.take_urgent());
            reader.push(second);
            match Urgent::of(text.as_bytes()) {
                Some(found) => expected_urgent.push(found),
                None => plain.push(line(text.as_bytes())),
            }
            // Urgent ones first, so that `next` never meets one.
            while let Some(found) = reader.take_urgent() {
                urgent.push(found);
                if action == 0 {
                    break;
                }
            }
            if action == 1 {
                drain(&mut reader, &mut said);
            } else if action == 2 && let Some(Input::Line(text)) = reader.next() {
                said.push(line(text));
            }
        }
        drain(&mut reader, &mut said);
        prop_assert_eq!(said, plain);
        prop_assert_eq!(urgent, expected_urgent);
    }
}

#[test]
fn a_tls_handshake_is_no_ftp_wherever_it_is_cut() {
    let hello = [&[0x16, 3, 1, 2, 0][..], b"USER a\r\nNOOP\r\n"].concat();
    for cut in 0..hello.len() {
        let (one, other) = hello.split_at(cut);
        assert_eq!(read(&[one, other], 4096), [Said::Endless], "{cut}");
    }
    // Only as the first byte of all.
    let later = read(&[b"NOOP\r\n\x16\r\n"], 4096);
    assert_eq!(later, [line(b"NOOP"), line(b"\x16")]);
}
