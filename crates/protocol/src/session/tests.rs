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
        Self::with(Self::settings())
    }

    fn settings() -> Arc<Settings> {
        let timeouts = Timeouts {
            login: 30 * SECOND,
            idle: 300 * SECOND,
            data_open: 20 * SECOND,
            data_stall: 60 * SECOND,
        };
        Arc::new(Settings::new("hello".to_string(), timeouts))
    }

    fn with(settings: Arc<Settings>) -> Self {
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
        let said = bench.event(Event::StorageAnswered(RequestId(5), Ok(StorageDone::Upload { path })));
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
        let said = self.event(Event::Line(line.as_bytes()));
        match self.out.list.last() {
            Some(&Action::AskGate { request, question: GateQuestion::Transfer }) => {
                said + &self.event(Event::GateAnswered(request, Ok(())))
            }
            _ => said,
        }
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
    assert_eq!(bench.event(Event::LoginAnswered(RequestId(3), LoginAnswer::Denied { ban: None })), "");
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

fn draining(retry_after_secs: u32) -> Farewell {
    Farewell::new(Refusal::uncounted(Cause::Draining, retry_after_secs))
}

#[test]
fn a_drain_that_is_called_off_changes_nothing() {
    let mut bench = Bench::uploading();
    bench.event(Event::LeaveSoon(draining(30)));
    bench.event(Event::Stay);
    assert!(bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1 })).starts_with("226 "));
    assert!(!bench.closes());
    // A kick is no drain.
    let kicked = Farewell::new(Refusal::uncounted(Cause::Kicked, 7));
    let mut bench = Bench::uploading();
    bench.event(Event::LeaveSoon(kicked.clone()));
    bench.event(Event::Stay);
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1 }));
    assert!(said.ends_with("[cause=kicked retry=7]\r\n"), "{said}");
    // Nor does one take the place of another reason, to be called off with it.
    let mut bench = Bench::uploading();
    bench.event(Event::LeaveSoon(Farewell::new(Refusal::uncounted(Cause::Reclaimed, 1))));
    bench.event(Event::LeaveSoon(draining(30)));
    bench.event(Event::Stay);
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1 }));
    assert!(said.ends_with("[cause=reclaimed retry=1]\r\n"), "{said}");
    // Nor is a cut that has begun taken back, whatever comes behind it.
    let mut bench = Bench::uploading();
    bench.event(Event::LeaveNow(kicked));
    bench.event(Event::LeaveSoon(draining(30)));
    bench.event(Event::Stay);
    let said = bench.event(Event::TransferEnded(TransferEnd::Aborted(None)));
    assert!(said.ends_with("[cause=kicked retry=7]\r\n") && bench.closes(), "{said}");
}

#[test]
fn the_announced_end_is_counted_from_when_it_is_said() {
    let mut bench = Bench::uploading();
    let until = Some(bench.now + Duration::from_mins(1));
    bench.event(Event::LeaveSoon(Farewell { until, message: Some("new disks".into()), ..draining(1) }));
    bench.now = bench.now + Duration::from_millis(20_500);
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1 }));
    let line = said.lines().last().unwrap();
    assert_eq!(
        line,
        "421 The server is shutting down: new disks; try again in 40 seconds [cause=draining retry=40]"
    );
}

#[test]
fn pressure_shortens_the_wait_for_a_command() {
    let mut bench = Bench::logged_in();
    bench.line("NOOP");
    let calm = bench.session.next_deadline().unwrap();
    bench.event(Event::Pressed(25));
    let pressed = bench.session.next_deadline().unwrap();
    assert_eq!(calm.since(bench.now), 4 * pressed.since(bench.now));
    bench.now = pressed;
    assert!(bench.event(Event::Tick).ends_with("[cause=idle retry=1]\r\n"));
}

