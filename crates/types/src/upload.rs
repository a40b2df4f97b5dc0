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

/// What the files and directories look like that an account creates; what is absent is as the service has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// The numeric owner.
    pub uid: Option<u32>,
    /// The numeric group.
    pub gid: Option<u32>,
    /// The permission bits of a file, `0o7777` at most.
    pub file_mode: Option<u32>,
    /// The permission bits of a directory.
    pub directory_mode: Option<u32>,
}
