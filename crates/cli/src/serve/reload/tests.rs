use tidegate_accounts::hash_password;

use super::*;
use crate::plan::testing::Bare;

/// Writes `before`, plans it, writes `after`, and reads that again.
fn reloaded(before: &str, after: &str) -> Result<ReloadReport, ReloadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    let args = ServeArgs { config: Some(file.clone()), ..ServeArgs::default() };
    std::fs::write(&file, before).unwrap();
    let loaded = load(&Source::read(&file).unwrap(), &args, &Bare(4_096)).unwrap();
    let current = plan(&args, Some(&loaded.config), &Bare(4_096)).unwrap();
    std::fs::write(&file, after).unwrap();
    next_plan(&current, &file, &args, &Bare(4_096)).map(|(_, report)| report)
}

const PLAIN: &str = "root = \"/srv\"\n[anonymous]\nenabled = true\n";

#[test]
fn limits_and_texts_are_taken_over() {
    let after = format!("greeting = \"Hello\"\n{PLAIN}[limits]\nconnections = 20\n");
    let report = reloaded(PLAIN, &after).unwrap();
    let keys: Vec<&str> = report.changed.iter().map(|(key, ..)| key.as_str()).collect();
    assert!(keys.contains(&"greeting") && keys.contains(&"limits.connections"), "{report:?}");
    assert!(reloaded(PLAIN, PLAIN).unwrap().changed.is_empty());
}

#[test]
fn an_account_is_taken_over_and_its_hash_stays_hidden() {
    let hash = hash_password(b"secret").unwrap();
    let after =
        format!("{PLAIN}[[account]]\nname = \"alice\"\npassword_hash = \"{hash}\"\nrights = \"all\"\n");
    let report = reloaded(PLAIN, &after).unwrap();
    assert!(report.changed.iter().any(|(key, ..)| key == "account[alice].name"), "{report:?}");
    assert!(!format!("{report:?}").contains("argon2id$"), "{report:?}");
}

#[test]
fn what_needs_a_restart_changes_nothing_and_names_every_key() {
    let after = "root = \"/srv\"\ndurability = \"none\"\n[anonymous]\nenabled = true\n[limits]\nconnections = 20\n[[listener]]\naddress = \"127.0.0.1:2199\"\n";
    let ReloadError { message } = reloaded(PLAIN, after).unwrap_err();
    for part in ["durability", "listener[1].address", "127.0.0.1:2199", "restart"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("limits.connections"), "{message}");
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_whole() {
    let ReloadError { message } =
        reloaded(PLAIN, "root = \"/srv\"\nrooot = 1\n[timeouts]\nidle = 5\n").unwrap_err();
    for part in ["rooot", "idle", "t.toml:2", " errors in "] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let ReloadError { message } = reloaded(PLAIN, "\u{1b}[2J = 1").unwrap_err();
    assert!(!message.contains('\u{1b}'), "{message:?}");
}

#[tokio::test]
async fn one_reload_at_a_time_and_each_is_bounded() {
    const LONG: Duration = Duration::from_secs(20);
    let turn = Turn::default();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let hanging = turn.take(Duration::from_millis(20), move || {
        let _ = held.recv_timeout(LONG);
        Ok(1)
    });
    let ReloadError { message } = tokio::time::timeout(LONG, hanging).await.unwrap().unwrap_err();
    assert!(message.contains("given up after 20ms"), "{message}");
    let ReloadError { message } = turn.take(LONG, || Ok(2)).await.unwrap_err();
    assert!(message.contains("another reload is under way"), "{message}");

    release.send(()).unwrap();
    drop(tokio::time::timeout(LONG, turn.0.acquire()).await.unwrap());
    let (done, held) = turn.take(LONG, || Ok(3)).await.unwrap();
    assert_eq!(done, 3);
    assert!(turn.take(LONG, || Ok(4)).await.is_err(), "the turn lasts until it is given back");
    drop(held);
    assert!(turn.take(LONG, || Err::<(), _>(failed("no"))).await.unwrap_err().message == "no");
    assert!(turn.take(LONG, || Ok(5)).await.is_ok(), "a failure gives it back");
}
