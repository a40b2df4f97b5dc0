//! Phase × event, one at a time. Whole dialogues are in `tests/dialogues`.

use core::net::Ipv4Addr;
use std::prelude::v1::*;

use tidegate_types::{
    Access, AccountName, Cut, FileKind, Metadata, Rights, StorageErrorKind, Timestamp, Unique, UploadStyle,
};

use super::files::{For, reason_of};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A session with its clock and what it has said.
struct Bench {
    session: ServerSession,
    now: Moment,
    out: Actions,
}

impl Bench {
    fn new() -> Self {
        let timeouts = Timeouts {
            login: 30 * SECOND,
            idle: 300 * SECOND,
            data_open: 20 * SECOND,
            data_stall: 60 * SECOND,
        };
        let settings = Arc::new(Settings { greeting: "hello".to_string(), timeouts });
        let session = ServerSession::new(settings, Ipv4Addr::LOCALHOST.into());
        let mut bench = Self { session, now: Moment::ZERO, out: Actions::default() };
        assert_eq!(bench.event(Event::Opened), "220 hello\r\n");
        bench
    }

    fn logged_in() -> Self {
        let mut bench = Self::new();
        bench.line("USER tide");
        bench.line("PASS secret");
        let profile = Profile {
            account: Some(AccountName("tide".to_string())),
            rights: Rights::ALL,
            upload: UploadStyle::Atomic,
            connections_max: None,
        };
        bench.event(Event::LoginAnswered(RequestId(1), LoginAnswer::Accepted(profile)));
        assert_eq!(bench.event(Event::GateAnswered(RequestId(2), Ok(()))), "230 Logged in.\r\n");
        bench
    }

    /// Logged in, and an upload runs.
    fn uploading() -> Self {
        let mut bench = Self::logged_in();
        bench.line("EPSV");
        let end = PassiveEnd { address: Ipv4Addr::LOCALHOST.into(), port: 50_000 };
        bench.event(Event::PassiveOpened(RequestId(3), Ok(end)));
        bench.line("STOR a");
        let path = VirtualPath::resolve(&VirtualPath::root(), b"a").unwrap();
        let said = bench.event(Event::StorageAnswered(RequestId(4), Ok(StorageDone::Upload { path })));
        assert_eq!(said, "150 Ready for data.\r\n");
        assert!(matches!(bench.out.list[..], [Action::BeginTransfer(_)]));
        bench.event(Event::DataOpened);
        bench
    }

    fn event(&mut self, event: Event<'_>) -> String {
        self.out.clear();
        self.session.handle(event, self.now, &mut self.out);
        String::from_utf8(self.out.wire.clone()).unwrap()
    }

    fn line(&mut self, line: &str) -> String {
        self.event(Event::Line(line.as_bytes()))
    }

    fn later(&mut self, by: Duration) -> String {
        self.now = self.now + by;
        self.event(Event::Tick)
    }

    fn closes(&self) -> bool {
        matches!(self.out.list.last(), Some(Action::Close(_)))
    }
}

#[test]
fn a_stale_answer_is_dropped() {
    let mut bench = Bench::logged_in();
    assert_eq!(bench.line("CWD d"), "");
    assert_eq!(bench.event(Event::StorageAnswered(RequestId(99), Ok(StorageDone::Done))), "");
    assert_eq!(bench.event(Event::LoginAnswered(RequestId(3), LoginAnswer::Denied)), "");
    assert_eq!(bench.event(Event::GateAnswered(RequestId(3), Ok(()))), "");
    assert_eq!(
        bench.event(Event::StorageAnswered(RequestId(3), Ok(StorageDone::Done))),
        "250 Directory changed to /d\r\n"
    );
    assert_eq!(bench.event(Event::StorageAnswered(RequestId(3), Ok(StorageDone::Done))), "");
}

#[test]
fn an_answer_of_the_wrong_kind_still_gets_one_reply() {
    let mut bench = Bench::logged_in();
    bench.line("TYPE I");
    bench.line("SIZE a");
    let said = bench.event(Event::StorageAnswered(RequestId(3), Ok(StorageDone::Done)));
    assert!(said.starts_with("451 "), "{said}");
    assert_eq!(bench.line("NOOP"), "200 OK.\r\n");
}

