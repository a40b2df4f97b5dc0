use std::sync::Arc;
use std::time::Duration;

use tidegate_types::{AccountName, Entry, Metadata, StorageErrorKind, UploadStyle, VirtualPath};

use super::Outcome;

use crate::{Backend, Cut, Storage, StorageError, Tenant, Upload, UploadRequest, UploadStart};

/// How often something that happens soon is looked for, a few milliseconds apart.
const LOOKS_MAX: u32 = 1000;

/// One directory of the home, seen by two accounts and by somebody anonymous.
pub struct Stage {
    /// The account `alice`.
    pub alice: Arc<dyn Storage>,
    /// A second session of `alice`.
    pub alice_again: Arc<dyn Storage>,
    /// The account `bob`.
    pub bob: Arc<dyn Storage>,
    /// No account.
    pub anonymous: Arc<dyn Storage>,
    top: VirtualPath,
}

impl Stage {
    /// Opens `home` for everybody and creates the directory of case `number`.
    pub async fn open(backend: &dyn Backend, home: &str, number: usize) -> Result<Self, String> {
        let open = async |account: Option<&str>| {
            let account = account.map(|name| AccountName(name.to_owned()));
            said(backend.open(&Tenant { account, home: home.to_owned() }).await)
        };
        let stage = Self {
            alice: open(Some("alice")).await?,
            alice_again: open(Some("alice")).await?,
            bob: open(Some("bob")).await?,
            anonymous: open(None).await?,
            top: path(&format!("/case {number}"))?,
        };
        said(stage.alice.make_directory(&stage.top).await)?;
        Ok(stage)
    }

    /// Returns the directory of this case.
    pub fn top(&self) -> &VirtualPath {
        &self.top
    }

    /// Returns the path of `name` in it.
    pub fn at(&self, name: impl AsRef<[u8]>) -> Result<VirtualPath, String> {
        VirtualPath::resolve(&self.top, name.as_ref()).map_err(|error| format!("{error:?}"))
    }

    /// Begins an upload of alice to `name`, everything permitted.
    pub async fn begin(&self, name: &str, start: UploadStart) -> Result<Box<dyn Upload>, String> {
        said(self.alice.begin_upload(&self.request(name, start)?).await)
    }

    /// Returns a request for `name`, everything permitted.
    pub fn request(&self, name: &str, start: UploadStart) -> Result<UploadRequest, String> {
        let path = self.at(name)?;
        Ok(UploadRequest { path, start, style: UploadStyle::Atomic, may_overwrite: true, may_append: true })
    }

    /// Stores `content` as `name`.
    pub async fn put(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let mut upload = self.begin(name, UploadStart::Replace).await?;
        said(upload.write(content.to_vec()).await)?;
        let size = said(upload.commit().await)?;
        same("committed size", &size, &(content.len() as u64))
    }

    /// Leaves a partial of `content` for alice as `name`.
    pub async fn leave_partial(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let mut upload = self.begin(name, UploadStart::Replace).await?;
        said(upload.write(content.to_vec()).await)?;
        same("the cut", &said(upload.abort().await)?, &Cut::Kept { size: content.len() as u64 })
    }

    /// Returns the whole content of `name`, read in small pieces.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, String> {
        let reader = said(self.alice.open_read(&self.at(name)?, 0).await)?;
        let mut whole = Vec::new();
        let mut buffer = Vec::with_capacity(1000);
        loop {
            buffer = said(reader.read_at(whole.len() as u64, buffer).await)?;
            if buffer.is_empty() {
                return Ok(whole);
            }
            whole.extend_from_slice(&buffer);
        }
    }

    /// Returns the facts of `name` as alice sees them.
    pub async fn facts(&self, name: &str) -> Result<Metadata, String> {
        said(self.alice.metadata(&self.at(name)?).await)
    }

    /// Checks that `name` does not exist for `who`.
    pub async fn expect_absent(&self, who: &dyn Storage, name: &str) -> Result<(), String> {
        refused(who.metadata(&self.at(name)?).await, StorageErrorKind::NotFound)
    }

    /// Checks that `name` holds `content`.
    pub async fn expect_content(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let found = self.get(name).await?;
        same(name, &found.escape_ascii().to_string(), &content.escape_ascii().to_string())
    }

    /// Returns the entries of a directory; every page must keep its bound.
    pub async fn list(&self, dir: &VirtualPath) -> Result<Vec<Entry>, String> {
        let mut listing = said(self.alice.list(dir).await)?;
        let mut entries = Vec::new();
        while let Some(page) = said(listing.pages.next_page().await)? {
            holds(!page.is_empty() && page.len() <= 256, "a page has 1 to 256 entries")?;
            entries.extend(page);
        }
        Ok(entries)
    }

    /// Checks that the directory of this case shows exactly `names`.
    pub async fn expect_listed(&self, names: &[&str]) -> Result<(), String> {
        let mut found: Vec<String> =
            self.list(&self.top).await?.iter().map(|entry| entry.name.escape_ascii().to_string()).collect();
        found.sort();
        same("the listing", &found, &names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Waits until alice's facts of `name` are as `wanted` says; what drops an upload may do its work elsewhere.
    #[expect(
        clippy::disallowed_methods,
        reason = "the runtime is unknown, and with it the way to be told of a drop's end"
    )]
    pub async fn await_facts(&self, name: &str, wanted: fn(Option<u64>) -> bool) -> Result<(), String> {
        for _ in 0..LOOKS_MAX {
            let size = self.alice.metadata(&self.at(name)?).await.ok().map(|facts| facts.size);
            if wanted(size) {
                return Ok(());
            }
            // The runtime is unknown here, so its timer is too; the work waited for runs on other threads.
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{name} did not become as it should"))
    }
}

/// Returns the absolute path `text` names.
pub(super) fn path(text: &str) -> Result<VirtualPath, String> {
    VirtualPath::resolve(&VirtualPath::root(), text.as_bytes()).map_err(|error| format!("{text}: {error:?}"))
}

/// Turns an error into a sentence, with the line that did not expect it.
#[track_caller]
pub(super) fn said<T>(answer: Result<T, StorageError>) -> Result<T, String> {
    let line = std::panic::Location::caller();
    answer.map_err(|error| format!("{error} (line {} of {})", line.line(), line.file()))
}

/// Checks that `answer` is a refusal of `kind`.
#[track_caller]
pub(super) fn refused<T>(answer: Result<T, StorageError>, kind: StorageErrorKind) -> Result<(), String> {
    let line = std::panic::Location::caller().line();
    match answer {
        Err(error) if error.kind == kind => Ok(()),
        Err(error) => Err(format!("wanted `{}`, got: {error} (line {line})", kind.as_str())),
        Ok(_) => Err(format!("wanted `{}`, but it went well (line {line})", kind.as_str())),
    }
}

/// Checks that `found` is `wanted`.
#[track_caller]
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Outcome {
    let line = std::panic::Location::caller().line();
    if found == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {found:?} instead of {wanted:?} (line {line})"))
    }
}

/// Checks that `promise` holds.
#[track_caller]
pub(super) fn holds(is_true: bool, promise: &str) -> Result<(), String> {
    let line = std::panic::Location::caller().line();
    if is_true { Ok(()) } else { Err(format!("broken: {promise} (line {line})")) }
}
