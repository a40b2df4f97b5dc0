use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The most sessions of one answer.
pub const SESSIONS_PAGE_MAX: u32 = 500;
/// The most bans of one answer.
pub const BANS_PAGE_MAX: u32 = 1_000;

/// Every command, in the order of the manual.
pub const COMMANDS: [&str; 12] = [
    "status", "sessions", "session", "why", "limits", "bans", "ban", "unban", "kick", "reload", "drain",
    "resume",
];

/// A line to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How the server is: [`Status`](super::Status).
    Status {},
    /// Who is inside, by number: [`SessionsAnswer`](super::SessionsAnswer).
    Sessions {
        /// Only sessions with a number above this one.
        #[serde(default)]
        after: u64,
        /// At most so many; never more than [`SESSIONS_PAGE_MAX`].
        #[serde(default = "page")]
        count: u32,
    },
    /// One session: [`SessionRow`](super::SessionRow).
    Session {
        /// Its number.
        id: u64,
    },
    /// What would happen to the next connection of an address, or the next login of an account:
    /// [`WhyReport`](super::WhyReport). Exactly one of `address` and `account`.
    Why {
        /// The next connection from here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
        /// The next login of this account; `anonymous` for all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Where the login comes from; with `account` only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// Every key in force: [`LimitsAnswer`](super::LimitsAnswer).
    Limits {},
    /// Bans that last: [`BansAnswer`](super::BansAnswer).
    Bans {
        /// 0 at first, then [`BansAnswer::next`](super::BansAnswer::next).
        #[serde(default)]
        cursor: u64,
        /// At most so many; never more than [`BANS_PAGE_MAX`].
        #[serde(default = "page")]
        count: u32,
    },
    /// Bans an address, an IPv6 one with its /64: [`BanAnswer`](super::BanAnswer).
    Ban {
        /// Whom.
        address: IpAddr,
        /// How long: 1 to 315,360,000 (ten years).
        seconds: u64,
    },
    /// Ends the bans of an address and of all names from it: [`UnbanAnswer`](super::UnbanAnswer).
    Unban {
        /// Whom.
        address: IpAddr,
    },
    /// Ends a session with `kicked`: [`KickAnswer`](super::KickAnswer).
    Kick {
        /// Its number.
        id: u64,
        /// In how many seconds the client may come back, at least 1.
        #[serde(default = "at_once")]
        retry: u32,
    },
    /// Reads the configuration again: [`ReloadAnswer`](super::ReloadAnswer).
    Reload {},
    /// Begins or plans the end, or replaces such a plan: [`DrainAnswer`](super::DrainAnswer).
    Drain {
        /// What transfers get to finish, in seconds from its beginning; absent: `timeouts.shutdown`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_seconds: Option<u64>,
        /// What clients are told: printable ASCII, without `Too many connections`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// When it begins, in seconds since 1970 (UTC); with neither this nor `delay_seconds`: now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
        /// In how many seconds it begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delay_seconds: Option<u64>,
        /// Whether the door stays open to say 421 until the deadline, also when nobody is inside any more.
        #[serde(default)]
        stay: bool,
    },
    /// Ends a drain that is planned or under way: [`ResumeAnswer`](super::ResumeAnswer).
    Resume {},
}

const fn page() -> u32 {
    100
}

const fn at_once() -> u32 {
    1
}

impl Request {
    /// Returns the word on the wire.
    pub const fn command(&self) -> &'static str {
        match self {
            Self::Status {} => "status",
            Self::Sessions { .. } => "sessions",
            Self::Session { .. } => "session",
            Self::Why { .. } => "why",
            Self::Limits {} => "limits",
            Self::Bans { .. } => "bans",
            Self::Ban { .. } => "ban",
            Self::Unban { .. } => "unban",
            Self::Kick { .. } => "kick",
            Self::Reload {} => "reload",
            Self::Drain { .. } => "drain",
            Self::Resume {} => "resume",
        }
    }

    /// Returns whether it changes something: such an order is logged with who gave it.
    pub const fn changes_something(&self) -> bool {
        match self {
            Self::Status {}
            | Self::Sessions { .. }
            | Self::Session { .. }
            | Self::Why { .. }
            | Self::Limits {}
            | Self::Bans { .. } => false,
            Self::Ban { .. }
            | Self::Unban { .. }
            | Self::Kick { .. }
            | Self::Reload {}
            | Self::Drain { .. }
            | Self::Resume {} => true,
        }
    }
}
