//! A stream that nobody may be reading: whoever says something never waits for the reader.
//!
//! Own code rather than tracing-appender's: its guard prints to standard output when it cannot end, which may be the very stream that
//! is stuck, and it bounds lines instead of bytes.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

/// How many bytes wait for the reader at most; as many may be on their way beside them.
const WAITING_BYTES_MAX: usize = 256 << 10;
/// How much memory is kept for the next lines after many have been written, in bytes.
const KEPT_BYTES: usize = 16 << 10;

/// Where lines go: a thread of its own writes them. What does not fit while the reader sleeps is lost and counted. Cheap to clone.
///
/// At most 512 KiB of memory, and one thread, until the process ends.
#[derive(Clone, Debug, Default)]
pub struct Outlet {
    inside: Arc<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    state: Mutex<State>,
    /// Something waits.
    filled: Condvar,
    /// Nothing waits and nothing is on its way.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    waiting_lines: u64,
    is_writing: bool,
    /// Since it was told last.
    lost: u64,
    /// Why the last write failed.
    failure: Option<String>,
    /// What it says itself always fits: how much was lost.
    writer: Option<ThreadId>,
}

impl Outlet {
    /// Begins to write to `stream`, such as standard error, on a thread of its own. `tell` is called with the number of lost lines
    /// as soon as the stream flows again. Errors: the kernel gives no descriptor or no thread.
    pub fn open(stream: impl AsFd, tell: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        // Not through the standard library's handles: they are locked as long as a write takes, and whoever asks for the lock waits.
        let stream = File::from(stream.as_fd().try_clone_to_owned()?);
        let outlet = Self::default();
        let worker = outlet.clone();
        let thread = std::thread::Builder::new()
            .name("tidegate-says".into())
            .spawn(move || worker.work(|bytes| write_all(&stream, bytes), tell))?;
        outlet.lock().writer = Some(thread.thread().id());
        Ok(outlet)
    }

    /// Says a text; it is lost, whole, when too much waits already.
    pub fn say(&self, text: &[u8]) {
        let mut state = self.lock();
        let is_room = state.waiting.len() + text.len() <= WAITING_BYTES_MAX;
        if is_room || state.writer == Some(std::thread::current().id()) {
            state.waiting.extend_from_slice(text);
            state.waiting_lines += 1;
            self.inside.filled.notify_one();
        } else {
            state.lost += 1;
        }
    }

    /// Waits until all is written, at most `within`. `false`: something is not.
    pub fn finish(&self, within: Duration) -> bool {
        let busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let waited = self.inside.emptied.wait_timeout_while(self.lock(), within, busy);
        let (state, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        !outcome.timed_out()
    }

    /// Returns a sentence while lines are lost.
    pub fn complaint(&self) -> Option<String> {
        let state = self.lock();
        let why = state.failure.as_deref().unwrap_or("nobody reads standard error, or too slowly");
        (state.lost > 0).then(|| format!("{} log lines are lost: {why}", state.lost))
    }

    fn work(&self, write: impl Fn(&[u8]) -> io::Result<()>, tell: impl Fn(u64)) {
        let mut batch = Vec::new();
        loop {
            let lines = self.take(&mut batch);
            let outcome = write(&batch);
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
            let lost = self.note(lines, outcome);
            if lost > 0 {
                tell(lost);
            }
            let mut state = self.lock();
            state.is_writing = false;
            if state.waiting.is_empty() {
                self.inside.emptied.notify_all();
            }
        }
    }

    /// Waits for lines and swaps them into `batch`, which is empty; returns how many they are.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        let waited = self.inside.filled.wait_while(self.lock(), |state| state.waiting.is_empty());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.waiting, batch);
        state.is_writing = true;
        std::mem::take(&mut state.waiting_lines)
    }

    /// Takes down how writing `lines` went; returns how many lines were lost, when that can be told.
    fn note(&self, lines: u64, outcome: io::Result<()>) -> u64 {
        let mut state = self.lock();
        match outcome {
            Ok(()) => {
                state.failure = None;
                std::mem::take(&mut state.lost)
            }
            Err(error) => {
                state.lost += lines;
                state.failure = Some(error.to_string());
                0
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inside.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Outlet {
    /// Takes all of it; never fails and never waits.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.say(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As `Write::write_all`, also on a stream that another process has made non-blocking.
fn write_all(mut stream: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                match poll(&mut [PollFd::new(&stream, PollFlags::OUT)], None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
