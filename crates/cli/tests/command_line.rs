//! The program as a user meets it: exit codes, what goes where, and that no secret is printed.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";

fn tidegate(folder: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(args)
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("TIDEGATE_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Returns exit code, standard output and standard error.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = tidegate(folder, args, b"");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_names_every_command_and_examples() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(folder.path(), &["--help"]);
    assert_eq!(code, 0);
    for word in ["serve", "check-config", "hash-password", "tidegate serve demo", "Exit codes"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    let (code, out, _) = run(folder.path(), &["serve", "--help"]);
    assert!(code == 0 && out.contains("127.0.0.1:2121") && out.contains("--listen"), "{out}");
    let (code, out, _) = run(folder.path(), &["--version"]);
    assert!(code == 0 && out.starts_with("tidegate 0."), "{out}");
}

#[test]
fn what_is_no_command_is_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (args, fragment) in [
        (&[][..], "Usage"),
        (&["serv"][..], "serve"),
        (&["explode"][..], "unrecognized"),
        (&["serve"][..], "serve needs a folder"),
        (&["serve", ".", "--listen", "2121"][..], "add the address"),
        (&["serve", ".", "--listen", "localhost:1"][..], "127.0.0.1:1"),
        (&["check-config"][..], "FILE"),
    ] {
        let (code, _, err) = run(folder.path(), args);
        assert_eq!(code, 2, "{args:?}: {err}");
        assert!(err.contains(fragment), "{args:?}: {err}");
    }
}

#[test]
fn a_missing_folder_is_code_1_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, err) = run(folder.path(), &["serve", "nowhere"]);
    assert_eq!(code, 1);
    assert!(err.contains("nowhere does not exist") && err.contains("mkdir -p nowhere"), "{err}");
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn check_config_shows_every_value_and_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "root = '.'\n[[account]]\nname = 'alice'\npassword_hash = '{HASH}'\n[timeouts]\nidle = '90s'\n"
    );
    fs::write(folder.path().join("t.toml"), text).unwrap();
    let (code, out, err) = run(folder.path(), &["check-config", "t.toml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let columns = |key: &str| {
        let line = out.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {out}"));
        line.split("  ")
            .map(str::trim)
            .filter(|column| !column.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(columns("timeouts.idle"), ["timeouts.idle", "1m30s", "t.toml:6"]);
    assert_eq!(columns("timeouts.login"), ["timeouts.login", "30s", "default"]);
    assert_eq!(columns("account[alice].home")[2], "the same as root");
    assert!(columns("limits.connections ")[2].contains("descriptors - 64) / 4"));
    assert!(out.ends_with("t.toml is good.\n") && !out.contains("c2FsdHNh"), "{out}");

    let (code, out, _) = run(folder.path(), &["check-config", "t.toml", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &value["ok"]), (0, &serde_json::Value::Bool(true)));
    let idle =
        value["values"].as_array().unwrap().iter().find(|value| value["key"] == "timeouts.idle").unwrap();
    assert_eq!(
        (&idle["value"], &idle["origin"], &idle["line"]),
        (&"1m30s".into(), &"file".into(), &6.into())
    );
    assert!(!out.contains("c2FsdHNh"));
}

/// Returns the effective value and its origin of `key`; empty texts when it is not in force.
fn value_of(json: &serde_json::Value, key: &str) -> (String, String) {
    let values = json["values"].as_array().unwrap();
    let found = values.iter().find(|value| value["key"] == key).unwrap_or(&serde_json::Value::Null);
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("value"), text("origin"))
}

#[test]
fn check_config_knows_the_users_and_the_umask_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let account = format!("root = '.'\n[[account]]\nname = 'alice'\npassword_hash = '{HASH}'\n");
    let text = format!("{account}owner = 'root:root'\ndir_mode = '2770'\n[files]\nmax_file_size = 4096\n");
    fs::write(folder.path().join("t.toml"), text).unwrap();
    // As a service manager sets it.
    let output = Command::new("sh")
        .args(["-c", "umask 037; exec \"$0\" check-config t.toml --json", env!("CARGO_BIN_EXE_tidegate")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{json:#}");
    for (key, value, origin) in [
        ("account[alice].owner", "root:root (0:0)", "file"),
        ("account[alice].file_mode", "0640", "derived"),
        ("account[alice].dir_mode", "2770", "file"),
        ("files.max_file_size", "4KiB", "file"),
        ("files.mode_z", "false", "default"),
        ("files.deny_names", "none", "default"),
    ] {
        assert_eq!(value_of(&json, key), (value.into(), origin.into()), "{key}");
    }
    // Only who may give files away is not warned.
    let may_chown =
        rustix::thread::capabilities(None).unwrap().effective.contains(rustix::thread::CapabilitySet::CHOWN);
    let warned =
        json["warnings"].as_array().unwrap().iter().any(|warning| warning["key"] == "account[alice].owner");
    assert!(warned != may_chown, "CAP_CHOWN: {may_chown}: {json:#}");

    fs::write(folder.path().join("t.toml"), format!("{account}owner = 'no-such-user-of-tidegate'\n"))
        .unwrap();
    for args in [&["check-config", "t.toml"][..], &["serve", "--config", "t.toml"][..]] {
        let (code, _, err) = run(folder.path(), args);
        assert!(code == 4 && err.contains("t.toml:5:9") && err.contains("there is no user"), "{code}: {err}");
    }
}

#[test]
fn a_bad_file_is_code_4_and_nothing_is_printed_twice() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("t.toml"),
        "[[account]]\nname = 'alice'\npassword_hash = 'hunter2'\n[timeouts]\nidel = '5m'\n",
    )
    .unwrap();
    for args in [&["check-config", "t.toml"][..], &["serve", "--config", "t.toml"][..]] {
        let (code, out, err) = run(folder.path(), args);
        assert_eq!((code, out.as_str()), (4, ""), "{err}");
        assert!(
            err.contains("t.toml:5:1")
                && err.contains("did you mean `idle`?")
                && err.contains("3 errors in t.toml"),
            "{err}"
        );
        assert!(!err.contains("hunter2") && !err.contains('\x1b'), "{err}");
    }
    let (code, out, _) = run(folder.path(), &["check-config", "--json", "t.toml"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 4);
    assert_eq!(value["errors"].as_array().unwrap().len(), 3, "{out}");
    assert!(!out.contains("hunter2"));

    for (name, bytes, fragment) in [
        ("gone.toml", None, "cannot read gone.toml"),
        ("latin.toml", Some(&b"a = 1\n# \xe9\n"[..]), "latin.toml:2: the file is not UTF-8"),
    ] {
        if let Some(bytes) = bytes {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let (code, _, err) = run(folder.path(), &["check-config", name]);
        assert!(code == 4 && err.contains(fragment), "{err}");
    }
}

#[test]
fn hash_password_prints_a_hash_that_check_config_takes() {
    let folder = tempfile::tempdir().unwrap();
    let output = tidegate(folder.path(), &["hash-password"], b"high water\n");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let hash = String::from_utf8(output.stdout).unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$") && hash.lines().count() == 1 && !hash.contains("high"),
        "{hash}"
    );
    let text = format!("root = '.'\n[[account]]\nname = 'alice'\npassword_hash = '{}'\n", hash.trim_end());
    fs::write(folder.path().join("t.toml"), text).unwrap();
    let (code, _, err) = run(folder.path(), &["check-config", "t.toml"]);
    assert_eq!((code, err.as_str()), (0, ""));

    let output = tidegate(folder.path(), &["hash-password"], b"\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the password is empty"));
}

#[test]
fn a_bad_log_filter_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["serve", ".", "--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .env("TIDEGATE_LOG", "tidegate=loud=very")
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("TIDEGATE_LOG is not a log filter"), "{err}");
}
