use std::sync::Arc;

use tidegate_types::{Pattern, VirtualPath};

use crate::names;

/// What clients neither see nor touch: the reserved names, and those the operator denies.
///
/// Names are compared byte by byte. Where a file system folds case, a pattern must name both cases itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deny(Arc<[Pattern]>);

impl Deny {
    /// Returns what denies names that match one of `patterns`.
    pub(crate) fn new(patterns: Arc<[Pattern]>) -> Self {
        Self(patterns)
    }

    /// Returns whether the operator denies nothing: the usual case, in which nobody asks where a link leads.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether `name` is reserved or denied. `.` and `..` are no names.
    pub(crate) fn covers(&self, name: &[u8]) -> bool {
        names::is_reserved(name)
            || (name != b"." && name != b".." && self.0.iter().any(|pattern| pattern.matches(name)))
    }

    /// Returns whether a name on the way to `path` is reserved or denied.
    pub(crate) fn covers_path(&self, path: &VirtualPath) -> bool {
        path.components().any(|name| self.covers(name))
    }

    /// Returns whether `way`, relative and without links, leads through or to a name that is reserved or denied.
    pub(crate) fn covers_way(&self, way: &[u8]) -> bool {
        // Backwards, so that each `..` takes away the name before it.
        let mut left = 0_u32;
        way.rsplit(|byte| *byte == b'/').any(|name| match name {
            b"" | b"." => false,
            b".." => {
                left += 1;
                false
            }
            _ if left > 0 => {
                left -= 1;
                false
            }
            name => self.covers(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deny(patterns: &[&str]) -> Deny {
        Deny::new(patterns.iter().map(|text| Pattern::parse(text.as_bytes()).unwrap()).collect())
    }

    #[test]
    fn a_way_is_denied_by_the_names_that_remain_of_it() {
        let deny = deny(&[".ht*", ".git"]);
        for (way, expected) in [
            ("a/.htaccess", true),
            (".git/config", true),
            (".git/..", false),
            (".git/../a", false),
            ("a/../.git", true),
            (".git/a/../..", false),
            (".git/a/..", true),
            ("./.git/.", true),
            ("", false),
            ("a/.tidegate-x/b", true),
        ] {
            assert_eq!(deny.covers_way(way.as_bytes()), expected, "{way}");
        }
    }

    #[test]
    fn patterns_for_dot_files_do_not_mean_the_directory_itself() {
        let deny = deny(&[".*", "*"]);
        assert!(!deny.covers(b".") && !deny.covers(b"..") && deny.covers(b".a"));
        assert!(!deny.covers_way(b".") && deny.covers_way(b"a/."));
    }
}
