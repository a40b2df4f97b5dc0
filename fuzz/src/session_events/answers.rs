//! What a shell may answer, sensible or not, by one number.

use tidegate_protocol::session::{LoginAnswer, PassiveEnd, PassiveError, StorageDone, TransferEnd};
use tidegate_testkit::FakeAccount;
use tidegate_types::{
    Access, Cause, Cut, Entry, FileKind, Metadata, Profile, Refusal, Rights, StorageErrorKind, Timestamp,
    Unique, VirtualPath,
};

/// Who logs in: everything is allowed, nothing, or reading. Denials now and then bring a ban.
pub(super) fn login(kind: u8) -> LoginAnswer {
    let ban = Refusal::uncounted(Cause::LoginFailures, u32::from(kind));
    match kind % 8 {
        4 => LoginAnswer::Accepted(profile(Rights::NONE)),
        5 => LoginAnswer::Accepted(Profile { account: None, ..profile(Rights::READ_ONLY) }),
        6 => LoginAnswer::Denied { ban: Some(ban).filter(|_| kind > 127) },
        7 if kind > 191 => LoginAnswer::Banned(ban),
        7 => LoginAnswer::Unavailable,
        _ => LoginAnswer::Accepted(profile(Rights::ALL)),
    }
}

fn profile(rights: Rights) -> Profile {
    FakeAccount::new("tide", "secret", rights).profile
}

/// The gate, which rarely refuses.
pub(super) fn gate(kind: u8, transfer: bool) -> Result<(), Refusal> {
    let cause = if transfer { Cause::TransfersFull } else { Cause::AccountFull };
    let refusal = Refusal { cause, signal: None, in_use: 1, limit: 1, retry_after_secs: 3 };
    if kind % 16 == 15 { Err(refusal) } else { Ok(()) }
}

pub(super) fn passive(kind: u8) -> Result<PassiveEnd, PassiveError> {
    match kind % 8 {
        5 => Ok(PassiveEnd { address: "2001:db8::1".parse().unwrap(), port: 1 }),
        6 => Err(PassiveError::NoFreePort(Refusal::uncounted(Cause::DataPorts, u32::from(kind)))),
        7 => Err(PassiveError::Failed),
        _ => Ok(PassiveEnd { address: "192.0.2.2".parse().unwrap(), port: 50_000 }),
    }
}

/// The time on the wall, far in the future and the past too.
pub(super) fn wall(kind: u8) -> Timestamp {
    let secs = [1_700_000_000, 0, -1, i64::MAX, i64::MIN, 253_402_300_800][usize::from(kind) % 6];
    Timestamp { secs, nanos: 0 }
}

fn facts(kind: FileKind, size: u64) -> Metadata {
    Metadata {
        kind,
        size,
        modified: Timestamp { secs: 1_000_000_000, nanos: 0 },
        mode: 0o644,
        uid: 0,
        gid: 0,
        links: 1,
        unique: Unique::default(),
        access: Access::ALL,
    }
}

/// Storage: every kind of answer, whatever was asked. The name in a listing tries to end the reply.
pub(super) fn storage(kind: u8) -> Result<StorageDone, StorageErrorKind> {
    let directory = facts(FileKind::Directory, 0);
    let file = facts(FileKind::File, 10);
    let done = match kind % 16 {
        0 | 1 => StorageDone::Done,
        2 => StorageDone::Metadata(file),
        3 => StorageDone::Metadata(directory),
        4 => {
            StorageDone::Facts { about: file, parent: Access { read: true, write: kind > 127, search: true } }
        }
        5 | 6 => StorageDone::Download { size: if kind > 127 { u64::MAX } else { 10 } },
        7 | 8 => StorageDone::Upload { path: VirtualPath::resolve(&VirtualPath::root(), b"g").unwrap() },
        9 => StorageDone::Listing { single: kind > 127 },
        10 => StorageDone::Entries {
            about: if kind > 191 { file } else { directory },
            entries: vec![Entry { name: b"a\r\n226 fake".to_vec(), metadata: file }],
            truncated: kind > 127,
            now: wall(kind / 16),
        },
        11 => StorageDone::Matches,
        12 => StorageDone::Available(u64::MAX >> (kind / 16)),
        13 => StorageDone::Hashed { digest: vec![kind; usize::from(kind)], from: 3, to: 7 },
        _ => return Err(StorageErrorKind::ALL[usize::from(kind / 2) % StorageErrorKind::ALL.len()]),
    };
    Ok(done)
}

/// How a transfer ends.
pub(super) fn end(kind: u8) -> TransferEnd {
    let cuts = [None, Some(Cut::Discarded), Some(Cut::Kept { size: 4 }), Some(Cut::InPlace)];
    let cut = cuts[usize::from(kind / 8) % cuts.len()];
    match kind % 8 {
        0..=2 => TransferEnd::Completed { bytes: 9 },
        3 => TransferEnd::Bounded { bytes: 9 },
        4 => TransferEnd::NoConnection,
        5 => TransferEnd::ConnectionLost(cut),
        6 => TransferEnd::Aborted(cut),
        _ => TransferEnd::StorageFailed(
            StorageErrorKind::ALL[usize::from(kind / 8) % StorageErrorKind::ALL.len()],
            cut,
        ),
    }
}
