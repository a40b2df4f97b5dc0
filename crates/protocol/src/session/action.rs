use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use tidegate_types::{AccountName, Cause, Pattern, Timestamp, UploadStart, UploadStyle, VirtualPath};

use super::RequestId;
use crate::command::{ByteRange, HashAlgorithm};
use crate::listing::ListPlan;

/// What one event leads to: bytes for the control connection first, then actions in order. Reused between events.
#[derive(Debug, Default)]
pub struct Actions {
    /// Whole reply lines, to be sent before the actions are performed.
    pub wire: Vec<u8>,
    /// What the shell must do.
    pub list: Vec<Action>,
}

impl Actions {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.wire.clear();
        self.list.clear();
    }

    pub(super) fn push(&mut self, action: Action) {
        self.list.push(action);
    }
}

/// One thing the shell must do.
#[derive(Debug)]
pub enum Action {
    /// Check a name and a password, open the home, and answer with `LoginAnswered`.
    CheckLogin {
        /// To be echoed in the answer.
        request: RequestId,
        /// The name as sent.
        user: Vec<u8>,
        /// The password as sent.
        password: Secret,
    },
    /// Ask the gate for a place, and answer with `GateAnswered`. The place of a transfer is given back when the transfer has
    /// ended or storage did not open its file.
    AskGate {
        /// To be echoed in the answer.
        request: RequestId,
        /// For what.
        question: GateQuestion,
    },
    /// Give up the login: its home, its permit and everything opened under it.
    Logout,
    /// Lease a port and listen, dropping any earlier one, and answer with `PassiveOpened`.
    OpenPassive {
        /// To be echoed in the answer.
        request: RequestId,
        /// Whether the client will be told an address too (PASV); EPSV needs none.
        tells_address: bool,
    },
    /// Drop the passive listener, if any.
    ClosePassive,
    /// Ask storage, and answer with `StorageAnswered`.
    Storage {
        /// To be echoed in the answer.
        request: RequestId,
        /// What.
        what: StorageRequest,
    },
    /// Give up the storage request that is under way: nobody waits for its answer any more.
    CancelStorage,
    /// Open the data connection and move the bytes of what storage opened last; ends with `TransferEnded`.
    BeginTransfer(TransferPlan),
    /// End the running transfer now, without waiting for the peer. Ignored while a complete upload is committed.
    AbortTransfer,
    /// Answer with `Progress`, at once.
    AskProgress,
    /// Answer with `WallTimeTold`, at once.
    AskWallTime {
        /// To be echoed in the answer.
        request: RequestId,
    },
    /// Write down what the client says of itself; hostile bytes included.
    Note(Note, Vec<u8>),
    /// Send what is left, then close so that the last line arrives (DESIGN §2.6). Nothing follows it.
    Close(CloseReason),
}

/// What the session asks the gate for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateQuestion {
    /// One more connection of an account.
    Login {
        /// The account, `None` for anonymous.
        account: Option<AccountName>,
        /// How many connections it may have; `None`: no such limit.
        connections_max: Option<u32>,
    },
    /// One more transfer, a listing included.
    Transfer,
}

/// What a client tells without asking for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Its program (CLNT, CSID).
    Client,
    /// The host it wants to reach (HOST, RFC 7151).
    Host,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// QUIT.
    Quit,
    /// The client went away.
    PeerClosed,
    /// A 421 was said for this cause.
    Refused(Cause),
    /// What came is not FTP.
    NotFtp,
}

impl CloseReason {
    /// Returns the word for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::PeerClosed => "peer-closed",
            Self::Refused(cause) => cause.as_str(),
            Self::NotFtp => "not-ftp",
        }
    }
}

/// A password on its way to the check; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for the check only.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        core::hint::black_box(&self.0);
    }
}

