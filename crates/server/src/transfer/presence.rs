use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::net::TcpStream;

/// Whether the client that a transfer is for is still there. Any thread may ask: the kernel answers, not the reactor.
#[derive(Debug)]
pub(crate) struct Presence {
    /// The control connection; dangles once the session has ended.
    control: Weak<TcpStream>,
    has_quit: AtomicBool,
}

impl Presence {
    /// Returns the presence of whoever is at the other end of `control`.
    pub(crate) fn new(control: &Arc<TcpStream>) -> Self {
        Self { control: Arc::downgrade(control), has_quit: AtomicBool::new(false) }
    }

    /// Notes that the client has said QUIT: closing is no sign of its death from now on.
    pub(super) fn note_quit(&self) {
        self.has_quit.store(true, Ordering::Relaxed);
    }

    /// Returns whether the client has not closed its control connection without a QUIT. One that still has something to say
    /// before its end was there when it ended the data.
    pub(super) fn is_there(&self) -> bool {
        let lives = |control: Arc<TcpStream>| !tidegate_net::has_ended(&*control);
        self.has_quit.load(Ordering::Relaxed) || self.control.upgrade().is_some_and(lives)
    }
}
