use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_protocol::session::Progress;
use tidegate_storage::{StillWanted, StorageError};
use tidegate_types::{Moment, StorageErrorKind};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Presence, Stop};
use crate::clock::Clock;
use crate::tally::{Tally, add};

/// What the control loop and its running transfer both see: how far it is, and the wish to end it.
#[derive(Debug)]
pub(crate) struct Link {
    clock: Clock,
    presence: Arc<Presence>,
    /// Whether it is an upload.
    receives: bool,
    tally: Arc<Tally>,
    bytes: AtomicU64,
    /// Nanoseconds of the moment when the peer moved last.
    last_at: AtomicU64,
    /// The transfer waits for storage, not for the peer.
    busy: AtomicBool,
    aborted: CancellationToken,
    /// All data of an upload arrived and the control loop has not looked yet whether its client still lives.
    received: AtomicBool,
    /// The data connection while it stands; aborting shuts it down, so that a thread that works on it returns.
    data: Mutex<Option<Arc<TcpStream>>>,
}

impl Link {
    pub(super) fn new(clock: Clock, presence: Presence, (receives, tally): (bool, &Arc<Tally>)) -> Arc<Self> {
        Arc::new(Self {
            clock,
            presence: Arc::new(presence),
            receives,
            tally: Arc::clone(tally),
            bytes: AtomicU64::new(0),
            last_at: AtomicU64::new(nanos(clock.now())),
            busy: AtomicBool::new(false),
            aborted: CancellationToken::new(),
            received: AtomicBool::new(false),
            data: Mutex::new(None),
        })
    }

    /// Returns how far the transfer is. Time spent in storage is never the peer's: `last_at` is now meanwhile.
    pub(crate) fn progress(&self) -> Progress {
        let last_at = if self.busy.load(Ordering::Relaxed) {
            self.clock.now()
        } else {
            Moment::from_start(Duration::from_nanos(self.last_at.load(Ordering::Relaxed)))
        };
        Progress { bytes: self.bytes(), last_at }
    }

    /// Ends the transfer without waiting for the peer; ignored while a complete upload is committed.
    pub(crate) fn abort(&self) {
        self.aborted.cancel();
        if let Some(data) = self.standing() {
            // The peer may be gone already: that is what was wanted.
            let _ = tidegate_net::shutdown_both(&*data);
        }
    }

    /// Notes that the client has said QUIT.
    pub(super) fn note_quit(&self) {
        self.presence.note_quit();
    }

    /// Returns the question that a commit asks at its last moment.
    pub(super) fn still_wanted(&self) -> StillWanted {
        let presence = Arc::clone(&self.presence);
        Arc::new(move || presence.is_there())
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.is_cancelled()
    }

    /// Notes that all data of an upload arrived, and lets the control loop look before anything is committed.
    pub(super) async fn received(&self) -> Result<(), Stop> {
        self.received.store(true, Ordering::Relaxed);
        tokio::task::yield_now().await;
        if self.is_aborted() { Err(Stop::Aborted) } else { Ok(()) }
    }

    /// Returns once whether all data of an upload arrived.
    pub(super) fn take_received(&self) -> bool {
        self.received.swap(false, Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes that the data connection stands.
    pub(super) fn opened(&self, data: &Arc<TcpStream>) {
        *self.data.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(data));
        self.last_at.store(nanos(self.clock.now()), Ordering::Relaxed);
    }

    /// Lets go of the data connection: an abort does not touch it any more.
    pub(super) fn let_go(&self) {
        self.data.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn standing(&self) -> Option<Arc<TcpStream>> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that `bytes` moved over the data connection.
    pub(super) fn moved(&self, bytes: u64) {
        if bytes > 0 {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            add(if self.receives { &self.tally.bytes_received } else { &self.tally.bytes_sent }, bytes);
            self.last_at.store(nanos(self.clock.now()), Ordering::Relaxed);
        }
    }

    /// Waits for the peer, unless the transfer is aborted first.
    pub(super) async fn peer<T>(&self, wait: impl Future<Output = io::Result<T>>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.aborted.cancelled() => Err(Stop::Aborted),
            done = wait => done.map_err(Stop::Lost),
        }
    }

    /// Waits for storage, to its end: an abort waits too, so that nothing is left half done.
    pub(super) async fn storage<T>(&self, wait: impl Future<Output = T>) -> T {
        let since = self.clock.now();
        self.busy.store(true, Ordering::Relaxed);
        let done = wait.await;
        self.busy.store(false, Ordering::Relaxed);
        // The peer had no chance meanwhile: its clock stood still.
        let spent = self.clock.now().since(since);
        self.last_at.fetch_add(nanos(Moment::from_start(spent)), Ordering::Relaxed);
        done
    }

    /// Runs `work`, which may block on a disk, on a thread for that. A panic there is a failure of storage.
    pub(super) async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stop> {
        self.storage(tokio::task::spawn_blocking(work)).await.map_err(|error| {
            Stop::Storage(StorageError::new(
                StorageErrorKind::Failed,
                format!("a step of the transfer: {error}"),
            ))
        })
    }

    /// Does as [`on_thread`](Self::on_thread), but an abort does not wait for a slow disk: the thread finishes alone.
    pub(super) async fn on_thread_unless_aborted<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stop> {
        tokio::select! {
            biased;
            () = self.aborted.cancelled() => Err(Stop::Aborted),
            done = self.on_thread(work) => done,
        }
    }

    /// Sends all of `bytes`.
    pub(super) async fn send(&self, data: &TcpStream, mut bytes: &[u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            self.peer(data.writable()).await?;
            match data.try_write(bytes) {
                Ok(count) => {
                    self.moved(count as u64);
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Stop::Lost(error)),
            }
        }
        Ok(())
    }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.since_start().as_nanos()).unwrap_or(u64::MAX)
}
