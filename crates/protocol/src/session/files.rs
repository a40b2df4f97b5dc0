//! The commands that touch names and facts, and what storage answers to them.

use alloc::vec::Vec;

use tidegate_types::{
    Access, FileKind, Metadata, Moment, PathError, Rights, StorageErrorKind, Timestamp, VirtualPath,
};

use super::phase::{Pending, Phase, SetTime};
use super::timers::Deadline;
use super::{ANSWER_TIMEOUT, Action, Actions, RequestId, ServerSession, StorageDone, StorageRequest};
use crate::command::{ListArgs, TypeCode, verb_of};
use crate::listing::write_facts;
use crate::number::Digits;
use crate::reply::{self, Reason};
use crate::time::{format_time, parse_time};

/// Entries that STAT shows of a directory; more would fill the control connection. LIST has no such bound.
const PEEK_ENTRIES_MAX: usize = 1000;

/// What a path is wanted for; decides between "no such file" and "name not allowed" (PROTOCOL §1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Looking,
    Creating,
}

impl ServerSession {
    /// Returns the virtual path `argument` names, or says why it names none.
    pub(super) fn resolve(&self, argument: &[u8], purpose: For, out: &mut Actions) -> Option<VirtualPath> {
        let reason = match VirtualPath::resolve(&self.cwd, argument) {
            Ok(path) => return Some(path),
            Err(PathError::Empty | PathError::ForbiddenByte) => Reason::PathSyntax,
            Err(PathError::TooLong) if purpose == For::Creating => Reason::NameNotAllowed,
            Err(PathError::TooLong) => Reason::NotFound,
        };
        reply::write(&mut out.wire, reason);
        None
    }

    /// Asks storage and remembers what to say when it answers.
    pub(super) fn ask(&mut self, what: StorageRequest, pending: Pending, now: Moment, out: &mut Actions) {
        let request = self.begin_asking(pending, now);
        out.push(Action::Storage { request, what });
    }

    pub(super) fn begin_asking(&mut self, pending: Pending, now: Moment) -> RequestId {
        let request = self.next_request();
        self.timers.disarm(Deadline::Idle);
        self.timers.arm(Deadline::Answer, now + ANSWER_TIMEOUT);
        self.phase = Phase::Asking { request, pending };
        request
    }

    /// Ends the wait for `request` and returns what it was for; `None` when the answer is stale.
    pub(super) fn end_asking(&mut self, request: RequestId, now: Moment) -> Option<Pending> {
        if !matches!(&self.phase, Phase::Asking { request: awaited, .. } if *awaited == request) {
            return None;
        }
        let phase = core::mem::replace(&mut self.phase, Phase::Ready);
        self.become_ready(now);
        match phase {
            Phase::Asking { pending, .. } => Some(pending),
            _ => None,
        }
    }

    /// Nobody answered in time: the client hears of it, and a late answer is stale.
    pub(super) fn answer_overdue(&mut self, now: Moment, out: &mut Actions) {
        let Phase::Asking { request, .. } = self.phase else { return self.end_overdue(out) };
        match self.end_asking(request, now) {
            Some(Pending::Passive { .. }) => {
                out.push(Action::ClosePassive); // a port leased after all would be nobody's
                return reply::write(&mut out.wire, Reason::DataCannotOpen);
            }
            Some(Pending::Open(_)) => self.close_route(out), // used up, as by any transfer command
            _ => {}
        }
        out.push(Action::CancelStorage);
        reply::write(&mut out.wire, Reason::StorageUnavailable);
    }

