/// Why somebody was refused or sent away: the closed set behind every 421, the metrics label and the log field.
///
/// A variant is added by the issue that makes it happen (DESIGN §2 has the whole table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The server is shutting down or under maintenance.
    Draining,
    /// Descriptors are used up.
    Overloaded,
    /// Too many connections from this address (IPv6: from its /64).
    AddressFull,
    /// Too many connections in all.
    ServerFull,
    /// Too many connections of this account.
    AccountFull,
    /// Too many anonymous connections.
    AnonymousFull,
    /// Too many failed logins in one session.
    LoginFailures,
    /// Nothing was said for too long.
    Idle,
    /// No login in time.
    LoginTimeout,
}

impl Cause {
    /// Every cause, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::Draining,
        Self::Overloaded,
        Self::AddressFull,
        Self::ServerFull,
        Self::AccountFull,
        Self::AnonymousFull,
        Self::LoginFailures,
        Self::Idle,
        Self::LoginTimeout,
    ];

    /// Returns the word used in `cause=`, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::AddressFull => "address-full",
            Self::ServerFull => "server-full",
            Self::AccountFull => "account-full",
            Self::AnonymousFull => "anonymous-full",
            Self::LoginFailures => "login-failures",
            Self::Idle => "idle",
            Self::LoginTimeout => "login-timeout",
        }
    }
}

/// A temporary refusal: which cause, how full it was, when to come back. The room that speaks turns it into a 421.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub cause: Cause,
    /// How many there were when it was decided; 0 where counting makes no sense.
    pub in_use: u32,
    /// How many are allowed; 0 where counting makes no sense.
    pub limit: u32,
    /// When to try again: whole seconds, at least 1.
    pub retry_after_secs: u32,
}
