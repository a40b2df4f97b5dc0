//! `tidegate status`.

use std::fmt::Write;
use tidegate_admin::message::{CauseRow, DrainStatus, OverloadRow, PoolRow, Request, Status};

use super::table::{Column, Table, WIDTH_MAX, wrapped};
use super::units::{bytes, counted, number, span};
use super::{Done, Out, ask, bold};
use crate::args::ServerArgs;
use crate::escape::for_people;

/// How many causes of refusals are named.
const CAUSES_SHOWN: usize = 4;
/// How narrow the column of remarks may become.
const REMARK_WIDTH_MIN: usize = 30;

/// Shows how the server is.
pub(super) fn run(server: &ServerArgs, out: &mut dyn Out) -> Done {
    ask(server, &Request::Status {}, out, text).map(|_: Status| ())
}

/// Returns one line: ready or not, and why.
pub(super) fn headline(status: &Status) -> String {
    let version = for_people(&status.version);
    match &status.not_ready {
        _ if status.ready => format!("tidegate {version} is ready."),
        Some(why) => format!("tidegate {version} is not ready: {}.", for_people(why)),
        None => format!("tidegate {version} is not ready."),
    }
}

fn text(status: &Status, colour: bool) -> String {
    let mut rows = house(status);
    rows.extend(refused(status));
    let mut text = format!("{}\n\n{}", bold(&headline(status), colour), lines(&rows));
    for complaint in &status.complaints {
        let complaint = wrapped(&for_people(complaint), WIDTH_MAX - 8, 8);
        // Writing into a String does not fail.
        let _ = writeln!(text, "\n  {} {complaint}", bold("Note:", colour));
    }
    text
}

