use core::fmt::{self, Write};

/// Returns whether `letter` must be escaped before a person or a log sees it: C0, DEL and C1 controls, line and paragraph
/// separators, and the marks that turn or hide text (bidirectional controls, zero-width ones, the byte order mark).
pub fn is_hostile(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Bytes from outside as a log shows them: letters of any script as they are, everything hostile, quotes and backslashes
/// escaped, bytes that are no UTF-8 as `\xff` (PROTOCOL A14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if is_hostile(letter) || matches!(letter, '"' | '\\') {
                    write!(f, "{}", letter.escape_default())?;
                } else {
                    f.write_char(letter)?;
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn letters_stay_and_hostile_bytes_do_not() {
        for (bytes, expected) in [
            (&b"plain /a b"[..], "plain /a b"),
            ("/潮汐 ü".as_bytes(), "/潮汐 ü"),
            (b"a\x1b[2J\nroot", "a\\u{1b}[2J\\nroot"),
            (b"say \"hi\" \\", "say \\\"hi\\\" \\\\"),
            (b"\xff\xfe latin \xe9", "\\xff\\xfe latin \\xe9"),
            ("\u{202e}txt".as_bytes(), "\\u{202e}txt"),
        ] {
            assert_eq!(Shown(bytes).to_string(), expected);
        }
    }
}
