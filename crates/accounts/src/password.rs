use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{self, CustomizedPasswordHasher, PasswordVerifier};
use argon2::{ARGON2ID_IDENT, Argon2, Params, Version};

use crate::MistakeInHash;

/// The longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// The most memory one check may take, in KiB; a hash that needs more is an error when it is loaded.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// The most passes over that memory (`t`) a hash may ask for.
pub const PASSES_MAX: u32 = 32;
/// The most lanes (`p`) a hash may ask for; they are computed one after the other.
const LANES_MAX: u32 = 16;

/// What new hashes cost: the least memory OWASP recommends for argon2id, 19 MiB in two passes.
const COST: Cost = Cost { memory_kib: 19_456, passes: 2, lanes: 1 };
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// What one check costs; the same cost takes the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        COST
    }
}

/// A stored password that has been read and found affordable.
#[derive(Clone)]
pub(crate) struct StoredPassword {
    hash: PasswordHash,
    cost: Cost,
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPassword").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl StoredPassword {
    /// Reads an argon2id hash in PHC form with version, salt and output.
    pub(crate) fn parse(text: &str) -> Result<Self, MistakeInHash> {
        let hash = PasswordHash::new(text).map_err(|_| MistakeInHash::NotPhc)?;
        if hash.algorithm != ARGON2ID_IDENT {
            return Err(MistakeInHash::OtherAlgorithm);
        }
        // Without a version some tools mean 16 and others 19: such a hash might never match.
        if hash.version.and_then(|version| Version::try_from(version).ok()).is_none() {
            return Err(MistakeInHash::Version);
        }
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(MistakeInHash::Incomplete);
        }
        let params = Params::try_from(&hash).map_err(|_| MistakeInHash::Parameters)?;
        let cost = Cost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
        if cost.memory_kib > MEMORY_KIB_MAX {
            return Err(MistakeInHash::Memory { kib: cost.memory_kib });
        }
        if cost.passes > PASSES_MAX || cost.lanes > LANES_MAX {
            return Err(MistakeInHash::Passes { passes: cost.passes, lanes: cost.lanes });
        }
        Ok(Self { hash, cost })
    }

    /// Returns one of `cost` that no password matches: salt and output are random and the output is nobody's hash.
    pub(crate) fn dummy(cost: Cost) -> Result<Self, HashError> {
        let mut output = [0; OUTPUT_BYTES];
        getrandom::fill(&mut output)?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params(cost)?)?,
            salt: Some(Salt::new(&random_salt()?).map_err(|_| HashError::Failed)?),
            hash: Some(Output::new(&output).map_err(|_| HashError::Failed)?),
        };
        Ok(Self { hash, cost })
    }

    pub(crate) const fn cost(&self) -> Cost {
        self.cost
    }

    /// Computes the hash of `password` and returns whether it is this one, compared in constant time. Error: it could
    /// not be computed.
    pub(crate) fn verify(&self, password: &[u8]) -> Result<bool, HashError> {
        match Argon2::default().verify_password(password, &self.hash) {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(_) => Err(HashError::Failed),
        }
    }
}

/// Why a password could not be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// A password of no bytes would let everybody in.
    #[error("the password is empty")]
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`]: it could never be sent.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// NUL, CR or LF: it could never be sent in a PASS command.
    #[error("the password contains a NUL, CR or LF")]
    ForbiddenByte,
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomNumbers,
    /// Argon2 failed, for want of memory.
    #[error("the password could not be hashed")]
    Failed,
}

/// The operating system gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers")]
pub struct RandomError;

impl From<getrandom::Error> for HashError {
    fn from(_: getrandom::Error) -> Self {
        Self::NoRandomNumbers
    }
}

impl From<getrandom::Error> for RandomError {
    fn from(_: getrandom::Error) -> Self {
        Self
    }
}

impl From<password_hash::Error> for HashError {
    fn from(_: password_hash::Error) -> Self {
        Self::Failed
    }
}

impl From<argon2::Error> for HashError {
    fn from(_: argon2::Error) -> Self {
        Self::Failed
    }
}

/// Returns the argon2id hash of `password` in PHC form: 19 MiB, two passes, one lane, a random salt of 16 bytes.
pub fn hash_password(password: &[u8]) -> Result<String, HashError> {
    if password.is_empty() {
        return Err(HashError::Empty);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(HashError::TooLong);
    }
    if password.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err(HashError::ForbiddenByte);
    }
    let hash = Argon2::default().hash_password_with_params(password, &random_salt()?, params(COST)?)?;
    Ok(hash.to_string())
}

fn params(cost: Cost) -> Result<Params, HashError> {
    Ok(Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(OUTPUT_BYTES))?)
}

fn random_salt() -> Result<[u8; SALT_BYTES], HashError> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    Ok(salt)
}

/// Letters and digits that are not mistaken for one another: no `i`, `l`, `o`, `0`, `1`; nothing that a URL or shell escapes.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
const GROUPS: usize = 3;
const GROUP_CHARS: usize = 6;

/// Returns a random password that is easy to read and type: three groups of six such as `k7mwqa-…`, 89 bits.
pub fn random_password() -> Result<String, RandomError> {
    let mut password = String::with_capacity(GROUPS * (GROUP_CHARS + 1));
    for group in 0..GROUPS {
        if group > 0 {
            password.push('-');
        }
        for _ in 0..GROUP_CHARS {
            password.push(random_char()?);
        }
    }
    Ok(password)
}

/// Returns one character of [`ALPHABET`], each as likely as the others.
fn random_char() -> Result<char, RandomError> {
    loop {
        // Five bits name 32 characters and there are 31: the last is drawn again, so that none is more likely.
        let choice = usize::try_from(getrandom::u32()? & 31).unwrap_or(0);
        if let Some(byte) = ALPHABET.get(choice) {
            return Ok(char::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests;
