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
        let mut quoted = String::new();
        write_quoted(&mut quoted, "a\" b=\\\r").unwrap();
        assert_eq!(quoted, r#""a\" b=\\\r""#);
    }
}
