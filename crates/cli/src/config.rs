//! The configuration file: read along the table of keys, every error with file, line, key, expectation and hint.

mod admin;
mod check;
mod duration;
mod limits;
mod ownership;
mod problem;
mod reader;
pub mod reload;
mod secret;
mod size;
mod source;
mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_admission::Overload;
use tidegate_types::{Creation, Rights, UploadStyle};
use toml::de::DeTable;

pub use admin::{Admin, admin_socket};
pub use check::{Bounds, DESCRIPTORS_KEPT, Facts, Needs, PathKind, connections_for, derive_rows};
pub use duration::{DurationError, parse as parse_duration, show as show_duration};
pub use limits::{Ban, Limits, ListenerShadow, Override, Reserved, Shadow, WaitingRoom};
pub use ownership::Users;
pub use problem::{Drawing, Other, Problem, Problems};
pub use reader::{Effective, Origin, Setting};
pub use secret::Secret;
pub use source::{Source, SourceError};
pub use value::{
    Durability, DurationLimit, ExtraCommands, Factor, ListenAddress, ListenerTls, LogFormat, Mode, Network,
    NetworkList, Owner, PassiveAddress, Patterns, PercentLimit, Place, PortRange, RateLimit, SizeLimit,
    Value, Who,
};

use reader::{Reader, Section};

/// Everything a configuration file says, defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Home of accounts that name none.
    pub root: Option<Setting<PathBuf>>,
    /// The text of the 220.
    pub greeting: String,
    /// What is synced before 226.
    pub durability: Durability,
    /// Where what outlives a restart is kept.
    pub state: Setting<Place>,
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// Whether the listeners stand in the file.
    pub has_listeners: bool,
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// What anonymous may do.
    pub anonymous: Anonymous,
    /// How many may enter, how fast, and who is treated otherwise.
    pub limits: Limits,
    /// When the machine is overloaded.
    pub overload: Overload,
    /// How files are kept and what is offered.
    pub files: Files,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Where the running server can be looked into.
    pub admin: Admin,
    /// Every value in force, in the order of the table of keys.
    pub effective: Vec<Effective>,
}

/// One `[[listener]]`.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name for people, such as `listener[1]`.
    pub label: String,
    /// Where clients connect.
    pub address: Setting<ListenAddress>,
    /// Whether it encrypts.
    pub tls: ListenerTls,
    /// Ports for data connections; `None`: any free ones.
    pub passive_ports: Option<Setting<PortRange>>,
    /// The address a PASV reply tells.
    pub passive_address: PassiveAddress,
    /// Who must speak the PROXY protocol; empty: nobody.
    pub trusted_proxies: Setting<NetworkList>,
    /// Most connections; `None`: no such limit.
    pub connections: Option<Setting<u32>>,
    /// New connections in a time; `None`: no such limit.
    pub connection_rate: Option<Setting<RateLimit>>,
    /// Limits of it that are counted and not enforced.
    pub shadow: ListenerShadow,
    /// Other addresses for clients from some networks.
    pub passive_address_for: Vec<PassiveException>,
}

/// One `[[listener.passive_address_for]]`.
#[derive(Clone, Debug)]
pub struct PassiveException {
    /// Its name for people, such as `listener[1].passive_address_for[2]`.
    pub label: String,
    /// Where the clients come from.
    pub from: Setting<Network>,
    /// The address a PASV reply tells them.
    pub address: PassiveAddress,
}

/// One `[[account]]`.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name for people, such as `account[alice]`.
    pub label: String,
    /// What the client sends with USER.
    pub name: Setting<String>,
    /// Proves the password.
    pub password_hash: Secret,
    /// What it sees as `/`; `None` is an error unless the command line gives a root.
    pub home: Option<Setting<PathBuf>>,
    /// What it may do.
    pub rights: Rights,
    /// Most connections at a time; `None`: no such limit.
    pub max_connections: Option<Setting<u32>>,
    /// How its files are replaced.
    pub upload: UploadStyle,
    /// Who owns what it creates; `None`: the service.
    pub owner: Option<Setting<Owner>>,
    /// The mode of files it creates; `None`: what the umask leaves.
    pub file_mode: Option<Setting<Mode>>,
    /// The mode of folders it creates; `None`: what the umask leaves.
    pub dir_mode: Option<Setting<Mode>>,
    /// The three above, with names looked up.
    pub creation: Creation,
}