#[test]
fn pressure_shortens_every_wait_for_the_client() {
    // Of a login, a command, a data connection and its bytes: what is left of each at a quarter.
    let left = |mut bench: Bench| {
        bench.event(Event::Pressed(25));
        bench.session.next_deadline().unwrap().since(bench.now)
    };
    assert_eq!(left(Bench::new()), Duration::from_millis(7_500), "login");
    assert_eq!(left(Bench::logged_in()), 75 * SECOND, "idle");
    assert_eq!(left(Bench::uploading()), 15 * SECOND, "data_stall");
    let mut bench = Bench::logged_in();
    bench.line("PORT 127,0,0,1,200,0");
    bench.line("STOR a");
    let path = VirtualPath::root();
    bench.event(Event::StorageAnswered(RequestId(4), Ok(StorageDone::Upload { path })));
    assert_eq!(left(bench), 5 * SECOND, "data_open");
    // A stalled transfer is cut after the shorter time.
    let mut bench = Bench::uploading();
    bench.event(Event::Pressed(25));
    bench.later(15 * SECOND);
    assert!(matches!(bench.out.list[..], [Action::AskProgress]), "{:?}", bench.out.list);
    bench.event(Event::Progress(Progress { bytes: 1, last_at: Moment::ZERO }));
    assert!(matches!(bench.out.list[..], [Action::AbortTransfer]), "{:?}", bench.out.list);
}

#[test]
fn a_transfer_that_finds_no_place_keeps_the_session() {
    let mut bench = Bench::logged_in();
    bench.line("PORT 127,0,0,1,200,0");
    assert_eq!(bench.event(Event::Line(b"RETR a")), "");
    let Some(Action::AskGate { request, question: GateQuestion::Transfer }) = bench.out.list.pop() else {
        std::panic!("{:?}", bench.out)
    };
    let refusal = Refusal { in_use: 16, limit: 16, ..Refusal::uncounted(Cause::TransfersFull, 9) };
    // What storage says was not asked for.
    assert_eq!(bench.event(Event::StorageAnswered(request, Ok(StorageDone::Download { size: 1 }))), "");
    assert_eq!(
        bench.event(Event::GateAnswered(request, Err(refusal))),
        "450 Too many transfers are under way (16 of 16); try again in 9 seconds [cause=transfers-full retry=9]\r\n"
    );
    assert!(!bench.closes());
    assert_eq!(bench.line("NOOP"), "200 OK.\r\n");
    assert!(bench.line("RETR a").starts_with("425 "), "the data target is used up");
}

#[test]
fn commands_that_come_too_fast_end_the_session() {
    let mut settings = (*Bench::settings()).clone();
    settings.command_rate = CommandRate::new(5, Duration::from_secs(1));
    let mut bench = Bench::with(Arc::new(settings));
    for _ in 0..5 {
        assert!(!bench.line("NOOP").starts_with("421"), "in time");
    }
    let said = bench.line("NOOP");
    assert!(said.ends_with("[cause=command-flood retry=60]\r\n") && bench.closes(), "{said}");
}

