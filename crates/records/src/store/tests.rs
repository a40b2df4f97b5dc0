use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use tidegate_admission::BanReason;
use tidegate_types::AddressKey;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn ban(number: u32) -> BanRecord {
    BanRecord {
        address: if number.is_multiple_of(2) {
            AddressKey::V4(number.into())
        } else {
            AddressKey::V6Net(u64::from(number) << 16)
        },
        name: number.is_multiple_of(3).then(|| format!("user-{number}-{}", "x".repeat(40))),
        reason: BanReason::LoginFailures,
        remaining: MINUTE,
        ended_for: Duration::ZERO,
        length: MINUTE * 15,
        level: 1,
    }
}

fn sorted(mut bans: Vec<BanRecord>) -> Vec<BanRecord> {
    bans.sort_by(|one, other| (one.address, &one.name).cmp(&(other.address, &other.name)));
    bans
}

fn open_sound(folder: &Path) -> Records {
    let opened = Records::open(folder).unwrap();
    assert_eq!(opened.damage, None);
    opened.records
}

#[test]
fn bans_are_there_again_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("new/deeper");
    let bans: Vec<_> = (0..100).map(ban).collect();
    let mut records = open_sound(&folder);
    assert_eq!(records.load_bans(5).unwrap(), []);
    assert_eq!(records.save_bans(&bans, 1_000).unwrap(), 100);
    assert_eq!(sorted(records.load_bans(1_000).unwrap()), sorted(bans.clone()));
    drop(records);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&folder), mode(&folder.join(FILE_NAME))),
        (0o700, 0o600),
        "addresses and names are private"
    );

    let mut records = open_sound(&folder);
    assert_eq!(sorted(records.load_bans(1_000).unwrap()), sorted(bans));
    assert_eq!(records.save_bans([ban(7), ban(8)], 2_000).unwrap(), 2, "all are replaced");
    drop(records);
    assert_eq!(sorted(open_sound(&folder).load_bans(0).unwrap()), sorted(vec![ban(7), ban(8)]));
}

#[test]
fn time_goes_on_while_nobody_watches() {
    let home = tempfile::tempdir().unwrap();
    let mut records = open_sound(home.path());
    let ended = BanRecord { remaining: Duration::ZERO, ended_for: MINUTE, ..ban(2) };
    records.save_bans([ban(0), ended], 10_000).unwrap();
    for (now, remaining, ended_for) in [
        (10_000, [60, 0], [0, 60]),
        (10_045, [15, 0], [0, 105]),
        (10_060, [0, 0], [0, 120]),
        (10_100, [0, 0], [40, 160]),
        (9_000, [60, 0], [0, 60]),
        (0, [60, 0], [0, 60]),
    ] {
        let bans = records.load_bans(now).unwrap();
        assert_eq!([bans[0].remaining, bans[1].remaining].map(|left| left.as_secs()), remaining, "at {now}");
        assert_eq!([bans[0].ended_for, bans[1].ended_for].map(|ago| ago.as_secs()), ended_for, "at {now}");
    }
    assert!(records.load_bans(u64::MAX).unwrap().iter().all(|ban| ban.remaining.is_zero()));
}

#[test]
fn as_many_bans_as_there_can_be_are_saved_in_time() {
    let home = tempfile::tempdir().unwrap();
    // In the order in which a hash table has them: in none.
    let bans: Vec<_> = (0..65_536_u32).map(|number| ban(number.wrapping_mul(0x9e37_79b1))).collect();
    let mut records = open_sound(home.path());
    let (mut slowest, file) = (Duration::ZERO, home.path().join(FILE_NAME));
    for round in 1..=4 {
        #[expect(clippy::disallowed_methods, reason = "this test measures")]
        let start = Instant::now();
        assert_eq!(records.save_bans(&bans, round).unwrap(), bans.len());
        #[expect(clippy::disallowed_methods, reason = "this test measures")]
        let took = start.elapsed();
        slowest = slowest.max(took);
        println!("round {round}: saved in {took:?}, {} KiB", fs::metadata(&file).unwrap().len() / 1024);
    }
    drop(records);
    #[expect(clippy::disallowed_methods, reason = "this test measures")]
    let start = Instant::now();
    let loaded = open_sound(home.path()).load_bans(4).unwrap();
    #[expect(clippy::disallowed_methods, reason = "this test measures")]
    let took = start.elapsed();
    println!("opened, checked and loaded in {took:?}");
    assert_eq!(loaded.len(), bans.len());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let bytes = fs::metadata(&file).unwrap().len();
    assert!(bytes < 64 << 20, "{bytes} bytes: the file does not grow with each save");
}

/// Writes a file with 200 bans and returns its bytes.
fn sound_file(folder: &Path) -> Vec<u8> {
    let mut records = open_sound(folder);
    records.save_bans((0..200).map(ban), 1).unwrap();
    drop(records);
    fs::read(folder.join(FILE_NAME)).unwrap()
}

