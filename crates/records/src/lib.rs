//! What must survive a restart: bans.
//!
//! # The file
//! `tidegate.redb` in a folder of its own, a redb database (crash-safe: a save is there whole or not at all), beside
//! `tidegate.lock`, which one process holds as long as it uses the folder. Two tables:
//!
//! | table | key | value |
//! |---|---|---|
//! | `about` | `format` | 1: the version of all that follows |
//! | | `saved-at` | when the bans were saved, in seconds since 1970 |
//! | `bans-1` | 0, 1, 2, … | a block of up to 64 KiB of bans, one after the other |
//!
//! A ban is 4 bytes with the number of bytes of its subject, the subject, and 26 bytes. The subject is an address, 4 and the 4
//! bytes of an IPv4 address or 6 and the upper 8 bytes of an IPv6 address, and then the name that alone is banned from there,
//! 1 and its UTF-8; 0 when the whole address is. The 26 bytes are:
//!
//! | bytes | what |
//! |---|---|
//! | 0 | the reason: 1 login-failures, 2 flood, 3 operator |
//! | 1 | how many bans in a row it is |
//! | 2–9 | how much of it was left when it was saved |
//! | 10–17 | how long before that it had ended; zero while it lasted |
//! | 18–25 | how long it is in all |
//!
//! all numbers big-endian, durations in nanoseconds. Durations and one common date rather than a date for each: a clock that is set
//! back cannot make a ban longer than it was.
//!
//! A file whose `format` is higher is somebody's who knows better: it is left alone. A damaged file is moved aside, never removed.
//!
//! # Cost
//! All bans are written each time, in blocks: as many rows would take twenty times as long, and saves come when the machine has
//! the least time for them. 65,536 bans are 4 to 9 MiB, twice that on the disk. Calls block on the disk: not for a thread of the runtime.
#![forbid(unsafe_code)]

mod encoding;
mod keeper;
mod store;

pub use keeper::{Keeper, SAVE_EVERY};
pub use store::{Damage, FILE_NAME, Opened, Records, RecordsError};
