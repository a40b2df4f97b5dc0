//! The file and what is done with it.

use std::any::Any;
use std::borrow::Borrow;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use tidegate_admission::BanRecord;

use crate::encoding::{aged, decode, encode};

/// The name of the file with everything.
pub const FILE_NAME: &str = "tidegate.redb";
/// The name of the file that one process holds locked.
const LOCK_NAME: &str = "tidegate.lock";
/// The version of what is written; higher ones are left alone.
const FORMAT: u64 = 1;
/// How much of the file is kept in memory, in bytes. Left to itself redb takes up to 1 GiB.
const CACHE_BYTES: usize = 2 << 20;
/// How many damaged files are kept aside.
const ASIDE_MAX: u32 = 1_000;

const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");
/// How large a block of bans gets, in bytes, before the next one is begun.
const BLOCK_BYTES: usize = 63 << 10;
const BANS: TableDefinition<u32, &[u8]> = TableDefinition::new("bans-1");

/// Why records cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The folder, or what is in it, cannot be used.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("another process uses {}", path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// A version of tidegate that knows more has written the file.
    #[error("{} was written by another version of tidegate ({what})", path.display())]
    OtherVersion {
        /// Which file.
        path: PathBuf,
        /// How it differs.
        what: String,
    },
    /// The file is damaged.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It cannot be read or written now: the disk is full, or fails.
    #[error("cannot read or write {}", path.display())]
    Failed {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

/// What [`Records::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The records, ready.
    pub records: Records,
    /// There was a damaged file, which is kept aside; the records begin empty.
    pub damage: Option<Damage>,
}

/// A file that was damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it is now.
    pub moved_to: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// What survives a restart, in a folder that no other process uses meanwhile.
#[derive(Debug)]
pub struct Records {
    file: PathBuf,
    /// `None` after a failure; the next call opens it again.
    database: Option<Database>,
    _lock: File,
}

impl Records {
    /// Opens the records in `folder`, which is made (for its owner alone) when it is not there. Reads and checks all of them. A damaged
    /// file is renamed to `tidegate.redb.damaged-N` and a new one begun.
    ///
    /// Errors: `Unusable`, `InUse`, `OtherVersion`, `Failed`; the records are as they were then.
    pub fn open(folder: &Path) -> Result<Opened, RecordsError> {
        let unusable = |path: &Path, source| RecordsError::Unusable { path: path.to_owned(), source };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| unusable(folder, source))?;
        let lock = lock(folder)?;
        let file = folder.join(FILE_NAME);
        let (database, damage) = match open_checked(&file) {
            Err(RecordsError::Damaged { what, .. }) => {
                let moved_to = move_aside(&file).map_err(|source| unusable(&file, source))?;
                (open_checked(&file)?, Some(Damage { moved_to, what }))
            }
            outcome => (outcome?, None),
        };
        // The name of a new file survives a crash of the machine, too.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| unusable(folder, source))?;
        Ok(Opened { records: Self { file, database: Some(database), _lock: lock }, damage })
    }

    /// Returns the bans as they are at `now_unix_secs`, seconds since 1970: the time since they were saved is taken from what was left,
    /// the rest counts as time since the end. A clock that was set back takes nothing and adds nothing.
    ///
    /// Errors: `Failed`, `Damaged`.
    pub fn load_bans(&mut self, now_unix_secs: u64) -> Result<Vec<BanRecord>, RecordsError> {
        self.with(|database, file| read_bans(database, file, now_unix_secs))
    }

    /// Replaces all bans by `bans`, as they are at `now_unix_secs`, and returns how many there are. When it returns, they are on
    /// the disk; when it fails, those of the last time are, and the next call tries again.
    ///
    /// Errors: `Failed`, `Damaged`.
    pub fn save_bans<B>(
        &mut self,
        bans: impl IntoIterator<Item = B>,
        now_unix_secs: u64,
    ) -> Result<usize, RecordsError>
    where
        B: Borrow<BanRecord>,
    {
        self.with(|database, file| {
            write_bans(database, bans, now_unix_secs).map_err(|error| judge(file, error))
        })
    }

    /// Calls `work` with the database; opens it again when the last call failed, since redb refuses everything after a failed write.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&Database, &Path) -> Result<T, RecordsError>,
    ) -> Result<T, RecordsError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open_checked(&self.file)?,
        };
        let done = work(&database, &self.file)?;
        self.database = Some(database);
        Ok(done)
    }
}

