//! The clients of the battery: each row is a test that does every errand.

use crate::battery::{self, Worker};

macro_rules! clients {
    ($($test:ident: $worker:expr,)*) => {
        const ALL: &[&dyn Worker] = &[$(&$worker),*];
        $(
            #[test]
            fn $test() {
                battery::run(&$worker);
            }
        )*
    };
}

clients! {
    curl: crate::curl::Curl,
    lftp: crate::lftp::Lftp,
    ftplib: crate::ftplib::Ftplib,
    wget: crate::wget::Wget,
    basic_ftp: crate::basic_ftp::BasicFtp,
    suppaftp: crate::suppaftp::Suppaftp,
    tnftp: crate::tnftp::Tnftp,
    rclone: crate::rclone::Rclone,
}

/// Returns the names of all of them, as they stand in `limits.rs`.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|worker| worker.name()).collect()
}
