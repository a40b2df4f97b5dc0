//! `tidegate drain`: begins it, and shows how far it is until the server has ended.

use std::fmt::Write;
use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_admin::message::{DrainStatus, Request, Status};
use tidegate_admin::{Client, ClientError};

use super::units::{bytes, counted, span};
use super::{Done, Out, Trouble, connect, harmless, say_json, time, understood};
use crate::args::DrainArgs;
use crate::escape::for_people;
use crate::{Exit, clock};

/// How often the progress is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Goes to the start of the line of a terminal and clears it.
const REWRITE: &str = "\r\u{1b}[K";

/// Begins a drain, and stays until the server has ended unless told otherwise. Errors: it was resumed.
pub(super) fn run(args: &DrainArgs, out: &mut dyn Out) -> Done {
    let when = args.at.as_deref().map(|text| time::parse(text, &clock::here())).transpose();
    let when = when.map_err(|(what, hint)| Trouble::new(Exit::Usage, what, hint))?;
    let request = Request::Drain {
        deadline_seconds: args
            .deadline
            .map(|deadline| deadline.as_secs() + u64::from(deadline.subsec_nanos() > 0)),
        message: args.message.clone(),
        at: when.as_ref().and_then(time::When::unix_secs),
        delay_seconds: when.as_ref().and_then(time::When::delay_secs),
        stay: args.stay,
    };
    let mut client = connect(&args.server)?;
    let value: Value = client.call(&request)?;
    let drain: DrainStatus = understood(&value)?;
    match (args.server.json, args.no_wait) {
        (true, true) => say_json(&value, out),
        // The first line of those that `Watch` writes.
        (true, false) => {}
        (false, _) => drop(out.say(&begun(&drain, when.as_ref()))),
    }
    if args.no_wait {
        return Ok(());
    }
    let watch = Watch { client, seen: drain, told: value, shown: None, json: args.server.json, every: EVERY };
    watch.until_ended(out)
}

fn begun(drain: &DrainStatus, when: Option<&time::When>) -> String {
    let lasts = drain.ends_in_seconds - drain.begins_in_seconds;
    let mut text = match when.filter(|_| !drain.begun) {
        Some(when) => format!(
            "A drain is planned for {} (in {}); it lasts at most {}.\n",
            when.show(),
            span(drain.begins_in_seconds.round()),
            span(lasts.round())
        ),
        None => format!(
            "Draining: nobody is let in any more; {} may finish within {}.\n",
            counted(drain.transfers, "transfer"),
            span(drain.ends_in_seconds.round())
        ),
    };
    if let Some(message) = &drain.message {
        // Writing into a String does not fail.
        let _ = writeln!(text, "Clients are told: {}", for_people(message));
    }
    text.push_str("`tidegate resume` ends the drain.\n");
    text
}

/// Looks at a drain until it is over.
struct Watch {
    client: Client,
    seen: DrainStatus,
    /// The same as it came: a later version may tell more.
    told: Value,
    /// The numbers that were written last.
    shown: Option<String>,
    json: bool,
    every: Duration,
}

impl Watch {
    fn until_ended(mut self, out: &mut dyn Out) -> Done {
        let start = clock::now();
        loop {
            if !self.show(out) {
                // Nobody reads any more. The drain goes on.
                return Ok(());
            }
            std::thread::park_timeout(self.every);
            let status = match self.client.call::<Value>(&Request::Status {}) {
                Ok(status) => status,
                Err(error) if is_gone(&error) => {
                    self.end_line(out);
                    self.tell_end(clock::now().duration_since(start), out);
                    return Ok(());
                }
                Err(error) => {
                    self.end_line(out);
                    return Err(error.into());
                }
            };
            let known: Status = understood(&status)?;
            let Some(drain) = known.drain else {
                self.end_line(out);
                return Err(self.resumed(out));
            };
            self.seen = drain;
            self.told = status.get("drain").cloned().unwrap_or_default();
        }
    }

    /// Writes how far it is: on a terminal over the line before, else, and for programs, when a number of sessions or transfers
    /// has changed. Returns whether anybody reads.
    fn show(&mut self, out: &mut dyn Out) -> bool {
        let numbers = format!("{} {}", self.seen.begun, numbers(&self.seen));
        let is_new = self.shown.as_ref() != Some(&numbers);
        self.shown = Some(numbers);
        if self.json {
            return !is_new || say_line(&self.told, out);
        }
        if out.is_terminal() {
            return out.say(&format!("{REWRITE}{}", progress(&self.seen)));
        }
        !is_new || out.say(&format!("{}\n", progress(&self.seen)))
    }

    fn end_line(&self, out: &mut dyn Out) {
        if !self.json && self.shown.is_some() && out.is_terminal() {
            out.say("\n");
        }
    }

    fn tell_end(&self, took: Duration, out: &mut dyn Out) {
        if self.json {
            let took_seconds = (took.as_secs_f64() * 1_000.0).round() / 1_000.0;
            let transfers = self.seen.transfers;
            let end =
                json!({ "ended": true, "took_seconds": took_seconds, "transfers_last_seen": transfers });
            say_line(&end, out);
        } else {
            out.say(&ended(&self.seen, took));
        }
    }

    fn resumed(&self, out: &mut dyn Out) -> Trouble {
        if self.json {
            say_line(&json!({ "resumed": true }), out);
            return Trouble::Told;
        }
        Trouble::new(
            Exit::Failed,
            "the drain was resumed: newcomers are let in again",
            "tidegate status tells how the server is",
        )
    }
}

/// Writes a document on one line; `false`: nobody reads any more.
fn say_line(document: &Value, out: &mut dyn Out) -> bool {
    out.say(&harmless(&format!("{document}\n")))
}

/// Returns whether the server closed its socket: it has ended.
fn is_gone(error: &ClientError) -> bool {
    match error {
        ClientError::NoServer(_) => true,
        ClientError::Lost { source, .. } => matches!(
            source.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
        ),
        _ => false,
    }
}

fn numbers(drain: &DrainStatus) -> String {
    format!("{}, {}", counted(drain.sessions, "session"), counted(drain.transfers, "transfer"))
}

fn progress(drain: &DrainStatus) -> String {
    if !drain.begun {
        return format!("begins in {}: {} inside", span(drain.begins_in_seconds.round()), numbers(drain));
    }
    if drain.sessions == 0 {
        return format!("nobody is inside any more, 421 is said for {}", span(drain.open_seconds));
    }
    let moved = match drain.bytes {
        0 => String::new(),
        count => format!(" ({} so far)", bytes(count)),
    };
    format!("{}{moved}, {} left", numbers(drain), span(drain.ends_in_seconds))
}

/// Returns the last words: what is known, and no more.
fn ended(seen: &DrainStatus, took: Duration) -> String {
    let took = span(took.as_secs_f64());
    if !seen.begun {
        return format!("The server has ended after {took}, before the drain began.\n");
    }
    match seen.transfers {
        0 => format!("The server has ended after {took}; no transfer was under way at the end.\n"),
        count => format!(
            "The server has ended after {took}; {} under way when last seen: its log tells whether any was cut.\n",
            counted(count, "transfer") + if count == 1 { " was" } else { " were" }
        ),
    }
}

#[cfg(test)]
mod tests;
