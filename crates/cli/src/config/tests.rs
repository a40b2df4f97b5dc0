use std::collections::BTreeSet;

use super::*;
use crate::keys::{KEYS, Kind, Since};

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";

fn kind_of(path: &Path) -> PathKind {
    match path.to_str() {
        Some("/srv" | "/srv/alice" | "/srv/pub" | "/etc/tidegate/files") => PathKind::Folder,
        Some("/srv/file") => PathKind::Other,
        _ => PathKind::Missing,
    }
}

fn load_with(text: &str, is_strict: bool) -> Result<Loaded, Problems> {
    let source = Source::from_text("tidegate.toml", Path::new("/etc/tidegate"), text);
    Config::load(&source, &Facts { descriptor_limit: 1024, is_strict, root: None, kind_of: &kind_of })
}

fn load(text: &str) -> Result<Loaded, Problems> {
    load_with(text, true)
}

/// Returns the problems of a text as `key: what | label | hint`.
fn problems(text: &str) -> Vec<String> {
    let list = match load(text) {
        Ok(loaded) => loaded.warnings.map_or(Vec::new(), |warnings| warnings.list),
        Err(problems) => problems.list,
    };
    list.iter()
        .map(|problem| {
            format!("{problem} | {} | {}", problem.label, problem.hint.as_deref().unwrap_or_default())
        })
        .collect()
}

/// Returns a text that is good but for one line, which is placed in its section.
fn with_line(path: &str, value: &str) -> String {
    let mut sections = vec![
        ("", "root = '/srv'".to_owned()),
        ("listener[]", String::new()),
        ("account[]", format!("name = 'alice'\npassword_hash = '{HASH}'")),
        ("anonymous", "enabled = true".to_owned()),
        ("limits", String::new()),
        ("files", String::new()),
        ("timeouts", String::new()),
        ("log", String::new()),
    ];
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let lines = &mut sections.iter_mut().find(|(other, _)| *other == section).unwrap().1;
    let mut kept: Vec<String> =
        lines.lines().filter(|line| !line.starts_with(&format!("{name} ="))).map(Into::into).collect();
    kept.push(format!("{name} = {value}"));
    *lines = kept.join("\n");
    let mut text = String::new();
    // Where anonymous is not tested it stays off.
    for (other, lines) in
        sections.into_iter().filter(|(other, _)| *other != "anonymous" || section == "anonymous")
    {
        match other.strip_suffix("[]") {
            _ if other.is_empty() => {}
            Some(name) => text.extend(["[[", name, "]]\n"]),
            None => text.extend(["[", other, "]\n"]),
        }
        text.push_str(&lines);
        text.push('\n');
    }
    text
}

/// A key, a good value with how it is shown, bad values with a fragment of the message.
type Case = (&'static str, (&'static str, &'static str), &'static [(&'static str, &'static str)]);

