//! What a job that a hung disk holds must not do to the threads of the server.

use std::sync::mpsc;
use std::time::Duration;

use tidegate_storage::{Creation, UploadRequest, UploadStart};
use tidegate_types::{AccountName, UploadStyle};

use super::*;
use crate::backend::{Durability, Options};
use crate::deny::Deny;
use crate::facts::Identity;
use crate::home::Home;
use crate::root::Root;
use crate::storage::LocalStorage;

/// How long something that never waits may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn upload(home: &tempfile::TempDir) -> LocalUpload {
    let options = Options { durability: Durability::None, ..Options::default() };
    let root = Root::open(home.path().to_str().unwrap(), Deny::new(Arc::default())).unwrap();
    let view = LocalStorage {
        home: Arc::new(Home::new(root, options).unwrap()),
        identity: Arc::new(Identity::current()),
        account: Some(AccountName("alice".to_owned())),
        creation: Creation::default(),
    };
    let path = VirtualPath::resolve(&VirtualPath::root(), b"/file").unwrap();
    let (start, style) = (UploadStart::Replace, UploadStyle::Atomic);
    let request = UploadRequest { path, start, style, may_overwrite: true, may_append: true, umask: 0 };
    begin(&view, &request).unwrap()
}

#[test]
fn a_hung_write_holds_nobody_up() {
    let home = tempfile::tempdir().unwrap();
    let mut upload = upload(&home);
    let job = Arc::clone(&upload.open.as_ref().unwrap().job);
    job.lock().unwrap().write(b"bytes").unwrap();
    // As a hop that writes to a disk which does not answer.
    let hung = job.lock().unwrap();
    let (done, told) = mpsc::channel();
    let server = std::thread::spawn(move || {
        upload.note_failed_write();
        let seen = (upload.has_descriptor(), upload.as_file().is_some(), upload.starts_at());
        done.send(seen).unwrap();
        upload
    });
    let seen = told.recv_timeout(PATIENCE);
    drop(hung);
    let upload = server.join().unwrap();
    assert_eq!(seen, Ok((false, false, 0)), "no call waited for the disk");
    drop(upload);
    assert_eq!(job.lock().unwrap().abort(), Cut::Discarded, "the job learnt of the failed write");
}

#[test]
fn an_answer_nobody_asks_for_ends_the_upload_on_another_thread() {
    let home = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let upload = upload(&home);
    let job = Arc::downgrade(&upload.open.as_ref().unwrap().job);
    let (release, released) = mpsc::channel::<()>();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || released.recv_timeout(PATIENCE).unwrap());
        drop(Box::new(upload).abort());
    });
    assert!(job.upgrade().is_some(), "it waits for a thread that may block");
    release.send(()).unwrap();
    drop(runtime);
    assert!(job.upgrade().is_none(), "the job is gone");
    let names = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let temps = names.filter(|name| !name.as_encoded_bytes().starts_with(b".tidegate-journal"));
    assert_eq!(temps.count(), 0, "and so is its temp");
}
