use core::time::Duration;

use tidegate_types::{Moment, SignalKind};

use crate::keyed::Random;
use crate::returns::{Band, RETRY_SECS_MAX, Returns, whole_secs_of};

/// A level is left below this part of the load it is entered at, in percent.
const REOPEN_PERCENT: u32 = 90;
/// How long a level is kept at least.
const DWELL: Duration = Duration::from_secs(5);
/// After this time without a reading a signal says nothing: storage is not measured while nobody may use it.
const STALE: Duration = Duration::from_secs(15);
/// The first retry while the house is closed, in seconds.
const RETRY_SECS_FIRST: u32 = 5;
/// Where the growth of the retry ends, in seconds.
const RETRY_SECS_GROWN: u32 = 120;
/// How many clients may be told one second of the band, on average.
const TOLD_PER_SECOND: u32 = 20;

/// When a signal closes the house; `None`: never. Levels below begin at 80 % (busy) and 90 % (strained) of these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overload {
    /// Memory in use, in percent of what there is.
    pub memory_percent: Option<u32>,
    /// Descriptors in use, in percent of the limit.
    pub descriptors_percent: Option<u32>,
    /// How late the runtime is.
    pub scheduling_delay: Option<Duration>,
    /// PSI of the CPU, in percent.
    pub cpu_pressure_percent: Option<u32>,
    /// How slow storage is.
    pub storage_latency: Option<Duration>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            memory_percent: Some(80),
            descriptors_percent: Some(90),
            scheduling_delay: Some(Duration::from_millis(100)),
            cpu_pressure_percent: None,
            storage_latency: Some(Duration::from_secs(5)),
        }
    }
}

/// One reading of the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signal {
    /// Descriptors.
    Descriptors {
        /// How many may still be opened.
        free: u64,
        /// How many may be open.
        limit: u64,
    },
    /// Memory.
    Memory {
        /// Bytes in use.
        used: u64,
        /// Bytes there are.
        limit: u64,
    },
    /// The part of time in which some task waited for a CPU, in percent (PSI `some avg10`).
    CpuPressure(f64),
    /// How late the runtime ran what was due.
    SchedulingDelay(Duration),
    /// How long storage took to answer.
    StorageLatency(Duration),
}

impl Signal {
    /// Returns which signal was read.
    pub const fn kind(self) -> SignalKind {
        match self {
            Self::Descriptors { .. } => SignalKind::Descriptors,
            Self::Memory { .. } => SignalKind::Memory,
            Self::CpuPressure(_) => SignalKind::CpuPressure,
            Self::SchedulingDelay(_) => SignalKind::SchedulingDelay,
            Self::StorageLatency(_) => SignalKind::StorageLatency,
        }
    }

    /// Returns the load in thousandths of what closes the house; `None` when this signal is switched off.
    fn load_permille(self, overload: Overload) -> Option<u32> {
        let (part, whole) = match self {
            Self::Descriptors { free, limit } => {
                let percent = u128::from(overload.descriptors_percent?);
                (u128::from(limit.saturating_sub(free)) * 100, u128::from(limit) * percent)
            }
            Self::Memory { used, limit } => {
                (u128::from(used) * 100, u128::from(limit) * u128::from(overload.memory_percent?))
            }
            Self::CpuPressure(percent) => {
                let waited = Duration::try_from_secs_f64(percent).unwrap_or_default();
                (waited.as_nanos(), u128::from(overload.cpu_pressure_percent?) * 1_000_000_000)
            }
            Self::SchedulingDelay(delay) => (delay.as_nanos(), overload.scheduling_delay?.as_nanos()),
            Self::StorageLatency(latency) => (latency.as_nanos(), overload.storage_latency?.as_nanos()),
        };
        let permille = part.saturating_mul(1_000).checked_div(whole).unwrap_or(u128::MAX);
        Some(u32::try_from(permille).unwrap_or(u32::MAX))
    }

    /// Returns whether one reading says little: such a signal rises one level a reading, so it tightens before it refuses.
    const fn is_jumpy(self) -> bool {
        matches!(self, Self::CpuPressure(_) | Self::SchedulingDelay(_) | Self::StorageLatency(_))
    }
}

/// How much a machine has to bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing to do.
    #[default]
    Calm,
    /// Timeouts are halved.
    Busy,
    /// Timeouts are quartered.
    Strained,
    /// Newcomers are refused.
    Full,
}

impl Level {
    const RISING: [Self; 3] = [Self::Busy, Self::Strained, Self::Full];

    /// Returns the word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Busy => "busy",
            Self::Strained => "strained",
            Self::Full => "full",
        }
    }

    /// Returns by what the timeouts of sessions are multiplied.
    pub const fn timeout_factor(self) -> f64 {
        match self {
            Self::Calm => 1.0,
            Self::Busy => 0.5,
            Self::Strained | Self::Full => 0.25,
        }
    }

    /// Returns the load at which it is entered, in thousandths of what closes the house.
    const fn entered_at(self) -> u32 {
        match self {
            Self::Calm => 0,
            Self::Busy => 800,
            Self::Strained => 900,
            Self::Full => 1_000,
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Calm => Self::Busy,
            Self::Busy => Self::Strained,
            Self::Strained | Self::Full => Self::Full,
        }
    }

    /// Returns the highest level that `load` reaches, each bound taken at `percent`.
    fn at(load_permille: u32, percent: u32) -> Self {
        let reached = |level: &&Self| load_permille >= level.entered_at() * percent / 100;
        Self::RISING.iter().rev().find(reached).copied().unwrap_or(Self::Calm)
    }
}

