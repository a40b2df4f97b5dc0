//! Lines of the control connection.

mod model;

use tidegate_protocol::line::{BUFFER_BYTES_MAX, Input, LineReader, Urgent};
use tidegate_testkit::Random;

use crate::split_head;

/// The longest stream, in bytes: enough to fill the reader, and to be endless.
const STREAM_BYTES_MAX: usize = 80 * 1024;
const LIMITS: [usize; 5] = [4096, 8192, 16, 64, 16 * 1024];

/// What a reader said, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Line(Vec<u8>),
    TooLong,
    Endless,
}

impl From<Input<'_>> for Said {
    fn from(input: Input<'_>) -> Self {
        match input {
            Input::Line(line) => Self::Line(line.to_vec()),
            Input::TooLong => Self::TooLong,
            Input::Endless => Self::Endless,
        }
    }
}

/// Any cut of a stream into pieces, taken out soon or late, gives the lines that a byte-by-byte model gives; the reader
/// keeps its word about room, holds at most 64 KiB, and urgent lines overtake without disturbing the others.
///
/// Input: limit, repetitions, seed of the cuts (2 bytes), longest piece, lines read before urgent ones; then the stream.
pub fn line(data: &[u8]) {
    let ([limit, times, seed_high, seed_low, piece, before], body) = split_head(data);
    let limit = LIMITS[usize::from(limit) % LIMITS.len()];
    let stream = repeated(body, times);
    let expected = model::read(&stream, limit);

    // All at once, and lines are taken out only when nothing more fits.
    assert_same(&expected, &read(&stream, limit, &mut |_| (usize::MAX, 0)), "only when full");
    let mut random = Random::new(u64::from(u16::from_be_bytes([seed_high, seed_low])));
    let longest = if piece < 0xf0 { 1 + usize::from(piece) } else { 1 << (piece - 0xe8).min(17) };
    let shortest = 1 + stream.len() / 256;
    let mut cut = |_: usize| (shortest + random.below(longest), random.below(4));
    assert_same(&expected, &read(&stream, limit, &mut cut), "in pieces");
    urgent(&stream, (limit, usize::from(before) % 4), &expected);
}

/// 0xfc and more make a long stream of few bytes, if they are not so few that it would only cost time.
fn repeated(body: &[u8], times: u8) -> Vec<u8> {
    let times = if times < 0xfc || body.len() < 32 { 1 } else { 1_usize << (4 * (times - 0xfb)) };
    body.iter().copied().cycle().take((body.len() * times).min(STREAM_BYTES_MAX)).collect()
}

fn assert_same(expected: &[Said], got: &[Said], how: &str) {
    for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
        assert_eq!(expected, got, "input {index}, {how}");
    }
    assert_eq!(expected.len(), got.len(), "how many, {how}");
}

/// Reads `stream`; `step` says how long the next piece is and how many lines are taken out after it.
fn read(stream: &[u8], limit: usize, step: &mut dyn FnMut(usize) -> (usize, usize)) -> Vec<Said> {
    let mut reader = LineReader::new();
    reader.set_limit(limit);
    let mut said = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, lines) = step(rest.len());
        let piece = &rest[..piece.min(rest.len())];
        let room = reader.room();
        let taken = reader.push(piece);
        assert!(taken <= piece.len() && taken >= room.min(piece.len()), "room {room}, taken {taken}");
        rest = &rest[taken..];
        let is_full = taken < piece.len();
        take_out(&mut reader, if is_full { usize::MAX } else { lines }, &mut said);
        assert!(!is_full || reader.room() > 0, "no room, and no whole line waits");
    }
    take_out(&mut reader, usize::MAX, &mut said);
    assert!(reader.next().is_none());
    said
}

/// Takes out up to `count` lines; all that wait together fit in what a reader may hold.
fn take_out(reader: &mut LineReader, count: usize, said: &mut Vec<Said>) {
    let from = said.len();
    while said.len() - from < count {
        let Some(input) = reader.next() else { break };
        said.push(input.into());
    }
    let bytes: usize =
        said[from..].iter().map(|one| if let Said::Line(line) = one { line.len() + 1 } else { 1 }).sum();
    assert!(bytes <= BUFFER_BYTES_MAX, "{bytes} bytes were held");
}

/// ABOR and STAT come out past all others, in their order, and the others stay as they are.
fn urgent(stream: &[u8], (limit, before): (usize, usize), expected: &[Said]) {
    let mut reader = LineReader::new();
    reader.set_limit(limit);
    if reader.push(stream) < stream.len() {
        return; // more than a reader holds: the other reads have seen it
    }
    let mut said = Vec::new();
    for _ in 0..before {
        said.extend(reader.next().map(Said::from));
    }
    let mut overtook = Vec::new();
    while let Some(urgent) = reader.take_urgent() {
        overtook.push(urgent);
    }
    take_out(&mut reader, usize::MAX, &mut said);
    let (first, behind) = expected.split_at(before.min(expected.len()));
    let (urgent, others): (Vec<&Said>, Vec<&Said>) = behind.iter().partition(|one| urgency(one).is_some());
    assert_eq!(overtook, urgent.into_iter().filter_map(urgency).collect::<Vec<_>>(), "what overtakes");
    assert!(said.iter().eq(first.iter().chain(others)), "what is left: {said:?}");
}

fn urgency(said: &Said) -> Option<Urgent> {
    let Said::Line(line) = said else { return None };
    let end = line.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |last| last + 1);
    match line[..end].to_ascii_lowercase().as_slice() {
        b"abor" => Some(Urgent::Abort),
        b"stat" => Some(Urgent::Status),
        _ => None,
    }
}
