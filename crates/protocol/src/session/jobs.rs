//! Long jobs: digests (HASH, XCRC and their kin, MD5), copies, and the removal of whole trees.
//!
//! Each is one storage request that may take minutes; so is the search for what a pattern of LIST or NLST matches. It has no answer timeout as long as the shell tells that it goes
//! on; ABOR and the client's going away give it up.

use alloc::vec::Vec;

use tidegate_types::{Moment, Rights, VirtualPath};

use super::files::For;
use super::phase::{Digest, DigestForm, Job, Pending, Phase, Window};
use super::timers::Deadline;
use super::{ANSWER_TIMEOUT, Action, Actions, RequestId, ServerSession, StorageRequest};
use crate::command::{ByteRange, DigestArgs, HashAlgorithm, names};
use crate::number::{Digits, push_hex_bytes};
use crate::reply::{self, Reason};

/// The most files COMB joins at once.
const PARTS_MAX: usize = 64;

impl ServerSession {
    /// HASH (draft-bryan-ftpext-hash): of the whole file, or of what RANG or REST selected.
    pub(super) fn hash(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Window { start, end } = core::mem::take(&mut self.parameters.window);
        let algorithm = self.parameters.algorithm;
        let digest = Digest { algorithm, form: DigestForm::Hash, written: argument.to_vec(), shorter: None };
        self.digest(digest, (start, end), now, out);
    }

    /// XCRC, XMD5, XSHA and their kin.
    pub(super) fn digest_of(&mut self, args: DigestArgs<'_>, now: Moment, out: &mut Actions) {
        let shorter =
            args.shorter.and_then(|(path, range)| Some((VirtualPath::resolve(&self.cwd, path).ok()?, range)));
        let (algorithm, written) = (args.algorithm, args.path.to_vec());
        let digest = Digest { algorithm, form: DigestForm::Bare, written, shorter };
        self.digest(digest, args.range.unwrap_or((0, None)), now, out);
    }

    /// MD5 (draft-twine-ftpmd5).
    pub(super) fn md5(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let digest = Digest {
            algorithm: HashAlgorithm::Md5,
            form: DigestForm::Md5,
            written: argument.to_vec(),
            shorter: None,
        };
        self.digest(digest, (0, None), now, out);
    }

    fn digest(&mut self, digest: Digest, range: ByteRange, now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(&digest.written, For::Looking, out) {
            let what = StorageRequest::Hash { path, algorithm: digest.algorithm, range };
            self.ask(what, Pending::Job(Job::Digest(digest)), now, out);
        }
    }

    /// No file has the whole argument as its name: its last words are meant as a range.
    pub(super) fn digest_shorter(
        &mut self,
        digest: Digest,
        (path, range): (VirtualPath, ByteRange),
        now: Moment,
        out: &mut Actions,
    ) {
        let what = StorageRequest::Hash { path, algorithm: digest.algorithm, range };
        self.ask(what, Pending::Job(Job::Digest(digest)), now, out);
    }

