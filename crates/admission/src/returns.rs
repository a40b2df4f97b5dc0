use alloc::collections::VecDeque;
use core::time::Duration;

use tidegate_types::Moment;

use crate::keyed::Random;

/// The longest retry of a full house, in seconds.
pub const RETRY_SECS_MAX: u32 = 300;
/// Where the band begins when the estimate lies past [`RETRY_SECS_MAX`].
const OVERFLOW_SECS_MIN: u32 = 100;
/// The narrowest jitter.
const JITTER_SECS_MIN: f64 = 2.0;
/// The jitter as a part of the estimate.
const JITTER_PART: f64 = 1.0 / 8.0;
/// How many seconds are drawn; the least booked wins.
const DRAWS: usize = 8;

/// The whole seconds from now that a refused client may be told, both ends included; 1 to [`RETRY_SECS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Band {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

impl Band {
    /// Where nothing will become free.
    pub(crate) const CLOSED: Self = Self { first: OVERFLOW_SECS_MIN, last: RETRY_SECS_MAX };

    /// Returns the band for an estimate of `secs`: upward of it, or, past the ceiling, wide enough for all.
    pub(crate) fn of(secs: f64) -> Self {
        let first = whole_secs(secs).max(1);
        let last = whole_secs(secs + JITTER_SECS_MIN.max(secs * JITTER_PART)).max(first);
        if last <= RETRY_SECS_MAX {
            Self { first, last }
        } else {
            Self { first: first.min(OVERFLOW_SECS_MIN), last: RETRY_SECS_MAX }
        }
    }
}

/// Returns `secs` rounded up; `u32::MAX` for what is not a number or too large.
pub(crate) fn whole_secs(secs: f64) -> u32 {
    Duration::try_from_secs_f64(secs).map_or(u32::MAX, whole_secs_of)
}

/// Returns `duration` in seconds, rounded up.
pub(crate) fn whole_secs_of(duration: Duration) -> u32 {
    let partial = u64::from(duration.subsec_nanos() > 0);
    u32::try_from(duration.as_secs().saturating_add(partial)).unwrap_or(u32::MAX)
}

/// How many clients were told to return in each of the next [`RETRY_SECS_MAX`] seconds. At most
/// 2.4 KiB; none when nobody ever was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Returns {
    /// `booked[0]` stands for the second `next`.
    booked: VecDeque<u32>,
    next: u64,
    told: u32,
}

impl Returns {
    /// Returns how many were told a second after `now`.
    pub(crate) fn told(&self, now: Moment) -> u32 {
        let gone = usize::try_from((second_of(now) + 1).saturating_sub(self.next)).unwrap_or(usize::MAX);
        self.booked.iter().take(gone).fold(self.told, |told, count| told.saturating_sub(*count))
    }

    /// Forgets the seconds that have come.
    pub(crate) fn advance(&mut self, now: Moment) {
        let next = second_of(now) + 1;
        while self.next < next {
            match self.booked.pop_front() {
                Some(count) => {
                    self.told = self.told.saturating_sub(count);
                    self.next += 1;
                }
                None => self.next = next,
            }
        }
    }

    /// Books the least booked of a few seconds drawn from `band` and returns how many seconds from now it is. Call after
    /// [`Self::advance`].
    pub(crate) fn book(&mut self, band: Band, random: &mut Random) -> u32 {
        let mut best = (u32::MAX, band.last);
        for _ in 0..DRAWS {
            let secs = random.between(band.first, band.last);
            best = best.min((self.booked.get(offset_of(secs)).copied().unwrap_or(0), secs));
        }
        let (_, secs) = best;
        let offset = offset_of(secs);
        if self.booked.len() <= offset {
            self.booked.resize(offset + 1, 0);
        }
        if let Some(count) = self.booked.get_mut(offset)
            && self.told < u32::MAX
        {
            *count += 1;
            self.told += 1;
        }
        secs
    }

    #[cfg(test)]
    pub(crate) fn is_consistent(&self) -> bool {
        self.booked.len() <= RETRY_SECS_MAX as usize && self.told == self.booked.iter().sum::<u32>()
    }
}

/// Returns the place in `booked` of the second that comes `secs` from now.
fn offset_of(secs: u32) -> usize {
    usize::try_from(secs.saturating_sub(1)).unwrap_or(usize::MAX)
}

const fn second_of(now: Moment) -> u64 {
    now.since_start().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::Keyed;

    fn at(secs: u64) -> Moment {
        Moment::from_start(Duration::from_secs(secs))
    }

    #[test]
    fn bands() {
        for (secs, first, last) in [
            (0.0, 1, 2),
            (0.2, 1, 3),
            (1.0, 1, 3),
            (5.0, 5, 7),
            (5.1, 6, 8),
            (80.0, 80, 90),
            (266.0, 266, 300),
            (267.0, 100, 300),
            (99_999.0, 100, 300),
            (f64::INFINITY, 100, 300),
            (f64::NAN, 100, 300),
            (-1.0, 100, 300),
        ] {
            assert_eq!(Band::of(secs), Band { first, last }, "{secs}");
        }
    }

    #[test]
    fn rounds_up() {
        assert_eq!(whole_secs_of(Duration::ZERO), 0);
        assert_eq!(whole_secs_of(Duration::from_nanos(1)), 1);
        assert_eq!(whole_secs_of(Duration::from_secs(7)), 7);
        assert_eq!(whole_secs_of(Duration::MAX), u32::MAX);
    }

    #[test]
    fn the_told_are_forgotten_when_their_second_comes() {
        let mut returns = Returns::default();
        let mut random = Keyed::new(1).jitter();
        returns.advance(at(100));
        for secs in [1, 1, 3] {
            assert_eq!(returns.book(Band { first: secs, last: secs }, &mut random), secs);
        }
        for (now, told) in [(99, 3), (100, 3), (101, 1), (102, 1), (103, 0), (9_999, 0)] {
            assert_eq!(returns.told(at(now)), told, "{now}");
        }
        returns.advance(at(102));
        assert!(returns.is_consistent());
        assert_eq!((returns.told, returns.booked.len(), returns.next), (1, 1, 103));
        returns.advance(at(50));
        assert_eq!(returns.next, 103, "time that goes back changes nothing");
        returns.advance(at(500));
        assert_eq!((returns.told, returns.booked.len(), returns.next), (0, 0, 501));
    }

    #[test]
    fn prefers_seconds_with_fewer_returns() {
        let mut returns = Returns::default();
        let mut random = Keyed::new(3).jitter();
        returns.advance(at(0));
        for _ in 0..1_000 {
            returns.book(Band { first: 11, last: 20 }, &mut random);
        }
        assert!(returns.booked.iter().take(10).all(|count| *count == 0));
        let booked: alloc::vec::Vec<u32> = returns.booked.iter().skip(10).copied().collect();
        assert_eq!(booked.len(), 10);
        assert!(booked.iter().all(|count| (97..=103).contains(count)), "{booked:?}");
    }

    #[test]
    fn a_full_calendar_still_answers() {
        let mut returns = Returns { booked: VecDeque::from([u32::MAX]), next: 1, told: u32::MAX };
        let mut random = Keyed::new(3).jitter();
        assert_eq!(returns.book(Band { first: 1, last: 1 }, &mut random), 1);
        assert!(returns.booked[0] == u32::MAX && returns.told == u32::MAX);
    }
}
