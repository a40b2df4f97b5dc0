//! Denied names: what counts is where a path leads, also over links that were made behind the server's back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]
#![expect(clippy::disallowed_methods, reason = "a race needs real time; no order depends on it")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{begin, denying, get, open, path, put, request, temps};
use tidegate_storage::{Storage, UploadStart, commit};
use tidegate_types::StorageErrorKind as Kind;

async fn listed(storage: &dyn Storage, dir: &str) -> Vec<String> {
    let mut listing = storage.list(&path(dir)).await.unwrap();
    let mut names = Vec::new();
    while let Some(page) = listing.pages.next_page().await.unwrap() {
        names.extend(page.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()));
    }
    names.sort();
    names
}

#[tokio::test]
async fn links_made_by_others_count_by_where_they_lead() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at(".git/objects")).unwrap();
    fs::create_dir_all(at("pub/sub")).unwrap();
    fs::write(at(".git/config"), b"secret").unwrap();
    fs::write(at("pub/.htaccess"), b"secret").unwrap();
    fs::write(at("pub/file"), b"open").unwrap();
    let denied = [
        ("dotted", ".git/."),
        ("slashed", ".git/"),
        ("roundabout", "pub/sub/../../.git/config"),
        ("back", ".git/objects/.."),
        ("dangling", "pub/.htmissing"),
        ("dangling-deep", ".git/missing"),
        ("dangling-deeper", ".git/missing/x"),
        ("through-a-file", ".git/config/x"),
        ("over-a-link", "to-pub/.htaccess"),
        ("over-two", "dotted/config"),
    ];
    let open_links = [("through", ".git/../pub/file"), ("to-pub", "pub"), ("to-file", "pub/file")];
    for (name, way) in denied.iter().chain(&open_links) {
        symlink(way, at(name)).unwrap();
    }
    symlink("/etc/passwd", at("out")).unwrap();
    symlink("../.git/config", at("pub/up")).unwrap();
    let backend = denying(&[".git", ".ht*"]);
    let storage = open(&backend, home.path(), "alice").await;
    for (name, _) in denied {
        let name = format!("/{name}");
        assert_eq!(storage.metadata(&path(&name)).await.unwrap_err().kind, Kind::NotFound, "{name}");
        assert_eq!(get(&*storage, &name).await.unwrap_err().kind, Kind::NotFound, "{name}");
        assert_eq!(begin(&*storage, &name).await.err().unwrap().kind, Kind::BadName, "{name}");
        assert_eq!(storage.remove_file(&path(&name)).await.unwrap_err().kind, Kind::NotFound, "{name}");
        assert!(fs::symlink_metadata(home.path().join(&name[1..])).unwrap().is_symlink(), "{name}");
    }
    for name in ["/through", "/to-pub/file", "/to-file"] {
        assert_eq!(get(&*storage, name).await.unwrap(), b"open", "{name}");
    }
    assert_eq!(get(&*storage, "/out").await.unwrap_err().kind, Kind::PermissionDenied);
    assert_eq!(listed(&*storage, "/").await, ["out", "pub", "through", "to-file", "to-pub"]);
    assert_eq!(listed(&*storage, "/to-pub").await, ["file", "sub"]);
    storage.remove_file(&path("/out")).await.unwrap();
    put(&*storage, "/to-file", b"written").await.unwrap();
    assert_eq!(fs::read(at("pub/file")).unwrap(), b"written");
    let unique = storage.begin_upload(&request("/dotted", UploadStart::Unique)).await.unwrap();
    assert_eq!(unique.path(), &path("/dotted.1"), "not into the directory that is not there");
    commit(unique).await.unwrap();
    assert_eq!(fs::read_dir(at(".git")).unwrap().count(), 2);
}

/// Lets `x` be a plain file, a link to a denied one, and a link to a denied one that is being replaced, in turns.
fn flip(home: &Path, done: &AtomicBool) -> u64 {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let (x, link, fresh, secret) =
        (home.join("x"), home.join("link"), home.join(".htfresh"), home.join(".htaccess"));
    symlink(".htaccess", &link).unwrap();
    let mut flips = 0;
    while !done.load(Ordering::Relaxed) {
        renameat_with(CWD, &x, CWD, &link, RenameFlags::EXCHANGE).unwrap();
        fs::write(&fresh, b"SECRET").unwrap();
        fs::rename(&fresh, &secret).unwrap();
        renameat_with(CWD, &x, CWD, &link, RenameFlags::EXCHANGE).unwrap();
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

#[derive(Default)]
struct Seen {
    plain: u64,
    nothing: u64,
}

async fn look_at_x(storage: &dyn Storage, until: Instant) -> Seen {
    let mut seen = Seen::default();
    // A busy machine needs longer to see both sides often enough; it is given that, within bounds.
    let at_last = until + Duration::from_secs(25);
    while Instant::now() < until || (seen.plain.min(seen.nothing) <= 50 && Instant::now() < at_last) {
        match get(storage, "/x").await {
            Ok(content) => {
                assert_eq!(content, b"plain", "a denied file was read");
                seen.plain += 1;
            }
            Err(error) => {
                assert_eq!(error.kind, Kind::NotFound, "{error}");
                seen.nothing += 1;
            }
        }
        if let Ok(facts) = storage.metadata(&path("/x")).await {
            assert_eq!(facts.size, 5, "the facts of a denied file were told");
        }
        let append = storage.begin_upload(&request("/x", UploadStart::Append)).await;
        if let Ok(append) = append {
            assert_eq!(append.starts_at(), 5, "a denied file was opened for writing");
            drop(append);
        }
        let _ = storage.set_mode(&path("/x"), 0o600).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_flips_into_a_link_shows_no_denied_byte() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".htaccess"), b"SECRET").unwrap();
    fs::write(home.path().join("x"), b"plain").unwrap();
    let (done, flips) = (AtomicBool::new(false), AtomicU64::new(0));
    let backend = denying(&[".ht*"]);
    let storage = open(&backend, home.path(), "alice").await;
    let until = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        scope.spawn(|| flips.store(flip(home.path(), &done), Ordering::SeqCst));
        let seen = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(look_at_x(&*storage, until))
        });
        drop(stop);
        assert!(seen.plain > 50 && seen.nothing > 50, "{} and {}: too few", seen.plain, seen.nothing);
    });
    assert!(flips.load(Ordering::SeqCst) > 100, "{flips:?} flips prove little");
    assert_eq!(fs::read(home.path().join(".htaccess")).unwrap(), b"SECRET");
    assert_eq!(temps(home.path()), [""; 0]);
}

#[tokio::test]
async fn a_link_to_a_denied_file_that_was_removed_meanwhile_is_denied() {
    // The kernel then writes its name with a remark, which no pattern names.
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("secret (deleted)"), b"a name like any other").unwrap();
    symlink("secret (deleted)", home.path().join("x")).unwrap();
    let storage = open(&denying(&["secret"]), home.path(), "alice").await;
    // Doubt counts against the name: what looks removed is treated as if it were.
    assert_eq!(get(&*storage, "/x").await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(get(&*storage, "/secret (deleted)").await.unwrap(), b"a name like any other");
}