/// A row: its name, a value, and what there is to add.
type Row = (&'static str, String, String);

/// Returns the rows in columns, with long remarks on several lines.
fn lines(rows: &[Row]) -> String {
    let widest = |width: fn(&Row) -> usize| rows.iter().map(width).max().unwrap_or_default();
    let before = 2 + widest(|row| row.0.len()) + 2 + widest(|row| row.1.len()) + 2;
    let mut table = Table::new(&[(Column::Left, ""), (Column::Left, ""), (Column::Flexible, "")]);
    for (name, value, remark) in rows {
        let remark = wrapped(remark, WIDTH_MAX.saturating_sub(before).max(REMARK_WIDTH_MIN), 0);
        let (mut name, mut value) = (*name, value.as_str());
        for line in remark.split('\n') {
            table.row([name.to_owned(), value.to_owned(), line.to_owned()]);
            (name, value) = ("", "");
        }
    }
    table.lines(2, false)
}

/// Returns who is inside.
fn house(status: &Status) -> Vec<Row> {
    let file = match &status.config {
        Some(file) => format!("configuration {file}"),
        None => "without a configuration file".to_owned(),
    };
    let mut rows = vec![("running", span(status.uptime_seconds), format!("pid {}, {file}", status.pid))];
    for listener in &status.listeners {
        let connections = &listener.connections;
        let held = match connections.limit {
            None => counted(connections.in_use.into(), "connection"),
            Some(limit) => {
                format!("{} of {}", number(connections.in_use.into()), counted(limit.into(), "connection"))
            }
        };
        let held = format!("{held}{}", full(connections));
        rows.push(("address", format!("ftp://{}", listener.address), held));
    }
    let reserved = match status.reserved {
        0 => String::new(),
        places => format!(", {places} more in reserved places"),
    };
    let from = format!("from {}{reserved}{}", addresses(status.addresses), full(&status.connections));
    rows.push(("connections", pool(&status.connections), from));
    let unauthenticated = &status.unauthenticated;
    rows.push((
        "not logged in",
        pool(unauthenticated),
        full(unauthenticated).trim_start_matches(", ").to_owned(),
    ));
    rows.push(("logged in", number(status.logged_in.into()), logged_in(status)));
    if status.waiting > 0 {
        rows.push(("waiting", number(status.waiting.into()), "held until there is a place".into()));
    }
    let ended = &status.transfers_ended;
    let ended = format!(
        "{} finished, {} failed, {} cut{}",
        number(ended.completed),
        number(ended.failed),
        number(ended.cut),
        full(&status.transfers)
    );
    rows.push(("transfers", pool(&status.transfers), ended));
    let received = format!("{} received", bytes(status.bytes_received));
    rows.push(("bytes", format!("{} sent", bytes(status.bytes_sent)), received));
    let ports = &status.passive_ports;
    if ports.total > 0 {
        let leased = format!("{} of {}", number(ports.leased), number(ports.total));
        rows.push(("data ports", leased, String::new()));
    }
    rows
}

/// Returns who is not, and why.
fn refused(status: &Status) -> Vec<Row> {
    let mut rows = vec![("refused", number(total(&status.refusals)), causes(&status.refusals))];
    if status.unspoken > 0 {
        rows.push(("unspoken", number(status.unspoken), "may not have read why".into()));
    }
    if !status.shadow_refusals.is_empty() {
        let would_be = format!("would be refused: {}", causes(&status.shadow_refusals));
        rows.push(("shadow limits", number(total(&status.shadow_refusals)), would_be));
    }
    rows.push(("bans", number(status.bans), String::new()));
    let (level, signal) = overload(&status.overload);
    rows.push(("overload", level, signal));
    if let Some(drain) = &status.drain {
        rows.push(("drain", drain_state(drain), drain_rest(drain)));
    }
    rows
}

/// Returns `12 of 500`, or `12` without a limit.
pub(super) fn pool(pool: &PoolRow) -> String {
    let in_use = number(pool.in_use.into());
    pool.limit.map_or_else(|| in_use.clone(), |limit| format!("{in_use} of {}", number(limit.into())))
}

fn full(pool: &PoolRow) -> String {
    if pool.full_seconds < 1.0 {
        return String::new();
    }
    format!(", was full for {}", span(pool.full_seconds))
}

fn addresses(count: u64) -> String {
    format!("{} address{}", number(count), if count == 1 { "" } else { "es" })
}

fn logged_in(status: &Status) -> String {
    let of = match status.anonymous {
        0 => String::new(),
        anonymous => format!("{} anonymous, ", number(anonymous.into())),
    };
    let denied: u64 =
        status.logins.iter().filter(|login| login.result == "denied").map(|login| login.count).sum();
    format!(
        "{of}{} since the start, {} denied",
        counted(status.sessions_served, "session"),
        counted(denied, "login")
    )
}

fn total(causes: &[CauseRow]) -> u64 {
    causes.iter().fold(0, |sum, row| sum.saturating_add(row.count))
}

/// Returns the most frequent causes with their numbers.
fn causes(rows: &[CauseRow]) -> String {
    let mut rows: Vec<&CauseRow> = rows.iter().collect();
    rows.sort_by(|left, right| right.count.cmp(&left.count).then(left.cause.cmp(&right.cause)));
    let mut shown: Vec<String> =
        rows.iter().take(CAUSES_SHOWN).map(|row| format!("{} {}", row.cause, number(row.count))).collect();
    if let Some(others) = rows.get(CAUSES_SHOWN..).filter(|others| !others.is_empty()) {
        let count = others.iter().fold(0, |sum: u64, row| sum.saturating_add(row.count));
        shown.push(format!("others {}", number(count)));
    }
    shown.join(", ")
}

/// Returns the level, and what has most to bear.
pub(super) fn overload(row: &OverloadRow) -> (String, String) {
    let worst = row.signals.iter().max_by(|left, right| left.load.total_cmp(&right.load));
    let because = match (&row.signal, worst) {
        (Some(signal), _) => {
            let load = row.signals.iter().find(|known| known.signal == *signal);
            load.map_or_else(|| signal.clone(), |load| loaded(&load.signal, load.load))
        }
        (None, Some(worst)) if worst.load > 0.0 => format!("most: {}", loaded(&worst.signal, worst.load)),
        (None, _) => String::new(),
    };
    let full = match row.full_seconds {
        secs if secs >= 1.0 => format!(", was full for {}", span(secs)),
        _ => String::new(),
    };
    (row.level.clone(), format!("{because}{full}").trim_start_matches(", ").to_owned())
}

fn loaded(signal: &str, load: f64) -> String {
    format!("{signal} at {:.0} % of what closes the door", load * 100.0)
}

/// Returns whether a drain is planned or under way, and until when.
pub(super) fn drain_state(drain: &DrainStatus) -> String {
    if drain.begun {
        format!("under way, {} left", span(drain.ends_in_seconds))
    } else {
        format!("begins in {}", span(drain.begins_in_seconds.round()))
    }
}

fn drain_rest(drain: &DrainStatus) -> String {
    let message = drain.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{}, {}{message}", counted(drain.sessions, "session"), counted(drain.transfers, "transfer"))
}

#[cfg(test)]
pub(super) mod tests;