/// What storage is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageRequest {
    /// Check that a directory may be entered.
    Enter(VirtualPath),
    /// The facts of one file.
    Metadata(VirtualPath),
    /// The facts of one file and what may be done with the directory that holds it, for the `perm` fact of MLST; answered by
    /// `StorageDone::Facts`.
    Facts(VirtualPath),
    /// Create a directory.
    MakeDirectory {
        /// The directory.
        path: VirtualPath,
        /// Permission bits it does not get, beside those the service withholds.
        umask: u32,
    },
    /// Remove an empty directory.
    RemoveDirectory(VirtualPath),
    /// Remove a file.
    RemoveFile(VirtualPath),
    /// Rename.
    Rename {
        /// The old name.
        from: VirtualPath,
        /// The new one.
        to: VirtualPath,
        /// Whether a target that exists may be replaced.
        may_overwrite: bool,
    },
    /// Set the modification time.
    SetModified {
        /// Of this file.
        path: VirtualPath,
        /// To this.
        time: Timestamp,
    },
    /// Set the permission bits.
    SetMode {
        /// Of this file.
        path: VirtualPath,
        /// To these.
        mode: u32,
    },
    /// Open a file for download from `offset` on; answered by `StorageDone::Download`.
    OpenDownload {
        /// The file.
        path: VirtualPath,
        /// The first byte wanted.
        offset: u64,
    },
    /// Open an upload; answered by `StorageDone::Upload`.
    OpenUpload {
        /// The target.
        path: VirtualPath,
        /// What happens to it.
        start: UploadStart,
        /// How a replacement is written.
        style: UploadStyle,
        /// Whether a target that exists may be replaced.
        may_overwrite: bool,
        /// Whether a target that exists may be added to.
        may_append: bool,
        /// Permission bits a new file does not get, beside those the service withholds.
        umask: u32,
    },
    /// Open a directory for listing; answered by `StorageDone::Listing`, or by `StorageDone::Matches` when no such name exists
    /// and the pattern matches something. `NotFound` when it matches nothing.
    OpenListing {
        /// The directory.
        path: VirtualPath,
        /// Whether a file is fine too (LIST, NLST) and becomes the only entry, named as in the path.
        or_file: bool,
        /// What the argument means as a pattern, where it has wildcards.
        glob: Option<Glob>,
    },
    /// The first entries of a directory, or the facts of a file; answered by `StorageDone::Entries`.
    Peek {
        /// The directory or file.
        path: VirtualPath,
        /// How many entries at most.
        entries_max: usize,
    },
    /// Set the group.
    SetGroup {
        /// Of this file.
        path: VirtualPath,
        /// To this number.
        gid: u32,
    },
    /// Create a symbolic link.
    MakeLink {
        /// What it leads to; must exist.
        target: VirtualPath,
        /// The link.
        link: VirtualPath,
    },
    /// How many bytes may still be stored in a directory; answered by `StorageDone::Available`.
    Available(VirtualPath),
    /// The digest of a part of a file; a long job, answered by `StorageDone::Hashed`.
    Hash {
        /// The file.
        path: VirtualPath,
        /// How.
        algorithm: HashAlgorithm,
        /// From which byte, and up to which (exclusive; clipped to the file, `None`: its end). `BadOffset` when it begins
        /// past the end.
        range: ByteRange,
    },
    /// Copy a file; a long job. The copy takes its name in one step, also where uploads are written in place: another hard
    /// link to a file that is replaced keeps the old content.
    Copy {
        /// The file.
        from: VirtualPath,
        /// The copy.
        to: VirtualPath,
        /// Whether a target that exists may be replaced.
        may_overwrite: bool,
        /// Permission bits a new file does not get.
        umask: u32,
        /// The largest size a file may have, in bytes; `TooLarge` beyond.
        size_max: Option<u64>,
    },
    /// Append files to one and remove them; a long job.
    Combine {
        /// What is appended to; created when there is none.
        target: VirtualPath,
        /// What is appended, in this order, and then removed.
        parts: Vec<VirtualPath>,
        /// Permission bits a new file does not get.
        umask: u32,
        /// The largest size a file may have, in bytes; `TooLarge` beyond.
        size_max: Option<u64>,
    },
    /// Remove a directory and everything in it; a long job.
    RemoveTree(VirtualPath),
}

/// What LIST or NLST with wildcards looks for: names below `base`, one pattern a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// Where the search starts: everything before the first wildcard.
    pub base: VirtualPath,
    /// A pattern for each level below; a level without wildcards has a [`Pattern::literal`].
    pub levels: Vec<Pattern>,
    /// Whether wildcards match names that start with a dot.
    pub hidden: bool,
}

/// A transfer that was accepted: nothing that happens afterwards changes it (PROTOCOL §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferPlan {
    /// What is moved.
    pub job: Job,
    /// Whether line ends are converted (TYPE A).
    pub ascii: bool,
    /// The level, 1 to 9, at which the data connection is compressed (MODE Z); `None` for MODE S.
    pub deflate: Option<u8>,
    /// How the data connection comes to be.
    pub route: DataRoute,
}

/// What a transfer moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// The open download, from `offset` up to `size` as it was when opened.
    Download {
        /// The first byte.
        offset: u64,
        /// One past the last byte.
        size: u64,
    },
    /// Into the open upload.
    Upload {
        /// One past the last byte of the file that may be written; `TooLarge` beyond, and nothing is kept.
        end_max: Option<u64>,
    },
    /// The open listing.
    List(ListPlan),
}

/// Who connects to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataRoute {
    /// The client connects to the leased port.
    Passive,
    /// The server connects to this address, checked against the control peer.
    Active(SocketAddr),
}
