//! What is left when the process dies, and what the next one makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]
#![expect(clippy::disallowed_methods, reason = "races and kills need real time; no order depends on it")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{backend, begin, get, open, path, put, request, temps};
use tidegate_storage::{Cut, UploadStart, commit};
use tidegate_storage_local::{LocalBackend, Options};
use tidegate_types::StorageErrorKind as Kind;

/// Where the child process finds its home; without it the child is not a child.
const HOME: &str = "TIDEGATE_TEST_CRASH_HOME";

/// Runs the test `child` of this program in a process of its own, up to the line it says when it is ready.
fn start(child: &str, home: &Path) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut process = Command::new(program)
        .args(["--ignored", "--exact", child, "--nocapture"])
        .env(HOME, home)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("READY")), "the child never got ready");
    process
}

fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
#[ignore = "runs as a child of the tests below"]
async fn child_with_uploads_under_way() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let backend = backend();
    let storage = open(&backend, Path::new(&home), "alice").await;
    let mut cut = begin(&*storage, "/sub dir/partial").await.unwrap();
    cut.write(vec![b'p'; 50_000]).await.unwrap();
    assert_eq!(cut.abort().await.unwrap(), Cut::Kept { size: 50_000 });
    let mut new = begin(&*storage, "/sub dir/new").await.unwrap();
    let mut old = begin(&*storage, "/old").await.unwrap();
    new.write(vec![b'n'; 100_000]).await.unwrap();
    old.write(vec![b'o'; 100_000]).await.unwrap();
    println!("READY");
    tokio::time::sleep(Duration::from_mins(1)).await;
}

#[tokio::test]
async fn what_a_killed_process_left_is_swept_and_its_partials_live_on() {
    let home = tempfile::tempdir().unwrap();
    let sub = home.path().join("sub dir");
    std::fs::create_dir(&sub).unwrap();
    std::fs::write(home.path().join("old"), b"whole").unwrap();
    let child = start("child_with_uploads_under_way", home.path());
    assert_eq!((temps(home.path()).len(), temps(&sub).len()), (1, 2));
    {
        let beside = backend();
        let storage = open(&beside, home.path(), "alice").await;
        put(&*storage, "/beside", b"x").await.unwrap();
        assert_eq!((temps(home.path()).len(), temps(&sub).len()), (1, 2), "the child still lives");
    }
    kill(child);
    let backend = backend();
    let storage = open(&backend, home.path(), "alice").await;
    assert_eq!((temps(home.path()).len(), temps(&sub).len()), (0, 1));
    assert_eq!(get(&*storage, "/old").await.unwrap(), b"whole");
    assert_eq!(storage.metadata(&path("/sub dir/new")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(storage.metadata(&path("/sub dir/partial")).await.unwrap().size, 50_000);
    let bob = open(&backend, home.path(), "bob").await;
    assert_eq!(bob.metadata(&path("/sub dir/partial")).await.unwrap_err().kind, Kind::NotFound);
    let mut upload =
        storage.begin_upload(&request("/sub dir/partial", UploadStart::At(50_000))).await.unwrap();
    upload.write(b"end".to_vec()).await.unwrap();
    assert_eq!(commit(upload).await.unwrap(), 50_003);
    assert_eq!(temps(&sub).len(), 0);
}

#[tokio::test]
#[ignore = "runs as a child of the tests below"]
async fn child_that_replaces_without_end() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let backend = LocalBackend::new(Options::default()).unwrap();
    let storage = open(&backend, Path::new(&home), "alice").await;
    println!("READY");
    for round in 0..u64::MAX {
        let byte = b'a' + u8::try_from(round % 26).unwrap();
        let mut upload = begin(&*storage, "/file").await.unwrap();
        for _ in 0..4 {
            upload.write(vec![byte; 50_000]).await.unwrap();
        }
        commit(upload).await.unwrap();
    }
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_one_whole_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), vec![b'-'; 200_000]).unwrap();
    let mut replaced = 0;
    for round in 0..20_u64 {
        let child = start("child_that_replaces_without_end", home.path());
        // The moment is spread over the steps of an upload; what is checked holds at every moment.
        std::thread::sleep(Duration::from_micros(300 + round * 1700));
        kill(child);
        let content = std::fs::read(home.path().join("file")).unwrap();
        assert_eq!(content.len(), 200_000, "round {round}");
        assert!(content.iter().all(|byte| *byte == content[0]), "round {round}: a mixture");
        replaced += u64::from(content[0] != b'-');
        let backend = backend();
        open(&backend, home.path(), "alice").await;
        assert_eq!(temps(home.path()), [""; 0], "round {round}");
    }
    assert!(replaced > 0, "no upload ever got through");
}

#[tokio::test]
async fn partials_expire_and_go_when_they_are_not_wanted() {
    let home = tempfile::tempdir().unwrap();
    let options = Options { partial_expiry: Duration::from_secs(1), ..Options::default() };
    let leave = async |options| {
        let backend = LocalBackend::new(options).unwrap();
        let storage = open(&backend, home.path(), "alice").await;
        let mut upload = begin(&*storage, "/file").await.unwrap();
        upload.write(b"part".to_vec()).await.unwrap();
        assert_eq!(upload.abort().await.unwrap(), Cut::Kept { size: 4 });
        (backend, storage)
    };
    let (_backend, storage) = leave(options).await;
    let mut looks = 0;
    while storage.metadata(&path("/file")).await.is_ok() {
        looks += 1;
        assert!(looks < 500, "never expires");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    put(&*storage, "/other", b"x").await.unwrap();
    assert_eq!(temps(home.path()), [""; 0], "the next upload sweeps what expired");
    drop(leave(Options::default()).await);
    assert_eq!(temps(home.path()).len(), 1);
    let unwanted = LocalBackend::new(Options { keep_partial: false, ..Options::default() }).unwrap();
    let storage = open(&unwanted, home.path(), "alice").await;
    assert_eq!(temps(home.path()), [""; 0]);
    let mut upload = begin(&*storage, "/file").await.unwrap();
    upload.write(b"part".to_vec()).await.unwrap();
    assert_eq!(upload.abort().await.unwrap(), Cut::Discarded);
}

#[tokio::test]
async fn homes_that_nobody_uses_are_let_go_and_found_again() {
    let homes = tempfile::tempdir().unwrap();
    let backend = backend();
    let home = |number: u32| homes.path().join(format!("home{number}"));
    for number in 0..200 {
        std::fs::create_dir(home(number)).unwrap();
        let storage = open(&backend, &home(number), "alice").await;
        let mut upload = begin(&*storage, "/file").await.unwrap();
        upload.write(b"part".to_vec()).await.unwrap();
        upload.abort().await.unwrap();
    }
    let open_files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open_files < 300, "{open_files} descriptors for 200 idle homes");
    for number in 0..200 {
        let storage = open(&backend, &home(number), "alice").await;
        assert_eq!(storage.metadata(&path("/file")).await.unwrap().size, 4, "home {number}");
    }
}