    pub(super) fn cwd(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::Enter(path.clone()), Pending::Enter(path), now, out);
        }
    }

    pub(super) fn pwd(&self, out: &mut Actions) {
        reply::write_with(&mut out.wire, Reason::DirectoryCurrent, &[&reply::quoted(self.cwd.as_bytes())]);
    }

    pub(super) fn mkd(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Creating, out) {
            self.ask(StorageRequest::MakeDirectory(path.clone()), Pending::MakeDirectory(path), now, out);
        }
    }

    pub(super) fn rmd(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::RemoveDirectory(path), Pending::Remove, now, out);
        }
    }

    pub(super) fn dele(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::RemoveFile(path), Pending::Remove, now, out);
        }
    }

    pub(super) fn rnfr(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::Metadata(path.clone()), Pending::RenameSource(path), now, out);
        }
    }

    pub(super) fn rnto(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some(from) = self.parameters.rename_from.take() else {
            return reply::write(&mut out.wire, Reason::RenameNeedsSource);
        };
        if let Some(to) = self.resolve(argument, For::Creating, out) {
            let may_overwrite = self.may(Rights::OVERWRITE);
            self.ask(StorageRequest::Rename { from, to, may_overwrite }, Pending::RenameTarget, now, out);
        }
    }

    /// SIZE is exact under the present TYPE (RFC 3659 §4), so in TYPE A it is refused: counting line ends would mean
    /// reading the whole file.
    pub(super) fn size(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if self.parameters.type_code == TypeCode::Ascii {
            return reply::write(&mut out.wire, Reason::SizeNeedsBinary);
        }
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::Metadata(path), Pending::Size, now, out);
        }
    }

    /// MDTM of a file; `MDTM time path` sets the time when no file has that whole name (PROTOCOL §3.6).
    pub(super) fn mdtm(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some(path) = self.resolve(argument, For::Looking, out) else { return };
        let (written, rest) = verb_of(argument);
        let target = rest.and_then(|rest| VirtualPath::resolve(&self.cwd, rest).ok());
        let setter = parse_time(written)
            .zip(target)
            .filter(|_| self.may(Rights::UTIME))
            .map(|(time, path)| SetTime { path, time, written: written.to_vec() });
        self.ask(StorageRequest::Metadata(path), Pending::Time { setter }, now, out);
    }

    pub(super) fn mfmt(
        &mut self,
        time: Timestamp,
        written: &[u8],
        argument: &[u8],
        (now, out): (Moment, &mut Actions),
    ) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.set_time(SetTime { path, time, written: written.to_vec() }, now, out);
        }
    }

    fn set_time(&mut self, set: SetTime, now: Moment, out: &mut Actions) {
        let what = StorageRequest::SetModified { path: set.path.clone(), time: set.time };
        self.ask(what, Pending::SetTime(set), now, out);
    }

    pub(super) fn chmod(&mut self, mode: u32, argument: &[u8], now: Moment, out: &mut Actions) {
        if !self.may(Rights::CHMOD) {
            return reply::write(&mut out.wire, Reason::PermissionDenied);
        }
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::SetMode { path, mode }, Pending::Chmod, now, out);
        }
    }

    /// MLST of a path, or of the current directory (RFC 3659 §7.3.1).
    pub(super) fn mlst(&mut self, argument: Option<&[u8]>, now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument.unwrap_or(b"."), For::Looking, out) {
            self.ask(StorageRequest::Facts(path.clone()), Pending::Facts(path), now, out);
        }
    }

    /// STAT of a path: a listing over the control connection, so it needs the right to list.
    pub(super) fn stat_path(&mut self, args: ListArgs<'_>, now: Moment, out: &mut Actions) {
        if !self.may(Rights::LIST) {
            return reply::write(&mut out.wire, Reason::PermissionDenied);
        }
        let Some(path) = self.resolve(args.path.unwrap_or(b"."), For::Looking, out) else { return };
        let what = StorageRequest::Peek { path: path.clone(), entries_max: PEEK_ENTRIES_MAX };
        self.ask(what, Pending::Peek { path, hidden: args.hidden, dots: args.dots }, now, out);
    }

    pub(super) fn may(&self, right: Rights) -> bool {
        self.profile.as_ref().is_some_and(|profile| profile.rights.contains(right))
    }

    pub(super) fn storage_answered(
        &mut self,
        request: RequestId,
        answer: Result<StorageDone, StorageErrorKind>,
        now: Moment,
        out: &mut Actions,
    ) {
        let Some(pending) = self.end_asking(request, now) else { return };
        match answer {
            Ok(done) => self.storage_did(pending, done, now, out),
            Err(kind) => self.storage_refused(pending, kind, now, out),
        }
    }

    fn storage_did(&mut self, pending: Pending, done: StorageDone, now: Moment, out: &mut Actions) {
        let wire = &mut out.wire;
        match (pending, done) {
            (Pending::Enter(path), _) => {
                reply::write_with(wire, Reason::DirectoryChanged, &[path.as_bytes()]);
                self.cwd = path;
            }
            (Pending::MakeDirectory(path), _) => {
                reply::write_with(wire, Reason::DirectoryCreated, &[&reply::quoted(path.as_bytes())]);
            }
            (Pending::Remove, _) => reply::write(wire, Reason::Deleted),
            (Pending::RenameSource(path), _) => {
                self.parameters.rename_from = Some(path);
                reply::write(wire, Reason::RenameReady);
            }
            (Pending::RenameTarget, _) => reply::write(wire, Reason::Renamed),
            (Pending::SetTime(SetTime { path, written, .. }), _) => {
                reply::write_with(wire, Reason::ModificationTimeSet, &[&written, path.as_bytes()]);
            }
            (Pending::Chmod, _) => reply::write(wire, Reason::SiteChmodDone),
            (Pending::Size, StorageDone::Metadata(facts)) => say_size(&facts, out),
            (Pending::Time { .. }, StorageDone::Metadata(facts)) => say_time(&facts, out),
            (Pending::Facts(path), StorageDone::Facts { about, parent }) => {
                self.say_facts(&path, (&about, parent), out);
            }
            (
                Pending::Peek { path, hidden, dots },
                StorageDone::Entries { about, entries, truncated, now },
            ) => {
                self.say_entries(&path, (hidden, dots), (&about, &entries, truncated, now), out);
            }
            (Pending::Open(opening), done) => self.opened(opening, done, now, out),
            // An answer of another kind than asked for: the backend is broken, the client still gets one reply.
            (
                Pending::Size
                | Pending::Time { .. }
                | Pending::Facts(_)
                | Pending::Peek { .. }
                | Pending::Passive { .. },
                _,
            ) => reply::write(wire, Reason::StorageUnavailable),
        }
    }

    fn storage_refused(&mut self, pending: Pending, kind: StorageErrorKind, now: Moment, out: &mut Actions) {
        let purpose = match pending {
            Pending::Time { setter: Some(set) } if kind == StorageErrorKind::NotFound => {
                return self.set_time(set, now, out);
            }
            Pending::Open(opening) => return self.not_opened(&opening, kind, out),
            Pending::MakeDirectory(_) if kind == StorageErrorKind::AlreadyExists => For::Looking,
            Pending::MakeDirectory(_) | Pending::RenameTarget => For::Creating,
            _ => For::Looking,
        };
        reply::write(&mut out.wire, reason_of(kind, purpose));
    }

    /// MLST (RFC 3659 §7): one blank, the facts, one blank, the whole path.
    fn say_facts(&self, path: &VirtualPath, (about, parent): (&Metadata, Access), out: &mut Actions) {
        let rights = self.profile.as_ref().map_or(Rights::NONE, |profile| profile.rights);
        let wire = &mut out.wire;
        reply::write_first(wire, Reason::MlstStart, &[]);
        wire.push(b' ');
        write_facts(self.parameters.facts, about, Some(parent), rights, wire);
        wire.push(b' ');
        wire.extend_from_slice(path.as_bytes());
        wire.extend_from_slice(b"\r\n");
        reply::write(wire, Reason::MlstEnd);
    }
}

