//! One path for every transfer: a data target, storage opens, 150, the data moves, one final reply.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use tidegate_types::{
    Cause, Cut, Moment, Refusal, Rights, StorageErrorKind, UploadStart, UploadStyle, VirtualPath,
    normalize_address,
};

use super::files::{For, reason_of};
use super::phase::{CutReason, Direction, Opening, OpeningWhat, Pending, Phase, Transfer};
use super::timers::Deadline;
use super::{
    ANSWER_TIMEOUT, Action, Actions, CloseReason, DataRoute, Job, LEASE_TIMEOUT, PassiveEnd, PassiveError,
    Progress, RequestId, ServerSession, StorageDone, StorageRequest, TransferEnd, TransferPlan,
};
use crate::address::{EpsvArg, format_epsv, format_pasv};
use crate::command::{ListArgs, TypeCode};
use crate::listing::{ListFormat, ListPlan};
use crate::number::Digits;
use crate::reply::{self, Reason};

/// The lowest port that active mode connects to (RFC 2577 §3).
const ACTIVE_PORT_MIN: u16 = 1024;

// Where the data goes.
impl ServerSession {
    pub(super) fn pasv(&mut self, now: Moment, out: &mut Actions) {
        if self.parameters.only_epsv {
            return reply::write(&mut out.wire, Reason::EpsvAllForbids);
        }
        if self.peer.is_ipv6() {
            return reply::write(&mut out.wire, Reason::PassiveNeedsEpsv);
        }
        self.open_passive(false, now, out);
    }

    pub(super) fn epsv(&mut self, argument: EpsvArg, now: Moment, out: &mut Actions) {
        match argument {
            EpsvArg::All => {
                self.parameters.only_epsv = true;
                self.close_route(out);
                reply::write(&mut out.wire, Reason::EpsvAll);
            }
            EpsvArg::Family(family) if family != self.family() => self.wrong_family(out),
            EpsvArg::Any | EpsvArg::Family(_) => self.open_passive(true, now, out),
        }
    }

    fn open_passive(&mut self, extended: bool, now: Moment, out: &mut Actions) {
        self.close_route(out);
        let request = self.begin_asking(Pending::Passive { extended }, now);
        out.push(Action::OpenPassive { request, tells_address: !extended });
    }

    pub(super) fn passive_opened(
        &mut self,
        request: RequestId,
        answer: Result<PassiveEnd, PassiveError>,
        now: Moment,
        out: &mut Actions,
    ) {
        // An answer to something else must not end that: its client would wait for ever.
        if !matches!(self.phase, Phase::Asking { pending: Pending::Passive { .. }, .. }) {
            return;
        }
        let Some(Pending::Passive { extended }) = self.end_asking(request, now) else { return };
        match (answer, extended) {
            (Ok(PassiveEnd { port, .. }), true) => {
                let port = format_epsv(port);
                reply::write_with(&mut out.wire, Reason::PassiveExtended, &[port.as_bytes()]);
            }
            (Ok(PassiveEnd { address: IpAddr::V4(address), port }), false) => {
                let address = format_pasv(address, port);
                reply::write_with(&mut out.wire, Reason::PassiveOpened, &[address.as_bytes()]);
            }
            (Ok(_), false) => {
                out.push(Action::ClosePassive);
                return reply::write(&mut out.wire, Reason::PassiveNeedsEpsv);
            }
            (Err(PassiveError::NoFreePort), _) => return reply::write(&mut out.wire, Reason::DataPortsFull),
            (Err(PassiveError::Failed), _) => return reply::write(&mut out.wire, Reason::DataCannotOpen),
        }
        self.parameters.route = Some(DataRoute::Passive);
        self.timers.arm(Deadline::Lease, now + LEASE_TIMEOUT);
    }

    /// PORT and EPRT: only to the client's own address and an unprivileged port (PROTOCOL A1). The old target was
    /// forgotten before the argument was read.
    pub(super) fn active(&mut self, to: SocketAddr, out: &mut Actions) {
        if self.parameters.only_epsv {
            return reply::write(&mut out.wire, Reason::EpsvAllForbids);
        }
        let address = normalize_address(to.ip());
        if address.is_ipv4() != self.peer.is_ipv4() {
            return self.wrong_family(out);
        }
        if address != self.peer || to.port() < ACTIVE_PORT_MIN {
            return reply::write(&mut out.wire, Reason::PortForbidden);
        }
        self.parameters.route = Some(DataRoute::Active(SocketAddr::new(address, to.port())));
        reply::write(&mut out.wire, Reason::PortAccepted);
    }

    pub(super) fn wrong_family(&self, out: &mut Actions) {
        let offered: &[u8] = if self.family() == 1 { b"1" } else { b"2" };
        reply::write_with(&mut out.wire, Reason::ProtocolNotSupported, &[offered]);
    }

