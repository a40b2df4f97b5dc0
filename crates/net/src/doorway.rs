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

mod counts;
mod keeper;
mod lingering;
mod mailbox;
mod reserve;

use counts::Counters;
pub use counts::DoorwayCounts;
use keeper::Keeper;
use lingering::Lingering;
use mailbox::Mailbox;

/// Sockets that may linger at once; about 64 bytes each.
pub const LINGER_PLACES: usize = 1024;
/// How long a socket lingers at most.
pub const LINGER_TIME: Duration = Duration::from_secs(1);
/// Bytes read and dropped from one lingering socket before it is closed.
pub const LINGER_DROPPED_BYTES_MAX: u64 = 128 * 1024;

/// Somebody who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Their address, normalised.
    pub peer: SocketAddr,
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
}

/// Decides who enters. Called on the doorway's own thread, one caller after the other; it must not block.
pub trait Doorman: Send + 'static {
    /// What an admitted connection holds; its drop releases the place.
    type Permit;

    /// Decides about `caller`. `line` comes empty; a refusal writes its whole line into it, CRLF included.
    fn decide(&mut self, caller: &Caller, line: &mut Vec<u8>) -> Verdict<Self::Permit>;

    /// Takes over an admitted connection: non-blocking, close-on-exec, prepared by [`prepare_control`](crate::prepare_control).
    /// `local` is the address the caller reached, normalised.
    fn admit(&mut self, permit: Self::Permit, socket: TcpStream, caller: Caller, local: SocketAddr);

    /// Writes the line for `caller` who came when no descriptor was left, CRLF included.
    fn exhausted(&mut self, caller: &Caller, line: &mut Vec<u8>);
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
        Self::open_with(listeners, hire, LINGER_PLACES, LINGER_TIME)
    }

    fn open_with<D: Doorman>(
        listeners: Vec<Listener>,
        hire: impl FnOnce(LingerHandle) -> D,
        places: usize,
        time: Duration,
    ) -> io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let mailbox = Arc::new(Mailbox::new(Arc::clone(&counters))?);
        let doorman = hire(LingerHandle { mailbox: Arc::clone(&mailbox) });
        let lingering = Lingering::new(places, time, Arc::clone(&counters));
        let keeper = Keeper::new(listeners, doorman, lingering, Arc::clone(&mailbox), Arc::clone(&counters))?;
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

/// Gives sockets to the doorway to linger; cheap to clone, for any thread.
#[derive(Clone, Debug)]
pub struct LingerHandle {
    mailbox: Arc<Mailbox>,
}

impl LingerHandle {
    /// Ends the sending side of `socket` and closes it when the peer has closed too, after 128 KiB more from it, or after 1 s. What
    /// was written to it before arrives whole. Never blocks. After the doorway ended the socket is closed at once.
    pub fn linger(&self, socket: OwnedFd) {
        self.mailbox.deliver(socket);
    }
}

#[cfg(test)]
mod tests;