/// What one signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Which.
    pub kind: SignalKind,
    /// Its level.
    pub level: Level,
    /// The last reading, in thousandths of what closes the house.
    pub load_permille: u32,
}

#[derive(Clone, Copy, Debug)]
struct State {
    kind: SignalKind,
    level: Level,
    load_permille: u32,
    entered: Moment,
    read: Moment,
}

impl State {
    /// Returns the level at `now`: calm when nothing was read for long.
    fn level(&self, now: Moment) -> Level {
        if self.is_stale(now) { Level::Calm } else { self.level }
    }

    fn is_stale(&self, now: Moment) -> bool {
        self.level == Level::Calm || now.since(self.read) >= STALE
    }
}

/// The levels of all signals; the worst is the house's.
#[derive(Clone, Debug)]
pub(crate) struct Pressure {
    states: [State; SignalKind::ALL.len()],
    returns: Returns,
}

impl Pressure {
    pub(crate) fn new() -> Self {
        let calm = |kind| State {
            kind,
            level: Level::Calm,
            load_permille: 0,
            entered: Moment::ZERO,
            read: Moment::ZERO,
        };
        Self { states: SignalKind::ALL.map(calm), returns: Returns::default() }
    }

    pub(crate) fn observe(&mut self, signal: Signal, overload: Overload, now: Moment) {
        let Some(state) = self.states.iter_mut().find(|state| state.kind == signal.kind()) else { return };
        if state.is_stale(now) {
            state.level = Level::Calm;
        }
        state.read = now;
        let Some(load) = signal.load_permille(overload) else {
            (state.level, state.load_permille) = (Level::Calm, 0);
            return;
        };
        state.load_permille = load;
        let reached = Level::at(load, 100);
        let level = if reached > state.level {
            if signal.is_jumpy() { state.level.next() } else { reached }
        } else if now.since(state.entered) >= DWELL {
            Level::at(load, REOPEN_PERCENT).min(state.level)
        } else {
            state.level
        };
        if level != state.level {
            (state.level, state.entered) = (level, now);
        }
    }

    /// Forgets the readings of signals that are switched off.
    pub(crate) fn relimit(&mut self, overload: Overload) {
        for state in &mut self.states {
            let off = match state.kind {
                SignalKind::Descriptors => overload.descriptors_percent.is_none(),
                SignalKind::Memory => overload.memory_percent.is_none(),
                SignalKind::CpuPressure => overload.cpu_pressure_percent.is_none(),
                SignalKind::SchedulingDelay => overload.scheduling_delay.is_none(),
                SignalKind::StorageLatency => overload.storage_latency.is_none(),
            };
            if off {
                (state.level, state.load_permille) = (Level::Calm, 0);
            }
        }
    }

    /// Returns the worst level, and whose it is unless all is calm.
    pub(crate) fn worst(&self, now: Moment) -> (Level, Option<SignalKind>) {
        let worst = self.states.iter().max_by_key(|state| (state.level(now), state.load_permille));
        match worst.map(|state| (state.level(now), state.kind)) {
            None | Some((Level::Calm, _)) => (Level::Calm, None),
            Some((level, kind)) => (level, Some(kind)),
        }
    }

    pub(crate) fn gauges(&self, now: Moment) -> [Gauge; SignalKind::ALL.len()] {
        self.states.map(|state| Gauge {
            kind: state.kind,
            level: state.level(now),
            load_permille: state.load_permille,
        })
    }

    /// Returns the seconds a newcomer is told: they grow with the time the house has been closed.
    pub(crate) fn expect(&self, now: Moment) -> u32 {
        let closed = self.states.iter().filter(|state| state.level(now) == Level::Full);
        let closed_for = closed.map(|state| now.since(state.entered)).max().unwrap_or_default();
        whole_secs_of(closed_for).saturating_add(RETRY_SECS_FIRST).min(RETRY_SECS_GROWN)
    }

    /// As [`Self::expect`], with upward jitter, remembering who was told.
    pub(crate) fn tell(&mut self, now: Moment, random: &mut Random) -> u32 {
        self.returns.advance(now);
        let first = self.expect(now);
        let spread = (first / 2).max(2).saturating_add(self.returns.told(now) / TOLD_PER_SECOND);
        let last = first.saturating_add(spread).min(RETRY_SECS_MAX);
        self.returns.book(Band { first, last }, random)
    }

    /// Returns when a signal that is not read any more stops to count.
    pub(crate) fn next_deadline(&self, now: Moment) -> Option<Moment> {
        self.states.iter().filter(|state| !state.is_stale(now)).map(|state| state.read + STALE).min()
    }
}

#[cfg(test)]
mod tests;