fn say_size(facts: &Metadata, out: &mut Actions) {
    match facts.kind {
        FileKind::File => {
            reply::write_with(&mut out.wire, Reason::FileSize, &[Digits::decimal(facts.size).as_bytes()]);
        }
        _ => reply::write(&mut out.wire, Reason::NotAFile),
    }
}

fn say_time(facts: &Metadata, out: &mut Actions) {
    if facts.kind != FileKind::File {
        return reply::write(&mut out.wire, Reason::NotAFile);
    }
    let mut time = Vec::with_capacity(14);
    format_time(facts.modified, &mut time);
    reply::write_with(&mut out.wire, Reason::ModificationTime, &[&time]);
}

/// Returns what to say when storage cannot do it, before any 150 (PROTOCOL §1).
pub(super) fn reason_of(kind: StorageErrorKind, purpose: For) -> Reason {
    let creating = purpose == For::Creating;
    match kind {
        StorageErrorKind::NotADirectory => Reason::NotADirectory,
        StorageErrorKind::IsADirectory => Reason::IsADirectory,
        StorageErrorKind::NotAFile => Reason::NotAFile,
        StorageErrorKind::PermissionDenied => Reason::PermissionDenied,
        StorageErrorKind::AlreadyExists if creating => Reason::NotReplaced,
        StorageErrorKind::AlreadyExists => Reason::AlreadyExists,
        StorageErrorKind::NotEmpty => Reason::DirectoryNotEmpty,
        StorageErrorKind::BadName if creating => Reason::NameNotAllowed,
        StorageErrorKind::NotFound | StorageErrorKind::BadName => Reason::NotFound,
        StorageErrorKind::BadOffset => Reason::OffsetPastEnd,
        StorageErrorKind::DiskFull => Reason::DiskFull,
        StorageErrorKind::QuotaExceeded => Reason::QuotaExceeded,
        StorageErrorKind::Busy => Reason::FileBusy,
        StorageErrorKind::Superseded => Reason::TakenOver,
        StorageErrorKind::Unsupported => Reason::Unsupported,
        StorageErrorKind::Exhausted | StorageErrorKind::Failed => Reason::StorageUnavailable,
    }
}
