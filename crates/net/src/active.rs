//! Active data connections (PORT, EPRT).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::address::normalize_socket_address;
use crate::listener::tcp_socket;

/// Connects to `to` from the address the client reached (`control_local`: the control connection's own address; its port is
/// ignored), so that the client sees the address it knows. The caller sets the deadline. Cancel safe: a drop closes the socket.
///
/// Errors: the kernel's (refused, unreachable, ...); `InvalidInput` when the two addresses are of different families.
pub async fn connect_active(control_local: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let mut from = normalize_socket_address(control_local);
    from.set_port(0);
    let to = with_scope_of(from, normalize_socket_address(to));
    if from.is_ipv4() != to.is_ipv4() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "data and control connection differ in IP version",
        ));
    }
    let socket = tcp_socket(to.ip())?;
    // The port is then chosen at connect, when the peer is known: not one port of the machine a connection.
    set_bind_address_no_port(socket.as_fd())?;
    rustix::net::bind(&socket, &from)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.ready(Interest::WRITABLE).await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Gives a link-local destination the scope of the control connection: EPRT has no way to say one.
fn with_scope_of(from: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (from, to) {
        (SocketAddr::V6(from), SocketAddr::V6(mut to))
            if to.ip().is_unicast_link_local() && to.scope_id() == 0 =>
        {
            to.set_scope_id(from.scope_id());
            SocketAddr::V6(to)
        }
        _ => to,
    }
}

#[expect(unsafe_code, reason = "rustix has no call for IP_BIND_ADDRESS_NO_PORT")]
fn set_bind_address_no_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
    // SAFETY: `socket` is open for the call, and `on` is a c_int that lives through it and whose size is `size`. The option is
    // of the IP level for both families.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            std::ptr::from_ref(&on).cast(),
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn the_peer_sees_the_address_it_reached() {
        for (local, control) in [
            ("127.0.0.1:0", "127.0.0.9:21"),
            ("[::1]:0", "[::1]:21"),
            ("127.0.0.1:0", "[::ffff:127.0.0.8]:21"),
        ] {
            let listener = TcpListener::bind(local).await.unwrap();
            let control: SocketAddr = control.parse().unwrap();
            let stream = timeout(PATIENCE, connect_active(control, listener.local_addr().unwrap()))
                .await
                .unwrap()
                .unwrap();
            let (_, seen) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
            assert_eq!(seen.ip(), normalize_socket_address(control).ip());
            assert_eq!(seen, stream.local_addr().unwrap());
        }
    }

    #[tokio::test]
    async fn nobody_there_is_refused_and_mixed_families_are_an_error() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = free.local_addr().unwrap();
        drop(free);
        let local = "127.0.0.1:21".parse().unwrap();
        let error = timeout(PATIENCE, connect_active(local, to)).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect_active("[::1]:21".parse().unwrap(), to).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_link_local_destination_takes_the_scope_of_the_control_connection() {
        let scoped = with_scope_of("[fe80::1%7]:0".parse().unwrap(), "[fe80::2]:2000".parse().unwrap());
        assert_eq!(scoped, "[fe80::2%7]:2000".parse().unwrap());
        let global = with_scope_of("[fe80::1%7]:0".parse().unwrap(), "[2001:db8::2]:2000".parse().unwrap());
        assert_eq!(global, "[2001:db8::2]:2000".parse().unwrap());
    }
}
