//! Turns what the server shows into what is said on the control socket.

use std::time::Duration;

use tidegate_server::view::{
    BanRecord, Check, Doing, DrainView, Explanation, Outcome, Reason, SessionView, Subject, Why, denied_line,
    refusal_line_with, reply_line,
};
use tidegate_types::Cause;

use crate::message::{BanRow, CheckRow, DrainStatus, SessionRow, TransferRow, WhyAnswer, WhyReport};

/// How many bans `why` names: one name may be banned from very many addresses, and an answer is bounded.
const WHY_BANS_MAX: usize = 100;

pub(crate) fn session(view: &SessionView) -> SessionRow {
    let transfer = match &view.doing {
        Doing::Moving(moving) => Some(TransferRow {
            direction: moving.verb.as_str().to_owned(),
            path: moving.path.clone(),
            bytes: moving.bytes,
            age_seconds: moving.age.as_secs_f64(),
            bytes_per_second: moving.rate,
        }),
        Doing::LoggingIn | Doing::Idle | Doing::Working(_) | Doing::Leaving => None,
    };
    SessionRow {
        id: view.id,
        peer: view.peer.to_string(),
        listener: u64::try_from(view.listener).unwrap_or(u64::MAX),
        listening_on: view.listening_on.to_string(),
        account: view.account.clone(),
        age_seconds: view.age.as_secs_f64(),
        idle_seconds: view.idle.as_secs_f64(),
        doing: view.doing.as_str().to_owned(),
        transfer,
        bytes_sent: view.bytes_sent,
        bytes_received: view.bytes_received,
    }
}

pub(crate) fn ban(record: &BanRecord) -> BanRow {
    BanRow {
        address: record.address.to_string(),
        name: record.name.clone(),
        reason: record.reason.as_str().to_owned(),
        remaining_seconds: record.remaining.as_secs_f64(),
        length_seconds: record.length.as_secs_f64(),
        level: record.level,
    }
}

pub(crate) fn drain(view: &DrainView) -> DrainStatus {
    DrainStatus {
        begun: view.begins_in.is_zero(),
        begins_in_seconds: to_the_millisecond(view.begins_in),
        ends_in_seconds: to_the_millisecond(view.ends_in),
        open_seconds: to_the_millisecond(view.open_for),
        message: view.message.clone(),
        sessions: view.sessions,
        transfers: view.transfers,
        bytes: view.bytes,
    }
}

/// Returns seconds without the microseconds that asking took: a drain in an hour begins in 3600, not in 3599.999987.
fn to_the_millisecond(span: Duration) -> f64 {
    (span.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// What the answers of `why` have from the house as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HouseWords<'a> {
    /// What the operator of a drain wants to be told.
    pub(crate) drain_message: Option<&'a str>,
    /// How long the waiting room holds a greeting.
    pub(crate) hold: Duration,
}

/// Returns the report about `subject`.
pub(crate) fn why(subject: &Subject, why: &Why, house: HouseWords<'_>) -> WhyReport {
    let (address, account, from) = match subject {
        Subject::Address(address) => (Some(address.to_string()), None, None),
        Subject::Account { account, from } => {
            let name = account.as_ref().map_or_else(|| "anonymous".to_owned(), ToString::to_string);
            (None, Some(name), from.map(|from| from.to_string()))
        }
    };
    let answers = why.answers.iter().map(|(listener, explanation)| {
        let answer = answer(listener.map(|address| address.to_string()), explanation, house);
        if why.account_exists == Some(false) { without_account(answer) } else { answer }
    });
    WhyReport {
        address,
        account,
        from,
        account_exists: why.account_exists,
        answers: answers.collect(),
        holders: why.holders.iter().map(session).collect(),
        held: u64::try_from(why.held).unwrap_or(u64::MAX),
        bans: why.bans.iter().take(WHY_BANS_MAX).map(ban).collect(),
    }
}

/// Returns the answer for a name that nobody has: what refuses before the password is looked at refuses it too, else every
/// password is wrong.
fn without_account(answer: WhyAnswer) -> WhyAnswer {
    if answer.outcome != outcome(Outcome::Admit) {
        return answer;
    }
    let mut out = Vec::new();
    reply_line(&mut out, Reason::LoginDenied);
    WhyAnswer { outcome: "no-account".to_owned(), line: Some(text_of(&out)), ..answer }
}

fn answer(listener: Option<String>, explanation: &Explanation, house: HouseWords<'_>) -> WhyAnswer {
    let decisive = explanation.checks.iter().find(|check| check.refuses);
    WhyAnswer {
        listener,
        outcome: outcome(explanation.outcome).to_owned(),
        rule: decisive.map(|check| check.rule.as_str().to_owned()),
        cause: explanation.cause.map(|cause| cause.as_str().to_owned()),
        signal: decisive.and_then(|check| check.signal).map(|signal| signal.as_str().to_owned()),
        retry_seconds: explanation.refusal.map(|refusal| refusal.retry_after_secs),
        hold_seconds: (explanation.outcome == Outcome::Wait).then_some(house.hold.as_secs_f64()),
        line: line(explanation, house.drain_message),
        checks: explanation.checks.iter().map(check).collect(),
    }
}

/// Returns what the client would read, by the code that says it; without the jitter of the retry.
fn line(explanation: &Explanation, message: Option<&str>) -> Option<String> {
    let mut out = Vec::new();
    match (explanation.outcome, &explanation.refusal) {
        (Outcome::Deny, _) => denied_line(&mut out),
        (Outcome::Refuse | Outcome::Wait, Some(refusal)) => {
            let message = message.filter(|_| refusal.cause == Cause::Draining);
            refusal_line_with(refusal, message, &mut out);
        }
        (Outcome::Admit | Outcome::Wait | Outcome::Reclaim(_) | Outcome::Refuse | Outcome::Drop, _) => {
            return None;
        }
    }
    Some(text_of(&out))
}

fn text_of(wire: &[u8]) -> String {
    String::from_utf8_lossy(wire).trim_end().to_owned()
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Admit => "admit",
        Outcome::Wait => "wait",
        Outcome::Reclaim(_) => "reclaim",
        Outcome::Refuse => "refuse",
        Outcome::Deny => "deny",
        Outcome::Drop => "drop",
    }
}

fn check(check: &Check) -> CheckRow {
    CheckRow {
        rule: check.rule.as_str().to_owned(),
        cause: check.cause.as_str().to_owned(),
        signal: check.signal.map(|signal| signal.as_str().to_owned()),
        in_use: check.in_use,
        limit: check.limit,
        refuses: check.refuses,
        frees_after_seconds: check.frees_after_secs,
    }
}