/// For each key a value that is not its default with how it is shown, and bad values with a fragment of the message.
const CASES: &[Case] = &[
    (
        "root",
        ("'files'", "/etc/tidegate/files"),
        &[
            ("''", "is empty"),
            ("'~/ftp'", "~"),
            ("7", "the number 7 is not a path | expected the path of a folder"),
            (
                "'/nowhere'",
                "does not exist | expected the path of a folder that exists | create it (mkdir -p /nowhere)",
            ),
            ("'/srv/file'", "is not a folder"),
            ("\"/a\\u0000\"", "control character"),
        ],
    ),
    (
        "greeting",
        ("'Welcome, 潮'", "Welcome, 潮"),
        &[
            ("\"a\\r\\n220 b\"", "control character"),
            ("''", "is empty"),
            ("true", "put it in quotes"),
            ("' x'", "space"),
        ],
    ),
    (
        "durability",
        ("'file'", "file"),
        &[
            (
                "'ful'",
                "\"ful\" is not one of the words | expected \"full\", \"file\" or \"none\" | did you mean \"full\"?",
            ),
            ("true", "true is not one of the words"),
        ],
    ),
    (
        "listener[].address",
        ("'[::]:21'", "[::]:21"),
        &[
            ("'0.0.0.0'", "add the port: \"0.0.0.0:2121\""),
            ("'::1'", "\"[::1]:2121\""),
            ("2121", "\"127.0.0.1:2121\""),
            ("'2121'", "add the address"),
            ("':21'", "\"[::]:21\""),
            ("'*:21'", "\"[::]:21\""),
            ("'localhost:21'", "\"127.0.0.1:21\""),
            ("'ftp.example:21'", "host names are not looked up"),
            ("'1.2.3.4:99999'", "is not an address with a port"),
        ],
    ),
    (
        "listener[].tls",
        ("'off'", "off"),
        &[
            ("'explicit'", "\"explicit\" is designed but not built yet"),
            ("'of'", "did you mean \"off\"?"),
            ("false", "false is not one of the words"),
        ],
    ),
    (
        "listener[].passive_ports",
        ("'50000-50009'", "50000-50009"),
        &[
            (
                "'50009-50000'",
                "empty range | expected two ports from 1024 on, such as \"50000-50999\" | the lower port comes first: \"50000-50009\"",
            ),
            ("'1000-2000'", "begins below 1024"),
            ("'50000'", "\"50000-50000\""),
            ("50000", "put it in quotes"),
            ("'50000-70000'", "65535"),
            ("'a-b'", "is not a range of ports"),
            ("'2000-3000'", "port 2121 in it is a listener's"),
        ],
    ),
    (
        "listener[].passive_address",
        ("'ftp.example.org'", "ftp.example.org"),
        &[
            ("'0.0.0.0'", "no address a client can reach"),
            ("'2001:db8::1'", "EPSV"),
            ("'203.0.113.999'", "neither"),
            ("'a b'", "neither"),
            ("'-x.org'", "neither"),
            ("1", "is not an address"),
        ],
    ),
    (
        "account[].name",
        ("'bob'", "bob"),
        &[
            ("''", "is empty"),
            ("' bob'", "space"),
            ("7", "put it in quotes"),
            ("\"a\\nb\"", "control character"),
        ],
    ),
    (
        "account[].password_hash",
        (
            "'$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkN'",
            "set (argon2id, m=65536,t=3,p=4)",
        ),
        &[
            ("'hunter2'", "account[alice].password_hash: the value does not look like a password hash"),
            ("'$2y$10$abcdefghijklmnopqrstuv'", "another kind than argon2id"),
            ("'$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0'", "has no salt or no hash"),
            ("7", "is not a password hash"),
        ],
    ),
    (
        "account[].home",
        ("'/srv/alice'", "/srv/alice"),
        &[("'/srv/bob'", "account[alice].home: \"/srv/bob\" does not exist")],
    ),
    (
        "account[].rights",
        ("['list', 'mkdir']", "list, mkdir"),
        &[
            ("'everything'", "the rights are: list, read"),
            ("['list', 'wirte']", "did you mean \"write\"?"),
            ("[]", "gives no right"),
            ("['list', 7]", "with the number 7 in it"),
            ("true", "true is not a list of rights"),
            ("'readonly'", "did you mean \"read-only\"?"),
        ],
    ),
    (
        "account[].max_connections",
        ("4", "4"),
        &[("0", "would let nobody in"), ("'4'", "remove the quotes: 4"), ("999", "never reached")],
    ),
    ("account[].upload", ("'in-place'", "in-place"), &[("'inplace'", "did you mean \"in-place\"?")]),
    (
        "anonymous.enabled",
        ("true", "true"),
        &[("'yes'", "write true, without quotes"), ("1", "neither true nor false")],
    ),
    ("anonymous.home", ("'/srv/pub'", "/srv/pub"), &[("''", "is empty")]),
    ("anonymous.rights", ("'upload-only'", "upload-only"), &[("'upload'", "did you mean \"upload-only\"?")]),
    ("anonymous.max_connections", ("100", "100"), &[("-1", "is below 1")]),
    (
        "limits.connections",
        ("200", "200"),
        &[
            ("0", "would let nobody in"),
            ("1.5", "is not a whole number"),
            ("99999999999999999999999999", "is above 4294967295"),
            ("5_000_000_000", "is above 4294967295"),
            (
                "241",
                "241 connections need more descriptors than the system gives | expected 240 at most: (1024 descriptors - 64) / 4",
            ),
        ],
    ),
    (
        "limits.connections_per_address",
        ("0x10", "16"),
        &[("'ten'", "is not a whole number"), ("241", "never reached | `limits.connections` is 240")],
    ),
    (
        "files.keep_partial",
        ("false", "false"),
        &[("'no'", "write false, without quotes"), ("0", "neither true nor false")],
    ),
    (
        "timeouts.login",
        ("'1m30s'", "1m30s"),
        &[("30", "for seconds write \"30s\""), ("'0s'", "the shortest is \"1s\"")],
    ),
    (
        "timeouts.idle",
        ("'1h'", "1h"),
        &[
            (
                "'5 minuts'",
                "\"5 minuts\" is not a duration | expected a number with a unit, such as \"30s\", \"5m\" or \"1h30m\" | did you mean \"5m\"?",
            ),
            ("'soon'", "units are ms, s, m, h and d"),
            ("true", "put it in quotes"),
        ],
    ),
    ("timeouts.data_stall", ("'90s'", "1m30s"), &[("'500ms'", "is too short")]),
    ("timeouts.data_open", ("'5s'", "5s"), &[("''", "is not a duration")]),
    ("timeouts.shutdown", ("'0s'", "0s"), &[("'-1s'", "is not a duration")]),
    (
        "log.format",
        ("'json'", "json"),
        &[("'jsn'", "did you mean \"json\"?"), ("'xml'", "expected \"auto\", \"text\" or \"json\"")],
    ),
];

