//! The control socket: one JSON object a line each way (docs/control.md).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::message::{Failure, FailureKind, REQUEST_BYTES_MAX, Reply, Request};
use crate::orders::Orders;

/// How many connections are served at a time.
pub(crate) const GUESTS_MAX: usize = 16;
/// How long a connection may be silent between requests, and how long its client may take to read an answer.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// How long accepting rests when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Who gives orders, as the kernel tells.
#[derive(Clone, Copy, Debug)]
struct Peer {
    uid: u32,
    pid: Option<i32>,
}

/// Serves requests on `listener` until `stop`.
pub(crate) async fn serve(listener: UnixListener, orders: Orders, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(GUESTS_MAX));
    let guests = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let place = Arc::clone(&places).try_acquire_owned().ok();
                let (orders, stop) = (orders.clone(), stop.clone());
                guests.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = receive(stream, place, &orders) => {}
                    }
                });
            }
            Err(error) => {
                debug!(%error, "cannot accept on the control socket");
                tokio::time::sleep(REST).await;
            }
        }
    }
    guests.close();
    guests.wait().await;
}

/// Serves one connection, or says that there is no place for it.
async fn receive(stream: UnixStream, place: Option<OwnedSemaphorePermit>, orders: &Orders) {
    let peer = stream.peer_cred().map(|peer| Peer { uid: peer.uid(), pid: peer.pid() });
    let done = match (place, peer) {
        (Some(_place), Ok(peer)) => converse(stream, peer, orders).await,
        (None, _) => turn_away(stream).await,
        (_, Err(error)) => Err(error),
    };
    if let Err(error) = done {
        debug!(%error, "a control connection broke");
    }
}

async fn turn_away(mut stream: UnixStream) -> io::Result<()> {
    let failure = Failure::new(
        FailureKind::Refused,
        format!("{GUESTS_MAX} control connections are served already"),
        "close one, or try again",
    );
    say(&mut stream, Err(failure)).await
}

async fn converse(stream: UnixStream, peer: Peer, orders: &Orders) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let Ok(whole) = tokio::time::timeout(SILENCE, next_line(&mut read, &mut line)).await else {
            return Ok(());
        };
        if !whole? {
            return Ok(());
        }
        if line.len() > REQUEST_BYTES_MAX {
            let message = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
            let failure = Failure::new(FailureKind::BadRequest, message, "end each request with a line feed");
            // The rest of the line cannot be told from the next request: this is the end.
            return say(&mut write, Err(failure)).await;
        }
        let answer = obey(&line, peer, orders).await;
        say(&mut write, answer).await?;
    }
}

/// Reads one line, or one byte more than a line may have; `false`: nothing comes any more.
async fn next_line(read: &mut BufReader<OwnedReadHalf>, line: &mut Vec<u8>) -> io::Result<bool> {
    let longest = u64::try_from(REQUEST_BYTES_MAX + 1).unwrap_or(u64::MAX);
    Ok(read.take(longest).read_until(b'\n', line).await? > 0)
}

/// Understands and carries out one request; orders that change something are logged with who gave them.
async fn obey(line: &[u8], peer: Peer, orders: &Orders) -> Result<Value, Failure> {
    let request: Request = serde_json::from_slice(line).map_err(|error| {
        Failure::new(
            FailureKind::BadRequest,
            format!("the request is not understood: {error}"),
            "docs/control.md shows one example of each command",
        )
    })?;
    let answer = orders.carry_out(&request).await;
    if request.changes_something() {
        // As JSON: whatever bytes it has, it stays one line of the log.
        let order = serde_json::to_string(&request).unwrap_or_default();
        match &answer {
            Ok(_) => info!(order, uid = peer.uid, pid = peer.pid, "an operator's order was carried out"),
            Err(failure) => {
                let kind = failure.kind.as_str();
                warn!(order, uid = peer.uid, pid = peer.pid, kind, reason = %failure, "an operator's order failed");
            }
        }
    }
    answer
}

async fn say(write: &mut (impl AsyncWriteExt + Unpin), answer: Result<Value, Failure>) -> io::Result<()> {
    let reply = match answer {
        Ok(result) => Reply { ok: true, result: Some(result), error: None },
        Err(failure) => Reply { ok: false, result: None, error: Some(failure) },
    };
    let mut line = serde_json::to_vec(&reply)?;
    line.push(b'\n');
    tokio::time::timeout(SILENCE, write.write_all(&line)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

#[cfg(test)]
mod tests;
