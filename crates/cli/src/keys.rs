//! The table of configuration keys: one row each, from which the parser, the defaults and the manual are made.

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One line of printable text.
    Greeting,
    /// The name of an account.
    AccountName,
    /// An argon2id hash in PHC form.
    PasswordHash,
    /// The path of a folder; relative ones start at the folder of the configuration file.
    Folder,
    /// An IP address with a port.
    SocketAddress,
    /// `LOW-HIGH`, ports from 1024 on.
    PortRange,
    /// `auto`, an IPv4 address or a host name.
    PassiveAddress,
    /// One word for a set of rights, or a list of rights.
    Rights,
    /// A time span such as `1h30m`.
    Duration {
        /// The shortest that makes sense, in seconds.
        least_secs: u64,
        /// The longest that makes sense, in seconds.
        most_secs: u64,
    },
    /// A time span, at least a millisecond, or `off`.
    DurationOrOff,
    /// A part of a whole such as `80%`, or `off`.
    PercentOrOff,
    /// So many in a time, such as `30/10s`.
    Rate,
    /// At most this many in a time.
    RateUpTo(u32),
    /// A number from 1 on that something is multiplied by.
    Factor,
    /// A network in CIDR form, or an address.
    Network,
    /// A list of networks and addresses.
    Networks,
    /// `auto`, `off` or the path of a Unix socket.
    Socket,
    /// `auto`, `off` or the path of a folder.
    StateFolder,
    /// `user`, `user:group` or `:group`, names or numbers.
    Owner,
    /// Three or four octal digits without set-id bits.
    FileMode,
    /// Three or four octal digits.
    FolderMode,
    /// A number of bytes, or a text such as `10GiB`.
    Size,
    /// A list of patterns for names.
    Patterns,
    /// A list of commands that are off unless they are named.
    ExtraCommands,
    /// A whole number from 1 on.
    Count,
    /// A whole number from 1 to this.
    CountUpTo(u32),
    /// `true` or `false`.
    Switch,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Not read in this version.
    Unread,
}

impl Kind {
    /// Returns what is expected, for an error: a phrase that follows "expected".
    pub fn expected(self) -> String {
        match self {
            Self::Greeting => "one line of text in quotes, such as \"Welcome\"".into(),
            Self::AccountName => "a name in quotes, such as \"alice\"".into(),
            Self::PasswordHash => "the line that `tidegate hash-password` prints".into(),
            Self::Folder => "the path of a folder, such as \"/srv/ftp\"".into(),
            Self::SocketAddress => {
                "an IP address and a port, such as \"0.0.0.0:2121\" or \"[::]:2121\"".into()
            }
            Self::PortRange => "two ports from 1024 on, such as \"50000-50999\"".into(),
            Self::PassiveAddress => "\"auto\", an IPv4 address or a host name".into(),
            Self::Rights => {
                "\"read-only\", \"all\", \"upload-only\" or a list such as [\"list\", \"read\"]".into()
            }
            Self::Duration { .. } => "a number with a unit, such as \"30s\", \"5m\" or \"1h30m\"".into(),
            Self::DurationOrOff => "a number with a unit, such as \"100ms\" or \"5s\", or \"off\"".into(),
            Self::PercentOrOff => "a percentage in quotes, such as \"80%\", or \"off\"".into(),
            Self::Rate => "so many in a time, such as \"30/10s\" or \"5/5m\"".into(),
            Self::RateUpTo(most) => format!("at most {most} in a time, such as \"5/5m\""),
            Self::Factor => "a number from 1 on, such as 2.0".into(),
            Self::Network => "a network, such as \"10.0.0.0/8\"".into(),
            Self::Networks => "a list of networks, such as [\"10.0.0.0/8\", \"192.0.2.7\"]".into(),
            Self::Socket => "\"auto\", \"off\" or a path, such as \"/run/tidegate/tidegate.sock\"".into(),
            Self::StateFolder => "\"auto\", \"off\" or the path of a folder".into(),
            Self::Owner => {
                "a user, a group or both, such as \"alice\", \":www-data\" or \"alice:www-data\"".into()
            }
            Self::FileMode => "three or four octal digits in quotes, such as \"0644\"".into(),
            Self::FolderMode => "three or four octal digits in quotes, such as \"0755\" or \"2775\"".into(),
            Self::Size => "a number of bytes, or a text such as \"10GiB\" or \"500MB\"".into(),
            Self::Patterns => "a list of patterns for names, such as [\".ht*\", \"*.bak\"]".into(),
            Self::ExtraCommands => "a list of commands, such as [\"RMDA\", \"SITE CHGRP\"]".into(),
            Self::Count => "a whole number from 1 on, without quotes".into(),
            Self::CountUpTo(most) => format!("a whole number from 1 to {most}, without quotes"),
            Self::Switch => "true or false, without quotes".into(),
            Self::Word(words) => one_of(words),
            Self::Unread => "nothing yet".into(),
        }
    }
}

