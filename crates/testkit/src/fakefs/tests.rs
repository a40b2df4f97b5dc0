use tidegate_storage::{Committed, UploadRequest};
use tidegate_types::{
    AccountName, Cut, FileKind, StorageErrorKind as Kind, UploadStart, UploadStyle, VirtualPath,
};

use super::*;

fn path(text: &str) -> VirtualPath {
    absolute(text)
}

fn home(fs: &FakeFs, account: &str) -> FakeHome {
    fs.home(&VirtualPath::root(), Some(AccountName(account.to_owned()))).unwrap()
}

fn request(to: &str, start: UploadStart) -> UploadRequest {
    let (path, style) = (path(to), UploadStyle::Atomic);
    UploadRequest { path, start, style, may_overwrite: true, may_append: true, umask: 0 }
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
fn an_upload_that_nobody_wants_is_cut_and_one_taken_back_leaves_nothing() {
    let fs = FakeFs::new();
    fs.put("/f", b"0123");
    let home = home(&fs, "alice");
    let mut upload = home.begin_upload(&request("/new", UploadStart::Replace)).unwrap();
    upload.write(b"half").unwrap();
    assert_eq!(upload.commit_if(|| false), Ok(Committed::Unwanted(Cut::Kept { size: 4 })));
    assert_eq!(fs.content("/new"), None);
    let mut upload = home.begin_upload(&request("/f", UploadStart::Append)).unwrap();
    upload.write(b"more").unwrap();
    assert_eq!(upload.take_back(), Cut::InPlace);
    assert_eq!(fs.content("/f").unwrap(), b"0123");
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

#[test]
fn groups_space_and_links_are_kept_and_can_fail() {
    let fs = FakeFs::new();
    fs.put("/d/f", b"1234");
    let home = home(&fs, "alice");
    home.set_group(&path("/d/f"), 42).unwrap();
    assert_eq!(home.metadata(&path("/d/f")).unwrap().gid, 42);
    fs.set_space(Some(10));
    assert_eq!(home.available(&path("/d")), Ok(6));
    fs.put_link("/out", "../../etc/passwd");
    fs.put_link("/loop", "loop");
    for link in ["/out", "/loop"] {
        let opened = home.open_read(&path(link), 0).map(drop);
        assert!(matches!(opened, Err(Kind::PermissionDenied | Kind::NotFound)), "{link}: {opened:?}");
        assert_eq!(home.metadata(&path(link)).unwrap().kind, FileKind::Symlink, "{link}");
    }
    let (dir, link) = (path("/d"), path("/l"));
    for operation in [Operation::SetGroup, Operation::MakeLink, Operation::Available, Operation::RemoveTree] {
        fs.fail_next(operation, Kind::TooLarge);
        let act = || match operation {
            Operation::SetGroup => home.set_group(&dir, 1),
            Operation::MakeLink => home.make_link(&dir, &link),
            Operation::Available => home.available(&dir).map(drop),
            _ => home.remove_tree(&dir),
        };
        assert_eq!((act(), act()), (Err(Kind::TooLarge), Ok(())), "{operation:?}");
    }
    assert_eq!(fs.files(), []);
}
