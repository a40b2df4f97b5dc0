//! What holds whatever happens: the session machine under random and hostile histories.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_for_each,
    clippy::format_push_string,
    reason = "helpers of tests"
)]

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use proptest::prelude::*;
use tidegate_protocol::command::{Extras, Needs, Offer, SITE, TABLE};
use tidegate_protocol::session::{
    Action, Actions, Event, Farewell, LoginAnswer, PassiveEnd, PassiveError, Progress, RequestId,
    ServerSession, Settings, StorageDone, Timeouts, TransferEnd,
};
use tidegate_testkit::{DataScript, FakeAccount, Ledger, Random, World, WorldOptions};
use tidegate_types::{
    Access, AccountName, Cause, Cut, Entry, FileKind, Metadata, Moment, Profile, Refusal, Rights,
    StorageErrorKind, Timestamp, Unique, UploadStyle, VirtualPath,
};

/// Any byte that does not end a line.
fn byte() -> impl Strategy<Value = u8> {
    any::<u8>().prop_map(|byte| if byte == b'\n' { b'.' } else { byte })
}

/// Sound lines.
const COMMON: &[&str] = &[
    "USER tide",
    "PASS secret",
    "PASS wrong",
    "NOOP",
    "ABOR",
    "STAT",
    "EPSV",
    "PASV",
    "EPSV ALL",
    "RETR f",
    "STOR g",
    "LIST",
    "NLST -a",
    "MLSD",
    "MLST f",
    "REST 3",
    "TYPE I",
    "TYPE A",
    "CWD d",
    "PWD",
    "QUIT",
    "REIN",
    "RNFR f",
    "RNTO h",
    "MKD \"q\"",
    "PORT 192,0,2,1,200,0",
    "EPRT |1|192.0.2.1|51200|",
    "STAT f",
    "STOU",
    "APPE g",
    "SIZE f",
    "MDTM f",
    "MDTM 20200101000000 f",
    "MFMT 20200101000000 f",
    "SITE CHMOD 600 f",
    "SITE UTIME 20200101000000 f",
    "SITE TIME",
    "SITE IDLE 20",
    "SITE UMASK 077",
    "SITE CPFR f",
    "SITE CPTO h",
    "SITE COPY f h",
    "SITE SYMLINK f l",
    "MFF modify=20200101000000;UNIX.mode=0600; f",
    "HASH f",
    "XCRC f 1 2",
    "RANG 1 3",
    "RMDA d",
    "COMB g f",
    "AVBL",
    "HOST h",
    "LANG en",
    "CLNT c",
    "MODE Z",
    "NLST *",
    "LIST -R",
];

/// A line that may come from a client: sound commands, broken ones, and bytes that mean nothing.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let verb = proptest::sample::select(TABLE.iter().map(|row| row.verb).collect::<Vec<_>>());
    let common = proptest::sample::select(COMMON.to_vec());
    let argument = prop_oneof![
        Just(Vec::new()),
        Just(b" f".to_vec()),
        Just(b" ../..".to_vec()),
        Just(b" -la d".to_vec()),
        proptest::collection::vec(byte(), 0..12).prop_map(|bytes| [b" ".to_vec(), bytes].concat()),
    ];
    prop_oneof![
        6 => common.prop_map(|line| line.as_bytes().to_vec()),
        2 => (verb, argument).prop_map(|(verb, argument)| [verb.as_bytes().to_vec(), argument].concat()),
        1 => proptest::collection::vec(byte(), 0..40),
    ]
}

/// What happens in a history. Answers may be right, stale, of the wrong kind, or to a question nobody asked.
#[derive(Clone)]
enum Happens {
    Opened,
    Line(Vec<u8>),
    LineTooLong,
    LineEndless,
    /// Answers what was asked last, as well as it deserves.
    Answer(u8),
    /// Answers something else than what was asked.
    Hostile(u8, u32),
    DataOpened,
    Ends(u8),
    Tick,
    Passes(u64),
    /// The long job goes on, or a stale one does.
    Busy(u32),
    /// What time it is, to whoever asked.
    WallTime(u32),
    /// Bytes moved this long ago, told whether or not somebody asked.
    Progress(u64),
    Drain,
    DrainExpired,
    Stays,
    Kicked,
    Pressed(u32),
    PeerClosed,
}

