//! The directories below a listed one (`-R`): what is still to be listed, within bounds.

use std::sync::Arc;

use tidegate_types::{Entry, FileKind, Metadata, Unique, VirtualPath};

/// How deep below the listed directory.
const DEPTH_MAX: usize = 32;
/// How many directories, the listed one among them.
const DIRECTORIES_MAX: usize = 10_000;
/// How many entries.
const ENTRIES_MAX: usize = 100_000;
/// Memory of the directories that wait to be listed.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Directories that wait, the next one last; depth first, as `ls -R` does.
pub(super) struct Tree {
    base: VirtualPath,
    hidden: bool,
    waiting: Vec<Branch>,
    waiting_bytes: usize,
    directories: usize,
    entries: usize,
    bounded: bool,
}

/// A directory below the listed one.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) path: VirtualPath,
    pub(super) about: Metadata,
    way: Arc<Way>,
}

/// The directories above and including one, by identity: what appears twice on the way down is a loop of links.
#[derive(Debug)]
struct Way {
    unique: Unique,
    depth: usize,
    above: Option<Arc<Way>>,
}

impl Way {
    fn leads_to(&self, unique: Unique) -> bool {
        // A storage without identities leaves them all zero; the depth is its only bound.
        let mut way = Some(self);
        while let Some(here) = way {
            if here.unique == unique && unique != Unique::default() {
                return true;
            }
            way = here.above.as_deref();
        }
        false
    }
}

impl Branch {
    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<Way>() + self.path.as_bytes().len()
    }
}

impl Tree {
    /// Returns what waits below `base`: nothing yet. Directories whose names start with a dot only when `hidden`.
    pub(super) fn new(base: VirtualPath, hidden: bool) -> Self {
        let waiting = Vec::new();
        Self { base, hidden, waiting, waiting_bytes: 0, directories: 1, entries: 0, bounded: false }
    }

    /// Returns the listed directory itself, whose entries are to be noted first.
    pub(super) fn root(&self, about: Metadata) -> Branch {
        let way = Arc::new(Way { unique: about.unique, depth: 0, above: None });
        Branch { path: self.base.clone(), about, way }
    }

    /// Returns the directory to be listed next, or `None` at the end.
    pub(super) fn next(&mut self) -> Option<Branch> {
        let next = self.waiting.pop()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(next.bytes());
        Some(next)
    }

    /// Returns how `branch` is named: its path from the listed directory.
    pub(super) fn shown<'a>(&self, branch: &'a Branch) -> &'a [u8] {
        let above = self.base.as_bytes().len() + usize::from(!self.base.is_root());
        branch.path.as_bytes().get(above..).unwrap_or_default()
    }

    /// Returns how many entries may still be shown.
    pub(super) fn entries_left(&self) -> usize {
        ENTRIES_MAX.saturating_sub(self.entries)
    }

    /// Returns whether something is not listed because there is too much of it.
    pub(super) fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Notes that something is not listed because there is too much of it.
    pub(super) fn bound(&mut self) {
        self.bounded = true;
    }

    /// Notes entries of `parent` that were shown. The directories among them are listed later, the first of `entries` first
    /// unless [`Tree::next`] is asked between two calls for the same parent.
    pub(super) fn note(&mut self, parent: &Branch, entries: &[Entry]) {
        self.entries += entries.len();
        for entry in entries.iter().rev() {
            if entry.metadata.kind != FileKind::Directory || (entry.name.starts_with(b".") && !self.hidden) {
                continue;
            }
            let Ok(path) = VirtualPath::resolve(&parent.path, &entry.name) else {
                self.bounded = true;
                continue;
            };
            let about = entry.metadata;
            if parent.way.leads_to(about.unique) {
                continue;
            }
            let depth = parent.way.depth + 1;
            let way = Arc::new(Way { unique: about.unique, depth, above: Some(Arc::clone(&parent.way)) });
            let branch = Branch { path, about, way };
            let bytes = self.waiting_bytes + branch.bytes();
            if depth > DEPTH_MAX || self.directories >= DIRECTORIES_MAX || bytes > WAITING_BYTES_MAX {
                self.bounded = true;
                continue;
            }
            self.directories += 1;
            self.waiting_bytes = bytes;
            self.waiting.push(branch);
        }
    }
}

#[cfg(test)]
mod tests;
