/// Declares the reasons with their codes, in alphabetical order (the order of the catalogue).
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)+) => {
        /// Why a reply is said. Each reason has one code, and one text in each language's catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// Every reason, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Returns the reply code.
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// Returns the name the catalogue files use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    /// ABOR when the transfer had been cut or was already over.
    AbortDone = 226,
    /// ABOR with nothing running.
    AbortIdle = 225,
    /// ALLO needs nothing.
    AllocationNotNeeded = 202,
    /// The name is taken and may not be replaced.
    AlreadyExists = 550,
    /// AVBL.
    Available = 213,
    /// CLNT.
    ClientNoted = 200,
    /// COMB worked.
    Combined = 250,
    /// The peer vanished, or the network did, in the middle of a transfer.
    ConnectionLost = 426,
    /// As `ConnectionLost`, and the partial upload is kept.
    ConnectionLostKept = 426,
    /// SITE CPTO worked.
    Copied = 250,
    /// SITE CPTO without SITE CPFR.
    CopyNeedsSource = 503,
    /// SITE CPFR worked.
    CopyReady = 350,
    /// No data connection could be opened.
    DataCannotOpen = 425,
    /// Nothing moved on the data connection for too long.
    DataStalled = 426,
    /// As `DataStalled`, and the partial upload is kept.
    DataStalledKept = 426,
    /// A file or directory was removed.
    Deleted = 250,
    /// XCRC and its kin: the digest.
    DigestDone = 250,
    /// XCRC and its kin of a part that begins past the end.
    DigestPastEnd = 550,
    /// The directory was changed.
    DirectoryChanged = 250,
    /// A directory was created.
    DirectoryCreated = 257,
    /// The current directory.
    DirectoryCurrent = 257,
    /// The directory still has entries.
    DirectoryNotEmpty = 550,
    /// No space left.
    DiskFull = 452,
    /// EPSV ALL was accepted.
    EpsvAll = 200,
    /// PASV, PORT or EPRT after EPSV ALL.
    EpsvAllForbids = 503,
    /// MFF of a fact that cannot be changed.
    FactUnknown = 504,
    /// MFF worked.
    FactsChanged = 213,
    /// FEAT: the last line.
    FeaturesEnd = 211,
    /// FEAT: the first line.
    FeaturesStart = 211,
    /// In use by somebody else.
    FileBusy = 450,
    /// SIZE.
    FileSize = 213,
    /// Larger than a file may be.
    FileTooLarge = 552,
    /// QUIT.
    Goodbye = 221,
    /// HASH.
    HashDone = 213,
    /// HASH of a part that begins past the end.
    HashPastEnd = 551,
    /// HELP for one command.
    HelpCommand = 214,
    /// HELP: the last line.
    HelpEnd = 214,
    /// HELP for a command that does not exist.
    HelpNone = 501,
    /// SITE HELP for one sub-command.
    HelpSiteCommand = 214,
    /// SITE HELP: the last line.
    HelpSiteEnd = 214,
    /// SITE HELP: the first line.
    HelpSiteStart = 214,
    /// HELP: the first line.
    HelpStart = 214,
    /// HOST was accepted.
    HostAccepted = 220,
    /// HOST after login.
    HostTooLate = 503,
    /// An error of the place that keeps the files, in the middle of it.
    InternalError = 451,
    /// A directory where a file is needed.
    IsADirectory = 550,
    /// A long job was cut by ABOR.
    JobCancelled = 450,
    /// LANG.
    LanguageSet = 200,
    /// More bytes in one line than allowed.
    LineTooLong = 500,
    /// A listing stopped at its bound.
    ListingBounded = 226,
    /// PASS when somebody is logged in.
    LoggedInAlready = 503,
    /// Name or password is wrong.
    LoginDenied = 530,
    /// Logged in.
    LoginDone = 230,
    /// A name was given; now the password.
    LoginPassword = 331,
    /// The login cannot be checked now, or the home cannot be opened.
    LoginUnavailable = 530,
    /// MD5.
    Md5Done = 251,
    /// MLST: the last line.
    MlstEnd = 250,
    /// MLST: the first line.
    MlstStart = 250,
    /// MODE was set.
    ModeSet = 200,
    /// MODE Z was set.
    ModeSetDeflate = 200,
    /// MDTM.
    ModificationTime = 213,
    /// MFMT, or MDTM as a setter.
    ModificationTimeSet = 213,
    /// The name cannot be kept here.
    NameNotAllowed = 553,
    /// RETR, STOR or LIST without PASV, EPSV, PORT or EPRT.
    NeedDataAddress = 425,
    /// PASS without USER.
    NeedUser = 503,
    /// PBSZ or PROT without TLS.
    NeedsTls = 503,
    /// A directory where a directory is needed, and it is none.
    NotADirectory = 550,
    /// MLSD of a file.
    NotADirectoryArgument = 501,
    /// Not a regular file.
    NotAFile = 550,
    /// No such file or directory.
    NotFound = 550,
    /// This is not FTP.
    NotFtp = 500,
    /// The command needs a login.
    NotLoggedIn = 530,
    /// The command is known and not offered.
    NotOffered = 502,
    /// The name is taken and the account may not replace it.
    NotReplaced = 553,
    /// NOOP.
    Nothing = 200,
    /// A pattern that matches nothing.
    NothingMatches = 550,
    /// The restart offset lies past the end.
    OffsetPastEnd = 554,
    /// OPTS HASH.
    OptsHash = 200,
    /// OPTS MLST.
    OptsMlst = 200,
    /// OPTS MODE Z LEVEL.
    OptsModeZ = 200,
    /// OPTS for a command without options.
    OptsNone = 501,
    /// OPTS UTF8 ON.
    OptsUtf8 = 200,
    /// The parameter is known and not offered.
    ParameterNotOffered = 504,
    /// EPSV.
    PassiveExtended = 229,
    /// PASV on an IPv6 connection.
    PassiveNeedsEpsv = 425,
    /// PASV.
    PassiveOpened = 227,
    /// An argument that is not a path.
    PathSyntax = 501,
    /// A pattern that would cost too much.
    PatternTooWild = 550,
    /// The operating system or a right forbids it.
    PermissionDenied = 550,
    /// PORT or EPRT was accepted.
    PortAccepted = 200,
    /// PORT or EPRT to somebody else, or to a low port.
    PortForbidden = 504,
    /// PORT on an IPv6 connection.
    PortNeedsEprt = 504,
    /// EPRT or EPSV with another address family.
    ProtocolNotSupported = 522,
    /// The quota is used up.
    QuotaExceeded = 552,
    /// RANG 1 0.
    RangeReset = 350,
    /// RANG.
    RangeSet = 350,
    /// The greeting.
    Ready = 220,
    /// REIN.
    Reinitialised = 220,
    /// RNTO without RNFR.
    RenameNeedsSource = 503,
    /// RNFR worked.
    RenameReady = 350,
    /// RNTO worked.
    Renamed = 250,
    /// REST.
    RestartAt = 350,
    /// REST in TYPE A.
    RestartNeedsBinary = 501,
    /// REST or RANG in MODE Z.
    RestartNeedsStream = 501,
    /// REST before APPE or STOU.
    RestartNotHere = 554,
    /// CSID.
    ServerNamed = 200,
    /// SITE CHGRP worked.
    SiteChgrpDone = 200,
    /// SITE CHMOD worked.
    SiteChmodDone = 200,
    /// SITE CHMOD worked, without the set-id bits.
    SiteChmodMasked = 200,
    /// SITE COPY worked.
    SiteCopied = 200,
    /// SITE IDLE.
    SiteIdle = 200,
    /// SITE IDLE above the configured time.
    SiteIdleTooLong = 501,
    /// SITE MKDIR worked.
    SiteMkdirDone = 200,
    /// SITE QUOTA where accounts have none.
    SiteQuotaNone = 200,
    /// SITE RMDIR worked.
    SiteRmdirDone = 200,
    /// SITE SYMLINK worked.
    SiteSymlinkDone = 200,
    /// SITE TIME.
    SiteTime = 200,
    /// SITE UMASK alone.
    SiteUmask = 200,
    /// SITE UMASK set.
    SiteUmaskSet = 200,
    /// A SITE command nobody knows.
    SiteUnknown = 500,
    /// SITE UTIME worked.
    SiteUtimeDone = 200,
    /// SIZE in TYPE A.
    SizeNeedsBinary = 550,
    /// STAT of a directory: the last line.
    StatDirectoryEnd = 212,
    /// STAT of a directory: the first line.
    StatDirectoryStart = 212,
    /// STAT of a file: the last line.
    StatFileEnd = 213,
    /// STAT of a file: the first line.
    StatFileStart = 213,
    /// STAT: the last line.
    StatusEnd = 211,
    /// STAT: the first line.
    StatusStart = 211,
    /// Out of descriptors or memory, or storage did not answer in time.
    StorageUnavailable = 451,
    /// STRU was set.
    StructureSet = 200,
    /// The argument has the wrong form.
    Syntax = 501,
    /// SYST.
    System = 215,
    /// A newer session of the same account took the file over.
    TakenOver = 451,
    /// A user name or password over its limit.
    TooLongArgument = 501,
    /// The transfer was cut by ABOR.
    TransferAborted = 426,
    /// As `TransferAborted`, and the partial upload is kept.
    TransferAbortedKept = 426,
    /// Everything arrived.
    TransferDone = 226,
    /// A download starts; the size is exact.
    TransferStart = 150,
    /// A download in TYPE A starts; its size on the wire is not known.
    TransferStartAscii = 150,
    /// A download in MODE Z starts; its size on the wire is not known.
    TransferStartDeflate = 150,
    /// A listing starts.
    TransferStartListing = 150,
    /// STOU starts; RFC 1123 §4.1.2.9 fixes the text.
    TransferStartUnique = 150,
    /// An upload starts.
    TransferStartUpload = 150,
    /// An upload was committed.
    TransferStored = 226,
    /// TYPE was set.
    TypeSet = 200,
    /// No such command.
    Unknown = 500,
    /// The backend cannot do this.
    Unsupported = 504,
}