impl std::fmt::Debug for Happens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "Line({})", line.escape_ascii()),
            Self::Answer(kind) => write!(f, "Answer({kind})"),
            Self::Hostile(kind, request) => write!(f, "Hostile({kind}, {request})"),
            Self::Ends(kind) => write!(f, "Ends({:?})", end(*kind)),
            Self::Passes(secs) => write!(f, "Passes({secs})"),
            Self::Busy(request) => write!(f, "Busy({request})"),
            Self::WallTime(request) => write!(f, "WallTime({request})"),
            Self::Progress(secs) => write!(f, "Progress({secs})"),
            Self::Opened => f.write_str("Opened"),
            Self::LineTooLong => f.write_str("LineTooLong"),
            Self::LineEndless => f.write_str("LineEndless"),
            Self::DataOpened => f.write_str("DataOpened"),
            Self::Tick => f.write_str("Tick"),
            Self::Drain => f.write_str("Drain"),
            Self::DrainExpired => f.write_str("DrainExpired"),
            Self::Stays => f.write_str("Stays"),
            Self::Kicked => f.write_str("Kicked"),
            Self::Pressed(percent) => write!(f, "Pressed({percent})"),
            Self::PeerClosed => f.write_str("PeerClosed"),
        }
    }
}

/// Why the session has to leave, with everything a farewell may hold.
fn farewell(cause: Cause) -> Farewell {
    let until = Some(Moment::from_start(Duration::from_hours(1)));
    Farewell { until, message: Some("until noon".into()), ..Farewell::new(Refusal::uncounted(cause, 0)) }
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => line().prop_map(Happens::Line),
        12 => any::<u8>().prop_map(Happens::Answer),
        2 => (any::<u8>(), 0_u32..12).prop_map(|(kind, request)| Happens::Hostile(kind, request)),
        2 => Just(Happens::DataOpened),
        3 => any::<u8>().prop_map(Happens::Ends),
        2 => Just(Happens::Tick),
        2 => (0_u64..40).prop_map(Happens::Passes),
        3 => (0_u64..90).prop_map(Happens::Progress),
        1 => (0_u32..12).prop_map(Happens::Busy),
        1 => (0_u32..12).prop_map(Happens::WallTime),
        1 => Just(Happens::LineTooLong),
        1 => Just(Happens::Stays),
        1 => (0_u32..120).prop_map(Happens::Pressed),
    ]
}

/// The events that end a session, or nearly: rare, so that histories are long.
fn ends() -> impl Strategy<Value = Happens> {
    prop_oneof![
        Just(Happens::LineEndless),
        Just(Happens::Drain),
        Just(Happens::DrainExpired),
        Just(Happens::Kicked),
        Just(Happens::PeerClosed),
        Just(Happens::Opened),
        (200_u64..400).prop_map(Happens::Passes),
    ]
}

fn history() -> impl Strategy<Value = Vec<Happens>> {
    let step = prop_oneof![60 => happens(), 1 => ends()];
    let start = prop_oneof![
        1 => Just(vec![]),
        4 => Just(vec![
            Happens::Line(b"USER tide".to_vec()),
            Happens::Line(b"PASS secret".to_vec()),
            Happens::Answer(0),
            Happens::Answer(0),
        ]),
    ];
    (start, proptest::collection::vec(step, 0..120)).prop_map(|(start, steps)| [start, steps].concat())
}

