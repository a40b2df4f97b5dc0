use super::*;

fn deflated(chunks: &[&[u8]], level: u8) -> Vec<u8> {
    let mut deflater = Deflater::new(level);
    for chunk in chunks {
        deflater.push(chunk).unwrap();
    }
    deflater.finish().unwrap();
    deflater.ready
}

/// Gives `wire` to an inflater in pieces of `piece` bytes; returns what came out, and whether the stream ended.
fn inflated(wire: &[u8], piece: usize) -> Result<(Vec<u8>, bool), StorageErrorKind> {
    let (mut inflater, mut out, mut all) = (Inflater::new(), Vec::new(), Vec::new());
    for piece in wire.chunks(piece) {
        let (mut at, mut wants) = (0, Wants::Step);
        while wants == Wants::Step {
            let (taken, next) = inflater.step(&piece[at..], &mut out).map_err(|error| error.kind)?;
            assert!(
                out.len() <= out.capacity() && out.capacity() <= INFLATED_BYTES_MAX,
                "{}",
                out.capacity()
            );
            at += taken;
            all.extend_from_slice(&out);
            wants = next;
        }
        assert_eq!(at, piece.len(), "all of a piece is taken");
    }
    Ok((all, inflater.has_ended()))
}

/// Bytes that hardly compress, always the same.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 56) as u8
    };
    (0..bytes).map(|_| next(&mut state)).collect()
}

#[test]
fn what_goes_in_comes_out() {
    let text = b"a line of text, again and again\r\n".repeat(20_000);
    for content in [&b""[..], b"x", &text, &noise(700_000)] {
        for level in [1, 6, 9] {
            let wire = deflated(&content.chunks(100_000).collect::<Vec<_>>(), level);
            for piece in [7, 4096, usize::MAX] {
                let (back, ended) = inflated(&wire, piece.min(wire.len())).unwrap();
                assert!(back == content && ended, "{} bytes, level {level}, by {piece}", content.len());
            }
        }
    }
    assert!(deflated(&[&text], 6).len() < text.len() / 50);
}

#[test]
fn a_stream_without_its_end_has_not_ended() {
    let wire = deflated(&[b"some text that is compressed"], 6);
    assert_eq!(inflated(b"", 5), Ok((Vec::new(), true)), "an empty file never began");
    for cut in 1..wire.len() {
        let ended = inflated(&wire[..cut], 5).map(|(_, ended)| ended);
        assert_eq!(ended, Ok(false), "cut at {cut} of {}", wire.len());
    }
}

#[test]
fn what_is_no_stream_is_refused() {
    let wire = deflated(&[b"some text that is compressed"], 6);
    for at in [0, wire.len() - 4, wire.len() - 1] {
        let mut wire = wire.clone();
        wire[at] ^= 0x55;
        assert_eq!(inflated(&wire, 64), Err(StorageErrorKind::Failed), "byte {at}");
    }
    let more = [&wire[..], b"x"].concat();
    assert_eq!(inflated(&more, more.len()), Err(StorageErrorKind::Failed), "behind the end");
    assert_eq!(inflated(&more, 1), Err(StorageErrorKind::Failed), "behind the end, later");
    assert_eq!(inflated(b"GET / HTTP/1.1\r\n", 3), Err(StorageErrorKind::Failed));
    assert_eq!(inflated(&[0xff; 1000], 1000), Err(StorageErrorKind::Failed));
}

/// Inflates as [`inflated`], and tells how many bytes came out before the error.
fn before_the_error(wire: &[u8]) -> (usize, StorageErrorKind) {
    let (mut inflater, mut out, mut at, mut count) = (Inflater::new(), Vec::new(), 0, 0);
    loop {
        match inflater.step(&wire[at..], &mut out) {
            Ok((taken, _)) => {
                assert!(out.len() <= INFLATED_BYTES_MAX);
                assert!(!inflater.has_ended(), "all of it came out");
                at += taken;
                count += out.len();
            }
            Err(error) => return (count, error.kind),
        }
    }
}

#[test]
fn a_bomb_stops_before_it_has_unfolded() {
    let zeros = vec![0; 10 << 20];
    let wire = deflated(&[&zeros], 9);
    assert!(wire.len() * 900 < zeros.len(), "{} bytes", wire.len());
    let (count, kind) = before_the_error(&wire);
    assert_eq!((count as u64, kind), (BOMB_BYTES_MIN, StorageErrorKind::TooLarge));
    // It does not help to begin with something honest.
    let wire = deflated(&[&noise(50_000), &zeros], 9);
    let (count, kind) = before_the_error(&wire);
    assert!(
        kind == StorageErrorKind::TooLarge && (5_000_000..6_500_000).contains(&count),
        "{kind:?} {count}"
    );
}

#[test]
fn what_is_small_or_shrinks_as_files_do_is_no_bomb() {
    let zeros = vec![0; 4 << 20];
    let wire = deflated(&[&zeros], 9);
    assert!(inflated(&wire, wire.len()).unwrap() == (zeros, true), "4 MiB are never too much");
    // 9 MB, almost 60 to 1.
    let parts: Vec<Vec<u8>> =
        noise(150_000).chunks(1000).map(|part| [part, &vec![b' '; 59_000]].concat()).collect();
    let wire = deflated(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>(), 6);
    assert!((50..100).contains(&(9_000_000 / wire.len())), "{}", wire.len());
    let (back, ended) = inflated(&wire, 4096).unwrap();
    assert!(back == parts.concat() && ended);
}
