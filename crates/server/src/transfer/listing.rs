use std::sync::Arc;

use tidegate_protocol::listing::{ListPlan, ListWriter};
use tidegate_protocol::session::TransferEnd;
use tidegate_storage::{Listing, Pages, Storage};
use tidegate_types::{Entry, StorageErrorKind, Timestamp, VirtualPath};
use tokio::net::TcpStream;

use super::glob::{Found, GlobWalk};
use super::link::Link;
use super::outlet::Outlet;
use super::tree::{Branch, Tree};
use super::{Stop, conclude};

/// Lines are gathered up to here before they are sent, the first ones aside.
const BUFFER_BYTES: usize = 64 * 1024;
/// So many matches, at most, are held to be sorted: a page of a directory.
const SORTED_MAX: usize = 256;
/// After so many entries were looked at, matches are not held any more: the first must leave within some milliseconds.
const LOOKED_MAX: usize = 2048;

/// What is listed.
pub(crate) enum ListSource {
    /// A directory, page by page.
    Directory(Box<Directory>),
    /// One file.
    File(Entry),
    /// What a pattern matches.
    Matches(Box<GlobWalk>),
}

/// An open directory.
pub(crate) struct Directory {
    pub(crate) listing: Listing,
    /// Opens those below it.
    pub(crate) home: Arc<dyn Storage>,
    pub(crate) path: VirtualPath,
}

/// Sends the lines of a listing; memory does not grow with the directory.
pub(super) async fn send(
    link: &Link,
    data: Arc<TcpStream>,
    source: ListSource,
    (plan, deflate): (&ListPlan, Option<u8>),
    now: Timestamp,
) -> TransferEnd {
    let lines = Lines::new(link, &data, deflate);
    let sent = match source {
        ListSource::Directory(directory) => {
            let Directory { listing, home, path } = *directory;
            let writer = ListWriter::new(plan, Some(&listing.about), now);
            if plan.recursive {
                send_tree(lines, writer, (listing, path), (&*home, plan.hidden)).await
            } else {
                send_directory(lines, writer, listing).await
            }
        }
        ListSource::File(entry) => send_file(lines, &ListWriter::new(plan, None, now), &entry).await,
        ListSource::Matches(walk) => send_matches(lines, &ListWriter::new(plan, None, now), walk).await,
    };
    let (sent, bounded) = match sent {
        Ok(whole) => (Ok(()), whole == Whole::Bounded),
        Err(stop) => (Err(stop), false),
    };
    match conclude(link, data, sent) {
        TransferEnd::Completed { bytes } if bounded => TransferEnd::Bounded { bytes },
        end => end,
    }
}

/// Whether everything was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    All,
    Bounded,
}

/// Lines on their way.
struct Lines<'a> {
    link: &'a Link,
    outlet: Outlet<'a>,
    gathered: Vec<u8>,
    /// How many bytes are gathered before they are sent; the first leave at once.
    gather: usize,
}

impl<'a> Lines<'a> {
    fn new(link: &'a Link, data: &'a TcpStream, deflate: Option<u8>) -> Self {
        Self { link, outlet: Outlet::new(link, data, deflate), gathered: Vec::new(), gather: 1 }
    }

    /// Sends what was gathered, if it is enough.
    async fn flow(&mut self) -> Result<(), Stop> {
        if self.gathered.len() >= self.gather {
            self.gathered = self.outlet.send(std::mem::take(&mut self.gathered)).await?;
            self.gather = BUFFER_BYTES;
        }
        if self.link.is_aborted() { Err(Stop::Aborted) } else { Ok(()) }
    }

    async fn finish(mut self) -> Result<(), Stop> {
        self.outlet.send(self.gathered).await?;
        self.outlet.finish().await
    }
}

async fn send_file(mut lines: Lines<'_>, writer: &ListWriter, entry: &Entry) -> Result<Whole, Stop> {
    writer.entry(entry, &mut lines.gathered);
    lines.finish().await?;
    Ok(Whole::All)
}

async fn send_directory(mut lines: Lines<'_>, writer: ListWriter, listing: Listing) -> Result<Whole, Stop> {
    writer.begin(&mut lines.gathered);
    let mut sheets = Sheets::new(listing.pages);
    while let Some(page) = sheets.next(lines.link).await? {
        for entry in &page {
            writer.entry(entry, &mut lines.gathered);
        }
        lines.flow().await?;
    }
    lines.finish().await?;
    Ok(Whole::All)
}

