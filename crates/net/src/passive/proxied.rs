//! Data connections from proxies whose PROXY protocol header has not come yet.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::doorway::PROXY_TIME;
use crate::proxy::{self, Header, Progress};

/// Connections of proxies listened to at once on one passive port.
pub(super) const PROXIED_MAX: usize = 16;

/// Those who were taken from the listener and have not said yet for whom they come.
#[derive(Debug, Default)]
pub(super) struct Proxied {
    newcomers: Vec<Newcomer>,
}

#[derive(Debug)]
struct Newcomer {
    stream: TcpStream,
    /// The proxy's address, normalised.
    from: IpAddr,
    header: Header,
    deadline: Pin<Box<Sleep>>,
}

/// How a newcomer turned out.
enum Outcome {
    Right,
    Stranger,
}

impl Proxied {
    /// Takes a connection of a proxy in; a stranger when there is no place.
    pub(super) fn begin(&mut self, stream: TcpStream, from: IpAddr, strangers: &AtomicU64) {
        if self.newcomers.len() >= PROXIED_MAX {
            strangers.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let deadline = Box::pin(tokio::time::sleep(PROXY_TIME));
        self.newcomers.push(Newcomer { stream, from, header: Header::default(), deadline });
    }

    /// Reads on; returns the first connection whose header names `peer`, read to exactly behind the header. Drops strangers and
    /// counts them. What is left wakes the context when it goes on.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        peer: IpAddr,
        strangers: &AtomicU64,
    ) -> Option<TcpStream> {
        let mut index = 0;
        while let Some(newcomer) = self.newcomers.get_mut(index) {
            match newcomer.poll(context, peer) {
                Poll::Pending => index += 1,
                Poll::Ready(Outcome::Right) => return Some(self.newcomers.swap_remove(index).stream),
                Poll::Ready(Outcome::Stranger) => {
                    self.newcomers.swap_remove(index);
                    strangers.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        None
    }
}

impl Newcomer {
    fn poll(&mut self, context: &mut Context<'_>, peer: IpAddr) -> Poll<Outcome> {
        loop {
            match self.stream.poll_read_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Outcome::Stranger),
                // Polled after the reading: a header that has come is never late.
                Poll::Pending => return self.deadline.as_mut().poll(context).map(|()| Outcome::Stranger),
            }
            let (stream, header) = (&self.stream, &mut self.header);
            let progress = stream.try_io(Interest::READABLE, || match header.read_on(stream) {
                Progress::Waiting => Err(io::ErrorKind::WouldBlock.into()),
                progress => Ok(progress),
            });
            let right = match progress {
                Ok(Progress::Whole { route, unread }) => {
                    let source = route.map_or(self.from, |route| route.source.ip());
                    source == peer && proxy::take(&self.stream, unread)
                }
                // The readiness was a stale one and is cleared by now.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Ok(_) | Err(_) => false,
            };
            return Poll::Ready(if right { Outcome::Right } else { Outcome::Stranger });
        }
    }
}
