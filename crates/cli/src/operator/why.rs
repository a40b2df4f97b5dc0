//! `tidegate why ADDRESS|ACCOUNT`.

use std::fmt::Write;
use std::net::IpAddr;

use tidegate_admin::message::{
    CheckRow, FailureKind, LimitsAnswer, Request, SessionRow, WhyAnswer, WhyReport,
};
use tidegate_admin::{Client, ClientError, LimitRow};

use super::table::{Column, Table, WIDTH_MAX, wrapped};
use super::units::{counted, number, span};
use super::{Done, Out, Trouble, bold, connect, say_json, session_rows, understood};
use crate::Exit;
use crate::args::WhyArgs;
use crate::escape::for_people;

/// The outcome of a login with a name that nobody has.
const NO_ACCOUNT: &str = "no-account";

/// Tells what would happen to somebody now.
pub(super) fn run(args: &WhyArgs, out: &mut dyn Out) -> Done {
    let address: Option<IpAddr> = args.subject.parse().ok();
    if address.is_some() && args.from.is_some() {
        return Err(Trouble::new(
            Exit::Usage,
            "--from goes with an account, and an address was asked about",
            "tidegate why ADDRESS, or tidegate why ACCOUNT --from ADDRESS",
        ));
    }
    let account = address.is_none().then(|| args.subject.clone());
    let mut client = connect(&args.server)?;
    let value: serde_json::Value = client.call(&Request::Why { address, account, from: args.from })?;
    let report: WhyReport = understood(&value)?;
    if args.server.json {
        say_json(&value, out);
    } else {
        let background = Background::fetch(&mut client)?;
        out.say(&text(&report, &background, out.colour()));
    }
    match (report.account_exists, &report.account) {
        (Some(false), Some(name)) if !args.server.json => Err(nobody(name)),
        (Some(false), _) => Err(Trouble::Told),
        _ => Ok(()),
    }
}

fn nobody(name: &str) -> Trouble {
    if name == "anonymous" {
        return Trouble::new(Exit::Failed, "anonymous logins are off", "anonymous.enabled turns them on");
    }
    Trouble::new(
        Exit::Failed,
        format!("there is no account {}", for_people(name)),
        "tidegate limits shows the accounts",
    )
}

/// What helps to explain: where limits stand.
#[derive(Clone, Debug, Default)]
struct Background {
    limits: Vec<LimitRow>,
}

impl Background {
    fn fetch(client: &mut Client) -> Result<Self, Trouble> {
        // Who asks why may know why without knowing which line says so.
        let limits = match client.call::<LimitsAnswer>(&Request::Limits {}) {
            Ok(answer) => answer.limits,
            Err(ClientError::Refused(failure)) if failure.kind != FailureKind::BadRequest => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { limits })
    }

    /// Returns where the limit of a rule stands, when it is sure: one row of that key has that value.
    fn origin(&self, report: &WhyReport, answer: &WhyAnswer, check: &CheckRow) -> Option<&LimitRow> {
        let keys = match (check.rule.as_str(), &report.account) {
            ("account.max_connections", Some(name)) if name == "anonymous" => {
                vec!["anonymous.max_connections".to_owned()]
            }
            ("account.max_connections", Some(name)) => vec![format!("account[{name}].max_connections")],
            ("limits.allow/deny", _) => vec!["limits.deny".to_owned(), "limits.allow".to_owned()],
            (rule, _) => match rule.strip_prefix("listener.") {
                Some(key) => {
                    let index = report.answers.iter().position(|other| other.listener == answer.listener)?;
                    vec![format!("listener[{}].{key}", index + 1)]
                }
                None => vec![rule.to_owned()],
            },
        };
        let row = keys.iter().find_map(|key| self.limits.iter().find(|row| row.key == *key))?;
        // An override for some network has the same rule and another value.
        let is_the_one =
            check.limit.is_none_or(|limit| row.value.replace(['_', ','], "") == limit.to_string());
        is_the_one.then_some(row)
    }
}

