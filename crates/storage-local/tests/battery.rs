//! Every promise of the storage battery, kept by local files.

use tidegate_storage::battery;
use tidegate_storage_local::{Durability, LocalBackend, Options};
use tidegate_types::Pattern;

#[tokio::test]
async fn local_files_keep_every_promise() {
    for durability in [Durability::Full, Durability::File, Durability::None] {
        // In memory where that can be had: what fsync costs on a disk is not what is tested here.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let backend = LocalBackend::new(Options { durability, ..Options::default() }).unwrap();
        battery::run(&backend, home.path().to_str().unwrap().to_owned()).await;
    }
}

#[tokio::test]
async fn local_files_keep_every_promise_where_names_are_denied() {
    let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let options = Options { durability: Durability::None, ..Options::default() };
    let deny = battery::DENIED.map(|text| Pattern::parse(text.as_bytes()).unwrap()).into();
    let plain = LocalBackend::new(options.clone()).unwrap();
    let denying = LocalBackend::new(Options { deny, ..options }).unwrap();
    battery::run_denying(&plain, &denying, home.path().to_str().unwrap().to_owned()).await;
}
