use tidegate_storage::UploadRequest;
use tidegate_types::{AccountName, Cut, StorageErrorKind as Kind, UploadStart, UploadStyle, VirtualPath};

use super::*;

fn path(text: &str) -> VirtualPath {
    absolute(text)
}

fn home(fs: &FakeFs, account: &str) -> FakeHome {
    fs.home(&VirtualPath::root(), Some(AccountName(account.to_owned()))).unwrap()
}

fn request(to: &str, start: UploadStart) -> UploadRequest {
    UploadRequest { path: path(to), start, style: UploadStyle::Atomic, may_overwrite: true, may_append: true }
}

#[test]
fn an_upload_is_visible_when_it_is_committed() {
    let fs = FakeFs::new();
    fs.put("/f", b"old");
    let home = home(&fs, "alice");
    let mut upload = home.begin_upload(&request("/f", UploadStart::Replace)).unwrap();
    upload.write(b"new content").unwrap();
    assert_eq!(fs.content("/f").unwrap(), b"old");
    assert_eq!(upload.commit(), Ok(11));
    assert_eq!(fs.content("/f").unwrap(), b"new content");
    let upload = home.begin_upload(&request("/f", UploadStart::Replace)).unwrap();
    assert_eq!(upload.abort(), Cut::Discarded);
    assert_eq!(fs.content("/f").unwrap(), b"new content");
    assert_eq!(fs.handles_open(), 0);
}

#[test]
fn what_is_cut_of_a_new_file_is_kept_for_its_account() {
    let fs = FakeFs::new();
    let (alice, bob) = (home(&fs, "alice"), home(&fs, "bob"));
    let mut upload = alice.begin_upload(&request("/f", UploadStart::Replace)).unwrap();
    upload.write(b"abcdef").unwrap();
    drop(upload);
    assert_eq!(alice.metadata(&path("/f")).unwrap().size, 6);
    assert_eq!(bob.metadata(&path("/f")).unwrap_err(), Kind::NotFound);
    assert_eq!(alice.list(&path("/")).unwrap().1, []);
    assert_eq!(alice.begin_upload(&request("/f", UploadStart::At(7))).unwrap_err(), Kind::BadOffset);
    assert_eq!(bob.begin_upload(&request("/f", UploadStart::At(3))).unwrap_err(), Kind::BadOffset);
    let mut upload = alice.begin_upload(&request("/f", UploadStart::At(3))).unwrap();
    upload.write(b"XY").unwrap();
    assert_eq!(upload.commit(), Ok(5));
    assert_eq!(fs.content("/f").unwrap(), b"abcXY");
    assert_eq!(fs.partials(), []);
}

#[test]
fn writing_in_place_is_taken_over_and_keeps_the_tail() {
    let fs = FakeFs::new();
    fs.put("/f", b"0123456789");
    let home = home(&fs, "alice");
    let mut old = home.begin_upload(&request("/f", UploadStart::At(2))).unwrap();
    let mut new = home.begin_upload(&request("/f", UploadStart::At(4))).unwrap();
    assert_eq!(old.write(b"x"), Err(Kind::Superseded));
    new.write(b"ab").unwrap();
    drop(old);
    assert_eq!(new.commit(), Ok(10));
    assert_eq!(fs.content("/f").unwrap(), b"0123ab6789");
}

#[test]
fn faults_come_when_they_are_planned() {
    let fs = FakeFs::new();
    fs.set_space(Some(4));
    let home = home(&fs, "alice");
    let mut upload = home.begin_upload(&request("/f", UploadStart::Replace)).unwrap();
    upload.write(b"1234").unwrap();
    assert_eq!(upload.write(b"5"), Err(Kind::DiskFull));
    assert_eq!(upload.abort(), Cut::Discarded);
    fs.fail_next(Operation::Enter, Kind::Failed);
    assert_eq!(home.enter(&path("/")), Err(Kind::Failed));
    assert_eq!(home.enter(&path("/")), Ok(()));
}

#[test]
fn unique_names_are_free_names() {
    let fs = FakeFs::new();
    fs.put("/f", b"");
    let home = home(&fs, "alice");
    let first = home.begin_upload(&request("/f", UploadStart::Unique)).unwrap();
    let second = home.begin_upload(&request("/f", UploadStart::Unique)).unwrap();
    assert_ne!(first.path(), second.path());
    first.commit().unwrap();
    second.commit().unwrap();
    assert_eq!(fs.files().len(), 3);
}
