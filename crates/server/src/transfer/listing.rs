use std::sync::Arc;

use tidegate_protocol::listing::{ListPlan, ListWriter};
use tidegate_protocol::session::TransferEnd;
use tidegate_storage::Listing;
use tidegate_types::{Entry, Timestamp};
use tokio::net::TcpStream;

use super::link::Link;
use super::{Stop, conclude};

/// Lines are gathered up to here before they are sent.
const BUFFER_BYTES: usize = 64 * 1024;

/// What is listed.
pub(crate) enum ListSource {
    /// A directory, page by page.
    Directory(Listing),
    /// One file.
    File(Entry),
}

/// Sends the lines of a listing; memory does not grow with the directory.
pub(super) async fn send(
    link: &Link,
    data: Arc<TcpStream>,
    source: ListSource,
    plan: &ListPlan,
    now: Timestamp,
) -> TransferEnd {
    let sent = match source {
        ListSource::Directory(listing) => send_directory(link, &data, listing, plan, now).await,
        ListSource::File(entry) => {
            let mut lines = Vec::new();
            ListWriter::new(plan, None, now).entry(&entry, &mut lines);
            link.send(&data, &lines).await
        }
    };
    conclude(link, data, sent)
}

async fn send_directory(
    link: &Link,
    data: &TcpStream,
    mut listing: Listing,
    plan: &ListPlan,
    now: Timestamp,
) -> Result<(), Stop> {
    let writer = ListWriter::new(plan, Some(&listing.about), now);
    let mut lines = Vec::new();
    writer.begin(&mut lines);
    let mut next = link.storage(listing.pages.next_page()).await?;
    let mut is_first = true;
    while let Some(mut page) = next {
        next = link.storage(listing.pages.next_page()).await?;
        if is_first && next.is_none() {
            // All of it is here: people like it sorted. A larger directory is never held.
            page.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        is_first = false;
        for entry in &page {
            writer.entry(entry, &mut lines);
        }
        if lines.len() >= BUFFER_BYTES {
            link.send(data, &lines).await?;
            lines.clear();
        }
        if link.is_aborted() {
            return Err(Stop::Aborted);
        }
    }
    link.send(data, &lines).await
}
