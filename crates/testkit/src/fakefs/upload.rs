use std::sync::Arc;

use tidegate_storage::Committed;
use tidegate_types::{AccountName, Cut, StorageErrorKind as Kind, VirtualPath};

use super::faults::Operation;
use super::home::FakeHome;
use super::look::Look;
use super::{Body, FakeFs, Partial, What, lock};

/// An upload under way. Dropping it aborts it.
#[derive(Debug)]
pub struct FakeUpload {
    fs: FakeFs,
    account: Option<AccountName>,
    /// The target as the account sees it.
    path: VirtualPath,
    /// The target in the whole tree.
    target: VirtualPath,
    body: Body,
    place: Place,
    start: usize,
    written: usize,
    /// How long the body was at the beginning.
    size_before: usize,
    /// The upload created the file that it writes in place.
    created: bool,
    /// The first byte, or the commit, drops what lies behind the start.
    cuts: bool,
    state: Stage,
    may_overwrite: bool,
    reserves: bool,
    /// What the file looks like if it is new.
    look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not visible before the commit.
    Beside { existed: bool },
    /// As `Beside`, into bytes that are kept from before.
    Resumed { number: u64, writer: u64 },
    /// Into the target itself.
    Target { number: u64, writer: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    Broken,
    Over,
}

impl FakeUpload {
    pub(super) fn beside(home: &FakeHome, path: VirtualPath, target: VirtualPath, existed: bool) -> Self {
        Self::open(home, (path, target), Body::default(), Place::Beside { existed }, 0)
    }

    pub(super) fn in_place(
        home: &FakeHome,
        paths: (VirtualPath, VirtualPath),
        (body, number): (Body, u64),
        start: usize,
    ) -> Result<Self, Kind> {
        let writer = take_over(home, number)?;
        Ok(Self::open(home, paths, body, Place::Target { number, writer }, start))
    }

    pub(super) fn resumed(
        home: &FakeHome,
        paths: (VirtualPath, VirtualPath),
        (body, number): (Body, u64),
        start: usize,
    ) -> Result<Self, Kind> {
        let writer = take_over(home, number)?;
        Ok(Self::open(home, paths, body, Place::Resumed { number, writer }, start))
    }

    fn open(
        home: &FakeHome,
        (path, target): (VirtualPath, VirtualPath),
        body: Body,
        place: Place,
        start: usize,
    ) -> Self {
        let mut state = home.fs.state();
        state.handles_open += 1;
        state.uploading.push(target.clone());
        drop(state);
        let size_before = lock(&body).len();
        Self {
            fs: home.fs.clone(),
            account: home.account.clone(),
            path,
            target,
            body,
            place,
            start,
            written: 0,
            size_before,
            created: false,
            cuts: false,
            state: Stage::Writing,
            may_overwrite: true,
            reserves: false,
            look: Look::FILE,
        }
    }

    pub(super) const fn overwriting(mut self, may_overwrite: bool) -> Self {
        self.may_overwrite = may_overwrite;
        self
    }

    pub(super) const fn cutting(mut self) -> Self {
        self.cuts = true;
        self
    }

    pub(super) const fn creating(mut self) -> Self {
        self.created = true;
        self
    }

    pub(super) const fn looking(mut self, look: Look) -> Self {
        self.look = look;
        self
    }

    pub(super) const fn reserving(mut self) -> Self {
        self.reserves = true;
        self.may_overwrite = false;
        self
    }

    /// Returns the target, as the account sees it; for `Unique` the name that was chosen.
    pub const fn path(&self) -> &VirtualPath {
        &self.path
    }

    /// Returns the offset of the first byte that will be written.
    pub const fn starts_at(&self) -> u64 {
        self.start as u64
    }

    /// Writes all of `bytes` behind what was written before.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Kind> {
        let result = self.try_write(bytes);
        if result.is_err() {
            self.state = Stage::Broken;
        }
        result
    }

