/// The commands that are off by default and that the operator has switched on: a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras(u16);

impl Extras {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// RMDA: removes a directory with everything in it.
    pub const RMDA: Self = Self(1);
    /// COMB: joins files.
    pub const COMB: Self = Self(1 << 1);
    /// MD5: the older form of HASH.
    pub const MD5: Self = Self(1 << 2);
    /// SITE CHGRP.
    pub const CHGRP: Self = Self(1 << 3);
    /// SITE SYMLINK.
    pub const SYMLINK: Self = Self(1 << 4);
    /// SITE MKDIR.
    pub const MKDIR: Self = Self(1 << 5);
    /// SITE RMDIR.
    pub const RMDIR: Self = Self(1 << 6);
    /// SITE CPFR and SITE CPTO.
    pub const CPFR: Self = Self(1 << 7);
    /// SITE COPY.
    pub const COPY: Self = Self(1 << 8);
    /// All of them.
    pub const ALL: Self = Self((1 << 9) - 1);

    /// Each with the name the configuration uses.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("RMDA", Self::RMDA),
        ("COMB", Self::COMB),
        ("MD5", Self::MD5),
        ("SITE CHGRP", Self::CHGRP),
        ("SITE SYMLINK", Self::SYMLINK),
        ("SITE MKDIR", Self::MKDIR),
        ("SITE RMDIR", Self::RMDIR),
        ("SITE CPFR", Self::CPFR),
        ("SITE COPY", Self::COPY),
    ];

    /// Returns whether every command of `other` is in `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the commands of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether a command is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Always.
    Always,
    /// When the operator has switched this on; else it answers 502.
    Extra(Extras),
    /// Only where TLS protects the session; before that it answers 503 (RFC 4217 §9).
    WithTls,
    /// Never: it answers 502.
    Never,
}

impl Offer {
    /// Returns whether it is offered where `extras` are switched on.
    pub const fn is_on(self, extras: Extras) -> bool {
        match self {
            Self::Always => true,
            Self::Extra(extra) => extras.contains(extra),
            Self::WithTls | Self::Never => false,
        }
    }
}
