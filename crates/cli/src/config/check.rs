//! What single values cannot tell: contradictions between them, and between them and the world.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::ownership::Users;
use super::problem::Problem;
use super::reader::{Origin, Setting, duplicates};
use super::value::quote;
use super::{Config, Listener};

/// Descriptors kept back for logs, listeners and refusals when the number of connections is derived.
pub const DESCRIPTORS_KEPT: u64 = 64;
/// Descriptors one connection may need: control, data, file, and one of a kernel copy.
pub const DESCRIPTORS_PER_CONNECTION: u64 = 4;

/// Returns how many connections `descriptor_limit` descriptors carry; at least 1.
pub fn connections_for(descriptor_limit: u64) -> u32 {
    let connections = descriptor_limit.saturating_sub(DESCRIPTORS_KEPT) / DESCRIPTORS_PER_CONNECTION;
    u32::try_from(connections.max(1)).unwrap_or(u32::MAX)
}

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
    check_listeners(&config.listeners, &mut problems);
    check_passive_networks(&config.listeners, &mut problems);
    check_names(config, &mut problems);
    check_homes(config, facts, known, &mut problems);
    check_limits(config, facts, &mut problems);
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

fn check_listeners(listeners: &[Listener], problems: &mut Vec<Problem>) {
    for (position, listener) in listeners.iter().enumerate() {
        let address = listener.address.value.0;
        let key = format!("{}.address", listener.label);
        if let Some(other) =
            listeners.iter().take(position).find(|other| overlap(address, other.address.value.0))
        {
            problems.push(
                Problem::new(
                    key,
                    format!("{address} is taken by {} ({})", other.label, other.address.value.0),
                )
                .at(listener.address.at.clone(), "expected an address and port of its own")
                .hint("remove one of the two, or change its port"),
            );
        }
        if let Some(ports) = &listener.passive_ports
            && let Some(hit) = listeners
                .iter()
                .map(|other| other.address.value.0.port())
                .find(|port| (ports.value.low..=ports.value.high).contains(port))
        {
            problems.push(
                Problem::new(
                    format!("{}.passive_ports", listener.label),
                    format!("port {hit} in it is a listener's"),
                )
                .at(ports.at.clone(), "expected ports that nothing else uses")
                .hint("move the range"),
            );
        }
    }
}

fn check_passive_networks(listeners: &[Listener], problems: &mut Vec<Problem>) {
    for listener in listeners {
        // What could not be read is reported already.
        let read = listener.passive_address_for.iter().filter(|exception| exception.from.at.is_some());
        for exception in read.clone().filter(|exception| exception.from.value.0.addr().is_ipv6()) {
            problems.push(
                Problem::new(
                    format!("{}.from", exception.label),
                    format!(
                        "{} is never told an address: over IPv6 there is no PASV",
                        exception.from.value.0
                    ),
                )
                .at(exception.from.at.clone(), "expected an IPv4 network")
                .hint("leave it out: IPv6 clients use EPSV, which needs no address")
                .warning(),
            );
        }
        for (first, second) in duplicates(read.map(|exception| (exception.from.value, exception))) {
            problems.push(
                Problem::new(
                    format!("{}.from", second.label),
                    format!("{} has its address in {} already", second.from.value.0, first.label),
                )
                .at(second.from.at.clone(), "expected a network of its own")
                .hint("remove one of the two"),
            );
        }
    }
}

/// Returns whether both could not be bound: the same port, and the same address or one that stands for all.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (first, second) = (one.ip().to_canonical(), other.ip().to_canonical());
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V6(wide) => wide.is_unspecified(),
        IpAddr::V4(wide) => wide.is_unspecified() && narrow.is_ipv4(),
    };
    // Port 0 is a fresh port each time.
    one.port() == other.port()
        && one.port() != 0
        && (first == second || covers(first, second) || covers(second, first))
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

fn check_limits(config: &Config, facts: &Facts<'_>, problems: &mut Vec<Problem>) {
    let most = connections_for(facts.descriptor_limit);
    if let Some(connections) = &config.connections
        && connections.value > most
    {
        let problem = Problem::new("limits.connections", format!("{} connections need more descriptors than the system gives", connections.value))
            .at(connections.at.clone(), format!("expected {most} at most: ({} descriptors - {DESCRIPTORS_KEPT}) / {DESCRIPTORS_PER_CONNECTION}", facts.descriptor_limit))
            .hint("raise the hard limit (`ulimit -Hn`, or LimitNOFILE= of the systemd unit), or lower the number");
        problems.push(if facts.is_strict { problem } else { problem.warning() });
    }
    let total = config.connections.as_ref().map_or(most, |connections| connections.value);
    let smaller =
        [("limits.connections_per_address".to_owned(), config.connections_per_address.as_ref())]
            .into_iter()
            .chain(config.accounts.iter().map(|account| {
                (format!("{}.max_connections", account.label), account.max_connections.as_ref())
            }))
            .chain([("anonymous.max_connections".to_owned(), config.anonymous.max_connections.as_ref())]);
    for (key, setting) in smaller {
        if let Some(Setting { value, at }) = setting
            && *value > total
        {
            problems.push(
                Problem::new(
                    key,
                    format!("{value} is more than all connections together and is never reached"),
                )
                .at(at.clone(), format!("`limits.connections` is {total}"))
                .warning(),
            );
        }
    }
}

/// Fills in the values that follow from facts.
pub(super) fn derive(config: &mut Config, facts: &Facts<'_>) {
    let (limit, umask) = (facts.descriptor_limit, facts.umask);
    let defaults = config.effective.iter_mut().filter(|effective| effective.origin == Origin::Default);
    for effective in defaults {
        let (value, how) = match effective.row.path {
            "limits.connections" => (
                connections_for(limit).to_string(),
                format!("({limit} descriptors - {DESCRIPTORS_KEPT}) / {DESCRIPTORS_PER_CONNECTION}"),
            ),
            "account[].file_mode" => {
                (format!("{:04o}", 0o666 & !umask), format!("0666 without the umask {umask:04o}"))
            }
            "account[].dir_mode" => {
                (format!("{:04o}", 0o777 & !umask), format!("0777 without the umask {umask:04o}"))
            }
            _ => continue,
        };
        effective.value = value;
        effective.origin = Origin::Derived(how);
    }
}
