//! One path for every transfer: a data target, storage opens, 150, the data moves, one final reply.

use alloc::vec::Vec;

use tidegate_types::{
    Cause, Cut, Moment, Refusal, Rights, StorageErrorKind, UploadStart, UploadStyle, VirtualPath,
};

use super::files::{For, reason_of};
use super::glob::{Globbed, has_wildcard, read_glob};
use super::phase::{CutReason, Direction, Opening, OpeningWhat, Pending, Phase, Transfer, Window};
use super::timers::Deadline;
use super::{
    ANSWER_TIMEOUT, Action, Actions, CloseReason, GateQuestion, Job, Progress, RequestId, ServerSession,
    StorageDone, StorageRequest, TransferEnd, TransferPlan,
};
use crate::command::{ListArgs, TypeCode};
use crate::listing::{ListFormat, ListPlan};
use crate::number::Digits;
use crate::reply::{self, Reason};

// The commands.
impl ServerSession {
    /// REST (RFC 3659 §5.3): holds until the next transfer command, whatever comes of that.
    pub(super) fn rest(&mut self, offset: u64, out: &mut Actions) {
        if offset > 0
            && let Some(reason) = self.window_forbidden()
        {
            return reply::write(&mut out.wire, reason);
        }
        self.parameters.window.start = offset;
        reply::write_with(&mut out.wire, Reason::RestartAt, &[Digits::decimal(offset).as_bytes()]);
    }

    /// RANG (draft-bryan-ftp-range): shares its state with REST, the last one wins.
    pub(super) fn rang(&mut self, range: Option<(u64, u64)>, out: &mut Actions) {
        let Some((start, end)) = range else { return reply::write(&mut out.wire, Reason::RangeReset) };
        if let Some(reason) = self.window_forbidden() {
            return reply::write(&mut out.wire, reason);
        }
        self.parameters.window = Window { start, end: Some(end) };
        let (first, last) = (Digits::decimal(start), Digits::decimal(end - 1));
        reply::write_with(&mut out.wire, Reason::RangeSet, &[first.as_bytes(), last.as_bytes()]);
    }

    /// Returns why a part of a file cannot be asked for now: positions are those of the bytes on disk.
    const fn window_forbidden(&self) -> Option<Reason> {
        if self.is_ascii() {
            Some(Reason::RestartNeedsBinary)
        } else if self.parameters.deflate.is_some() {
            Some(Reason::RestartNeedsStream)
        } else {
            None
        }
    }

    /// Takes what REST or RANG asked for; when it cannot be served the reply is said and `None` returned.
    fn take_window(&mut self, out: &mut Actions) -> Option<Window> {
        let window = core::mem::take(&mut self.parameters.window);
        if window != Window::default()
            && let Some(reason) = self.window_forbidden()
        {
            reply::write(&mut out.wire, reason);
            return None;
        }
        Some(window)
    }

    /// As [`take_window`](Self::take_window), for commands that know no offset.
    fn refuses_window(&mut self, out: &mut Actions) -> bool {
        let is_set = core::mem::take(&mut self.parameters.window) != Window::default();
        if is_set {
            reply::write(&mut out.wire, Reason::RestartNotHere);
        }
        is_set
    }

    pub(super) fn retr(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some(window) = self.take_window(out) else { return };
        let Some(path) = self.resolve(argument, For::Looking, out) else { return };
        let what = StorageRequest::OpenDownload { path, offset: window.start };
        self.open(what, OpeningWhat::Download(window), now, out);
    }

    pub(super) fn stor(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some(window) = self.take_window(out) else { return };
        let start = match window {
            Window { start: 0, end: None } => UploadStart::Replace,
            Window { start, .. } => UploadStart::At(start),
        };
        self.upload(argument, start, window.end, (now, out));
    }

    pub(super) fn stou(&mut self, argument: Option<&[u8]>, now: Moment, out: &mut Actions) {
        if !self.refuses_window(out) {
            self.upload(argument.unwrap_or(b"upload"), UploadStart::Unique, None, (now, out));
        }
    }

