//! Patterns in the argument of LIST and NLST, for `mget *.txt` (RFC 959 §4.1.3 leaves them to the server).

use alloc::vec::Vec;

use tidegate_types::{Pattern, VirtualPath, WILDCARDS_MAX};

use super::Glob;

/// What an argument means as a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Globbed {
    /// It has no wildcard.
    Plain,
    /// It has some.
    Pattern {
        /// What to look for.
        glob: Glob,
        /// What the client typed before the level of the first wildcard, with its slash.
        typed: Vec<u8>,
    },
    /// Too many wildcards, or `..` behind one.
    TooWild,
}

/// Returns whether `argument` has a byte that can make a pattern.
pub(super) fn has_wildcard(argument: &[u8]) -> bool {
    argument.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Reads `argument` as a pattern; at most [`WILDCARDS_MAX`] wildcards in all (PROTOCOL A17). A path that cannot be one
/// was refused before.
pub(super) fn read_glob(cwd: &VirtualPath, argument: &[u8], hidden: bool) -> Globbed {
    let Some(first) = argument.iter().position(|byte| matches!(byte, b'*' | b'?' | b'[')) else {
        return Globbed::Plain;
    };
    let before = argument.get(..first).unwrap_or_default();
    let split = before.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (typed, rest) = argument.split_at_checked(split).unwrap_or((b"", argument));
    let base = if typed.is_empty() { Some(cwd.clone()) } else { VirtualPath::resolve(cwd, typed).ok() };
    let parts = rest.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let mut levels = Vec::new();
    let mut differs = false;
    for part in parts {
        match Pattern::parse(part) {
            Ok(pattern) if part != b".." => {
                // A name with an escape in it is another name than the one that was typed.
                differs |= pattern.literal().as_deref() != Some(part);
                levels.push(pattern);
            }
            _ => return Globbed::TooWild,
        }
    }
    let wildcards: usize = levels.iter().map(Pattern::wildcards).sum();
    match base {
        Some(_) if !differs => Globbed::Plain,
        Some(base) if wildcards <= WILDCARDS_MAX && levels.len() <= WILDCARDS_MAX => {
            Globbed::Pattern { glob: Glob { base, levels, hidden }, typed: typed.to_vec() }
        }
        _ => Globbed::TooWild,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn read(argument: &str) -> Globbed {
        let cwd = VirtualPath::resolve(&VirtualPath::root(), b"home").unwrap();
        read_glob(&cwd, argument.as_bytes(), false)
    }

    fn parts(argument: &str) -> (String, usize, String) {
        let Globbed::Pattern { glob, typed } = read(argument) else {
            std::panic!("{argument} is no pattern")
        };
        let base = String::from_utf8(glob.base.as_bytes().to_vec()).unwrap();
        (base, glob.levels.len(), String::from_utf8(typed).unwrap())
    }

    #[test]
    fn splits_before_the_first_wildcard() {
        assert_eq!(parts("*.txt"), ("/home".into(), 1, String::new()));
        assert_eq!(parts("d/*.txt"), ("/home/d".into(), 1, "d/".into()));
        assert_eq!(parts("/a/../b/x*/./y"), ("/b".into(), 2, "/a/../b/".into()));
        assert_eq!(parts("/*"), ("/".into(), 1, "/".into()));
        assert_eq!(parts("*/"), ("/home".into(), 1, String::new()));
    }

    #[test]
    fn tells_what_is_no_pattern() {
        assert_eq!(read("plain/name"), Globbed::Plain);
        assert_eq!(read("file[1"), Globbed::Plain, "a set that is never closed is a name");
        assert_eq!(parts("x\\*y"), ("/home".into(), 1, String::new()), "an escaped star is a name");
        assert_eq!(read("*/../*"), Globbed::TooWild);
        assert_eq!(read("*/*/*/*/*/*/*/*/*"), Globbed::TooWild);
        assert_eq!(read("a*a*a*a*a*a*a*a*a*b"), Globbed::TooWild);
    }
}
