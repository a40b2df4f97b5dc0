use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_storage::{Answer, Backend, Storage, StorageError, Tenant};
use tidegate_types::Pattern;

use crate::blocking::{hop, lock};
use crate::deny::Deny;
use crate::errors::Because;
use crate::facts::{self, FileId, Identity};
use crate::home::Home;
use crate::root::{self, Root};
use crate::storage::LocalStorage;

/// Homes that stay open while nobody is in them; each costs two descriptors.
const IDLE_HOMES_MAX: usize = 64;

/// What must have reached the disk before an upload counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The file and its name: fsync of the file, rename, fsync of the directory.
    #[default]
    Full,
    /// The file: fsync, rename.
    File,
    /// Nothing: the kernel writes when it likes.
    None,
}

/// How files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What a commit waits for.
    pub durability: Durability,
    /// Whether a new file whose upload is cut is kept for its account, hidden, to be resumed.
    pub keep_partial: bool,
    /// How long it is kept.
    pub partial_expiry: Duration,
    /// The names that clients neither see nor touch, wherever they stand in a path, also when a link leads there.
    pub deny: Arc<[Pattern]>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            keep_partial: true,
            partial_expiry: Duration::from_hours(24),
            deny: Arc::default(),
        }
    }
}

/// Opens directories of this machine as homes.
///
/// Opening one home twice shares who writes, what is kept and the journal. Must be used inside a tokio runtime.
#[derive(Debug)]
pub struct LocalBackend {
    options: Options,
    homes: Arc<Mutex<HashMap<FileId, Arc<Home>>>>,
}

impl LocalBackend {
    /// Returns a backend after checking that the system has what it needs; `Unsupported` when `openat2` is missing, or
    /// /proc while names are denied.
    pub fn new(options: Options) -> Result<Self, StorageError> {
        root::probe()?;
        if !options.deny.is_empty() {
            root::probe_places()?;
        }
        Ok(Self { options, homes: Arc::default() })
    }
}

impl Backend for LocalBackend {
    fn open<'a>(&'a self, tenant: &'a Tenant) -> Answer<'a, Arc<dyn Storage>> {
        let (options, homes, tenant) = (self.options.clone(), Arc::clone(&self.homes), tenant.clone());
        Box::pin(hop(move || {
            let root = Root::open(&tenant.home, Deny::new(Arc::clone(&options.deny)))?;
            let about = facts::of_fd(root.fd()).because("statx", tenant.home.as_bytes())?;
            let home = find_or_insert(&homes, facts::id(&about), || Home::new(root, options))?;
            home.sweep_once()?;
            let identity = Arc::new(Identity::current());
            let Tenant { account, creation, .. } = tenant;
            Ok(Arc::new(LocalStorage { home, identity, account, creation }) as Arc<dyn Storage>)
        }))
    }
}

/// Returns the one home for `id`. Idle ones are let go under the same lock, so that a home is never open twice.
fn find_or_insert(
    homes: &Mutex<HashMap<FileId, Arc<Home>>>,
    id: FileId,
    make: impl FnOnce() -> Result<Home, StorageError>,
) -> Result<Arc<Home>, StorageError> {
    let mut homes = lock(homes);
    if let Some(home) = homes.get(&id) {
        return Ok(Arc::clone(home));
    }
    if homes.len() >= IDLE_HOMES_MAX {
        homes.retain(|_, home| Arc::strong_count(home) > 1);
    }
    let home = Arc::new(make()?);
    homes.insert(id, Arc::clone(&home));
    Ok(home)
}
