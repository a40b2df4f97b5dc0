use std::collections::BTreeSet;

use tidegate_protocol::command::Extras;

use self::cases::{CASES, Case};
use self::gate_cases::GATE_CASES;
use super::*;
use crate::keys::{KEYS, Kind, Since};

mod cases;
mod contradictions;
mod gate_cases;
mod whole;

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";

fn kind_of(path: &Path) -> PathKind {
    match path.to_str() {
        Some("/srv" | "/srv/alice" | "/srv/pub" | "/etc/tidegate/files") => PathKind::Folder,
        Some("/srv/file") => PathKind::Other,
        _ => PathKind::Missing,
    }
}

/// `alice` (1000) and the group `www-data` (33); the process is alice, in that group, without `CAP_CHOWN`.
struct FakeUsers;

impl Users for FakeUsers {
    fn user(&self, name: &str) -> Result<Option<u32>, String> {
        match name {
            "alice" => Ok(Some(1000)),
            "root" => Ok(Some(0)),
            "broken" => Err("the directory server does not answer".into()),
            _ => Ok(None),
        }
    }

    fn group(&self, name: &str) -> Result<Option<u32>, String> {
        Ok(if name == "www-data" { Some(33) } else { None })
    }

    fn may_give(&self, uid: Option<u32>, gid: Option<u32>) -> bool {
        uid.is_none_or(|uid| uid == 1000) && gid.is_none_or(|gid| gid == 33)
    }
}

fn load_with(text: &str, is_strict: bool) -> Result<Loaded, Problems> {
    let source = Source::from_text("tidegate.toml", Path::new("/etc/tidegate"), text);
    let facts = Facts {
        descriptor_limit: 1024,
        is_strict,
        root: None,
        kind_of: &kind_of,
        umask: 0o027,
        users: &FakeUsers,
    };
    Config::load(&source, &facts)
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

/// Returns the cases of every key, in the order of the table.
fn cases() -> Vec<&'static Case> {
    let mut cases: Vec<_> = CASES.iter().chain(GATE_CASES).collect();
    cases.sort_by_key(|(path, ..)| KEYS.iter().position(|key| key.path == *path));
    cases
}

/// Returns a text that is good but for one line, which is placed in its section.
fn with_line(path: &str, value: &str) -> String {
    let mut sections = vec![
        ("", "root = '/srv'".to_owned()),
        ("listener[]", String::new()),
        ("listener[].shadow", String::new()),
        ("listener[].passive_address_for[]", "from = '192.168.0.0/16'\naddress = '192.168.0.5'".to_owned()),
        ("account[]", format!("name = 'alice'\npassword_hash = '{HASH}'")),
        ("anonymous", "enabled = true".to_owned()),
        ("limits", String::new()),
        ("limits.reserved", "connections = 2\nfrom = ['10.0.0.0/8']".to_owned()),
        ("limits.ban", String::new()),
        ("limits.waiting_room", String::new()),
        ("limits.shadow", String::new()),
        ("limits.override[]", "from = '203.0.113.0/24'\nconnections_per_address = 3".to_owned()),
        ("overload", String::new()),
        ("files", String::new()),
        ("timeouts", String::new()),
        ("log", String::new()),
        ("admin", String::new()),
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
            Some(name) => text.extend(["[[", &name.replace("[]", ""), "]]\n"]),
            None => text.extend(["[", &other.replace("[]", ""), "]\n"]),
        }
        text.push_str(&lines);
        text.push('\n');
    }
    text
}

