//! What the files of an account look like: owner, group and modes.

use std::path::Path;

use toml::de::DeValue;

use super::{Mismatch, Value, text_of};
use crate::keys::Kind;

/// The longest name of a user or group, in bytes (`LOGIN_NAME_MAX` of Linux, without its NUL).
const NAME_BYTES_MAX: usize = 255;

/// A user or a group: a name in the system's database, or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// To be looked up.
    Name(String),
    /// As it is.
    Number(u32),
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// The owner of what an account creates; what is absent is the service's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Who owns it.
    pub user: Option<Who>,
    /// Which group it belongs to.
    pub group: Option<Who>,
}

impl Value for Owner {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        if let DeValue::Integer(number) = found {
            return Err(Mismatch::new("is not an owner").hint(format!("put it in quotes: \"{number}\"")));
        }
        let text = text_of(found, "an owner")?;
        let (user, group) = match text.split_once(':') {
            None => (text, None),
            Some((user, "")) if !user.is_empty() => {
                return Err(Mismatch::new("names no group behind its colon")
                    .hint(format!("write \"{user}\" for the user alone, \"{user}:GROUP\" for both")));
            }
            Some((user, group)) => (user, Some(group)),
        };
        let owner = Self {
            user: if user.is_empty() { None } else { Some(who(user, "user")?) },
            group: group.filter(|group| !group.is_empty()).map(|group| who(group, "group")).transpose()?,
        };
        if owner == Self::default() {
            return Err(Mismatch::new("names nobody").hint("leave the key out for the service's own"));
        }
        Ok(owner)
    }

    fn show(&self) -> String {
        let shown = |who: Option<&Who>| who.map(ToString::to_string).unwrap_or_default();
        match &self.group {
            None => shown(self.user.as_ref()),
            group => format!("{}:{}", shown(self.user.as_ref()), shown(group.as_ref())),
        }
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Owner
    }
}

fn who(text: &str, noun: &str) -> Result<Who, Mismatch> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse::<u32>() {
            // The system calls read the highest number as "leave it".
            Ok(number) if number != u32::MAX => Ok(Who::Number(number)),
            _ => Err(Mismatch::new(format!("has a {noun} number above {}", u32::MAX - 1))),
        };
    }
    let starts_badly = text.starts_with(['-', '+']);
    if starts_badly || text.len() > NAME_BYTES_MAX || text.contains(|c: char| c == ':' || c.is_whitespace()) {
        return Err(Mismatch::new(format!("has no name of a {noun} in it")));
    }
    Ok(Who::Name(text.into()))
}

/// Permission bits, `0o7777` at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Value for Mode {
    fn read(found: &DeValue<'_>, kind: Kind, _: &Path) -> Result<Self, Mismatch> {
        if let DeValue::Integer(number) = found {
            let mismatch = Mismatch::new("is not a mode");
            let digits = number.as_str();
            return Err(match digits.len() {
                3 if digits.bytes().all(|digit| digit <= b'7') => {
                    mismatch.hint(format!("put it in quotes: \"0{digits}\""))
                }
                _ => mismatch.hint("put it in quotes"),
            });
        }
        let text = text_of(found, "a mode")?;
        let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = if is_octal { u32::from_str_radix(text, 8).ok() } else { None };
        let mode = mode.ok_or_else(|| {
            Mismatch::new("is not a mode")
                .hint("each digit is for owner, group or others: 4 read, 2 write, 1 enter")
        })?;
        if kind == Kind::FileMode && mode & !0o777 != 0 {
            return Err(Mismatch::new("has set-id or sticky bits, which files of clients must not get")
                .hint(format!("write \"{:04o}\"", mode & 0o777)));
        }
        Ok(Self(mode))
    }

    fn show(&self) -> String {
        format!("{:04o}", self.0)
    }

    fn fits(kind: Kind) -> bool {
        matches!(kind, Kind::FileMode | Kind::FolderMode)
    }
}