fn text(report: &WhyReport, background: &Background, colour: bool) -> String {
    let mut text = String::new();
    let groups = alike(&report.answers);
    for group in &groups {
        let Some(answer) = group.first() else { continue };
        let listeners: Vec<&str> = group.iter().filter_map(|answer| answer.listener.as_deref()).collect();
        let at = if groups.len() > 1 { format!(" at {}", listeners.join(" and ")) } else { String::new() };
        let headline = format!("{} {}{at}.", subject(report), verdict(answer));
        text.push_str(&bold(&wrapped(&for_people(&headline), WIDTH_MAX, 2), colour));
        text.push('\n');
        for reason in reasons(report, answer, background) {
            let shown = match reason {
                // Programs read the end of it, and people look for it in their client's output: it stays one line.
                Reason::Line(line) => for_people(&line),
                Reason::Words(words) => wrapped(&for_people(&words), WIDTH_MAX - 2, 4),
            };
            // Writing into a String does not fail.
            let _ = writeln!(text, "  {shown}");
        }
    }
    text.push_str(&holders(&report.holders, report.held, colour));
    text.push_str(&bans(report));
    for group in &groups {
        // Of a name that nobody has, no rule decides anything.
        let Some(answer) = group.first().filter(|answer| answer.outcome != NO_ACCOUNT) else { continue };
        let listeners: Vec<&str> = group.iter().filter_map(|answer| answer.listener.as_deref()).collect();
        let at = if groups.len() > 1 { format!(" at {}", listeners.join(" and ")) } else { String::new() };
        let _ = writeln!(text, "\n{}", bold(&format!("Rules, in the order they are tried{at}:"), colour));
        text.push_str(&rules(&answer.checks));
    }
    text
}

/// Returns the answers grouped by what they say: most servers have listeners that all answer alike.
fn alike(answers: &[WhyAnswer]) -> Vec<Vec<&WhyAnswer>> {
    let mut groups: Vec<Vec<&WhyAnswer>> = Vec::new();
    for answer in answers {
        let says_the_same = |group: &&mut Vec<&WhyAnswer>| {
            group.first().is_some_and(|first| {
                (&first.outcome, &first.cause, &first.checks)
                    == (&answer.outcome, &answer.cause, &answer.checks)
            })
        };
        match groups.iter_mut().find(says_the_same) {
            Some(group) => group.push(answer),
            None => groups.push(vec![answer]),
        }
    }
    groups
}

fn subject(report: &WhyReport) -> String {
    match (&report.address, &report.account, &report.from) {
        (Some(address), ..) => address.clone(),
        (_, Some(account), Some(from)) => format!("{account} from {from}"),
        (_, Some(account), None) => account.clone(),
        _ => "it".to_owned(),
    }
}

fn verdict(answer: &WhyAnswer) -> &'static str {
    match answer.outcome.as_str() {
        "admit" => "would be admitted now",
        "wait" => "would wait for a place now",
        "reclaim" => "would be admitted now, in the place of a session that is dead or idle",
        "deny" => "would be refused for ever",
        "drop" => "would be closed without a word now",
        NO_ACCOUNT => "would be told 530 now, whatever the password: there is no such account",
        _ => "would be refused now",
    }
}

/// Returns what it would read, because of what, and when that ends; of somebody who is admitted, what is nearest to refusing.
fn reasons(report: &WhyReport, answer: &WhyAnswer, background: &Background) -> Vec<Reason> {
    let line = || answer.line.iter().cloned().map(Reason::Line);
    let Some(check) = answer.checks.iter().find(|check| check.refuses) else {
        let nearest = nearest(&answer.checks).filter(|_| answer.outcome != NO_ACCOUNT).map(Reason::Words);
        return line().chain(nearest).collect();
    };
    let because = Reason::Words(because(report, answer, check, background));
    match (answer.outcome.as_str(), answer.hold_seconds) {
        ("wait", Some(hold)) => {
            let held = format!(
                "Its greeting would be held for up to {}; if no place is free by then, it would be told:",
                exact_span(hold)
            );
            [Reason::Words(held)].into_iter().chain(line()).chain([because]).collect()
        }
        ("refuse" | "drop", _) => {
            let ends = check
                .frees_after_seconds
                .map(|secs| Reason::Words(format!("It is expected to end in {}.", span(secs.into()))));
            line().chain([because]).chain(ends).collect()
        }
        _ => line().chain([because]).collect(),
    }
}