#[test]
fn every_key_takes_its_good_value_and_refuses_bad_ones() {
    for (path, (good, shown), bad) in CASES {
        let text = with_line(path, good);
        let loaded = load(&text)
            .unwrap_or_else(|problems| panic!("{path} = {good}\n{}", problems.render(Drawing::Plain)));
        let effective = loaded.config.effective.iter().find(|effective| effective.row.path == *path).unwrap();
        assert_eq!(effective.value, *shown, "{path}");
        let line = 1 + text.lines().position(|line| line.ends_with(&format!("= {good}"))).unwrap();
        assert_eq!(effective.origin, Origin::Line(line), "{path}");
        for (value, fragment) in *bad {
            let found = problems(&with_line(path, value));
            assert!(found.len() == 1 && found[0].contains(fragment), "{path} = {value}: {found:#?}");
            assert!(found[0].starts_with(path.replace("[]", "[").split('.').next().unwrap()), "{found:?}");
        }
    }
}

#[test]
fn table_and_struct_agree() {
    let works: Vec<_> = KEYS.iter().filter(|key| key.since != Since::Later).map(|key| key.path).collect();
    let tested: Vec<_> = CASES.iter().map(|(path, ..)| *path).collect();
    assert_eq!(tested, works, "each row that works has its cases, in table order");

    // Each row is read exactly once, and each good value changes the struct.
    let base = with_line("anonymous.enabled", "true");
    let loaded = load(&base).unwrap();
    let read: Vec<_> = loaded.config.effective.iter().map(|effective| effective.row.path).collect();
    assert_eq!(read, works);
    let plain = |config: &Config| {
        let mut config = config.clone();
        config.effective.clear();
        // Where a value stands is not what it says.
        let text = format!(
            "{config:?} {:?}",
            config.accounts.iter().map(|account| account.password_hash.reveal()).collect::<Vec<_>>()
        );
        let mut parts = text.split("at: ");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| {
            text + part
                .trim_start_matches(|letter: char| letter.is_ascii_digit() || "Some(.)".contains(letter))
                .trim_start_matches("None")
        })
    };
    for (path, (good, _), _) in
        CASES.iter().filter(|(path, ..)| !matches!(*path, "listener[].tls" | "anonymous.enabled"))
    {
        let text = with_line(path, good).replace("[limits]", "[anonymous]\nenabled = true\n[limits]");
        let text = if path.starts_with("anonymous") { with_line(path, good) } else { text };
        assert_ne!(plain(&load(&text).unwrap().config), plain(&loaded.config), "{path} reaches the struct");
    }
}

#[test]
fn defaults_are_those_of_the_table() {
    let defaults = Config::defaults();
    assert_eq!(defaults.greeting, "tidegate ready");
    assert_eq!(defaults.listeners[0].address.value.0, "127.0.0.1:2121".parse().unwrap());
    assert_eq!(
        defaults.timeouts,
        Timeouts {
            login: Duration::from_secs(30),
            idle: Duration::from_mins(5),
            data_stall: Duration::from_mins(1),
            data_open: Duration::from_secs(20),
            shutdown: Duration::from_mins(1),
        }
    );
    assert!(defaults.keep_partial && !defaults.anonymous.enabled.value && defaults.connections.is_none());
    assert_eq!(defaults.anonymous.rights, Rights::READ_ONLY);
    // Each default of the table reads as a value of its row: what `must` relies on.
    for key in KEYS {
        if let crate::keys::Fallback::Is(literal) = key.fallback {
            let text = with_line(key.path, literal);
            assert!(load(&text).is_ok(), "{} = {literal}", key.path);
        }
        assert_eq!(key.kind == Kind::Unread, key.since == Since::Later, "{}", key.path);
    }
}

