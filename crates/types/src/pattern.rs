use alloc::vec::Vec;

use crate::COMPONENT_BYTES_MAX;

/// The most wildcards (`*`, `?` and `[...]`) one pattern may have (PROTOCOL A17).
pub const WILDCARDS_MAX: usize = 8;

/// A pattern for one name between two slashes: `*` is any run of bytes, `?` one byte, `[a-z]` one of a set, `[!a]` one
/// outside of it, and `\` takes the next byte as it is. A `[` that is never closed is itself.
///
/// Matching takes at most pattern length × name length steps, and neither is longer than 255: no name and no pattern make
/// it slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

/// Why a pattern is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// No bytes at all.
    Empty,
    /// Longer than a name can be ([`COMPONENT_BYTES_MAX`]).
    TooLong,
    /// More than [`WILDCARDS_MAX`] wildcards.
    TooManyWildcards,
    /// A slash or a control byte, which no name has.
    ForbiddenByte,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Exactly this byte.
    Byte(u8),
    /// Any one byte.
    One,
    /// Any run of bytes, also none.
    Run,
    /// One byte inside these ranges, or outside of all of them.
    Set { inside: bool, ranges: Vec<(u8, u8)> },
}

impl Pattern {
    /// Reads a pattern for one name.
    pub fn parse(text: &[u8]) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > COMPONENT_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        if text.iter().any(|byte| *byte == b'/' || byte.is_ascii_control()) {
            return Err(PatternError::ForbiddenByte);
        }
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((token, after)) = next_token(rest) {
            // Two runs in a row match what one matches.
            if token != Token::Run || tokens.last() != Some(&Token::Run) {
                tokens.push(token);
            }
            rest = after;
        }
        if tokens.iter().filter(|token| !matches!(token, Token::Byte(_))).count() > WILDCARDS_MAX {
            return Err(PatternError::TooManyWildcards);
        }
        Ok(Self(tokens))
    }

    /// Returns the only name the pattern can match, `None` when it has a wildcard.
    pub fn literal(&self) -> Option<Vec<u8>> {
        let byte = |token: &Token| if let Token::Byte(byte) = token { Some(*byte) } else { None };
        self.0.iter().map(byte).collect()
    }

    /// Returns how many wildcards it has.
    pub fn wildcards(&self) -> usize {
        self.0.iter().filter(|token| !matches!(token, Token::Byte(_))).count()
    }

    /// Returns whether it starts with a dot: only such patterns are meant for hidden names.
    pub fn names_hidden(&self) -> bool {
        self.0.first() == Some(&Token::Byte(b'.'))
    }

    /// Returns whether `name` matches as a whole.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (mut at, mut token_at) = (0, 0);
        // Where to go on when what follows the last run does not match: one byte further.
        let mut retry = None;
        loop {
            let token = self.0.get(token_at);
            if token == Some(&Token::Run) {
                token_at += 1;
                retry = Some((at, token_at));
                continue;
            }
            match (name.get(at), token) {
                (None, None) => return true,
                (Some(byte), Some(token)) if token.takes(*byte) => {
                    at += 1;
                    token_at += 1;
                }
                _ => match retry {
                    Some((from, behind)) if from < name.len() => {
                        retry = Some((from + 1, behind));
                        (at, token_at) = (from + 1, behind);
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::One => true,
            Self::Run => false,
            Self::Set { inside, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&byte)) == *inside
            }
        }
    }
}

fn next_token(text: &[u8]) -> Option<(Token, &[u8])> {
    let (first, rest) = text.split_first()?;
    Some(match first {
        b'*' => (Token::Run, rest),
        b'?' => (Token::One, rest),
        b'\\' if !rest.is_empty() => {
            let (byte, rest) = rest.split_first()?;
            (Token::Byte(*byte), rest)
        }
        b'[' => read_set(rest).unwrap_or((Token::Byte(b'['), rest)),
        byte => (Token::Byte(*byte), rest),
    })
}

/// Reads what stands behind `[`; `None` when no `]` closes it. A `]` that comes first is a member.
fn read_set(text: &[u8]) -> Option<(Token, &[u8])> {
    let (inside, mut rest) = match text.split_first() {
        Some((b'!' | b'^', rest)) => (false, rest),
        _ => (true, text),
    };
    let mut ranges = Vec::new();
    loop {
        let (first, after) = rest.split_first()?;
        if *first == b']' && !ranges.is_empty() {
            return Some((Token::Set { inside, ranges }, after));
        }
        match after {
            [b'-', last, after @ ..] if *last != b']' => {
                ranges.push((*first, *last));
                rest = after;
            }
            _ => {
                ranges.push((*first, *first));
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern.as_bytes()).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn wildcards_match_whole_names() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*.txt", "a.txt", true),
            ("*.txt", ".txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "a", true),
            ("?", "", false),
            ("?", "ab", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[^a-c]x", "ax", false),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[z-a]", "m", false),
            ("a[1", "a[1", true),
            ("[", "[", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            (".ht*", ".htaccess", true),
            ("**", "anything", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn bad_patterns_are_told_apart() {
        for (pattern, error) in [
            (&b""[..], PatternError::Empty),
            (&[b'a'; 256], PatternError::TooLong),
            (b"a/b", PatternError::ForbiddenByte),
            (b"a\rb", PatternError::ForbiddenByte),
            (b"a*b*c*d*e*f*g*h*i*", PatternError::TooManyWildcards),
        ] {
            assert_eq!(Pattern::parse(pattern), Err(error));
        }
        assert!(Pattern::parse(b"*********a").is_ok(), "runs in a row are one");
    }

    #[test]
    fn literals_are_known() {
        assert_eq!(Pattern::parse(b"a\\*b").unwrap().literal(), Some(b"a*b".to_vec()));
        assert_eq!(Pattern::parse(b"a?b").unwrap().literal(), None);
        assert_eq!(Pattern::parse(b"a?[b]*").unwrap().wildcards(), 3);
        assert!(Pattern::parse(b".h*").unwrap().names_hidden());
        assert!(!Pattern::parse(b"*").unwrap().names_hidden());
    }

    #[test]
    fn matching_is_bounded() {
        let pattern = Pattern::parse(b"a*a*a*a*a*a*a*a*b").unwrap();
        let name = [b'a'; 255];
        for _ in 0..10_000 {
            assert!(!pattern.matches(&name));
        }
    }
}
