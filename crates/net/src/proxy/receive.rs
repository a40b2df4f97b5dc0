//! Taking a header off a socket without touching the byte behind it.

use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::{HEADER_BYTES_MAX, Parsed, Route, parse};

/// A header that is arriving: at most [`HEADER_BYTES_MAX`] bytes, none while nothing has come.
#[derive(Debug, Default)]
pub(crate) struct Header {
    taken: Vec<u8>,
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing more can be read now.
    Waiting,
    /// The header is whole. `unread` of its bytes are still in the socket, before those of the client.
    Whole { route: Option<Route>, unread: usize },
    /// What came is no header.
    Bad,
    /// The peer has closed, or the connection broke.
    Gone,
}

impl Header {
    /// Looks at what has come on the non-blocking `socket` and takes what surely belongs to the header, so that an event comes only
    /// for more. Never reads a byte behind the header.
    pub(crate) fn read_on(&mut self, socket: impl AsFd) -> Progress {
        let socket = socket.as_fd();
        let mut bytes = [0; HEADER_BYTES_MAX];
        loop {
            let before = self.taken.len();
            // parse() decides within the room there is, so it is never empty.
            let Some((start, room)) = bytes.split_at_mut_checked(before) else { return Progress::Bad };
            start.copy_from_slice(&self.taken);
            let came = match recv(socket, room, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
                Ok((0, _)) => return Progress::Gone,
                Ok((_, came)) => came,
                Err(Errno::AGAIN) => return Progress::Waiting,
                Err(Errno::INTR) => continue,
                Err(_) => return Progress::Gone,
            };
            let so_far = bytes.get(..before + came).unwrap_or_default();
            match parse(so_far) {
                Parsed::Bad => return Progress::Bad,
                Parsed::Done { route, used } => {
                    return Progress::Whole { route, unread: used.saturating_sub(before) };
                }
                Parsed::NeedMore => {
                    let news = so_far.get(before..).unwrap_or_default();
                    self.taken.reserve_exact(news.len());
                    self.taken.extend_from_slice(news);
                    if !take(socket, came) {
                        return Progress::Gone;
                    }
                }
            }
        }
    }

    /// Returns whether part of a header has come.
    pub(crate) fn has_begun(&self) -> bool {
        !self.taken.is_empty()
    }
}

/// Takes `count` bytes that were seen in the socket already; returns whether it could.
pub(crate) fn take(socket: impl AsFd, count: usize) -> bool {
    let mut bytes = [0; HEADER_BYTES_MAX];
    let mut left = count;
    while left > 0 {
        let Some(room) = bytes.get_mut(..left) else { return false };
        match recv(&socket, room, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return false,
            Ok((_, came)) => left = left.saturating_sub(came),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}
