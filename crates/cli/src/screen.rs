//! The first screen: where the server is, who may do what, what to type, how to stop.

use std::ffi::OsStr;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use tidegate_types::Rights;

use crate::config::show_duration;
use crate::escape::for_people;
use crate::plan::{FRESH_ACCOUNT, PlannedAccount, ServePlan, is_loopback, reachable};

/// How many accounts are listed before the rest is counted.
const ACCOUNTS_SHOWN: usize = 8;
/// The name of the control socket that the commands find by themselves.
const SOCKET_NAME: &str = "tidegate.sock";

/// Where a server that has started can be reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doors<'a> {
    /// What clients connect to, in the order of the plan.
    pub listeners: &'a [SocketAddr],
    /// The control socket.
    pub socket: Option<&'a Path>,
    /// Health and metrics.
    pub http: Option<SocketAddr>,
    /// The agent check of load balancers.
    pub agent: Option<SocketAddr>,
}

/// Returns the start screen for a plan and what was opened; with `colour` headings are bold.
pub fn start_screen(plan: &ServePlan, doors: &Doors<'_>, colour: bool) -> String {
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = write_screen(&mut out, plan, doors, colour);
    out
}

fn write_screen(out: &mut String, plan: &ServePlan, doors: &Doors<'_>, colour: bool) -> std::fmt::Result {
    let bound = doors.listeners;
    let bold = |text: &str| if colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
    writeln!(out, "{}\n", bold("tidegate is ready."))?;
    for address in bound {
        let reach = match address.ip() {
            ip if is_loopback(ip) => "this machine only",
            ip if ip.is_unspecified() => "every address of this machine",
            _ => "",
        };
        writeln!(out, "{}", row("address", &format!("ftp://{address}"), reach))?;
    }
    for account in plan.accounts.iter().take(ACCOUNTS_SHOWN) {
        write_account(out, plan, account, &bold)?;
    }
    if let Some(more) = plan.accounts.len().checked_sub(ACCOUNTS_SHOWN).filter(|more| *more > 0) {
        writeln!(out, "{}", row("accounts", &format!("and {more} more"), ""))?;
    }
    let (what, home) = match &plan.anonymous {
        Some(anonymous) => (may(anonymous.rights), for_people(&anonymous.home.to_string_lossy())),
        None => ("off".into(), String::new()),
    };
    writeln!(out, "{}", row("anonymous", &what, &home))?;
    let most = match plan.connections_from_descriptors {
        None => format!("{} connections at a time", plan.connections),
        Some(limit) => format!("{} connections at a time, from {limit} descriptors", plan.connections),
    };
    let each = plan
        .limits
        .connections_per_address
        .as_ref()
        .map_or_else(String::new, |count| format!("{} from one address", count.value));
    writeln!(out, "{}", row("limits", &most, &each))?;
    write_admin(out, plan, doors)?;
    for notice in &plan.notices {
        writeln!(out, "\n  {} {notice}", bold("Note:"))?;
    }
    if let Some(address) = bound.first() {
        writeln!(out, "\n{}", bold("Try it from another terminal:"))?;
        write_tries(out, plan, reachable(*address))?;
    }
    writeln!(
        out,
        "\nStop it with Ctrl-C: transfers under way get {} to finish.",
        show_duration(plan.timeouts.shutdown)
    )
}

/// Writes how to look into the server.
fn write_admin(out: &mut String, plan: &ServePlan, doors: &Doors<'_>) -> std::fmt::Result {
    if let Some(socket) = doors.socket {
        let shown = for_people(&socket.to_string_lossy());
        let (command, place) = match &plan.file {
            Some(file) => {
                (format!("tidegate status --config {}", shell_word(&file.to_string_lossy())), shown.as_str())
            }
            None if socket.file_name() == Some(OsStr::new(SOCKET_NAME)) => {
                ("tidegate status".to_owned(), shown.as_str())
            }
            // Another server has the usual name.
            None => (format!("tidegate status --socket {}", shell_word(&socket.to_string_lossy())), ""),
        };
        writeln!(out, "{}", row("control", &command, place))?;
    }
    if let Some(http) = doors.http {
        writeln!(out, "{}", row("http", &format!("http://{http}"), "/metrics /healthz /readyz"))?;
    }
    if let Some(agent) = doors.agent {
        writeln!(out, "{}", row("agent", &agent.to_string(), "HAProxy agent check"))?;
    }
    Ok(())
}

fn write_account(
    out: &mut String,
    plan: &ServePlan,
    account: &PlannedAccount,
    bold: &impl Fn(&str) -> String,
) -> std::fmt::Result {
    let home = for_people(&account.home.to_string_lossy());
    writeln!(
        out,
        "{}",
        row("account", &format!("{} {}", for_people(&account.name), may(account.rights)), &home)
    )?;
    match &plan.fresh_password {
        Some(password) if account.name == FRESH_ACCOUNT => {
            writeln!(out, "{}", row("password", &bold(password.reveal()), "fresh for this start"))
        }
        _ => Ok(()),
    }
}

/// Writes a line to list, one to download and one to upload, each with somebody who may.
fn write_tries(out: &mut String, plan: &ServePlan, address: SocketAddr) -> std::fmt::Result {
    let (file, target) = if plan.has_samples { ("README.txt", "incoming/") } else { ("FILE", "") };
    let url = |path: &str| match address {
        // Brackets mean something to shells and to curl's globbing.
        SocketAddr::V6(_) => format!("-g 'ftp://{address}/{path}'"),
        SocketAddr::V4(_) => format!("ftp://{address}/{path}"),
    };
    let user = |right: Rights| {
        let anonymous = plan.anonymous.as_ref().is_some_and(|anonymous| anonymous.rights.contains(right));
        let account = plan.accounts.iter().find(|account| account.rights.contains(right));
        match (anonymous, account, &plan.fresh_password) {
            (true, ..) => Some(String::new()),
            (_, Some(account), Some(password)) => {
                Some(format!("--user {}:{} ", account.name, password.reveal()))
            }
            (_, Some(account), None) => Some(format!("--user {} ", shell_word(&account.name))),
            _ => None,
        }
    };
    let tries = [
        ("list", user(Rights::LIST).map(|user| format!("curl {user}{}", url("")))),
        ("download", user(Rights::READ).map(|user| format!("curl {user}-O {}", url(file)))),
        ("upload", user(Rights::WRITE).map(|user| format!("curl {user}-T {file} {}", url(target)))),
    ];
    for (name, line) in tries {
        if let Some(line) = line {
            writeln!(out, "{}", row(name, &line, ""))?;
        }
    }
    Ok(())
}

/// Returns a line in columns.
fn row(name: &str, value: &str, remark: &str) -> String {
    let line = match remark {
        "" => format!("  {name:<10} {value}"),
        _ => format!("  {name:<10} {value:<28} {remark}"),
    };
    line.trim_end().to_owned()
}

/// Returns what rights allow, in words.
fn may(rights: Rights) -> String {
    match rights {
        Rights::ALL => "may do everything".into(),
        Rights::READ_ONLY => "may list and download".into(),
        Rights::UPLOAD_ONLY => "may upload new files".into(),
        other => format!("may {}", other.words().join(", ")),
    }
}

/// Returns `text` as one word for a shell.
fn shell_word(text: &str) -> String {
    let text = for_people(text);
    if text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter)) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;