    pub(super) fn appe(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if !self.refuses_window(out) {
            self.upload(argument, UploadStart::Append, None, (now, out));
        }
    }

    fn upload(
        &mut self,
        argument: &[u8],
        start: UploadStart,
        end: Option<u64>,
        (now, out): (Moment, &mut Actions),
    ) {
        let Some(path) = self.resolve(argument, For::Creating, out) else { return };
        let style = self.profile.as_ref().map_or(UploadStyle::Atomic, |profile| profile.upload);
        let largest = self.settings.file_bytes_max;
        if let (UploadStart::At(offset), Some(largest)) = (start, largest)
            && offset > largest
        {
            return reply::write(&mut out.wire, Reason::FileTooLarge);
        }
        let what = StorageRequest::OpenUpload {
            path,
            start,
            style,
            may_overwrite: self.may(Rights::OVERWRITE),
            may_append: self.may(Rights::APPEND),
            umask: self.parameters.umask,
        };
        let end_max = end.into_iter().chain(largest).min();
        let unique = start == UploadStart::Unique;
        self.open(what, OpeningWhat::Upload { unique, end_max }, now, out);
    }

    pub(super) fn list(&mut self, args: ListArgs<'_>, now: Moment, out: &mut Actions) {
        self.open_listing(ListFormat::Long, args, true, (now, out));
    }

    pub(super) fn nlst(&mut self, args: ListArgs<'_>, now: Moment, out: &mut Actions) {
        self.open_listing(ListFormat::Names, args, true, (now, out));
    }

    /// MLSD takes directories only and knows no options and no patterns (RFC 3659 §7.2).
    pub(super) fn mlsd(&mut self, path: Option<&[u8]>, now: Moment, out: &mut Actions) {
        let format = ListFormat::Facts(self.parameters.facts);
        let args = ListArgs { hidden: true, path, ..ListArgs::default() };
        self.open_listing(format, args, false, (now, out));
    }

    fn open_listing(
        &mut self,
        verb_format: ListFormat,
        args: ListArgs<'_>,
        or_file: bool,
        (now, out): (Moment, &mut Actions),
    ) {
        self.parameters.window = Window::default();
        let argument = args.path.unwrap_or(b".");
        let Some(path) = self.resolve(argument, For::Looking, out) else { return };
        let globbed = if or_file { read_glob(&self.cwd, argument, args.hidden) } else { Globbed::Plain };
        let (glob, typed) = match globbed {
            Globbed::Plain => (None, None),
            Globbed::Pattern { glob, typed } => (Some(glob), Some(typed)),
            Globbed::TooWild => return reply::write(&mut out.wire, Reason::PatternTooWild),
        };
        let format = match args.long {
            Some(true) => ListFormat::Long,
            Some(false) => ListFormat::Names,
            None => verb_format,
        };
        let what = OpeningWhat::List {
            format,
            hidden: args.hidden,
            dots: args.dots,
            recursive: args.recursive,
            argument: args.path.unwrap_or_default().to_vec(),
            typed,
        };
        self.open(StorageRequest::OpenListing { path, or_file, glob }, what, now, out);
    }

    const fn is_ascii(&self) -> bool {
        matches!(self.parameters.type_code, TypeCode::Ascii)
    }

    /// Takes the data target, captures what the transfer is, and asks storage to open it. 150 comes only then.
    fn open(&mut self, request: StorageRequest, what: OpeningWhat, now: Moment, out: &mut Actions) {
        let Some(route) = self.parameters.route else {
            return reply::write(&mut out.wire, Reason::NeedDataAddress);
        };
        self.timers.disarm(Deadline::Lease);
        let ascii = self.is_ascii() && !matches!(what, OpeningWhat::List { .. });
        let deflate = self.parameters.deflate;
        let opening = Opening { route, ascii, deflate, what };
        let question = GateQuestion::Transfer;
        let pending = Pending::Place { what: request, opening };
        let request = self.begin_asking(pending, now);
        out.push(Action::AskGate { request, question });
    }