#[test]
fn every_key_takes_its_good_value_and_refuses_bad_ones() {
    for (path, (good, shown), bad) in cases() {
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
    let tested: Vec<_> = cases().iter().map(|(path, ..)| *path).collect();
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
        cases().iter().filter(|(path, ..)| !matches!(*path, "listener[].tls" | "anonymous.enabled"))
    {
        let text = with_line(path, good).replace("\n[limits]\n", "\n[anonymous]\nenabled = true\n[limits]\n");
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
    assert_eq!(
        defaults.files,
        Files {
            keep_partial: true,
            deny_names: Patterns::default(),
            bytes_max: None,
            mode_z: false,
            extra_commands: ExtraCommands::default(),
        }
    );
    assert!(!defaults.anonymous.enabled.value && defaults.limits.connections.is_none());
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
    assert!(tested.contains("tls.certificate") && tested.contains("account[].quota"));
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
        ("[[listener]]\n[[listener.passive_address_for]]\nform = 'x'", "did you mean `from`?"),
        ("[[listener]]\npassive_addres_for = []", "did you mean `passive_address_for`?"),
        ("from = 'x'", "`from` belongs under [[listener.passive_address_for]]"),
        (
            "[[listener]]\n[listener.passive_address_for]\nfrom = 'x'",
            "double brackets | expected [[listener.passive_address_for]]",
        ),
        (
            "[[listener]]\n[[listener.passive_address_for]]\naddress = '10.0.0.5'",
            "listener[1].passive_address_for[1].from: is missing | expected the key `from`",
        ),
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
fn a_network_is_told_one_address() {
    let twice = "[[listener.passive_address_for]]\nfrom='10.0.0.0/8'\naddress='10.0.0.5'\n".repeat(2);
    let account = format!("[[account]]\nname='a'\npassword_hash='{HASH}'\n");
    let found = problems(&format!("root='/srv'\n[[listener]]\n{twice}{account}"));
    assert!(
        found.len() == 1
            && found[0].starts_with(
                "listener[1].passive_address_for[2].from: 10.0.0.0/8 has its address in listener[1].passive_address_for[1] already"
            ),
        "{found:#?}"
    );
    let second = "[[listener]]\naddress='127.0.0.1:0'\n[[listener.passive_address_for]]\nfrom='10.0.0.0/8'\naddress='auto'\n";
    assert_eq!(problems(&format!("root='/srv'\n{second}{second}{account}")), Vec::<String>::new());
}

#[test]
fn too_many_connections_warn_in_serve() {
    let text = with_line("limits.connections", "241");
    assert!(load_with(&text, true).is_err());
    let loaded = load_with(&text, false).unwrap();
    assert_eq!(loaded.warnings.unwrap().list.len(), 1);
    assert_eq!(loaded.config.limits.connections.unwrap().value, 241);
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

#[test]
fn values_of_files_and_owners_reach_the_struct() {
    let text = format!(
        "root = '/srv'\n[[listener]]\n[[listener.passive_address_for]]\nfrom = '10.0.0.0/8'\naddress = '10.0.0.5'\n\
         [[listener.passive_address_for]]\nfrom = '2001:db8::/32'\naddress = 'auto'\n[[listener]]\naddress = '[::1]:21'\n\
         [[account]]\nname = 'alice'\npassword_hash = '{HASH}'\nowner = ':www-data'\nfile_mode = '640'\ndir_mode = '2750'\n\
         [[account]]\nname = 'bob'\npassword_hash = '{HASH}'\nowner = '1000:33'\n\
         [files]\ndeny_names = ['.ht*']\nmax_file_size = 0x400\nmode_z = true\nextra_commands = ['COMB', 'COMB']\n"
    );
    let config = load(&text).unwrap().config;
    let [alice, bob] = config.accounts.as_slice() else { panic!("two accounts") };
    let expected =
        Creation { uid: None, gid: Some(33), file_mode: Some(0o640), directory_mode: Some(0o2750) };
    assert_eq!(alice.creation, expected);
    assert_eq!(bob.creation, Creation { uid: Some(1000), gid: Some(33), ..Creation::default() });
    let [first, second] = config.listeners.as_slice() else { panic!("two listeners") };
    let told: Vec<_> = first
        .passive_address_for
        .iter()
        .map(|exception| (exception.from.value.0.to_string(), exception.address.clone()))
        .collect();
    let inside = PassiveAddress::Fixed("10.0.0.5".parse().unwrap());
    assert_eq!(told, [("10.0.0.0/8".into(), inside), ("2001:db8::/32".into(), PassiveAddress::Auto)]);
    assert!(second.passive_address_for.is_empty(), "each listener has its own");
    let files = &config.files;
    assert!(files.mode_z && files.bytes_max == Some(1024) && files.extra_commands.0 == Extras::COMB);
    let patterns = files.deny_names.shared();
    assert!(patterns.len() == 1 && patterns[0].matches(b".htaccess") && !patterns[0].matches(b"htaccess"));

    let of = |key: &str| config.effective.iter().find(|effective| effective.key == key).unwrap().clone();
    for (key, value) in [
        ("account[alice].owner", ":www-data (:33)"),
        ("account[bob].owner", "1000:33"),
        ("account[alice].dir_mode", "2750"),
        ("listener[1].passive_address_for[2].from", "2001:db8::/32"),
        ("files.max_file_size", "1KiB"),
        ("files.extra_commands", "COMB"),
    ] {
        assert_eq!(of(key).value, value, "{key}");
        assert!(matches!(of(key).origin, Origin::Line(_)), "{key}");
    }
    assert_eq!(of("account[bob].file_mode").value, "0640");
    assert_eq!(of("account[bob].file_mode").origin, Origin::Derived("0666 without the umask 0027".into()));
    assert_eq!(of("account[bob].dir_mode").value, "0750");
}

#[test]
fn the_design_s_way_to_write_no_limit_is_read() {
    let config = load(&with_line("files.max_file_size", "'absent'")).unwrap().config;
    assert_eq!(config.files.bytes_max, None);
    let shown = config.effective.iter().find(|effective| effective.key == "files.max_file_size").unwrap();
    assert_eq!(shown.value, "no limit");
    let config = load(&with_line("files.deny_names", "[]")).unwrap().config;
    assert!(config.files.deny_names.shared().is_empty());
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
