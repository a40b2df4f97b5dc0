use tidegate_types::Moment;

use super::phase::{CutReason, Phase, Window};
use super::queue::Queued;
use super::timers::Deadline;
use super::{Action, Actions, CloseReason, ServerSession, is_verb};
use crate::command::{self, Command, CommandError, Needs, Offer, TypeCode};
use crate::reply::{self, Reason};

/// Unknown verbs before login after which the peer is taken for something else than an FTP client (PROTOCOL A8).
const VERBS_UNKNOWN_MAX: u8 = 3;

impl ServerSession {
    /// Runs a line at once when nothing is under way; else it waits, save for ABOR, and STAT during a transfer.
    ///
    /// ABOR cuts everything that was sent before it: the running transfer, and those that still wait when they begin.
    /// Its own reply keeps its place behind theirs.
    pub(super) fn take_line(&mut self, line: &[u8], now: Moment, out: &mut Actions) {
        if !self.is_busy() && self.queue.is_empty() {
            return self.run_line(line, now, out);
        }
        if is_verb(line, b"ABOR") {
            self.queue.push_abor(self.is_transferring() || self.has_job());
            self.cut(CutReason::Asked, now, out);
            self.cancel_job(now, out);
        } else if let Phase::Transferring(transfer) = &mut self.phase
            && line.trim_ascii_end().eq_ignore_ascii_case(b"STAT")
        {
            transfer.stats_waiting = transfer.stats_waiting.saturating_add(1);
            out.push(Action::AskProgress);
        } else if is_verb(line, b"NOOP") {
            self.queue.push_noop();
        } else {
            self.queue.push_line(line);
        }
    }

    pub(super) fn run_queued(&mut self, item: Queued, now: Moment, out: &mut Actions) {
        match item {
            Queued::Line(line) => self.run_line(&line, now, out),
            Queued::Noops(count) => {
                for _ in 0..count {
                    self.run_line(b"NOOP", now, out);
                }
            }
            Queued::TooLong(count) => {
                for _ in 0..count {
                    reply::write(&mut out.wire, Reason::LineTooLong);
                }
            }
            Queued::Abors { count, hit } => {
                for index in 0..count {
                    let reason = if hit && index == 0 { Reason::AbortDone } else { Reason::AbortIdle };
                    reply::write(&mut out.wire, reason);
                }
                self.close_route(out);
            }
        }
    }

    /// Runs one command line. Exactly one final reply follows, now or when an answer comes.
    fn run_line(&mut self, line: &[u8], now: Moment, out: &mut Actions) {
        if matches!(self.phase, Phase::Ready) {
            self.timers.arm(Deadline::Idle, now, self.idle_time());
        }
        let (verb, argument) = command::verb_of(line);
        let Some(row) = command::lookup(verb) else { return self.unknown(verb, out) };
        if row.verb != "RNTO" {
            self.parameters.rename_from = None; // RFC 959 §4.1.3: RNTO follows at once
        }
        if row.verb != "SITE" {
            self.parameters.copy_from = None; // likewise SITE CPTO
        }
        if matches!(row.verb, "REST" | "RANG") {
            self.parameters.window = Window::default(); // a refused one leaves none, rather than the one before
        }
        if matches!(row.verb, "PORT" | "EPRT") {
            self.close_route(out); // a failed PORT must not leave the old target standing
        }
        let needs_login = match row.needs {
            Needs::Nothing => false,
            Needs::Login => true,
            Needs::LoginWithArgument => argument.is_some_and(|argument| !argument.trim_ascii().is_empty()),
        };
        if needs_login && self.profile.is_none() {
            return reply::write(&mut out.wire, Reason::NotLoggedIn);
        }
        if line.contains(&0) {
            return reply::write(&mut out.wire, Reason::PathSyntax);
        }
        let (offer, right) = command::demands(row, argument);
        if !offer.is_on(self.settings.extras) {
            let reason = if offer == Offer::WithTls { Reason::NeedsTls } else { Reason::NotOffered };
            return reply::write(&mut out.wire, reason);
        }
        if self.profile.as_ref().is_some_and(|profile| !profile.rights.contains(right)) {
            return reply::write(&mut out.wire, Reason::PermissionDenied);
        }
        match command::parse(row, argument) {
            Ok(command) => self.run(command, now, out),
            Err(error) => self.misused(error, out),
        }
    }