    /// As `Upload::note_failed_write`: what arrived is not kept.
    pub const fn note_failed_write(&mut self) {
        self.state = Stage::Broken;
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<(), Kind> {
        self.check_still_mine()?;
        let mut state = self.fs.state();
        state.faults.check(Operation::Write)?;
        if state
            .bytes_max
            .is_some_and(|bytes_max| state.bytes_used() + self.hidden_bytes() + bytes.len() > bytes_max)
        {
            return Err(Kind::DiskFull);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let mut body = lock(&self.body);
        if std::mem::take(&mut self.cuts) {
            body.truncate(self.start);
        }
        let at = self.start + self.written;
        let end = at + bytes.len();
        if body.len() < end {
            body.resize(end, 0);
        }
        body[at..end].copy_from_slice(bytes);
        self.written += bytes.len();
        Ok(())
    }

    /// Returns the bytes that no visible file holds yet.
    fn hidden_bytes(&self) -> usize {
        if matches!(self.place, Place::Beside { .. }) { lock(&self.body).len() } else { 0 }
    }

    /// Makes the file visible, whatever happens; returns its size.
    pub fn commit(self) -> Result<u64, Kind> {
        match self.commit_if(|| true)? {
            Committed::Stored { size } => Ok(size),
            Committed::Unwanted(_) => Err(Kind::Failed),
        }
    }

    /// Makes the file visible if it is `still_wanted`, as `Upload::commit`.
    pub fn commit_if(mut self, still_wanted: impl Fn() -> bool) -> Result<Committed, Kind> {
        self.check_still_mine()?;
        if self.state != Stage::Writing {
            return Err(Kind::Failed);
        }
        let mut state = self.fs.state();
        if let Err(kind) = state.faults.check(Operation::Commit) {
            drop(state);
            self.state = Stage::Broken;
            return Err(kind);
        }
        if !matches!(self.place, Place::Target { .. }) && !still_wanted() {
            drop(state);
            return Ok(Committed::Unwanted(self.end()));
        }
        if std::mem::take(&mut self.cuts) {
            lock(&self.body).truncate(self.start);
        }
        let size = lock(&self.body).len() as u64;
        match self.place {
            Place::Target { number, .. } => {
                let now = state.now;
                if let Some(node) = state.nodes.values_mut().find(|node| node.number == number) {
                    node.modified = now;
                }
            }
            Place::Beside { .. } | Place::Resumed { .. } => {
                state.directory(&self.target.parent())?;
                match state.nodes.get(&self.target).map(|node| &node.what) {
                    Some(What::Directory | What::Link(_) | What::Device) => return Err(Kind::IsADirectory),
                    Some(What::File(_)) if !self.may_overwrite => return Err(Kind::AlreadyExists),
                    None | Some(What::File(_)) => {}
                }
                let look = state.nodes.get(&self.target).map_or(self.look, |node| node.look);
                state.insert_as(self.target.clone(), What::File(Arc::clone(&self.body)), look);
                if let (Some(account), Place::Resumed { .. }) = (self.account.clone(), self.place) {
                    state.partials.remove(&(account, self.target.clone()));
                }
            }
        }
        drop(state);
        self.state = Stage::Over;
        Ok(Committed::Stored { size })
    }

    /// Gives up; says what remains.
    pub fn abort(mut self) -> Cut {
        self.end()
    }

    /// Gives up and keeps nothing of what arrived, as `Upload::take_back`.
    pub fn take_back(mut self) -> Cut {
        if matches!(self.place, Place::Target { .. }) && self.written > 0 && self.check_still_mine().is_ok() {
            lock(&self.body).truncate(self.size_before);
        }
        self.state = Stage::Broken;
        self.end()
    }

    fn end(&mut self) -> Cut {
        let broken = self.state == Stage::Broken;
        self.state = Stage::Over;
        let size = lock(&self.body).len();
        let mine = self.check_still_mine().is_ok();
        let mut state = self.fs.state();
        let key = self.account.clone().map(|account| (account, self.target.clone()));
        match (self.place, key) {
            (Place::Target { number, .. }, _) => {
                let is_there = state.nodes.get(&self.target).is_some_and(|node| node.number == number);
                if !(self.created && broken && mine && is_there) {
                    return Cut::InPlace;
                }
                state.nodes.remove(&self.target);
                Cut::Discarded
            }
            (Place::Resumed { .. }, Some(key)) if mine && (broken || size == 0) => {
                state.partials.remove(&key);
                Cut::Discarded
            }
            (Place::Resumed { .. }, _) => Cut::Kept { size: size as u64 },
            (Place::Beside { existed: false }, Some(key))
                if !broken
                    && size > 0
                    && !state.nodes.contains_key(&self.target)
                    && state.directory(&self.target.parent()).is_ok() =>
            {
                let number = state.number();
                state.partials.insert(key, Partial { number, body: Arc::clone(&self.body), look: self.look });
                Cut::Kept { size: size as u64 }
            }
            (Place::Beside { .. }, _) => Cut::Discarded,
        }
    }

    fn check_still_mine(&self) -> Result<(), Kind> {
        let (Place::Target { number, writer } | Place::Resumed { number, writer }) = self.place else {
            return Ok(());
        };
        let state = self.fs.state();
        let holds = state.writers.get(&number).is_some_and(|(_, holder)| *holder == writer);
        if holds { Ok(()) } else { Err(Kind::Superseded) }
    }
}

impl Drop for FakeUpload {
    fn drop(&mut self) {
        if self.state != Stage::Over {
            self.end();
        }
        let mut state = self.fs.state();
        state.handles_open -= 1;
        if let Some(at) = state.uploading.iter().position(|path| *path == self.target) {
            state.uploading.swap_remove(at);
        }
        if self.reserves {
            state.reserved.remove(&self.target);
        }
        if let Place::Target { number, writer } | Place::Resumed { number, writer } = self.place
            && state.writers.get(&number).is_some_and(|(_, holder)| *holder == writer)
        {
            state.writers.remove(&number);
        }
    }
}

/// Takes the file `number` over from an older upload of the same account; `Busy` when somebody else writes into it.
fn take_over(home: &FakeHome, number: u64) -> Result<u64, Kind> {
    let mut state = home.fs.state();
    if let Some((holder, _)) = state.writers.get(&number)
        && (home.account.is_none() || *holder != home.account)
    {
        return Err(Kind::Busy);
    }
    let writer = state.number();
    state.writers.insert(number, (home.account.clone(), writer));
    Ok(writer)
}
