//! What the world's storage answers, as a shell would carry it out on real files.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use tidegate_protocol::command::HashAlgorithm;
use tidegate_protocol::listing::{ListWriter, NO_ACCESS};
use tidegate_protocol::session::{Glob, StorageDone, StorageRequest};
use tidegate_storage::UploadRequest;
use tidegate_types::{
    Entry, FileKind, Metadata, Pattern, StorageErrorKind, Unique, UploadStart, UploadStyle, VirtualPath,
};

use super::data::{ListSource, Opened};
use super::{ConnectionId, World};
use crate::FakeHome;

type Stored = Result<StorageDone, StorageErrorKind>;

/// Directories a recursive listing shows at most: enough for any test.
const DIRECTORIES_MAX: usize = 1000;

/// Returns whether the session hears while `what` goes on.
pub(super) fn is_long(what: &StorageRequest) -> bool {
    matches!(
        what,
        StorageRequest::Hash { .. }
            | StorageRequest::Copy { .. }
            | StorageRequest::Combine { .. }
            | StorageRequest::RemoveTree(_)
    )
}

impl World {
    pub(super) fn store(&mut self, id: ConnectionId, what: StorageRequest) -> Stored {
        let home = self.connections[id].home.clone().expect("storage is asked after login only");
        match what {
            StorageRequest::OpenDownload { path, offset } => {
                let reader = home.open_read(&path, offset)?;
                let size = reader.size();
                self.connections[id].opened = Some(Opened::Download(reader));
                Ok(StorageDone::Download { size })
            }
            StorageRequest::OpenUpload { path, start, style, may_overwrite, may_append, umask } => {
                let request = UploadRequest { path, start, style, may_overwrite, may_append, umask };
                let upload = home.begin_upload(&request)?;
                let path = upload.path().clone();
                self.connections[id].opened = Some(Opened::Upload(upload));
                Ok(StorageDone::Upload { path })
            }
            StorageRequest::OpenListing { path, or_file, glob } => {
                let (source, done) = open_listing(&home, &path, or_file, glob)?;
                self.connections[id].opened = Some(Opened::Listing(source));
                Ok(done)
            }
            StorageRequest::Peek { path, entries_max } => {
                let now = self.clock.wall();
                let about = home.metadata(&path)?;
                if about.kind != FileKind::Directory {
                    return Ok(StorageDone::Entries { about, entries: Vec::new(), truncated: false, now });
                }
                let (about, mut entries) = home.list(&path)?;
                let truncated = entries.len() > entries_max;
                entries.truncate(entries_max);
                Ok(StorageDone::Entries { about, entries, truncated, now })
            }
            other => store_at_once(&home, other),
        }
    }
}

/// Does what opens nothing.
fn store_at_once(home: &FakeHome, what: StorageRequest) -> Stored {
    let done = |()| StorageDone::Done;
    match what {
        StorageRequest::Enter(path) => home.enter(&path).map(done),
        StorageRequest::Metadata(path) => home.metadata(&path).map(StorageDone::Metadata),
        StorageRequest::Facts(path) => home.metadata(&path).and_then(|about| {
            let parent = if path.is_root() { NO_ACCESS } else { home.metadata(&path.parent())?.access };
            Ok(StorageDone::Facts { about, parent })
        }),
        StorageRequest::MakeDirectory { path, umask } => home.make_directory(&path, umask).map(done),
        StorageRequest::RemoveDirectory(path) => home.remove_directory(&path).map(done),
        StorageRequest::RemoveFile(path) => home.remove_file(&path).map(done),
        StorageRequest::RemoveTree(path) => home.remove_tree(&path).map(done),
        StorageRequest::Rename { from, to, may_overwrite } => {
            home.rename(&from, &to, may_overwrite).map(done)
        }
        StorageRequest::SetModified { path, time } => home.set_modified(&path, time).map(done),
        StorageRequest::SetMode { path, mode } => home.set_mode(&path, mode).map(done),
        StorageRequest::SetGroup { path, gid } => home.set_group(&path, gid).map(done),
        StorageRequest::MakeLink { target, link } => home.make_link(&target, &link).map(done),
        StorageRequest::Available(path) => home.available(&path).map(StorageDone::Available),
        StorageRequest::Hash { path, algorithm, range } => hash(home, &path, algorithm, range),
        StorageRequest::Copy { from, to, may_overwrite, umask, size_max } => {
            let content = read(home, &from, 0)?;
            refuse_beyond(size_max, content.len())?;
            let request = UploadRequest {
                path: to,
                start: UploadStart::Replace,
                style: UploadStyle::Atomic,
                may_overwrite,
                may_append: false,
                umask,
            };
            write(home, &request, &content).map(done)
        }
        StorageRequest::Combine { target, parts, umask, size_max } => {
            combine(home, target, &parts, (umask, size_max)).map(done)
        }
        opens => panic!("not at once: {opens:?}"),
    }
}

