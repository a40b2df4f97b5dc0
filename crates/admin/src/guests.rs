//! Connections from outside, so many at a time: a newcomer takes the place of the oldest, so nobody can hold them all.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// How many a port serves at a time.
pub(crate) const GUESTS_MAX: usize = 64;
/// How long each may take, from the first byte to the last.
pub(crate) const GUEST_TIME: Duration = Duration::from_secs(10);
/// How long accepting rests when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Accepts until `stop`; every connection is served by what `serve` returns, for at most [`GUEST_TIME`].
pub(crate) async fn receive<F, S>(listener: TcpListener, stop: CancellationToken, mut serve: S)
where
    F: Future<Output = ()> + Send + 'static,
    S: FnMut(TcpStream) -> F,
{
    let mut guests = Guests::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => guests.admit(serve(stream)),
            Err(error) => {
                debug!(%error, "cannot accept");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Those inside, the oldest first; they are sent away when this drops.
#[derive(Debug, Default)]
struct Guests {
    tasks: VecDeque<AbortHandle>,
}

impl Guests {
    fn admit(&mut self, guest: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|task| !task.is_finished());
        if self.tasks.len() >= GUESTS_MAX
            && let Some(oldest) = self.tasks.pop_front()
        {
            oldest.abort();
        }
        let bounded = async {
            // Too late is as good as served: the connection closes.
            let _ = tokio::time::timeout(GUEST_TIME, guest).await;
        };
        self.tasks.push_back(tokio::spawn(bounded).abort_handle());
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
