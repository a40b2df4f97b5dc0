//! Real clients doing a day's work. A client that is not installed fails its test: `cargo xtask install` brings it.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod basic_ftp;
mod curl;
mod ftplib;
mod ftputil;
mod lftp;
mod run;
mod sparse;
mod wget;
