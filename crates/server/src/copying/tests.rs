use std::time::Duration;

use tidegate_testkit::{FakeFs, FakeHome, Operation};
use tidegate_types::AccountName;

use super::*;
use crate::jobs::Jobs;

fn path(text: &str) -> VirtualPath {
    VirtualPath::resolve(&VirtualPath::root(), text.as_bytes()).unwrap()
}

fn house() -> (FakeFs, FakeHome) {
    let fs = FakeFs::new();
    fs.put("/a", b"one ");
    fs.put("/b", b"two ");
    fs.put("/c", b"three");
    fs.make_directories("/dir");
    let home = fs.home(&VirtualPath::root(), Some(AccountName("tide".to_owned()))).unwrap();
    (fs, home)
}

fn tools(home: &FakeHome, share: &Share) -> Tools {
    Tools { home: Arc::new(home.clone()), share: share.clone(), pulse: Arc::default() }
}

fn work(home: &FakeHome, share: &Share) -> Work {
    Work { tools: tools(home, share), given_up: CancellationToken::new() }
}

/// One place, so that a test can say when a chunk may be worked on.
fn share() -> Share {
    Jobs::with(1, Duration::from_secs(10)).of("tide")
}

/// Lets everybody do what can be done.
async fn turn() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn join(target: &str, parts: &[&str], size_max: Option<u64>) -> Combine {
    Combine { target: path(target), parts: parts.iter().map(|part| path(part)).collect(), umask: 0, size_max }
}

async fn copied(
    home: &FakeHome,
    (from, to): (&str, &str),
    may_overwrite: bool,
    size_max: Option<u64>,
) -> Result<(), StorageErrorKind> {
    let one = Copy { from: path(from), to: path(to), may_overwrite, umask: 0, size_max };
    copy(tools(home, &Jobs::new().of("tide")), one).await.map_err(|error| error.kind)
}

async fn combined(
    home: &FakeHome,
    target: &str,
    parts: &[&str],
    size_max: Option<u64>,
) -> Result<(), StorageErrorKind> {
    let one = join(target, parts, size_max);
    combine(tools(home, &Jobs::new().of("tide")), one).await.map_err(|error| error.kind)
}

#[tokio::test]
async fn a_copy_is_whole_or_not_there() {
    let (fs, home) = house();
    let big = vec![9; 3 << 20];
    fs.put("/big", &big);
    copied(&home, ("big", "dir/copy"), false, None).await.unwrap();
    assert_eq!(fs.content("/dir/copy").unwrap(), big);
    copied(&home, ("a", "a"), true, None).await.unwrap();
    assert_eq!(fs.content("/a").unwrap(), b"one ", "onto itself");
    assert_eq!(copied(&home, ("a", "b"), false, None).await, Err(StorageErrorKind::AlreadyExists));
    copied(&home, ("a", "b"), true, Some(4)).await.unwrap();
    assert_eq!(copied(&home, ("a", "new"), true, Some(3)).await, Err(StorageErrorKind::TooLarge));
    assert_eq!(copied(&home, ("dir", "new"), true, None).await, Err(StorageErrorKind::IsADirectory));
    assert_eq!(copied(&home, ("none", "new"), true, None).await, Err(StorageErrorKind::NotFound));
    fs.fail_next(Operation::Write, StorageErrorKind::DiskFull);
    assert_eq!(copied(&home, ("big", "new"), true, None).await, Err(StorageErrorKind::DiskFull));
    fs.fail_next(Operation::Read, StorageErrorKind::Failed);
    assert_eq!(copied(&home, ("big", "new"), true, None).await, Err(StorageErrorKind::Failed));
    assert_eq!((fs.content("/new"), fs.partials(), fs.handles_open()), (None, Vec::new(), 0));
}

