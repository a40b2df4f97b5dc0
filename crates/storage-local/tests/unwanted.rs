//! Uploads whose client went away while they were committed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{backend, begin, get, open, path, put, request, temps};
use tidegate_storage::{Committed, Cut, StillWanted, UploadRequest, UploadStart, commit};

/// Says yes so many times, then no.
fn wanted_for(times: usize) -> (StillWanted, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&asked);
    (Arc::new(move || told.fetch_add(1, Ordering::Relaxed) < times), asked)
}

#[tokio::test]
async fn the_last_question_comes_when_all_else_is_done() {
    let home = tempfile::tempdir().unwrap();
    let storage = open(&backend(), home.path(), "alice").await;
    put(&*storage, "/old", b"old").await.unwrap();
    for (name, cut) in [("/new", Cut::Kept { size: 4 }), ("/old", Cut::Discarded)] {
        let mut upload = begin(&*storage, name).await.unwrap();
        upload.write(b"half".to_vec()).await.unwrap();
        let (wanted, asked) = wanted_for(1);
        assert_eq!(upload.commit(wanted).await.unwrap(), Committed::Unwanted(cut), "{name}");
        assert_eq!(asked.load(Ordering::Relaxed), 2, "once to save work, once at the end");
    }
    assert!(!home.path().join("new").exists());
    assert_eq!(get(&*storage, "/old").await.unwrap(), b"old");
    assert_eq!(temps(home.path()).len(), 1, "the partial of the new file");
    let mut rest = storage.begin_upload(&request("/new", UploadStart::At(4))).await.unwrap();
    rest.write(b" and half".to_vec()).await.unwrap();
    let (wanted, asked) = wanted_for(2);
    assert_eq!(rest.commit(wanted).await.unwrap(), Committed::Stored { size: 13 });
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(get(&*storage, "/new").await.unwrap(), b"half and half");
    assert_eq!(temps(home.path()), Vec::<String>::new());
}

#[tokio::test]
async fn its_owner_may_go_on_with_a_partial_that_would_have_been_read_only() {
    let home = tempfile::tempdir().unwrap();
    let storage = open(&backend(), home.path(), "alice").await;
    let asks = UploadRequest { umask: 0o222, ..request("/f", UploadStart::Replace) };
    let mut upload = storage.begin_upload(&asks).await.unwrap();
    upload.write(b"half".to_vec()).await.unwrap();
    let (wanted, _) = wanted_for(1);
    assert_eq!(upload.commit(wanted).await.unwrap(), Committed::Unwanted(Cut::Kept { size: 4 }));
    assert_eq!(storage.metadata(&path("/f")).await.unwrap().mode & 0o777, 0o644);
    let rest = UploadRequest { start: UploadStart::At(4), ..asks };
    commit(storage.begin_upload(&rest).await.unwrap()).await.unwrap();
    assert_eq!(fs::metadata(home.path().join("f")).unwrap().mode() & 0o777, 0o444);
}
