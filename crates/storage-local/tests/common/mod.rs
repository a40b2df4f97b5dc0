//! What the tests of this backend share.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::Path;
use std::sync::Arc;

use tidegate_storage::{
    Backend, Creation, Storage, StorageError, Tenant, Upload, UploadRequest, UploadStart, commit,
};
use tidegate_storage_local::{Durability, LocalBackend, Options};
use tidegate_types::{AccountName, Pattern, UploadStyle, VirtualPath};

pub(crate) fn backend() -> LocalBackend {
    LocalBackend::new(Options { durability: Durability::None, ..Options::default() }).unwrap()
}

pub(crate) async fn open(backend: &LocalBackend, home: &Path, account: &str) -> Arc<dyn Storage> {
    open_as(backend, home, account, Creation::default()).await
}

pub(crate) async fn open_as(
    backend: &LocalBackend,
    home: &Path,
    account: &str,
    creation: Creation,
) -> Arc<dyn Storage> {
    let account = Some(AccountName(account.to_owned()));
    backend.open(&Tenant { account, home: home.to_str().unwrap().to_owned(), creation }).await.unwrap()
}

pub(crate) fn denying(patterns: &[&str]) -> LocalBackend {
    let deny = patterns.iter().map(|text| Pattern::parse(text.as_bytes()).unwrap()).collect();
    LocalBackend::new(Options { durability: Durability::None, deny, ..Options::default() }).unwrap()
}

pub(crate) fn path(text: &str) -> VirtualPath {
    VirtualPath::resolve(&VirtualPath::root(), text.as_bytes()).unwrap()
}

pub(crate) fn request(text: &str, start: UploadStart) -> UploadRequest {
    UploadRequest {
        path: path(text),
        start,
        style: UploadStyle::Atomic,
        may_overwrite: true,
        may_append: true,
        umask: 0,
    }
}

pub(crate) async fn begin(storage: &dyn Storage, text: &str) -> Result<Box<dyn Upload>, StorageError> {
    storage.begin_upload(&request(text, UploadStart::Replace)).await
}

pub(crate) async fn put(storage: &dyn Storage, text: &str, content: &[u8]) -> Result<u64, StorageError> {
    let mut upload = begin(storage, text).await?;
    upload.write(content.to_vec()).await?;
    commit(upload).await
}

pub(crate) async fn get(storage: &dyn Storage, text: &str) -> Result<Vec<u8>, StorageError> {
    let reader = storage.open_read(&path(text), 0).await?;
    reader.read_at(0, Vec::with_capacity(1 << 20)).await
}

/// Returns the names in `dir` that clients never see, the journals left out.
pub(crate) fn temps(dir: &Path) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".tidegate-") && !name.starts_with(".tidegate-journal-"))
        .collect();
    found.sort();
    found
}
