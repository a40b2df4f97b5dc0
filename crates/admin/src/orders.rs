//! Carries out what is asked on the control socket.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tidegate_server::DrainError;
use tidegate_server::view::{Ban, DrainOrder, Subject};
use tidegate_types::AccountName;
use tidegate_types::AddressKey;

use crate::clock;
use crate::host::Host;
use crate::message::{
    BANS_PAGE_MAX, BanAnswer, BansAnswer, Failure, FailureKind, KickAnswer, LimitsAnswer, Request,
    ResumeAnswer, SESSIONS_PAGE_MAX, SessionsAnswer, UnbanAnswer,
};
use crate::running::Running;
use crate::{rows, status};

/// The longest ban an operator may order: ten years.
const BAN_SECS_MAX: u64 = 10 * 365 * 24 * 3_600;
/// The longest deadline of a drain: thirty days.
const DRAIN_SECS_MAX: u64 = 30 * 24 * 3_600;
/// How far ahead a drain may be planned: a year; more is a mistaken unit.
const PLAN_SECS_MAX: u64 = 366 * 24 * 3_600;
/// What names all anonymous sessions.
const ANONYMOUS: &str = "anonymous";

/// Carries out requests.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) running: Arc<dyn Running>,
    pub(crate) host: Arc<dyn Host>,
}

type Answer = Result<Value, Failure>;

impl Orders {
    /// Does what `request` says and returns its result.
    pub(crate) async fn carry_out(&self, request: &Request) -> Answer {
        match request {
            Request::Status {} => {
                told(status::status(&self.running.snapshot(), self.host.about(), clock::wall()))
            }
            Request::Sessions { after, count } => self.sessions(*after, *count),
            Request::Session { id } => self.session(*id),
            Request::Why { address, account, from } => self.why(*address, account.as_deref(), *from),
            Request::Limits {} => told(LimitsAnswer { limits: self.host.limits() }),
            Request::Bans { cursor, count } => self.bans(*cursor, *count),
            Request::Ban { address, seconds } => self.ban(*address, *seconds),
            Request::Unban { address } => self.unban(*address),
            Request::Kick { id, retry } => self.kick(*id, *retry),
            Request::Reload {} => self.reload().await,
            Request::Drain { deadline_seconds, message, at, delay_seconds, stay } => {
                let delay = delay(*at, *delay_seconds, clock::wall())?;
                self.drain(*deadline_seconds, message.clone(), delay, *stay)
            }
            Request::Resume {} => self.resume(),
        }
    }

    fn sessions(&self, after: u64, count: u32) -> Answer {
        let count = size(count.clamp(1, SESSIONS_PAGE_MAX));
        let sessions: Vec<_> = self.running.sessions(after, count).iter().map(rows::session).collect();
        let next = sessions.last().filter(|_| sessions.len() >= count).map(|last| last.id);
        told(SessionsAnswer { sessions, next })
    }

    fn session(&self, id: u64) -> Answer {
        self.running.session(id).map_or_else(|| Err(no_session(id)), |session| told(rows::session(&session)))
    }

    fn why(&self, address: Option<IpAddr>, account: Option<&str>, from: Option<IpAddr>) -> Answer {
        let subject = match (address, account, from) {
            (Some(address), None, None) => Subject::Address(address.to_canonical()),
            (None, Some(name), from) if !name.is_empty() => Subject::Account {
                account: (name != ANONYMOUS).then(|| AccountName(name.to_owned())),
                from: from.map(|from| from.to_canonical()),
            },
            _ => {
                return Err(bad_request(
                    "`why` takes either `address`, or `account` with or without `from`",
                    "ask about one address or one account at a time",
                ));
            }
        };
        let why = self.running.why(&subject);
        let snapshot = self.running.snapshot();
        let house = rows::HouseWords {
            drain_message: snapshot.drain.as_ref().and_then(|drain| drain.message.as_deref()),
            hold: snapshot.gate.limits.waiting_room.hold,
        };
        told(rows::why(&subject, &why, house))
    }

    fn bans(&self, cursor: u64, count: u32) -> Answer {
        let cursor = usize::try_from(cursor).unwrap_or(usize::MAX);
        let page = self.running.bans(cursor, size(count.clamp(1, BANS_PAGE_MAX)));
        told(BansAnswer { bans: page.bans.iter().map(rows::ban).collect(), next: page.next.map(number) })
    }

