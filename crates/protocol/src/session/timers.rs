use core::time::Duration;

use tidegate_types::Moment;

/// What a session waits for, one deadline each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    /// From the greeting to the login.
    Login,
    /// Between two commands.
    Idle,
    /// For storage, a passive port or the gate to answer.
    Answer,
    /// For the data connection to open.
    DataOpen,
    /// For the next byte on the data connection.
    DataStall,
    /// For a transfer command to use the leased port.
    Lease,
}

/// Every deadline, in the order in which they fire when several are due.
const ALL: [Deadline; 6] = [
    Deadline::Login,
    Deadline::Idle,
    Deadline::Answer,
    Deadline::DataOpen,
    Deadline::DataStall,
    Deadline::Lease,
];

/// What is left of a deadline under pressure, at least.
const PRESSED_MIN: Duration = Duration::from_secs(1);

impl Deadline {
    /// Returns whether the client is what is waited for: pressure shortens that, and never the time storage has.
    const fn is_shortened(self) -> bool {
        matches!(self, Self::Login | Self::Idle | Self::DataOpen | Self::DataStall)
    }
}

/// A wait: since when, and how long it may take.
#[derive(Clone, Copy, Debug)]
struct Wait {
    from: Moment,
    length: Duration,
}

/// The armed deadlines of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timers {
    waits: [Option<Wait>; ALL.len()],
    /// How much of a wait for the client is left to it.
    percent: u32,
}

impl Default for Timers {
    fn default() -> Self {
        Self { waits: [None; ALL.len()], percent: 100 }
    }
}

impl Timers {
    /// Arms `deadline` for `length` after `from`, or less under pressure.
    pub(super) fn arm(&mut self, deadline: Deadline, from: Moment, length: Duration) {
        self.set(deadline, Some(Wait { from, length }));
    }

    pub(super) fn disarm(&mut self, deadline: Deadline) {
        self.set(deadline, None);
    }

    /// Leaves so many percent to every wait for the client, those that run included.
    pub(super) fn press(&mut self, percent: u32) {
        self.percent = percent.min(100);
    }

    /// Returns when a wait for `deadline` that began at `from` is over.
    pub(super) fn end_of(&self, deadline: Deadline, from: Moment, length: Duration) -> Moment {
        if self.percent == 100 || !deadline.is_shortened() {
            return from + length;
        }
        let pressed = length.saturating_mul(self.percent) / 100;
        from + pressed.max(PRESSED_MIN.min(length))
    }

    fn set(&mut self, deadline: Deadline, wait: Option<Wait>) {
        if let Some(slot) = self.waits.get_mut(deadline as usize) {
            *slot = wait;
        }
    }

    fn ends(&self) -> impl Iterator<Item = (Deadline, Moment)> {
        let armed = ALL.into_iter().zip(self.waits).filter_map(|(deadline, wait)| Some((deadline, wait?)));
        armed.map(|(deadline, wait)| (deadline, self.end_of(deadline, wait.from, wait.length)))
    }

    /// Returns the earliest armed moment.
    pub(super) fn next(&self) -> Option<Moment> {
        self.ends().map(|(_, at)| at).min()
    }

    /// Disarms and returns one deadline that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Deadline> {
        let (due, _) = self.ends().find(|(_, at)| *at <= now)?;
        self.disarm(due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn pressure_shortens_what_waits_for_the_client_and_nothing_else() {
        let mut timers = Timers::default();
        timers.arm(Deadline::Idle, at(1_000), Duration::from_mins(5));
        timers.arm(Deadline::Answer, at(1_000), Duration::from_secs(200));
        assert_eq!(timers.next(), Some(at(201_000)));
        timers.press(25);
        assert_eq!(timers.next(), Some(at(76_000)));
        timers.press(50);
        assert_eq!(timers.next(), Some(at(151_000)));
        timers.press(100);
        assert_eq!(timers.next(), Some(at(201_000)), "as if nothing had been");
    }

    #[test]
    fn a_second_is_left_at_least_or_what_is_configured() {
        let mut timers = Timers::default();
        timers.press(25);
        timers.arm(Deadline::Login, at(0), Duration::from_secs(2));
        assert_eq!(timers.next(), Some(at(1_000)));
        timers.arm(Deadline::Login, at(0), Duration::from_millis(500));
        assert_eq!(timers.next(), Some(at(500)));
        assert_eq!(timers.pop_due(at(499)), None);
        assert_eq!(timers.pop_due(at(500)), Some(Deadline::Login));
        assert_eq!(timers.pop_due(at(500)), None);
    }
}
