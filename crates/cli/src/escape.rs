//! Makes hostile text harmless for terminals and logs: nothing in it moves a cursor, ends a line or turns the reading direction.

use std::fmt::{self, Write};

pub use tidegate_types::is_hostile;

/// Writes `text` with hostile letters as `\n`, `\u{1b}` and the like.
pub fn write_escaped(out: &mut impl Write, text: &str) -> fmt::Result {
    for letter in text.chars() {
        if is_hostile(letter) {
            write!(out, "{}", letter.escape_default())?;
        } else {
            out.write_char(letter)?;
        }
    }
    Ok(())
}

/// Writes `text` in double quotes, with hostile letters, quotes and backslashes escaped.
pub fn write_quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for letter in text.chars() {
        if is_hostile(letter) || matches!(letter, '"' | '\\') {
            write!(out, "{}", letter.escape_default())?;
        } else {
            out.write_char(letter)?;
        }
    }
    out.write_char('"')
}

/// Returns whether `text` can stand between double quotes as it is: nothing hostile, no bare quote, and every backslash begins an
/// escape such as `\\`, `\"`, `\n`, `\xff` or `\u{1b}`.
pub fn is_escaped(text: &str) -> bool {
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let taken = match letter {
            '\\' => escape_bytes(rest),
            '"' => None,
            letter => (!is_hostile(letter)).then(|| letter.len_utf8()),
        };
        match taken.and_then(|taken| rest.get(taken..)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    true
}

/// Returns how long the escape is that `text` begins with.
fn escape_bytes(text: &str) -> Option<usize> {
    let is_hex = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    match text.as_bytes().get(1)? {
        b'\\' | b'"' | b'\'' | b'n' | b'r' | b't' | b'0' => Some(2),
        b'x' => text.get(2..4).filter(|digits| is_hex(digits)).map(|_| 4),
        b'u' => {
            let (digits, _) = text.get(2..)?.strip_prefix('{')?.split_once('}')?;
            (is_hex(digits) && digits.len() <= 6).then(|| digits.len() + 4)
        }
        _ => None,
    }
}

/// Returns `text` with hostile letters escaped.
pub fn for_people(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing into a String does not fail.
    let _ = write_escaped(&mut escaped, text);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_letters_become_words() {
        for (text, expected) in [
            ("plain ü 潮", "plain ü 潮"),
            ("a\x1b[2J\nroot", "a\\u{1b}[2J\\nroot"),
            ("\x7f\u{9b}", "\\u{7f}\\u{9b}"),
            ("\u{202e}txt", "\\u{202e}txt"),
        ] {
            assert_eq!(for_people(text), expected);
        }
        for escaped in ["", "a b", r#"\" \\ \n \xff \u{202e}"#, r"/e\u{202e}"] {
            assert!(is_escaped(escaped), "{escaped}");
        }
        for bare in [
            "\"",
            "a\\",
            "\\",
            r"\q",
            r"\x1",
            r"\x1g",
            r"\u{}",
            r"\u{1234567}",
            r"\u{1b",
            "\u{202e}",
            "\n",
            r#"\\""#,
        ] {
            assert!(!is_escaped(bare), "{bare:?}");
        }
        let mut quoted = String::new();
        write_quoted(&mut quoted, "a\" b=\\\r").unwrap();
        assert_eq!(quoted, r#""a\" b=\\\r""#);
    }
}
