//! Line ends of TYPE A (RFC 959 §3.1.1.1): LF in files, CRLF on the wire. State is carried from buffer to buffer, so
//! the result does not depend on where the bytes were cut.

use alloc::vec::Vec;

const CR: u8 = b'\r';
const LF: u8 = b'\n';
const NUL: u8 = 0;

/// Turns the bytes of a file into what is sent: LF becomes CRLF; an LF that follows a CR stays, so that a file with
/// CRLF line ends is sent as it is.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    after_cr: bool,
}

impl Encoder {
    /// Returns an encoder at the start of a file.
    pub const fn new() -> Self {
        Self { after_cr: false }
    }

    /// Appends the wire form of `input` to `out`: at most twice as many bytes.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len());
        for run in input.split_inclusive(|byte| *byte == LF) {
            let Some((&last, text)) = run.split_last() else { continue };
            if last == LF {
                let follows_cr = text.last().map_or(self.after_cr, |byte| *byte == CR);
                out.extend_from_slice(text);
                out.extend_from_slice(if follows_cr { b"\n" } else { b"\r\n" });
            } else {
                out.extend_from_slice(run);
            }
            self.after_cr = last == CR;
        }
    }
}

/// Turns what was received into the bytes of a file: CRLF becomes LF, CR NUL becomes CR (RFC 854), a lone CR stays.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    pending_cr: bool,
}

impl Decoder {
    /// Returns a decoder at the start of a file.
    pub const fn new() -> Self {
        Self { pending_cr: false }
    }

    /// Appends the file form of `input` to `out`; a CR at the very end is held back until the next byte is known.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() + 1);
        for run in input.split_inclusive(|byte| *byte == CR) {
            let text = if self.pending_cr { resolve_cr(run, out) } else { run };
            self.pending_cr = run.last() == Some(&CR);
            let ends_in_cr = if self.pending_cr { text.split_last().map(|(_, text)| text) } else { None };
            out.extend_from_slice(ends_in_cr.unwrap_or(text));
        }
    }

    /// Appends a CR that was held back, at the end of the file.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.pending_cr) {
            out.push(CR);
        }
    }
}

/// Appends what the CR before `run` turned out to mean, and returns the part of `run` that is not used up by it.
fn resolve_cr<'a>(run: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    match run.split_first() {
        Some((&LF, text)) => {
            out.push(LF);
            text
        }
        Some((&NUL, text)) => {
            out.push(CR);
            text
        }
        _ => {
            out.push(CR);
            run
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(parts: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut out) = (Encoder::new(), Vec::new());
        for part in parts {
            encoder.push(part, &mut out);
        }
        out
    }

    fn decode(parts: &[&[u8]]) -> Vec<u8> {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        for part in parts {
            decoder.push(part, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    const ENCODED: [(&[u8], &[u8]); 9] = [
        (b"", b""),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\nb", b"a\r\nb"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"\r\n\n", b"\r\n\r\n"),
        (b"a\rb\r", b"a\rb\r"),
        (b"\r\r\n", b"\r\r\n"),
        (b"\x00\xff\n\x80", b"\x00\xff\r\n\x80"),
    ];

    const DECODED: [(&[u8], &[u8]); 11] = [
        (b"", b""),
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"a\nb\n", b"a\nb\n"),
        (b"a\rb", b"a\rb"),
        (b"a\r", b"a\r"),
        (b"\r\r\n", b"\r\n"),
        (b"\r\0\n", b"\r\n"),
        (b"\r\0\r\0", b"\r\r"),
        (b"\r\r\r", b"\r\r\r"),
        (b"\0\r\n\0", b"\0\n\0"),
        (b"\xff\r\n\x80", b"\xff\n\x80"),
    ];

    #[test]
    fn tables_at_every_cut() {
        for (input, expected) in ENCODED {
            for cut in 0..=input.len() {
                assert_eq!(encode(&[&input[..cut], b"", &input[cut..]]), expected, "{input:?} at {cut}");
            }
        }
        for (input, expected) in DECODED {
            for cut in 0..=input.len() {
                assert_eq!(decode(&[&input[..cut], b"", &input[cut..]]), expected, "{input:?} at {cut}");
            }
        }
    }

    #[test]
    fn finish_is_said_once() {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        decoder.push(b"\r", &mut out);
        assert!(out.is_empty());
        decoder.finish(&mut out);
        decoder.finish(&mut out);
        assert_eq!(out, b"\r");
    }

    fn text(alphabet: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(alphabet), 0..40)
    }

    proptest! {
        #[test]
        fn text_round_trips(text in text(b"ab\n\0\xff")) {
            prop_assert_eq!(decode(&[&encode(&[&text])]), text);
        }

        #[test]
        fn cuts_do_not_matter(input in text(b"a\r\n\0"), size in 1_usize..5) {
            let parts: Vec<&[u8]> = input.chunks(size).collect();
            prop_assert_eq!(encode(&parts), encode(&[&input]));
            prop_assert_eq!(decode(&parts), decode(&[&input]));
        }

        #[test]
        fn no_bare_lf_is_sent(input in text(b"a\r\n")) {
            let sent = encode(&[&input]);
            for (index, _) in sent.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
                prop_assert!(index > 0 && sent[index - 1] == b'\r');
            }
        }
    }
}
