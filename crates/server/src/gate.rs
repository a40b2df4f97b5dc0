//! The gate: one engine behind one mutex, and permits that release themselves.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_admission::{AccountKey, Decision, Engine, Limits, PermitId, Question, Snapshot};
use tidegate_types::{AccountName, Cause, Moment, Refusal};

use crate::clock::Clock;

/// Asks the engine, one question at a time; every call is short and never waits for anything but the mutex.
#[derive(Debug)]
pub(crate) struct Gate {
    engine: Mutex<Engine>,
    clock: Clock,
}

impl Gate {
    pub(crate) fn new(limits: Limits, clock: Clock) -> Arc<Self> {
        // The standard library's hasher keys are the process's random numbers.
        let seed = std::hash::RandomState::new().build_hasher().finish();
        Arc::new(Self { engine: Mutex::new(Engine::new(limits, seed)), clock })
    }

    /// Asks for a control connection from `address` to `listener`.
    pub(crate) fn ask_connection(
        self: &Arc<Self>,
        address: IpAddr,
        listener: u16,
    ) -> Result<PermitGuard, Refusal> {
        self.ask(&Question::connection(address, listener))
    }

    /// Asks for one more session of `account` (`None`: anonymous), which may have `limit`, from `address`.
    pub(crate) fn ask_login(
        self: &Arc<Self>,
        account: Option<AccountName>,
        limit: Option<u32>,
        address: IpAddr,
    ) -> Result<PermitGuard, Refusal> {
        let key = account.map_or(AccountKey::Anonymous, AccountKey::Named);
        self.ask(&Question::login(key, limit, address))
    }

    fn ask(self: &Arc<Self>, question: &Question) -> Result<PermitGuard, Refusal> {
        let now = self.clock.now();
        match self.engine().ask(question, now) {
            Decision::Admit(permit) => Ok(PermitGuard { gate: Arc::clone(self), permit }),
            Decision::Refuse(refusal) => Err(refusal),
            // MIGRATION: waiting room, reclaim, deny lists and silent bans are off in every configuration so far.
            Decision::Wait(ticket, _) => {
                self.engine().cancel(ticket, now);
                Err(Refusal::uncounted(Cause::ServerFull, 1))
            }
            Decision::Reclaim(_) | Decision::Deny | Decision::Drop(_) => {
                Err(Refusal::uncounted(Cause::Denied, 1))
            }
        }
    }

    /// Returns what to say to somebody who came when no descriptor was left.
    pub(crate) fn exhausted(&self) -> Refusal {
        let now = self.clock.now();
        self.engine().exhausted(now)
    }

    /// Refuses everybody from now on; `until` is the announced end.
    pub(crate) fn drain(&self, until: Moment) {
        let now = self.clock.now();
        self.engine().drain(until, None, now);
    }

    /// Copies the state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        self.engine().snapshot(now)
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        // A panic in the engine would be a mistake there; refusing everybody from then on would be a worse one here.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place inside; given back when this drops.
#[derive(Debug)]
pub(crate) struct PermitGuard {
    gate: Arc<Gate>,
    permit: PermitId,
}

impl Drop for PermitGuard {
    fn drop(&mut self) {
        let now = self.gate.clock.now();
        self.gate.engine().release(self.permit, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_frees_its_place_on_drop() {
        let gate = Gate::new(Limits::new(1), Clock::start());
        let address = "192.0.2.1".parse().unwrap();
        let permit = gate.ask_connection(address, 0).unwrap();
        assert_eq!(gate.ask_connection(address, 0).unwrap_err().cause, Cause::ServerFull);
        drop(permit);
        let again = gate.ask_connection(address, 0).unwrap();
        assert_eq!(gate.snapshot().connections, 1);
        drop(again);
        assert_eq!(gate.snapshot().connections, 0);
    }

    #[test]
    fn a_panic_inside_gives_the_place_back() {
        let gate = Gate::new(Limits::new(1), Clock::start());
        let permit = gate.ask_login(None, Some(1), IpAddr::from([192, 0, 2, 1])).unwrap();
        let inside = std::thread::spawn(move || {
            let _permit = permit;
            panic!("a session that panics");
        });
        assert!(inside.join().is_err());
        assert_eq!(gate.snapshot().logins, 0);
        assert!(gate.ask_login(None, Some(1), IpAddr::from([192, 0, 2, 1])).is_ok());
    }
}
