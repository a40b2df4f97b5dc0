//! The commands that change what is known of a file: times, modes, groups, links (draft-somers-ftp-mfxx, SITE).

use alloc::vec::Vec;

use tidegate_types::{Moment, Rights, Timestamp, VirtualPath};

use super::files::For;
use super::jobs::two;
use super::phase::{Pending, SetTime};
use super::{Actions, ServerSession, StorageRequest};
use crate::command::{MffFacts, read_mff, verb_of};
use crate::number::push_octal4;
use crate::reply::{self, Reason};
use crate::time::{format_time, parse_time};

/// The set-user-id and set-group-id bits: never set over FTP, where nobody needs them and many would be harmed.
const SET_ID: u32 = 0o6000;

impl ServerSession {
    /// MDTM of a file; `MDTM time path` sets the time when no file has that whole name (PROTOCOL §3.6).
    pub(super) fn mdtm(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some(path) = self.resolve(argument, For::Looking, out) else { return };
        let (written, rest) = verb_of(argument);
        let target = rest.and_then(|rest| VirtualPath::resolve(&self.cwd, rest).ok());
        let time = parse_time(written);
        // Fourteen digits and more, such as a time zone: meant as a time, and none.
        let digits = written.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let malformed = time.is_none() && digits >= 14 && rest.is_some();
        let setter = time.zip(target).filter(|_| self.may(Rights::UTIME)).map(|(time, path)| SetTime {
            path,
            time,
            written: written.to_vec(),
        });
        self.ask(StorageRequest::Metadata(path), Pending::Time { setter, malformed }, now, out);
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

    pub(super) fn set_time(&mut self, set: SetTime, now: Moment, out: &mut Actions) {
        let what = StorageRequest::SetModified { path: set.path.clone(), time: set.time };
        self.ask(what, Pending::SetTime(set), now, out);
    }

    /// MFF (draft-somers-ftp-mfxx §5): nothing is changed unless every fact is known and its right is given. The mode comes
    /// first; when the time fails after it, the mode stays changed, as the draft allows.
    pub(super) fn mff(&mut self, facts: &[u8], argument: &[u8], now: Moment, out: &mut Actions) {
        let MffFacts { modified, mode } = match read_mff(facts) {
            Ok(read) => read,
            Err(b"") => return reply::write(&mut out.wire, Reason::Syntax),
            Err(unknown) => {
                let shown: Vec<u8> = unknown.iter().copied().filter(u8::is_ascii_graphic).collect();
                return reply::write_with(&mut out.wire, Reason::FactUnknown, &[&shown]);
            }
        };
        let may = |asked: bool, right: Rights| !asked || self.may(right);
        if !may(modified.is_some(), Rights::UTIME) || !may(mode.is_some(), Rights::CHMOD) {
            return reply::write(&mut out.wire, Reason::PermissionDenied);
        }
        let Some(path) = self.resolve(argument, For::Looking, out) else { return };
        let written = match mode {
            Some(mode) if mode & SET_ID != 0 => masked(mode & !SET_ID, modified),
            _ => [facts.strip_suffix(b";").unwrap_or(facts), b";"].concat(),
        };
        let mode = mode.map(|mode| mode & !SET_ID);
        let what = match (mode, modified) {
            (Some(mode), _) => StorageRequest::SetMode { path: path.clone(), mode },
            (None, Some(time)) => StorageRequest::SetModified { path: path.clone(), time },
            (None, None) => return reply::write(&mut out.wire, Reason::Syntax),
        };
        let time = modified.filter(|_| mode.is_some());
        self.ask(what, Pending::ChangeFacts { path, written, time }, now, out);
    }

    /// One fact of MFF is changed: on to the next, or done.
    pub(super) fn facts_changed(
        &mut self,
        path: VirtualPath,
        written: Vec<u8>,
        time: Option<Timestamp>,
        (now, out): (Moment, &mut Actions),
    ) {
        match time {
            Some(time) => {
                let what = StorageRequest::SetModified { path: path.clone(), time };
                self.ask(what, Pending::ChangeFacts { path, written, time: None }, now, out);
            }
            None => reply::write_with(&mut out.wire, Reason::FactsChanged, &[&written, path.as_bytes()]),
        }
    }

    pub(super) fn chmod(&mut self, mode: u32, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            let pending = Pending::Change(if mode & SET_ID == 0 {
                Reason::SiteChmodDone
            } else {
                Reason::SiteChmodMasked
            });
            self.ask(StorageRequest::SetMode { path, mode: mode & !SET_ID }, pending, now, out);
        }
    }

    pub(super) fn utime(&mut self, time: Timestamp, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            let what = StorageRequest::SetModified { path, time };
            self.ask(what, Pending::Change(Reason::SiteUtimeDone), now, out);
        }
    }

    pub(super) fn chgrp(&mut self, gid: u32, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Looking, out) {
            let what = StorageRequest::SetGroup { path, gid };
            self.ask(what, Pending::Change(Reason::SiteChgrpDone), now, out);
        }
    }

    /// SITE MKDIR: a directory and those above it; what is there already is fine.
    pub(super) fn make_way(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        if let Some(path) = self.resolve(argument, For::Creating, out) {
            self.make_level(path, 1, (now, out));
        }
    }

    /// Makes the first `levels` names of `path`; behind the last one it is checked that all of it is a directory.
    pub(super) fn make_level(
        &mut self,
        path: VirtualPath,
        levels: usize,
        (now, out): (Moment, &mut Actions),
    ) {
        let mut above = path.clone();
        for _ in levels..path.components().count() {
            above = above.parent();
        }
        if levels > path.components().count() {
            return self.ask(StorageRequest::Enter(path), Pending::Change(Reason::SiteMkdirDone), now, out);
        }
        let what = StorageRequest::MakeDirectory { path: above, umask: self.parameters.umask };
        self.ask(what, Pending::MakeWay { path, levels }, now, out);
    }

    /// SITE SYMLINK target link: the target is a path of this server and must exist.
    pub(super) fn symlink(&mut self, argument: &[u8], now: Moment, out: &mut Actions) {
        let Some([target, link]) = two(argument) else { return reply::write(&mut out.wire, Reason::Syntax) };
        let Some(target) = self.resolve(&target, For::Looking, out) else { return };
        let Some(link) = self.resolve(&link, For::Creating, out) else { return };
        let what = StorageRequest::MakeLink { target, link };
        self.ask(what, Pending::Change(Reason::SiteSymlinkDone), now, out);
    }
}

/// Returns the facts as they are set, for the reply, when they are not what the client wrote.
fn masked(mode: u32, modified: Option<Timestamp>) -> Vec<u8> {
    let mut written = b"UNIX.mode=".to_vec();
    push_octal4(mode, &mut written);
    written.push(b';');
    if let Some(time) = modified {
        written.extend_from_slice(b"modify=");
        format_time(time, &mut written);
        written.push(b';');
    }
    written
}
