use std::sync::Arc;

use tidegate_storage::UploadRequest;
use tidegate_types::{
    AccountName, Creation, Entry, FileKind, Metadata, StorageErrorKind as Kind, Timestamp, UploadStart,
    UploadStyle, VirtualPath,
};

use super::faults::Operation;
use super::look::Look;
use super::paths::way_between;
use super::upload::FakeUpload;
use super::{Body, FakeFs, State, What, lock};

/// One account's view of a tree.
#[derive(Clone, Debug)]
pub struct FakeHome {
    pub(super) fs: FakeFs,
    pub(super) home: VirtualPath,
    pub(super) account: Option<AccountName>,
    pub(super) creation: Creation,
}

impl FakeHome {
    /// Returns the same view, in which what is created looks as `creation` says.
    #[must_use]
    pub fn creating(self, creation: Creation) -> Self {
        Self { creation, ..self }
    }

    /// As `Storage::metadata`.
    pub fn metadata(&self, path: &VirtualPath) -> Result<Metadata, Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::Metadata)?;
        let entry = self.entry(&state, path, Kind::NotFound)?;
        let found = self.target(&state, path, Kind::NotFound).and_then(|target| {
            state.metadata(&target).or_else(|kind| {
                if kind == Kind::NotFound { self.partial_metadata(&state, &target) } else { Err(kind) }
            })
        });
        match (found, state.nodes.get(&entry)) {
            // A link that leads nowhere, or out.
            (Err(_), Some(link)) if matches!(link.what, What::Link(_)) => Ok(link.metadata()),
            (found, _) => found,
        }
    }

    fn partial_metadata(&self, state: &State, path: &VirtualPath) -> Result<Metadata, Kind> {
        let account = self.account.clone().ok_or(Kind::NotFound)?;
        let kept = state.partials.get(&(account, path.clone())).ok_or(Kind::NotFound)?;
        let mut facts = state.root();
        facts.kind = FileKind::File;
        facts.mode = kept.look.mode;
        facts.size = lock(&kept.body).len() as u64;
        facts.unique.file = kept.number;
        Ok(facts)
    }

    /// As `Storage::enter`.
    pub fn enter(&self, path: &VirtualPath) -> Result<(), Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::Enter)?;
        let path = self.target(&state, path, Kind::NotFound)?;
        state.directory(&path)
    }

    /// As `Storage::list`: the directory's facts and its entries, partial uploads left out.
    pub fn list(&self, path: &VirtualPath) -> Result<(Metadata, Vec<Entry>), Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::List)?;
        let path = self.target(&state, path, Kind::NotFound)?;
        state.directory(&path)?;
        let children = state.nodes.iter().filter(|(child, _)| child.parent() == path && **child != path);
        let entries = children.filter_map(|(child, node)| {
            let name = child.file_name()?.to_vec();
            if self.fs.denies(&name) || self.hides(&state, child) {
                return None;
            }
            let followed = match node.what {
                What::Link(_) => self.real(&state, child.clone()).and_then(|target| state.metadata(&target)),
                _ => Ok(node.metadata()),
            };
            Some(Entry { name, metadata: followed.unwrap_or_else(|_| node.metadata()) })
        });
        Ok((state.metadata(&path)?, entries.collect()))
    }

    /// As `Storage::open_read`.
    pub fn open_read(&self, path: &VirtualPath, offset: u64) -> Result<FakeReader, Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::OpenRead)?;
        let path = self.target(&state, path, Kind::NotFound)?;
        let body = match state.find(&path)?.map(|node| &node.what) {
            Some(What::File(body)) => Arc::clone(body),
            Some(What::Device | What::Link(_)) => return Err(Kind::NotAFile),
            None | Some(What::Directory) => return Err(Kind::IsADirectory),
        };
        let size = lock(&body).len() as u64;
        if offset > size {
            return Err(Kind::BadOffset);
        }
        state.handles_open += 1;
        Ok(FakeReader { fs: self.fs.clone(), body, size })
    }

    /// As `Storage::begin_upload`.
    pub fn begin_upload(&self, request: &UploadRequest) -> Result<FakeUpload, Kind> {
        let path = {
            let mut state = self.fs.state();
            state.faults.check(Operation::BeginUpload)?;
            match request.start {
                UploadStart::Unique => self.unique_base(&state, &request.path)?,
                _ => self.target(&state, &request.path, Kind::BadName)?,
            }
        };
        match request.start {
            UploadStart::Unique => return self.unique(request, &path),
            _ if request.path.is_root() => return Err(Kind::IsADirectory),
            _ => {}
        }
        let existing = {
            let state = self.fs.state();
            state.directory(&path.parent())?;
            match state.nodes.get(&path).map(|node| (&node.what, node.number)) {
                None => None,
                Some((What::File(body), number)) => Some((Arc::clone(body), number)),
                Some((What::Directory, _)) => return Err(Kind::IsADirectory),
                Some((What::Device | What::Link(_), _)) => return Err(Kind::NotAFile),
            }
        };
        match request.start {
            UploadStart::At(0) if existing.is_none() => {
                self.discard_partial(&path);
                self.fresh(request, &path, None)
            }
            UploadStart::Replace | UploadStart::Unique => {
                if existing.is_some() && !request.may_overwrite {
                    return Err(Kind::AlreadyExists);
                }
                self.discard_partial(&path);
                self.fresh(request, &path, existing)
            }
            UploadStart::At(offset) => self.continue_at(request, &path, existing, Some(offset)),
            UploadStart::Append => self.continue_at(request, &path, existing, None),
        }
    }

    /// Starts a file from nothing: beside the target, or in place when that is asked for.
    fn fresh(
        &self,
        request: &UploadRequest,
        path: &VirtualPath,
        existing: Option<(Body, u64)>,
    ) -> Result<FakeUpload, Kind> {
        let told = request.path.clone();
        let look = Look::of_file(&self.creation, request.umask);
        if request.style == UploadStyle::Atomic {
            let upload = FakeUpload::beside(self, told, path.clone(), existing.is_some());
            return Ok(upload.overwriting(request.may_overwrite).looking(look));
        }
        let paths = (told, path.clone());
        if let Some(file) = existing {
            return Ok(FakeUpload::in_place(self, paths, file, 0)?.cutting());
        }
        let body = Body::default();
        let number = self.fs.state().insert_as(path.clone(), What::File(Arc::clone(&body)), look);
        Ok(FakeUpload::in_place(self, paths, (body, number), 0)?.creating())
    }

    fn continue_at(
        &self,
        request: &UploadRequest,
        path: &VirtualPath,
        existing: Option<(Body, u64)>,
        offset: Option<u64>,
    ) -> Result<FakeUpload, Kind> {
        let told = request.path.clone();
        if let Some((body, number)) = existing {
            if !request.may_append {
                return Err(Kind::PermissionDenied);
            }
            let start = start_within(&body, offset)?;
            if start < lock(&body).len() && !request.may_overwrite {
                return Err(Kind::PermissionDenied);
            }
            return FakeUpload::in_place(self, (told, path.clone()), (body, number), start);
        }
        let kept = self
            .account
            .clone()
            .and_then(|account| self.fs.state().partials.get(&(account, path.clone())).cloned());
        match (kept, offset) {
            (Some(kept), _) => {
                let start = start_within(&kept.body, offset)?;
                let look = Look::of_file(&self.creation, request.umask);
                let kept = (kept.body, kept.number);
                Ok(FakeUpload::resumed(self, (told, path.clone()), kept, start)?.cutting().looking(look))
            }
            (None, Some(_)) => Err(Kind::BadOffset),
            (None, None) => self.fresh(request, path, None),
        }
    }

    /// Returns what a unique name is made from: a directory, or a name in one.
    fn unique_base(&self, state: &State, path: &VirtualPath) -> Result<VirtualPath, Kind> {
        let target = self.target(state, path, Kind::BadName);
        match target {
            Ok(target) if state.directory(&target).is_ok() => Ok(target),
            _ => {
                let parent = self.target(state, &path.parent(), Kind::BadName)?;
                let name = path.file_name().filter(|name| !self.fs.denies(name)).ok_or(Kind::BadName)?;
                VirtualPath::resolve(&parent, name).map_err(|_| Kind::BadName)
            }
        }
    }

    fn unique(&self, request: &UploadRequest, path: &VirtualPath) -> Result<FakeUpload, Kind> {
        let mut state = self.fs.state();
        let (parent, base) = match path.file_name() {
            Some(name) if state.directory(path).is_err() => (path.parent(), name.to_vec()),
            _ => (path.clone(), b"upload".to_vec()),
        };
        state.directory(&parent)?;
        let told_parent = if parent == *path { request.path.clone() } else { request.path.parent() };
        let look = Look::of_file(&self.creation, request.umask);
        for n in 0_u32..2000 {
            let mut name = base.clone();
            if n > 0 {
                name.extend_from_slice(format!(".{n}").as_bytes());
            }
            if self.fs.denies(&name) {
                continue;
            }
            let chosen = VirtualPath::resolve(&parent, &name).map_err(|_| Kind::BadName)?;
            if !state.nodes.contains_key(&chosen) && state.reserved.insert(chosen.clone()) {
                drop(state);
                let told = VirtualPath::resolve(&told_parent, &name).map_err(|_| Kind::BadName)?;
                return Ok(FakeUpload::beside(self, told, chosen, false).reserving().looking(look));
            }
        }
        Err(Kind::BadName)
    }

    /// As `Storage::make_directory`.
    pub fn make_directory(&self, path: &VirtualPath, umask: u32) -> Result<(), Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::MakeDirectory)?;
        let path = self.entry(&state, path, Kind::BadName)?;
        match state.find(&path) {
            Ok(_) => Err(Kind::AlreadyExists),
            Err(Kind::NotFound) => {
                state.directory(&path.parent())?;
                state.insert_as(path, What::Directory, Look::of_directory(&self.creation, umask));
                Ok(())
            }
            Err(kind) => Err(kind),
        }
    }

    /// As `Storage::make_link`.
    pub fn make_link(&self, target: &VirtualPath, link: &VirtualPath) -> Result<(), Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::MakeLink)?;
        let link = self.entry(&state, link, Kind::BadName)?;
        let exists = self.target(&state, target, Kind::NotFound)?;
        state.find(&exists)?;
        match state.find(&link) {
            Ok(_) => Err(Kind::AlreadyExists),
            Err(Kind::NotFound) => {
                state.directory(&link.parent())?;
                let way = way_between(&link.parent(), &self.inside(target)?);
                state.insert_as(link, What::Link(way), Look::of_file(&self.creation, 0));
                Ok(())
            }
            Err(kind) => Err(kind),
        }
    }

    /// As `Storage::available`: without a limit more than anybody has.
    pub fn available(&self, path: &VirtualPath) -> Result<u64, Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::Available)?;
        let path = self.target(&state, path, Kind::NotFound)?;
        state.directory(&path)?;
        let free = state.bytes_max.map(|bytes_max| bytes_max.saturating_sub(state.bytes_used()));
        Ok(free.map_or(i64::MAX as u64, |free| free as u64))
    }

    /// As `Storage::remove_tree`: partial uploads go with it, denied names and uploads under way stay with the
    /// directories they are in.
    pub fn remove_tree(&self, path: &VirtualPath) -> Result<(), Kind> {
        if path.is_root() {
            return Err(Kind::PermissionDenied);
        }
        let mut state = self.fs.state();
        state.faults.check(Operation::RemoveTree)?;
        let path = self.entry(&state, path, Kind::NotFound)?;
        state.find(&path)?;
        state.directory(&path)?;
        let inside = |other: &VirtualPath| other.is_within(&path);
        let denied = state.nodes.keys().filter(|at| self.covers(at) || self.hides(&state, at));
        let staying: Vec<VirtualPath> =
            denied.chain(&state.uploading).filter(|at| inside(at)).cloned().collect();
        let stays = |at: &VirtualPath| staying.iter().any(|one| one.is_within(at) || self.covers(at));
        let gone: Vec<VirtualPath> =
            state.nodes.keys().filter(|at| inside(at) && !stays(at)).cloned().collect();
        for at in gone {
            state.nodes.remove(&at);
        }
        if staying.is_empty() {
            state.partials.retain(|(_, kept), _| !kept.is_within(&path));
            return Ok(());
        }
        Err(Kind::NotEmpty)
    }

    /// As `Storage::remove_directory`; partial uploads in it go with it.
    pub fn remove_directory(&self, path: &VirtualPath) -> Result<(), Kind> {
        if path.is_root() {
            return Err(Kind::PermissionDenied);
        }
        let mut state = self.fs.state();
        state.faults.check(Operation::RemoveDirectory)?;
        let path = self.entry(&state, path, Kind::NotFound)?;
        state.find(&path)?;
        state.directory(&path)?;
        let mut inside = state.nodes.keys().chain(&state.uploading);
        if inside.any(|other| *other != path && other.is_within(&path)) {
            return Err(Kind::NotEmpty);
        }
        state.partials.retain(|(_, kept), _| !kept.is_within(&path));
        state.nodes.remove(&path);
        Ok(())
    }

    /// As `Storage::remove_file`.
    pub fn remove_file(&self, path: &VirtualPath) -> Result<(), Kind> {
        if path.is_root() {
            return Err(Kind::IsADirectory);
        }
        let path = {
            let mut state = self.fs.state();
            state.faults.check(Operation::RemoveFile)?;
            self.entry(&state, path, Kind::NotFound)?
        };
        let had_partial = self.discard_partial(&path);
        let mut state = self.fs.state();
        match state.find(&path).map(|node| node.map(|node| &node.what)) {
            Ok(Some(What::File(_) | What::Link(_) | What::Device)) => {
                state.nodes.remove(&path);
                Ok(())
            }
            Ok(_) => Err(Kind::IsADirectory),
            Err(Kind::NotFound) if had_partial => Ok(()),
            Err(kind) => Err(kind),
        }
    }

    /// As `Storage::rename`.
    pub fn rename(&self, from: &VirtualPath, to: &VirtualPath, may_overwrite: bool) -> Result<(), Kind> {
        let mut state = self.fs.state();
        state.faults.check(Operation::Rename)?;
        let (from, to) = (self.entry(&state, from, Kind::NotFound)?, self.entry(&state, to, Kind::BadName)?);
        if from == self.home || to == self.home {
            return Err(Kind::PermissionDenied);
        }
        let is_directory = matches!(state.find(&from)?.map(|node| &node.what), Some(What::Directory));
        state.directory(&to.parent())?;
        if from == to {
            return Ok(());
        }
        if is_directory && to.is_within(&from) {
            return Err(Kind::PermissionDenied);
        }
        if let Some(target) = state.nodes.get(&to) {
            match (&target.what, is_directory) {
                _ if !may_overwrite => return Err(Kind::AlreadyExists),
                (What::Directory, false) => return Err(Kind::IsADirectory),
                (What::Directory, true) => {
                    let mut inside = state.nodes.keys().chain(&state.uploading);
                    if inside.any(|other| *other != to && other.is_within(&to)) {
                        return Err(Kind::NotEmpty);
                    }
                    state.partials.retain(|(_, kept), _| !kept.is_within(&to));
                }
                (_, true) => return Err(Kind::NotADirectory),
                (_, false) => {}
            }
        }
        let moved: Vec<VirtualPath> =
            state.nodes.keys().filter(|path| path.is_within(&from)).cloned().collect();
        for old in moved {
            if let Some(node) = state.nodes.remove(&old) {
                state.nodes.insert(moved_path(&old, &from, &to)?, node);
            }
        }
        if is_directory {
            for ((account, old), kept) in std::mem::take(&mut state.partials) {
                let new = if old.is_within(&from) { moved_path(&old, &from, &to)? } else { old };
                state.partials.insert((account, new), kept);
            }
        }
        Ok(())
    }

    /// As `Storage::set_modified`.
    pub fn set_modified(&self, path: &VirtualPath, time: Timestamp) -> Result<(), Kind> {
        self.change(path, Operation::SetModified, |node| node.modified = time)
    }

    /// As `Storage::set_mode`.
    pub fn set_mode(&self, path: &VirtualPath, mode: u32) -> Result<(), Kind> {
        self.change(path, Operation::SetMode, |node| node.look.mode = mode & 0o1777)
    }

    /// As `Storage::set_group`.
    pub fn set_group(&self, path: &VirtualPath, gid: u32) -> Result<(), Kind> {
        self.change(path, Operation::SetGroup, |node| node.look.gid = gid)
    }

    fn change(
        &self,
        path: &VirtualPath,
        operation: Operation,
        change: impl FnOnce(&mut super::Node),
    ) -> Result<(), Kind> {
        let mut state = self.fs.state();
        state.faults.check(operation)?;
        let path = self.target(&state, path, Kind::NotFound)?;
        state.find(&path)?;
        state.nodes.get_mut(&path).map(change).ok_or(Kind::PermissionDenied)
    }

    /// Returns whether there was one.
    fn discard_partial(&self, path: &VirtualPath) -> bool {
        let Some(account) = self.account.clone() else { return false };
        self.fs.state().partials.remove(&(account, path.clone())).is_some()
    }
}

