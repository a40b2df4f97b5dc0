/// What an upload does to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStart {
    /// STOR: the whole content is new.
    Replace,
    /// REST n + STOR: writes from byte n on and keeps what lies behind the end of the new bytes.
    At(u64),
    /// APPE: adds to the end; creates the file when there is none.
    Append,
    /// STOU: a name that is not taken, made from the path's last name.
    Unique,
}

/// What became of an upload that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing remains; a file that stood there before is whole.
    Discarded,
    /// The bytes so far are kept for the account: SIZE tells how many, REST or APPE resumes.
    Kept {
        /// How many bytes there are now.
        size: u64,
    },
    /// The target itself was written in place and keeps what arrived.
    InPlace,
}
