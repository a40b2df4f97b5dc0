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

/// The armed deadlines of one session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers([Option<Moment>; ALL.len()]);

impl Timers {
    pub(super) fn arm(&mut self, deadline: Deadline, at: Moment) {
        self.set(deadline, Some(at));
    }

    pub(super) fn disarm(&mut self, deadline: Deadline) {
        self.set(deadline, None);
    }

    fn set(&mut self, deadline: Deadline, at: Option<Moment>) {
        if let Some(slot) = self.0.get_mut(deadline as usize) {
            *slot = at;
        }
    }

    /// Returns the earliest armed moment.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.iter().flatten().min().copied()
    }

    /// Disarms and returns one deadline that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Deadline> {
        let due = ALL
            .into_iter()
            .zip(&self.0)
            .find(|(_, at)| at.is_some_and(|at| at <= now))
            .map(|(due, _)| due)?;
        self.disarm(due);
        Some(due)
    }
}
