//! SITE commands about the session itself, and what clients say of themselves.

use alloc::string::String;
use core::time::Duration;

use tidegate_types::{Moment, Timestamp};

use super::files::For;
use super::phase::Pending;
use super::timers::Deadline;
use super::{Action, Actions, Note, RequestId, ServerSession, StorageRequest};
use crate::command::{HashAlgorithm, ModeCode, SITE};
use crate::number::{Digits, push_octal4};
use crate::reply::{self, Reason};
use crate::time::format_time;

impl ServerSession {
    /// SITE HELP: the sub-commands, or the syntax of one.
    pub(super) fn site_help(&self, topic: Option<&[u8]>, out: &mut Actions) {
        let offered = || SITE.iter().filter(|row| row.offer.is_on(self.settings.extras));
        let wire = &mut out.wire;
        if let Some(topic) = topic {
            return match offered().find(|row| row.word.as_bytes().eq_ignore_ascii_case(topic)) {
                Some(row) => reply::write_with(wire, Reason::HelpSiteCommand, &[row.syntax.as_bytes()]),
                None => reply::write(wire, Reason::HelpNone),
            };
        }
        reply::write_first(wire, Reason::HelpSiteStart, &[]);
        for row in offered() {
            reply::write_middle(wire, &[row.syntax.as_bytes()]);
        }
        reply::write(wire, Reason::HelpSiteEnd);
    }

    /// SITE UMASK: takes permission bits from what the session creates, never gives any that the service withholds.
    pub(super) fn umask(&mut self, mask: Option<u32>, out: &mut Actions) {
        let withheld = self.settings.umask;
        let before = octal(self.parameters.umask | withheld);
        match mask {
            None => reply::write_with(&mut out.wire, Reason::SiteUmask, &[before.as_bytes()]),
            Some(mask) => {
                self.parameters.umask = mask;
                let after = octal(mask | withheld);
                let arguments = [after.as_bytes(), before.as_bytes()];
                reply::write_with(&mut out.wire, Reason::SiteUmaskSet, &arguments);
            }
        }
    }

    /// SITE IDLE: only downwards from the configured time.
    pub(super) fn idle(&mut self, seconds: Option<u32>, now: Moment, out: &mut Actions) {
        let most = self.settings.timeouts.idle;
        let most_digits = Digits::decimal(most.as_secs());
        if let Some(seconds) = seconds {
            let wanted = Duration::from_secs(seconds.into());
            if wanted > most {
                return reply::write_with(&mut out.wire, Reason::SiteIdleTooLong, &[most_digits.as_bytes()]);
            }
            self.parameters.idle = Some(wanted);
            self.timers.arm(Deadline::Idle, now, wanted);
        }
        let seconds = Digits::decimal(self.idle_time().as_secs());
        reply::write_with(&mut out.wire, Reason::SiteIdle, &[seconds.as_bytes(), most_digits.as_bytes()]);
    }

    /// Returns how long this session may say nothing.
    pub(super) fn idle_time(&self) -> Duration {
        self.parameters.idle.unwrap_or(self.settings.timeouts.idle)
    }

    /// SITE TIME: this room owns no clock, so the shell is asked.
    pub(super) fn site_time(&mut self, now: Moment, out: &mut Actions) {
        let request = self.begin_asking(Pending::WallTime, now);
        out.push(Action::AskWallTime { request });
    }

    pub(super) fn wall_time_told(
        &mut self,
        request: RequestId,
        time: Timestamp,
        now: Moment,
        out: &mut Actions,
    ) {
        if self.waits_for(|pending| matches!(pending, Pending::WallTime))
            && self.end_asking(request, now).is_some()
        {
            let mut digits = alloc::vec::Vec::with_capacity(14);
            format_time(time, &mut digits);
            reply::write_with(&mut out.wire, Reason::SiteTime, &[&digits]);
        }
    }

    /// SITE QUOTA: accounts have none; the room on the disk is what there is.
    pub(super) fn quota(&mut self, now: Moment, out: &mut Actions) {
        let what = StorageRequest::Available(self.cwd.clone());
        self.ask(what, Pending::Available { quota: true }, now, out);
    }

    /// AVBL: the room in a directory (draft-peterson-streamlined-ftp-command-extensions).
    pub(super) fn avbl(&mut self, argument: Option<&[u8]>, now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument.unwrap_or(b"."), For::Looking, out) {
            self.ask(StorageRequest::Available(path), Pending::Available { quota: false }, now, out);
        }
    }

    /// CLNT and CSID: written down, no more.
    pub(super) fn client(about: &[u8], asks: bool, out: &mut Actions) {
        out.push(Action::Note(Note::Client, about.to_vec()));
        let reason = if asks { Reason::ServerNamed } else { Reason::ClientNoted };
        reply::write(&mut out.wire, reason);
    }

    /// HOST (RFC 7151): before login only, and it forgets whatever was said before. One host answers to every name.
    pub(super) fn host(&mut self, name: &[u8], now: Moment, out: &mut Actions) {
        if self.profile.is_some() {
            return reply::write(&mut out.wire, Reason::HostTooLate);
        }
        self.log_out(now, out);
        out.push(Action::Note(Note::Host, name.to_vec()));
        reply::write(&mut out.wire, Reason::HostAccepted);
    }

    pub(super) fn mode(&mut self, mode: ModeCode, out: &mut Actions) {
        match mode {
            ModeCode::Stream => {
                self.parameters.deflate = None;
                reply::write(&mut out.wire, Reason::ModeSet);
            }
            ModeCode::Deflate if self.settings.mode_z => {
                self.parameters.deflate = Some(self.parameters.level);
                reply::write(&mut out.wire, Reason::ModeSetDeflate);
            }
            ModeCode::Deflate => reply::write(&mut out.wire, Reason::ParameterNotOffered),
        }
    }

    pub(super) fn opts_mode_z(&mut self, level: u8, out: &mut Actions) {
        if !self.settings.mode_z {
            return reply::write(&mut out.wire, Reason::ParameterNotOffered);
        }
        self.parameters.level = level;
        if let Some(current) = &mut self.parameters.deflate {
            *current = level;
        }
        reply::write_with(&mut out.wire, Reason::OptsModeZ, &[&[b'0' + level]]);
    }

    /// OPTS HASH: tells the algorithm, after choosing one.
    pub(super) fn opts_hash(&mut self, algorithm: Option<HashAlgorithm>, out: &mut Actions) {
        if let Some(algorithm) = algorithm {
            self.parameters.algorithm = algorithm;
        }
        let name = self.parameters.algorithm.name();
        reply::write_with(&mut out.wire, Reason::OptsHash, &[name.as_bytes()]);
    }

    /// ALLO: nothing needs to be reserved, but a file that would be refused can be refused now.
    pub(super) fn allo(&self, bytes: u64, out: &mut Actions) {
        let too_large = self.settings.file_bytes_max.is_some_and(|most| bytes > most);
        let reason = if too_large { Reason::FileTooLarge } else { Reason::AllocationNotNeeded };
        reply::write(&mut out.wire, reason);
    }
}

/// Returns a mask as people write it: a zero and three digits.
fn octal(mask: u32) -> String {
    let mut digits = alloc::vec::Vec::with_capacity(4);
    push_octal4(mask & 0o777, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}
