//! The floor: the least that refusing a connection can cost. One thread accepts, writes a line, shuts down, drains and closes; it
//! decides nothing, counts nothing and knows no deadline.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags};

/// As long as the line that tidegate says.
const LINE: &[u8] =
    b"421 The server is full (4 of 4 connections); try again in 30 seconds [cause=server-full retry=30]\r\n";
/// How many connections may linger; the next one is closed at once.
const LINGERING_MAX: usize = 1024;
/// What the listener is called among the events.
const DOOR: u64 = u64::MAX;
/// Accepted in a row before those that linger get their turn.
const BATCH: usize = 64;

/// Refuses whoever connects to `address`, until it is killed; says `ready` first. Errors: the address cannot be had.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    // The standard library asks for a queue of 128; this one is as long as tidegate's.
    rustix::net::listen(&listener, 4096).context("cannot listen")?;
    listener.set_nonblocking(true).context("cannot listen without waiting")?;
    let epoll = epoll::create(CreateFlags::CLOEXEC).context("no epoll")?;
    epoll::add(&epoll, &listener, EventData::new_u64(DOOR), EventFlags::IN).context("no epoll")?;
    println!("ready");
    std::io::stdout().flush().context("nobody listens")?;

    let mut floor = Floor { epoll, lingering: Vec::new(), free: Vec::new() };
    let mut events: Vec<Event> = Vec::with_capacity(256);
    loop {
        match epoll::wait(&floor.epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error).context("cannot wait"),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                DOOR => floor.accept(&listener)?,
                place => floor.drain(usize::try_from(place).unwrap_or(usize::MAX)),
            }
        }
    }
}

struct Floor {
    epoll: OwnedFd,
    lingering: Vec<Option<OwnedFd>>,
    /// Places of `lingering` that are empty.
    free: Vec<usize>,
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        for _ in 0..BATCH {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(listener, flags) {
                Ok(socket) => self.refuse(socket),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error).context("cannot accept"),
            }
        }
        Ok(())
    }

    /// A client that is gone already is no error.
    fn refuse(&mut self, socket: OwnedFd) {
        let _ = rustix::net::send(&socket, LINE, SendFlags::NOSIGNAL);
        let _ = rustix::net::shutdown(&socket, Shutdown::Write);
        if is_over(&socket) {
            return;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.lingering.len() < LINGERING_MAX => {
                self.lingering.push(None);
                self.lingering.len() - 1
            }
            None => return,
        };
        if epoll::add(&self.epoll, &socket, EventData::new_u64(place as u64), EventFlags::IN).is_ok()
            && let Some(slot) = self.lingering.get_mut(place)
        {
            *slot = Some(socket);
        } else {
            self.free.push(place);
        }
    }

    fn drain(&mut self, place: usize) {
        if let Some(slot) = self.lingering.get_mut(place)
            && slot.as_ref().is_some_and(is_over)
        {
            // Closing it takes it out of the epoll too.
            *slot = None;
            self.free.push(place);
        }
    }
}

/// Reads and drops what has come; true at the end of the stream, or when it broke.
fn is_over(socket: &OwnedFd) -> bool {
    let mut dropped = [0; 4096];
    loop {
        match rustix::net::recv(socket, &mut dropped, RecvFlags::empty()) {
            Ok((_, 1..)) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Ok((_, 0)) | Err(_) => return true,
        }
    }
}
