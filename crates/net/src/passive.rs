//! Passive data connections: the pool of ports and the listeners leased from it.
//!
//! Ports are never chosen by `bind(0)`: under many transfers the kernel's own range fills with `TIME_WAIT` and collapses
//! (DESIGN §6.3). Whose turn is next cannot be guessed, so that a stranger cannot wait at the next port.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use ipnet::IpNet;
use rustix::io::Errno;
use tidegate_types::normalize_address;
use tokio::net::{TcpListener, TcpStream};

use crate::address::{contains, normalize_network, normalize_socket_address};
use crate::listener::listening_socket;

mod proxied;

use proxied::Proxied;

/// Connections that may wait on one passive port: the right peer and a few strangers.
const PASSIVE_BACKLOG: i32 = 8;
/// Ports tried for one lease before it is called hopeless.
const TRIES_MAX: usize = 64;
/// Fewer free ports than this above the kernel's own range are not worth having.
const FREE_PORTS_MIN: usize = 1000;
/// The dynamic ports of RFC 6335 §6.
const DYNAMIC_PORTS: RangeInclusive<u16> = 49152..=65535;

/// Which ports passive data connections use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// These, both ends included.
    Range(RangeInclusive<u16>),
    /// Those above the kernel's range for outgoing connections if that leaves at least 1,000, else 49152-65535.
    Free,
}

