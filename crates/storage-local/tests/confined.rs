//! Links, devices and hidden names: nothing outside the home is read, written or told about.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]
#![expect(clippy::disallowed_methods, reason = "races and kills need real time; no order depends on it")]

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{backend, begin, get, open, path, put, request, temps};
use tidegate_storage::{Backend, Creation, Storage, Tenant, UploadStart, commit};
use tidegate_types::{FileKind, StorageErrorKind as Kind, Timestamp};

#[tokio::test]
async fn a_home_that_is_none_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"").unwrap();
    for (name, kind) in [("missing", Kind::NotFound), ("file", Kind::NotADirectory)] {
        let home = dir.path().join(name).to_str().unwrap().to_owned();
        let error = backend()
            .open(&Tenant { account: None, home, creation: Creation::default() })
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind, kind);
        assert!(error.detail.contains(name), "{}", error.detail);
    }
}

#[tokio::test]
async fn links_inside_are_followed_and_links_out_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::create_dir_all(at("real/deep")).unwrap();
    std::fs::write(at("real/file"), b"inside").unwrap();
    symlink("real", at("dir-link")).unwrap();
    symlink("real/file", at("file-link")).unwrap();
    symlink("../file", at("real/deep/up")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink(outside.path().join("secret"), at("absolute")).unwrap();
    symlink(at("real/file"), at("absolute-inside")).unwrap();
    let escape = format!("../../../../../../../..{}/secret", outside.path().to_str().unwrap());
    symlink(&escape, at("escape")).unwrap();
    symlink("loop", at("loop")).unwrap();
    let storage = open(&backend(), home.path(), "alice").await;
    for inside in ["/file-link", "/dir-link/file", "/dir-link/deep/up", "/real/deep/up"] {
        assert_eq!(get(&*storage, inside).await.unwrap(), b"inside", "{inside}");
    }
    for (out, kind) in [
        ("/absolute", Kind::PermissionDenied),
        ("/absolute-inside", Kind::PermissionDenied),
        ("/escape", Kind::PermissionDenied),
        ("/loop", Kind::PermissionDenied),
        ("/dangling", Kind::NotFound),
    ] {
        assert_eq!(get(&*storage, out).await.unwrap_err().kind, kind, "{out}");
        assert_eq!(storage.metadata(&path(out)).await.unwrap().kind, FileKind::Symlink, "{out}");
        if kind == Kind::PermissionDenied {
            assert_eq!(begin(&*storage, out).await.err().unwrap().kind, kind, "STOR {out}");
            let stamp = storage.set_modified(&path(out), Timestamp::default()).await;
            assert_eq!(stamp.unwrap_err().kind, kind, "MFMT {out}");
            assert_eq!(storage.set_mode(&path(out), 0o600).await.unwrap_err().kind, kind, "CHMOD {out}");
        }
    }
    let mut listing = storage.list(&path("/")).await.unwrap();
    for entry in listing.pages.next_page().await.unwrap().unwrap() {
        let kind = match entry.name.as_slice() {
            b"real" | b"dir-link" => FileKind::Directory,
            b"file-link" => FileKind::File,
            _ => FileKind::Symlink,
        };
        assert_eq!(entry.metadata.kind, kind, "{}", entry.name.escape_ascii());
    }
    // A link that is written through stays; one that is renamed or removed is meant itself.
    put(&*storage, "/file-link", b"changed").await.unwrap();
    assert_eq!(std::fs::read(at("real/file")).unwrap(), b"changed");
    assert!(std::fs::symlink_metadata(at("file-link")).unwrap().is_symlink());
    put(&*storage, "/dangling", b"found").await.unwrap();
    assert_eq!(std::fs::read(at("nowhere")).unwrap(), b"found");
    storage.rename(&path("/escape"), &path("/renamed"), false).await.unwrap();
    storage.remove_file(&path("/renamed")).await.unwrap();
    storage.remove_file(&path("/file-link")).await.unwrap();
    assert_eq!(std::fs::read(at("real/file")).unwrap(), b"changed");
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

#[test]
fn only_regular_files_are_served_and_a_fifo_never_blocks() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let done = runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(10), open_what_is_no_file()).await });
    // What waits for ever is not waited for.
    runtime.shutdown_background();
    done.expect("nothing waits for the other end");
}

