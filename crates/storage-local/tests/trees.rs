//! Directories removed with everything in them: deep ones, ones with mounts and with what may not be touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{backend, open, path};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::process::{Resource, getrlimit, setrlimit};
use tidegate_types::StorageErrorKind as Kind;

const HOME: &str = "TIDEGATE_TEST_TREES_HOME";
/// Nobody in particular; only used when the test is run by root.
const SOMEBODY: u32 = 65534;

/// Creates `levels` directories with long names inside each other, a file in each; deeper than any path is long.
fn dig(top: &Path, levels: usize) {
    let name = "n".repeat(100);
    fs::create_dir(top).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut dir = openat(rustix::fs::CWD, top, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        openat(&dir, "file", OFlags::WRONLY | OFlags::CREATE, Mode::RUSR).unwrap();
        mkdirat(&dir, "empty", Mode::RWXU).unwrap();
        mkdirat(&dir, &name, Mode::RWXU).unwrap();
        dir = openat(&dir, &name, flags, Mode::empty()).unwrap();
    }
}

/// Runs the test `child` of this program by itself, started with `start` before it.
fn run_child(child: &str, home: &Path, start: &str) {
    let output = Command::new("sh")
        .args(["-ec", &format!("{start} \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", child, "--nocapture"])
        .env(HOME, home)
        .output()
        .expect("sh is needed for this test");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "runs as a child, for its limit of descriptors counts for the whole process"]
async fn child_with_few_descriptors() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let home = Path::new(&home);
    let storage = open(&backend(), home, "alice").await;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    storage.remove_tree(&path("/deep")).await.unwrap();
    assert!(!home.join("deep").exists());
}

#[test]
fn a_tree_deeper_than_paths_and_descriptors_reach_is_removed() {
    // In memory where that can be had: what a disk makes of it is not what is tested here.
    let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    dig(&home.path().join("deep"), 1500);
    run_child("child_with_few_descriptors", home.path(), "exec");
}

#[tokio::test]
async fn what_clients_do_not_see_goes_too_but_nothing_a_link_leads_to() {
    let (home, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("file"), b"outside").unwrap();
    let tree = home.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/new\nline"), b"").unwrap();
    for (way, name) in
        [(outside.path(), "out"), (Path::new("nowhere"), "a/dangling"), (Path::new(".."), "a/b/up")]
    {
        symlink(way, tree.join(name)).unwrap();
    }
    fs::write(home.path().join("beside"), b"beside").unwrap();
    let storage = open(&backend(), home.path(), "alice").await;
    storage.remove_tree(&path("/tree")).await.unwrap();
    assert!(!tree.exists());
    assert_eq!(fs::read(outside.path().join("file")).unwrap(), b"outside");
    assert_eq!(fs::read(home.path().join("beside")).unwrap(), b"beside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_flips_into_a_link_while_it_is_removed_takes_nothing_outside_with_it() {
    let (home, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for number in 0..50 {
        fs::write(outside.path().join(format!("file {number}")), b"outside").unwrap();
    }
    let backend = backend();
    let storage = open(&backend, home.path(), "alice").await;
    let done = AtomicBool::new(false);
    let tree = home.path().join("tree");
    let (spare, link) = (home.path().join("spare"), home.path().join("link"));
    let mut rounds = 0;
    std::thread::scope(|scope| {
        let flips = scope.spawn(|| {
            let mut flips = 0_u32;
            while !done.load(Ordering::Relaxed) {
                let _ = symlink(outside.path(), &link);
                let _ = fs::rename(tree.join("flip"), &spare);
                flips += u32::from(fs::rename(&link, tree.join("flip")).is_ok());
                let _ = fs::remove_dir_all(&spare);
            }
            flips
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..300 {
                    let fresh = home.path().join("fresh");
                    fs::create_dir_all(fresh.join("sub")).unwrap();
                    fs::create_dir_all(&tree).unwrap();
                    let _ = fs::rename(&fresh, tree.join("flip"));
                    // However it ends: it is the outside that counts.
                    let _ = storage.remove_tree(&path("/tree")).await;
                    rounds += 1;
                }
            });
        });
        done.store(true, Ordering::SeqCst);
        assert!(flips.join().unwrap() > 10, "too few flips to prove anything");
    });
    assert_eq!(rounds, 300);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 50);
}