fn settings() -> Arc<Settings> {
    let timeouts = Timeouts {
        login: Duration::from_secs(30),
        idle: Duration::from_mins(5),
        data_open: Duration::from_secs(20),
        data_stall: Duration::from_mins(1),
    };
    Arc::new(Settings { extras: Extras::ALL, mode_z: true, ..Settings::new("ready".to_owned(), timeouts) })
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

fn profile() -> Profile {
    Profile {
        account: Some(AccountName("tide".to_owned())),
        rights: Rights::ALL,
        upload: UploadStyle::Atomic,
        connections_max: None,
    }
}

/// A shell that only keeps the books.
struct Shell {
    session: ServerSession,
    ledger: Ledger,
    now: Moment,
    /// The question that waits for an answer.
    asked: Option<Asked>,
    transferring: bool,
    closed: bool,
    log: String,
}

#[derive(Debug)]
enum Asked {
    Login(RequestId),
    Gate(RequestId),
    Storage(RequestId),
    Passive(RequestId),
    WallTime(RequestId),
}

impl Shell {
    fn new() -> Self {
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let mut shell = Self {
            session: ServerSession::new(settings(), peer),
            ledger: Ledger::default(),
            now: Moment::ZERO,
            asked: None,
            transferring: false,
            closed: false,
            log: String::new(),
        };
        shell.tell(Event::Opened);
        shell
    }

    fn tell(&mut self, event: Event<'_>) {
        let logged_in = self.session.profile().is_some();
        let mut out = Actions::default();
        self.session.handle(event, self.now, &mut out);
        self.log.push_str(&format!("{} {:?}\n", out.wire.escape_ascii(), out.list));
        if self.closed {
            assert!(out.wire.is_empty() && out.list.is_empty(), "after Close: {out:?}");
            return;
        }
        self.ledger.heard(&out.wire, self.now);
        for action in &out.list {
            assert!(!self.closed, "{action:?} after Close");
            self.note(action, logged_in);
        }
        if self.closed {
            assert_eq!(self.session.next_deadline(), None);
            assert!(!self.session.wants_lines());
        } else {
            assert!(self.session.next_deadline().is_some(), "no deadline is armed");
            assert_eq!(self.session.is_transferring(), self.transferring);
        }
    }

    fn note(&mut self, action: &Action, logged_in: bool) {
        match action {
            Action::CheckLogin { request, .. } => {
                assert!(!logged_in || self.session.profile().is_none());
                self.asked = Some(Asked::Login(*request));
            }
            Action::AskGate { request, .. } => self.asked = Some(Asked::Gate(*request)),
            Action::Storage { request, .. } => {
                assert!(self.session.profile().is_some() || logged_in, "storage before login");
                assert!(!self.transferring, "storage during a transfer");
                assert!(!matches!(self.asked, Some(Asked::Storage(_))), "two questions at once");
                self.asked = Some(Asked::Storage(*request));
            }
            Action::OpenPassive { request, .. } => {
                assert!(self.session.profile().is_some() || logged_in, "a port before login");
                self.asked = Some(Asked::Passive(*request));
            }
            Action::CancelStorage => self.asked = None,
            Action::BeginTransfer(_) => {
                assert!(!self.transferring, "a second transfer");
                self.transferring = true;
            }
            Action::Close(_) => self.closed = true,
            Action::AbortTransfer | Action::AskProgress => {
                assert!(self.transferring, "{action:?} of nothing");
            }
            Action::Logout => assert!(!self.transferring, "logged out during a transfer"),
            Action::AskWallTime { request } => self.asked = Some(Asked::WallTime(*request)),
            Action::Note(..) | Action::ClosePassive => {}
        }
    }

    fn happen(&mut self, what: &Happens) {
        match what {
            Happens::Opened => self.tell(Event::Opened),
            Happens::Line(line) => {
                if self.closed || self.session.wants_lines() {
                    self.ledger_said(line);
                    self.tell(Event::Line(line));
                }
            }
            Happens::LineTooLong => {
                if self.session.wants_lines() {
                    self.ledger.said_too_much(self.now);
                    self.tell(Event::LineTooLong);
                }
            }
            Happens::LineEndless => {
                if !self.closed && self.ledger.is_settled() {
                    self.ledger.said_too_much(self.now);
                    self.tell(Event::LineEndless);
                }
            }
            Happens::Answer(kind) => self.answer(*kind),
            Happens::Hostile(kind, request) => self.hostile_answer(*kind, RequestId(*request)),
            Happens::DataOpened => self.tell(Event::DataOpened),
            // Also when none runs: then nothing may come of it.
            Happens::Ends(kind) => {
                self.transferring = false;
                self.tell(Event::TransferEnded(end(*kind)));
            }
            Happens::Tick => self.tell(Event::Tick),
            Happens::Passes(secs) => {
                self.now = self.now + Duration::from_secs(*secs);
                self.tell(Event::Tick);
            }
            Happens::Busy(request) => self.tell(Event::StorageBusy(RequestId(*request))),
            Happens::WallTime(request) => {
                let request = RequestId(*request);
                if matches!(self.asked, Some(Asked::WallTime(asked)) if asked == request) {
                    self.asked = None;
                }
                self.tell(Event::WallTimeTold(request, Timestamp { secs: 1, nanos: 0 }));
            }
            Happens::Progress(secs) => {
                let ago = self.now.since_start().saturating_sub(Duration::from_secs(*secs));
                self.tell(Event::Progress(Progress { bytes: 7, last_at: Moment::from_start(ago) }));
            }
            Happens::Drain => self.tell(Event::LeaveSoon(farewell(Cause::Draining))),
            Happens::DrainExpired => self.tell(Event::LeaveNow(farewell(Cause::Draining))),
            Happens::Stays => self.tell(Event::Stay),
            Happens::Kicked => self.tell(Event::LeaveNow(farewell(Cause::Kicked))),
            Happens::Pressed(percent) => self.tell(Event::Pressed(*percent)),
            Happens::PeerClosed => self.tell(Event::PeerClosed),
        }
    }

    fn ledger_said(&mut self, line: &[u8]) {
        if !self.closed {
            self.ledger.said(line, self.now);
        }
    }

    fn answer(&mut self, kind: u8) {
        match self.asked.take() {
            None => {}
            Some(Asked::Login(request)) => {
                let answer = match kind % 8 {
                    5 => LoginAnswer::Banned(Refusal::uncounted(Cause::LoginFailures, 9)),
                    6 => LoginAnswer::Denied { ban: None },
                    7 => LoginAnswer::Unavailable,
                    _ => LoginAnswer::Accepted(profile()),
                };
                self.tell(Event::LoginAnswered(request, answer));
            }
            Some(Asked::Gate(request)) => {
                let refusal = Refusal { in_use: 1, limit: 1, ..Refusal::uncounted(Cause::AccountFull, 3) };
                self.tell(Event::GateAnswered(request, if kind % 16 == 15 { Err(refusal) } else { Ok(()) }));
            }
            Some(Asked::WallTime(request)) => {
                self.tell(Event::WallTimeTold(request, Timestamp { secs: 1_700_000_000, nanos: 0 }));
            }
            Some(Asked::Storage(request)) => self.tell(Event::StorageAnswered(request, stored(kind))),
            Some(Asked::Passive(request)) => {
                let answer = match kind % 8 {
                    6 => Err(PassiveError::NoFreePort(Refusal::uncounted(Cause::DataPorts, 2))),
                    7 => Err(PassiveError::Failed),
                    5 => Ok(PassiveEnd { address: "2001:db8::1".parse().unwrap(), port: 1 }),
                    _ => Ok(PassiveEnd { address: "192.0.2.2".parse().unwrap(), port: 50_000 }),
                };
                self.tell(Event::PassiveOpened(request, answer));
            }
        }
    }

    /// An answer to any request number: to what was asked it may be of the wrong kind, to everything else it is stale.
    fn hostile_answer(&mut self, kind: u8, request: RequestId) {
        match kind % 4 {
            0 if !matches!(self.asked, Some(Asked::Login(asked)) if asked == request) => {
                self.tell(Event::LoginAnswered(request, LoginAnswer::Accepted(profile())));
            }
            1 if !matches!(self.asked, Some(Asked::Gate(asked)) if asked == request) => {
                self.tell(Event::GateAnswered(request, Ok(())));
            }
            2 => {
                // The machine may take it for the answer: the question is over then.
                if matches!(self.asked, Some(Asked::Storage(asked) | Asked::Passive(asked) | Asked::WallTime(asked)) if asked == request)
                {
                    self.asked = None;
                }
                self.tell(Event::StorageAnswered(request, stored(kind / 4)));
            }
            3 => {
                if matches!(self.asked, Some(Asked::Storage(asked) | Asked::Passive(asked) | Asked::WallTime(asked)) if asked == request)
                {
                    self.asked = None;
                }
                self.tell(Event::PassiveOpened(request, Err(PassiveError::Failed)));
            }
            _ => {}
        }
    }
}

fn stored(kind: u8) -> Result<StorageDone, StorageErrorKind> {
    let directory = facts(FileKind::Directory, 0);
    let hostile = Entry { name: b"a\r\n226 fake".to_vec(), metadata: facts(FileKind::File, 1) };
    match kind % 16 {
        0 | 1 => Ok(StorageDone::Done),
        2 => Ok(StorageDone::Metadata(facts(FileKind::File, 10))),
        3 => Ok(StorageDone::Metadata(directory)),
        4 | 5 => Ok(StorageDone::Download { size: 10 }),
        6 | 7 => Ok(StorageDone::Upload { path: VirtualPath::resolve(&VirtualPath::root(), b"g").unwrap() }),
        8 => Ok(StorageDone::Listing { single: kind > 128 }),
        9 => {
            let (entries, now) = (vec![hostile], Timestamp { secs: 1_700_000_000, nanos: 0 });
            Ok(StorageDone::Entries { about: directory, entries, truncated: kind > 128, now })
        }
        10 => Ok(StorageDone::Hashed { digest: vec![0xab, 0xcd], from: 1, to: 5 }),
        11 => Ok(StorageDone::Available(77)),
        12 => Ok(StorageDone::Matches),
        _ => Err(StorageErrorKind::ALL[usize::from(kind) % StorageErrorKind::ALL.len()]),
    }
}

fn end(kind: u8) -> TransferEnd {
    let cut = [None, Some(Cut::Discarded), Some(Cut::Kept { size: 4 }), Some(Cut::InPlace)]
        [usize::from(kind / 8) % 4];
    match kind % 8 {
        0..=2 => TransferEnd::Completed { bytes: 9 },
        3 => TransferEnd::Bounded { bytes: 9 },
        4 => TransferEnd::NoConnection,
        5 => TransferEnd::ConnectionLost(cut),
        6 => TransferEnd::Aborted(cut),
        _ => TransferEnd::StorageFailed(
            StorageErrorKind::ALL[usize::from(kind) % StorageErrorKind::ALL.len()],
            cut,
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    /// One final reply a command, in order; well-formed lines; nothing before login; one transfer; nothing after Close;
    /// a deadline in every phase. The checks are in `Shell` and in the ledger.
    #[test]
    fn promises_hold_in_any_history(history in history()) {
        let mut shell = Shell::new();
        history.iter().for_each(|what| shell.happen(what));
    }

    #[test]
    fn the_same_history_has_the_same_actions(history in history()) {
        let run = || {
            let mut shell = Shell::new();
            history.iter().for_each(|what| shell.happen(what));
            shell.log
        };
        prop_assert_eq!(run(), run());
    }

    /// A client that never waits: what the machine holds stays bounded, whatever the lines are.
    #[test]
    fn the_queue_is_bounded(lines in proptest::collection::vec(line(), 200..400)) {
        let mut shell = Shell::new();
        for login in [&b"USER tide"[..], b"PASS secret"] {
            shell.happen(&Happens::Line(login.to_vec()));
        }
        shell.answer(0);
        shell.answer(0);
        shell.happen(&Happens::Line(b"MKD d".to_vec()));
        let mut taken = 0;
        for line in &lines {
            let verb = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            let counted = [&b"NOOP"[..], b"ABOR"].iter().any(|free| verb.eq_ignore_ascii_case(free));
            taken += usize::from(shell.session.wants_lines() && !counted);
            shell.happen(&Happens::Line(line.clone()));
        }
        prop_assert!(taken <= 16, "{} lines wait", taken);
        prop_assert!(shell.ledger.waiting() >= 1);
    }

    /// A whole world, with bytes cut anywhere: the answer does not depend on how the network cut them. (What overtakes a
    /// transfer does: it may find it running or over.)
    #[test]
    fn the_cut_of_the_bytes_does_not_matter(lines in proptest::collection::vec(line(), 1..20), cut in 1_usize..9) {
        let overtakes = |line: &[u8]| {
            let text = line.to_ascii_uppercase();
            text.windows(4).any(|verb| verb == b"ABOR" || verb == b"STAT")
        };
        let lines: Vec<Vec<u8>> = lines.into_iter().filter(|line| !overtakes(line)).collect();
        let bytes: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\r\n"].concat()).collect();
        let run = |piece: usize| {
            let mut world = furnished();
            let id = world.connect().unwrap();
            world.send(id, b"USER tide\r\nPASS secret\r\n");
            bytes.chunks(piece).for_each(|piece| world.send(id, piece));
            world.hang_up(id);
            world.take_wire(id)
        };
        let whole: Vec<u8> = {
            let mut world = furnished();
            let id = world.connect().unwrap();
            world.send(id, b"USER tide\r\nPASS secret\r\n");
            for line in &lines {
                world.send(id, &[line.as_slice(), b"\r\n"].concat());
            }
            world.hang_up(id);
            world.take_wire(id)
        };
        prop_assert_eq!(whole.escape_ascii().to_string(), run(cut).escape_ascii().to_string());
    }
}

/// NOOPs, ABORs and over-long lines take no place in the queue; what is counted is bounded all the same, and each still gets its reply.
#[test]
fn a_flood_of_free_commands_is_bounded() {
    for word in [Some(&b"NOOP"[..]), Some(b"ABOR"), None] {
        let mut shell = Shell::new();
        for login in [&b"USER tide"[..], b"PASS secret"] {
            shell.happen(&Happens::Line(login.to_vec()));
        }
        shell.answer(0);
        shell.answer(0);
        shell.happen(&Happens::Line(b"MKD d".to_vec()));
        for _ in 0..10_000 {
            shell.happen(&word.map_or(Happens::LineTooLong, |word| Happens::Line(word.to_vec())));
        }
        assert!((1000..5000).contains(&shell.ledger.waiting()), "{} wait", shell.ledger.waiting());
        shell.answer(0);
        assert!(shell.ledger.is_settled() && shell.session.wants_lines());
    }
}

fn furnished() -> World {
    let mut options = WorldOptions::default();
    options.settings.extras = Extras::ALL;
    options.settings.mode_z = true;
    let mut world = World::new(options);
    world.add_account("tide", FakeAccount::new("tide", "secret", Rights::ALL));
    world.add_account("none", FakeAccount::new("none", "secret", Rights::NONE));
    world.fs.put("/f", b"content");
    world.fs.put("/d/x", b"x");
    world
}

/// Sound lines for a verb, so that only the right stands between the client and the path.
fn sound_lines(verb: &str) -> Vec<String> {
    let arguments: &[&str] = match verb {
        "MFMT" => &["20200101000000 f"],
        "MFF" => {
            &["modify=20200101000000; f", "UNIX.mode=0600; f", "UNIX.mode=0600;modify=20200101000000; f"]
        }
        "MDTM" => &["f", "20200101000000 f"],
        "CDUP" | "XCUP" => &[""],
        "STAT" => &["f", "-a d"],
        "LIST" | "NLST" => &["f", "d", "/", "*", "-R", "*/*"],
        "XCRC" | "XMD5" | "XSHA" | "XSHA1" | "XSHA256" | "XSHA512" => &["f", "f 1 2", "\"f\" 1"],
        "COMB" => &["new f", "\"f\" \"d/x\""],
        "PORT" => &["192,0,2,1,200,0"],
        "EPRT" => &["|1|192.0.2.1|51200|"],
        "SITE CHMOD" => &["600 f"],
        "SITE UTIME" => &["20200101000000 f", "f 20200101000000 20200101000000 20200101000000 UTC"],
        "SITE CHGRP" => &["1 f"],
        "SITE SYMLINK" | "SITE COPY" => &["f new"],
        _ => &["f", "d", "/", "new"],
    };
    arguments.iter().map(|argument| format!("{verb} {argument}")).collect()
}

/// The verbs that reach no path of the storage; whatever is not here must be refused to who has no right. A new row of
/// the table is on paths until somebody writes it here.
const NOT_ON_PATHS: &[&str] = &[
    "USER",
    "PASS",
    "REIN",
    "QUIT",
    "TYPE",
    "MODE",
    "STRU",
    "PASV",
    "EPSV",
    "PORT",
    "EPRT",
    "REST",
    "RANG",
    "ALLO",
    "ABOR",
    "PWD",
    "XPWD",
    "SYST",
    "FEAT",
    "OPTS",
    "HELP",
    "NOOP",
    "CLNT",
    "CSID",
    "LANG",
    "HOST",
    "SITE",
    "SITE HELP",
    "SITE UMASK",
    "SITE IDLE",
    "SITE TIME",
];

/// PROTOCOL A26: without a right nothing on a path succeeds, and nothing changes; before login neither. Every row of the
/// command table, every sub-command of SITE.
#[test]
fn without_rights_no_path_is_touched() {
    let site = SITE.iter().map(|row| format!("SITE {}", row.word));
    let verbs = TABLE.iter().map(|row| row.verb.to_owned()).chain(site);
    let mut tried = 0;
    for verb in verbs.filter(|verb| !NOT_ON_PATHS.contains(&verb.as_str())) {
        for line in sound_lines(&verb) {
            let mut world = furnished();
            let before = world.fs.files();
            let id = world.connect().unwrap();
            world.take_replies(id);
            world.send(id, format!("{line}\r\n").as_bytes());
            let replies = world.take_replies(id);
            assert!(replies.iter().all(|reply| reply.code >= 500), "before login: {line}: {replies:?}");
            world.send(id, b"USER none\r\nPASS secret\r\nTYPE I\r\nEPSV\r\n");
            world.take_replies(id);
            world.script(id, DataScript { send: b"bad".to_vec(), ..DataScript::default() });
            world.send(id, format!("{line}\r\n").as_bytes());
            let replies = world.take_replies(id);
            assert!(!replies.is_empty(), "{line}");
            assert!(replies.iter().all(|reply| reply.code >= 400), "{line}: {replies:?}");
            assert_eq!(world.fs.files(), before, "{line}");
            assert!(world.take_received(id).is_empty(), "{line}");
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
}

/// With all rights the same lines do something: so it is the right that stood in the way, not the line.
#[test]
fn with_all_rights_the_same_lines_are_not_refused_for_rights() {
    let site = SITE.iter().filter(|row| row.offer != Offer::Never).map(|row| format!("SITE {}", row.word));
    let verbs =
        TABLE.iter().filter(|row| row.is_offered(Extras::ALL)).map(|row| row.verb.to_owned()).chain(site);
    for verb in verbs.filter(|verb| !NOT_ON_PATHS.contains(&verb.as_str())) {
        let works = sound_lines(&verb).iter().any(|line| {
            let mut world = furnished();
            let id = world.connect().unwrap();
            world.send(id, b"USER tide\r\nPASS secret\r\nTYPE I\r\n");
            let before = match verb.as_str() {
                "RNTO" => "RNFR f\r\n",
                "SITE CPTO" => "SITE CPFR f\r\n",
                "RMD" | "XRMD" | "SITE RMDIR" => "DELE d/x\r\n",
                _ => "",
            };
            world.send(id, format!("EPSV\r\n{before}").as_bytes());
            world.take_replies(id);
            world.script(id, DataScript { send: b"good".to_vec(), ..DataScript::default() });
            world.send(id, format!("{line}\r\n").as_bytes());
            world.take_replies(id).last().is_some_and(|reply| reply.code < 400)
        });
        assert!(works, "{verb}: no sound line of it works");
    }
}

/// Before login only what the table says answers anything but 530, in any form.
#[test]
fn before_login_there_is_530() {
    for row in TABLE.iter().filter(|row| row.needs != Needs::Nothing) {
        for argument in ["", " ", " f", " 1", " 1 2", " -R *", " x=1; f", " \u{1}", " |1|192.0.2.1|5000|"] {
            if row.needs == Needs::LoginWithArgument && argument.trim().is_empty() {
                continue;
            }
            let mut world = furnished();
            let id = world.connect().unwrap();
            world.take_replies(id);
            world.send(id, format!("{}{argument}\r\n", row.verb).as_bytes());
            let codes: Vec<u16> = world.take_replies(id).iter().map(|reply| reply.code).collect();
            assert_eq!(codes, [530], "{}{argument:?}", row.verb);
        }
    }
}

/// Every code a verb may answer in commands.toml's sense: never 120, never 421 as an answer to a command that is fine.
#[test]
fn random_names_never_break_a_reply() {
    let mut random = Random::new(0x7469_6465);
    let mut world = furnished();
    let id = world.connect().unwrap();
    world.send(id, b"USER tide\r\nPASS secret\r\nTYPE I\r\n");
    for _ in 0..400 {
        let length = 1 + random.below(30);
        let name: Vec<u8> =
            random.bytes(length).into_iter().filter(|byte| ![b'\n', 0xff].contains(byte)).collect();
        for verb in ["MKD ", "CWD ", "MLST ", "RNFR ", "STAT "] {
            world.send(id, &[verb.as_bytes(), &name, b"\r\nPWD\r\nCWD /\r\n"].concat());
        }
        assert!(world.ledger(id).is_settled());
    }
    world.send(id, b"STAT\r\nSTAT /\r\nEPSV\r\nMLSD\r\nQUIT\r\n");
    for listing in world.take_received(id) {
        for line in listing.split_inclusive(|byte| *byte == b'\n') {
            assert!(line.ends_with(b"\r\n") && !line[..line.len() - 2].iter().any(u8::is_ascii_control));
        }
    }
    assert!(world.closed(id).is_some());
}
