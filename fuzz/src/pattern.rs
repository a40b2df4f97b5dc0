//! Patterns for names.

use tidegate_types::{COMPONENT_BYTES_MAX, Pattern, PatternError, WILDCARDS_MAX};

use crate::split_head;

/// A pattern matches what a slow and plain matcher matches, has no more wildcards than it may, and a name written with
/// every byte escaped matches that name alone.
///
/// Input: how long the pattern is; the pattern; the name.
pub fn pattern(data: &[u8]) {
    let ([length], rest) = split_head(data);
    let (text, name) = rest.split_at(rest.len().min(usize::from(length)));
    let name = &name[..name.len().min(COMPONENT_BYTES_MAX)];
    let tokens = tokens(text);
    let wildcards = tokens.iter().filter(|token| !matches!(token, Token::Byte(_))).count();
    match Pattern::parse(text) {
        Ok(pattern) => {
            assert!(!text.is_empty() && wildcards <= WILDCARDS_MAX);
            assert!(!text.iter().any(|byte| *byte == b'/' || byte.is_ascii_control()));
            assert_eq!(pattern.wildcards(), wildcards, "{}", text.escape_ascii());
            assert_eq!(pattern.names_hidden(), matches!(tokens.first(), Some(Token::Byte(b'.'))));
            assert_eq!(pattern.literal().is_some(), wildcards == 0);
            let expected = matches(&tokens, name);
            assert_eq!(pattern.matches(name), expected, "{} on {}", text.escape_ascii(), name.escape_ascii());
            if let Some(literal) = pattern.literal() {
                assert!(pattern.matches(&literal));
                assert_eq!(expected, literal == name);
            }
        }
        Err(PatternError::Empty) => assert!(text.is_empty()),
        Err(PatternError::TooLong) => assert!(text.len() > COMPONENT_BYTES_MAX),
        Err(PatternError::ForbiddenByte) => {
            assert!(text.iter().any(|byte| *byte == b'/' || byte.is_ascii_control()));
        }
        Err(PatternError::TooManyWildcards) => assert!(wildcards > WILDCARDS_MAX, "{}", text.escape_ascii()),
    }
    escaped(name);
}

/// A name with a backslash before every byte stands for itself.
fn escaped(name: &[u8]) {
    let text: Vec<u8> = name.iter().flat_map(|byte| [b'\\', *byte]).collect();
    match Pattern::parse(&text) {
        Ok(pattern) => assert_eq!(pattern.literal().as_deref(), Some(name), "{}", name.escape_ascii()),
        Err(error) => assert_ne!(error, PatternError::TooManyWildcards),
    }
}

enum Token {
    Byte(u8),
    One,
    Run,
    Set(Box<[bool; 256]>),
}

/// Reads a pattern as its documentation says.
fn tokens(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (token, bytes) = match text[at] {
            b'*' => (Token::Run, 1),
            b'?' => (Token::One, 1),
            b'\\' if at + 1 < text.len() => (Token::Byte(text[at + 1]), 2),
            b'[' => set(&text[at..]).unwrap_or((Token::Byte(b'['), 1)),
            byte => (Token::Byte(byte), 1),
        };
        at += bytes;
        if !(matches!(token, Token::Run) && matches!(tokens.last(), Some(Token::Run))) {
            tokens.push(token);
        }
    }
    tokens
}

/// Reads a set that begins with `[`, and how many bytes it has; `None` when it never ends.
fn set(text: &[u8]) -> Option<(Token, usize)> {
    let negated = matches!(text.get(1), Some(b'!' | b'^'));
    let first = 1 + usize::from(negated);
    let mut members = Box::new([false; 256]);
    let mut at = first;
    while at == first || *text.get(at)? != b']' {
        let from = *text.get(at)?;
        let to = match (text.get(at + 1), text.get(at + 2)) {
            (Some(b'-'), Some(to)) if *to != b']' => {
                at += 2;
                *to
            }
            _ => from,
        };
        at += 1;
        for member in from..=to {
            members[usize::from(member)] = true;
        }
    }
    if negated {
        members.iter_mut().for_each(|member| *member = !*member);
    }
    Some((Token::Set(members), at + 1))
}

/// Matches by a table over all prefixes of the name.
fn matches(tokens: &[Token], name: &[u8]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            let stays = matches!(token, Token::Run) && (reached[at] || (at > 0 && next[at - 1]));
            let moves = at > 0
                && reached[at - 1]
                && match token {
                    Token::Byte(byte) => *byte == name[at - 1],
                    Token::One => true,
                    Token::Run => false,
                    Token::Set(members) => members[usize::from(name[at - 1])],
                };
            next[at] = stays || moves;
        }
        reached = next;
    }
    reached[name.len()]
}
