//! Real clients doing a day's work. A client that is not installed fails its test: `cargo xtask install` brings it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests"
)]

mod balancer;
mod basic_ftp;
mod battery;
mod clients;
mod curl;
mod ftplib;
mod ftputil;
mod haproxy;
mod lab;
mod lftp;
mod limits;
mod patience;
mod prometheus;
mod rclone;
mod retries;
mod run;
mod sparse;
mod suppaftp;
mod tnftp;
mod wget;
