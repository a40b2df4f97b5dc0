//! What the server says about itself and its files over the control connection.

use alloc::string::String;
use alloc::vec::Vec;

use tidegate_types::{Entry, FileKind, Metadata, Timestamp, VirtualPath};

use super::{Actions, Progress, ServerSession};
use crate::command::{self, HashAlgorithm, SITE, TABLE, TypeCode};
use crate::listing::{FactSet, ListFormat, ListPlan, ListWriter};
use crate::number::Digits;
use crate::reply::{self, Reason};

/// Verbs in one line of HELP.
const VERBS_IN_LINE: usize = 8;

impl ServerSession {
    /// FEAT: what works, one blank before each line, sorted (RFC 2389 §3.2). MLST tells the facts of this session.
    pub(super) fn feat(&self, out: &mut Actions) {
        let (facts, algorithms) = (self.parameters.facts.feat_label(), self.algorithms());
        let extras = self.settings.extras;
        let rows = TABLE.iter().filter(|row| row.is_offered(extras)).map(|row| match row.verb {
            "MLST" => facts.as_str(),
            "HASH" => algorithms.as_str(),
            _ => row.feature,
        });
        let site = SITE.iter().filter(|row| row.offer.is_on(extras)).map(|row| row.feature);
        let mut features: Vec<&str> = rows
            .chain(site)
            .chain(core::iter::once("TVFS"))
            .chain(self.settings.mode_z.then_some("MODE Z"))
            .filter(|feature| !feature.is_empty())
            .collect();
        features.sort_unstable();
        features.dedup(); // two rows of one feature
        reply::write_first(&mut out.wire, Reason::FeaturesStart, &[]);
        for feature in features {
            reply::write_middle(&mut out.wire, &[feature.as_bytes()]);
        }
        reply::write(&mut out.wire, Reason::FeaturesEnd);
    }

    /// Returns the FEAT label of HASH, the chosen algorithm with a star.
    fn algorithms(&self) -> String {
        let mut label = String::from("HASH ");
        for (index, algorithm) in HashAlgorithm::ALL.into_iter().enumerate() {
            label.push_str(if index > 0 { ";" } else { "" });
            label.push_str(algorithm.name());
            label.push_str(if algorithm == self.parameters.algorithm { "*" } else { "" });
        }
        label
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

    /// HELP: the verbs, or the syntax of one; `HELP SITE CHMOD` is `SITE HELP CHMOD`.
    pub(super) fn help(&self, topic: Option<&[u8]>, out: &mut Actions) {
        if let Some((b"SITE", Some(sub))) = topic
            .map(|topic| command::verb_of(topic.trim_ascii()))
            .filter(|(verb, _)| verb.eq_ignore_ascii_case(b"SITE"))
            .map(|(_, sub)| (b"SITE", sub.map(<[u8]>::trim_ascii)))
        {
            return self.site_help(Some(sub), out);
        }
        let extras = self.settings.extras;
        let wire = &mut out.wire;
        if let Some(topic) = topic.map(<[u8]>::trim_ascii).filter(|topic| !topic.is_empty()) {
            return match command::lookup(topic).filter(|row| row.is_offered(extras)) {
                Some(row) => reply::write_with(wire, Reason::HelpCommand, &[row.syntax.as_bytes()]),
                None => reply::write(wire, Reason::HelpNone),
            };
        }
        reply::write_first(wire, Reason::HelpStart, &[]);
        let verbs: Vec<&str> =
            TABLE.iter().filter(|row| row.is_offered(extras)).map(|row| row.verb).collect();
        for line in verbs.chunks(VERBS_IN_LINE) {
            reply::write_middle(wire, &[line.join(" ").as_bytes()]);
        }
        reply::write(wire, Reason::HelpEnd);
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
        let mode: &[u8] = if self.parameters.deflate.is_some() { b"Deflate" } else { b"Stream" };
        reply::write_middle(wire, &[b"TYPE: ", code, b", STRU: File, MODE: ", mode]);
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
        let rights = self.rights();
        let directory = about.kind == FileKind::Directory;
        let plan = ListPlan {
            format: ListFormat::Long,
            hidden: hidden || !directory,
            dots: dots && directory,
            prefix: Vec::new(),
            recursive: false,
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
