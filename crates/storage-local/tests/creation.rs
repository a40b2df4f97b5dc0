//! Owner, group and mode of what is created, whatever the umask of the process. Giving files away takes root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use common::{backend, open_as, path, put, request, temps};
use tidegate_storage::{Creation, Storage, UploadRequest, UploadStart, commit};
use tidegate_types::{StorageErrorKind as Kind, UploadStyle};

const HOME: &str = "TIDEGATE_TEST_CREATION_HOME";
/// Nobody in particular.
const SOMEBODY: u32 = 65534;

fn creation(uid: Option<u32>, gid: Option<u32>) -> Creation {
    Creation { uid, gid, file_mode: Some(0o664), directory_mode: Some(0o2775) }
}

/// Returns owner, group and mode of `name`, a link not followed.
fn look(home: &Path, name: &str) -> (u32, u32, u32) {
    let about = fs::symlink_metadata(home.join(name)).unwrap();
    (about.uid(), about.gid(), about.mode() & 0o7777)
}

async fn store(storage: &dyn Storage, request: &UploadRequest) -> String {
    let mut upload = storage.begin_upload(request).await.unwrap();
    upload.write(b"content".to_vec()).await.unwrap();
    let name = String::from_utf8(upload.path().relative().to_vec()).unwrap();
    commit(upload).await.unwrap();
    name
}

#[tokio::test]
async fn root_gives_away_what_it_creates() {
    assert!(rustix::process::geteuid().is_root(), "this test shows what only root can: run it as root");
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let backend = backend();
    let storage = open_as(&backend, home.path(), "alice", creation(Some(12345), Some(23456))).await;
    for start in [UploadStart::Replace, UploadStart::Append, UploadStart::Unique] {
        let name = store(&*storage, &request(&format!("/{start:?}"), start)).await;
        assert_eq!(look(home.path(), &name), (12345, 23456, 0o664), "{start:?}");
    }
    let in_place =
        UploadRequest { style: UploadStyle::InPlace, umask: 0o026, ..request("/in", UploadStart::Replace) };
    store(&*storage, &in_place).await;
    assert_eq!(look(home.path(), "in"), (12345, 23456, 0o640));
    storage.make_directory(&path("/dir"), 0).await.unwrap();
    assert_eq!(look(home.path(), "dir"), (12345, 23456, 0o2775), "set-group-ID survives the change of owner");
    storage.make_directory(&path("/dir/strict"), 0o077).await.unwrap();
    assert_eq!(look(home.path(), "dir/strict"), (12345, 23456, 0o2700));
    storage.make_link(&path("/dir"), &path("/link")).await.unwrap();
    assert_eq!(look(home.path(), "link"), (12345, 23456, 0o777));
    assert_eq!(look(home.path(), "dir"), (12345, 23456, 0o2775), "the link got the owner, not its target");
    // What was there keeps what it had.
    fs::write(at("old"), b"old").unwrap();
    let old = look(home.path(), "old");
    put(&*storage, "/old", b"new").await.unwrap();
    assert_eq!(look(home.path(), "old"), old);
    // While it is written, and as a partial, it is no more open than it will be, and belongs to the same.
    let mut upload = storage.begin_upload(&request("/part", UploadStart::Replace)).await.unwrap();
    upload.write(vec![0; 100_000]).await.unwrap();
    let [temp] = temps(home.path()).try_into().unwrap();
    assert_eq!(look(home.path(), &temp), (12345, 23456, 0o600));
    upload.abort().await.unwrap();
    assert_eq!(look(home.path(), &temp), (12345, 23456, 0o600));
    store(&*storage, &request("/part", UploadStart::Append)).await;
    assert_eq!(look(home.path(), "part"), (12345, 23456, 0o664));
    storage.set_group(&path("/part"), 34567).await.unwrap();
    assert_eq!(look(home.path(), "part").1, 34567);
    storage.set_group(&path("/dir"), 34567).await.unwrap();
    assert_eq!(look(home.path(), "dir").1, 34567);
    let nobody = storage.set_group(&path("/part"), u32::MAX).await.unwrap_err();
    assert_eq!((nobody.kind, look(home.path(), "part").1), (Kind::PermissionDenied, 34567));
}

