//! Unfinished uploads in directories that are moved, and directories that only look empty.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{backend, begin, get, open, path, put, request, temps};
use tidegate_storage::{Cut, Storage, UploadStart, commit};
use tidegate_storage_local::{Durability, LocalBackend, Options};
use tidegate_types::StorageErrorKind as Kind;

/// Where the child process finds its home; without it the child is not a child.
const HOME: &str = "TIDEGATE_TEST_MOVES_HOME";

async fn leave(storage: &dyn Storage, name: &str) {
    let mut upload = begin(storage, name).await.unwrap();
    upload.write(b"part".to_vec()).await.unwrap();
    assert_eq!(upload.abort().await.unwrap(), Cut::Kept { size: 4 });
}

async fn make(storage: &dyn Storage, names: &[&str]) {
    for name in names {
        storage.make_directory(&path(name), 0).await.unwrap();
    }
}

async fn rename(storage: &dyn Storage, from: &str, to: &str) {
    storage.rename(&path(from), &path(to), true).await.unwrap();
}

async fn is_gone(storage: &dyn Storage, name: &str) -> bool {
    storage.metadata(&path(name)).await.is_err_and(|error| error.kind == Kind::NotFound)
}

#[tokio::test]
async fn a_partial_is_found_again_where_its_directory_went() {
    let home = tempfile::tempdir().unwrap();
    {
        let backend = backend();
        let storage = open(&backend, home.path(), "alice").await;
        make(&*storage, &["/d", "/d/deep", "/stays"]).await;
        std::os::unix::fs::symlink("d", home.path().join("link")).unwrap();
        leave(&*storage, "/d/f").await;
        leave(&*storage, "/d/deep/f").await;
        leave(&*storage, "/link/through").await;
        leave(&*storage, "/stays/f").await;
        let mut late = begin(&*storage, "/d/late").await.unwrap();
        late.write(b"late bytes".to_vec()).await.unwrap();
        rename(&*storage, "/d", "/stays/e").await;
        rename(&*storage, "/stays", "/went").await;
        rename(&*storage, "/link", "/elsewhere").await;
        assert_eq!(late.abort().await.unwrap(), Cut::Kept { size: 10 });
    }
    let backend = backend();
    let storage = open(&backend, home.path(), "alice").await;
    for (name, size) in [
        ("/went/e/f", 4),
        ("/went/e/deep/f", 4),
        ("/went/e/through", 4),
        ("/went/f", 4),
        ("/went/e/late", 10),
    ] {
        assert_eq!(storage.metadata(&path(name)).await.expect(name).size, size, "{name}");
    }
    for directory in ["/went/e/deep", "/went/e", "/went"] {
        storage.remove_directory(&path(directory)).await.unwrap();
    }
}

#[tokio::test]
async fn a_partial_expires_where_its_directory_went() {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        partial_expiry: Duration::from_secs(1),
        durability: Durability::None,
        ..Options::default()
    };
    let backend = LocalBackend::new(options).unwrap();
    let storage = open(&backend, home.path(), "alice").await;
    make(&*storage, &["/d"]).await;
    leave(&*storage, "/d/f").await;
    rename(&*storage, "/d", "/e").await;
    let e = home.path().join("e");
    let mut looks = 0;
    while !is_gone(&*storage, "/e/f").await {
        looks += 1;
        assert!(looks < 500, "never expires");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    put(&*storage, "/other", b"x").await.unwrap();
    assert_eq!(temps(&e), [""; 0], "the next upload sweeps what expired");
}

#[tokio::test]
#[ignore = "runs as a child of the test below"]
async fn child_with_an_upload_in_a_moved_directory() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let backend = backend();
    let storage = open(&backend, Path::new(&home), "alice").await;
    make(&*storage, &["/d"]).await;
    let mut upload = begin(&*storage, "/d/f").await.unwrap();
    upload.write(vec![b'x'; 100_000]).await.unwrap();
    rename(&*storage, "/d", "/e").await;
    println!("READY");
    tokio::time::sleep(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn a_crash_leaves_nothing_in_a_moved_directory() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_with_an_upload_in_a_moved_directory", "--nocapture"])
        .env(HOME, home.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("READY")), "the child never got ready");
    let e = home.path().join("e");
    assert_eq!(temps(&e).len(), 1);
    let backend = backend();
    let storage = open(&backend, home.path(), "alice").await;
    let error = storage.remove_directory(&path("/e")).await.unwrap_err();
    assert_eq!((error.kind, temps(&e).len()), (Kind::NotEmpty, 1), "the child is still writing");
    child.kill().unwrap();
    child.wait().unwrap();
    let next = common::backend();
    open(&next, home.path(), "alice").await;
    assert_eq!(temps(&e), [""; 0]);
}

#[tokio::test]
async fn what_looks_empty_can_be_removed_or_replaced() {
    let home = tempfile::tempdir().unwrap();
    let backend = backend();
    let storage = open(&backend, home.path(), "alice").await;
    let stray = |directory: &str| {
        let file = home.path().join(directory).join(".tidegate-00000000000000ab.tmp");
        fs::write(&file, b"nobody's").unwrap();
        file
    };
    make(&*storage, &["/d", "/e", "/e/in"]).await;
    stray("d");
    storage.remove_directory(&path("/d")).await.unwrap();
    make(&*storage, &["/d"]).await;
    stray("d");
    rename(&*storage, "/e", "/d").await;
    assert!(storage.enter(&path("/d/in")).await.is_ok());
    let kept = stray("d");
    fs::write(home.path().join("d/.tidegate-notes"), b"an operator's").unwrap();
    assert_eq!(storage.remove_directory(&path("/d")).await.unwrap_err().kind, Kind::NotEmpty);
    assert!(kept.exists(), "what cannot be removed is left as it is");
}

#[tokio::test]
async fn an_upload_of_another_server_is_not_a_stray() {
    let home = tempfile::tempdir().unwrap();
    let (ours, theirs) = (backend(), backend());
    let storage = open(&ours, home.path(), "alice").await;
    let other = open(&theirs, home.path(), "bob").await;
    make(&*storage, &["/d"]).await;
    let mut upload = begin(&*other, "/d/f").await.unwrap();
    upload.write(b"theirs".to_vec()).await.unwrap();
    assert_eq!(storage.remove_directory(&path("/d")).await.unwrap_err().kind, Kind::NotEmpty);
    commit(upload).await.unwrap();
    assert_eq!(get(&*storage, "/d/f").await.unwrap(), b"theirs");
}

#[tokio::test]
async fn an_upload_goes_on_where_its_directory_went() {
    let home = tempfile::tempdir().unwrap();
    let backend = backend();
    let storage = open(&backend, home.path(), "alice").await;
    make(&*storage, &["/d"]).await;
    leave(&*storage, "/d/f").await;
    let resume = request("/d/f", UploadStart::At(4));
    let mut upload = storage.begin_upload(&resume).await.unwrap();
    rename(&*storage, "/d", "/e").await;
    upload.write(b"!".to_vec()).await.unwrap();
    assert_eq!(storage.remove_directory(&path("/e")).await.unwrap_err().kind, Kind::NotEmpty);
    assert_eq!(commit(upload).await.unwrap(), 5);
    assert_eq!(get(&*storage, "/e/f").await.unwrap(), b"part!");
}
