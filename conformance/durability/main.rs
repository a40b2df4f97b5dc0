//! What 226 promises: the file is whole, under its name, on the disk; whatever happens before leaves the old one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod crash;
mod disk_full;
mod order;
