use std::io;
use std::sync::Arc;

use tidegate_net::{CopyError, ReceiveEnd, receive_file_step};
use tidegate_protocol::ascii::Decoder;
use tidegate_protocol::session::TransferEnd;
use tidegate_storage::Upload;
use tokio::net::TcpStream;

use super::download::no_descriptor;
use super::link::Link;
use super::{Stop, abort};

/// What one hop to a thread moves at most.
const STEP_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The buffer between the socket and a storage without descriptors, or ASCII.
const BUFFER_BYTES: usize = 256 * 1024;

/// Receives until the client closes the data connection, then commits. Whatever stops it before gives the upload up.
pub(super) async fn receive(
    link: &Link,
    data: Arc<TcpStream>,
    upload: Box<dyn Upload>,
    ascii: bool,
) -> TransferEnd {
    let by_kernel = !ascii && upload.has_descriptor();
    let mut upload = Some(upload);
    let received = if by_kernel {
        receive_by_kernel(link, &data, &mut upload).await
    } else {
        receive_by_buffer(link, &data, &mut upload, ascii.then(Decoder::new)).await
    };
    let received = match received {
        Ok(()) => link.received().await,
        stopped => stopped,
    };
    link.let_go();
    if received.is_err() {
        let _ = tidegate_net::shutdown_both(&*data);
    }
    drop(data);
    match (received, upload) {
        // From here on an abort is too late: the file is complete (PROTOCOL §3.3).
        (Ok(()), Some(upload)) => match link.storage(upload.commit()).await {
            Ok(_size) => TransferEnd::Completed { bytes: link.bytes() },
            Err(error) => Stop::Storage(error).into_end(None),
        },
        (Ok(()), None) => no_descriptor().into_end(None),
        (Err(stop), Some(upload)) => stop.into_end(abort(upload).await),
        (Err(stop), None) => stop.into_end(None),
    }
}

async fn receive_by_kernel(
    link: &Link,
    data: &Arc<TcpStream>,
    slot: &mut Option<Box<dyn Upload>>,
) -> Result<(), Stop> {
    // Asking for the descriptor drops what is replaced in place: not before there is a byte to replace it with.
    if link.peer(data.peek(&mut [0])).await? == 0 {
        // An abort shuts the connection down, which looks like the client's end of file.
        return if link.is_aborted() { Err(Stop::Aborted) } else { Ok(()) };
    }
    loop {
        link.peer(data.readable()).await?;
        let Some(mut upload) = slot.take() else { return Err(no_descriptor()) };
        let stream = Arc::clone(data);
        let (upload, received) = link
            .on_thread(move || {
                let received = upload.as_file().map(|file| receive_file_step(&stream, file, STEP_BYTES_MAX));
                if let Some(Err(CopyError::File { .. })) = received {
                    upload.note_failed_write();
                }
                drop(stream);
                (upload, received)
            })
            .await?;
        let upload = slot.insert(upload);
        let Some(received) = received else {
            // The storage took its descriptor back, and says why when it is asked to write.
            link.storage(upload.write(Vec::new())).await?;
            return Err(no_descriptor());
        };
        if let Err(error) = &received {
            link.moved(error.moved());
        }
        // An abort shuts the connection down, which reads like the client's end of file.
        if link.is_aborted() {
            return Err(Stop::Aborted);
        }
        let received = received?;
        link.moved(received.moved);
        if received.end == ReceiveEnd::EndOfStream {
            return Ok(());
        }
    }
}

async fn receive_by_buffer(
    link: &Link,
    data: &TcpStream,
    slot: &mut Option<Box<dyn Upload>>,
    mut decoder: Option<Decoder>,
) -> Result<(), Stop> {
    let Some(upload) = slot else { return Err(no_descriptor()) };
    let mut inbox = Vec::new();
    let mut decoded = Vec::new();
    loop {
        link.peer(data.readable()).await?;
        let end = fill(link, data, &mut inbox);
        if link.is_aborted() {
            return Err(Stop::Aborted);
        }
        let at_end = matches!(end, Inflow::Ended);
        if let Some(decoder) = &mut decoder {
            decoder.push(&inbox, &mut decoded);
            inbox.clear();
            if at_end {
                decoder.finish(&mut decoded);
            }
            decoded = link.storage(upload.write(decoded)).await?;
        } else if !inbox.is_empty() {
            inbox = link.storage(upload.write(inbox)).await?;
        }
        match end {
            Inflow::Open => {}
            Inflow::Ended => return Ok(()),
            // What came before was written: it counts for a resume.
            Inflow::Broken(error) => return Err(Stop::Lost(error)),
        }
    }
}

/// How the data connection looks after a read. The kernel tells a break once only; the next read would look like an end.
enum Inflow {
    Open,
    Ended,
    Broken(io::Error),
}

/// Reads what is there, one buffer at most.
fn fill(link: &Link, data: &TcpStream, inbox: &mut Vec<u8>) -> Inflow {
    inbox.clear();
    inbox.reserve(BUFFER_BYTES);
    while inbox.len() < BUFFER_BYTES {
        match data.try_read_buf(inbox) {
            Ok(0) => return Inflow::Ended,
            Ok(count) => link.moved(count as u64),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Inflow::Broken(error),
        }
    }
    Inflow::Open
}
