//! Options and endings of data connections.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, Shutdown, recv};
use tokio::net::TcpStream;

use crate::listener::set_keepalive;

/// Most that is read and dropped from a peer that wrote into a download.
const FINISH_DROPPED_BYTES_MAX: usize = 64 * 1024;

/// Sets what a data connection needs: keepalive. Nagle stays on: it carries bulk.
///
/// Errors: the kernel's, for a socket that is not TCP.
pub fn prepare_data(socket: impl AsFd) -> io::Result<()> {
    set_keepalive(socket.as_fd())
}

/// Ends both directions at once: every read and write on any thread returns. For ABOR and stalls. A peer that is gone is no error.
pub fn shutdown_both(socket: impl AsFd) -> io::Result<()> {
    shutdown(socket, Shutdown::Both)
}

/// Ends the sending direction: the peer reads what was sent and then the end. A peer that is gone is no error.
pub fn shutdown_write(socket: impl AsFd) -> io::Result<()> {
    shutdown(socket, Shutdown::Write)
}

fn shutdown(socket: impl AsFd, how: Shutdown) -> io::Result<()> {
    match rustix::net::shutdown(socket, how) {
        Ok(()) | Err(Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether the peer has ended its sending direction, or the connection broke, and everything it sent before was read.
/// Asks the kernel itself, which may know more than the reactor has noticed.
pub fn has_ended(socket: impl AsFd) -> bool {
    loop {
        match recv(&socket, &mut [0; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            Ok((count, _)) => return count == 0,
            Err(Errno::AGAIN) => return false,
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// Ends a download: the peer reads everything sent and then the end of the stream, never a reset because of bytes it sent before.
/// Does not wait; the kernel delivers what is in flight after the close.
///
/// Errors: the kernel's when the peer had already reset the connection.
pub fn finish(stream: TcpStream) -> io::Result<()> {
    shutdown_write(&stream)?;
    // A close with unread bytes would reset the connection and take the data in flight with it.
    let mut dropped = 0;
    let mut bytes = [0; 4096];
    while dropped < FINISH_DROPPED_BYTES_MAX {
        match recv(&stream, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::AGAIN) => break,
            Ok((count, _)) => dropped += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // into_std takes it off the reactor first, so that the drop is a plain close.
    drop(stream.into_std()?);
    Ok(())
}

#[cfg(test)]
mod tests;
