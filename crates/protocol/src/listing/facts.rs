//! The facts of MLST and MLSD (RFC 3659 §7.5).

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_types::{Access, FileKind, Metadata, Rights};

use crate::number::{push_hex, push_left, push_octal4};
use crate::time::format_time;

/// Which facts MLSD and MLST show (RFC 3659 §7.5), selected by OPTS MLST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactSet(u16);

impl Default for FactSet {
    /// Returns all facts: what a session starts with.
    fn default() -> Self {
        Self::ALL
    }
}

impl FactSet {
    /// No fact: names only.
    pub const NONE: Self = Self(0);
    /// `type`: `file`, `dir`, `OS.unix=symlink` for a link that was not followed, `OS.unix=other` for what is not served.
    pub const TYPE: Self = Self(1);
    /// `size`: bytes, of files only.
    pub const SIZE: Self = Self(1 << 1);
    /// `modify`: when the content changed last, UTC.
    pub const MODIFY: Self = Self(1 << 2);
    /// `perm`: what the account may do with it now.
    pub const PERM: Self = Self(1 << 3);
    /// `unique`: the same for two names of one file.
    pub const UNIQUE: Self = Self(1 << 4);
    /// `UNIX.mode`: four octal digits.
    pub const UNIX_MODE: Self = Self(1 << 5);
    /// `UNIX.owner`: a number.
    pub const UNIX_OWNER: Self = Self(1 << 6);
    /// `UNIX.group`: a number.
    pub const UNIX_GROUP: Self = Self(1 << 7);
    /// All eight.
    pub const ALL: Self = Self((1 << 8) - 1);

    /// Each fact with its name, in the order they are written.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("type", Self::TYPE),
        ("size", Self::SIZE),
        ("modify", Self::MODIFY),
        ("perm", Self::PERM),
        ("unique", Self::UNIQUE),
        ("UNIX.mode", Self::UNIX_MODE),
        ("UNIX.owner", Self::UNIX_OWNER),
        ("UNIX.group", Self::UNIX_GROUP),
    ];

    /// Returns whether every fact of `other` is in `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the facts that `list` (`type;size;`, in any case) names and this server knows; others are ignored
    /// (RFC 3659 §7.9). An empty list selects none.
    #[must_use]
    pub fn select(list: &[u8]) -> Self {
        list.split(|byte| *byte == b';').fold(Self::NONE, |set, word| {
            let known = Self::NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
            known.map_or(set, |(_, fact)| Self(set.0 | fact.0))
        })
    }

    /// Returns the FEAT label, `MLST type*;size*;modify;`: every fact, the selected ones with a star (RFC 3659 §7.8).
    pub fn feat_label(self) -> String {
        let mut label = String::from("MLST ");
        for (name, fact) in Self::NAMES {
            label.push_str(name);
            label.push_str(if self.contains(fact) { "*;" } else { ";" });
        }
        label
    }

    /// Returns the selected facts as OPTS MLST takes and tells them, `type;size;`; empty when there are none
    /// (RFC 3659 §7.9).
    pub fn words(self) -> String {
        let mut words = String::new();
        for (name, _) in Self::NAMES.iter().filter(|(_, fact)| self.contains(*fact)) {
            words.push_str(name);
            words.push(';');
        }
        words
    }

    fn write_value(self, metadata: &Metadata, rights: Rights, parent: Access, out: &mut Vec<u8>) {
        match self {
            Self::TYPE => out.extend_from_slice(type_word(metadata.kind)),
            Self::SIZE => push_left(metadata.size, 0, out),
            Self::MODIFY => format_time(metadata.modified, out),
            Self::PERM => write_perm(metadata, rights, parent, out),
            Self::UNIQUE => {
                push_hex(metadata.unique.device, out);
                out.push(b'g');
                push_hex(metadata.unique.file, out);
            }
            Self::UNIX_MODE => push_octal4(metadata.mode, out),
            Self::UNIX_OWNER => push_left(metadata.uid.into(), 0, out),
            Self::UNIX_GROUP => push_left(metadata.gid.into(), 0, out),
            _ => {}
        }
    }
}

/// Appends the selected facts of one file, `fact=value;` each, no blank anywhere: in MLSD and MLST a blank and the name
/// follow (RFC 3659 §7.2).
///
/// `parent` is what the process may do with the directory that holds the file; `None` when nobody asked: then removing
/// and renaming depend on the account's rights alone. [`NO_ACCESS`] is right for the root.
pub fn write_facts(
    set: FactSet,
    metadata: &Metadata,
    parent: Option<Access>,
    rights: Rights,
    out: &mut Vec<u8>,
) {
    let parent = parent.unwrap_or(Access::ALL);
    for (name, fact) in FactSet::NAMES {
        let applies = fact != FactSet::SIZE || metadata.kind == FileKind::File;
        if set.contains(fact) && applies {
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            fact.write_value(metadata, rights, parent, out);
            out.push(b';');
        }
    }
}

/// The `parent` of what nobody can remove or rename: the root.
pub const NO_ACCESS: Access = Access { read: false, write: false, search: false };

const fn type_word(kind: FileKind) -> &'static [u8] {
    match kind {
        FileKind::File => b"file",
        FileKind::Directory => b"dir",
        FileKind::Symlink => b"OS.unix=symlink",
        FileKind::Other => b"OS.unix=other",
    }
}

/// Appends the letters of what would succeed now, in alphabetical order (RFC 3659 §7.5.5): the account must have the
/// right and the process the access.
fn write_perm(metadata: &Metadata, rights: Rights, parent: Access, out: &mut Vec<u8>) {
    let access = metadata.access;
    let may = |right: Rights| rights.contains(right);
    let entry_changes = parent.write && parent.search;
    let delete = may(Rights::DELETE) && entry_changes;
    let rename = may(Rights::RENAME) && entry_changes;
    // Names in a directory can be changed only by who may also search it.
    let inside = access.write && access.search;
    let letters: &[(u8, bool)] = match metadata.kind {
        FileKind::File => &[
            (b'a', may(Rights::APPEND) && access.write),
            (b'd', delete),
            (b'f', rename),
            (b'r', may(Rights::READ) && access.read),
            (b'w', may(Rights::OVERWRITE) && access.write),
        ],
        FileKind::Directory => &[
            (b'c', may(Rights::WRITE) && inside),
            (b'd', delete),
            (b'e', access.search),
            (b'f', rename),
            (b'l', may(Rights::LIST) && access.read),
            (b'm', may(Rights::MKDIR) && inside),
            (b'p', may(Rights::DELETE) && inside),
        ],
        FileKind::Symlink => &[(b'd', delete), (b'f', rename)],
        FileKind::Other => &[],
    };
    out.extend(letters.iter().filter(|(_, holds)| *holds).map(|(letter, _)| *letter));
}
