//! Nouns that two or more rooms of tidegate share. Pure: no socket, clock, thread or random source.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod address;
mod file;
mod moment;
mod path;
mod pattern;
mod refusal;
mod shown;
mod storage_error;
mod upload;

pub use account::{AccountName, Profile, Rights, RightsError, UploadStyle};
pub use address::{AddressKey, AddressKeyError, normalize_address};
pub use file::{Access, Entry, FileKind, Metadata, Timestamp, Unique};
pub use moment::Moment;
pub use path::{COMPONENT_BYTES_MAX, PATH_BYTES_MAX, PathError, VirtualPath};
pub use pattern::{Pattern, PatternError, WILDCARDS_MAX};
pub use refusal::{Cause, Refusal, SignalKind};
pub use shown::{Shown, is_hostile};
pub use storage_error::StorageErrorKind;
pub use upload::{Creation, Cut, UploadStart};
