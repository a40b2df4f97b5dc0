//! What the mode bits of the operating system allow, seen by a process that is not root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use common::{begin, get, open, path, put};
use tidegate_storage_local::{LocalBackend, Options};
use tidegate_types::{FileKind, StorageErrorKind as Kind};

const HOME: &str = "TIDEGATE_TEST_UNPRIVILEGED_HOME";
/// Nobody in particular; only used when the test is run by root.
const SOMEBODY: u32 = 65534;

#[tokio::test]
#[ignore = "runs as a child without privileges"]
async fn child_without_privileges() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    assert!(!rustix::process::geteuid().is_root());
    let backend = LocalBackend::new(Options::default()).unwrap();
    let storage = open(&backend, Path::new(&home), "alice").await;
    // A drop box: names may be made, none may be read. Durability is full all the same.
    assert_eq!(put(&*storage, "/box/file", b"dropped").await.unwrap(), 7);
    assert_eq!(storage.list(&path("/box")).await.err().unwrap().kind, Kind::PermissionDenied);
    // A file its owner may not write is not replaced behind the mode's back.
    assert_eq!(begin(&*storage, "/locked").await.err().unwrap().kind, Kind::PermissionDenied);
    assert_eq!(get(&*storage, "/locked").await.unwrap(), b"locked");
    // Names that can be read but not looked at: refused at once, or shown as what is not known when it happens in between.
    assert_eq!(storage.list(&path("/closed")).await.err().unwrap().kind, Kind::PermissionDenied);
    let mut listing = storage.list(&path("/closing")).await.unwrap();
    storage.set_mode(&path("/closing"), 0o600).await.unwrap();
    let entries = listing.pages.next_page().await.unwrap().unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.name.as_slice(), entry.metadata.kind)).collect();
    assert_eq!(seen, [(&b"file"[..], FileKind::Other)]);
    assert!(listing.pages.next_page().await.unwrap().is_none());
    let access = storage.metadata(&path("/locked")).await.unwrap().access;
    assert_eq!((access.read, access.write), (true, false));
    // Nothing may be read or written, but the owner may change that.
    assert_eq!(get(&*storage, "/none").await.unwrap_err().kind, Kind::PermissionDenied);
    storage.set_mode(&path("/none"), 0o600).await.unwrap();
    assert_eq!(get(&*storage, "/none").await.unwrap(), b"none");
    // Names can be seen, but nobody may go in; and where nothing may be made, nothing begins.
    assert_eq!(storage.enter(&path("/closed")).await.unwrap_err().kind, Kind::PermissionDenied);
    assert_eq!(begin(&*storage, "/closed/x").await.err().unwrap().kind, Kind::PermissionDenied);
    assert_eq!(begin(&*storage, "/read-only/x").await.err().unwrap().kind, Kind::PermissionDenied);
    let denied = storage.make_directory(&path("/read-only/d"), 0).await;
    assert_eq!(denied.unwrap_err().kind, Kind::PermissionDenied);
}

#[test]
fn modes_bind_a_process_that_is_not_root() {
    let dir = tempfile::tempdir().unwrap();
    let (home, program) = (dir.path().join("home"), dir.path().join("program"));
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::create_dir(&home).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let set = |at: &Path, mode| {
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode)).unwrap();
        if is_root {
            chown(at, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
    };
    for (name, mode) in [("locked", 0o444), ("none", 0o000)] {
        std::fs::write(home.join(name), name).unwrap();
        set(&home.join(name), mode);
    }
    for (name, mode) in [("box", 0o300), ("closed", 0o600), ("closing", 0o700), ("read-only", 0o500)] {
        std::fs::create_dir(home.join(name)).unwrap();
        if name.starts_with("clos") {
            std::fs::write(home.join(name).join("file"), name).unwrap();
        }
        set(&home.join(name), mode);
    }
    set(&home, 0o755);
    set(dir.path(), 0o755);
    let mut command = Command::new(if is_root { "setpriv".as_ref() } else { program.as_os_str() });
    if is_root {
        let id = SOMEBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(&program);
    }
    let output = command
        .args(["--ignored", "--exact", "child_without_privileges", "--nocapture"])
        .env(HOME, &home)
        .output()
        .expect("setpriv (util-linux) is needed for this test when root runs it");
    for name in ["box", "closed", "closing", "read-only"] {
        std::fs::set_permissions(home.join(name), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