    /// The gate has a place for the transfer, or has none: then the session goes on without it (DESIGN §2.3).
    pub(super) fn place_answered(
        &mut self,
        request: RequestId,
        answer: Result<(), Refusal>,
        now: Moment,
        out: &mut Actions,
    ) {
        let Some(Pending::Place { what, opening }) = self.end_asking(request, now) else { return };
        let pending = Pending::Open(opening);
        match answer {
            Ok(()) if pending.is_long() && self.is_given_up() => {
                out.push(Action::CancelStorage); // for the place, which nobody needs any more
                self.close_route(out);
                reply::write(&mut out.wire, Reason::JobCancelled);
            }
            Ok(()) => self.ask(what, pending, now, out),
            Err(refusal) => {
                self.close_route(out); // used up, as by any transfer command
                reply::refused_command(&refusal, &mut out.wire);
            }
        }
    }
}

// The transfer itself.
impl ServerSession {
    /// Storage opened it: say 150 and begin.
    pub(super) fn opened(&mut self, opening: Opening, done: StorageDone, now: Moment, out: &mut Actions) {
        let Opening { route, ascii, deflate, what } = opening;
        let (job, direction) = match (what, done) {
            (OpeningWhat::Download(window), StorageDone::Download { size }) => {
                let end = window.end.map_or(size, |end| end.min(size)).max(window.start);
                say_download(end - window.start, (ascii, deflate.is_some()), out);
                (Job::Download { offset: window.start, size: end }, Direction::Download)
            }
            (OpeningWhat::Upload { unique, end_max }, StorageDone::Upload { path }) => {
                if unique {
                    reply::write_with(&mut out.wire, Reason::TransferStartUnique, &[self.short_name(&path)]);
                } else {
                    reply::write(&mut out.wire, Reason::TransferStartUpload);
                }
                (Job::Upload { end_max }, Direction::Upload)
            }
            (
                OpeningWhat::List { format, hidden, dots, recursive, argument, .. },
                StorageDone::Listing { single },
            ) => {
                reply::write(&mut out.wire, Reason::TransferStartListing);
                let plan = ListPlan {
                    prefix: if format == ListFormat::Names {
                        prefix_of(argument, single)
                    } else {
                        Vec::new()
                    },
                    format,
                    hidden: hidden || single,
                    dots: dots && !single,
                    recursive: recursive && !single,
                    rights: self.rights(),
                };
                (Job::List(plan), Direction::Listing)
            }
            (OpeningWhat::List { format, typed, .. }, StorageDone::Matches) => {
                reply::write(&mut out.wire, Reason::TransferStartListing);
                let prefix = typed.filter(|_| format == ListFormat::Names).unwrap_or_default();
                let rights = self.rights();
                let plan = ListPlan { format, hidden: true, dots: false, prefix, recursive: false, rights };
                (Job::List(plan), Direction::Listing)
            }
            _ => {
                out.push(Action::CancelStorage);
                self.close_route(out);
                return reply::write(&mut out.wire, Reason::StorageUnavailable);
            }
        };
        self.parameters.route = None;
        self.timers.disarm(Deadline::Idle);
        self.timers.arm(Deadline::DataOpen, now, self.settings.timeouts.data_open);
        self.phase = Phase::Transferring(Transfer::new(direction));
        out.push(Action::BeginTransfer(TransferPlan { job, ascii, deflate, route }));
        if self.queue.mark_abors_hit() {
            self.cut(CutReason::Asked, now, out);
        } else if self.peer_closed && !self.queue.has_quit() {
            self.cut(CutReason::PeerGone, now, out);
        }
    }

