//! The values in force that the command line decides.

use std::net::SocketAddr;

use super::{Folder, PlannedAccount, ServePlan};
use crate::config::{Config, Effective, Origin, Value, derive_rows};
use crate::keys::{self, KEYS};

/// What decided when there is no file.
const NO_FILE: &str = "serve without a file";
/// What decided the listeners.
const LISTEN: &str = "--listen";
/// What decided the root.
const DIR: &str = "the folder of the command line";

/// Puts the listeners of the command line in the place of all others.
pub(super) fn with_listeners(rows: &mut Vec<Effective>, listen: &[SocketAddr]) {
    if listen.is_empty() {
        return;
    }
    rows.retain(|row| !row.row.path.starts_with("listener[]"));
    let defaults = Config::defaults().effective;
    let plain = defaults.iter().filter(|row| row.row.path.starts_with("listener[]"));
    let listeners = (1..).zip(listen).flat_map(|(number, address)| {
        plain.clone().map(move |row| {
            let key = row.key.replace("listener[1]", &format!("listener[{number}]"));
            match row.row.path {
                "listener[].address" => {
                    Effective { key, value: address.to_string(), origin: derived(LISTEN), row: row.row }
                }
                _ => Effective { key, ..row.clone() },
            }
        })
    });
    insert(rows, listeners.collect());
}

/// Puts the folder of the command line in the place of the root.
pub(super) fn with_folder(plan: &mut ServePlan, folder: &Folder) {
    let shown = folder.path.show();
    for row in &mut plan.effective {
        let (value, origin) = match (row.row.path, &row.origin) {
            ("root", _) => (shown.clone(), derived(DIR)),
            ("account[].home" | "anonymous.home", Origin::Default | Origin::Derived(_)) => {
                (shown.clone(), derived("the same as root"))
            }
            _ => continue,
        };
        (row.value, row.origin) = (value, origin);
    }
}

/// Shows what `serve DIR` decided by itself: the account, anonymous, and that nothing is kept.
pub(super) fn without_file(plan: &mut ServePlan, folder: &Folder, umask: u32) {
    let accounts: Vec<Effective> = plan.accounts.iter().flat_map(account_rows).collect();
    insert(&mut plan.effective, accounts);
    if let Some(anonymous) = &plan.anonymous {
        let rights = anonymous.rights.show();
        set(&mut plan.effective, "anonymous.enabled", "true");
        let rows = [
            ("anonymous.home", folder.path.show()),
            ("anonymous.rights", rights),
            ("anonymous.max_connections", "no limit".into()),
        ];
        let rows = rows.into_iter().filter_map(|(path, value)| row(path, path.into(), value)).collect();
        insert_behind(&mut plan.effective, "anonymous.enabled", rows);
    }
    set(&mut plan.effective, "state", "off");
    with_folder(plan, folder);
    derive_rows(&mut plan.effective, &plan.needs, umask);
}

fn account_rows(account: &PlannedAccount) -> Vec<Effective> {
    let label = format!("account[{}]", account.name);
    let rows = [
        ("name", account.name.clone()),
        ("password_hash", "made for this run".into()),
        ("home", account.home.show()),
        ("rights", account.rights.show()),
        ("max_connections", "no limit".into()),
        ("upload", account.upload.show()),
        ("owner", "the service's".into()),
        ("file_mode", String::new()),
        ("dir_mode", String::new()),
    ];
    let all = rows.into_iter();
    all.filter_map(|(name, value)| row(&format!("account[].{name}"), format!("{label}.{name}"), value))
        .collect()
}

fn row(path: &str, key: String, value: String) -> Option<Effective> {
    Some(Effective { row: keys::find(path)?, key, value, origin: derived(NO_FILE) })
}

fn set(rows: &mut [Effective], path: &str, value: &str) {
    if let Some(row) = rows.iter_mut().find(|row| row.row.path == path) {
        (row.value, row.origin) = (value.into(), derived(NO_FILE));
    }
}

fn derived(how: &str) -> Origin {
    Origin::Derived(how.into())
}

/// Puts `new` where the manual has its first key.
fn insert(rows: &mut Vec<Effective>, new: Vec<Effective>) {
    let place = |row: &Effective| KEYS.iter().position(|key| key.path == row.row.path);
    let Some(first) = new.first().and_then(place) else { return };
    let at = rows.iter().position(|row| place(row) > Some(first)).unwrap_or(rows.len());
    rows.splice(at..at, new);
}

fn insert_behind(rows: &mut Vec<Effective>, path: &str, new: Vec<Effective>) {
    let at = rows.iter().position(|row| row.row.path == path).map_or(rows.len(), |at| at + 1);
    rows.splice(at..at, new);
}
