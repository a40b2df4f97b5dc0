use std::ops::Range;
use std::sync::Arc;

use tidegate_net::{SendEnd, send_file_step};
use tidegate_protocol::ascii::Encoder;
use tidegate_protocol::session::TransferEnd;
use tidegate_storage::{Reader, StorageError};
use tidegate_types::StorageErrorKind;
use tokio::net::TcpStream;

use super::link::Link;
use super::outlet::Outlet;
use super::{Coding, Stop, conclude};
use crate::jobs::shrank;

/// What one hop to a thread moves at most.
const STEP_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The buffer between a storage without descriptors, or ASCII, and the socket.
const BUFFER_BYTES: usize = 256 * 1024;

/// Sends `span` of the file; a file that shrank meanwhile is a failure of storage (DESIGN §6.2).
pub(super) async fn download(
    link: &Link,
    data: Arc<TcpStream>,
    reader: Box<dyn Reader>,
    span: Range<u64>,
    coding: Coding,
) -> TransferEnd {
    let by_kernel = coding.is_plain() && reader.as_file().is_some();
    let sent = if by_kernel {
        send_by_kernel(link, &data, reader, span).await
    } else {
        send_by_buffer(link, (&data, coding), reader, span).await
    };
    conclude(link, data, sent)
}

async fn send_by_kernel(
    link: &Link,
    data: &Arc<TcpStream>,
    mut reader: Box<dyn Reader>,
    span: Range<u64>,
) -> Result<(), Stop> {
    let mut at = span.start;
    while at < span.end {
        link.peer(data.writable()).await?;
        let stream = Arc::clone(data);
        let bytes_max = (span.end - at).min(STEP_BYTES_MAX);
        let (back, sent) = link
            .on_thread_unless_aborted(move || {
                let sent = reader.as_file().map(|file| send_file_step(&stream, file, at, bytes_max));
                // Gone before the step is reported: the last to hold the connection is the session.
                drop(stream);
                (reader, sent)
            })
            .await?;
        reader = back;
        let Some(sent) = sent else { return Err(no_descriptor()) };
        if let Err(error) = &sent {
            link.moved(error.moved());
            if link.is_aborted() {
                return Err(Stop::Aborted);
            }
        }
        let sent = sent?;
        link.moved(sent.moved);
        at += sent.moved;
        if sent.end == SendEnd::EndOfFile && at < span.end {
            return Err(shrank(at, span.end).into());
        }
    }
    Ok(())
}

async fn send_by_buffer(
    link: &Link,
    (data, coding): (&TcpStream, Coding),
    reader: Box<dyn Reader>,
    span: Range<u64>,
) -> Result<(), Stop> {
    let mut encoder = coding.ascii.then(Encoder::new);
    let mut outlet = Outlet::new(link, data, coding.deflate);
    let mut at = span.start;
    let mut encoded = Vec::new();
    let mut buffer = Vec::new();
    while at < span.end {
        let left = usize::try_from(span.end - at).unwrap_or(usize::MAX);
        buffer.clear();
        buffer.reserve_exact(left.min(BUFFER_BYTES));
        buffer = link.storage(reader.read_at(at, buffer)).await?;
        // The allocator may have given more room than was asked for.
        buffer.truncate(left);
        if buffer.is_empty() {
            return Err(shrank(at, span.end).into());
        }
        at += buffer.len() as u64;
        match &mut encoder {
            Some(encoder) => {
                encoder.push(&buffer, &mut encoded);
                encoded = outlet.send(encoded).await?;
            }
            None => buffer = outlet.send(buffer).await?,
        }
        // A storage in memory and a client that reads fast enough would never wait.
        tokio::task::consume_budget().await;
        if link.is_aborted() {
            return Err(Stop::Aborted);
        }
    }
    outlet.finish().await
}

pub(super) fn no_descriptor() -> Stop {
    Stop::Storage(StorageError::new(StorageErrorKind::Failed, "the storage took its descriptor back"))
}