    fn run(&mut self, command: Command<'_>, now: Moment, out: &mut Actions) {
        match command {
            Command::User(name) => self.user(name, now, out),
            Command::Pass(password) => self.pass(password, out),
            Command::Rein => self.rein(now, out),
            Command::Quit => {
                reply::write(&mut out.wire, Reason::Goodbye);
                self.close(CloseReason::Quit, out);
            }
            Command::Abor => {
                self.close_route(out);
                reply::write(&mut out.wire, Reason::AbortIdle);
            }
            Command::Noop => reply::write(&mut out.wire, Reason::Nothing),
            Command::Type(code) => {
                self.parameters.type_code = code;
                let name: &[u8] = if code == TypeCode::Ascii { b"A" } else { b"I" };
                reply::write_with(&mut out.wire, Reason::TypeSet, &[name]);
            }
            Command::Mode(mode) => self.mode(mode, out),
            Command::Stru => reply::write(&mut out.wire, Reason::StructureSet),
            Command::Allo(bytes) => self.allo(bytes, out),
            Command::Rest(offset) => self.rest(offset, out),
            Command::Rang(range) => self.rang(range, out),
            Command::Pasv => self.pasv(now, out),
            Command::Epsv(argument) => self.epsv(argument, now, out),
            Command::Port(to) => self.active(to, false, out),
            Command::Eprt(to) => self.active(to, true, out),
            Command::Retr(path) => self.retr(path, now, out),
            Command::Stor(path) => self.stor(path, now, out),
            Command::Stou(path) => self.stou(path, now, out),
            Command::Appe(path) => self.appe(path, now, out),
            Command::List(args) => self.list(args, now, out),
            Command::Nlst(args) => self.nlst(args, now, out),
            Command::Mlsd(path) => self.mlsd(path, now, out),
            Command::Cwd(path) => self.cwd(path, now, out),
            Command::Cdup => self.cwd(b"..", now, out),
            Command::Pwd => self.pwd(out),
            Command::Mkd(path) => self.mkd(path, now, out),
            Command::Rmd(path) => self.rmd(path, now, out),
            Command::Dele(path) => self.dele(path, now, out),
            Command::Rnfr(path) => self.rnfr(path, now, out),
            Command::Rnto(path) => self.rnto(path, now, out),
            Command::Size(path) => self.size(path, now, out),
            Command::Mdtm(argument) => self.mdtm(argument, now, out),
            Command::Mfmt { time, written, path } => self.mfmt(time, written, path, (now, out)),
            Command::Mlst(path) => self.mlst(path, now, out),
            Command::Stat(None) => self.status(None, out),
            Command::Stat(Some(args)) => self.stat_path(args, now, out),
            other => self.run_more(other, now, out),
        }
    }

    /// The commands that RFC 959 does not have, and what the server says of itself.
    fn run_more(&mut self, command: Command<'_>, now: Moment, out: &mut Actions) {
        match command {
            Command::Mff { facts, path } => self.mff(facts, path, now, out),
            Command::Hash(path) => self.hash(path, now, out),
            Command::Digest(args) => self.digest_of(args, now, out),
            Command::Md5(path) => self.md5(path, now, out),
            Command::Avbl(path) => self.avbl(path, now, out),
            Command::Rmda(path) => self.rmda(path, now, out),
            Command::Comb(names) => self.comb(names, now, out),
            Command::Client { about, asks } => Self::client(about, asks, out),
            Command::Host(name) => self.host(name, now, out),
            Command::Lang => reply::write(&mut out.wire, Reason::LanguageSet),
            Command::Syst => reply::write(&mut out.wire, Reason::System),
            Command::Feat => self.feat(out),
            Command::OptsUtf8 => reply::write(&mut out.wire, Reason::OptsUtf8),
            Command::OptsMlst(facts) => self.opts_mlst(facts, out),
            Command::OptsHash(algorithm) => self.opts_hash(algorithm, out),
            Command::OptsModeZ(level) => self.opts_mode_z(level, out),
            Command::Help(topic) => self.help(topic, out),
            Command::SiteHelp(topic) => self.site_help(topic, out),
            Command::SiteChmod { mode, path } => self.chmod(mode, path, now, out),
            Command::SiteUmask(mask) => self.umask(mask, out),
            Command::SiteUtime { time, path } => self.utime(time, path, now, out),
            Command::SiteIdle(seconds) => self.idle(seconds, now, out),
            Command::SiteTime => self.site_time(now, out),
            Command::SiteQuota => self.quota(now, out),
            Command::SiteChgrp { gid, path } => self.chgrp(gid, path, now, out),
            Command::SiteSymlink(names) => self.symlink(names, now, out),
            Command::SiteMkdir(path) => self.make_way(path, now, out),
            Command::SiteRmdir(path) => self.site_rmdir(path, now, out),
            Command::SiteCpfr(path) => self.copy_from(path, now, out),
            Command::SiteCpto(path) => self.copy_to(path, now, out),
            Command::SiteCopy(names) => self.site_copy(names, now, out),
            // Each is in `run`; a command in neither match would get no reply, which a test over the table excludes.
            _ => reply::write(&mut out.wire, Reason::NotOffered),
        }
    }

    /// An unknown verb is 500. Before login it is never echoed, and what looks like another protocol is sent away.
    fn unknown(&mut self, verb: &[u8], out: &mut Actions) {
        self.parameters.rename_from = None;
        self.parameters.copy_from = None;
        if self.profile.is_none() {
            self.verbs_unknown = self.verbs_unknown.saturating_add(u8::from(!verb.is_empty()));
            if command::is_foreign_verb(verb) || self.verbs_unknown >= VERBS_UNKNOWN_MAX {
                return self.not_ftp(out);
            }
        }
        reply::write(&mut out.wire, Reason::Unknown);
    }

    fn misused(&mut self, error: CommandError, out: &mut Actions) {
        let reason = match error {
            CommandError::Syntax => Reason::Syntax,
            CommandError::ParameterNotOffered => Reason::ParameterNotOffered,
            CommandError::NoOptions => Reason::OptsNone,
            CommandError::SiteUnknown => Reason::SiteUnknown,
            CommandError::NotOffered => Reason::NotOffered,
            CommandError::Family => return self.wrong_family(out),
        };
        reply::write(&mut out.wire, reason);
    }
}