#[tokio::test]
async fn a_target_that_goes_while_it_is_replaced_makes_a_new_file() {
    assert!(rustix::process::geteuid().is_root(), "this test shows what only root can: run it as root");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, b"old").unwrap();
    let backend = backend();
    let storage = open_as(&backend, home.path(), "alice", creation(Some(12345), Some(23456))).await;
    let upload = storage.begin_upload(&request("/file", UploadStart::Replace)).await.unwrap();
    fs::remove_file(&file).unwrap();
    commit(upload).await.unwrap();
    assert_eq!(look(home.path(), "file"), (12345, 23456, 0o664));
}

#[tokio::test]
#[ignore = "runs as a child without privileges, with a umask that takes nearly everything"]
async fn child_without_privileges() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let home = Path::new(&home);
    let own = rustix::process::geteuid().as_raw();
    assert_ne!(own, 0);
    let backend = backend();
    // Its own ids may be named, and the umask of the process has no say in modes that are.
    let storage = open_as(&backend, home, "alice", creation(Some(own), None)).await;
    store(&*storage, &request("/mine", UploadStart::Replace)).await;
    assert_eq!((look(home, "mine").0, look(home, "mine").2), (own, 0o664));
    storage.make_directory(&path("/mine-too"), 0o002).await.unwrap();
    assert_eq!(look(home, "mine-too").2 & 0o777, 0o775 & !0o002);
    let before = names(home);
    // Somebody else's may not: nothing is created.
    let other = open_as(&backend, home, "bob", creation(Some(1), None)).await;
    for style in [UploadStyle::Atomic, UploadStyle::InPlace] {
        for start in [UploadStart::Replace, UploadStart::Append, UploadStart::Unique] {
            let request = UploadRequest { style, ..request("/theirs", start) };
            let error = other.begin_upload(&request).await.err().unwrap();
            assert_eq!(error.kind, Kind::PermissionDenied, "{error}");
            assert!(error.detail.contains("owner") && error.detail.contains("CAP_CHOWN"), "{error}");
        }
    }
    for outcome in [
        other.make_directory(&path("/theirs"), 0).await,
        other.make_link(&path("/mine"), &path("/theirs")).await,
        other.set_group(&path("/mine"), 1).await,
    ] {
        assert_eq!(outcome.unwrap_err().kind, Kind::PermissionDenied);
    }
    assert_eq!(names(home), before);
    // Without modes of the account the umask counts, and the client's beside it.
    let plain = open_as(&backend, home, "carol", Creation::default()).await;
    store(&*plain, &request("/plain", UploadStart::Replace)).await;
    assert_eq!(look(home, "plain").2, 0o640);
    store(&*plain, &UploadRequest { umask: 0o240, ..request("/less", UploadStart::Replace) }).await;
    assert_eq!(look(home, "less").2, 0o400);
    plain.make_directory(&path("/plain-dir"), 0o010).await.unwrap();
    assert_eq!(look(home, "plain-dir").2, 0o740);
}

fn names(home: &Path) -> Vec<String> {
    let entries = fs::read_dir(home).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".tidegate-journal"));
    names.sort();
    names
}

#[test]
fn without_privileges_only_its_own_ids_can_be_given() {
    let dir = tempfile::tempdir().unwrap();
    let (home, program) = (dir.path().join("home"), dir.path().join("program"));
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::create_dir(&home).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        for at in [dir.path(), &home] {
            std::os::unix::fs::chown(at, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
    }
    let id = SOMEBODY.to_string();
    let switch = if is_root {
        format!("exec setpriv --reuid {id} --regid {id} --clear-groups")
    } else {
        "exec".into()
    };
    let output = Command::new("sh")
        .args(["-ec", &format!("umask 027; {switch} \"$0\" \"$@\"")])
        .arg(&program)
        .args(["--ignored", "--exact", "child_without_privileges", "--nocapture"])
        .env(HOME, &home)
        .output()
        .expect("sh, and setpriv (util-linux) when root runs this test, are needed");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