/// Lists a directory and those below it, depth first as `ls -R` does. One that cannot be opened looks empty.
async fn send_tree(
    mut lines: Lines<'_>,
    mut writer: ListWriter,
    (listing, path): (Listing, VirtualPath),
    (home, hidden): (&dyn Storage, bool),
) -> Result<Whole, Stop> {
    writer.begin(&mut lines.gathered);
    let mut tree = Tree::new(path, hidden);
    let mut here = tree.root(listing.about);
    let mut listing = Some(listing);
    loop {
        if let Some(listing) = listing.take() {
            list_branch(&mut lines, &writer, listing, (&mut tree, &here)).await?;
        }
        let Some(next) = tree.next() else { break };
        if tree.entries_left() == 0 {
            tree.bound();
            break;
        }
        here = next;
        writer.subdirectory(tree.shown(&here), &here.about, &mut lines.gathered);
        listing = match lines.link.storage(home.list(&here.path)).await {
            Ok(listing) => Some(listing),
            Err(error) if error.kind == StorageErrorKind::Exhausted => return Err(error.into()),
            Err(_) => None,
        };
        lines.flow().await?;
    }
    lines.finish().await?;
    Ok(if tree.is_bounded() { Whole::Bounded } else { Whole::All })
}

/// Lists the entries of one directory, as far as the tree has room for them, and notes what lies below.
async fn list_branch(
    lines: &mut Lines<'_>,
    writer: &ListWriter,
    listing: Listing,
    (tree, here): (&mut Tree, &Branch),
) -> Result<(), Stop> {
    let mut sheets = Sheets::new(listing.pages);
    while let Some(page) = sheets.next(lines.link).await? {
        let room = tree.entries_left();
        if page.len() > room {
            tree.bound();
        }
        let page = page.get(..room).unwrap_or(&page);
        for entry in page {
            writer.entry(entry, &mut lines.gathered);
        }
        tree.note(here, page);
        if tree.is_bounded() && tree.entries_left() == 0 {
            return Ok(());
        }
        lines.flow().await?;
    }
    Ok(())
}

/// Sends what a pattern matches: few matches sorted, many as they are found.
async fn send_matches(
    mut lines: Lines<'_>,
    writer: &ListWriter,
    mut walk: Box<GlobWalk>,
) -> Result<Whole, Stop> {
    let mut held = Vec::new();
    let mut gathers = true;
    let whole = loop {
        let found = lines.link.storage(walk.next()).await?;
        let end = match found {
            Found::Match(entry) => {
                held.push(entry);
                None
            }
            Found::Nothing => None,
            Found::End => Some(Whole::All),
            Found::Bounded => Some(Whole::Bounded),
        };
        if gathers && end.is_some() {
            sort(&mut held);
        }
        gathers = gathers && end.is_none() && held.len() < SORTED_MAX && walk.looked_at() < LOOKED_MAX;
        if !gathers {
            for entry in held.drain(..) {
                writer.entry(&entry, &mut lines.gathered);
            }
        }
        if let Some(whole) = end {
            break whole;
        }
        lines.flow().await?;
    };
    lines.finish().await?;
    Ok(whole)
}

/// The pages of a directory, one read ahead. When there is only one it comes sorted, as people like it; a larger directory is
/// never held.
struct Sheets {
    pages: Box<dyn Pages>,
    ahead: Ahead,
}

enum Ahead {
    NotBegun,
    Page(Vec<Entry>),
    /// Later pages are read as they are needed.
    Unread,
    End,
}

impl Sheets {
    fn new(pages: Box<dyn Pages>) -> Self {
        Self { pages, ahead: Ahead::NotBegun }
    }

    async fn next(&mut self, link: &Link) -> Result<Option<Vec<Entry>>, Stop> {
        let page = match std::mem::replace(&mut self.ahead, Ahead::Unread) {
            Ahead::NotBegun => {
                let mut first = link.storage(self.pages.next_page()).await?;
                if let Some(first) = &mut first {
                    if let Some(second) = link.storage(self.pages.next_page()).await? {
                        self.ahead = Ahead::Page(second);
                    } else {
                        sort(first);
                        self.ahead = Ahead::End;
                    }
                }
                first
            }
            Ahead::Page(page) => Some(page),
            Ahead::Unread => link.storage(self.pages.next_page()).await?,
            Ahead::End => None,
        };
        if page.is_none() {
            self.ahead = Ahead::End;
        }
        Ok(page)
    }
}

fn sort(entries: &mut [Entry]) {
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
}