#[tokio::test]
async fn a_copy_that_is_given_up_leaves_nothing() {
    let (fs, home) = house();
    let request = |start| UploadRequest {
        path: path("new"),
        start,
        style: UploadStyle::Atomic,
        may_overwrite: true,
        may_append: true,
        umask: 0,
    };
    let share = Jobs::new().of("tide");
    let work = work(&home, &share);
    let home: &dyn Storage = &home;
    for start in [UploadStart::Replace, UploadStart::Append] {
        let mut draft = Draft::new(home.begin_upload(&request(start)).await.unwrap());
        let reader = home.open_read(&path("c"), 0).await.unwrap();
        work.pour(&mut draft, reader).await.unwrap();
        assert_eq!(draft.end, 5);
        drop(draft);
        assert_eq!((fs.content("/new"), fs.partials(), fs.handles_open()), (None, Vec::new(), 0));
    }
}

#[tokio::test]
async fn parts_are_appended_in_order_and_removed() {
    let (fs, home) = house();
    combined(&home, "a", &["b", "c"], Some(13)).await.unwrap();
    assert_eq!(fs.content("/a").unwrap(), b"one two three");
    assert_eq!((fs.content("/b"), fs.content("/c")), (None, None));
    fs.put("/b", b"again");
    combined(&home, "dir/new", &["b"], None).await.unwrap();
    assert_eq!((fs.content("/dir/new").unwrap(), fs.content("/b")), (b"again".to_vec(), None));
}