fn open_listing(
    home: &FakeHome,
    path: &VirtualPath,
    or_file: bool,
    glob: Option<Glob>,
) -> Result<(ListSource, StorageDone), StorageErrorKind> {
    let kind = match home.list(path) {
        Ok((about, entries)) => {
            let way = Some((home.clone(), path.clone()));
            return Ok((
                ListSource { about: Some(about), entries, way },
                StorageDone::Listing { single: false },
            ));
        }
        Err(kind) => kind,
    };
    let kind = match home.metadata(path) {
        Ok(metadata) if kind == StorageErrorKind::NotADirectory && or_file => {
            let name = path.file_name().unwrap_or_default().to_vec();
            let source = ListSource { about: None, entries: vec![Entry { name, metadata }], way: None };
            return Ok((source, StorageDone::Listing { single: true }));
        }
        Err(_) if kind == StorageErrorKind::NotADirectory => StorageErrorKind::NotFound,
        _ => kind,
    };
    let Some(glob) = glob.filter(|_| kind == StorageErrorKind::NotFound) else { return Err(kind) };
    let mut entries = Vec::new();
    matches(home, &glob.base, (&glob.levels, glob.hidden), &[], &mut entries);
    if entries.is_empty() {
        return Err(StorageErrorKind::NotFound);
    }
    Ok((ListSource { about: None, entries, way: None }, StorageDone::Matches))
}

/// Appends what `levels` match below `at`, named by `shown` and their own name. What cannot be read matches nothing.
fn matches(
    home: &FakeHome,
    at: &VirtualPath,
    (levels, hidden): (&[Pattern], bool),
    shown: &[u8],
    found: &mut Vec<Entry>,
) {
    let Some((pattern, below)) = levels.split_first() else { return };
    let entries = home.list(at).map(|(_, entries)| entries).unwrap_or_default();
    for Entry { name, metadata } in entries {
        let may_show =
            hidden || pattern.names_hidden() || pattern.literal().is_some() || !name.starts_with(b".");
        if !may_show || !pattern.matches(&name) {
            continue;
        }
        let shown = [shown, &name].concat();
        if below.is_empty() {
            found.push(Entry { name: shown, metadata });
        } else if metadata.kind == FileKind::Directory
            && let Ok(inner) = VirtualPath::resolve(at, &name)
        {
            matches(home, &inner, (below, hidden), &[&shown[..], b"/"].concat(), found);
        }
    }
}

