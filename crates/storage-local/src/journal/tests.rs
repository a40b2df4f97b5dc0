use super::*;

fn root(dir: &tempfile::TempDir) -> Root {
    Root::open(dir.path().to_str().unwrap(), crate::deny::Deny::default()).unwrap()
}

fn temp(id: u64) -> Record {
    Record::Temp { temp: id, dir_path: b"some/where".to_vec() }
}

#[test]
fn a_living_process_keeps_its_lines_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let root = root(&dir);
    let (first, second) = (Journal::default(), Journal::default());
    first.write(&root, &temp(1)).unwrap();
    assert_eq!(second.take_over(&root).0, [], "the first one still lives");
    second.write(&root, &temp(2)).unwrap();
    drop(first);
    let third = Journal::default();
    let (records, others) = third.take_over(&root);
    assert_eq!(records, [temp(1)]);
    third.settle(&root, &[], others).unwrap();
    drop((second, third));
    let (records, _) = Journal::default().take_over(&root);
    assert_eq!(records, [temp(2)], "what was settled is gone, what died since is found");
}

#[test]
fn a_long_journal_is_rewritten_and_stays_locked() {
    let dir = tempfile::tempdir().unwrap();
    let root = root(&dir);
    let journal = Journal::default();
    journal.write(&root, &temp(u64::MAX)).unwrap();
    for id in 0..20_000 {
        journal.write(&root, &temp(id)).unwrap();
        journal.forget(id);
    }
    let length = std::fs::metadata(dir.path().join(names::journal_name(0))).unwrap().len();
    assert!(length < 2 * COMPACT_BYTES, "{length} bytes");
    assert_eq!(Journal::default().take_over(&root).0, [], "locked");
    drop(journal);
    assert!(Journal::default().take_over(&root).0.contains(&temp(u64::MAX)), "live lines survive");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temp of the rewriting stays");
}

#[test]
fn a_torn_line_does_not_swallow_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let root = root(&dir);
    std::fs::write(dir.path().join(names::journal_name(0)), b"t 0000000000000001 /a\nt 00000").unwrap();
    let journal = Journal::default();
    let (records, others) = journal.take_over(&root);
    assert_eq!(records.len(), 1);
    drop(others);
    journal.write(&root, &temp(5)).unwrap();
    drop(journal);
    assert!(Journal::default().take_over(&root).0.contains(&temp(5)));
}