    /// Storage did not open it: the one final reply, and the data target is used up as after any transfer.
    pub(super) fn not_opened(&mut self, opening: &Opening, kind: StorageErrorKind, out: &mut Actions) {
        self.close_route(out);
        let reason = match (&opening.what, kind) {
            (OpeningWhat::List { format: ListFormat::Facts(_), .. }, StorageErrorKind::NotADirectory) => {
                Reason::NotADirectoryArgument
            }
            (OpeningWhat::List { format: ListFormat::Facts(_), .. }, _) => reason_of(kind, For::Looking),
            (OpeningWhat::List { argument, .. }, StorageErrorKind::NotFound) if has_wildcard(argument) => {
                Reason::NothingMatches
            }
            (OpeningWhat::Upload { .. }, _) => reason_of(kind, For::Creating),
            _ => reason_of(kind, For::Looking),
        };
        reply::write(&mut out.wire, reason);
    }

    /// Returns the name a client in the current directory uses.
    fn short_name<'a>(&self, path: &'a VirtualPath) -> &'a [u8] {
        match path.file_name() {
            Some(name) if path.parent() == self.cwd => name,
            _ => path.as_bytes(),
        }
    }

    pub(super) fn data_opened(&mut self, now: Moment) {
        if self.is_transferring() {
            self.timers.disarm(Deadline::DataOpen);
            self.timers.arm(Deadline::DataStall, now, self.settings.timeouts.data_stall);
        }
    }

    pub(super) fn ask_if_stalled(&mut self, now: Moment, out: &mut Actions) {
        if let Phase::Transferring(transfer) = &mut self.phase {
            transfer.checks_stall = true;
            self.timers.arm(Deadline::DataStall, now, self.settings.timeouts.data_stall);
            out.push(Action::AskProgress);
        }
    }

    pub(super) fn progress(&mut self, progress: Progress, now: Moment, out: &mut Actions) {
        let Phase::Transferring(transfer) = &mut self.phase else { return };
        let stats = core::mem::take(&mut transfer.stats_waiting);
        let checks_stall = core::mem::take(&mut transfer.checks_stall);
        for _ in 0..stats {
            self.status(Some(progress), out);
        }
        if checks_stall {
            let (from, length) = (progress.last_at, self.settings.timeouts.data_stall);
            if self.timers.end_of(Deadline::DataStall, from, length) <= now {
                self.cut(CutReason::Stalled, now, out);
            } else {
                self.timers.arm(Deadline::DataStall, from, length);
            }
        }
    }

    /// Ends the running transfer; the first reason is the one that is told. Without a transfer nothing happens.
    pub(super) fn cut(&mut self, reason: CutReason, now: Moment, out: &mut Actions) {
        if let Phase::Transferring(transfer) = &mut self.phase
            && transfer.cut.is_none()
        {
            transfer.cut = Some(reason);
            self.timers.disarm(Deadline::DataOpen);
            self.timers.disarm(Deadline::DataStall);
            // Ending it takes milliseconds; a storage that hangs must not hold the session for ever.
            self.timers.arm(Deadline::Answer, now, ANSWER_TIMEOUT);
            out.push(Action::AbortTransfer);
        }
    }

    /// A transfer was cut and does not end: storage hangs, and a second transfer must not start beside it.
    pub(super) fn end_overdue(&mut self, out: &mut Actions) {
        if self.is_transferring() {
            reply::write(&mut out.wire, Reason::InternalError);
            let retry_after_secs = u32::try_from(ANSWER_TIMEOUT.as_secs()).unwrap_or(1);
            self.refuse(&Refusal::uncounted(Cause::Overloaded, retry_after_secs), None, out);
        }
    }

    pub(super) fn transfer_ended(&mut self, end: TransferEnd, now: Moment, out: &mut Actions) {
        let Phase::Transferring(transfer) = &self.phase else { return };
        let (direction, cut, stats) = (transfer.direction, transfer.cut, transfer.stats_waiting);
        self.become_ready(now);
        match end {
            TransferEnd::Completed { .. } if direction == Direction::Upload => {
                reply::write(&mut out.wire, Reason::TransferStored);
            }
            TransferEnd::Completed { .. } => reply::write(&mut out.wire, Reason::TransferDone),
            TransferEnd::Bounded { .. } => reply::write(&mut out.wire, Reason::ListingBounded),
            TransferEnd::NoConnection => reply::write(&mut out.wire, Reason::DataCannotOpen),
            TransferEnd::ConnectionLost(rest) => say_cut(&LOST, rest, out),
            TransferEnd::Aborted(rest) => match cut {
                Some(CutReason::NotOpened) => reply::write(&mut out.wire, Reason::DataCannotOpen),
                Some(CutReason::Stalled) => say_cut(&STALLED, rest, out),
                Some(CutReason::Asked | CutReason::Leaving | CutReason::PeerGone) | None => {
                    say_cut(&ABORTED, rest, out);
                }
            },
            TransferEnd::StorageFailed(kind, _) => reply::write(&mut out.wire, reason_during(kind)),
        }
        // The STATs came before the end was known; each still gets its one reply.
        for _ in 0..stats {
            self.status(None, out);
        }
        match cut {
            Some(CutReason::Leaving) => self.leave(now, out),
            Some(CutReason::PeerGone) => self.close(CloseReason::PeerClosed, out),
            _ => {}
        }
    }

    /// Returns the words STAT uses; lftp reads the first number behind them.
    pub(super) fn transfer_verb(&self) -> &'static [u8] {
        match &self.phase {
            Phase::Transferring(Transfer { direction: Direction::Upload, .. }) => b"Receiving file",
            Phase::Transferring(Transfer { direction: Direction::Listing, .. }) => b"Sending listing",
            _ => b"Sending file",
        }
    }
}

