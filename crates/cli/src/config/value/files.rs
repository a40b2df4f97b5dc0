//! The values of `[files]`.

use std::path::Path;
use std::sync::Arc;

use tidegate_protocol::command::Extras;
use tidegate_types::{COMPONENT_BYTES_MAX, Pattern, PatternError, WILDCARDS_MAX};
use toml::de::DeValue;

use super::{Mismatch, Value, describe, quote, suggest, text_of};
use crate::config::size;
use crate::keys::Kind;

/// The largest size of a file, in bytes; `None`: no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeLimit(pub Option<u64>);

/// How the absence of a limit is written (DESIGN §3).
const NO_LIMIT: &str = "absent";

impl Value for SizeLimit {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let leave_out = "leave the key out for no limit";
        let bytes = match found {
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(..0) => return Err(Mismatch::new("is below 1").hint(leave_out)),
                Ok(bytes) => u64::try_from(bytes).ok(),
                Err(_) => None,
            }
            .ok_or_else(|| Mismatch::new(format!("is above {}", u64::MAX)).hint(leave_out))?,
            _ => match text_of(found, "a size")? {
                NO_LIMIT => return Ok(Self(None)),
                text => size::parse(text).map_err(|error| {
                    let mismatch = Mismatch::new("is not a size");
                    match error.meant {
                        Some(meant) => mismatch.hint(format!("did you mean \"{meant}\"?")),
                        None => mismatch.hint(
                            "units are B, KiB, MiB, GiB and TiB of 1024, and KB, MB, GB and TB of 1000",
                        ),
                    }
                })?,
            },
        };
        if bytes == 0 {
            return Err(Mismatch::new("would let no file in").hint(leave_out));
        }
        Ok(Self(Some(bytes)))
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| "no limit".into(), size::show)
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Size
    }
}

/// Patterns for names, as they are written and as they are matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    written: Vec<String>,
    read: Vec<Pattern>,
}

impl Patterns {
    /// Returns the patterns, to be shared.
    pub fn shared(&self) -> Arc<[Pattern]> {
        self.read.as_slice().into()
    }
}

impl Value for Patterns {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let mut patterns = Self::default();
        for text in list_of_texts(found, "patterns")? {
            patterns.read.push(pattern_of(text)?);
            patterns.written.push(text.into());
        }
        Ok(patterns)
    }

    fn show(&self) -> String {
        if self.written.is_empty() {
            return "none".into();
        }
        crate::escape::for_people(&self.written.join(", "))
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Patterns
    }
}

fn pattern_of(text: &str) -> Result<Pattern, Mismatch> {
    let bad = |why: String| Mismatch::new(format!("has a bad pattern in it: {} {why}", quote(text)));
    let pattern = Pattern::parse(text.as_bytes()).map_err(|error| match error {
        PatternError::Empty => bad("is empty".into()),
        PatternError::TooLong => bad(format!("is longer than a name can be, {COMPONENT_BYTES_MAX} bytes")),
        PatternError::TooManyWildcards => {
            bad(format!("has more than {WILDCARDS_MAX} wildcards")).hint("write several patterns")
        }
        PatternError::ForbiddenByte if text.contains('/') => bad("has a slash in it".into())
            .hint("a pattern is for one name, in every folder: write the last part alone"),
        PatternError::ForbiddenByte => bad("has a control character in it".into()),
    })?;
    // No name is without a byte, so this is what hides everything.
    if Pattern::parse(b"*").is_ok_and(|all| all == pattern) {
        return Err(bad("hides every file".into()).hint("to let nobody read, take the right away"));
    }
    Ok(pattern)
}

/// Commands that are off unless they are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtraCommands(pub Extras);

impl Value for ExtraCommands {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let texts = list_of_texts(found, "commands")?;
        let extras = texts.into_iter().try_fold(Extras::NONE, |all, text| Ok(all.union(extra_of(text)?)))?;
        Ok(Self(extras))
    }

    fn show(&self) -> String {
        let names: Vec<&str> =
            Extras::NAMES.iter().filter(|(_, one)| self.0.contains(*one)).map(|(name, _)| *name).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::ExtraCommands
    }
}

fn extra_of(text: &str) -> Result<Extras, Mismatch> {
    let names = || Extras::NAMES.iter().map(|(name, _)| *name);
    let found = Extras::NAMES.iter().find(|(name, _)| *name == text).map(|(_, one)| *one);
    found.ok_or_else(|| {
        // `CHGRP` is meant to be `SITE CHGRP`.
        let under_site = names().find(|name| name.strip_prefix("SITE ") == Some(&text.to_ascii_uppercase()));
        let hint = match under_site.or_else(|| suggest(text, names())) {
            Some(close) => format!("did you mean \"{close}\"?"),
            None => format!("the commands are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Mismatch::new(format!("names no command that is off: {}", quote(text))).hint(hint)
    })
}

/// Returns the texts of a list. Errors: no list, or something else in it than text.
pub(super) fn list_of_texts<'a>(found: &'a DeValue<'_>, noun: &str) -> Result<Vec<&'a str>, Mismatch> {
    let no_list = || Mismatch::new(format!("is not a list of {noun}"));
    let DeValue::Array(elements) = found else {
        return Err(match found.as_str() {
            Some(text) => no_list().hint(format!("put it in brackets: [{}]", quote(text))),
            None => no_list(),
        });
    };
    let text = |element: &'a DeValue<'_>| {
        element.as_str().ok_or_else(|| {
            Mismatch::new(format!("with {} in it is not a list of {noun}", describe(element)))
                .hint("put each in quotes")
        })
    };
    elements.iter().map(|element| text(element.get_ref())).collect()
}
