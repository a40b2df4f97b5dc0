//! The end of a session: its last words, its places, its socket.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tidegate_protocol::session::CloseReason;
use tidegate_types::{Cause, Shown};
use tracing::info;

use super::{ControlLoop, Gone, Visitor};
use crate::registry::DoingNow;
use crate::transfer::Step;

/// How long the last words of a session may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a transfer may take to be given up when its session ends.
const TRANSFER_END: Duration = Duration::from_secs(2);

impl ControlLoop {
    /// Says the last words, gives every place back, and lets the socket linger so that they arrive (DESIGN §2.6).
    pub(super) async fn close(mut self: Box<Self>, reason: CloseReason) {
        if let Some(moving) = &mut self.transfer {
            moving.transfer.abort();
            let ended = tokio::time::timeout(TRANSFER_END, async {
                loop {
                    if let Step::Ended(end) = moving.transfer.step().await {
                        return end;
                    }
                }
            });
            if let Ok(end) = ended.await {
                self.end_transfer(end);
            }
        }
        if self.output.is_full() || self.reader.room() == 0 {
            self.live.note_much();
        }
        if let CloseReason::Refused(cause) = reason {
            let _ = self.house.tally.refused(cause);
            if cause == Cause::CommandFlood
                && let Some(ban) = self.house.gate.flooded(self.visitor.peer.ip())
            {
                self.house.note_ban(Some(&ban));
            }
        }
        self.visitor.entered.card.does(DoingNow::Leaving);
        info!(
            session = self.visitor.id,
            peer = %self.visitor.peer,
            account = %Shown(self.account.as_bytes()),
            reason = reason.as_str(),
            secs = self.house.clock.now().since(self.since).as_secs(),
            "session closed"
        );
        let _ = tokio::time::timeout(LAST_WORDS, self.say_the_rest()).await;
        let broken = self.gone == Some(Gone::Broken);
        let Self { visitor: Visitor { stream, entered, linger, .. }, .. } = *self;
        // The next one may come in while this socket lingers.
        drop(entered);
        if broken {
            return;
        }
        // Where a commit looks at it this very moment, another descriptor of it lingers: the last line must arrive.
        let socket = match Arc::try_unwrap(stream) {
            Ok(stream) => stream.into_std().map(OwnedFd::from),
            Err(shared) => shared.as_fd().try_clone_to_owned(),
        };
        if let Ok(socket) = socket {
            linger.linger(socket);
        }
    }

    async fn say_the_rest(&mut self) {
        while !self.output.is_empty() && self.gone != Some(Gone::Broken) {
            let written = match self.visitor.stream.writable().await {
                Ok(()) => self.output.flush(&self.visitor.stream, self.house.clock.now()),
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                self.broken(&error);
            }
        }
    }
}