    /// RMDA: a directory with everything in it.
    pub(super) fn rmda(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.job(StorageRequest::RemoveTree(path), Reason::Deleted, now, out);
        }
    }

    /// SITE RMDIR: as RMDA.
    pub(super) fn site_rmdir(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            self.job(StorageRequest::RemoveTree(path), Reason::SiteRmdirDone, now, out);
        }
    }

    /// SITE CPTO: needs SITE CPFR just before.
    pub(super) fn copy_to(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some(from) = self.parameters.copy_from.take() else {
            return reply::write(&mut out.wire, Reason::CopyNeedsSource);
        };
        if let Some(to) = self.resolve(argument, For::Creating, out) {
            self.copy(from, to, Reason::Copied, (now, out));
        }
    }

    /// SITE COPY from to.
    pub(super) fn site_copy(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some([from, to]) = two(argument) else { return reply::write(&mut out.wire, Reason::Syntax) };
        let Some(from) = self.resolve(&from, For::Looking, out) else { return };
        let Some(to) = self.resolve(&to, For::Creating, out) else { return };
        self.copy(from, to, Reason::SiteCopied, (now, out));
    }

    fn copy(&mut self, from: VirtualPath, to: VirtualPath, done: Reason, (now, out): (Moment, &mut Actions)) {
        let what = StorageRequest::Copy {
            from,
            to,
            may_overwrite: self.may(Rights::OVERWRITE),
            umask: self.parameters.umask,
            size_max: self.settings.file_bytes_max,
        };
        self.job(what, done, now, out);
    }

    /// COMB: the parts are appended to the target and then removed, so it takes the rights for all of that.
    pub(super) fn comb(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let rights = Rights::READ.union(Rights::APPEND).union(Rights::DELETE);
        if !self.may(rights) {
            return reply::write(&mut out.wire, Reason::PermissionDenied);
        }
        let Some(names) = names(argument, PARTS_MAX + 1).filter(|names| names.len() >= 2) else {
            return reply::write(&mut out.wire, Reason::Syntax);
        };
        let mut paths = Vec::with_capacity(names.len());
        for name in &names {
            let purpose = if paths.is_empty() { For::Creating } else { For::Looking };
            let Some(path) = self.resolve(name, purpose, out) else { return };
            paths.push(path);
        }
        let target = paths.remove(0);
        let (umask, size_max) = (self.parameters.umask, self.settings.file_bytes_max);
        let what = StorageRequest::Combine { target, parts: paths, umask, size_max };
        self.job(what, Reason::Combined, now, out);
    }

    fn job(&mut self, what: StorageRequest, done: Reason, now: Moment, out: &mut Actions) {
        self.ask(what, Pending::Job(Job::Change(done)), now, out);
    }

    /// The job goes on: it may take its time.
    pub(super) fn storage_busy(&mut self, request: RequestId, now: Moment) {
        if let Phase::Asking { request: awaited, pending } = &self.phase
            && *awaited == request
            && pending.is_long()
        {
            self.timers.arm(Deadline::Answer, now, ANSWER_TIMEOUT);
        }
    }

    /// Returns whether nobody waits any more for what is about to begin: ABOR was sent behind it, or the client is gone.
    pub(super) fn is_given_up(&mut self) -> bool {
        self.queue.mark_abors_hit() || (self.peer_closed && !self.queue.has_quit())
    }

    /// Returns whether a long job is under way: like a transfer, it does not go on for a client that is gone.
    pub const fn has_job(&self) -> bool {
        match &self.phase {
            Phase::Asking { pending, .. } => pending.is_long(),
            _ => false,
        }
    }

    /// Gives up the long job, if one is under way; its command gets its reply.
    pub(super) fn cancel_job(&mut self, now: Moment, out: &mut Actions) {
        let Phase::Asking { request, .. } = self.phase else { return };
        if !self.has_job() {
            return;
        }
        if let Some(Pending::Open(_)) = self.end_asking(request, now) {
            self.close_route(out); // used up, as by any transfer command
        }
        out.push(Action::CancelStorage);
        reply::write(&mut out.wire, Reason::JobCancelled);
    }
}

/// Reads two names.
pub(super) fn two(argument: &[u8]) -> Option<[Vec<u8>; 2]> {
    names(argument, 2)?.try_into().ok()
}

/// Says a digest in the form its command has.
pub(super) fn say_digest(digest: &Digest, bytes: &[u8], (from, to): (u64, u64), out: &mut Actions) {
    let mut hex = Vec::with_capacity(bytes.len() * 2);
    push_hex_bytes(bytes, &mut hex);
    match digest.form {
        DigestForm::Hash => {
            let (from, to) = (Digits::decimal(from), Digits::decimal(to));
            let name = digest.algorithm.name().as_bytes();
            let arguments = [name, from.as_bytes(), to.as_bytes(), &hex, &digest.written];
            reply::write_with(&mut out.wire, Reason::HashDone, &arguments);
        }
        DigestForm::Bare => {
            hex.make_ascii_uppercase();
            reply::write_with(&mut out.wire, Reason::DigestDone, &[&hex]);
        }
        DigestForm::Md5 => {
            hex.make_ascii_uppercase();
            reply::write_with(&mut out.wire, Reason::Md5Done, &[&digest.written, &hex]);
        }
    }
}