#[tokio::test]
async fn what_cannot_be_joined_is_refused_before_a_byte_is_written() {
    let (fs, home) = house();
    let before = fs.files();
    for (target, parts, size_max, kind) in [
        ("a", &["b", "a"][..], None, StorageErrorKind::PermissionDenied),
        ("a", &["b", "b"], None, StorageErrorKind::PermissionDenied),
        ("a", &["b", "none"], None, StorageErrorKind::NotFound),
        ("a", &["b", "dir"], None, StorageErrorKind::IsADirectory),
        ("dir", &["b"], None, StorageErrorKind::IsADirectory),
        ("a", &["b", "c"], Some(12), StorageErrorKind::TooLarge),
        ("new", &["a", "b"], Some(7), StorageErrorKind::TooLarge),
    ] {
        assert_eq!(combined(&home, target, parts, size_max).await, Err(kind), "{target} {parts:?}");
        assert_eq!(fs.files(), before, "{target} {parts:?}");
    }
    assert_eq!((fs.partials(), fs.handles_open()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_join_that_fails_keeps_every_part() {
    let (fs, home) = house();
    fs.fail_next(Operation::Commit, StorageErrorKind::DiskFull);
    assert_eq!(combined(&home, "new", &["a", "b"], None).await, Err(StorageErrorKind::DiskFull));
    assert_eq!(fs.content("/new"), None);
    assert_eq!((fs.content("/a").unwrap(), fs.content("/b").unwrap()), (b"one ".to_vec(), b"two ".to_vec()));
    fs.fail_next(Operation::RemoveFile, StorageErrorKind::Busy);
    assert_eq!(combined(&home, "new", &["a", "b"], None).await, Err(StorageErrorKind::Busy));
    assert_eq!(fs.content("/new").unwrap(), b"one two ");
    assert_eq!(
        (fs.content("/a").is_some(), fs.content("/b")),
        (true, None),
        "the others are removed all the same"
    );
}

/// Begins a job on the only place there is, and gives it the place for one chunk; then it waits for the next.
async fn begin(
    share: &Share,
    job: impl Future<Output = Result<(), StorageError>> + Send + 'static,
) -> (tokio::task::JoinHandle<Result<(), StorageError>>, crate::jobs::Place) {
    let (pulse, first) = (Pulse::default(), share.place(&Pulse::default()).await.unwrap());
    let job = tokio::spawn(job);
    turn().await;
    // In line behind the job, which has begun: it gets one chunk done.
    let again = share.place(&pulse);
    let mut again = std::pin::pin!(again);
    let polled =
        std::future::poll_fn(|context| std::task::Poll::Ready(again.as_mut().poll(context).is_ready()));
    assert!(!polled.await);
    drop(first);
    let place = again.await.unwrap();
    turn().await;
    (job, place)
}

#[tokio::test]
async fn a_join_that_is_given_up_leaves_everything_as_it_was() {
    for target in ["a", "new"] {
        let (fs, home) = house();
        let (before, share) = (fs.files(), share());
        let (job, place) =
            begin(&share, combine(tools(&home, &share), join(target, &["b", "c"], None))).await;
        if target == "a" {
            assert_eq!(fs.content("/a").unwrap(), b"one two ", "it is in the middle");
        }
        job.abort();
        turn().await;
        assert_eq!((fs.files(), fs.partials(), fs.handles_open()), (before, Vec::new(), 0), "{target}");
        drop(place);
    }
}

#[tokio::test]
async fn a_part_that_changes_while_it_is_joined_is_kept_and_the_target_as_it_was() {
    let (fs, home) = house();
    let share = share();
    let (job, place) = begin(&share, combine(tools(&home, &share), join("a", &["b", "c"], None))).await;
    assert_eq!(fs.content("/a").unwrap(), b"one two ", "it is in the middle");
    let request = UploadRequest {
        path: path("b"),
        start: UploadStart::Append,
        style: UploadStyle::Atomic,
        may_overwrite: false,
        may_append: true,
        umask: 0,
    };
    let mut upload = home.begin_upload(&request).unwrap();
    upload.write(b"more").unwrap();
    upload.commit().unwrap();
    drop(place);
    assert_eq!(job.await.unwrap().unwrap_err().kind, StorageErrorKind::Busy);
    assert_eq!(fs.content("/a").unwrap(), b"one ");
    assert_eq!(
        (fs.content("/b").unwrap(), fs.content("/c").unwrap()),
        (b"two more".to_vec(), b"three".to_vec())
    );
}

#[tokio::test]
async fn a_part_that_changed_after_the_commit_is_kept() {
    let (fs, home) = house();
    let share = share();
    let work = work(&home, &share);
    let parts = work.check(&path("a"), vec![path("b"), path("c")], None).await.unwrap();
    fs.put("/b", b"new content");
    assert_eq!(work.remove(&parts).await.unwrap_err().kind, StorageErrorKind::Busy);
    assert_eq!((fs.content("/b").unwrap(), fs.content("/c")), (b"new content".to_vec(), None));
}

#[tokio::test]
async fn a_join_that_fails_late_takes_back_what_it_appended() {
    for (fault, kind) in [
        (Operation::Read, StorageErrorKind::Failed),
        (Operation::OpenRead, StorageErrorKind::Busy),
        (Operation::Write, StorageErrorKind::DiskFull),
        (Operation::Metadata, StorageErrorKind::NotFound),
    ] {
        let (fs, home) = house();
        fs.put("/big", &vec![1; 2 << 20]);
        let (before, share) = (fs.files(), share());
        let (job, place) = begin(&share, combine(tools(&home, &share), join("a", &["big", "c"], None))).await;
        assert_eq!(fs.content("/a").unwrap().len(), 4 + (1 << 20), "it is in the middle");
        fs.fail_next(fault, kind);
        drop(place);
        assert_eq!(job.await.unwrap().unwrap_err().kind, kind, "{fault:?}");
        assert_eq!((fs.files(), fs.handles_open()), (before, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn a_copy_that_is_given_up_before_its_commit_is_not_published() {
    for target in ["new", "c"] {
        let (fs, home) = house();
        let (before, share) = (fs.files(), share());
        let work = work(&home, &share);
        let one = Copy { from: path("a"), to: path(target), may_overwrite: true, umask: 0, size_max: None };
        work.given_up.cancel();
        assert!(work.copy(one).await.is_err());
        assert_eq!((fs.files(), fs.partials(), fs.handles_open()), (before, Vec::new(), 0), "{target}");
    }
}

#[tokio::test]
async fn a_link_to_another_part_is_refused() {
    let (fs, home) = house();
    home.make_link(&path("b"), &path("link")).unwrap();
    let before = fs.files();
    for parts in [["b", "link"], ["link", "b"]] {
        assert_eq!(combined(&home, "a", &parts, None).await, Err(StorageErrorKind::PermissionDenied));
    }
    assert_eq!(fs.files(), before);
}