/// Returns where `path`, at or below `from`, lies once `from` has become `to`.
fn moved_path(path: &VirtualPath, from: &VirtualPath, to: &VirtualPath) -> Result<VirtualPath, Kind> {
    let rest = path.as_bytes().get(from.as_bytes().len()..).unwrap_or_default();
    let new = [to.as_bytes(), rest].concat();
    VirtualPath::resolve(&VirtualPath::root(), &new).map_err(|_| Kind::BadName)
}

/// Returns where writing starts: at `offset`, which must not lie past the end, or at the end.
fn start_within(body: &Body, offset: Option<u64>) -> Result<usize, Kind> {
    let size = lock(body).len();
    match offset.map(usize::try_from) {
        None => Ok(size),
        Some(Ok(offset)) if offset <= size => Ok(offset),
        Some(_) => Err(Kind::BadOffset),
    }
}

/// A file opened for reading.
#[derive(Debug)]
pub struct FakeReader {
    fs: FakeFs,
    body: Body,
    size: u64,
}

impl FakeReader {
    /// Returns the size when it was opened.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns up to `bytes_max` bytes at `offset`; none at the end.
    pub fn read_at(&self, offset: u64, bytes_max: usize) -> Result<Vec<u8>, Kind> {
        self.fs.state().faults.check(Operation::Read)?;
        let body = lock(&self.body);
        let rest = usize::try_from(offset).ok().and_then(|offset| body.get(offset..)).unwrap_or_default();
        Ok(rest.get(..bytes_max).unwrap_or(rest).to_vec())
    }
}

impl Drop for FakeReader {
    fn drop(&mut self) {
        self.fs.state().handles_open -= 1;
    }
}