/// `[anonymous]`.
#[derive(Clone, Debug)]
pub struct Anonymous {
    /// Whether the file has the section.
    pub is_present: bool,
    /// Whether anonymous may log in.
    pub enabled: Setting<bool>,
    /// What it sees as `/`; `None` is an error unless the command line gives a root.
    pub home: Option<Setting<PathBuf>>,
    /// What it may do.
    pub rights: Rights,
    /// Most connections at a time; `None`: no such limit.
    pub max_connections: Option<Setting<u32>>,
}

/// `[files]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Whether cut uploads of new files are kept.
    pub keep_partial: bool,
    /// Names that are hidden and refused.
    pub deny_names: Patterns,
    /// The largest size of a file, in bytes; `None`: no such limit.
    pub bytes_max: Option<u64>,
    /// Whether MODE Z is offered.
    pub mode_z: bool,
    /// Commands that are on beside the usual ones.
    pub extra_commands: ExtraCommands,
}

/// `[timeouts]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the greeting to a login.
    pub login: Duration,
    /// Without a command or a transfer.
    pub idle: Duration,
    /// A transfer without a byte.
    pub data_stall: Duration,
    /// Until a data connection stands.
    pub data_open: Duration,
    /// What transfers get to finish after SIGTERM.
    pub shutdown: Duration,
}

/// A configuration without errors, and what an operator should know about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Its warnings, if there are any.
    pub warnings: Option<Problems>,
    /// The descriptors it needs.
    pub needs: Needs,
}

impl Config {
    /// Returns what holds without a file.
    pub fn defaults() -> Self {
        let source = Source::from_text("defaults", Path::new(""), "");
        let top = DeTable::new();
        read(&mut Reader::new(&source, &top))
    }

    /// Reads and checks `source` against `facts` of the world. Errors: every problem found, in the order of the lines.
    pub fn load(source: &Source, facts: &Facts<'_>) -> Result<Loaded, Problems> {
        let (parsed, errors) = DeTable::parse_recoverable(&source.text);
        let failed = |list| Problems { source: source.clone(), list, secrets: Vec::new() };
        if !errors.is_empty() {
            return Err(failed(errors.iter().map(syntax_problem).collect()));
        }
        let mut reader = Reader::new(source, parsed.get_ref());
        let mut config = read(&mut reader);
        let mut list = std::mem::take(&mut reader.problems);
        list.extend(ownership::resolve(&mut config, facts));
        let contradictions = check::contradictions(&config, facts, &list);
        list.extend(contradictions);
        list.sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
        let needs = check::derive(&mut config, facts);
        let problems = Problems { source: source.clone(), list, secrets: reader.secrets };
        match (problems.has_errors(), problems.list.is_empty()) {
            (true, _) => Err(problems),
            (false, empty) => Ok(Loaded { config, warnings: (!empty).then_some(problems), needs }),
        }
    }
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    let message = crate::escape::for_people(error.message());
    let hint = message
        .contains("duplicate")
        .then_some("each key stands once in its section; [[account]] and [[listener]] may be repeated");
    let mut problem = Problem::new("", format!("this is not TOML: {message}")).at(error.span(), "here");
    problem.hint = hint.map(Into::into);
    problem
}

/// Reads every key once, in the order of the table.
fn read(reader: &mut Reader<'_>) -> Config {
    let top = reader.top();
    let root = reader.may(&top, "root");
    let greeting = reader.must(&top, "greeting").value;
    let durability = reader.must(&top, "durability").value;
    let state = reader.must(&top, "state");
    let (listeners, has_listeners) = read_listeners(reader);
    let accounts = read_accounts(reader, root.as_ref());
    let anonymous = read_anonymous(reader, root.as_ref());
    let limits = limits::read(reader);
    let overload = limits::read_overload(reader);
    let files = read_files(reader);
    let timeouts = read_timeouts(reader);
    let log = reader.section("log");
    Config {
        root,
        greeting,
        durability,
        state,
        listeners,
        has_listeners,
        accounts,
        anonymous,
        limits,
        overload,
        files,
        timeouts,
        log_format: reader.must(&log, "format").value,
        admin: admin::read(reader),
        effective: std::mem::take(&mut reader.effective),
    }
}

