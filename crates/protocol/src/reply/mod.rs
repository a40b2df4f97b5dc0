//! Replies: reasons, their texts, and how they are written on the wire (RFC 959 §4.2).

mod reason;
mod refusal;

use alloc::vec::Vec;

use crate::number::Digits;

pub use reason::Reason;
pub(crate) use refusal::refused_command;
pub use refusal::{denied_line, refusal_line, refusal_line_with};

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// Returns the English text of `reason`, with `{}` where an argument goes.
pub fn text(reason: Reason) -> &'static str {
    EN.get(reason as usize).map_or("", |(_, text)| text)
}

/// Writes a reply of one line.
pub fn write(out: &mut Vec<u8>, reason: Reason) {
    write_with(out, reason, &[]);
}

/// Writes a reply of one line whose text takes arguments, in order.
pub fn write_with(out: &mut Vec<u8>, reason: Reason, arguments: &[&[u8]]) {
    write_line(out, reason, b' ', arguments);
}

/// Writes the first line of a reply of several lines (`ddd-`); each further line goes through [`write_middle`].
pub fn write_first(out: &mut Vec<u8>, reason: Reason, arguments: &[&[u8]]) {
    write_line(out, reason, b'-', arguments);
}

/// Writes a middle line. It starts with a blank, so that no client takes it for the last line (RFC 959 §4.2).
pub fn write_middle(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.push(b' ');
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, reason: Reason, separator: u8, arguments: &[&[u8]]) {
    out.extend_from_slice(Digits::decimal(reason.code().into()).as_bytes());
    out.push(separator);
    let mut arguments = arguments.iter();
    for (index, piece) in text(reason).split("{}").enumerate() {
        if index > 0 {
            out.extend_from_slice(arguments.next().copied().unwrap_or_default());
        }
        out.extend_from_slice(piece.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Returns `path` with its double quotes doubled, as 257 wants (RFC 959 Appendix II).
pub fn quoted(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn written(reason: Reason, arguments: &[&[u8]]) -> String {
        let mut out = Vec::new();
        write_with(&mut out, reason, arguments);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn catalogue_has_every_reason_in_order() {
        assert_eq!(EN.len(), Reason::ALL.len());
        for (reason, (name, _)) in Reason::ALL.iter().zip(EN) {
            assert_eq!(reason.name(), *name, "en.toml and reason.rs must both be in alphabetical order");
        }
    }

    #[test]
    fn no_reason_says_421_or_120() {
        // 421 has its own fixed form (refusal.rs); 120 breaks clients (DESIGN §2.5).
        assert!(Reason::ALL.iter().all(|reason| ![421, 120].contains(&reason.code())));
    }

    #[test]
    fn texts_are_ascii() {
        assert!(EN.iter().all(|(_, text)| text.is_ascii()));
    }

    #[test]
    fn arguments_are_filled_in_order() {
        assert_eq!(written(Reason::ModificationTimeSet, &[b"1", b"/a"]), "213 Modify=1; /a\r\n");
        assert_eq!(
            written(Reason::DirectoryCurrent, &[&quoted(b"/a\"b")]),
            "257 \"/a\"\"b\" is the current directory.\r\n"
        );
        assert_eq!(written(Reason::DirectoryCurrent, &[]), "257 \"\" is the current directory.\r\n");
    }

    #[test]
    fn middle_lines_start_with_a_blank() {
        let mut out = Vec::new();
        write_middle(&mut out, &[b"226 fake", b" more"]);
        assert_eq!(out, b" 226 fake more\r\n");
    }
}