#[test]
fn a_storage_that_does_not_answer_is_451_and_its_late_answer_is_stale() {
    let mut bench = Bench::logged_in();
    bench.line("MKD d");
    assert_eq!(bench.later(59 * SECOND), "");
    assert!(bench.later(SECOND).starts_with("451 "));
    assert!(matches!(bench.out.list[..], [Action::CancelStorage]));
    assert_eq!(bench.event(Event::StorageAnswered(RequestId(3), Ok(StorageDone::Done))), "");
    assert_eq!(bench.line("NOOP"), "200 OK.\r\n");
}

#[test]
fn a_transfer_that_storage_does_not_open_gives_its_port_back() {
    let mut bench = Bench::logged_in();
    bench.line("EPSV");
    let end = PassiveEnd { address: Ipv4Addr::LOCALHOST.into(), port: 50_000 };
    bench.event(Event::PassiveOpened(RequestId(3), Ok(end)));
    bench.line("RETR a");
    assert!(bench.later(60 * SECOND).starts_with("451 "));
    assert!(
        matches!(bench.out.list[..], [Action::ClosePassive, Action::CancelStorage]),
        "{:?}",
        bench.out.list
    );
    assert!(bench.line("RETR a").starts_with("425 "));
}

#[test]
fn idle_and_login_deadlines() {
    let mut bench = Bench::new();
    assert_eq!(bench.later(29 * SECOND), "");
    assert!(bench.later(SECOND).contains("[cause=login-timeout retry=1]") && bench.closes());
    let mut bench = Bench::logged_in();
    bench.later(299 * SECOND);
    bench.line("NOOP");
    assert_eq!(bench.later(299 * SECOND), "", "NOOP counts as life");
    assert!(bench.later(SECOND).contains("[cause=idle retry=1]") && bench.closes());
    assert_eq!(bench.line("NOOP"), "", "nothing follows the close");
    assert_eq!(bench.session.next_deadline(), None);
}

#[test]
fn a_transfer_stalls_only_when_nothing_moves() {
    let mut bench = Bench::uploading();
    bench.later(60 * SECOND);
    assert!(matches!(bench.out.list[..], [Action::AskProgress]));
    let last_at = bench.now;
    bench.now = bench.now + SECOND;
    assert_eq!(bench.event(Event::Progress(Progress { bytes: 5, last_at })), "");
    assert_eq!(bench.session.next_deadline(), Some(last_at + 60 * SECOND));
    bench.later(60 * SECOND);
    bench.event(Event::Progress(Progress { bytes: 5, last_at }));
    assert!(matches!(bench.out.list[..], [Action::AbortTransfer]));
    let said = bench.event(Event::TransferEnded(TransferEnd::Aborted(Some(Cut::Kept { size: 5 }))));
    assert!(
        said.starts_with("426 ") && said.contains("5 bytes are kept") && said.contains("cause=data-stalled"),
        "{said}"
    );
    assert_eq!(bench.line("NOOP"), "200 OK.\r\n", "the session lives");
}

#[test]
fn a_cut_transfer_that_does_not_end_ends_the_session() {
    let mut bench = Bench::uploading();
    bench.line("ABOR");
    assert_eq!(bench.later(59 * SECOND), "");
    let said = bench.later(SECOND);
    assert!(said.starts_with("451 ") && said.contains("cause=overloaded") && bench.closes(), "{said}");
}

#[test]
fn stat_during_a_transfer_is_answered_before_its_end() {
    let mut bench = Bench::uploading();
    assert_eq!(bench.line("stat "), "");
    let said = bench.event(Event::Progress(Progress { bytes: 1234, last_at: bench.now }));
    assert!(said.contains("Receiving file (1234 bytes)") && said.ends_with("211 End\r\n"), "{said}");
    assert_eq!(bench.line("STAT"), "");
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1234 }));
    assert!(said.starts_with("226 ") && said.ends_with("211 End\r\n"), "{said}");
}

#[test]
fn an_aborted_transfer_says_426_and_226() {
    let mut bench = Bench::uploading();
    assert_eq!(bench.line("ABOR"), "");
    assert!(matches!(bench.out.list[..], [Action::AbortTransfer]));
    let said = bench.event(Event::TransferEnded(TransferEnd::Aborted(Some(Cut::Discarded))));
    assert_eq!(said, "426 Transfer aborted.\r\n226 Abort successful.\r\n");
    // It came too late: the upload was committed.
    let mut bench = Bench::uploading();
    bench.line("ABOR");
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1 }));
    assert_eq!(said, "226 Stored; transfer complete.\r\n226 Abort successful.\r\n");
}