/// Returns `"a", "b" or "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This value, written as in the file.
    Is(&'static str),
    /// Nothing is set; the text says what that means.
    Absent(&'static str),
    /// Absence is an error.
    Required,
}

/// From which version on a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It works from this version on.
    Version(&'static str),
    /// The design names it, this version does not read it.
    Later,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it stands: dots between sections, `[]` after a section that may be repeated.
    pub path: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What holds without it.
    pub fallback: Fallback,
    /// What it does, in one line.
    pub doc: &'static str,
    /// From when on it works.
    pub since: Since,
    /// Why a change of it waits for a restart; `None`: a reload takes it over.
    pub restart: Option<&'static str>,
}

impl Key {
    /// Returns the key as one that a reload does not take over.
    const fn restart(self, why: &'static str) -> Self {
        Self { restart: Some(why), ..self }
    }
}

const fn key(path: &'static str, kind: Kind, fallback: Fallback, doc: &'static str) -> Key {
    Key { path, kind, fallback, doc, since: Since::Version("0.1.0"), restart: None }
}

const fn later(path: &'static str, doc: &'static str) -> Key {
    let fallback = Fallback::Absent("not built yet");
    Key { path, kind: Kind::Unread, fallback, doc, since: Since::Later, restart: None }
}

/// The words of `durability`.
pub const DURABILITY: &[&str] = &["full", "file", "none"];
/// The words of `listener.tls` that this version offers.
pub const LISTENER_TLS: &[&str] = &["off"];
/// The words of `account.upload`.
pub const UPLOAD: &[&str] = &["atomic", "in-place"];
/// The words of `log.format`.
pub const LOG_FORMAT: &[&str] = &["auto", "text", "json"];

/// The words of `limits.reclaim`.
pub const RECLAIM: &[&str] = &["off", "dead", "idle"];

/// The most failed logins that are counted before a ban: the gate counts ten times as many of an address, in 16 bits.
const LOGIN_FAILURES_MAX: u32 = u16::MAX as u32 / 10;

const COUNT: Kind = Kind::Count;
const RATE: Kind = Kind::Rate;
const NETWORKS: Kind = Kind::Networks;
const SWITCH: Kind = Kind::Switch;
const AT_LEAST_A_SECOND: Kind = Kind::Duration { least_secs: 1, most_secs: u64::MAX };
const NO_LIMIT: Fallback = Fallback::Absent("no limit");
const AS_FOR_ALL: Fallback = Fallback::Absent("as for everybody");
const NOT_TRIED: Fallback = Fallback::Absent("not tried out");

const BOUND: &str = "listeners are bound when the server starts";
const OPENED: &str = "it is opened when the server starts";
const STORAGE: &str = "it decides how files are kept, which must not differ between sessions";
const LOGGING: &str = "logging is set up when the server starts";

/// Every key of the design, in the order of the manual. Rows that work come before later ones of the same section.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("root", Kind::Folder, Fallback::Absent("none"), "home of accounts that name none").restart(STORAGE),
    key("greeting", Kind::Greeting, Fallback::Is("'tidegate ready'"), "the text of the 220 that greets a client"),
    key("durability", Kind::Word(DURABILITY), Fallback::Is("'full'"), "what is synced to disk before 226: file and folder, the file, nothing").restart(STORAGE),
    key("state", Kind::StateFolder, Fallback::Is("'auto'"), "the folder for what outlives a restart: bans; off: it is forgotten").restart(OPENED),

    key("listener[].address", Kind::SocketAddress, Fallback::Is("'127.0.0.1:2121'"), "where clients connect; [::] takes IPv4 too").restart(BOUND),
    key("listener[].tls", Kind::Word(LISTENER_TLS), Fallback::Is("'off'"), "whether connections may or must be encrypted").restart(BOUND),
    key("listener[].passive_ports", Kind::PortRange, Fallback::Absent("a shuffled pool of free ports"), "ports for data connections").restart(BOUND),
    key("listener[].passive_address", Kind::PassiveAddress, Fallback::Is("'auto'"), "the address told in a PASV reply").restart(BOUND),
    key("listener[].trusted_proxies", NETWORKS, Fallback::Absent("none: PROXY is off"), "networks that must speak the PROXY protocol").restart(BOUND),
    key("listener[].connections", COUNT, NO_LIMIT, "most connections of this listener"),
    key("listener[].connection_rate", RATE, NO_LIMIT, "new connections of this listener in a time"),

    key("listener[].shadow.connections", COUNT, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),
    key("listener[].shadow.connection_rate", RATE, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),

    key("listener[].passive_address_for[].from", Kind::Network, Fallback::Required, "clients from here are told another address; the narrowest network wins").restart(BOUND),
    key("listener[].passive_address_for[].address", Kind::PassiveAddress, Fallback::Required, "the address told in a PASV reply to them").restart(BOUND),

    later("tls.certificate", "certificate file, or a list for several names"),
    later("tls.key", "private key file"),
    later("tls.session_reuse", "whether data connections must resume their control session"),
    later("tls.client_certificates", "whether clients show a certificate"),
    later("tls.client_ca", "who signs client certificates"),
    later("tls.lenient_close", "whether an upload may end without close_notify"),
    later("tls.allow_plain_login", "whether a password may come in clear"),

    later("accounts_file", "a file with accounts, reloaded when it changes"),
    key("account[].name", Kind::AccountName, Fallback::Required, "what the client sends with USER"),
    key("account[].password_hash", Kind::PasswordHash, Fallback::Required, "proves the password; made by tidegate hash-password"),
    key("account[].home", Kind::Folder, Fallback::Absent("the root"), "the folder the account sees as /"),
    key("account[].rights", Kind::Rights, Fallback::Is("'read-only'"), "what the account may do"),
    key("account[].max_connections", COUNT, NO_LIMIT, "most connections of the account at a time"),
    key("account[].upload", Kind::Word(UPLOAD), Fallback::Is("'atomic'"), "replace files by rename, or write into them"),
    key("account[].owner", Kind::Owner, Fallback::Absent("the service's"), "owner and group of what the account creates"),
    key("account[].file_mode", Kind::FileMode, Fallback::Absent("what the service's umask leaves of 0666"), "mode of files that the account creates"),
    key("account[].dir_mode", Kind::FolderMode, Fallback::Absent("what the service's umask leaves of 0777"), "mode of folders that the account creates"),
    later("account[].quota", "most bytes and files of the account"),
    later("account[].networks", "where the account may log in from"),
    later("account[].require_tls", "whether the account must use TLS"),
    later("account[].expires", "the day the account ends"),

    key("anonymous.enabled", Kind::Switch, Fallback::Is("false"), "whether anonymous may log in"),
    key("anonymous.home", Kind::Folder, Fallback::Absent("the root"), "the folder anonymous sees as /"),
    key("anonymous.rights", Kind::Rights, Fallback::Is("'read-only'"), "what anonymous may do"),
    key("anonymous.max_connections", COUNT, NO_LIMIT, "most anonymous connections at a time"),

    key("limits.connections", COUNT, Fallback::Absent("derived from the descriptor limit"), "most connections in all"),
    key("limits.connections_per_address", COUNT, NO_LIMIT, "most connections of one IPv4 address or IPv6 /64"),
    key("limits.connections_unauthenticated", COUNT, NO_LIMIT, "most connections that are not logged in"),
    key("limits.connection_rate_per_address", RATE, NO_LIMIT, "new connections of one address in a time"),
    key("limits.transfers", COUNT, NO_LIMIT, "most transfers in all"),
    key("limits.transfers_per_address", COUNT, NO_LIMIT, "most transfers of one address"),
    key("limits.login_failures", Kind::RateUpTo(LOGIN_FAILURES_MAX), Fallback::Absent("never: only operators ban"), "failed logins in a time before a ban"),
    key("limits.allow", NETWORKS, Fallback::Absent("everybody"), "networks that may connect; all others may not"),
    key("limits.deny", NETWORKS, Fallback::Absent("nobody"), "networks that may not connect; stronger than allow"),
    key("limits.deny_silent", SWITCH, Fallback::Is("false"), "whether the denied are closed without a word"),
    key("limits.trusted", NETWORKS, Fallback::Is("['127.0.0.0/8', '::1/128']"), "networks that are never banned"),
    key("limits.reclaim", Kind::Word(RECLAIM), Fallback::Is("'off'"), "whose place goes to a newcomer of the same address or account"),
    key("limits.command_rate", RATE, NO_LIMIT, "commands of one session in a time; faster ends the session"),

    key("limits.reserved.connections", COUNT, Fallback::Required, "how many of all connections are kept for some networks"),
    key("limits.reserved.from", NETWORKS, Fallback::Required, "the networks they are kept for; never banned"),

    key("limits.ban.first", AT_LEAST_A_SECOND, Fallback::Is("'1m'"), "how long the first ban lasts"),
    key("limits.ban.factor", Kind::Factor, Fallback::Is("2.0"), "what each further ban is longer by"),
    key("limits.ban.most", AT_LEAST_A_SECOND, Fallback::Is("'1d'"), "the longest ban"),
    key("limits.ban.silent", SWITCH, Fallback::Is("false"), "whether the banned are closed without a word"),

    key("limits.waiting_room.hold", Kind::Duration { least_secs: 0, most_secs: 30 }, Fallback::Is("'0s'"), "how long a greeting may wait for a place; 0s: not at all"),
    key("limits.waiting_room.places", Kind::CountUpTo(tidegate_admission::PLACES_MAX), Fallback::Is("64"), "how many may wait at a time"),

    key("limits.shadow.connections", COUNT, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),
    key("limits.shadow.connections_per_address", COUNT, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),
    key("limits.shadow.connections_unauthenticated", COUNT, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),
    key("limits.shadow.connection_rate_per_address", RATE, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),
    key("limits.shadow.transfers", COUNT, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),
    key("limits.shadow.transfers_per_address", COUNT, NOT_TRIED, "counts what this limit would refuse, refuses nothing"),

    key("limits.override[].from", Kind::Network, Fallback::Required, "the network with other limits; the narrowest network wins"),
    key("limits.override[].connections_per_address", COUNT, AS_FOR_ALL, "most connections of one address there"),
    key("limits.override[].connection_rate_per_address", RATE, AS_FOR_ALL, "new connections of one address there in a time"),
    key("limits.override[].transfers_per_address", COUNT, AS_FOR_ALL, "most transfers of one address there"),

    key("overload.memory", Kind::PercentOrOff, Fallback::Is("'80%'"), "memory in use at which newcomers are refused"),
    key("overload.descriptors", Kind::PercentOrOff, Fallback::Is("'90%'"), "descriptors in use at which newcomers are refused"),
    key("overload.scheduling_delay", Kind::DurationOrOff, Fallback::Is("'100ms'"), "delay of the server's own tasks at which newcomers are refused"),
    key("overload.cpu_pressure", Kind::PercentOrOff, Fallback::Is("'off'"), "time in which tasks wait for a CPU at which newcomers are refused"),
    key("overload.storage_latency", Kind::DurationOrOff, Fallback::Is("'5s'"), "answering time of the storage at which newcomers are refused"),

    key("files.keep_partial", Kind::Switch, Fallback::Is("true"), "keep cut uploads of new files, so that they can be resumed").restart(STORAGE),
    key("files.deny_names", Kind::Patterns, Fallback::Absent("none"), "names that are hidden and refused, in every folder; * ? [a-z] are wildcards").restart(STORAGE),
    key("files.max_file_size", Kind::Size, Fallback::Absent("no limit"), "the largest file a client may store"),
    key("files.mode_z", Kind::Switch, Fallback::Is("false"), "whether MODE Z may compress transfers"),
    key("files.extra_commands", Kind::ExtraCommands, Fallback::Absent("none"), "commands that are off unless they are named here"),

    key("timeouts.login", AT_LEAST_A_SECOND, Fallback::Is("'30s'"), "from the greeting to a login"),
    key("timeouts.idle", AT_LEAST_A_SECOND, Fallback::Is("'5m'"), "without a command or a transfer"),
    key("timeouts.data_stall", AT_LEAST_A_SECOND, Fallback::Is("'60s'"), "a transfer without a byte"),
    key("timeouts.data_open", AT_LEAST_A_SECOND, Fallback::Is("'20s'"), "until a data connection stands"),
    key("timeouts.shutdown", Kind::Duration { least_secs: 0, most_secs: u64::MAX }, Fallback::Is("'60s'"), "what transfers get to finish after SIGTERM"),
    later("timeouts.handshake", "until TLS stands"),

    key("log.format", Kind::Word(LOG_FORMAT), Fallback::Is("'auto'"), "text for people, json for programs; auto: text on a terminal").restart(LOGGING),
    later("log.audit", "a file with one record per deed"),
    later("log.xferlog", "a file in the form other servers use"),

    later("process.user", "the user to become after binding"),
    later("process.sandbox", "whether the kernel confines the process"),

    key("admin.socket", Kind::Socket, Fallback::Is("'auto'"), "where the control commands connect").restart(OPENED),
    key("admin.http", Kind::SocketAddress, Fallback::Absent("off"), "where health and metrics are told").restart(OPENED),
    key("admin.agent", Kind::SocketAddress, Fallback::Absent("off"), "where load balancers ask for the state of the server").restart(OPENED),
];

