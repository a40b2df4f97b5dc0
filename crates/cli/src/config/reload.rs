//! What a new configuration changes in a running server: told from the values in force, before anything is touched.

use std::collections::BTreeMap;

use tidegate_admin::LimitRow;

use super::reader::{Effective, Origin};
use crate::keys::Fallback;
use crate::plan::ServePlan;

/// What stands for a key that one side does not have.
const NONE: &str = "none";

/// A key that cannot be taken over while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, such as `listener[1].address`.
    pub key: String,
    /// What runs.
    pub old: String,
    /// What the file says now.
    pub new: String,
    /// Why it needs a restart: a clause.
    pub why: &'static str,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, old, new, why } = self;
        write!(f, "{key}: {old} -> {new} needs a restart: {why}")
    }
}

/// Returns the keys that differ and that a reload does not take over, in the order of the manual. Empty: `new` can be taken over.
pub fn restart_needed(old: &ServePlan, new: &ServePlan) -> Vec<Change> {
    let change = |pair: Pair<'_>| {
        let why = pair.row().row.restart?;
        let (key, old, new) = pair.shown();
        Some(Change { key, old, new, why })
    };
    differing(old, new).into_iter().filter_map(change).collect()
}

/// Returns every key whose value differs: key, old value, new value. Secrets are not shown.
pub fn changes(old: &ServePlan, new: &ServePlan) -> Vec<(String, String, String)> {
    differing(old, new).into_iter().map(Pair::shown).collect()
}

/// Returns every value in force with where it came from, in the order of the manual.
pub fn limit_rows(plan: &ServePlan) -> Vec<LimitRow> {
    let file = plan.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
    let file = crate::escape::for_people(&file);
    let row = |effective: &Effective| LimitRow {
        key: effective.key.clone(),
        value: effective.value.clone(),
        origin: effective.origin.show(&file),
    };
    plan.effective.iter().map(row).collect()
}

impl Origin {
    /// Returns where a value of `file` came from, for people: `default`, `tidegate.toml:12`, or how it was derived.
    pub fn show(&self, file: &str) -> String {
        match self {
            Self::Default => "default".into(),
            Self::Line(line) => format!("{file}:{line}"),
            Self::Derived(how) => how.clone(),
        }
    }
}

/// A key that is not the same in both.
#[derive(Clone, Copy, Debug)]
enum Pair<'a> {
    Changed(&'a Effective, &'a Effective),
    Gone(&'a Effective),
    New(&'a Effective),
    /// The same kind of secret, another one.
    Secret(&'a Effective),
}

impl<'a> Pair<'a> {
    const fn row(self) -> &'a Effective {
        match self {
            Self::Changed(_, row) | Self::Gone(row) | Self::New(row) | Self::Secret(row) => row,
        }
    }

    fn shown(self) -> (String, String, String) {
        let (old, new) = match self {
            Self::Changed(old, new) => (old.value.clone(), new.value.clone()),
            Self::Gone(old) => (old.value.clone(), NONE.into()),
            Self::New(new) => (NONE.into(), new.value.clone()),
            Self::Secret(row) => (row.value.clone(), "another one".into()),
        };
        (self.row().key.clone(), old, new)
    }
}

/// Returns what differs: first the keys of `new` in its order, then those only `old` has.
fn differing<'a>(old: &'a ServePlan, new: &'a ServePlan) -> Vec<Pair<'a>> {
    let before: BTreeMap<&str, &Effective> = by_key(old);
    let after: BTreeMap<&str, &Effective> = by_key(new);
    let secrets = changed_secrets(old, new);
    let mut pairs = Vec::new();
    for row in &new.effective {
        match before.get(row.key.as_str()) {
            None => pairs.extend(says_something(row).then_some(Pair::New(row))),
            Some(other) if other.value != row.value => pairs.push(Pair::Changed(other, row)),
            Some(_) if secrets.contains(&row.key) => pairs.push(Pair::Secret(row)),
            Some(_) => {}
        }
    }
    let gone = old.effective.iter().filter(|row| !after.contains_key(row.key.as_str()));
    pairs.extend(gone.filter(|row| says_something(row)).map(Pair::Gone));
    pairs
}

/// Returns whether a key that only one side has makes a difference: an absent key of a group that came or went makes none.
fn says_something(row: &Effective) -> bool {
    row.origin != Origin::Default || !matches!(row.row.fallback, Fallback::Absent(_))
}

fn by_key(plan: &ServePlan) -> BTreeMap<&str, &Effective> {
    plan.effective.iter().map(|row| (row.key.as_str(), row)).collect()
}

/// Returns the keys of passwords that are others now: what is shown of them may be the same.
fn changed_secrets(old: &ServePlan, new: &ServePlan) -> Vec<String> {
    let before: BTreeMap<&str, &str> =
        old.accounts.iter().map(|account| (account.name.as_str(), account.password_hash.reveal())).collect();
    let changed = new.accounts.iter().filter(|account| {
        before.get(account.name.as_str()).is_some_and(|hash| *hash != account.password_hash.reveal())
    });
    // The label of an account is in the key of its name.
    let key = |name: &str| {
        let of_name = |row: &&Effective| {
            row.row.path == "account[].name" && row.value == crate::escape::for_people(name)
        };
        let found = new.effective.iter().find(of_name)?;
        Some(format!("{}.password_hash", found.key.strip_suffix(".name")?))
    };
    changed.filter_map(|account| key(&account.name)).collect()
}

#[cfg(test)]
mod tests;
