//! A session in a line of a table.

use tidegate_admin::message::{SessionRow, TransferRow};

use super::table::{Column, Table, cut};
use super::units::{bytes, rate, span};

/// How much of the name of an account is shown, in columns.
const ACCOUNT_WIDTH: usize = 16;
/// What stands where there is nothing.
const NOTHING: &str = "-";

/// The columns, with their headings.
pub(super) const COLUMNS: [(Column, &str); 7] = [
    (Column::Right, "ID"),
    (Column::Left, "FROM"),
    (Column::Left, "ACCOUNT"),
    (Column::Right, "SINCE"),
    (Column::Right, "IDLE"),
    (Column::Flexible, "DOING"),
    (Column::Left, ""),
];

/// Returns the cells of a session, not escaped.
pub(super) fn cells(session: &SessionRow) -> [String; 7] {
    let idle = match session.idle_seconds {
        secs if secs >= 1.0 => span(secs),
        _ => NOTHING.to_owned(),
    };
    let (doing, moved) = match &session.transfer {
        Some(transfer) => (format!("{} {}", transfer.direction, transfer.path), moved(transfer)),
        None => (session.doing.replace('-', " "), String::new()),
    };
    [
        session.id.to_string(),
        address(&session.peer),
        session.account.as_deref().map_or_else(|| NOTHING.to_owned(), |name| cut(name, ACCOUNT_WIDTH)),
        span(session.age_seconds),
        idle,
        doing,
        moved,
    ]
}

/// Returns a table of sessions.
pub(super) fn table(sessions: &[SessionRow]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for session in sessions {
        table.row(cells(session));
    }
    table
}

/// Returns `12.3 MiB at 4.1 MiB/s`.
fn moved(transfer: &TransferRow) -> String {
    format!("{} at {}", bytes(transfer.bytes), rate(transfer.bytes_per_second))
}

/// Returns the address of a peer without its port: that is in the JSON.
fn address(peer: &str) -> String {
    match peer.parse::<std::net::SocketAddr>() {
        Ok(peer) => peer.ip().to_string(),
        Err(_) => peer.to_owned(),
    }
}