fn lock(folder: &Path) -> Result<File, RecordsError> {
    let path = folder.join(LOCK_NAME);
    let unusable = |source| RecordsError::Unusable { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecordsError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Renames `file` to the first free `.damaged-N`.
fn move_aside(file: &Path) -> io::Result<PathBuf> {
    for number in 1..=ASIDE_MAX {
        let aside = file.with_file_name(format!("{FILE_NAME}.damaged-{number}"));
        if !aside.try_exists()? {
            std::fs::rename(file, &aside)?;
            return Ok(aside);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "a thousand damaged files are kept already"))
}

/// Opens `file`, or makes it, and reads everything in it once.
fn open_checked(file: &Path) -> Result<Database, RecordsError> {
    // redb checks sums, and still its authors warn that some damage is found by a panic only.
    catch_unwind(AssertUnwindSafe(|| {
        let database = open(file)?;
        check_format(&database, file)?;
        read_bans(&database, file, 0)?;
        Ok(database)
    }))
    .unwrap_or_else(|panic| Err(RecordsError::Damaged { path: file.to_owned(), what: words_of(&*panic) }))
}

fn open(file: &Path) -> Result<Database, RecordsError> {
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(file);
    made.map_err(|source| RecordsError::Unusable { path: file.to_owned(), source })?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.create(file).map_err(|error| judge(file, error.into()))
}

/// Begins a new file; refuses one of another version.
fn check_format(database: &Database, file: &Path) -> Result<(), RecordsError> {
    let asked = || -> Result<(Option<u64>, bool), redb::Error> {
        let reading = database.begin_read()?;
        let format = match reading.open_table(ABOUT) {
            Err(TableError::TableDoesNotExist(_)) => None,
            about => about?.get("format")?.map(|format| format.value()),
        };
        Ok((format, reading.list_tables()?.next().is_none()))
    };
    match asked().map_err(|error| judge(file, error))? {
        (Some(FORMAT), _) => Ok(()),
        (Some(format), _) => Err(RecordsError::OtherVersion {
            path: file.to_owned(),
            what: format!("its format is {format}, known is {FORMAT}"),
        }),
        (None, true) => {
            let none: [BanRecord; 0] = [];
            write_bans(database, none, 0).map_err(|error| judge(file, error)).map(drop)
        }
        (None, false) => Err(RecordsError::Damaged {
            path: file.to_owned(),
            what: "it does not tell its format".to_owned(),
        }),
    }
}

fn read_bans(database: &Database, file: &Path, now_unix_secs: u64) -> Result<Vec<BanRecord>, RecordsError> {
    let read = || -> Result<Option<Vec<BanRecord>>, redb::Error> {
        let reading = database.begin_read()?;
        let saved_at = reading.open_table(ABOUT)?.get("saved-at")?.map_or(u64::MAX, |secs| secs.value());
        let elapsed = Duration::from_secs(now_unix_secs.saturating_sub(saved_at));
        let mut bans = Vec::new();
        for row in reading.open_table(BANS)?.iter()? {
            let (_number, block) = row?;
            if decode(block.value(), &mut bans).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(bans.into_iter().map(|ban| aged(ban, elapsed)).collect()))
    };
    match read() {
        Ok(Some(bans)) => Ok(bans),
        Ok(None) => {
            Err(RecordsError::Damaged { path: file.to_owned(), what: "it holds what is no ban".to_owned() })
        }
        Err(error) => Err(judge(file, error)),
    }
}

fn write_bans<B>(
    database: &Database,
    bans: impl IntoIterator<Item = B>,
    now_unix_secs: u64,
) -> Result<usize, redb::Error>
where
    B: Borrow<BanRecord>,
{
    let writing = database.begin_write()?;
    writing.delete_table(BANS)?;
    let mut about = writing.open_table(ABOUT)?;
    about.insert("format", FORMAT)?;
    about.insert("saved-at", now_unix_secs)?;
    drop(about);
    let mut table = writing.open_table(BANS)?;
    let (mut count, mut number, mut block) = (0, 0, Vec::with_capacity(BLOCK_BYTES + 1024));
    for ban in bans {
        encode(ban.borrow(), &mut block);
        count += 1;
        if block.len() >= BLOCK_BYTES {
            table.insert(number, block.as_slice())?;
            number += 1;
            block.clear();
        }
    }
    if !block.is_empty() {
        table.insert(number, block.as_slice())?;
    }
    drop(table);
    writing.commit()?;
    Ok(count)
}

/// Tells damage from what will pass and from what another version wrote.
fn judge(file: &Path, error: redb::Error) -> RecordsError {
    let path = file.to_owned();
    let is_damage = match &error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            return RecordsError::InUse { path };
        }
        redb::Error::UpgradeRequired(_) => {
            return RecordsError::OtherVersion { path, what: error.to_string() };
        }
        // This is how redb says that the file is newer than it.
        redb::Error::Corrupted(what) if what.contains("file format version") => {
            return RecordsError::OtherVersion { path, what: what.clone() };
        }
        redb::Error::Io(cause) => {
            matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        }
        redb::Error::Corrupted(_)
        | redb::Error::RepairAborted
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => true,
        _ => false,
    };
    if is_damage {
        RecordsError::Damaged { path, what: error.to_string() }
    } else {
        RecordsError::Failed { path, source: Box::new(error) }
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("reading it failed").to_owned()
}

#[cfg(test)]
mod tests;
