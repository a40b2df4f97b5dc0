//! The names that a pattern matches (LIST and NLST): a walk, depth first, that holds one page of one directory a level.

use std::sync::Arc;

use tidegate_protocol::session::Glob;
use tidegate_storage::{Pages, Storage, StorageError};
use tidegate_types::{Entry, FileKind, Metadata, Pattern, StorageErrorKind, VirtualPath};

use crate::jobs::Pulse;

/// Most directories open at once, one a level with wildcards.
const OPEN_MAX: usize = 8;
/// Most entries looked at for a pattern with wildcards on more than one level. With one such level it costs what a listing costs.
const ENTRIES_MAX: usize = 100_000;

/// A search under way. The first match was found already.
pub(crate) struct GlobWalk {
    home: Arc<dyn Storage>,
    levels: Vec<Pattern>,
    hidden: bool,
    /// The directories that are open, the deepest last.
    open: Vec<Level>,
    first: Option<Entry>,
    /// How many entries may still be looked at; `None`: all.
    budget: Option<usize>,
    looked_at: usize,
}

/// What the search gives next.
pub(crate) enum Found {
    /// A match; its name is the path from where the search started.
    Match(Entry),
    /// Nothing so far: whether to go on may be asked.
    Nothing,
    /// All matches were given.
    End,
    /// There may be more, but enough entries were looked at.
    Bounded,
}

/// A directory whose entries are compared with the pattern of its level.
struct Level {
    depth: usize,
    place: Place,
    pages: Box<dyn Pages>,
    page: std::vec::IntoIter<Entry>,
}

/// A directory on the way: where it is, and how its path is shown, ending in a slash unless the search starts there.
#[derive(Clone, Debug)]
struct Place {
    path: VirtualPath,
    shown: Vec<u8>,
}

impl Place {
    /// Returns the place of an entry, or `None` when its name is none that a path can have.
    fn below(&self, name: &[u8]) -> Option<Self> {
        let is_name = !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/');
        let path = VirtualPath::resolve(&self.path, name).ok().filter(|_| is_name)?;
        Some(Self { path, shown: [&self.shown, name, b"/"].concat() })
    }

    fn entry(&self, name: &[u8], metadata: Metadata) -> Entry {
        Entry { name: [&self.shown, name].concat(), metadata }
    }
}

impl GlobWalk {
    /// Looks for the first match. What cannot be read on the way matches nothing.
    ///
    /// Errors: `NotFound` when nothing matches; `BadName` for more than eight levels with wildcards; `Failed` and `Exhausted` as
    /// the storage says.
    pub(crate) async fn search(
        home: Arc<dyn Storage>,
        glob: Glob,
        pulse: &Pulse,
    ) -> Result<Box<Self>, StorageError> {
        let wild = glob.levels.iter().filter(|pattern| pattern.literal().is_none()).count();
        if wild > OPEN_MAX {
            let detail = format!("{wild} levels with wildcards");
            return Err(StorageError::new(StorageErrorKind::BadName, detail));
        }
        let mut walk = Box::new(Self {
            home,
            levels: glob.levels,
            hidden: glob.hidden,
            open: Vec::new(),
            first: None,
            budget: (wild > 1).then_some(ENTRIES_MAX),
            looked_at: 0,
        });
        walk.first = walk.descend(Place { path: glob.base, shown: Vec::new() }, 0).await?;
        while walk.first.is_none() {
            match walk.step().await? {
                Step::Match(entry) => walk.first = Some(entry),
                Step::Nothing => {}
                Step::Turned => pulse.beat(),
                Step::End | Step::Bounded => {
                    return Err(StorageError::new(StorageErrorKind::NotFound, "nothing matches"));
                }
            }
        }
        Ok(walk)
    }

    /// Returns the next match, or that a page has none.
    ///
    /// Errors: as [`search`](Self::search), `NotFound` aside.
    pub(crate) async fn next(&mut self) -> Result<Found, StorageError> {
        if let Some(entry) = self.first.take() {
            return Ok(Found::Match(entry));
        }
        loop {
            match self.step().await? {
                Step::Match(entry) => return Ok(Found::Match(entry)),
                Step::Nothing => {}
                Step::Turned => return Ok(Found::Nothing),
                Step::End => return Ok(Found::End),
                Step::Bounded => return Ok(Found::Bounded),
            }
        }
    }

    /// Returns how many entries were compared with a pattern so far.
    pub(crate) fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// Looks at one entry, or fetches a page of them.
    async fn step(&mut self) -> Result<Step, StorageError> {
        // A match may be expensive: others get their turn.
        tokio::task::consume_budget().await;
        let Some(level) = self.open.last_mut() else { return Ok(Step::End) };
        let Some(entry) = level.page.next() else {
            match passable(level.pages.next_page().await)?.flatten() {
                Some(page) => level.page = page.into_iter(),
                None => drop(self.open.pop()),
            }
            return Ok(Step::Turned);
        };
        match &mut self.budget {
            Some(0) => return Ok(Step::Bounded),
            Some(budget) => *budget -= 1,
            None => {}
        }
        self.looked_at += 1;
        let depth = level.depth;
        let Some(pattern) = self.levels.get(depth) else { return Ok(Step::Nothing) };
        let shown = self.hidden || pattern.names_hidden() || !entry.name.starts_with(b".");
        if !shown || !pattern.matches(&entry.name) {
            return Ok(Step::Nothing);
        }
        if depth + 1 == self.levels.len() {
            return Ok(Step::Match(level.place.entry(&entry.name, entry.metadata)));
        }
        if entry.metadata.kind != FileKind::Directory {
            return Ok(Step::Nothing);
        }
        let Some(below) = level.place.below(&entry.name) else { return Ok(Step::Nothing) };
        Ok(self.descend(below, depth + 1).await?.map_or(Step::Nothing, Step::Match))
    }

    /// Goes down through names without wildcards, then opens the directory whose entries are to be compared. Returns the match
    /// when the last name has no wildcard.
    async fn descend(&mut self, place: Place, depth: usize) -> Result<Option<Entry>, StorageError> {
        let (mut place, mut depth) = (place, depth);
        while let Some(pattern) = self.levels.get(depth) {
            let Some(name) = pattern.literal() else {
                if let Some(listing) = passable(self.home.list(&place.path).await)? {
                    let page = Vec::new().into_iter();
                    self.open.push(Level { depth, place, pages: listing.pages, page });
                }
                return Ok(None);
            };
            let Some(below) = place.below(&name) else { return Ok(None) };
            let Some(metadata) = passable(self.home.metadata(&below.path).await)? else { return Ok(None) };
            depth += 1;
            if depth == self.levels.len() {
                return Ok(Some(place.entry(&name, metadata)));
            }
            if metadata.kind != FileKind::Directory {
                return Ok(None);
            }
            place = below;
        }
        Ok(None)
    }
}

/// What one step came to.
enum Step {
    Match(Entry),
    Nothing,
    /// Another page, or another directory.
    Turned,
    End,
    Bounded,
}

/// Takes what is missing, forbidden or no directory for a name that does not match.
fn passable<T>(result: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind, StorageErrorKind::Failed | StorageErrorKind::Exhausted) => {
            Err(error)
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