#[test]
fn a_damaged_file_is_kept_aside_and_a_new_one_begun() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(FILE_NAME);
    let sound = sound_file(home.path());
    let junk = vec![b'x'; 10_000];
    let mut zeroed = sound.clone();
    zeroed[4096..].fill(0);
    let damaged = [junk, b"short".to_vec(), zeroed, sound[..sound.len() / 2].to_vec(), sound[..100].to_vec()];
    for (number, bytes) in (1..).zip(damaged) {
        fs::write(&file, &bytes).unwrap();
        let Opened { mut records, damage } = Records::open(home.path()).unwrap();
        let damage = damage.expect("it was damaged");
        println!("{damage:?}");
        assert_eq!(damage.moved_to, home.path().join(format!("{FILE_NAME}.damaged-{number}")));
        assert!(!damage.what.is_empty());
        // redb may have begun to repair what it could; what it cannot read at all it does not touch.
        assert_eq!(fs::read(&damage.moved_to).unwrap().len(), bytes.len());
        assert_eq!(records.load_bans(1).unwrap(), []);
        records.save_bans([ban(4)], 1).unwrap();
        drop(records);
        assert_eq!(open_sound(home.path()).load_bans(1).unwrap(), [ban(4)]);
    }
    fs::write(&file, b"").unwrap();
    assert_eq!(open_sound(home.path()).load_bans(1).unwrap(), [], "an empty file is a new one");
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(FILE_NAME);
    let sound = sound_file(home.path());
    let expected = open_sound(home.path()).load_bans(1).unwrap();
    let (mut found, mut harmless) = (0, 0);
    // Every byte of the header, and every 61st of the rest.
    for place in (0..512).step_by(3).chain((512..sound.len()).step_by(sound.len() / 150)) {
        let mut bytes = sound.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&file, &bytes).unwrap();
        match Records::open(home.path()) {
            Ok(Opened { damage: Some(damage), .. }) => {
                found += 1;
                fs::remove_file(damage.moved_to).unwrap();
            }
            Ok(Opened { mut records, damage: None }) => {
                harmless += 1;
                assert_eq!(records.load_bans(1).unwrap(), expected, "bit of byte {place}");
            }
            Err(RecordsError::OtherVersion { .. }) => found += 1,
            Err(error) => panic!("byte {place}: {error:?}"),
        }
    }
    println!("{found} found, {harmless} harmless");
    assert!(found > 0 && harmless > 0);
}

#[test]
fn rows_that_make_no_sense_are_damage() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(FILE_NAME);
    let spoil = |how: &dyn Fn(&redb::WriteTransaction)| {
        sound_file(home.path());
        let database = Database::open(&file).unwrap();
        let writing = database.begin_write().unwrap();
        how(&writing);
        writing.commit().unwrap();
        drop(database);
        Records::open(home.path()).unwrap().damage.expect("it was damaged").what
    };
    let what = spoil(&|writing| {
        writing.open_table(BANS).unwrap().insert(9, [9].as_slice()).unwrap();
    });
    assert_eq!(what, "it holds what is no ban");
    let what = spoil(&|writing| {
        writing.open_table(ABOUT).unwrap().remove("format").unwrap();
    });
    assert_eq!(what, "it does not tell its format");
    let what = spoil(&|writing| {
        writing.delete_table(BANS).unwrap();
    });
    assert!(what.contains("bans-1"), "{what}");
    let what = spoil(&|writing| {
        writing.delete_table(BANS).unwrap();
        writing.open_table(TableDefinition::<u64, u64>::new("bans-1")).unwrap();
    });
    assert!(what.contains("bans-1"), "{what}");
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(FILE_NAME);
    let sound = sound_file(home.path());
    let database = Database::open(&file).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(ABOUT).unwrap().insert("format", 2).unwrap();
    writing.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let error = Records::open(home.path()).unwrap_err();
        assert!(matches!(&error, RecordsError::OtherVersion { path, .. } if *path == file), "{error:?}");
        assert!(error.to_string().ends_with("(its format is 2, known is 1)"), "{error}");
    }
    // The version of redb's own format is the first byte of each of its two commit slots.
    let mut later = sound;
    (later[64], later[192]) = (9, 9);
    fs::write(&file, &later).unwrap();
    let error = Records::open(home.path()).unwrap_err();
    assert!(matches!(&error, RecordsError::OtherVersion { .. }), "{error:?}");
    assert_eq!(fs::read(&file).unwrap(), later);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_folder_is_used_by_one() {
    let home = tempfile::tempdir().unwrap();
    let records = open_sound(home.path());
    let error = Records::open(home.path()).unwrap_err();
    assert!(matches!(&error, RecordsError::InUse { path } if path == home.path()), "{error:?}");
    drop(records);
    let _records = open_sound(home.path());
}

#[test]
fn what_cannot_be_a_folder_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let taken = home.path().join("file");
    fs::write(&taken, b"somebody's").unwrap();
    for folder in [taken.clone(), taken.join("below")] {
        let error = Records::open(&folder).unwrap_err();
        assert!(matches!(&error, RecordsError::Unusable { path, .. } if *path == folder), "{error:?}");
    }
    assert_eq!(fs::read(taken).unwrap(), b"somebody's");
    fs::create_dir(home.path().join(FILE_NAME)).unwrap();
    let error = Records::open(home.path()).unwrap_err();
    assert!(matches!(&error, RecordsError::Unusable { .. }), "a folder in its place: {error:?}");
}
