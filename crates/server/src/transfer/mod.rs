//! One transfer: the data connection, then the bytes. Polled inside the task of its session.

mod download;
mod glob;
mod link;
mod listing;
mod outlet;
mod presence;
mod tree;
mod upload;
mod zlib;

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tidegate_net::PassiveListener;
use tidegate_protocol::listing::ListPlan;
use tidegate_protocol::session::{Progress, TransferEnd};
use tidegate_storage::{Reader, StorageError, Upload};
use tidegate_types::{Cut, StorageErrorKind, Timestamp};
use tokio::net::TcpStream;
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::gate::PermitGuard;
use crate::tally::Tally;
pub(crate) use glob::GlobWalk;
pub(crate) use link::Link;
pub(crate) use listing::{Directory, ListSource};
pub(crate) use presence::Presence;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is moved, with what storage opened for it.
pub(crate) enum Cargo {
    /// Bytes `from..to` of a file.
    Download { reader: Box<dyn Reader>, from: u64, to: u64, coding: Coding },
    /// Everything the client sends, up to the byte `end_max` of the file (exclusive).
    Upload { upload: Box<dyn Upload>, end_max: Option<u64>, coding: Coding },
    /// A listing; `now` decides how dates look, `deflate` is the level of MODE Z.
    Listing { source: ListSource, plan: ListPlan, now: Timestamp, deflate: Option<u8> },
}

/// How bytes look on the data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    /// Line ends are converted (TYPE A).
    pub(crate) ascii: bool,
    /// The level of compression (MODE Z).
    pub(crate) deflate: Option<u8>,
}

impl Coding {
    /// Returns whether bytes go as they are: the kernel may copy them.
    fn is_plain(self) -> bool {
        !self.ascii && self.deflate.is_none()
    }
}

/// How the data connection comes to be.
pub(crate) enum Route {
    /// The client, at this address, connects to the leased port.
    Passive(PassiveListener, IpAddr, PermitGuard),
    /// The client has connected to the leased port already.
    Connected(TcpStream),
    /// The server connects, from the address of its end of the control connection.
    Active { local: SocketAddr, to: SocketAddr },
    /// There is none: nothing was leased.
    None,
}

/// A transfer under way.
pub(crate) struct Transfer {
    link: Arc<Link>,
    running: Running,
}

enum Running {
    Opening(Boxed<Result<TcpStream, Stop>>, Option<Cargo>),
    Moving(Boxed<TransferEnd>),
}

/// What a transfer has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The data connection stands; go on waiting.
    Opened,
    /// All data of an upload arrived. Going on commits it, unless it is aborted before.
    Received,
    /// It is over.
    Ended(TransferEnd),
}

impl Transfer {
    /// Begins to open the data connection for `cargo`, on behalf of the client of `presence`. Nothing happens until
    /// [`step`](Self::step) is polled.
    pub(crate) fn new(
        clock: Clock,
        presence: Presence,
        (route, cargo): (Route, Cargo),
        tally: &Arc<Tally>,
    ) -> Self {
        let receives = matches!(cargo, Cargo::Upload { .. });
        let link = Link::new(clock, presence, (receives, tally));
        let opening = Box::pin(open(Arc::clone(&link), route));
        Self { link, running: Running::Opening(opening, Some(cargo)) }
    }

    /// Waits for the next thing to tell; not to be called again after the end. Cancel safe.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            match &mut self.running {
                Running::Opening(opening, cargo) => {
                    let opened = opening.await;
                    let Some(cargo) = cargo.take() else { return Step::Ended(TransferEnd::NoConnection) };
                    let link = Arc::clone(&self.link);
                    match opened {
                        Ok(stream) => {
                            let data = Arc::new(stream);
                            link.opened(&data);
                            self.running = Running::Moving(carry(link, data, cargo));
                            return Step::Opened;
                        }
                        Err(stop) => self.running = Running::Moving(Box::pin(give_up(cargo, stop))),
                    }
                }
                Running::Moving(moving) => {
                    let link = &self.link;
                    return poll_fn(|context| match moving.as_mut().poll(context) {
                        Poll::Ready(end) => Poll::Ready(Step::Ended(end)),
                        Poll::Pending if link.take_received() => Poll::Ready(Step::Received),
                        Poll::Pending => Poll::Pending,
                    })
                    .await;
                }
            }
        }
    }

    /// Ends it without waiting for the peer; [`step`](Self::step) tells the end. Ignored while a complete upload is committed.
    pub(crate) fn abort(&self) {
        self.link.abort();
    }

    pub(crate) fn progress(&self) -> Progress {
        self.link.progress()
    }

    /// Returns what others may see of it while it runs.
    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Notes that the client has said QUIT: it may close now.
    pub(crate) fn note_quit(&self) {
        self.link.note_quit();
    }
}

