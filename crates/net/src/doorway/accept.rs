//! Taking one connection from a listener, and what its errors mean.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::Caller;
use crate::listener::Listener;

/// How one try to accept went.
pub(super) enum Accepted {
    One(OwnedFd, Caller),
    /// The one who waited has gone; there may be another.
    Gone,
    Nobody,
    NoDescriptor,
    /// The kernel has no memory, or something unknown: trying again at once would spin.
    Trouble,
}

/// Takes one connection from `door`, whose place in the list is `listener`.
pub(super) fn accept(door: &Listener, listener: usize) -> Accepted {
    let error = match door.accept() {
        Ok((socket, peer)) => {
            return Accepted::One(socket, Caller { peer, reached: door.local_addr(), listener });
        }
        Err(error) => error,
    };
    match Errno::from_io_error(&error) {
        Some(Errno::AGAIN) => Accepted::Nobody,
        Some(Errno::MFILE | Errno::NFILE) => Accepted::NoDescriptor,
        // accept(2): errors of the new connection, to be treated as if nobody had come.
        Some(
            Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH,
        ) => Accepted::Gone,
        _ => Accepted::Trouble,
    }
}
