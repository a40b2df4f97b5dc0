//! Every promise of the storage battery, kept by local files.

use tidegate_storage_local::{Durability, LocalBackend, Options};

#[tokio::test]
async fn local_files_keep_every_promise() {
    for durability in [Durability::Full, Durability::File, Durability::None] {
        // In memory where that can be had: what fsync costs on a disk is not what is tested here.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let backend = LocalBackend::new(Options { durability, ..Options::default() }).unwrap();
        tidegate_storage::battery::run(&backend, home.path().to_str().unwrap().to_owned()).await;
    }
}
