/// How a digest is computed (HASH, XCRC, XMD5, XSHA and their kin).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-256: what a session starts with.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
    /// SHA-1, for old clients: finds accidents, not forgeries.
    Sha1,
    /// MD5, likewise.
    Md5,
    /// CRC-32 as in ZIP, likewise.
    Crc32,
}

impl HashAlgorithm {
    /// Every algorithm, in the order FEAT tells them.
    pub const ALL: [Self; 5] = [Self::Sha256, Self::Sha512, Self::Sha1, Self::Md5, Self::Crc32];

    /// Returns the name HASH and FEAT use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Sha1 => "SHA-1",
            Self::Md5 => "MD5",
            Self::Crc32 => "CRC32",
        }
    }

    /// Returns how long its digest is, in bytes.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Sha1 => 20,
            Self::Md5 => 16,
            Self::Crc32 => 4,
        }
    }

    /// Returns the algorithm of that name in any case, with or without a hyphen in `SHA`.
    pub fn find(name: &[u8]) -> Option<Self> {
        let plain = |name: &[u8]| -> alloc::vec::Vec<u8> {
            name.iter().filter(|byte| **byte != b'-').map(u8::to_ascii_uppercase).collect()
        };
        Self::ALL.into_iter().find(|algorithm| plain(algorithm.name().as_bytes()) == plain(name))
    }
}
