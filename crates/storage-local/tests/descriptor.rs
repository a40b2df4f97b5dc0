//! Uploads written through their descriptor, past the storage's own `write`.
#![allow(clippy::unwrap_used, reason = "tests may")]

mod common;

use std::fs;

use common::{backend, open, request};
use rustix::fd::AsFd;
use tidegate_storage::{Cut, UploadRequest, UploadStart, commit};
use tidegate_types::{StorageErrorKind, UploadStyle};

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
    assert_eq!(commit(newer).await.unwrap(), 6);
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"012345");
}

#[tokio::test]
async fn asking_whether_there_is_a_descriptor_loses_nothing_and_taking_it_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    fs::write(&file, b"old content").unwrap();
    let backend = backend();
    let storage = open(&backend, folder.path(), "alice").await;
    let in_place = UploadRequest { style: UploadStyle::InPlace, ..request("a", UploadStart::Replace) };
    let upload = storage.begin_upload(&in_place).await.unwrap();
    assert!(upload.has_descriptor());
    assert_eq!(upload.abort().await.unwrap(), Cut::InPlace);
    assert_eq!(fs::read(&file).unwrap(), b"old content");
    let upload = storage.begin_upload(&in_place).await.unwrap();
    for part in [b"ne", b"w!"] {
        rustix::io::write(upload.as_file().unwrap().as_fd(), part).unwrap();
    }
    assert_eq!(commit(upload).await.unwrap(), 4, "cut once only");
    assert_eq!(fs::read(&file).unwrap(), b"new!");
}

#[tokio::test]
async fn a_partial_is_cut_by_the_first_byte_through_its_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let backend = backend();
    let storage = open(&backend, folder.path(), "alice").await;
    let mut upload = storage.begin_upload(&request("a", UploadStart::Replace)).await.unwrap();
    upload.write(b"abcdef".to_vec()).await.unwrap();
    assert_eq!(upload.abort().await.unwrap(), Cut::Kept { size: 6 });
    for (written, size) in [(&b""[..], 6), (b"X", 3)] {
        let upload = storage.begin_upload(&request("a", UploadStart::At(2))).await.unwrap();
        assert!(upload.has_descriptor());
        if !written.is_empty() {
            rustix::io::write(upload.as_file().unwrap().as_fd(), written).unwrap();
        }
        assert_eq!(upload.abort().await.unwrap(), Cut::Kept { size });
    }
}

#[tokio::test]
async fn a_stale_writer_cuts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    fs::write(&file, b"0123").unwrap();
    let backend = backend();
    let storage = open(&backend, folder.path(), "alice").await;
    let in_place = UploadRequest { style: UploadStyle::InPlace, ..request("a", UploadStart::Replace) };
    let mut stale = storage.begin_upload(&in_place).await.unwrap();
    let newer = storage.begin_upload(&request("a", UploadStart::Append)).await.unwrap();
    assert!(!stale.has_descriptor() && stale.as_file().is_none());
    assert_eq!(stale.write(Vec::new()).await.unwrap_err().kind, StorageErrorKind::Superseded);
    assert_eq!(stale.abort().await.unwrap(), Cut::InPlace);
    assert_eq!(commit(newer).await.unwrap(), 4);
    assert_eq!(fs::read(&file).unwrap(), b"0123");
}