#[tokio::test]
#[ignore = "runs as a child in a mount namespace of its own"]
async fn child_with_a_mount_inside() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let home = Path::new(&home);
    let storage = open(&backend(), home, "alice").await;
    for at in ["/tree/mounted", "/tree/bound", "/tree"] {
        assert_eq!(storage.remove_tree(&path(at)).await.unwrap_err().kind, Kind::PermissionDenied, "{at}");
    }
    assert_eq!(fs::read(home.join("tree/mounted/file")).unwrap(), b"mounted\n");
    assert_eq!(fs::read(home.join("tree/bound/file")).unwrap(), b"bound\n");
    assert!(!home.join("tree/other").exists(), "all else goes");
}

#[test]
fn what_is_mounted_inside_stays() {
    let home = tempfile::tempdir().unwrap();
    for dir in ["tree/mounted", "tree/bound", "tree/other/deep", "elsewhere"] {
        fs::create_dir_all(home.path().join(dir)).unwrap();
    }
    let namespace = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
    let mounts = format!(
        "cd \"${HOME}\"; mount -t tmpfs tmpfs tree/mounted; echo mounted > tree/mounted/file; \
         echo bound > elsewhere/file; mount --bind elsewhere tree/bound; exec \"$@\""
    );
    let start = format!("exec unshare {namespace} --propagation private sh -ec '{mounts}' sh");
    run_child("child_with_a_mount_inside", home.path(), &start);
}

#[tokio::test]
#[ignore = "runs as a child without privileges"]
async fn child_without_privileges() {
    let Some(home) = std::env::var_os(HOME) else { panic!("not started by its parent") };
    let home = Path::new(&home);
    assert!(!rustix::process::geteuid().is_root());
    let storage = open(&backend(), home, "alice").await;
    for at in ["/tree/closed", "/tree/locked", "/tree"] {
        assert_eq!(storage.remove_tree(&path(at)).await.unwrap_err().kind, Kind::PermissionDenied, "{at}");
    }
    assert!(home.join("tree/locked/file").exists(), "what may not be removed stays");
    assert!(!home.join("tree/free").exists() && !home.join("tree/empty").exists(), "all else goes");
    assert!(home.join("tree/closed").exists());
}

#[test]
fn what_may_not_be_removed_stays_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (home, program) = (dir.path().join("home"), dir.path().join("program"));
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let names = [
        "",
        "tree",
        "tree/locked",
        "tree/closed",
        "tree/closed/in",
        "tree/empty",
        "tree/free",
        "tree/free/deep",
    ];
    for name in names {
        fs::create_dir(home.join(name)).unwrap();
    }
    fs::write(home.join("tree/locked/file"), b"").unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(dir.path(), Some(SOMEBODY), None).unwrap();
        for name in names {
            std::os::unix::fs::chown(home.join(name), Some(SOMEBODY), None).unwrap();
        }
    }
    let set =
        |name: &str, mode| fs::set_permissions(home.join(name), fs::Permissions::from_mode(mode)).unwrap();
    // Readable but not writable; not even readable; not readable but empty.
    for (name, mode) in [("tree/locked", 0o500), ("tree/closed", 0), ("tree/empty", 0)] {
        set(name, mode);
    }
    let start = if is_root {
        format!(
            "shift; exec setpriv --reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups '{}'",
            program.display()
        )
    } else {
        "exec".to_owned()
    };
    run_child("child_without_privileges", &home, &start);
    for name in ["tree/locked", "tree/closed"] {
        set(name, 0o700);
    }
}

#[test]
fn a_removal_that_nobody_waits_for_stops() {
    const FILES: usize = 20_000;
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for number in 0..FILES {
        fs::write(tree.join(number.to_string()), b"").unwrap();
    }
    let left = || fs::read_dir(&tree).map_or(0, Iterator::count);
    // One thread for all that may block: what is asked of it next is done when the removal has ended.
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let storage = open(&backend(), home.path(), "alice").await;
        let top = path("/tree");
        let mut removal = storage.remove_tree(&top);
        let begun = std::future::poll_fn(|context| {
            // The first poll begins it.
            let ended = removal.as_mut().poll(context).is_ready();
            std::task::Poll::Ready(!ended)
        });
        assert!(begun.await, "it takes longer than nothing");
        while left() == FILES {
            std::thread::yield_now();
        }
        drop(removal);
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    });
    let left = left();
    assert!(left > 0, "all {FILES} files are gone, for nobody");
    println!("{left} of {FILES} files are left");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        open(&backend(), home.path(), "alice").await.remove_tree(&path("/tree")).await.unwrap();
    });
    assert!(!tree.exists());
}
