use std::sync::Arc;
use std::time::Duration;

use tidegate_types::{AccountName, Entry, Metadata, StorageErrorKind, UploadStyle, VirtualPath};

use super::Outcome;

use crate::{
    Backend, Creation, Cut, Storage, StorageError, Tenant, Upload, UploadRequest, UploadStart, commit,
};

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
    /// The account `carol`, whose files are created with mode 0640 and directories with 0710, owner and group of the home.
    pub carol: Arc<dyn Storage>,
    /// The account `alice` where [`DENIED`](super::DENIED) names are denied; where they are not, one more of her sessions.
    pub guarded: Arc<dyn Storage>,
    top: VirtualPath,
}

impl Stage {
    /// Opens `home` for everybody, `guarded` with the second backend, and creates the directory of case `number`.
    pub async fn open(
        backend: &dyn Backend,
        denying: &dyn Backend,
        home: &str,
        number: usize,
    ) -> Result<Self, String> {
        let tenant = |account: Option<&str>, creation| {
            let account = account.map(|name| AccountName(name.to_owned()));
            Tenant { account, home: home.to_owned(), creation }
        };
        let open = async |account| said(backend.open(&tenant(account, Creation::default())).await);
        let alice = open(Some("alice")).await?;
        let root = said(alice.metadata(&VirtualPath::root()).await)?;
        let creation = Creation {
            uid: Some(root.uid),
            gid: Some(root.gid),
            file_mode: Some(0o640),
            directory_mode: Some(0o710),
        };
        let stage = Self {
            alice,
            alice_again: open(Some("alice")).await?,
            bob: open(Some("bob")).await?,
            anonymous: open(None).await?,
            carol: said(backend.open(&tenant(Some("carol"), creation)).await)?,
            guarded: said(denying.open(&tenant(Some("alice"), Creation::default())).await)?,
            top: path(&format!("/case {number}"))?,
        };
        said(stage.alice.make_directory(&stage.top, 0).await)?;
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
        let (path, style) = (self.at(name)?, UploadStyle::Atomic);
        Ok(UploadRequest { path, start, style, may_overwrite: true, may_append: true, umask: 0 })
    }

    /// Uploads `content` for `who` as `request` says; returns the name it got.
    pub async fn upload(
        &self,
        who: &dyn Storage,
        request: &UploadRequest,
        content: &[u8],
    ) -> Result<String, String> {
        let mut upload = said(who.begin_upload(request).await)?;
        let name = upload.path().file_name().unwrap_or_default().escape_ascii().to_string();
        said(upload.write(content.to_vec()).await)?;
        said(commit(upload).await)?;
        Ok(name)
    }

    /// Creates the directory `name` as alice.
    pub async fn make(&self, name: &str) -> Result<(), String> {
        said(self.alice.make_directory(&self.at(name)?, 0).await)
    }

    /// Creates the link `link` to `target` as alice.
    pub async fn link(&self, target: &str, link: &str) -> Result<(), String> {
        said(self.alice.make_link(&self.at(target)?, &self.at(link)?).await)
    }

    /// Stores `content` as `name`.
    pub async fn put(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let mut upload = self.begin(name, UploadStart::Replace).await?;
        said(upload.write(content.to_vec()).await)?;
        let size = said(commit(upload).await)?;
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
        entries(&*self.alice, dir).await
    }

    /// Checks that the directory of this case shows exactly `names`, in their order.
    pub async fn expect_listed(&self, names: &[&str]) -> Result<(), String> {
        Self::expect_listed_to(&*self.alice, &self.top, names).await
    }

    /// Checks that `dir` shows exactly `names` to `who`, in their order.
    pub async fn expect_listed_to(
        who: &dyn Storage,
        dir: &VirtualPath,
        names: &[&str],
    ) -> Result<(), String> {
        let entries = entries(who, dir).await?;
        let mut found: Vec<String> =
            entries.iter().map(|entry| entry.name.escape_ascii().to_string()).collect();
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

async fn entries(who: &dyn Storage, dir: &VirtualPath) -> Result<Vec<Entry>, String> {
    let mut listing = said(who.list(dir).await)?;
    let mut entries = Vec::new();
    while let Some(page) = said(listing.pages.next_page().await)? {
        holds(!page.is_empty() && page.len() <= 256, "a page has 1 to 256 entries")?;
        entries.extend(page);
    }
    Ok(entries)
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
