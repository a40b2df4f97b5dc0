//! `tidegate sessions [--watch]`.

use serde_json::{Value, json};
use std::fmt::Write;
use tidegate_admin::message::{Request, SESSIONS_PAGE_MAX, SessionRow, SessionsAnswer};
use tidegate_admin::{Client, ClientError};

use super::units::counted;
use super::{Done, Out, Trouble, connect, harmless, say_json, session_rows, understood, watch};
use crate::args::SessionsArgs;

/// Shows who is inside, once or until it is stopped.
pub(super) fn run(args: &SessionsArgs, out: &mut dyn Out) -> Done {
    let mut client = connect(&args.server)?;
    match (args.watch, args.server.json) {
        (true, true) => return stream(&mut client, out),
        (true, false) if out.is_terminal() => return watch::run(client, &args.server),
        (true, false) => out.complain(
            "note: standard output is no terminal, so the sessions are shown once; --watch --json streams them\n",
        ),
        (false, _) => {}
    }
    let sessions = all(&mut client)?;
    if args.server.json {
        say_json(&document(&sessions), out);
    } else {
        let text = text(&rows(&sessions)?, out.colour());
        out.say(&text);
    }
    Ok(())
}

/// Writes all sessions each second, one document a line, until the server is gone or the reader is.
fn stream(client: &mut Client, out: &mut dyn Out) -> Done {
    loop {
        let sessions = all(client)?;
        if !out.say(&harmless(&format!("{}\n", document(&sessions)))) {
            return Ok(());
        }
        std::thread::park_timeout(watch::EVERY);
    }
}

/// Fetches all sessions, page by page, as they came.
fn all(client: &mut Client) -> Result<Vec<Value>, Trouble> {
    let mut sessions = Vec::new();
    let mut after = 0;
    loop {
        let mut page: Value = client.call(&Request::Sessions { after, count: SESSIONS_PAGE_MAX })?;
        if let Some(Value::Array(rows)) = page.get_mut("sessions") {
            sessions.append(rows);
        }
        match page.get("next").and_then(Value::as_u64).filter(|next| *next > after) {
            Some(next) => after = next,
            None => return Ok(sessions),
        }
    }
}

/// Fetches all sessions, page by page.
pub(super) fn fetch(client: &mut Client) -> Result<Vec<SessionRow>, ClientError> {
    let mut sessions = Vec::new();
    let mut after = 0;
    loop {
        let page: SessionsAnswer = client.call(&Request::Sessions { after, count: SESSIONS_PAGE_MAX })?;
        sessions.extend(page.sessions);
        match page.next.filter(|next| *next > after) {
            Some(next) => after = next,
            None => return Ok(sessions),
        }
    }
}

/// Returns all pages as one answer of the server would be.
fn document(sessions: &[Value]) -> Value {
    json!({ "sessions": sessions, "next": null })
}

fn rows(sessions: &[Value]) -> Result<Vec<SessionRow>, Trouble> {
    sessions.iter().map(understood).collect()
}

fn text(sessions: &[SessionRow], colour: bool) -> String {
    if sessions.is_empty() {
        return "Nobody is inside.\n".into();
    }
    let moving = sessions.iter().filter(|session| session.transfer.is_some()).count();
    let mut text = session_rows::table(sessions).lines(0, colour);
    let (inside, moving) = (counted(sessions.len() as u64, "session"), counted(moving as u64, "transfer"));
    // Writing into a String does not fail.
    let _ = writeln!(text, "\n{inside}, {moving} under way.");
    text
}

#[cfg(test)]
pub(super) mod tests {
    use tidegate_admin::message::TransferRow;

    use super::*;

    pub(in crate::operator) fn session(id: u64, account: Option<&str>) -> SessionRow {
        SessionRow {
            id,
            peer: format!("192.0.2.{}:50{id:03}", id % 250),
            listener: 0,
            listening_on: "127.0.0.1:2121".into(),
            account: account.map(Into::into),
            age_seconds: 192.5,
            idle_seconds: 4.0,
            doing: if account.is_some() { "idle".into() } else { "logging-in".into() },
            transfer: None,
            bytes_sent: 0,
            bytes_received: 0,
        }
    }

    pub(in crate::operator) fn moving(id: u64, path: &str) -> SessionRow {
        SessionRow {
            doing: "download".into(),
            idle_seconds: 0.0,
            transfer: Some(TransferRow {
                direction: "download".into(),
                path: path.into(),
                bytes: 12_900_000,
                age_seconds: 3.0,
                bytes_per_second: 4_300_000,
            }),
            ..session(id, Some("alice"))
        }
    }

    #[test]
    fn a_table_for_people() {
        let mut six = session(1200, Some("a\u{1b}[2Jb"));
        six.peer = "[2001:db8::7]:50000".into();
        let sessions = [session(7, None), moving(41, "/pub/潮汐.iso"), six];
        let expected = [
            "  ID  FROM         ACCOUNT      SINCE  IDLE  DOING",
            "   7  192.0.2.7    -            3m12s    4s  logging in",
            "  41  192.0.2.41   alice        3m12s     -  download /pub/潮汐.iso  12.3 MiB at 4.1 MiB/s",
            "1200  2001:db8::7  a\\u{1b}[2Jb  3m12s    4s  idle",
            "",
            "3 sessions, 1 transfer under way.",
            "",
        ];
        assert_eq!(text(&sessions, false), expected.join("\n"));
    }

    #[test]
    fn long_paths_give_way() {
        let text = text(&[moving(7, &"/long".repeat(60))], false);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("...  12.3 MiB at 4.1 MiB/s"), "{text}");
    }

    #[test]
    fn nobody() {
        assert_eq!(text(&[], false), "Nobody is inside.\n");
    }
}