    fn ban(&self, address: IpAddr, seconds: u64) -> Answer {
        if !(1..=BAN_SECS_MAX).contains(&seconds) {
            return Err(bad_request(
                format!("`seconds` is 1 to {BAN_SECS_MAX}, not {seconds}"),
                "the network of an address that shall never come in belongs into limits.deny",
            ));
        }
        match self.running.ban(address, Duration::from_secs(seconds)) {
            Some(Ban { address, retry_after_secs, .. }) => {
                told(BanAnswer { address: address.to_string(), seconds: u64::from(retry_after_secs).max(1) })
            }
            None => Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "{} is never banned: it is in limits.trusted or limits.reserved",
                    address.to_canonical()
                ),
                "take it out of there first; `kick` ends single sessions",
            )),
        }
    }

    fn unban(&self, address: IpAddr) -> Answer {
        let ended = number(self.running.unban(address));
        told(UnbanAnswer { address: AddressKey::of(address).to_string(), ended })
    }

    fn kick(&self, id: u64, retry: u32) -> Answer {
        if retry == 0 {
            return Err(bad_request("`retry` is at least 1", "leave it out: 1 is meant then"));
        }
        if self.running.kick(id, retry) { told(KickAnswer { id, retry }) } else { Err(no_session(id)) }
    }

    async fn reload(&self) -> Answer {
        // Whoever asked may go away; what was begun is finished.
        let host = Arc::clone(&self.host);
        let reloaded = tokio::spawn(async move { host.reload().await }).await;
        match reloaded {
            Ok(Ok(report)) => told(report),
            Ok(Err(error)) => Err(Failure::new(
                FailureKind::Failed,
                error.message,
                "nothing was changed; `tidegate check-config FILE` says the same about a file",
            )),
            Err(_) => Err(Failure::new(
                FailureKind::Failed,
                "the reload ended before it was done",
                "the log tells more; `limits` tells what is in force",
            )),
        }
    }

    fn drain(&self, deadline: Option<u64>, message: Option<String>, delay: Duration, stay: bool) -> Answer {
        let deadline = deadline.map_or_else(|| self.host.drain_deadline(), Duration::from_secs);
        if deadline > Duration::from_secs(DRAIN_SECS_MAX) {
            return Err(bad_request(
                format!("`deadline_seconds` is at most {DRAIN_SECS_MAX}"),
                "a drain that is planned for later has `at`",
            ));
        }
        let order = DrainOrder { deadline, message, delay, stay };
        match self.running.drain_with(&order) {
            Ok(view) => told(rows::drain(&view)),
            Err(error @ DrainError::Message(_)) => Err(bad_request(
                format!("{error}"),
                "clients read it in one line: printable ASCII, without `Too many connections`",
            )),
            Err(error @ DrainError::Ending) => {
                Err(Failure::new(FailureKind::Refused, error.to_string(), "start it again when it has ended"))
            }
        }
    }

    fn resume(&self) -> Answer {
        if self.running.resume() {
            told(ResumeAnswer { ready: self.running.is_ready() })
        } else {
            Err(Failure::new(
                FailureKind::NotFound,
                "no drain is planned or under way that could be ended",
                "`status` tells; a server that was told to end by a signal does end",
            ))
        }
    }
}

fn told(result: impl Serialize) -> Answer {
    serde_json::to_value(result).map_err(|error| {
        Failure::new(
            FailureKind::Failed,
            format!("cannot write the answer: {error}"),
            "this is a defect of tidegate",
        )
    })
}

fn bad_request(message: impl Into<String>, hint: &str) -> Failure {
    Failure::new(FailureKind::BadRequest, message, hint)
}

fn no_session(id: u64) -> Failure {
    Failure::new(FailureKind::NotFound, format!("there is no session {id}"), "`sessions` lists those inside")
}

/// Returns the time until a drain begins, which is told as a time of day, as a delay, or not at all; `now` is since 1970.
fn delay(at: Option<u64>, delay_seconds: Option<u64>, now: Duration) -> Result<Duration, Failure> {
    match (at, delay_seconds) {
        (None, None) => Ok(Duration::ZERO),
        (Some(at), None) => delay_until(at, now),
        (None, Some(secs @ ..=PLAN_SECS_MAX)) => Ok(Duration::from_secs(secs)),
        (None, Some(_)) => Err(bad_request(
            format!("`delay_seconds` is at most {PLAN_SECS_MAX}"),
            "leave it out to begin now",
        )),
        (Some(_), Some(_)) => {
            Err(bad_request("`at` and `delay_seconds` both tell when it begins", "give one of the two"))
        }
    }
}

/// Returns the time from `now` until `at`, both since 1970.
fn delay_until(at: u64, now: Duration) -> Result<Duration, Failure> {
    let hint = "`at` is in seconds since 1970 (UTC); leave it out to begin now";
    match Duration::from_secs(at).checked_sub(now) {
        None => Err(bad_request("`at` has passed already", hint)),
        Some(delay) if delay > Duration::from_secs(PLAN_SECS_MAX) => {
            Err(bad_request("`at` is more than a year ahead", hint))
        }
        Some(delay) => Ok(delay),
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
