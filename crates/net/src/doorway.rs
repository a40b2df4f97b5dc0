//! The doorway: one thread that accepts, asks the [`Doorman`], and lets the refused read their line to the end.
//!
//! A refusal costs no task, no allocation and no thread of its own: the line is sent, the sending side closed, and the socket
//! rests in a fixed slab until the peer has closed too (DESIGN §2.6, §2.7). Sessions that end with a last word hand their socket
//! to the same slab ([`LingerHandle`]).

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::listener::Listener;

mod accept;
mod counts;
mod keeper;
mod lingering;
mod mailbox;
mod pending;
mod reserve;
mod slab;
mod waiting;

use counts::Counters;
pub use counts::DoorwayCounts;
use keeper::Keeper;
use mailbox::Mailbox;

/// Sockets that may linger at once; about 64 bytes each.
pub const LINGER_PLACES: usize = 1024;
/// How long a socket lingers at most.
pub const LINGER_TIME: Duration = Duration::from_secs(1);
/// Bytes read and dropped from one lingering socket before it is closed.
pub const LINGER_DROPPED_BYTES_MAX: u64 = 128 * 1024;
/// Connections that may be held in the waiting room at once; more than that are told what [`Doorman::exhausted`] says.
pub const WAITING_PLACES: usize = 1024;
/// Connections of trusted proxies whose PROXY protocol header may be awaited at once; more than that close the oldest.
pub const PROXY_PLACES: usize = 1024;
/// How long a trusted proxy may take to send the whole PROXY protocol header.
pub const PROXY_TIME: Duration = Duration::from_secs(5);

/// Somebody who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Their address, normalised: of the socket, or the source that a trusted proxy named.
    pub peer: SocketAddr,
    /// The address they connected to, normalised: the socket's own, or the destination that a trusted proxy named. While
    /// [`Doorman::decide`] is asked about a direct caller it is the address listened on, which may be a wildcard: asking the kernel
    /// would cost every refusal a system call.
    pub reached: SocketAddr,
    /// Which listener they came to: its place in the list given to [`Doorway::open`].
    pub listener: usize,
}

/// What the doorman said.
#[derive(Debug)]
pub enum Verdict<Permit> {
    /// Come in; the permit goes with them to [`Doorman::admit`], or is dropped when the connection is already dead.
    Admit(Permit),
    /// Not now: what was written into `line` is said, then the connection ends. An empty line closes silently.
    Refuse,
    /// Perhaps soon: the connection is held without a word until [`Doorman::next_answer`] names this ticket, which is unique among
    /// those who wait.
    Wait(u64),
}

/// Decides who enters. Called on the doorway's own thread, one caller after the other; it must not block.
pub trait Doorman: Send + 'static {
    /// What an admitted connection holds; its drop releases the place.
    type Permit;

    /// Decides about `caller`. `line` comes empty; a refusal writes its whole line into it, CRLF included.
    fn decide(&mut self, caller: &Caller, line: &mut Vec<u8>) -> Verdict<Self::Permit>;

    /// Takes over an admitted connection: non-blocking, close-on-exec, prepared by [`prepare_control`](crate::prepare_control).
    /// `local` is the socket's own address, normalised; behind a proxy it differs from what the caller reached.
    fn admit(&mut self, permit: Self::Permit, socket: TcpStream, caller: Caller, local: SocketAddr);

    /// Writes the line for `caller` who came when no descriptor was left, or no place for one who should wait, CRLF included.
    fn exhausted(&mut self, caller: &Caller, line: &mut Vec<u8>);

    /// Returns how a wait ended: its ticket and the verdict, never `Wait`. `line` comes empty, as in [`decide`](Self::decide).
    /// Asked every turn while somebody waits, until it returns `None`, and a last time when the doorway stops; whoever is then
    /// without an answer is closed silently. An answer for a ticket that gave up is dropped.
    fn next_answer(&mut self, _line: &mut Vec<u8>) -> Option<(u64, Verdict<Self::Permit>)> {
        None
    }

    /// Hears that whoever waited with `ticket` went away, or had to be closed; no answer for it is needed any more.
    fn gave_up(&mut self, _ticket: u64) {}

    /// Returns in how long [`next_answer`](Self::next_answer) has to be asked at the latest. Asked only while somebody waits.
    fn next_deadline(&mut self) -> Option<Duration> {
        None
    }
}

/// How many may rest where, and how long.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    linger_places: usize,
    linger_time: Duration,
    waiting_places: usize,
    proxy_places: usize,
    proxy_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            linger_places: LINGER_PLACES,
            linger_time: LINGER_TIME,
            waiting_places: WAITING_PLACES,
            proxy_places: PROXY_PLACES,
            proxy_time: PROXY_TIME,
        }
    }
}

/// The running doorway. Dropping it stops it as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct Doorway {
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl Doorway {
    /// Starts the thread on `listeners` with the doorman `hire` returns; the handle given to `hire` is the one of
    /// [`linger_handle`](Self::linger_handle).
    ///
    /// Errors: the kernel's, when it gives no epoll, eventfd or thread.
    pub fn open<D: Doorman>(
        listeners: Vec<Listener>,
        hire: impl FnOnce(LingerHandle) -> D,
    ) -> io::Result<Self> {
        Self::open_with(listeners, hire, Bounds::default())
    }

    fn open_with<D: Doorman>(
        listeners: Vec<Listener>,
        hire: impl FnOnce(LingerHandle) -> D,
        bounds: Bounds,
    ) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let mailbox = Arc::new(Mailbox::new(Arc::clone(&counters))?);
        let doorman = hire(LingerHandle { mailbox: Arc::clone(&mailbox) });
        let keeper = Keeper::new(listeners, doorman, bounds, Arc::clone(&mailbox), Arc::clone(&counters))?;
        let thread = std::thread::Builder::new().name("doorway".into()).spawn(move || keeper.run())?;
        Ok(Self { mailbox, counters, thread: Some(thread) })
    }

    /// Returns the handle by which sessions let their socket linger.
    pub fn linger_handle(&self) -> LingerHandle {
        LingerHandle { mailbox: Arc::clone(&self.mailbox) }
    }

    /// Returns what was counted since the start.
    pub fn counts(&self) -> DoorwayCounts {
        self.counters.snapshot()
    }

    /// Asks the thread to end, without waiting: those already connected are still answered, then the listeners close, and lingering
    /// sockets have their second.
    pub fn request_stop(&self) {
        self.mailbox.stop();
    }

    /// Ends the thread and waits for it: about 1 s at most.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.request_stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told by the panic hook; nothing is left to do about it here.
            let _ = thread.join();
        }
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.end();
    }
}

/// Gives sockets to the doorway to linger, and wakes it; cheap to clone, for any thread.
#[derive(Clone, Debug)]
pub struct LingerHandle {
    mailbox: Arc<Mailbox>,
}

impl LingerHandle {
    /// Returns how many sockets linger now: the doorway closes them when their descriptors are needed.
    pub fn lingering(&self) -> u64 {
        self.mailbox.lingering()
    }

    /// Ends the sending side of `socket` and closes it when the peer has closed too, after 128 KiB more from it, or after 1 s. What
    /// was written to it before arrives whole. Never blocks. After the doorway ended the socket is closed at once.
    pub fn linger(&self, socket: OwnedFd) {
        self.mailbox.deliver(socket);
    }

    /// Makes the doorway ask [`Doorman::next_answer`] soon. Never blocks; many calls before the thread wakes cost one system call.
    pub fn wake(&self) {
        self.mailbox.wake();
    }
}

#[cfg(test)]
mod tests;
