//! What single values cannot tell: contradictions between them, and between them and the world.

mod addresses;
mod capacity;
mod limits;
mod networks;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Config;
use super::ownership::Users;
use super::problem::Problem;
use super::reader::{Effective, Origin, Setting, duplicates};
use super::value::quote;
pub use capacity::{Bounds, DESCRIPTORS_KEPT, Needs, connections_for};

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Nothing.
    Missing,
    /// A folder, links followed.
    Folder,
    /// Something else.
    Other,
}

/// What a configuration is checked against.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// How many descriptors the process may open.
    pub descriptor_limit: u64,
    /// Whether more connections than descriptors is an error (check-config) or a warning (serve).
    pub is_strict: bool,
    /// The folder named on the command line, which replaces `root`.
    pub root: Option<&'a Path>,
    /// Tells what stands at a path.
    pub kind_of: &'a dyn Fn(&Path) -> PathKind,
    /// Permission bits the process withholds from what it creates.
    pub umask: u32,
    /// The users and groups of the machine.
    pub users: &'a dyn Users,
}

/// Returns every contradiction; what is only absent because of one of the `known` problems is none.
pub(super) fn contradictions(config: &Config, facts: &Facts<'_>, known: &[Problem]) -> Vec<Problem> {
    let mut problems = Vec::new();
    addresses::check(config, facts, &mut problems);
    capacity::check(config, facts, &mut problems);
    limits::check(config, facts, &mut problems);
    networks::check(config, &mut problems);
    // What could not be read has a stand-in, which says nothing about the file.
    let is_known = |key: &str| {
        let rest_of = |problem: &Problem| problem.key.strip_prefix(key).map(str::to_owned);
        known.iter().filter_map(rest_of).any(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    problems.retain(|problem| {
        !is_known(&problem.key) && !problem.other.as_ref().is_some_and(|other| is_known(&other.key))
    });
    check_names(config, &mut problems);
    check_homes(config, facts, known, &mut problems);
    let anonymous = &config.anonymous;
    let is_broken = known.iter().any(|problem| problem.key == "anonymous.enabled");
    if config.accounts.is_empty() && !anonymous.enabled.value && !is_broken {
        problems.push(
            Problem::new("account", "nobody could log in: there is no account, and anonymous is off")
                .hint("add an [[account]], or [anonymous] with `enabled = true`"),
        );
    } else if anonymous.is_present && !anonymous.enabled.value && anonymous.enabled.at.is_none() && !is_broken
    {
        problems.push(
            Problem::new("anonymous.enabled", "the section is there, but anonymous stays off")
                .hint("add `enabled = true`, or `enabled = false` to say that it is meant")
                .warning(),
        );
    }
    problems
}

fn check_names(config: &Config, problems: &mut Vec<Problem>) {
    let named = config.accounts.iter().filter(|account| !account.name.value.is_empty());
    let names = named.map(|account| (account.name.value.as_str(), account));
    for (_, account) in duplicates(names) {
        problems.push(
            Problem::new(
                format!("{}.name", account.label),
                format!("there are two accounts called {}", quote(&account.name.value)),
            )
            .at(account.name.at.clone(), "expected a name of its own")
            .hint("rename or remove one of the two"),
        );
    }
    let anonymous_names = ["anonymous", "ftp"];
    let taken = config.accounts.iter().filter(|account| {
        config.anonymous.enabled.value
            && anonymous_names.iter().any(|name| account.name.value.eq_ignore_ascii_case(name))
    });
    for account in taken {
        problems.push(
            Problem::new(
                format!("{}.name", account.label),
                "this name means an anonymous login while anonymous is on",
            )
            .at(account.name.at.clone(), "expected a name other than \"anonymous\" and \"ftp\"")
            .hint("rename the account, or turn anonymous off"),
        );
    }
}

fn check_homes(config: &Config, facts: &Facts<'_>, known: &[Problem], problems: &mut Vec<Problem>) {
    // A folder that several use is reported once, where it is written.
    let mut reported = BTreeSet::new();
    let mut check =
        |key: String, home: Option<&Setting<PathBuf>>, at: Option<Range<usize>>, who: &str| match home {
            Some(Setting { value, at: Some(at) }) => folder_problem(&key, value, at, facts)
                .filter(|_| reported.insert(value.clone()))
                .into_iter()
                .collect(),
            Some(_) => Vec::new(),
            None if facts.root.is_some() => Vec::new(),
            None if known.iter().any(|problem| problem.key == "root" || problem.key == key) => Vec::new(),
            None => vec![
                Problem::new(key, format!("is missing, and there is no `root` that {who} could use instead"))
                    .at(at, format!("expected a `home` for {who}"))
                    .hint(
                        "add `home = \"/srv/ftp/...\"` here, or `root = \"/srv/ftp\"` at the top of the file",
                    ),
            ],
        };
    if facts.root.is_none() && config.root.is_some() {
        problems.extend(check("root".into(), config.root.as_ref(), None, ""));
    }
    for account in &config.accounts {
        let key = format!("{}.home", account.label);
        problems.extend(check(key, account.home.as_ref(), account.name.at.clone(), "this account"));
    }
    if config.anonymous.enabled.value {
        let at = config.anonymous.enabled.at.clone();
        problems.extend(check("anonymous.home".into(), config.anonymous.home.as_ref(), at, "anonymous"));
    }
}

fn folder_problem(key: &str, path: &Path, at: &Range<usize>, facts: &Facts<'_>) -> Option<Problem> {
    let shown = quote(&path.to_string_lossy());
    let (what, hint) = match (facts.kind_of)(path) {
        PathKind::Folder => return None,
        PathKind::Missing => (
            format!("{shown} does not exist"),
            format!("create it (mkdir -p {}), or correct the path", shell_word(path)),
        ),
        PathKind::Other => {
            (format!("{shown} is not a folder"), "name the folder that holds the files".into())
        }
    };
    Some(Problem::new(key, what).at(Some(at.clone()), "expected the path of a folder that exists").hint(hint))
}

/// Returns the path as it can be pasted into a shell.
fn shell_word(path: &Path) -> String {
    let text = crate::escape::for_people(&path.to_string_lossy());
    let plain = text.chars().all(|letter| letter.is_alphanumeric() || "/._-+@".contains(letter));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Fills in the values that follow from facts, and returns the descriptors that are needed.
pub(super) fn derive(config: &mut Config, facts: &Facts<'_>) -> Needs {
    let bounds = Bounds::of(config);
    let connections = match &config.limits.connections {
        Some(connections) => connections.value,
        None => bounds.connections_for(facts.descriptor_limit),
    };
    let needs = Needs::new(connections, bounds, &config.overload, facts.descriptor_limit);
    derive_rows(&mut config.effective, &needs, facts.umask);
    needs
}

/// Fills in the rows whose values follow from the descriptors and the umask.
pub fn derive_rows(rows: &mut [Effective], needs: &Needs, umask: u32) {
    for row in rows.iter_mut().filter(|row| !matches!(row.origin, Origin::Line(_))) {
        let (value, how) = match row.row.path {
            "limits.connections" => (
                needs.connections.to_string(),
                needs.bounds.derivation(needs.connections, needs.descriptor_limit),
            ),
            "account[].file_mode" => {
                (format!("{:04o}", 0o666 & !umask), format!("0666 without the umask {umask:04o}"))
            }
            "account[].dir_mode" => {
                (format!("{:04o}", 0o777 & !umask), format!("0777 without the umask {umask:04o}"))
            }
            _ => continue,
        };
        row.value = value;
        row.origin = Origin::Derived(how);
    }
}