#[test]
fn keys_of_later_issues_say_so() {
    let mut tested = BTreeSet::new();
    for key in KEYS.iter().filter(|key| key.since == Since::Later) {
        let (section, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if crate::keys::works(section) {
            let found = problems(&with_line_any(section, name));
            assert!(
                found.len() == 1 && found[0].contains("designed but not built yet"),
                "{}: {found:?}",
                key.path
            );
        } else {
            let found = problems(&format!("{}[{section}]\n{name} = 1\n", with_line("durability", "'full'")));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].starts_with(&format!("{section}: this section is designed but not built yet")),
                "{found:?}"
            );
        }
        tested.insert(key.path);
    }
    assert!(tested.contains("listener[].passive_address_for") && tested.contains("limits.override"));
}

fn with_line_any(section: &str, name: &str) -> String {
    let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
    with_line(&path, "[{ from = '10.0.0.0/8' }]")
}

#[test]
fn unknown_keys_get_what_was_meant() {
    for (text, expected) in [
        ("greting = 'a'", "greting: unknown key | there is no such key | did you mean `greeting`?"),
        (
            "[timeouts]\nidel = '5m'",
            "timeouts.idel: unknown key | there is no such key | did you mean `idle`?",
        ),
        ("idle = '5m'", "idle: unknown key | there is no such key | `idle` belongs under [timeouts]"),
        ("max_connections = 5", "`max_connections` belongs under [[account]]"),
        ("[timeout]\nidle = '5m'", "timeout: unknown key | there is no such key | did you mean `timeouts`?"),
        ("[log]\nzzz = 1", "the keys of [log] are: format"),
        ("[[listeners]]\naddress = 'x'", "did you mean `listener`?"),
        ("[account]\nname = 'a'", "double brackets | expected [[account]]"),
        ("[[timeouts]]\nidle = '5m'", "stands once | expected [timeouts]"),
        ("log = 'json'", "is a section of its own and stands once | expected [log]"),
        ("[[account]]\npasswd = 'x'", "account[1].passwd: unknown key"),
        ("\"a\\u001b\" = 1", "a\\u{1b}: unknown key"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{text}: {found:#?}");
    }
}

#[test]
fn syntax_errors_and_duplicates_name_their_line() {
    for (text, line, fragment) in [
        ("root = '/srv\n", 1, "not TOML"),
        ("a = 1\nroot = '/srv'\nroot = '/a'\n", 3, "duplicate"),
        ("[x\n", 1, "not TOML"),
    ] {
        let problems = load(text).unwrap_err();
        let first = &problems.list[0];
        assert!(first.what.contains(fragment), "{text}: {first:?}");
        assert_eq!(problems.source.line_and_column(first.at.as_ref().unwrap().start).0, line, "{text}");
    }
}

#[test]
fn contradictions() {
    let account =
        |name: &str, rest: &str| format!("[[account]]\nname = '{name}'\npassword_hash = '{HASH}'\n{rest}\n");
    for (text, expected) in [
        (
            format!("root='/srv'\n{}{}", account("a", ""), account("a", "")),
            "account[a].name: there are two accounts called \"a\"",
        ),
        (
            account("a", ""),
            "account[a].home: is missing, and there is no `root` that this account could use instead | expected a `home` for this account",
        ),
        ("[anonymous]\nenabled = true".into(), "anonymous.home: is missing, and there is no `root`"),
        ("root = '/srv'".into(), "nobody could log in"),
        ("root = '/srv'\n[anonymous]".into(), "nobody could log in"),
        (format!("root='/srv'\n[anonymous]\n{}", account("a", "")), "anonymous stays off"),
        (
            format!("root='/srv'\n[anonymous]\nenabled=true\n{}", account("FTP", "")),
            "this name means an anonymous login",
        ),
        (
            format!(
                "root='/srv'\n[[listener]]\naddress='127.0.0.1:21'\n[[listener]]\naddress='127.0.0.1:21'\n{}",
                account("a", "")
            ),
            "listener[2].address: 127.0.0.1:21 is taken by listener[1]",
        ),
        (
            format!(
                "root='/srv'\n[[listener]]\naddress='127.0.0.1:21'\n[[listener]]\naddress='[::]:21'\n{}",
                account("a", "")
            ),
            "[::]:21 is taken by listener[1]",
        ),
        (format!("root='/srv'\n[[listener]]\n[[listener]]\n{}", account("a", "")), "127.0.0.1:2121 is taken"),
        ("[[account]]\nname = 'a'\nhome = '/srv'".into(), "account[a].password_hash: is missing"),
        (format!("[[account]]\npassword_hash = '{HASH}'\nhome = '/srv'"), "account[1].name: is missing"),
    ] {
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:#?}");
    }
    for text in [
        format!(
            "root='/srv'\n[[listener]]\naddress='127.0.0.1:0'\n[[listener]]\naddress='127.0.0.1:0'\n{}",
            account("a", "")
        ),
        format!(
            "root='/srv'\n[[listener]]\naddress='0.0.0.0:21'\n[[listener]]\naddress='[::1]:21'\n{}",
            account("a", "")
        ),
        account("ftp", "home = '/srv'"),
        "[anonymous]\nenabled = true\nhome = '/srv/pub'".into(),
    ] {
        assert_eq!(problems(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn too_many_connections_warn_in_serve() {
    let text = with_line("limits.connections", "241");
    assert!(load_with(&text, true).is_err());
    let loaded = load_with(&text, false).unwrap();
    assert_eq!(loaded.warnings.unwrap().list.len(), 1);
    assert_eq!(loaded.config.connections.unwrap().value, 241);
    for (descriptors, connections) in [(0, 1), (64, 1), (68, 1), (72, 2), (1024, 240), (u64::MAX, u32::MAX)] {
        assert_eq!(connections_for(descriptors), connections);
    }
}

#[test]
fn all_errors_come_at_once_in_line_order() {
    let text = "greting = 'x'\n[timeouts]\nidle = 5\nlogin = 'x'\n[[account]]\nname = 'a'\nhome = '/nowhere'\npassword_hash = 'hunter2'\n[tls]\n";
    let problems = load(text).unwrap_err();
    let keys: Vec<_> = problems.list.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        ["greting", "timeouts.idle", "timeouts.login", "account[a].home", "account[a].password_hash", "tls"]
    );
    let shown = problems.render(Drawing::Plain);
    assert!(!shown.contains("hunter2"), "a password put in the wrong place is not printed: {shown}");
    assert!(
        shown.contains("[tidegate.toml:3:8]") && shown.ends_with("6 errors in tidegate.toml\n"),
        "{shown}"
    );
}

#[test]
fn secrets_stay_hidden_under_wrong_names() {
    for text in [
        "[[account]]\nname = 'a'\npw = 'hunter2'\nhome = 7\n",
        "[[account]]\npassword_hash = 'hunter2\nhome = '/srv'\n",
        "[account]\npassword_hash = '''\nhunter2'''\nhome=1\n",
    ] {
        let problems = load(text).unwrap_err();
        for drawing in [Drawing::Plain, Drawing::Lines, Drawing::Colour] {
            assert!(!problems.render(drawing).contains("hunter2"), "{text}: {}", problems.render(drawing));
        }
    }
}

#[test]
fn derived_values_say_how() {
    let config = load(&with_line("account[].rights", "'all'")).unwrap().config;
    let of = |key: &str| config.effective.iter().find(|effective| effective.key == key).unwrap().clone();
    assert_eq!(of("limits.connections").value, "240");
    assert_eq!(of("limits.connections").origin, Origin::Derived("(1024 descriptors - 64) / 4".into()));
    assert_eq!(of("account[alice].home").value, "/srv");
    assert_eq!(of("account[alice].home").origin, Origin::Derived("the same as root".into()));
    assert_eq!(of("timeouts.idle").origin, Origin::Default);
    assert!(
        config.effective.iter().all(|effective| effective.row.path != "anonymous.home"),
        "not in force while absent"
    );
}

/// The three errors that users see first; kept word for word.
#[test]
fn errors_are_worth_reading() {
    let typo = "root = \"/srv\"\n\n[timeouts]\nidel = \"5m\"\n\n[anonymous]\nenabled = true\n";
    assert_eq!(load(typo).unwrap_err().render(Drawing::Lines), include_str!("tests/typo.txt"));
    let duration = "root = \"/srv\"\n\n[anonymous]\nenabled = true\n\n[timeouts]\nidle = \"5 minutes\"\n";
    assert_eq!(load(duration).unwrap_err().render(Drawing::Plain), include_str!("tests/duration.txt"));
    let home = format!("[[account]]\nname = \"alice\"\npassword_hash = \"{HASH}\"\nrights = \"all\"\n");
    assert_eq!(load(&home).unwrap_err().render(Drawing::Lines), include_str!("tests/home.txt"));
}
