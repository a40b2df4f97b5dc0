//! Who users are, what they may do, how they prove it.
//!
//! Everything here computes and nothing waits for input or output, but a password check takes tens of milliseconds and
//! [`Accounts::memory_kib_max`] of memory: call it on a bounded pool of blocking threads.

mod account;
mod accounts;
mod password;

pub use account::{Account, Anonymous, Denied, Login};
pub use accounts::{Accounts, AccountsError, MistakeInHash};
pub use password::{
    HashError, MEMORY_KIB_MAX, PASSES_MAX, PASSWORD_BYTES_MAX, RandomError, hash_password, random_password,
};