    /// Returns the peer's address family as EPRT and EPSV number it (RFC 2428 §2).
    const fn family(&self) -> u8 {
        if self.peer.is_ipv4() { 1 } else { 2 }
    }

    /// Forgets where the data goes, and frees the port.
    pub(super) fn close_route(&mut self, out: &mut Actions) {
        self.timers.disarm(Deadline::Lease);
        if self.parameters.route.take() == Some(DataRoute::Passive) {
            out.push(Action::ClosePassive);
        }
    }
}

// The commands.
impl ServerSession {
    /// REST (RFC 3659 §5.3): holds until the next transfer command, whatever comes of that.
    pub(super) fn rest(&mut self, offset: u64, out: &mut Actions) {
        if offset > 0 && self.parameters.type_code == TypeCode::Ascii {
            return reply::write(&mut out.wire, Reason::RestartNeedsBinary);
        }
        self.parameters.restart = offset;
        reply::write_with(&mut out.wire, Reason::RestartAt, &[Digits::decimal(offset).as_bytes()]);
    }

    pub(super) fn retr(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let offset = core::mem::take(&mut self.parameters.restart);
        let Some(path) = self.resolve(argument, For::Looking, out) else { return };
        if self.is_ascii() && offset > 0 {
            return reply::write(&mut out.wire, Reason::RestartNeedsBinary);
        }
        let what = StorageRequest::OpenDownload { path, offset };
        self.open(what, OpeningWhat::Download { offset }, now, out);
    }

    pub(super) fn stor(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let start = match core::mem::take(&mut self.parameters.restart) {
            0 => UploadStart::Replace,
            _ if self.is_ascii() => return reply::write(&mut out.wire, Reason::RestartNeedsBinary),
            offset => UploadStart::At(offset),
        };
        self.upload(argument, start, now, out);
    }

    pub(super) fn stou(&mut self, argument: Option<&[u8]>, now: Moment, out: &mut Actions) {
        if core::mem::take(&mut self.parameters.restart) > 0 {
            return reply::write(&mut out.wire, Reason::RestartNotHere);
        }
        self.upload(argument.unwrap_or(b"upload"), UploadStart::Unique, now, out);
    }

    pub(super) fn appe(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if core::mem::take(&mut self.parameters.restart) > 0 {
            return reply::write(&mut out.wire, Reason::RestartNotHere);
        }
        self.upload(argument, UploadStart::Append, now, out);
    }

    fn upload(&mut self, argument: &[u8], start: UploadStart, now: Moment, out: &mut Actions) {
        let Some(path) = self.resolve(argument, For::Creating, out) else { return };
        let style = self.profile.as_ref().map_or(UploadStyle::Atomic, |profile| profile.upload);
        let what = StorageRequest::OpenUpload {
            path,
            start,
            style,
            may_overwrite: self.may(Rights::OVERWRITE),
            may_append: self.may(Rights::APPEND),
        };
        self.open(what, OpeningWhat::Upload { unique: start == UploadStart::Unique }, now, out);
    }

    pub(super) fn list(&mut self, args: ListArgs<'_>, now: Moment, out: &mut Actions) {
        self.open_listing(OpeningWhat::list(ListFormat::Long, args), args.path, true, (now, out));
    }

    pub(super) fn nlst(&mut self, args: ListArgs<'_>, now: Moment, out: &mut Actions) {
        self.open_listing(OpeningWhat::list(ListFormat::Names, args), args.path, true, (now, out));
    }

    /// MLSD takes directories only and knows no options (RFC 3659 §7.2).
    pub(super) fn mlsd(&mut self, path: Option<&[u8]>, now: Moment, out: &mut Actions) {
        let format = ListFormat::Facts(self.parameters.facts);
        let args = ListArgs { hidden: true, dots: false, path };
        self.open_listing(OpeningWhat::list(format, args), path, false, (now, out));
    }

    fn open_listing(
        &mut self,
        what: OpeningWhat,
        path: Option<&[u8]>,
        or_file: bool,
        (now, out): (Moment, &mut Actions),
    ) {
        self.parameters.restart = 0;
        if let Some(path) = self.resolve(path.unwrap_or(b"."), For::Looking, out) {
            self.open(StorageRequest::OpenListing { path, or_file }, what, now, out);
        }
    }

    fn is_ascii(&self) -> bool {
        self.parameters.type_code == TypeCode::Ascii
    }

    /// Takes the data target, captures what the transfer is, and asks storage to open it. 150 comes only then.
    fn open(&mut self, request: StorageRequest, what: OpeningWhat, now: Moment, out: &mut Actions) {
        let Some(route) = self.parameters.route else {
            return reply::write(&mut out.wire, Reason::NeedDataAddress);
        };
        self.timers.disarm(Deadline::Lease);
        let ascii = self.is_ascii() && !matches!(what, OpeningWhat::List { .. });
        self.ask(request, Pending::Open(Opening { route, ascii, what }), now, out);
    }
}