#[test]
fn drain_waits_for_the_transfer() {
    let mut bench = Bench::uploading();
    assert_eq!(bench.event(Event::LeaveSoon(draining(30))), "");
    let said = bench.event(Event::TransferEnded(TransferEnd::Completed { bytes: 1 }));
    assert!(
        said.starts_with("226 ") && said.ends_with("[cause=draining retry=30]\r\n") && bench.closes(),
        "{said}"
    );
    let mut bench = Bench::uploading();
    bench.event(Event::LeaveSoon(draining(30)));
    bench.event(Event::LeaveNow(draining(30)));
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
        (TooLarge, 552, 552),
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
        (TooLarge, "552"),
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

/// Logged in, and a digest is being computed.
fn hashing() -> Bench {
    let mut bench = Bench::logged_in();
    assert_eq!(bench.line("HASH f"), "");
    assert!(matches!(bench.out.list[..], [Action::Storage { what: StorageRequest::Hash { .. }, .. }]));
    bench
}

#[test]
fn a_long_job_may_take_its_time_while_it_goes_on() {
    let mut bench = hashing();
    for _ in 0..10 {
        assert_eq!(bench.later(50 * SECOND), "");
        assert_eq!(bench.event(Event::StorageBusy(RequestId(3))), "");
    }
    let done = StorageDone::Hashed { digest: vec![0xab, 0x01], from: 2, to: 9 };
    assert_eq!(bench.event(Event::StorageAnswered(RequestId(3), Ok(done))), "213 SHA-256 2-9 ab01 f\r\n");
}

#[test]
fn a_long_job_that_says_nothing_is_given_up() {
    let mut bench = hashing();
    // A stale sign of life does not count.
    assert_eq!(bench.event(Event::StorageBusy(RequestId(2))), "");
    assert_eq!(bench.later(59 * SECOND), "");
    assert!(bench.later(SECOND).starts_with("451 "));
    assert!(matches!(bench.out.list[..], [Action::CancelStorage]));
}

#[test]
fn a_sign_of_life_of_a_short_request_changes_nothing() {
    let mut bench = Bench::logged_in();
    bench.line("MKD d");
    assert_eq!(bench.later(59 * SECOND), "");
    assert_eq!(bench.event(Event::StorageBusy(RequestId(3))), "");
    assert!(bench.later(SECOND).starts_with("451 "));
}

#[test]
fn abor_gives_a_long_job_up() {
    let mut bench = hashing();
    assert_eq!(bench.line("NOOP"), "");
    let said = bench.line("ABOR");
    assert!(matches!(bench.out.list[..], [Action::CancelStorage]), "{:?}", bench.out.list);
    assert_eq!(said, "450 Cancelled.\r\n200 OK.\r\n226 Abort successful.\r\n");
    let late = StorageDone::Hashed { digest: vec![1], from: 0, to: 1 };
    assert_eq!(bench.event(Event::StorageAnswered(RequestId(3), Ok(late))), "");
}

#[test]
fn a_client_that_leaves_ends_its_long_job() {
    let mut bench = hashing();
    assert_eq!(bench.event(Event::PeerClosed), "450 Cancelled.\r\n");
    assert!(matches!(bench.out.list[..], [Action::CancelStorage, Action::Close(CloseReason::PeerClosed)]));
}

#[test]
fn a_client_that_said_quit_still_gets_its_digest() {
    let mut bench = hashing();
    assert_eq!(bench.line("QUIT"), "");
    assert_eq!(bench.event(Event::PeerClosed), "");
    let done = StorageDone::Hashed { digest: vec![1], from: 0, to: 1 };
    let said = bench.event(Event::StorageAnswered(RequestId(3), Ok(done)));
    assert_eq!(said, "213 SHA-256 0-1 01 f\r\n221 Goodbye.\r\n");
}

#[test]
fn the_time_is_asked_for_and_a_stale_one_dropped() {
    let mut bench = Bench::logged_in();
    assert_eq!(bench.line("SITE TIME"), "");
    let Some(Action::AskWallTime { request }) = bench.out.list.pop() else {
        std::panic!("{:?}", bench.out.list)
    };
    let time = Timestamp { secs: 1_577_836_800, nanos: 5 };
    assert_eq!(bench.event(Event::WallTimeTold(RequestId(request.0 + 1), time)), "");
    assert_eq!(bench.event(Event::WallTimeTold(request, time)), "200 The time is 20200101000000 UTC.\r\n");
    assert_eq!(bench.event(Event::WallTimeTold(request, time)), "");
    bench.line("MKD d");
    let asked = RequestId(request.0 + 1);
    assert_eq!(bench.event(Event::WallTimeTold(asked, time)), "", "an answer to something else");
    assert!(bench.event(Event::StorageAnswered(asked, Ok(StorageDone::Done))).starts_with("257 "));
}

#[test]
fn a_download_window_never_reaches_past_the_file() {
    for (window, size, offset, end, said) in [
        ("RANG 2 5", 10, 2, 6, "(4 bytes)"),
        ("RANG 2 50", 10, 2, 10, "(8 bytes)"),
        ("RANG 10 50", 10, 10, 10, "(0 bytes)"),
        ("REST 4", 10, 4, 10, "(6 bytes)"),
        // It shrank between the check and the opening.
        ("REST 4", 3, 4, 4, "(0 bytes)"),
    ] {
        let mut bench = Bench::logged_in();
        bench.line("TYPE I");
        bench.line("EPSV");
        let passive = PassiveEnd { address: Ipv4Addr::LOCALHOST.into(), port: 50_000 };
        bench.event(Event::PassiveOpened(RequestId(3), Ok(passive)));
        bench.line(window);
        bench.line("RETR f");
        let reply = bench.event(Event::StorageAnswered(RequestId(5), Ok(StorageDone::Download { size })));
        assert!(reply.contains(said), "{window}: {reply}");
        let Some(Action::BeginTransfer(plan)) = bench.out.list.pop() else {
            std::panic!("{:?}", bench.out.list)
        };
        assert_eq!(plan.job, Job::Download { offset, size: end });
    }
}

#[test]
fn an_upload_ends_where_the_range_or_the_largest_size_says() {
    let timeouts = Timeouts { login: SECOND, idle: 300 * SECOND, data_open: SECOND, data_stall: SECOND };
    for (largest, window, expected) in [
        (None, "RANG 2 5", Some(6)),
        (Some(4), "REST 0", Some(4)),
        (Some(4), "RANG 2 5", Some(4)),
        (Some(9), "RANG 2 5", Some(6)),
        (None, "REST 3", None),
    ] {
        let mut bench = Bench::logged_in();
        let settings = Settings { file_bytes_max: largest, ..Settings::new("hello".to_string(), timeouts) };
        bench.session.settings = Arc::new(settings);
        bench.line("TYPE I");
        bench.line("EPSV");
        let passive = PassiveEnd { address: Ipv4Addr::LOCALHOST.into(), port: 50_000 };
        bench.event(Event::PassiveOpened(RequestId(3), Ok(passive)));
        bench.line(window);
        bench.line("STOR f");
        let path = VirtualPath::root();
        bench.event(Event::StorageAnswered(RequestId(5), Ok(StorageDone::Upload { path })));
        let Some(Action::BeginTransfer(plan)) = bench.out.list.pop() else {
            std::panic!("{:?}", bench.out.list)
        };
        assert_eq!(plan.job, Job::Upload { end_max: expected }, "{largest:?} {window}");
    }
}

#[test]
fn a_search_for_a_pattern_is_a_long_job() {
    let mut bench = Bench::logged_in();
    bench.line("EPSV");
    let passive = PassiveEnd { address: Ipv4Addr::LOCALHOST.into(), port: 50_000 };
    bench.event(Event::PassiveOpened(RequestId(3), Ok(passive)));
    bench.line("NLST *.txt");
    for _ in 0..3 {
        assert_eq!(bench.later(50 * SECOND), "");
        assert_eq!(bench.event(Event::StorageBusy(RequestId(5))), "");
    }
    assert_eq!(bench.line("ABOR"), "450 Cancelled.\r\n226 Abort successful.\r\n");
    assert!(
        matches!(bench.out.list[..], [Action::ClosePassive, Action::CancelStorage]),
        "{:?}",
        bench.out.list
    );
    // A listing of one directory is short.
    bench.line("EPSV");
    bench.event(Event::PassiveOpened(RequestId(6), Ok(passive)));
    bench.line("NLST d");
    assert_eq!(bench.line("ABOR"), "");
    assert!(bench.later(60 * SECOND).starts_with("451 "));
}

#[test]
fn abor_gives_up_the_jobs_that_wait_before_it_too() {
    let mut bench = hashing();
    assert_eq!(bench.line("HASH g"), "");
    assert_eq!(bench.line("PWD"), "");
    let said = bench.line("ABOR");
    let expected = "450 Cancelled.\r\n450 Cancelled.\r\n257 \"/\" is the current directory.\r\n226 Abort successful.\r\n";
    assert_eq!(said, expected);
    assert!(matches!(bench.out.list[..], [Action::CancelStorage]), "{:?}", bench.out.list);
}

#[test]
fn jobs_of_a_client_that_is_gone_do_not_begin() {
    let mut bench = hashing();
    for _ in 0..3 {
        assert_eq!(bench.line("XMD5 g"), "");
    }
    let said = bench.event(Event::PeerClosed);
    assert_eq!(said, "450 Cancelled.\r\n".repeat(4));
    assert!(matches!(bench.out.list[..], [Action::CancelStorage, Action::Close(CloseReason::PeerClosed)]));
}

#[test]
fn names_only_of_one_file_is_usable_as_an_argument() {
    for (argument, prefix) in [("f", ""), ("d/f", "d/"), ("f/", ""), ("d/f//", "d/"), ("/f", "/")] {
        assert_eq!(transfer::prefix_of(argument.as_bytes().to_vec(), true), prefix.as_bytes(), "{argument}");
    }
    for (argument, prefix) in [("", ""), ("d", "d/"), ("d/", "d/"), ("/", "/")] {
        assert_eq!(transfer::prefix_of(argument.as_bytes().to_vec(), false), prefix.as_bytes(), "{argument}");
    }
}

#[test]
fn a_job_that_fails_otherwise_is_not_tried_with_a_shorter_name() {
    let mut bench = Bench::logged_in();
    bench.line("XCRC f 5");
    let said = bench.event(Event::StorageAnswered(RequestId(3), Err(StorageErrorKind::PermissionDenied)));
    assert!(said.starts_with("550 ") && bench.out.list.is_empty(), "{said} {:?}", bench.out.list);
    bench.line("XCRC f 5");
    let said = bench.event(Event::StorageAnswered(RequestId(4), Err(StorageErrorKind::NotFound)));
    assert_eq!(said, "");
    assert!(matches!(bench.out.list[..], [Action::Storage { what: StorageRequest::Hash { .. }, .. }]));
}

#[test]
fn files_are_joined_up_to_a_bound() {
    for (parts, fits) in [(64, true), (65, false)] {
        let mut bench = Bench::logged_in();
        let timeouts = bench.session.settings.timeouts;
        let settings = Settings { extras: Extras::ALL, ..Settings::new("hello".to_string(), timeouts) };
        bench.session.settings = Arc::new(settings);
        let said = bench.line(&std::format!("COMB t{}", " p".repeat(parts)));
        assert_eq!(said.is_empty(), fits, "{parts}: {said}");
    }
}

#[test]
fn what_overtakes_is_looked_for_during_a_transfer_only() {
    let mut bench = Bench::logged_in();
    assert!(!bench.session.wants_urgent());
    bench.line("MKD d");
    assert!(!bench.session.wants_urgent());
    assert!(Bench::uploading().session.wants_urgent());
}

/// Logged in, and an upload is being opened.
fn opening() -> Bench {
    let mut bench = Bench::logged_in();
    bench.line("EPSV");
    let end = PassiveEnd { address: Ipv4Addr::LOCALHOST.into(), port: 50_000 };
    bench.event(Event::PassiveOpened(RequestId(3), Ok(end)));
    bench.line("STOR a");
    bench
}

#[test]
fn who_leaves_while_a_transfer_is_opened_has_it_cut_unless_he_said_quit() {
    for (quits, cut) in [(false, true), (true, false)] {
        let mut bench = opening();
        if quits {
            bench.line("QUIT");
        }
        assert_eq!(bench.session.has_quit(), quits);
        bench.event(Event::PeerClosed);
        let path = VirtualPath::resolve(&VirtualPath::root(), b"a").unwrap();
        bench.event(Event::StorageAnswered(RequestId(5), Ok(StorageDone::Upload { path })));
        let aborts = bench.out.list.iter().any(|action| matches!(action, Action::AbortTransfer));
        assert_eq!(aborts, cut, "{:?}", bench.out.list);
    }
}

#[test]
fn passwords_are_never_printed() {
    let secret = Secret::new(b"hunter2".to_vec());
    assert_eq!(std::format!("{secret:?}"), "Secret(..)");
}
