//! Listings: one line an entry, as LIST and NLST (RFC 959 §4.1.3) and MLSD and MLST (RFC 3659 §7) want it.
//!
//! Names are raw bytes. Control characters never reach this room, but should one do, it is shown as `?`: a CR or LF would
//! make two lines of one name.

mod facts;
mod long;

use alloc::vec::Vec;
use tidegate_types::{Entry, FileKind, Metadata, Rights, Timestamp};

pub use facts::{FactSet, NO_ACCESS, write_facts};

/// How entries are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// LIST: as `ls -l` does.
    Long,
    /// NLST: names only.
    Names,
    /// MLSD and MLST (RFC 3659 §7).
    Facts(FactSet),
}

/// Everything that decides how a listing looks, fixed when the command was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPlan {
    /// The format.
    pub format: ListFormat,
    /// Whether names that start with a dot are shown (`-a`, `-A`; MLSD always shows them).
    pub hidden: bool,
    /// Whether `.` and `..` are shown (`-a`); in LIST only: in NLST they would send `mget` in circles.
    pub dots: bool,
    /// NLST: what stands before each name, the argument as given with a slash; empty for the current directory.
    pub prefix: Vec<u8>,
    /// Whether the directories below are listed too (`-R`); the shell walks them, within its bounds.
    pub recursive: bool,
    /// The account's rights, for the `perm` fact.
    pub rights: Rights,
}

/// Writes entries as lines. One line an entry, ended by CRLF, whatever the TYPE; allocates nothing but the output.
#[derive(Clone, Debug)]
pub struct ListWriter {
    plan: ListPlan,
    /// The directory's facts; `None` when the client named one file.
    directory: Option<Metadata>,
    /// NLST with `-R`: the way to the present directory, with a slash.
    below: Vec<u8>,
    now: Timestamp,
}

impl ListWriter {
    /// Returns a writer. `about` are the facts of the listed directory, for `.`, `..` and the `perm` of its entries; when
    /// they are missing or those of a file, the only entry is what the client named: never hidden, its directory taken
    /// as writable. `now` decides between year and time of day in LIST.
    pub fn new(plan: &ListPlan, about: Option<&Metadata>, now: Timestamp) -> Self {
        let directory = about.filter(|metadata| metadata.kind == FileKind::Directory).copied();
        Self { plan: plan.clone(), directory, below: Vec::new(), now }
    }

    /// Appends the lines that come before the first entry: `.` and `..`, in LIST with `-a`. Both show the facts of the
    /// directory itself, as nothing is known of what lies above.
    pub fn begin(&self, out: &mut Vec<u8>) {
        if let (ListFormat::Long, true, Some(directory)) =
            (&self.plan.format, self.plan.dots, &self.directory)
        {
            for name in [&b"."[..], b".."] {
                long::write_long(directory, self.now, out);
                push_name(name, out);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Goes on with the directory `shown` below the listed one (`d/e`), whose facts are `about` (`-R`). In LIST a header
    /// comes first; in NLST the names get their way in front.
    pub fn subdirectory(&mut self, shown: &[u8], about: &Metadata, out: &mut Vec<u8>) {
        self.directory = Some(*about);
        if self.plan.format == ListFormat::Names {
            self.below = shown.to_vec();
            self.below.push(b'/');
            return;
        }
        out.extend_from_slice(b"\r\n");
        push_name(shown, out);
        out.extend_from_slice(b":\r\n");
        self.begin(out);
    }

    /// Appends the line of one entry, or nothing when it is hidden.
    pub fn entry(&self, entry: &Entry, out: &mut Vec<u8>) {
        if self.is_hidden(&entry.name) {
            return;
        }
        match self.plan.format {
            ListFormat::Long => long::write_long(&entry.metadata, self.now, out),
            ListFormat::Names => {
                push_name(&self.plan.prefix, out);
                push_name(&self.below, out);
            }
            ListFormat::Facts(set) => {
                let parent = self.directory.map(|directory| directory.access);
                write_facts(set, &entry.metadata, parent, self.plan.rights, out);
                out.push(b' ');
            }
        }
        push_name(&entry.name, out);
        out.extend_from_slice(b"\r\n");
    }

    fn is_hidden(&self, name: &[u8]) -> bool {
        let may_hide = self.directory.is_some() && !self.plan.hidden;
        may_hide && name.starts_with(b".") && !matches!(self.plan.format, ListFormat::Facts(_))
    }
}

/// Appends `name` as it is, control characters (C0 and DEL) as `?`.
fn push_name(name: &[u8], out: &mut Vec<u8>) {
    if name.iter().any(u8::is_ascii_control) {
        out.extend(name.iter().map(|byte| if byte.is_ascii_control() { b'?' } else { *byte }));
    } else {
        out.extend_from_slice(name);
    }
}

#[cfg(test)]
mod tests;
