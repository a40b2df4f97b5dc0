//! Where a path of a home ends in the whole tree: links followed, denied names not there.

use tidegate_types::{StorageErrorKind as Kind, VirtualPath};

use super::home::FakeHome;
use super::{State, What};

/// How many links a path may lead over.
const LINKS_MAX: u32 = 40;

impl FakeHome {
    /// Returns where `path` ends, its last link followed too; refused as `denied` when that is denied.
    pub(super) fn target(
        &self,
        state: &State,
        path: &VirtualPath,
        denied: Kind,
    ) -> Result<VirtualPath, Kind> {
        let target = self.real(state, self.inside(path)?)?;
        if self.is_denied(path) || self.covers(&target) { Err(denied) } else { Ok(target) }
    }

    /// Returns the place of `path` itself, the links on the way to it followed; refused as `denied` when that is denied,
    /// or is a link to what is.
    pub(super) fn entry(&self, state: &State, path: &VirtualPath, denied: Kind) -> Result<VirtualPath, Kind> {
        if self.is_denied(path) {
            return Err(denied);
        }
        let Some(name) = path.file_name() else { return Ok(self.home.clone()) };
        let parent = self.real(state, self.inside(&path.parent())?)?;
        let entry = VirtualPath::resolve(&parent, name).map_err(|_| Kind::BadName)?;
        if self.covers(&entry) || self.hides(state, &entry) { Err(denied) } else { Ok(entry) }
    }

    /// Returns whether the entry at `place` is a link to what is denied.
    pub(super) fn hides(&self, state: &State, place: &VirtualPath) -> bool {
        self.real(state, place.clone()).is_ok_and(|target| self.covers(&target))
    }

    /// Returns whether `path`, as the client wrote it, has a denied name.
    fn is_denied(&self, path: &VirtualPath) -> bool {
        path.components().any(|name| self.fs.denies(name))
    }

    /// Returns whether `place`, in the whole tree, has a denied name below the home.
    pub(super) fn covers(&self, place: &VirtualPath) -> bool {
        place.components().skip(self.home.components().count()).any(|name| self.fs.denies(name))
    }

    /// Follows every link of `place`; `PermissionDenied` when one leaves the home, or there are too many.
    pub(super) fn real(&self, state: &State, place: VirtualPath) -> Result<VirtualPath, Kind> {
        let mut place = place;
        for _ in 0..LINKS_MAX {
            let Some((link, way)) = state.first_link(&place) else { return Ok(place) };
            let target = VirtualPath::resolve(&link.parent(), &way).map_err(|_| Kind::BadName)?;
            if way.starts_with(b"/") || !target.is_within(&self.home) {
                return Err(Kind::PermissionDenied);
            }
            let rest = place.as_bytes().get(link.as_bytes().len() + 1..).unwrap_or_default();
            place = if rest.is_empty() {
                target
            } else {
                VirtualPath::resolve(&target, rest).map_err(|_| Kind::BadName)?
            };
        }
        Err(Kind::PermissionDenied)
    }

    /// Returns the path in the whole tree.
    pub(super) fn inside(&self, path: &VirtualPath) -> Result<VirtualPath, Kind> {
        if path.is_root() {
            return Ok(self.home.clone());
        }
        VirtualPath::resolve(&self.home, path.relative()).map_err(|_| Kind::BadName)
    }
}

impl State {
    /// Returns the uppermost link on the way to `place`, and what it holds.
    fn first_link(&self, place: &VirtualPath) -> Option<(VirtualPath, Vec<u8>)> {
        let mut at = VirtualPath::root();
        for name in place.components() {
            at = VirtualPath::resolve(&at, name).ok()?;
            if let Some(What::Link(way)) = self.nodes.get(&at).map(|node| &node.what) {
                return Some((at, way.clone()));
            }
        }
        None
    }
}

/// Returns the relative way from the directory `from` to `to`.
pub(super) fn way_between(from: &VirtualPath, to: &VirtualPath) -> Vec<u8> {
    let mut way = b"./".to_vec();
    for _ in from.components() {
        way.extend_from_slice(b"../");
    }
    way.extend_from_slice(to.relative());
    way
}
