//! Whether the peer of a connection still answers.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// How often data was sent in vain before a peer counts as unreachable. The waits double from 200 ms at least: 6 s on a fast path.
const ATTEMPTS: u8 = 5;
/// How many probes of an idle connection stay unanswered likewise: the first one for a whole interval, 15 s.
const IDLE_PROBES: u8 = 2;
/// `TCP_CLOSE` of the kernel: both sides are done, or one has given up.
const STATE_CLOSED: u8 = 7;

/// Returns whether the kernel has not reached the peer of the TCP connection `socket` for a while: data sent five times in vain,
/// data that the peer has had no room for as long (6 s on a fast path), or two keepalive probes without an answer (75 s of
/// silence). Costs one system call. A socket that cannot be asked is not called unreachable.
pub fn is_peer_unreachable(socket: impl AsFd) -> bool {
    tcp_info(socket.as_fd()).is_ok_and(|info| Silence::of(&info).is_long())
}

/// What the kernel waits for.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    state: u8,
    /// Times the oldest data was sent again.
    retransmits: u8,
    /// Probes without any answer.
    probes: u8,
    /// Times the wait has doubled since the peer last took data.
    backoff: u8,
    unacknowledged_segments: u32,
    unsent_bytes: u32,
}

impl Silence {
    const fn of(info: &libc::tcp_info) -> Self {
        Self {
            state: info.tcpi_state,
            retransmits: info.tcpi_retransmits,
            probes: info.tcpi_probes,
            backoff: info.tcpi_backoff,
            unacknowledged_segments: info.tcpi_unacked,
            unsent_bytes: info.tcpi_notsent_bytes,
        }
    }

    const fn is_long(self) -> bool {
        if self.state == STATE_CLOSED {
            return true;
        }
        // While the peer's window is zero, its kernel answers each probe and so resets their count; only the wait goes on growing.
        let is_pending = self.unacknowledged_segments > 0 || self.unsent_bytes > 0;
        if is_pending {
            self.retransmits >= ATTEMPTS || self.backoff >= ATTEMPTS
        } else {
            self.probes >= IDLE_PROBES
        }
    }
}

/// Reads `TCP_INFO`. A kernel that knows less than this `struct` leaves the rest zero.
#[expect(unsafe_code, reason = "rustix does not offer TCP_INFO")]
fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let Ok(mut length) = libc::socklen_t::try_from(size_of::<libc::tcp_info>()) else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    // SAFETY: the descriptor is open while it is borrowed; `info` has room for `length` bytes, and the kernel writes no more.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it holds integers only, for which every pattern of bits is valid; all were zero before the kernel wrote.
    Ok(unsafe { info.assume_init() })
}

#[cfg(test)]
mod tests;
