//! A full disk and a read-only one, on small file systems mounted for the test in a mount namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{backend, begin, get, open, path, put, request, temps};
use tidegate_storage::{UploadStart, commit};
use tidegate_types::StorageErrorKind as Kind;

const HOME: &str = "TIDEGATE_TEST_MOUNT_HOME";

/// Runs the test `child` of this program where `mount` has been run on `$HOME`; fails when that cannot be.
fn run_mounted(child: &str, mount: &str) {
    let home = tempfile::tempdir().unwrap();
    let namespace = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let output = Command::new("unshare")
        .args([namespace, "--propagation", "private", "sh", "-ec"])
        .arg(format!("{mount}\nexec \"$0\" --ignored --exact {child} --nocapture"))
        .arg(std::env::current_exe().unwrap())
        .env(HOME, home.path())
        .output()
        .expect("unshare (util-linux) is needed for this test");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "runs as a child on a file system of 256 KiB"]
async fn child_on_a_small_disk() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let home = Path::new(&home);
    let storage = open(&backend(), home, "alice").await;
    put(&*storage, "/old", &vec![b'o'; 50_000]).await.unwrap();
    for name in ["/old", "/new"] {
        let mut upload = begin(&*storage, name).await.unwrap();
        let mut kind = None;
        for _ in 0..20 {
            if let Err(error) = upload.write(vec![b'n'; 50_000]).await {
                kind = Some(error.kind);
                break;
            }
        }
        assert_eq!(kind, Some(Kind::DiskFull), "{name}");
        assert_eq!(
            commit(upload).await.unwrap_err().kind,
            Kind::Failed,
            "{name}: no commit after a failed write"
        );
    }
    assert_eq!(get(&*storage, "/old").await.unwrap(), vec![b'o'; 50_000], "the old file is whole");
    assert_eq!(storage.metadata(&path("/new")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(temps(home), [""; 0], "nothing keeps the disk full");
    let mut append = storage.begin_upload(&request("/old", UploadStart::Append)).await.unwrap();
    assert_eq!(append.write(vec![0; 400_000]).await.unwrap_err().kind, Kind::DiskFull);
    drop(append);
    // Small writes wait in memory; the commit then tells.
    std::fs::write(home.join("ballast"), vec![0; 1 << 20]).unwrap_err();
    let begun = begin(&*storage, "/small").await;
    let told = match begun {
        Err(error) => error.kind,
        Ok(mut upload) => {
            upload.write(vec![1; 20_000]).await.unwrap();
            commit(upload).await.unwrap_err().kind
        }
    };
    assert_eq!(told, Kind::DiskFull);
    assert_eq!(storage.metadata(&path("/small")).await.unwrap_err().kind, Kind::NotFound);
}

#[test]
fn a_full_disk_is_told_and_the_old_file_is_whole() {
    run_mounted("child_on_a_small_disk", &format!("mount -t tmpfs -o size=256k tmpfs \"${HOME}\""));
}

#[tokio::test]
#[ignore = "runs as a child on a read-only file system"]
async fn child_on_a_read_only_disk() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let storage = open(&backend(), Path::new(&home), "alice").await;
    assert_eq!(get(&*storage, "/file").await.unwrap(), b"content\n");
    let page = storage.list(&path("/")).await.unwrap().pages.next_page().await.unwrap().unwrap();
    assert_eq!(page.len(), 1);
    assert!(!page[0].metadata.access.write, "perm letters promise nothing that cannot be");
    for (name, start) in
        [("/file", UploadStart::Replace), ("/new", UploadStart::Replace), ("/file", UploadStart::Append)]
    {
        let begun = storage.begin_upload(&request(name, start)).await;
        assert_eq!(begun.err().unwrap().kind, Kind::PermissionDenied, "{name} {start:?}");
    }
    assert_eq!(storage.make_directory(&path("/dir"), 0).await.unwrap_err().kind, Kind::PermissionDenied);
    assert_eq!(storage.remove_file(&path("/file")).await.unwrap_err().kind, Kind::PermissionDenied);
}

#[test]
fn a_read_only_home_is_served() {
    let mount = format!(
        "mount -t tmpfs tmpfs \"${HOME}\"\necho content > \"${HOME}/file\"\nmount -o remount,ro \"${HOME}\""
    );
    run_mounted("child_on_a_read_only_disk", &mount);
}
