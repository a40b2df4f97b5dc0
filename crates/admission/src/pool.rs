use tidegate_types::Moment;

use crate::keyed::Random;
use crate::returns::{Band, RETRY_SECS_MAX, Returns, whole_secs};

/// How long departures are remembered, in seconds.
const MEMORY_SECS: f64 = 600.0;
/// The interval between departures that is assumed before any was seen, in seconds.
const INTERVAL_SECS_ASSUMED: f64 = 5.0;

/// Permits that share one limit: how many are held, how fast they come back, who was told to return.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    in_use: u32,
    flow: Flow,
    returns: Returns,
}

impl Pool {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            in_use: 0,
            flow: Flow { departures: 0.0, held_secs: 0.0, measured: now },
            returns: Returns::default(),
        }
    }

    pub(crate) const fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Counts one more permit.
    pub(crate) fn enter(&mut self, now: Moment) {
        self.flow.advance(self.in_use, now);
        self.in_use = self.in_use.saturating_add(1);
    }

    /// Counts one permit less, as a departure.
    pub(crate) fn leave(&mut self, now: Moment) {
        debug_assert!(self.in_use > 0, "more permits came back than were given");
        self.flow.advance(self.in_use, now);
        self.flow.departures += 1.0;
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// Returns in how many seconds a place is expected for one who comes now; without jitter, and without effect.
    pub(crate) fn expect(&self, limit: u32, now: Moment) -> u32 {
        let mut flow = self.flow;
        flow.advance(self.in_use, now);
        self.band(flow, self.returns.told(now), limit).first
    }

    /// Returns in how many seconds one more refused client is to come back, and remembers that it was told.
    pub(crate) fn tell(&mut self, limit: u32, now: Moment, random: &mut Random) -> u32 {
        self.flow.advance(self.in_use, now);
        self.returns.advance(now);
        let band = self.band(self.flow, self.returns.told(now), limit);
        self.returns.book(band, random)
    }

    /// As [`Self::tell`] where the wait is known: `secs`, with upward jitter, and with as much more as those who were told
    /// already will take one after the other.
    pub(crate) fn tell_after(&mut self, secs: u32, now: Moment, random: &mut Random) -> u32 {
        self.flow.advance(self.in_use, now);
        self.returns.advance(now);
        let first = secs.clamp(1, RETRY_SECS_MAX);
        let others = whole_secs(f64::from(self.returns.told(now)) * self.flow.interval_secs(self.in_use));
        let last = first.saturating_add((first / 8).max(2).max(others)).min(RETRY_SECS_MAX);
        self.returns.book(Band { first, last }, random)
    }

    fn band(&self, flow: Flow, told: u32, limit: u32) -> Band {
        if limit == 0 {
            return Band::CLOSED;
        }
        let ahead = f64::from(told) + f64::from(self.in_use.saturating_sub(limit));
        Band::of((ahead + 1.0) * flow.interval_secs(self.in_use))
    }

    #[cfg(test)]
    pub(crate) fn is_consistent(&self) -> bool {
        self.returns.is_consistent()
    }
}

/// How fast permits come back: departures, and the time permits were held, both fading.
#[derive(Clone, Copy, Debug)]
struct Flow {
    departures: f64,
    held_secs: f64,
    measured: Moment,
}

impl Flow {
    /// Measures up to `now`, `in_use` permits being held since the last time.
    fn advance(&mut self, in_use: u32, now: Moment) {
        let elapsed_secs = now.since(self.measured).as_secs_f64();
        // Compounds to e^(-elapsed / memory) in small steps, and `n` permits held for ever settle at exactly n × memory.
        let kept = MEMORY_SECS / (MEMORY_SECS + elapsed_secs);
        self.departures *= kept;
        self.held_secs = (self.held_secs + f64::from(in_use) * elapsed_secs) * kept;
        self.measured = self.measured.max(now);
    }

    /// Returns the expected time until the next of `in_use` permits comes back.
    fn interval_secs(&self, in_use: u32) -> f64 {
        let waited_secs = self.held_secs / f64::from(in_use.max(1));
        (waited_secs + INTERVAL_SECS_ASSUMED) / (self.departures + 1.0)
    }
}

#[cfg(test)]
mod tests;
