//! Uploads written through their descriptor, past the storage's own `write`.
#![allow(clippy::unwrap_used, reason = "tests may")]

mod common;

use std::fs;

use common::{backend, open, request};
use rustix::fd::AsFd;
use tidegate_storage::{Cut, UploadStart};
use tidegate_types::StorageErrorKind;

#[tokio::test]
async fn a_failed_write_keeps_no_partial() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&backend(), folder.path(), "alice").await;
    for failed in [false, true] {
        let mut upload = storage.begin_upload(&request("a", UploadStart::Replace)).await.unwrap();
        rustix::io::write(upload.as_file().unwrap().as_fd(), b"some bytes").unwrap();
        if failed {
            upload.note_failed_write();
        }
        let expected = if failed { Cut::Discarded } else { Cut::Kept { size: 10 } };
        assert_eq!(upload.abort().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_descriptor_is_gone_once_the_file_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), b"0123").unwrap();
    let storage = open(&backend(), folder.path(), "alice").await;
    let mut stale = storage.begin_upload(&request("a", UploadStart::Append)).await.unwrap();
    assert!(stale.as_file().is_some());
    let newer = storage.begin_upload(&request("a", UploadStart::Append)).await.unwrap();
    assert!(stale.as_file().is_none());
    assert_eq!(stale.write(Vec::new()).await.unwrap_err().kind, StorageErrorKind::Superseded);
    rustix::io::write(newer.as_file().unwrap().as_fd(), b"45").unwrap();
    assert_eq!(newer.commit().await.unwrap(), 6);
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"012345");
}
