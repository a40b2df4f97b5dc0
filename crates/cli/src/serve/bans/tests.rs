use super::*;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_usual_place_that_is_unusable_is_a_complaint_and_a_demanded_one_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let (keeper, complaints) = BanKeeper::open_at(StateFolder::Usual(file.clone())).await.unwrap();
    assert!(keeper.is_none());
    let complaints = complaints.list();
    assert!(complaints.len() == 1 && complaints[0].contains("a-file"), "{complaints:?}");
    let error = BanKeeper::open_at(StateFolder::Demanded(file)).await.unwrap_err();
    assert!(format!("{error:#}").contains("`state`"), "{error:#}");

    let (keeper, complaints) = BanKeeper::open_at(StateFolder::Unknown).await.unwrap();
    assert!(keeper.is_none() && complaints.list()[0].contains("XDG_STATE_HOME"));
    let (keeper, complaints) = BanKeeper::open_at(StateFolder::Nowhere).await.unwrap();
    assert!(keeper.is_none() && complaints.list().is_empty());
}

#[tokio::test]
async fn a_new_place_is_made_and_empty() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("deep/er");
    let (keeper, complaints) = BanKeeper::open_at(StateFolder::Demanded(place.clone())).await.unwrap();
    let Folder::Open(kept) = keeper.unwrap().folder else { panic!("not open") };
    assert!(kept.bans.is_empty() && complaints.list().is_empty());
    assert!(place.join(tidegate_records::FILE_NAME).exists());
}

/// Returns a folder that somebody else uses, and that one's records.
fn taken() -> (tempfile::TempDir, Records) {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::open(folder.path()).unwrap().records;
    (folder, records)
}

#[tokio::test]
async fn a_usual_place_in_use_is_waited_for() {
    let (folder, other) = taken();
    let path = folder.path().to_path_buf();
    let error = BanKeeper::open_at(StateFolder::Demanded(path.clone())).await.unwrap_err();
    assert!(format!("{error:#}").contains("another process uses"), "{error:#}");
    let (keeper, complaints) = BanKeeper::open_at(StateFolder::Usual(path.clone())).await.unwrap();
    assert!(matches!(keeper.unwrap().folder, Folder::Taken(_)));
    let list = complaints.list();
    assert!(
        list.len() == 1 && list[0].starts_with("bans are not kept yet: another process uses"),
        "{list:?}"
    );

    let (_end, mut ended) = watch::channel(false);
    let waiting = tokio::spawn({
        let (path, complaints) = (path.clone(), complaints.clone());
        async move { wait_for(&path, &complaints, LONG, &mut ended).await }
    });
    tokio::time::sleep(RETRY_EVERY * 3 / 2).await;
    assert!(!waiting.is_finished() && complaints.list() == list, "the other one still has it");
    drop(other);
    let kept = tokio::time::timeout(LONG, waiting).await.unwrap().unwrap();
    assert!(kept.is_some() && complaints.list().is_empty());
}

#[tokio::test]
async fn patience_ends_in_a_complaint() {
    for (patience, is_over) in [(Duration::ZERO, false), (LONG, true)] {
        let (folder, _other) = taken();
        let (_end, mut ended) = watch::channel(is_over);
        let complaints = Complaints::default();
        complaints.set_bans(Some("waiting".into()));
        let waited = wait_for(folder.path(), &complaints, patience, &mut ended);
        assert!(tokio::time::timeout(LONG / 2, waited).await.unwrap().is_none());
        let list = complaints.list();
        assert!(list.len() == 1 && list[0].starts_with("bans will be forgotten"), "{list:?}");
    }
}

#[tokio::test]
async fn a_save_that_panics_is_a_complaint_until_one_works() {
    let (folder, records) = taken();
    let (mut records, complaints) = (Some(records), Complaints::default());
    for _ in 0..2 {
        assert!(!save_by(&mut records, &complaints, |_| panic!("as the test wants")).await);
        let list = complaints.list();
        assert!(list.len() == 1 && list[0].starts_with("bans are not saved: "), "{list:?}");
    }
    assert!(matches!(Records::open(folder.path()), Err(RecordsError::InUse { .. })), "the folder is kept");
    let none: [BanRecord; 0] = [];
    assert!(save_by(&mut records, &complaints, move |records| records.save_bans(none, 1)).await);
    assert!(complaints.list().is_empty());
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_disk_that_hangs() {
    let (end, _ended) = watch::channel(false);
    let keeper = RunningKeeper { end, task: tokio::spawn(std::future::pending()) };
    let finish = keeper.finish_within(Duration::from_millis(20));
    assert!(tokio::time::timeout(LONG, finish).await.is_ok());
}