async fn open_what_is_no_file() {
    let home = tempfile::tempdir().unwrap();
    let fifo = home.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(home.path().join("socket")).unwrap();
    let storage = open(&backend(), home.path(), "alice").await;
    for name in ["/fifo", "/socket"] {
        assert_eq!(get(&*storage, name).await.unwrap_err().kind, Kind::NotAFile, "{name}");
        for start in [UploadStart::Replace, UploadStart::Append, UploadStart::At(1)] {
            let begun = storage.begin_upload(&request(name, start)).await;
            assert_eq!(begun.err().unwrap().kind, Kind::NotAFile, "{name} {start:?}");
        }
        assert_eq!(storage.set_mode(&path(name), 0o600).await.unwrap_err().kind, Kind::NotAFile, "{name}");
    }
}

#[tokio::test]
async fn reserved_names_do_not_exist_and_cannot_be_made() {
    let home = tempfile::tempdir().unwrap();
    let storage = open(&backend(), home.path(), "alice").await;
    put(&*storage, "/file", b"x").await.unwrap();
    let journal = path("/.tidegate-journal-0");
    assert!(home.path().join(".tidegate-journal-0").exists());
    assert_eq!(storage.metadata(&journal).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(storage.remove_file(&journal).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(storage.rename(&journal, &path("/j"), true).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(storage.list(&path("/.TIDEGATE-x")).await.err().unwrap().kind, Kind::NotFound);
    assert_eq!(storage.rename(&path("/file"), &journal, true).await.unwrap_err().kind, Kind::BadName);
    assert_eq!(begin(&*storage, "/.tidegate-x").await.err().unwrap().kind, Kind::BadName);
    assert_eq!(storage.make_directory(&path("/.Tidegate-x"), 0).await.unwrap_err().kind, Kind::BadName);
    let page = storage.list(&path("/")).await.unwrap().pages.next_page().await.unwrap().unwrap();
    assert_eq!(page.len(), 1);
}

#[tokio::test]
async fn names_with_control_characters_are_left_out_of_listings() {
    let home = tempfile::tempdir().unwrap();
    for name in ["a\r\n226 fake", "tab\there", "del\x7f", "fine"] {
        std::fs::write(home.path().join(name), b"").unwrap();
    }
    let storage = open(&backend(), home.path(), "alice").await;
    let page = storage.list(&path("/")).await.unwrap().pages.next_page().await.unwrap().unwrap();
    assert_eq!(page.iter().map(|entry| entry.name.as_slice()).collect::<Vec<_>>(), [b"fine"]);
}

#[tokio::test]
async fn a_replaced_file_keeps_mode_owner_and_attributes() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, b"old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4751)).unwrap();
    let marked = rustix::fs::setxattr(&file, "user.tide", b"high", rustix::fs::XattrFlags::empty());
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(&file, Some(12345), Some(23456)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4751)).unwrap();
    }
    let storage = open(&backend(), home.path(), "alice").await;
    let before = std::fs::metadata(&file).unwrap();
    put(&*storage, "/file", b"new").await.unwrap();
    let after = std::fs::metadata(&file).unwrap();
    assert_ne!(before.ino(), after.ino(), "replaced, not rewritten");
    assert_eq!(after.mode() & 0o7777, 0o751, "the mode, without set-user-ID over new content");
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    match marked {
        Ok(()) => {
            let mut value = [0_u8; 16];
            let length = rustix::fs::getxattr(&file, "user.tide", &mut value[..]).unwrap();
            assert_eq!(&value[..length], b"high");
        }
        Err(errno) => assert_eq!(errno, rustix::io::Errno::OPNOTSUPP, "only a file system may say no"),
    }
}

#[tokio::test]
async fn a_name_of_255_bytes_can_be_uploaded() {
    let home = tempfile::tempdir().unwrap();
    let storage = open(&backend(), home.path(), "alice").await;
    let name = format!("/{}", "n".repeat(255));
    put(&*storage, &name, b"x").await.unwrap();
    let unique = storage.begin_upload(&request(&name, UploadStart::Unique)).await.unwrap();
    assert!(unique.path().file_name().unwrap().len() <= 255);
    commit(unique).await.unwrap();
}