/// Returns the row of `path`, such as `timeouts.idle` or `account[].name`.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Returns the keys that work and stand directly in `section` (such as `timeouts` or `account[]`, empty for the top).
pub fn names_in(section: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(|key| key.since != Since::Later).filter_map(move |key| {
        match key.path.rsplit_once('.') {
            Some((head, name)) => (head == section).then_some(name),
            None => section.is_empty().then_some(key.path),
        }
    })
}

/// Returns the sections, each once, in table order: `listener[]`, `timeouts` ...
pub fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = KEYS.iter().filter_map(|key| Some(key.path.rsplit_once('.')?.0)).collect();
    sections.dedup();
    sections
}

/// Returns whether `section` holds a key that works.
pub fn works(section: &str) -> bool {
    names_in(section).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_row() {
        let mut paths: Vec<_> = KEYS.iter().map(|key| key.path).collect();
        paths.sort_unstable();
        let before = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), before);
        assert!(KEYS.iter().all(|key| !key.doc.is_empty() && key.doc.len() < 80));
    }

    #[test]
    fn sections_are_listed_once() {
        let mut sections = sections();
        let before = sections.len();
        sections.sort_unstable();
        sections.dedup();
        assert_eq!(sections.len(), before, "the rows of a section stand together");
        assert!(works("timeouts") && works("listener[]") && !works("tls") && !works("nothing"));
        assert!(works("limits.ban") && works("listener[].shadow") && works("limits.override[]"));
    }

    /// The keys whose change waits for a restart; all others are taken over by a reload.
    #[test]
    fn what_needs_a_restart() {
        let paths = KEYS.iter().filter(|key| key.restart.is_some()).map(|key| key.path);
        let expected = [
            "root",
            "durability",
            "state",
            "listener[].address",
            "listener[].tls",
            "listener[].passive_ports",
            "listener[].passive_address",
            "listener[].trusted_proxies",
            "listener[].passive_address_for[].from",
            "listener[].passive_address_for[].address",
            "files.keep_partial",
            "files.deny_names",
            "log.format",
            "admin.socket",
            "admin.http",
            "admin.agent",
        ];
        assert_eq!(paths.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_read_as_a_sentence() {
        assert_eq!(Kind::Word(DURABILITY).expected(), "\"full\", \"file\" or \"none\"");
        assert_eq!(Kind::Word(LISTENER_TLS).expected(), "\"off\"");
    }
}