fn read_listeners(reader: &mut Reader<'_>) -> (Vec<Listener>, bool) {
    // Listeners are numbered: no key of theirs is a name.
    let mut sections = reader.top().sections("listener[]", "");
    let has_listeners = !sections.is_empty();
    if !has_listeners {
        sections.push(Reader::absent("listener[]", "listener[1]"));
    }
    (sections.iter().map(|section| read_listener(reader, section)).collect(), has_listeners)
}

fn read_listener<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Listener {
    Listener {
        label: section.label.clone(),
        address: reader.must(section, "address"),
        tls: reader.must(section, "tls").value,
        passive_ports: reader.may(section, "passive_ports"),
        passive_address: reader.must(section, "passive_address").value,
        trusted_proxies: reader.must(section, "trusted_proxies"),
        connections: reader.may(section, "connections"),
        connection_rate: reader.may(section, "connection_rate"),
        shadow: limits::read_listener_shadow(reader, section),
        passive_address_for: read_exceptions(reader, section),
    }
}

fn read_exceptions<'t>(reader: &mut Reader<'t>, listener: &Section<'t>) -> Vec<PassiveException> {
    let sections = listener.sections("listener[].passive_address_for[]", "");
    let exception = |section: Section<'t>| PassiveException {
        from: reader.must(&section, "from"),
        address: reader.must(&section, "address").value,
        label: section.label,
    };
    sections.into_iter().map(exception).collect()
}

fn read_files(reader: &mut Reader<'_>) -> Files {
    let section = reader.section("files");
    Files {
        keep_partial: reader.must(&section, "keep_partial").value,
        deny_names: reader.must(&section, "deny_names").value,
        bytes_max: reader.must::<SizeLimit>(&section, "max_file_size").value.0,
        mode_z: reader.must(&section, "mode_z").value,
        extra_commands: reader.must(&section, "extra_commands").value,
    }
}

fn read_accounts(reader: &mut Reader<'_>, root: Option<&Setting<PathBuf>>) -> Vec<Account> {
    let mut accounts = Vec::new();
    for section in reader.top().sections("account[]", "name") {
        // What could not be read is reported, and an empty value stands in until the file is refused.
        let name: Option<Setting<String>> = reader.may(&section, "name");
        let name = name.unwrap_or(Setting { value: String::new(), at: section.at.clone() });
        accounts.push(Account {
            name,
            password_hash: reader.must(&section, "password_hash").value,
            home: reader.may_or(&section, "home", root.map(|root| (root, "root"))),
            rights: reader.must(&section, "rights").value,
            max_connections: reader.may(&section, "max_connections"),
            upload: reader.must(&section, "upload").value,
            owner: reader.may(&section, "owner"),
            file_mode: reader.may(&section, "file_mode"),
            dir_mode: reader.may(&section, "dir_mode"),
            creation: Creation::default(),
            label: section.label,
        });
    }
    accounts
}

fn read_anonymous(reader: &mut Reader<'_>, root: Option<&Setting<PathBuf>>) -> Anonymous {
    let section = reader.section("anonymous");
    let enabled = reader.must(&section, "enabled");
    let listed = reader.effective.len();
    let anonymous = Anonymous {
        is_present: section.is_present(),
        enabled,
        home: reader.may_or(&section, "home", root.map(|root| (root, "root"))),
        rights: reader.must(&section, "rights").value,
        max_connections: reader.may(&section, "max_connections"),
    };
    if !section.is_present() {
        // What nobody can use is not in force.
        reader.effective.truncate(listed);
    }
    anonymous
}

fn read_timeouts(reader: &mut Reader<'_>) -> Timeouts {
    let section = reader.section("timeouts");
    Timeouts {
        login: reader.must(&section, "login").value,
        idle: reader.must(&section, "idle").value,
        data_stall: reader.must(&section, "data_stall").value,
        data_open: reader.must(&section, "data_open").value,
        shutdown: reader.must(&section, "shutdown").value,
    }
}

#[cfg(test)]
mod tests;
