//! What the server says about itself and its files over the control connection.

use alloc::vec::Vec;

use tidegate_types::{Entry, FileKind, Metadata, Rights, Timestamp, VirtualPath};

use super::{Actions, Progress, ServerSession};
use crate::command::{self, SITE, TABLE, TypeCode};
use crate::listing::{FactSet, ListFormat, ListPlan, ListWriter};
use crate::number::Digits;
use crate::reply::{self, Reason};

/// Verbs in one line of HELP.
const VERBS_IN_LINE: usize = 8;

impl ServerSession {
    /// FEAT: what works, one blank before each line, sorted (RFC 2389 §3.2). MLST tells the facts of this session.
    pub(super) fn feat(&self, out: &mut Actions) {
        let facts = self.parameters.facts.feat_label();
        let mut features: Vec<&str> = TABLE
            .iter()
            .filter(|row| row.is_offered() && !row.feature.is_empty())
            .map(|row| if row.verb == "MLST" { facts.as_str() } else { row.feature })
            .chain(core::iter::once("TVFS"))
            .collect();
        features.sort_unstable();
        reply::write_first(&mut out.wire, Reason::FeaturesStart, &[]);
        for feature in features {
            reply::write_middle(&mut out.wire, &[feature.as_bytes()]);
        }
        reply::write(&mut out.wire, Reason::FeaturesEnd);
    }

    /// OPTS MLST (RFC 3659 §7.9): unknown facts are dropped, the reply tells what is selected.
    pub(super) fn opts_mlst(&mut self, facts: &[u8], out: &mut Actions) {
        self.parameters.facts = FactSet::select(facts);
        let words = self.parameters.facts.words();
        if words.is_empty() {
            // No blank at the end of the line when nothing is selected.
            out.wire.extend_from_slice(b"200 MLST OPTS\r\n");
        } else {
            reply::write_with(&mut out.wire, Reason::OptsMlst, &[words.as_bytes()]);
        }
    }

    pub(super) fn help(topic: Option<&[u8]>, out: &mut Actions) {
        let wire = &mut out.wire;
        if let Some(topic) = topic.map(<[u8]>::trim_ascii).filter(|topic| !topic.is_empty()) {
            return match command::lookup(topic).filter(|row| row.is_offered()) {
                Some(row) => reply::write_with(wire, Reason::HelpCommand, &[row.syntax.as_bytes()]),
                None => reply::write(wire, Reason::HelpNone),
            };
        }
        reply::write_first(wire, Reason::HelpStart, &[]);
        let verbs: Vec<&str> = TABLE.iter().filter(|row| row.is_offered()).map(|row| row.verb).collect();
        for line in verbs.chunks(VERBS_IN_LINE) {
            reply::write_middle(wire, &[line.join(" ").as_bytes()]);
        }
        reply::write(wire, Reason::HelpEnd);
    }

    pub(super) fn site_help(out: &mut Actions) {
        reply::write_first(&mut out.wire, Reason::HelpSiteStart, &[]);
        for (word, _) in SITE.iter().filter(|(_, offered)| *offered) {
            reply::write_middle(&mut out.wire, &[word.as_bytes()]);
        }
        reply::write(&mut out.wire, Reason::HelpSiteEnd);
    }

    /// STAT alone: who, how, and how far the running transfer is (RFC 959 §4.1.3).
    pub(super) fn status(&self, progress: Option<Progress>, out: &mut Actions) {
        let wire = &mut out.wire;
        reply::write_first(wire, Reason::StatusStart, &[]);
        match &self.profile {
            None => reply::write_middle(wire, &[b"Not logged in"]),
            Some(profile) => match &profile.account {
                Some(account) => reply::write_middle(wire, &[b"Logged in as ", account.0.as_bytes()]),
                None => reply::write_middle(wire, &[b"Logged in anonymously"]),
            },
        }
        let code: &[u8] = if self.parameters.type_code == TypeCode::Ascii { b"ASCII" } else { b"Image" };
        reply::write_middle(wire, &[b"TYPE: ", code, b", STRU: File, MODE: Stream"]);
        match progress {
            None => reply::write_middle(wire, &[b"No transfer is running"]),
            Some(progress) => {
                let bytes = Digits::decimal(progress.bytes);
                reply::write_middle(wire, &[self.transfer_verb(), b" (", bytes.as_bytes(), b" bytes)"]);
            }
        }
        reply::write(wire, Reason::StatusEnd);
    }

    /// STAT of a path: 213 for a file, 212 for a directory, lines as in LIST.
    pub(super) fn say_entries(
        &self,
        path: &VirtualPath,
        (hidden, dots): (bool, bool),
        (about, entries, truncated, now): (&Metadata, &[Entry], bool, Timestamp),
        out: &mut Actions,
    ) {
        let rights = self.profile.as_ref().map_or(Rights::NONE, |profile| profile.rights);
        let directory = about.kind == FileKind::Directory;
        let plan = ListPlan {
            format: ListFormat::Long,
            hidden: hidden || !directory,
            dots: dots && directory,
            prefix: Vec::new(),
            rights,
        };
        let (start, end) = if directory {
            (Reason::StatDirectoryStart, Reason::StatDirectoryEnd)
        } else {
            (Reason::StatFileStart, Reason::StatFileEnd)
        };
        let writer = ListWriter::new(&plan, Some(about), now);
        let wire = &mut out.wire;
        reply::write_first(wire, start, &[path.as_bytes()]);
        let mut line = Vec::new();
        writer.begin(&mut line);
        for part in line.split_inclusive(|byte| *byte == b'\n') {
            wire.push(b' ');
            wire.extend_from_slice(part);
        }
        let file = Entry { name: path.file_name().unwrap_or_default().to_vec(), metadata: *about };
        let shown = if directory { entries } else { core::slice::from_ref(&file) };
        for entry in shown {
            line.clear();
            writer.entry(entry, &mut line);
            if !line.is_empty() {
                wire.push(b' ');
                wire.extend_from_slice(&line);
            }
        }
        if truncated {
            reply::write_middle(wire, &[b"... and more; use LIST"]);
        }
        reply::write(wire, end);
    }
}
