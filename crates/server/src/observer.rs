//! Watches what the machine has left and how late things are, and tells it on.
//!
//! The watcher is a thread of its own: a runtime whose threads are blocked cannot tell that they are.

mod probe;
mod storage_clock;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tidegate_admission::{Overload, Signal};
use tidegate_net::Machine;
use tidegate_types::SignalKind;
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::clock::Clock;
use probe::Probe;
pub(crate) use storage_clock::{StorageClock, StorageRequestGuard};

/// How often descriptors and the scheduling delay are read: connections come by the thousand a second.
const EVERY: Duration = Duration::from_millis(250);
/// How many such readings go by between two of the others, which change more slowly and cost more.
const SLOW_EVERY: u32 = 4;
/// How long the watcher is waited for at the end. It never waits itself, but what it tells may.
const END: Duration = Duration::from_secs(1);

/// What is watched.
pub(crate) struct Sources {
    pub(crate) machine: Machine,
    /// The runtime whose delay is measured.
    pub(crate) runtime: Handle,
    pub(crate) storage: StorageClock,
    pub(crate) clock: Clock,
}

/// A watcher at work. Dropping it stops the watcher and waits for its end, 1 s at most.
#[derive(Debug)]
pub(crate) struct ObserverHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Nothing ever comes; it is cut when the thread ends.
    end: Receiver<()>,
}

#[derive(Debug)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct Orders {
    overload: Overload,
    is_over: bool,
}

/// Starts to watch what `overload` does not switch off. `sink` is told each reading, on the watcher's thread: descriptors and the
/// scheduling delay four times a second, memory, pressure of the processor and storage each second. What cannot be read is
/// logged once; storage that nobody used since the last time is not told.
///
/// Errors: the kernel's, when it gives no thread.
pub(crate) fn start(
    sources: Sources,
    overload: Overload,
    sink: impl FnMut(Signal) + Send + 'static,
) -> io::Result<ObserverHandle> {
    let orders = Mutex::new(Orders { overload, is_over: false });
    let shared = Arc::new(Shared { orders, changed: Condvar::new() });
    let (ends, end) = channel();
    let watched = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("tidegate-observer".to_owned())
        .spawn(move || Observer::new(sources, sink, ends).run(&watched))?;
    Ok(ObserverHandle { shared, thread: Some(thread), end })
}

impl ObserverHandle {
    /// Has what `overload` switches on watched from now on, and nothing else.
    pub(crate) fn relimit(&self, overload: Overload) {
        self.order(|orders| orders.overload = overload);
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.changed.notify_all();
    }
}

impl Drop for ObserverHandle {
    fn drop(&mut self) {
        self.order(|orders| orders.is_over = true);
        if self.end.recv_timeout(END) == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            // It has ended; the outcome is that of the sink, which told of its own panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits for the time of the next reading; `None` at the end.
    fn wait(&self) -> Option<Overload> {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(orders, EVERY, |orders| !orders.is_over);
        let (orders, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!orders.is_over).then_some(orders.overload)
    }
}

/// The last delays: the shortest of them counts, so that a machine that stumbles for a moment closes no door.
#[derive(Debug, Default)]
struct Recent {
    delays: [Duration; RECENT],
    next: usize,
}

/// How many readings the shortest is taken of: one second's.
const RECENT: usize = 4;

impl Recent {
    /// Takes a delay in; returns the shortest of the last ones.
    fn note(&mut self, delay: Duration) -> Duration {
        if let Some(slot) = self.delays.get_mut(self.next) {
            *slot = delay;
        }
        self.next = (self.next + 1) % RECENT;
        self.delays.iter().min().copied().unwrap_or(delay)
    }
}

struct Observer<S> {
    sources: Sources,
    probe: Probe,
    recent: Recent,
    sink: S,
    /// Which signals could not be read the last time.
    unreadable: Vec<SignalKind>,
    /// Dropped at the end.
    _ends: Sender<()>,
}

impl<S: FnMut(Signal)> Observer<S> {
    fn new(sources: Sources, sink: S, ends: Sender<()>) -> Self {
        let probe = Probe::new(sources.runtime.clone(), sources.clock);
        Self { sources, probe, recent: Recent::default(), sink, unreadable: Vec::new(), _ends: ends }
    }

    fn run(mut self, shared: &Shared) {
        let mut slow_in = 0;
        while let Some(overload) = shared.wait() {
            self.read_fast(overload);
            if slow_in == 0 {
                self.read_slow(overload);
                slow_in = SLOW_EVERY;
            }
            slow_in -= 1;
        }
    }

    fn read_fast(&mut self, overload: Overload) {
        if overload.scheduling_delay.is_some()
            && let Some(delay) = self.probe.read()
        {
            let delay = self.recent.note(delay);
            (self.sink)(Signal::SchedulingDelay(delay));
        }
        if overload.descriptors_percent.is_some() {
            let read = self.sources.machine.descriptors().map(|reading| Signal::Descriptors {
                free: reading.limit.saturating_sub(reading.open),
                limit: reading.limit,
            });
            self.tell(SignalKind::Descriptors, read);
        }
    }

    fn read_slow(&mut self, overload: Overload) {
        if overload.memory_percent.is_some() {
            let read = self.sources.machine.memory();
            let read =
                read.map(|reading| Signal::Memory { used: reading.used_bytes, limit: reading.limit_bytes });
            self.tell(SignalKind::Memory, read);
        }
        if overload.cpu_pressure_percent.is_some() {
            let read = self.sources.machine.cpu_pressure().map(Signal::CpuPressure);
            let read =
                read.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the kernel has no PSI"));
            self.tell(SignalKind::CpuPressure, read);
        }
        // Read in any case, so that the worst of long ago is not told when it is switched on.
        let latency = self.sources.storage.read();
        if overload.storage_latency.is_some()
            && let Some(latency) = latency
        {
            (self.sink)(Signal::StorageLatency(latency));
        }
    }

    /// Tells a reading on, or logs that there is none, once.
    fn tell(&mut self, kind: SignalKind, read: io::Result<Signal>) {
        let was_unreadable = self.unreadable.iter().position(|known| *known == kind);
        match (read, was_unreadable) {
            (Ok(signal), known) => {
                if let Some(place) = known {
                    self.unreadable.swap_remove(place);
                    info!("overload signal {} can be read again", kind.as_str());
                }
                (self.sink)(signal);
            }
            (Err(error), None) => {
                self.unreadable.push(kind);
                warn!("overload signal {} cannot be read and counts as calm: {error}", kind.as_str());
            }
            (Err(_), Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