/// Says 150 for a download: the count of bytes only where it is the count on the wire.
fn say_download(bytes: u64, (ascii, deflated): (bool, bool), out: &mut Actions) {
    if deflated {
        reply::write(&mut out.wire, Reason::TransferStartDeflate);
    } else if ascii {
        reply::write(&mut out.wire, Reason::TransferStartAscii);
    } else {
        reply::write_with(&mut out.wire, Reason::TransferStart, &[Digits::decimal(bytes).as_bytes()]);
    }
}

/// What is said when a transfer is cut: without and with a partial upload that is kept.
struct CutReasons {
    plain: Reason,
    kept: Reason,
}

const LOST: CutReasons = CutReasons { plain: Reason::ConnectionLost, kept: Reason::ConnectionLostKept };
const STALLED: CutReasons = CutReasons { plain: Reason::DataStalled, kept: Reason::DataStalledKept };
const ABORTED: CutReasons = CutReasons { plain: Reason::TransferAborted, kept: Reason::TransferAbortedKept };

fn say_cut(reasons: &CutReasons, rest: Option<Cut>, out: &mut Actions) {
    match rest {
        Some(Cut::Kept { size }) => {
            reply::write_with(&mut out.wire, reasons.kept, &[Digits::decimal(size).as_bytes()]);
        }
        Some(Cut::Discarded | Cut::InPlace) | None => reply::write(&mut out.wire, reasons.plain),
    }
}

/// Returns what to say when storage fails after 150 (PROTOCOL §1).
const fn reason_during(kind: StorageErrorKind) -> Reason {
    match kind {
        StorageErrorKind::DiskFull => Reason::DiskFull,
        StorageErrorKind::QuotaExceeded => Reason::QuotaExceeded,
        StorageErrorKind::TooLarge => Reason::FileTooLarge,
        StorageErrorKind::Superseded => Reason::TakenOver,
        StorageErrorKind::AlreadyExists => Reason::NotReplaced,
        _ => Reason::InternalError,
    }
}

/// Returns what NLST writes before each name, so that the line works as an argument (RFC 1123 §4.1.2.7): the directory
/// as it was named, or for a single file what stood before its name.
pub(super) fn prefix_of(mut argument: Vec<u8>, single: bool) -> Vec<u8> {
    if single {
        let named = argument.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        argument.truncate(named);
        argument.truncate(argument.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1));
    } else if !argument.is_empty() && !argument.ends_with(b"/") {
        argument.push(b'/');
    }
    argument
}
