//! The HAProxy agent check: one line a connection (HAProxy's configuration manual, `agent-check`).

use std::sync::Arc;
use std::time::Duration;

use tidegate_server::view::{Level, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::guests;
use crate::running::{Running, is_draining};

/// How long and how much of what a guest says is dropped before its connection closes, so that it reads the line and no reset.
const LINGER: Duration = Duration::from_secs(1);
const DROPPED_BYTES_MAX: u64 = 4 << 10;

/// Answers on `listener` until `stop`.
pub(crate) async fn serve(listener: TcpListener, running: Arc<dyn Running>, stop: CancellationToken) {
    guests::receive(listener, stop, |stream| {
        let line = agent_line(&running.snapshot());
        tell(stream, line)
    })
    .await;
}

async fn tell(mut stream: TcpStream, line: String) {
    let told = async {
        stream.write_all(line.as_bytes()).await?;
        stream.shutdown().await
    };
    if told.await.is_ok() {
        let (mut rest, mut nowhere) = (stream.take(DROPPED_BYTES_MAX), tokio::io::sink());
        let gone = tokio::io::copy(&mut rest, &mut nowhere);
        // Who does not close in time is closed.
        let _ = tokio::time::timeout(LINGER, gone).await;
    }
}

/// Returns what a balancer is told: `drain`, or `up ready` with a weight between 1 % (no place is left, or the machine is
/// overloaded: who comes nevertheless is told so by a 421) and 100 % (nobody is inside and all is calm).
fn agent_line(snapshot: &Snapshot) -> String {
    if is_draining(snapshot) {
        "drain\n".to_owned()
    } else {
        format!("up ready {}%\n", weight_percent(snapshot.gate.free_permille(), snapshot.gate.level))
    }
}

/// Returns the weight for a house of which so many thousandths are free, the freest listener counted.
fn weight_percent(free_permille: u32, level: Level) -> u32 {
    let free = free_permille.div_ceil(10);
    let left = match level {
        Level::Calm => free,
        Level::Busy => free / 2,
        Level::Strained => free / 4,
        Level::Full => 0,
    };
    left.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    #[test]
    fn the_weight_falls_with_what_is_free() {
        assert_eq!(weight_percent(1_000, Level::Calm), 100);
        assert_eq!(weight_percent(500, Level::Calm), 50);
        assert_eq!(weight_percent(500, Level::Busy), 25);
        assert_eq!(weight_percent(500, Level::Strained), 12);
        for level in [Level::Calm, Level::Busy, Level::Strained, Level::Full] {
            assert_eq!(weight_percent(0, level), 1, "0 would make the balancer answer in place of our 421");
        }
        assert_eq!(weight_percent(1_000, Level::Full), 1);
    }

    #[test]
    fn a_drain_is_told_once_it_has_begun() {
        let fake = Fake::new(4);
        fake.enter("192.0.2.1");
        assert_eq!(agent_line(&fake.snapshot()), "up ready 75%\n");
        fake.plan(Duration::from_mins(1));
        assert_eq!(agent_line(&fake.snapshot()), "up ready 75%\n");
        fake.plan(Duration::ZERO);
        assert_eq!(agent_line(&fake.snapshot()), "drain\n");
        assert!(fake.resume());
        assert_eq!(agent_line(&fake.snapshot()), "up ready 75%\n");
    }
}
