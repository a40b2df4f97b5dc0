//! The commands that touch names and facts, and what storage answers to them.

use alloc::vec::Vec;

use tidegate_types::{Access, FileKind, Metadata, Moment, PathError, Rights, StorageErrorKind, VirtualPath};

use super::jobs::say_digest;
use super::phase::{Digest, DigestForm, Job, Pending, Phase, SetTime};
use super::timers::Deadline;
use super::{ANSWER_TIMEOUT, Action, Actions, RequestId, ServerSession, StorageDone, StorageRequest};
use crate::command::{ListArgs, TypeCode};
use crate::listing::write_facts;
use crate::number::Digits;
use crate::reply::{self, Reason};
use crate::time::format_time;

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
        if pending.is_long() && self.is_given_up() {
            if matches!(pending, Pending::Open(_)) {
                self.close_route(out); // used up, as by any transfer command
            }
            return reply::write(&mut out.wire, Reason::JobCancelled);
        }
        let request = self.begin_asking(pending, now);
        out.push(Action::Storage { request, what });
    }

    pub(super) fn begin_asking(&mut self, pending: Pending, now: Moment) -> RequestId {
        let request = self.next_request();
        self.timers.disarm(Deadline::Idle);
        self.timers.arm(Deadline::Answer, now, ANSWER_TIMEOUT);
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
            Some(Pending::Open(_) | Pending::Place { .. }) => self.close_route(out), // used up, as by any transfer command
            _ => {}
        }
        out.push(Action::CancelStorage);
        reply::write(&mut out.wire, Reason::StorageUnavailable);
    }

    /// CWD tells whether a directory exists: that takes any right at all (PROTOCOL A26).
    pub(super) fn cwd(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if self.rights() == Rights::NONE {
            return reply::write(&mut out.wire, Reason::PermissionDenied);
        }
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::Enter(path.clone()), Pending::Enter(path), now, out);
        }
    }

    pub(super) fn pwd(&self, out: &mut Actions) {
        reply::write_with(&mut out.wire, Reason::DirectoryCurrent, &[&reply::quoted(self.cwd.as_bytes())]);
    }

    pub(super) fn mkd(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Creating, out) {
            let umask = self.parameters.umask;
            let what = StorageRequest::MakeDirectory { path: path.clone(), umask };
            self.ask(what, Pending::MakeDirectory(path), now, out);
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

    /// SITE CPFR: the file is looked for now, copied by SITE CPTO.
    pub(super) fn copy_from(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.ask(StorageRequest::Metadata(path.clone()), Pending::CopySource(path), now, out);
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
        self.rights().contains(right)
    }

    pub(super) fn rights(&self) -> Rights {
        self.profile.as_ref().map_or(Rights::NONE, |profile| profile.rights)
    }

    /// Returns whether an answer is awaited, and it is for what `which` tells.
    pub(super) fn waits_for(&self, which: impl Fn(&Pending) -> bool) -> bool {
        matches!(&self.phase, Phase::Asking { pending, .. } if which(pending))
    }

    pub(super) fn storage_answered(
        &mut self,
        request: RequestId,
        answer: Result<StorageDone, StorageErrorKind>,
        now: Moment,
        out: &mut Actions,
    ) {
        // The gate was asked, not storage: an answer to something else must not end that.
        if matches!(self.phase, Phase::Asking { pending: Pending::Place { .. }, .. }) {
            return;
        }
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
            (Pending::RenameTarget, _) => reply::write(wire, Reason::Renamed),
            (Pending::SetTime(SetTime { path, written, .. }), _) => {
                reply::write_with(wire, Reason::ModificationTimeSet, &[&written, path.as_bytes()]);
            }
            (Pending::Change(done) | Pending::Job(Job::Change(done)), _) => reply::write(wire, done),
            (Pending::MakeWay { path, levels }, _) => self.make_level(path, levels + 1, (now, out)),
            (Pending::ChangeFacts { path, written, time }, _) => {
                self.facts_changed(path, written, time, (now, out));
            }
            (Pending::Open(opening), done) => self.opened(opening, done, now, out),
            (pending, done) => self.storage_told(pending, done, out),
        }
    }

    /// Storage told what was asked for: it is written out.
    fn storage_told(&mut self, pending: Pending, done: StorageDone, out: &mut Actions) {
        match (pending, done) {
            (Pending::RenameSource(path), StorageDone::Metadata(_)) => {
                self.parameters.rename_from = Some(path);
                reply::write(&mut out.wire, Reason::RenameReady);
            }
            (Pending::CopySource(path), StorageDone::Metadata(facts)) => {
                let is_file = facts.kind == FileKind::File;
                self.parameters.copy_from = Some(path).filter(|_| is_file);
                reply::write(&mut out.wire, if is_file { Reason::CopyReady } else { Reason::NotAFile });
            }
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
            (Pending::Job(Job::Digest(digest)), StorageDone::Hashed { digest: bytes, from, to }) => {
                say_digest(&digest, &bytes, (from, to), out);
            }
            (Pending::Available { quota }, StorageDone::Available(bytes)) => {
                let reason = if quota { Reason::SiteQuotaNone } else { Reason::Available };
                reply::write_with(&mut out.wire, reason, &[Digits::decimal(bytes).as_bytes()]);
            }
            // An answer of another kind than asked for: the backend is broken, the client still gets one reply.
            _ => reply::write(&mut out.wire, Reason::StorageUnavailable),
        }
    }

    fn storage_refused(&mut self, pending: Pending, kind: StorageErrorKind, now: Moment, out: &mut Actions) {
        let purpose = match pending {
            Pending::Time { setter: Some(set), .. } if kind == StorageErrorKind::NotFound => {
                return self.set_time(set, now, out);
            }
            Pending::Time { malformed: true, .. } if kind == StorageErrorKind::NotFound => {
                return reply::write(&mut out.wire, Reason::Syntax);
            }
            Pending::Job(Job::Digest(mut digest)) if kind == StorageErrorKind::NotFound => {
                match digest.shorter.take() {
                    Some(shorter) => return self.digest_shorter(digest, shorter, now, out),
                    None => For::Looking,
                }
            }
            Pending::Job(Job::Digest(Digest { form, .. })) if kind == StorageErrorKind::BadOffset => {
                let is_hash = form == DigestForm::Hash;
                let reason = if is_hash { Reason::HashPastEnd } else { Reason::DigestPastEnd };
                return reply::write(&mut out.wire, reason);
            }
            Pending::Open(opening) => return self.not_opened(&opening, kind, out),
            Pending::MakeWay { path, levels } if kind == StorageErrorKind::AlreadyExists => {
                return self.make_level(path, levels + 1, (now, out));
            }
            Pending::MakeDirectory(_) if kind == StorageErrorKind::AlreadyExists => For::Looking,
            Pending::MakeDirectory(_)
            | Pending::MakeWay { .. }
            | Pending::RenameTarget
            | Pending::Change(Reason::SiteSymlinkDone)
            | Pending::Job(Job::Change(Reason::Copied | Reason::SiteCopied | Reason::Combined)) => {
                For::Creating
            }
            _ => For::Looking,
        };
        reply::write(&mut out.wire, reason_of(kind, purpose));
    }

    /// MLST (RFC 3659 §7): one blank, the facts, one blank, the whole path.
    fn say_facts(&self, path: &VirtualPath, (about, parent): (&Metadata, Access), out: &mut Actions) {
        let rights = self.rights();
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
        StorageErrorKind::TooLarge => Reason::FileTooLarge,
        StorageErrorKind::Busy => Reason::FileBusy,
        StorageErrorKind::Superseded => Reason::TakenOver,
        StorageErrorKind::Unsupported => Reason::Unsupported,
        StorageErrorKind::Exhausted | StorageErrorKind::Failed => Reason::StorageUnavailable,
    }
}