/// Swaps `home/flip` between a directory and a link to `outside` until `done`; returns how often.
fn flip(home: &Path, outside: &Path, done: &AtomicBool) -> u64 {
    let (flip, spare, link) = (home.join("flip"), home.join("spare"), home.join("link"));
    symlink(outside, &link).unwrap();
    let mut flips = 0;
    while !done.load(Ordering::Relaxed) {
        let exchange = |a: &Path, b: &Path| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
        };
        exchange(&flip, &link);
        exchange(&flip, &link);
        std::fs::rename(&flip, &spare).unwrap();
        std::fs::rename(&spare, &flip).unwrap();
        flips += 1;
    }
    flips
}

/// Ends the flipping, also when an assertion fails meanwhile.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Goes through `/flip` with every verb; returns how often it got in.
async fn go_through(storage: &dyn Storage, who: usize, until: Instant) -> u64 {
    let mut inside = 0;
    let file = format!("/flip/file{who}");
    // A busy machine needs longer to get in often enough; it is given that, within bounds.
    let at_last = until + Duration::from_secs(25);
    while Instant::now() < until || (inside <= 25 && Instant::now() < at_last) {
        if let Ok(content) = get(storage, "/flip/known").await {
            assert_eq!(content, b"inside", "read outside the home");
            inside += 1;
        }
        inside += u64::from(put(storage, &file, b"written").await.is_ok());
        let _ = storage.make_directory(&path(&format!("/flip/dir{who}")), 0).await;
        let _ = storage.set_mode(&path("/flip/known"), 0o644).await;
        let _ = storage.set_modified(&path("/flip/known"), Timestamp { secs: 5, nanos: 0 }).await;
        let _ = storage.rename(&path(&file), &path(&format!("/flip/victim{who}")), true).await;
        let _ = storage.remove_file(&path("/flip/victim")).await;
        let _ = storage.remove_file(&path(&file)).await;
        let _ = storage.remove_directory(&path("/flip/dir")).await;
        if let Ok(mut listing) = storage.list(&path("/flip")).await {
            while let Ok(Some(page)) = listing.pages.next_page().await {
                assert!(page.iter().all(|entry| entry.name != b"victim"), "listed outside the home");
            }
        }
    }
    inside
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_flips_into_a_link_lets_nobody_out() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("known"), b"OUTSIDE").unwrap();
    std::fs::write(outside.path().join("victim"), b"OUTSIDE").unwrap();
    std::fs::create_dir(outside.path().join("dir")).unwrap();
    std::fs::set_permissions(outside.path().join("known"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let state = |name: &str| {
        let about = std::fs::metadata(outside.path().join(name)).unwrap();
        (about.ino(), about.mode(), about.mtime(), about.len())
    };
    let before = ["known", "victim", "dir"].map(state);
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("flip")).unwrap();
    std::fs::write(home.path().join("flip/known"), b"inside").unwrap();
    let (done, flips) = (AtomicBool::new(false), AtomicU64::new(0));
    let storage = open(&backend(), home.path(), "alice").await;
    let until = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        scope.spawn(|| flips.store(flip(home.path(), outside.path(), &done), Ordering::SeqCst));
        let inside = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let walks = (0..4).map(|who| {
                    let storage = storage.clone();
                    tokio::spawn(async move { go_through(&*storage, who, until).await })
                });
                let mut inside = 0;
                for walk in walks.collect::<Vec<_>>() {
                    inside += walk.await.unwrap();
                }
                inside
            })
        });
        drop(stop);
        assert!(inside > 100, "the way in was open {inside} times: too few to prove anything");
    });
    assert!(flips.load(Ordering::SeqCst) > 1000, "{flips:?} flips prove little");
    assert_eq!(["known", "victim", "dir"].map(state), before, "something outside was touched");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 3, "something was created outside");
    assert_eq!(temps(&home.path().join("flip")), [""; 0]);
}
