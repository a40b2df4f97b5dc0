use std::io;
use std::sync::Arc;

use tidegate_net::{CopyError, ReceiveEnd, receive_file_step};
use tidegate_protocol::ascii::Decoder;
use tidegate_protocol::session::TransferEnd;
use tidegate_storage::{Committed, StorageError, Upload};
use tidegate_types::StorageErrorKind;
use tokio::net::TcpStream;

use super::download::no_descriptor;
use super::link::Link;
use super::zlib::{Inflater, Wants};
use super::{Coding, Stop, abort, take_back};

/// What one hop to a thread moves at most.
const STEP_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The buffer between the socket and a storage without descriptors, or ASCII, or MODE Z.
const BUFFER_BYTES: usize = 256 * 1024;

/// Receives until the client closes the data connection, then commits. Whatever stops it before gives the upload up, and so does
/// a client that is gone at the last moment: what it closed then was no complete file.
///
/// A byte that would lie at or behind `end_max` stops it with `TooLarge`, and so does a compressed stream that unfolds like a bomb.
/// Nothing of what arrived is kept then: the old file stays whole, and one that is written in place loses what it grew by.
pub(super) async fn receive(
    link: &Link,
    data: Arc<TcpStream>,
    upload: Box<dyn Upload>,
    end_max: Option<u64>,
    coding: Coding,
) -> TransferEnd {
    let by_kernel = coding.is_plain() && upload.has_descriptor();
    let mut target = Target::new(upload, end_max);
    let received = if by_kernel {
        receive_by_kernel(link, &data, &mut target).await
    } else {
        receive_by_buffer(link, &data, &mut target, coding).await
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
    match (received, target.upload) {
        (Ok(()), Some(upload)) => commit(link, upload).await,
        (Ok(()), None) => no_descriptor().into_end(None),
        (Err(stop), Some(upload)) if stop.is_too_large() => stop.into_end(take_back(upload).await),
        (Err(stop), Some(upload)) => stop.into_end(abort(upload).await),
        (Err(stop), None) => stop.into_end(None),
    }
}

/// Commits. From here on an abort is too late, for the file is complete (PROTOCOL §3.3); a client that is gone is not.
async fn commit(link: &Link, upload: Box<dyn Upload>) -> TransferEnd {
    match link.storage(upload.commit(link.still_wanted())).await {
        Ok(Committed::Stored { .. }) => TransferEnd::Completed { bytes: link.bytes() },
        Ok(Committed::Unwanted(cut)) => {
            let gone = io::Error::new(io::ErrorKind::UnexpectedEof, "the client was gone before the commit");
            Stop::Lost(gone).into_end(Some(cut))
        }
        Err(error) => Stop::Storage(error).into_end(None),
    }
}

/// Where the bytes go, and how many more may come.
struct Target {
    /// Elsewhere only while a thread writes.
    upload: Option<Box<dyn Upload>>,
    /// Where the next byte goes.
    at: u64,
    end_max: Option<u64>,
}

impl Target {
    fn new(upload: Box<dyn Upload>, end_max: Option<u64>) -> Self {
        let at = upload.starts_at();
        Self { upload: Some(upload), at, end_max }
    }

    fn room(&self) -> u64 {
        self.end_max.map_or(u64::MAX, |end_max| end_max.saturating_sub(self.at))
    }

    fn too_large(&self) -> Stop {
        let detail = format!("more than {} bytes", self.end_max.unwrap_or(u64::MAX));
        Stop::Storage(StorageError::new(StorageErrorKind::TooLarge, detail))
    }

    /// Writes all of `bytes` and gives the buffer back, cleared. `TooLarge` when they are too many; none is written then.
    async fn write(&mut self, link: &Link, bytes: Vec<u8>) -> Result<Vec<u8>, Stop> {
        let count = bytes.len() as u64;
        if count > self.room() {
            return Err(self.too_large());
        }
        let Some(upload) = &mut self.upload else { return Err(no_descriptor()) };
        let buffer = link.storage(upload.write(bytes)).await?;
        self.at += count;
        Ok(buffer)
    }
}

async fn receive_by_kernel(link: &Link, data: &Arc<TcpStream>, target: &mut Target) -> Result<(), Stop> {
    // Asking for the descriptor drops what is replaced in place: not before there is a byte to replace it with.
    if is_at_end(link, data).await? {
        return Ok(());
    }
    loop {
        link.peer(data.readable()).await?;
        let bytes_max = STEP_BYTES_MAX.min(target.room());
        if bytes_max == 0 {
            return if is_at_end(link, data).await? { Ok(()) } else { Err(target.too_large()) };
        }
        let Some(mut upload) = target.upload.take() else { return Err(no_descriptor()) };
        let stream = Arc::clone(data);
        let (upload, received) = link
            .on_thread(move || {
                let received = upload.as_file().map(|file| receive_file_step(&stream, file, bytes_max));
                if let Some(Err(CopyError::File { .. })) = received {
                    upload.note_failed_write();
                }
                drop(stream);
                (upload, received)
            })
            .await?;
        let upload = target.upload.insert(upload);
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
        target.at += received.moved;
        if received.end == ReceiveEnd::EndOfStream {
            return Ok(());
        }
    }
}

/// Waits for a byte or the end, and returns which it is; the byte stays.
async fn is_at_end(link: &Link, data: &TcpStream) -> Result<bool, Stop> {
    let is_at_end = link.peer(data.peek(&mut [0])).await? == 0;
    // An abort shuts the connection down, which looks like the client's end of file.
    if link.is_aborted() { Err(Stop::Aborted) } else { Ok(is_at_end) }
}

async fn receive_by_buffer(
    link: &Link,
    data: &TcpStream,
    target: &mut Target,
    coding: Coding,
) -> Result<(), Stop> {
    let mut inlet = Inlet {
        inflater: coding.deflate.map(|_| Inflater::new()),
        decoder: coding.ascii.then(Decoder::new),
        inflated: Vec::new(),
        decoded: Vec::new(),
    };
    let mut inbox = Vec::new();
    loop {
        link.peer(data.readable()).await?;
        let end = fill(link, data, &mut inbox);
        if link.is_aborted() {
            return Err(Stop::Aborted);
        }
        inbox = inlet.take(link, inbox, target).await?;
        match end {
            Inflow::Open => {}
            Inflow::Ended => return inlet.finish(link, target).await,
            // What came before was written: it counts for a resume.
            Inflow::Broken(error) => return Err(Stop::Lost(error)),
        }
    }
}

/// Turns what comes over the data connection into what is written: inflates (MODE Z), then converts line ends (TYPE A).
struct Inlet {
    inflater: Option<Inflater>,
    decoder: Option<Decoder>,
    inflated: Vec<u8>,
    decoded: Vec<u8>,
}

impl Inlet {
    /// Writes all of `inbox` and gives the buffer back.
    async fn take(&mut self, link: &Link, inbox: Vec<u8>, target: &mut Target) -> Result<Vec<u8>, Stop> {
        if self.inflater.is_some() {
            return self.inflate(link, inbox, target).await;
        }
        self.write(link, inbox, target).await
    }

    /// Inflates in slices, on threads, and writes each before the next: however much the bytes become, memory stays bounded,
    /// and an abort or a limit ends it in the middle.
    async fn inflate(
        &mut self,
        link: &Link,
        mut inbox: Vec<u8>,
        target: &mut Target,
    ) -> Result<Vec<u8>, Stop> {
        let (mut at, mut wants) = (0, Wants::Step);
        while wants == Wants::Step && !inbox.is_empty() {
            let Some(mut inflater) = self.inflater.take() else { return Err(no_descriptor()) };
            let mut inflated = std::mem::take(&mut self.inflated);
            let work = move || {
                let step = inflater.step(inbox.get(at..).unwrap_or_default(), &mut inflated);
                (inflater, inbox, inflated, step)
            };
            let (inflater, back, inflated, step) = link.on_thread(work).await?;
            self.inflater = Some(inflater);
            inbox = back;
            let (taken, next) = match step {
                Ok(step) => step,
                Err(error) => {
                    // Its checksum never comes: what it gave so far is not to be trusted.
                    if let Some(upload) = &mut target.upload {
                        upload.note_failed_write();
                    }
                    return Err(Stop::Corrupt(error));
                }
            };
            at += taken;
            wants = next;
            self.inflated = self.write(link, inflated, target).await?;
            if link.is_aborted() {
                return Err(Stop::Aborted);
            }
        }
        Ok(inbox)
    }

    /// Writes `bytes`, line ends converted if so wanted, and gives the buffer back.
    async fn write(&mut self, link: &Link, mut bytes: Vec<u8>, target: &mut Target) -> Result<Vec<u8>, Stop> {
        let Some(decoder) = &mut self.decoder else {
            return if bytes.is_empty() { Ok(bytes) } else { target.write(link, bytes).await };
        };
        decoder.push(&bytes, &mut self.decoded);
        bytes.clear();
        self.decoded = target.write(link, std::mem::take(&mut self.decoded)).await?;
        Ok(bytes)
    }

    /// Writes what waited for the end. A compressed stream without its end was cut off.
    async fn finish(&mut self, link: &Link, target: &mut Target) -> Result<(), Stop> {
        if self.inflater.as_ref().is_some_and(|inflater| !inflater.has_ended()) {
            return Err(Stop::Lost(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the zlib stream has no end",
            )));
        }
        if let Some(decoder) = &mut self.decoder {
            decoder.finish(&mut self.decoded);
            self.decoded = target.write(link, std::mem::take(&mut self.decoded)).await?;
        }
        Ok(())
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