/// What there is to say about an answer.
enum Reason {
    /// What a client reads: never broken.
    Line(String),
    /// A sentence.
    Words(String),
}

/// Returns `500ms` where [`span`] would say `0s`.
fn exact_span(secs: f64) -> String {
    if secs < 1.0 { format!("{:.0}ms", secs * 1_000.0) } else { span(secs) }
}

fn because(report: &WhyReport, answer: &WhyAnswer, check: &CheckRow, background: &Background) -> String {
    let origin = background.origin(report, answer, check);
    match (check.limit, origin) {
        (Some(limit), origin) => {
            let stands = origin.map_or_else(String::new, |row| format!(" ({})", row.origin));
            let rule = origin.map_or(check.rule.as_str(), |row| row.key.as_str());
            let are = if check.in_use == 1 { "is" } else { "are" };
            format!("Because {rule} = {limit}{stands}, and {} {are} in use.", number(check.in_use.into()))
        }
        (None, Some(row)) => format!("Because of {} = {} ({}).", row.key, row.value, row.origin),
        (None, None) => match &check.signal {
            Some(signal) => format!("Because of {}: {signal}.", check.rule),
            None => format!("Because of: {}.", check.rule),
        },
    }
}

/// Returns what would refuse first if more came.
fn nearest(checks: &[CheckRow]) -> Option<String> {
    let share = |check: &CheckRow| {
        check.limit.filter(|limit| *limit > 0).map_or(0.0, |limit| f64::from(check.in_use) / f64::from(limit))
    };
    let check = checks
        .iter()
        .filter(|check| check.limit.is_some())
        .max_by(|left, right| share(left).total_cmp(&share(right)))?;
    if check.in_use == 0 {
        return Some("Nothing is near to refusing.".to_owned());
    }
    Some(format!("Nearest to refusing: {}, {} in use.", check.rule, numbers(check)))
}

fn numbers(check: &CheckRow) -> String {
    match check.limit {
        Some(limit) => format!("{} of {}", number(check.in_use.into()), number(limit.into())),
        None if check.in_use > 0 => format!("{}, no limit", number(check.in_use.into())),
        None => check.signal.clone().unwrap_or_default(),
    }
}

fn rules(checks: &[CheckRow]) -> String {
    let mut table = Table::new(&[
        (Column::Right, ""),
        (Column::Left, ""),
        (Column::Left, ""),
        (Column::Left, ""),
        (Column::Left, ""),
    ]);
    for (index, check) in checks.iter().enumerate() {
        let says = if check.refuses { format!("refuses: {}", check.cause) } else { "passes".to_owned() };
        let frees = check
            .frees_after_seconds
            .map_or_else(String::new, |secs| format!("for about {}", span(secs.into())));
        table.row([(index + 1).to_string(), check.rule.clone(), numbers(check), says, frees]);
    }
    table.lines(2, false)
}

fn holders(holders: &[SessionRow], held: u64, colour: bool) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let shown = holders.len() as u64;
    let oldest = if held > shown { format!(", the oldest {shown} of them") } else { String::new() };
    let title = format!("Who holds the places ({}{oldest}):", counted(held, "session"));
    format!("\n{}\n{}", bold(&title, colour), session_rows::table(holders).lines(2, false))
}

fn bans(report: &WhyReport) -> String {
    let mut text = String::new();
    for ban in &report.bans {
        let whom = match &ban.name {
            Some(name) => format!("{name} from {}", ban.address),
            None => ban.address.clone(),
        };
        let line = format!(
            "{whom} is banned for {} more ({}); tidegate unban {} ends it.",
            span(ban.remaining_seconds),
            ban.reason.replace('-', " "),
            ban.address.trim_end_matches("/64")
        );
        let _ = writeln!(text, "\n  {}", wrapped(&for_people(&line), WIDTH_MAX - 2, 4));
    }
    text
}

#[cfg(test)]
mod tests;