impl PortChoice {
    fn ports(&self) -> RangeInclusive<u16> {
        match self {
            Self::Range(range) => range.clone(),
            Self::Free => {
                let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
                free_ports(text.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Returns the ports above the range that `ip_local_port_range` names, or the dynamic ports when those are too few.
fn free_ports(ip_local_port_range: &str) -> RangeInclusive<u16> {
    let upper = ip_local_port_range.split_whitespace().nth(1).and_then(|word| word.parse::<u16>().ok());
    match upper.and_then(|upper| upper.checked_add(1)) {
        Some(first) if (first..=u16::MAX).len() >= FREE_PORTS_MIN => first..=u16::MAX,
        _ => DYNAMIC_PORTS,
    }
}

/// Why no port was leased.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Every port is leased, or used by another program; a 425.
    #[error("no data port is free")]
    NoFreePort,
    /// The kernel refused for another reason, such as no descriptor left.
    #[error("cannot open a data port: {0}")]
    Io(#[from] io::Error),
}

/// The pool of passive ports; cheap to clone, shared by all sessions of a listener. 2 bytes a port.
#[derive(Clone, Debug)]
pub struct PassivePorts {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    /// Longest unused first.
    free: Mutex<VecDeque<u16>>,
    size: usize,
    strangers: AtomicU64,
}

impl PassivePorts {
    /// Returns a shuffled pool of the chosen ports.
    ///
    /// Errors: `InvalidInput` for an empty range or one with port 0; the kernel's when it gives no random bytes.
    pub fn new(choice: &PortChoice) -> io::Result<Self> {
        let range = choice.ports();
        if range.is_empty() || range.contains(&0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "passive ports: an empty range, or port 0 in it",
            ));
        }
        let mut ports: Vec<u16> = range.collect();
        for last in (1..ports.len()).rev() {
            ports.swap(last, random_below(last + 1)?);
        }
        let size = ports.len();
        let pool = Pool { free: Mutex::new(ports.into()), size, strangers: AtomicU64::new(0) };
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Listens on an unpredictable port of the longest-unused half, on the address the client reached (`control_local`: the
    /// control connection's own address; its port is ignored, an IPv6 scope kept). Call it inside a tokio runtime.
    ///
    /// Errors: `NoFreePort` when all are leased or 64 in a row are used by others; `Io` for everything else.
    pub fn lease(&self, control_local: SocketAddr) -> Result<PassiveListener, LeaseError> {
        tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let mut address = normalize_socket_address(control_local);
        // Ports in use by others rest here until the end, so that none is tried twice.
        let mut busy = Returned { pool: &self.pool, ports: Vec::new() };
        for _ in 0..TRIES_MAX.min(self.pool.size) {
            let Some(port) = self.pool.take()? else { return Err(LeaseError::NoFreePort) };
            let lease = Lease { pool: Arc::clone(&self.pool), port };
            address.set_port(port);
            match listening_socket(address, PASSIVE_BACKLOG) {
                Ok(socket) => {
                    let listener = TcpListener::from_std(socket.into())?;
                    return Ok(PassiveListener {
                        listener,
                        local: address,
                        proxies: Arc::default(),
                        proxied: Mutex::default(),
                        lease,
                    });
                }
                // Both bind and listen may say so: two sockets can bind with SO_REUSEADDR, only one can listen.
                Err(Errno::ADDRINUSE) => busy.ports.push(lease.keep()),
                Err(other) => return Err(LeaseError::Io(other.into())),
            }
        }
        Err(LeaseError::NoFreePort)
    }

    /// Returns how many ports the pool has in all.
    pub fn size(&self) -> usize {
        self.pool.size
    }

    /// Returns how many ports are not leased now.
    pub fn free(&self) -> usize {
        self.pool.lock().len()
    }

    /// Returns how many connections that were not the awaited peer's were closed so far.
    pub fn strangers(&self) -> u64 {
        self.pool.strangers.load(Ordering::Relaxed)
    }
}

impl Pool {
    /// Takes a port from the longest-unused half.
    fn take(&self) -> io::Result<Option<u16>> {
        let mut free = self.lock();
        let half = free.len().div_ceil(2);
        if half == 0 {
            return Ok(None);
        }
        Ok(free.swap_remove_front(random_below(half)?))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u16>> {
        // Nothing that can panic runs under this lock, so a poisoned one is whole.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns an unpredictable number below `bound` (1 to 65536).
fn random_below(bound: usize) -> io::Result<usize> {
    let random = u128::from(getrandom::u64().map_err(io::Error::other)?);
    // Scaled by multiplication: the bias is below 2^-48.
    Ok(usize::try_from((random * bound as u128) >> 64).unwrap_or(0))
}

/// Ports that go back to the pool together.
struct Returned<'a> {
    pool: &'a Pool,
    ports: Vec<u16>,
}

impl Drop for Returned<'_> {
    fn drop(&mut self) {
        if !self.ports.is_empty() {
            self.pool.lock().extend(self.ports.drain(..));
        }
    }
}

/// A port that goes back to the pool when this drops.
#[derive(Debug)]
struct Lease {
    pool: Arc<Pool>,
    port: u16,
}

impl Lease {
    /// Returns the port without giving it back; the caller will.
    fn keep(mut self) -> u16 {
        std::mem::take(&mut self.port)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.port != 0 {
            self.pool.lock().push_back(self.port);
        }
    }
}

/// A leased passive port that listens; the port goes back to the pool on drop.
#[derive(Debug)]
pub struct PassiveListener {
    // Dropped before the lease: the port is given back when nobody listens on it any more.
    listener: TcpListener,
    local: SocketAddr,
    proxies: Arc<[IpNet]>,
    /// Connections of proxies whose header has not come yet. They stay when a wait is cancelled.
    proxied: Mutex<Proxied>,
    lease: Lease,
}

impl PassiveListener {
    /// Returns the leased port.
    pub fn port(&self) -> u16 {
        self.local.port()
    }

    /// Returns the address listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Expects the connection through one of `proxies`: whoever connects from there must name the peer as source in a PROXY protocol
    /// header, whole within [`PROXY_TIME`](crate::PROXY_TIME). At most 16 of them are listened to at once; others, and those with a
    /// wrong, bad or late header, are strangers. The peer may still connect directly.
    pub fn behind(self, proxies: Arc<[IpNet]>) -> Self {
        let normal = |&network: &IpNet| normalize_network(network);
        // As a rule they are normal already, and shared by all sessions.
        let is_normal = proxies.iter().all(|network| *network == normal(network));
        let proxies = if is_normal { proxies } else { proxies.iter().map(normal).collect() };
        Self { proxies, ..self }
    }

    /// Waits for a connection from `peer` (any of its ports), or from a proxy that names it. Everybody else is closed at once and
    /// counted, and the wait goes on; the caller sets the deadline. Cancel safe.
    ///
    /// Errors: the kernel's, such as no descriptor left.
    pub async fn accept_from(&self, peer: IpAddr) -> io::Result<TcpStream> {
        let peer = normalize_address(peer);
        poll_fn(|context| self.poll_accept_from(context, peer)).await
    }

    fn poll_accept_from(&self, context: &mut Context<'_>, peer: IpAddr) -> Poll<io::Result<TcpStream>> {
        let mut proxied = self.proxied.lock().unwrap_or_else(PoisonError::into_inner);
        let strangers = &self.lease.pool.strangers;
        if let Some(stream) = proxied.poll(context, peer, strangers) {
            return Poll::Ready(Ok(stream));
        }
        loop {
            match ready!(self.listener.poll_accept(context)) {
                Ok((stream, from)) => {
                    let from = normalize_address(from.ip());
                    let right = if contains(&self.proxies, from) {
                        proxied.begin(stream, from, strangers);
                        proxied.poll(context, peer, strangers)
                    } else if from == peer {
                        Some(stream)
                    } else {
                        strangers.fetch_add(1, Ordering::Relaxed);
                        None
                    };
                    if let Some(stream) = right {
                        return Poll::Ready(Ok(stream));
                    }
                }
                // That one went away before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
