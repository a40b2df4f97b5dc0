use std::collections::VecDeque;

use tidegate_types::StorageErrorKind as Kind;

use crate::Random;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the call of the same name")]
pub enum Operation {
    Metadata,
    Enter,
    List,
    OpenRead,
    Read,
    BeginUpload,
    Write,
    Commit,
    MakeDirectory,
    RemoveDirectory,
    RemoveFile,
    Rename,
    SetModified,
    SetMode,
    SetGroup,
    MakeLink,
    RemoveTree,
    Available,
}

impl Operation {
    /// Every operation, for scripts and seeds.
    pub const ALL: [Self; 18] = [
        Self::Metadata,
        Self::Enter,
        Self::List,
        Self::OpenRead,
        Self::Read,
        Self::BeginUpload,
        Self::Write,
        Self::Commit,
        Self::MakeDirectory,
        Self::RemoveDirectory,
        Self::RemoveFile,
        Self::Rename,
        Self::SetModified,
        Self::SetMode,
        Self::SetGroup,
        Self::MakeLink,
        Self::RemoveTree,
        Self::Available,
    ];
}

/// Which calls fail, and how.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: VecDeque<(Operation, Kind)>,
    random: Option<(Random, u32)>,
}

impl Faults {
    pub(super) fn plan(&mut self, operation: Operation, kind: Kind) {
        self.planned.push_back((operation, kind));
    }

    pub(super) fn randomize(&mut self, seed: u64, per_mille: u32) {
        self.random = Some((Random::new(seed), per_mille));
    }

    /// Returns the fault this call shall have, if any.
    pub(super) fn check(&mut self, operation: Operation) -> Result<(), Kind> {
        if let Some(at) = self.planned.iter().position(|(planned, _)| *planned == operation) {
            let (_, kind) = self.planned.remove(at).expect("it was found there");
            return Err(kind);
        }
        if let Some((random, per_mille)) = &mut self.random
            && random.chance(*per_mille)
        {
            return Err(*random.pick(&Kind::ALL));
        }
        Ok(())
    }
}
