//! Listening for control connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ipnet::IpNet;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, acceptfrom_with, ipproto, sockopt};

use crate::address::{contains, from_kernel, normalize_network};

/// Connections the kernel may complete before they are accepted; it caps the number at `net.core.somaxconn`.
const CONTROL_BACKLOG: i32 = 4096;

const KEEPALIVE_IDLE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;

/// Why an address could not be listened on; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket listens there.
    #[error("{0} is already in use: stop the program that listens there, or choose another port")]
    InUse(SocketAddr),
    /// Ports below 1024 need a privilege.
    #[error("not permitted to listen on {0}: choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE")]
    NotPermitted(SocketAddr),
    /// The address is of no interface of this machine.
    #[error(
        "{0} is not an address of this machine: choose one of its own (see `ip address`), or 0.0.0.0 or [::] for all"
    )]
    NotHere(SocketAddr),
    /// IPv6 is switched off.
    #[error("this machine does not offer IPv6, so {0} cannot be listened on: choose an IPv4 address")]
    FamilyOff(SocketAddr),
    /// Anything else the kernel said.
    #[error("cannot listen on {0}: {1}")]
    Io(SocketAddr, #[source] io::Error),
}

impl BindError {
    fn new(address: SocketAddr, error: Errno) -> Self {
        match error {
            Errno::ADDRINUSE => Self::InUse(address),
            Errno::ACCESS | Errno::PERM => Self::NotPermitted(address),
            Errno::ADDRNOTAVAIL => Self::NotHere(address),
            Errno::AFNOSUPPORT => Self::FamilyOff(address),
            other => Self::Io(address, other.into()),
        }
    }
}

/// A non-blocking listening socket for control connections. `[::]` takes IPv4 too.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    local: SocketAddr,
    proxies: Vec<IpNet>,
}

impl Listener {
    /// Listens on `address`; port 0 lets the kernel choose.
    ///
    /// Errors: [`BindError`], whose text tells the operator what to do.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let socket = listening_socket(address, CONTROL_BACKLOG).map_err(|e| BindError::new(address, e))?;
        let local = rustix::net::getsockname(&socket).map_err(|e| BindError::new(address, e))?;
        Ok(Self { socket, local: SocketAddr::try_from(local).unwrap_or(address), proxies: Vec::new() })
    }

    /// Trusts `proxies`: whoever connects from one of these networks must begin with a PROXY protocol header, whose addresses then
    /// count; everybody else stays an ordinary client.
    pub fn with_proxies(self, proxies: Vec<IpNet>) -> Self {
        Self { proxies: proxies.into_iter().map(normalize_network).collect(), ..self }
    }

    /// Returns whether a connection from `peer` (normalised) must begin with a PROXY protocol header.
    pub(crate) fn is_proxy(&self, peer: IpAddr) -> bool {
        contains(&self.proxies, peer)
    }

    /// Returns the address listened on, with the port the kernel chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Takes one waiting connection: its socket (non-blocking, close-on-exec) and the normalised peer address.
    ///
    /// Errors: the kernel's; `WouldBlock` when nobody waits.
    pub fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        let (socket, peer) = acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
        let peer = peer.and_then(from_kernel).ok_or(Errno::CONNABORTED)?;
        Ok((socket, peer))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sets what a control connection needs: no Nagle delay, urgent bytes kept in line (an ABOR may come as urgent data), and
/// keepalive that finds a dead peer after 60 s + 4 probes of 15 s.
///
/// Errors: the kernel's, for a socket that is not TCP.
pub fn prepare_control(socket: impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_socket_oobinline(socket, true)?;
    set_keepalive(socket)
}

/// Lets the kernel find a dead peer in two minutes.
pub(crate) fn set_keepalive(socket: BorrowedFd<'_>) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    Ok(())
}

/// Returns a fresh non-blocking, close-on-exec TCP socket of the family of `address`.
pub(crate) fn tcp_socket(address: IpAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))
}

/// Returns a non-blocking socket that listens on `address`.
pub(crate) fn listening_socket(address: SocketAddr, backlog: i32) -> Result<OwnedFd, Errno> {
    let socket = tcp_socket(address.ip())?;
    if let IpAddr::V6(ip) = address.ip() {
        // The system's default may be either; `[::]` means everybody, anything else only itself.
        sockopt::set_ipv6_v6only(&socket, !ip.is_unspecified())?;
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
