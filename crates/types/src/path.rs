use alloc::vec::Vec;
use core::fmt;

use crate::Shown;

/// The longest virtual path, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;
/// The longest name between two slashes, in bytes.
pub const COMPONENT_BYTES_MAX: usize = 255;

/// Why an argument is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// No bytes at all.
    Empty,
    /// Longer than [`PATH_BYTES_MAX`], or a name longer than [`COMPONENT_BYTES_MAX`].
    TooLong,
    /// A control character (C0 or DEL) such as CR, LF or NUL.
    ForbiddenByte,
}

/// An absolute, normalised path as clients see it: starts with `/`, no empty parts, no `.` or `..`, no control bytes.
///
/// The bytes are kept as they came (usually UTF-8), never re-encoded or normalised (RFC 2640 §3). The root is the
/// account's home; `..` never leaves it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualPath(Vec<u8>);

impl VirtualPath {
    /// Returns `/`.
    pub fn root() -> Self {
        Self(alloc::vec![b'/'])
    }

    /// Returns the absolute path `arg` names from `cwd`; never above the root.
    pub fn resolve(cwd: &Self, arg: &[u8]) -> Result<Self, PathError> {
        if arg.is_empty() {
            return Err(PathError::Empty);
        }
        if arg.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        if arg.iter().any(|byte| is_forbidden(*byte)) {
            return Err(PathError::ForbiddenByte);
        }
        let mut bytes = if arg.starts_with(b"/") || cwd.is_root() { Vec::new() } else { cwd.0.clone() };
        bytes.reserve(arg.len() + 1);
        for part in arg.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => bytes.truncate(bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
                name if name.len() > COMPONENT_BYTES_MAX => return Err(PathError::TooLong),
                name => {
                    bytes.push(b'/');
                    bytes.extend_from_slice(name);
                }
            }
        }
        if bytes.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        Ok(Self(bytes))
    }

    /// Returns the whole path, with its leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the path below the root, without a leading slash; empty for the root.
    pub fn relative(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    /// Returns whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Returns the last name; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        if self.is_root() { None } else { self.0.rsplit(|byte| *byte == b'/').next() }
    }

    /// Returns the directory that holds it; the root for the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            None | Some(0) => Self::root(),
            Some(end) => Self(self.0.get(..end).unwrap_or_default().to_vec()),
        }
    }

    /// Returns the names from the root downwards.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.relative().split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// Returns whether `self` is `other` or lies somewhere below it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_root()
            || self.0 == other.0
            || (self.0.starts_with(&other.0) && self.0.get(other.0.len()) == Some(&b'/'))
    }
}

/// Returns whether `byte` may not stand in a name: C0 controls and DEL.
const fn is_forbidden(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

impl fmt::Debug for VirtualPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for VirtualPath {
    /// Writes the path for a log: see [`Shown`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests;