/// Appends the directories below a listed one, depth first.
pub(super) fn list_below(
    (home, base): (&FakeHome, &VirtualPath),
    hidden: bool,
    writer: &mut ListWriter,
    (about, entries): (&Metadata, &[Entry]),
    lines: &mut Vec<u8>,
) {
    let branches = |at: &VirtualPath, way: &[Unique], entries: &[Entry]| -> Vec<_> {
        let below = entries.iter().rev().filter(|entry| {
            let is_new = !way.contains(&entry.metadata.unique);
            is_new && entry.metadata.kind == FileKind::Directory && (hidden || !entry.name.starts_with(b"."))
        });
        below
            .map(|entry| {
                let at = VirtualPath::resolve(at, &entry.name).expect("a name");
                (at, entry.metadata, [way, &[entry.metadata.unique]].concat())
            })
            .collect()
    };
    let mut waiting = branches(base, &[about.unique], entries);
    let mut count = 0;
    while let Some((at, about, way)) = waiting.pop() {
        count += 1;
        assert!(count < DIRECTORIES_MAX, "too many directories for a test");
        let above = base.as_bytes().len() + usize::from(!base.is_root());
        writer.subdirectory(&at.as_bytes()[above..], &about, lines);
        let entries = home.list(&at).map(|(_, entries)| entries).unwrap_or_default();
        for entry in &entries {
            writer.entry(entry, lines);
        }
        waiting.extend(branches(&at, &way, &entries));
    }
}

fn hash(
    home: &FakeHome,
    path: &VirtualPath,
    algorithm: HashAlgorithm,
    (from, to): (u64, Option<u64>),
) -> Stored {
    let bytes = read(home, path, from)?;
    let size = from + bytes.len() as u64;
    let to = to.unwrap_or(size).clamp(from, size);
    let bytes = &bytes[..usize::try_from(to - from).expect("it is in memory")];
    let digest = match algorithm {
        HashAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
        HashAlgorithm::Sha512 => Sha512::digest(bytes).to_vec(),
        HashAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
        HashAlgorithm::Md5 => Md5::digest(bytes).to_vec(),
        HashAlgorithm::Crc32 => crc32fast::hash(bytes).to_be_bytes().to_vec(),
    };
    Ok(StorageDone::Hashed { digest, from, to })
}

/// Reads a file from `from` to its end.
fn read(home: &FakeHome, path: &VirtualPath, from: u64) -> Result<Vec<u8>, StorageErrorKind> {
    let reader = home.open_read(path, from)?;
    let size = usize::try_from(reader.size() - from).expect("it is in memory");
    let bytes = reader.read_at(from, size)?;
    if bytes.len() == size { Ok(bytes) } else { Err(StorageErrorKind::Failed) }
}

/// Writes and commits; what fails leaves nothing.
fn write(home: &FakeHome, request: &UploadRequest, content: &[u8]) -> Result<(), StorageErrorKind> {
    let mut upload = home.begin_upload(request)?;
    if let Err(kind) = upload.write(content) {
        upload.take_back();
        return Err(kind);
    }
    upload.commit().map(|_size| ())
}

fn combine(
    home: &FakeHome,
    target: VirtualPath,
    parts: &[VirtualPath],
    (umask, size_max): (u32, Option<u64>),
) -> Result<(), StorageErrorKind> {
    let (mut total, mut known) = match home.metadata(&target) {
        Ok(about) => (usize::try_from(about.size).expect("it is in memory"), vec![about.unique]),
        Err(StorageErrorKind::NotFound) => (0, Vec::new()),
        Err(kind) => return Err(kind),
    };
    let mut content = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        // The target, or another part, by whatever name.
        let unique = home.metadata(part)?.unique;
        if *part == target || parts[..at].contains(part) || known.contains(&unique) {
            return Err(StorageErrorKind::PermissionDenied);
        }
        known.push(unique);
        content.extend(read(home, part, 0)?);
    }
    total += content.len();
    refuse_beyond(size_max, total)?;
    let request = UploadRequest {
        path: target,
        start: UploadStart::Append,
        style: UploadStyle::Atomic,
        may_overwrite: false,
        may_append: true,
        umask,
    };
    write(home, &request, &content)?;
    parts.iter().try_for_each(|part| home.remove_file(part))
}

fn refuse_beyond(size_max: Option<u64>, size: usize) -> Result<(), StorageErrorKind> {
    if size_max.is_some_and(|size_max| size as u64 > size_max) {
        Err(StorageErrorKind::TooLarge)
    } else {
        Ok(())
    }
}