// The transfer itself.
impl ServerSession {
    /// Storage opened it: say 150 and begin.
    pub(super) fn opened(&mut self, opening: Opening, done: StorageDone, now: Moment, out: &mut Actions) {
        let Opening { route, ascii, what } = opening;
        let (job, direction) = match (what, done) {
            (OpeningWhat::Download { offset }, StorageDone::Download { size }) => {
                let bytes = Digits::decimal(size.saturating_sub(offset));
                if ascii {
                    reply::write(&mut out.wire, Reason::TransferStartAscii);
                } else {
                    reply::write_with(&mut out.wire, Reason::TransferStart, &[bytes.as_bytes()]);
                }
                (Job::Download { offset, size }, Direction::Download)
            }
            (OpeningWhat::Upload { unique }, StorageDone::Upload { path }) => {
                if unique {
                    reply::write_with(&mut out.wire, Reason::TransferStartUnique, &[self.short_name(&path)]);
                } else {
                    reply::write(&mut out.wire, Reason::TransferStartUpload);
                }
                (Job::Upload, Direction::Upload)
            }
            (OpeningWhat::List { format, hidden, dots, argument }, StorageDone::Listing { single }) => {
                reply::write(&mut out.wire, Reason::TransferStartListing);
                let rights = self.profile.as_ref().map_or(Rights::NONE, |profile| profile.rights);
                let prefix =
                    if format == ListFormat::Names { prefix_of(argument, single) } else { Vec::new() };
                let plan =
                    ListPlan { format, hidden: hidden || single, dots: dots && !single, prefix, rights };
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
        self.timers.arm(Deadline::DataOpen, now + self.settings.timeouts.data_open);
        self.phase = Phase::Transferring(Transfer::new(direction));
        out.push(Action::BeginTransfer(TransferPlan { job, ascii, route }));
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
            self.timers.arm(Deadline::DataStall, now + self.settings.timeouts.data_stall);
        }
    }

    pub(super) fn ask_if_stalled(&mut self, now: Moment, out: &mut Actions) {
        if let Phase::Transferring(transfer) = &mut self.phase {
            transfer.checks_stall = true;
            self.timers.arm(Deadline::DataStall, now + self.settings.timeouts.data_stall);
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
            let due = progress.last_at + self.settings.timeouts.data_stall;
            if due <= now {
                self.cut(CutReason::Stalled, now, out);
            } else {
                self.timers.arm(Deadline::DataStall, due);
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
            self.timers.arm(Deadline::Answer, now + ANSWER_TIMEOUT);
            out.push(Action::AbortTransfer);
        }
    }

    /// A transfer was cut and does not end: storage hangs, and a second transfer must not start beside it.
    pub(super) fn end_overdue(&mut self, out: &mut Actions) {
        if self.is_transferring() {
            reply::write(&mut out.wire, Reason::InternalError);
            let retry_after_secs = u32::try_from(ANSWER_TIMEOUT.as_secs()).unwrap_or(1);
            self.refuse(Refusal { cause: Cause::Overloaded, in_use: 0, limit: 0, retry_after_secs }, out);
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
            TransferEnd::NoConnection => reply::write(&mut out.wire, Reason::DataCannotOpen),
            TransferEnd::ConnectionLost(rest) => say_cut(&LOST, rest, out),
            TransferEnd::Aborted(rest) => match cut {
                Some(CutReason::NotOpened) => reply::write(&mut out.wire, Reason::DataCannotOpen),
                Some(CutReason::Stalled) => say_cut(&STALLED, rest, out),
                Some(CutReason::Asked | CutReason::Drained | CutReason::PeerGone) | None => {
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
            Some(CutReason::Drained) => {
                let retry_after_secs = self.draining.unwrap_or(1);
                self.refuse(Refusal { cause: Cause::Draining, in_use: 0, limit: 0, retry_after_secs }, out);
            }
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
        StorageErrorKind::Superseded => Reason::TakenOver,
        StorageErrorKind::AlreadyExists => Reason::NotReplaced,
        _ => Reason::InternalError,
    }
}

/// Returns what NLST writes before each name, so that the line works as an argument (RFC 1123 §4.1.2.7): the directory
/// as it was named, or for a single file what stood before its name.
fn prefix_of(mut argument: Vec<u8>, single: bool) -> Vec<u8> {
    if single {
        argument.truncate(argument.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1));
    } else if !argument.is_empty() && !argument.ends_with(b"/") {
        argument.push(b'/');
    }
    argument
}
