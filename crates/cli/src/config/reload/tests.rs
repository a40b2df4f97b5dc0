use super::*;
use crate::args::ServeArgs;

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";
const OTHER_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";

fn file_args() -> ServeArgs {
    ServeArgs { config: Some("t.toml".into()), ..ServeArgs::default() }
}

fn of(text: &str) -> ServePlan {
    ServePlan::of_file(text, &file_args())
}

fn account(name: &str, hash: &str) -> String {
    format!("[[account]]\nname = '{name}'\npassword_hash = '{hash}'\n")
}

/// Returns a change as `key: old -> new`.
fn lines(old: &str, new: &str) -> Vec<String> {
    changes(&of(old), &of(new)).into_iter().map(|(key, old, new)| format!("{key}: {old} -> {new}")).collect()
}

#[test]
fn the_same_file_changes_nothing() {
    let text = format!("root = '/srv'\n{}[limits]\ntransfers = 9\n", account("a", HASH));
    // Lines may move.
    let moved = format!("# a comment\n{}", text.replace("[limits]", "\n\n[limits]"));
    assert_eq!(lines(&text, &moved), Vec::<String>::new());
    assert_eq!(restart_needed(&of(&text), &of(&moved)), []);
}

#[test]
fn what_a_reload_takes_over_is_told_with_both_values() {
    let old = format!("root = '/srv'\n{}[limits]\nconnections = 100\n", account("a", HASH));
    for (new, expected) in [
        (old.replace("100", "90"), vec!["limits.connections: 100 -> 90"]),
        (old.replace("connections = 100", ""), vec!["limits.connections: 100 -> 240"]),
        (old.clone() + "shadow = { transfers = 4 }\n", vec!["limits.shadow.transfers: none -> 4"]),
        (
            old.clone() + "[limits.reserved]\nconnections = 2\nfrom = ['10.0.0.0/8']\n",
            vec!["limits.reserved.connections: none -> 2", "limits.reserved.from: none -> 10.0.0.0/8"],
        ),
        (format!("greeting = 'Hello'\n{old}"), vec!["greeting: tidegate ready -> Hello"]),
        (old.clone() + "[timeouts]\nidle = '1m'\n", vec!["timeouts.idle: 5m -> 1m"]),
        (old.clone() + "[overload]\nmemory = 'off'\n", vec!["overload.memory: 80% -> off"]),
        (old.clone() + "[files]\nmode_z = true\n", vec!["files.mode_z: false -> true"]),
        (
            old.replace(HASH, OTHER_HASH),
            vec!["account[a].password_hash: set (argon2id, m=19456,t=2,p=1) -> another one"],
        ),
        (old.clone() + "[[listener]]\nconnections = 50\n", vec!["listener[1].connections: no limit -> 50"]),
    ] {
        assert_eq!(lines(&old, &new), expected, "{new}");
        assert_eq!(restart_needed(&of(&old), &of(&new)), [], "{new}");
    }
    let gone = lines(&(old.clone() + &account("b", HASH)), &old);
    assert!(gone.contains(&"account[b].name: b -> none".to_owned()), "{gone:?}");
    assert!(gone.iter().all(|line| line.starts_with("account[b].") && line.ends_with("-> none")), "{gone:?}");
}

#[test]
fn what_needs_a_restart_says_why() {
    let old = format!("root = '/srv'\n{}", account("a", HASH));
    for (new, key) in [
        (format!("{old}[[listener]]\naddress = '127.0.0.1:0'\n"), "listener[1].address"),
        (format!("{old}[[listener]]\n[[listener]]\naddress = '127.0.0.1:0'\n"), "listener[2].address"),
        (format!("{old}[[listener]]\ntrusted_proxies = ['10.0.0.1']\n"), "listener[1].trusted_proxies"),
        (format!("{old}[[listener]]\npassive_ports = '50000-50009'\n"), "listener[1].passive_ports"),
        (format!("{old}[[listener]]\npassive_address = '192.0.2.1'\n"), "listener[1].passive_address"),
        (old.replace("/srv", "/other"), "root"),
        (format!("durability = 'none'\n{old}"), "durability"),
        (format!("state = 'off'\n{old}"), "state"),
        (format!("{old}[files]\nkeep_partial = false\n"), "files.keep_partial"),
        (format!("{old}[files]\ndeny_names = ['*.bak']\n"), "files.deny_names"),
        (format!("{old}[admin]\nsocket = 'off'\n"), "admin.socket"),
        (format!("{old}[admin]\nhttp = '127.0.0.1:2180'\n"), "admin.http"),
        (format!("{old}[log]\nformat = 'json'\n"), "log.format"),
    ] {
        let needed = restart_needed(&of(&old), &of(&new));
        assert!(needed.iter().any(|change| change.key == key), "{new}: {needed:?}");
        // And back.
        assert!(restart_needed(&of(&new), &of(&old)).iter().any(|change| change.key == key), "{new}");
    }
    let new = format!("{old}[[listener]]\naddress = '127.0.0.1:21'\n");
    let [change] = restart_needed(&of(&old), &of(&new)).try_into().unwrap();
    assert_eq!(
        change.to_string(),
        "listener[1].address: 127.0.0.1:2121 -> 127.0.0.1:21 needs a restart: listeners are bound when the server starts"
    );
}

#[test]
fn the_command_line_stays_in_force() {
    let old = format!("root = '/srv'\n{}", account("a", HASH));
    let args = ServeArgs {
        dir: Some("/mine".into()),
        listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        ..file_args()
    };
    let new = format!("{}[[listener]]\naddress = '127.0.0.1:21'\n", old.replace("/srv", "/other"));
    assert_eq!(restart_needed(&ServePlan::of_file(&old, &args), &ServePlan::of_file(&new, &args)), []);
    let rows = limit_rows(&ServePlan::of_file(&new, &args));
    let of = |key: &str| {
        let row = rows.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("{key}: {rows:#?}"));
        (row.value.as_str(), row.origin.as_str())
    };
    assert_eq!(of("root"), ("/mine", "the folder of the command line"));
    assert_eq!(of("account[a].home"), ("/mine", "the same as root"));
    assert_eq!(of("listener[1].address"), ("127.0.0.1:0", "--listen"));
    assert_eq!(of("listener[2].address"), ("[::1]:0", "--listen"));
    assert_eq!(of("listener[2].passive_address"), ("auto", "default"));
    assert_eq!(of("account[a].name"), ("a", "t.toml:3"));
    assert_eq!(of("limits.connections"), ("240", "(1024 descriptors - 64) / 4"));
}

#[test]
fn rows_stand_in_the_order_of_the_manual() {
    let text = format!("root = '/srv'\n{}[limits]\nshadow = {{ connections = 9 }}\n", account("a", HASH));
    let place = |path: &str| crate::keys::KEYS.iter().position(|key| key.path == path);
    let args = ServeArgs { listen: vec!["127.0.0.1:0".parse().unwrap()], ..file_args() };
    let plan = ServePlan::of_file(&text, &args);
    assert!(plan.effective.is_sorted_by_key(|row| place(row.row.path)));
    assert_eq!(limit_rows(&plan).len(), plan.effective.len());
}