async fn open(link: Arc<Link>, route: Route) -> Result<TcpStream, Stop> {
    let opened = match route {
        Route::Passive(listener, peer, _place) => link.peer(listener.accept_from(peer)).await,
        Route::Connected(stream) => Ok(stream),
        Route::Active { local, to } => link.peer(tidegate_net::connect_active(local, to)).await,
        Route::None => Err(Stop::NoConnection(io::ErrorKind::NotConnected.into())),
    };
    let stream = opened.map_err(|stop| match stop {
        Stop::Lost(error) => Stop::NoConnection(error),
        other => other,
    })?;
    if let Err(error) = tidegate_net::prepare_data(&stream) {
        debug!(%error, "data connection options");
    }
    Ok(stream)
}

fn carry(link: Arc<Link>, data: Arc<TcpStream>, cargo: Cargo) -> Boxed<TransferEnd> {
    match cargo {
        Cargo::Download { reader, from, to, coding } => {
            Box::pin(async move { download::download(&link, data, reader, from..to, coding).await })
        }
        Cargo::Upload { upload, end_max, coding } => {
            Box::pin(async move { upload::receive(&link, data, upload, end_max, coding).await })
        }
        Cargo::Listing { source, plan, now, deflate } => {
            Box::pin(async move { listing::send(&link, data, source, (&plan, deflate), now).await })
        }
    }
}

/// Ends a transfer whose data connection never opened.
async fn give_up(cargo: Cargo, stop: Stop) -> TransferEnd {
    let cut = match cargo {
        Cargo::Upload { upload, .. } => abort(upload).await,
        Cargo::Download { .. } | Cargo::Listing { .. } => None,
    };
    stop.into_end(cut)
}

/// Gives an upload up and tells what remains.
async fn abort(upload: Box<dyn Upload>) -> Option<Cut> {
    match upload.abort().await {
        Ok(cut) => Some(cut),
        Err(error) => {
            warn!(%error, "an upload that was given up");
            None
        }
    }
}

/// Takes an upload back and tells what remains.
async fn take_back(upload: Box<dyn Upload>) -> Option<Cut> {
    match upload.take_back().await {
        Ok(cut) => Some(cut),
        Err(error) => {
            warn!(%error, "an upload that was taken back");
            None
        }
    }
}

/// Ends the sending side of a download or listing: the data connection first, then the reply (PROTOCOL §3.2).
fn conclude(link: &Link, data: Arc<TcpStream>, sent: Result<(), Stop>) -> TransferEnd {
    link.let_go();
    let stop = match (sent, Arc::into_inner(data)) {
        (Ok(()), Some(data)) => match tidegate_net::finish(data) {
            Ok(()) => return TransferEnd::Completed { bytes: link.bytes() },
            Err(error) => Stop::Lost(error),
        },
        // A thread still holds it only after an abort.
        (Ok(()), None) => Stop::Aborted,
        (Err(stop), data) => {
            if let Some(data) = data {
                let _ = tidegate_net::shutdown_both(&data);
            }
            stop
        }
    };
    stop.into_end(None)
}

/// What stops a transfer before its end.
#[derive(Debug)]
enum Stop {
    Aborted,
    NoConnection(io::Error),
    Lost(io::Error),
    /// What the client sent cannot be taken: no fault of the storage.
    Corrupt(StorageError),
    Storage(StorageError),
}

impl Stop {
    fn is_too_large(&self) -> bool {
        matches!(self, Self::Storage(error) | Self::Corrupt(error) if error.kind == StorageErrorKind::TooLarge)
    }

    /// Logs the reason and returns how the transfer ended.
    fn into_end(self, cut: Option<Cut>) -> TransferEnd {
        match self {
            Self::Aborted => TransferEnd::Aborted(cut),
            Self::NoConnection(error) => {
                debug!(%error, "no data connection");
                TransferEnd::NoConnection
            }
            Self::Lost(error) => {
                debug!(%error, "the data connection broke");
                TransferEnd::ConnectionLost(cut)
            }
            Self::Corrupt(error) => {
                debug!(%error, "what a client sent stopped its transfer");
                TransferEnd::StorageFailed(error.kind, cut)
            }
            Self::Storage(error) if error.kind == StorageErrorKind::TooLarge => {
                debug!(%error, "a file grew too large");
                TransferEnd::StorageFailed(error.kind, cut)
            }
            Self::Storage(error) => {
                warn!(%error, "storage stopped a transfer");
                TransferEnd::StorageFailed(error.kind, cut)
            }
        }
    }
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<tidegate_net::CopyError> for Stop {
    fn from(error: tidegate_net::CopyError) -> Self {
        match error {
            tidegate_net::CopyError::Socket { source, .. } => Self::Lost(source),
            tidegate_net::CopyError::File { source, .. } => {
                Self::Storage(StorageError::new(kind_of(&source), format!("kernel copy: {source}")))
            }
        }
    }
}

/// Tells the errors of a descriptor apart as PROTOCOL §1 does.
fn kind_of(error: &io::Error) -> StorageErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull => StorageErrorKind::DiskFull,
        io::ErrorKind::QuotaExceeded => StorageErrorKind::QuotaExceeded,
        io::ErrorKind::FileTooLarge => StorageErrorKind::TooLarge,
        io::ErrorKind::OutOfMemory => StorageErrorKind::Exhausted,
        _ => StorageErrorKind::Failed,
    }
}