#[test]
fn drain_waits_for_the_transfer() {
    let mut bench = Bench::uploading();
    assert_eq!(bench.event(Event::DrainRequested { retry_after_secs: 30 }), "");
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1 }));
    assert!(
        said.starts_with("226 ") && said.ends_with("[cause=draining retry=30]\r\n") && bench.closes(),
        "{said}"
    );
    let mut bench = Bench::uploading();
    bench.event(Event::DrainRequested { retry_after_secs: 30 });
    bench.event(Event::DrainExpired);
    assert!(matches!(bench.out.list[..], [Action::AbortTransfer]));
    let said = bench.event(Event::TransferEnded(TransferEnd::Aborted(None)));
    assert!(said.starts_with("426 ") && said.contains("\r\n421 ") && bench.closes(), "{said}");
}

#[test]
fn the_queue_is_bounded_and_counts_noops() {
    let mut bench = Bench::uploading();
    for _ in 0..queue::LINES_MAX {
        assert!(bench.session.wants_lines());
        bench.line("PWD");
    }
    assert!(!bench.session.wants_lines());
    bench.line("ABOR");
    let said = bench.event(Event::TransferEnded(TransferEnd::Aborted(None)));
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    let mut expected = vec!["426"];
    expected.extend(["257"; queue::LINES_MAX]);
    expected.push("226");
    assert_eq!(codes, expected);
    let mut bench = Bench::uploading();
    for _ in 0..1000 {
        bench.line("NOOP");
        assert!(bench.session.wants_lines());
    }
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 0 }));
    assert_eq!(said.lines().count(), 1001);
}

#[test]
fn every_storage_error_has_its_code() {
    use StorageErrorKind::*;
    for (kind, looking, creating) in [
        (NotFound, 550, 550),
        (NotADirectory, 550, 550),
        (IsADirectory, 550, 550),
        (NotAFile, 550, 550),
        (PermissionDenied, 550, 550),
        (AlreadyExists, 550, 553),
        (NotEmpty, 550, 550),
        (BadName, 550, 553),
        (BadOffset, 554, 554),
        (DiskFull, 452, 452),
        (QuotaExceeded, 552, 552),
        (Busy, 450, 450),
        (Superseded, 451, 451),
        (Exhausted, 451, 451),
        (Unsupported, 504, 504),
        (Failed, 451, 451),
    ] {
        assert_eq!(reason_of(kind, For::Looking).code(), looking, "{kind:?}");
        assert_eq!(reason_of(kind, For::Creating).code(), creating, "{kind:?}");
    }
    for (kind, code) in [
        (DiskFull, "452"),
        (QuotaExceeded, "552"),
        (Superseded, "451"),
        (AlreadyExists, "553"),
        (Failed, "451"),
        (Busy, "451"),
    ] {
        let mut bench = Bench::uploading();
        let said = bench.event(Event::TransferEnded(TransferEnd::StorageFailed(kind, None)));
        assert!(said.starts_with(code), "{kind:?}: {said}");
    }
}

fn facts_of(kind: FileKind) -> Metadata {
    Metadata {
        kind,
        size: 4096,
        modified: Timestamp::default(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        links: 2,
        unique: Unique::default(),
        access: Access::ALL,
    }
}

#[test]
fn the_metadata_of_a_directory_has_no_size() {
    let mut bench = Bench::logged_in();
    bench.line("TYPE I");
    bench.line("SIZE d");
    let facts = facts_of(FileKind::Directory);
    let said = bench.event(Event::StorageAnswered(RequestId(3), Ok(StorageDone::Metadata(facts))));
    assert!(said.starts_with("550 "), "{said}");
}

#[test]
fn mlst_tells_perm_by_the_directory_above() {
    let read_only = Access { write: false, ..Access::ALL };
    for (parent, perm) in [(Access::ALL, "perm=adfrw;"), (read_only, "perm=arw;")] {
        let mut bench = Bench::logged_in();
        bench.line("MLST a");
        let done = StorageDone::Facts { about: facts_of(FileKind::File), parent };
        let said = bench.event(Event::StorageAnswered(RequestId(3), Ok(done)));
        assert!(said.contains(perm) && said.contains(" /a\r\n"), "{said}");
    }
}
