/// Why somebody was refused or sent away: the closed set behind every refusal, the metrics label and the log field.
/// DESIGN §2 has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The address may never connect: by the deny list, or because it is missing in the allow list.
    Denied,
    /// Too many failed logins or floods from this address, or an operator's decision.
    Banned,
    /// The server is shutting down or under maintenance.
    Draining,
    /// A resource of the machine is used up; [`Refusal::signal`] names it.
    Overloaded,
    /// Connections came too fast, from this address or to this listener.
    Rate,
    /// Too many connections from this address (IPv6: from its /64).
    AddressFull,
    /// Too many connections that are not logged in.
    UnauthenticatedFull,
    /// Too many connections of this listener.
    ListenerFull,
    /// Too many connections in all.
    ServerFull,
    /// Too many TLS handshakes at once.
    HandshakesFull,
    /// Too many connections of this account.
    AccountFull,
    /// Too many anonymous connections.
    AnonymousFull,
    /// Too many transfers, in all or of this address. The session stays.
    TransfersFull,
    /// No port for a data connection is free. The session stays.
    DataPorts,
    /// Too many failed logins: in this session, or of this account from this address.
    LoginFailures,
    /// Nothing was said for too long.
    Idle,
    /// No login in time.
    LoginTimeout,
    /// No TLS in time.
    HandshakeTimeout,
    /// An operator ended the session.
    Kicked,
    /// The session was dead or idle, and its place went to a newcomer of the same address or account.
    Reclaimed,
    /// Commands came too fast.
    CommandFlood,
}

impl Cause {
    /// Every cause, for tables and tests.
    pub const ALL: [Self; 21] = [
        Self::Denied,
        Self::Banned,
        Self::Draining,
        Self::Overloaded,
        Self::Rate,
        Self::AddressFull,
        Self::UnauthenticatedFull,
        Self::ListenerFull,
        Self::ServerFull,
        Self::HandshakesFull,
        Self::AccountFull,
        Self::AnonymousFull,
        Self::TransfersFull,
        Self::DataPorts,
        Self::LoginFailures,
        Self::Idle,
        Self::LoginTimeout,
        Self::HandshakeTimeout,
        Self::Kicked,
        Self::Reclaimed,
        Self::CommandFlood,
    ];

    /// Returns the word used in `cause=`, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Banned => "banned",
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::Rate => "rate",
            Self::AddressFull => "address-full",
            Self::UnauthenticatedFull => "unauthenticated-full",
            Self::ListenerFull => "listener-full",
            Self::ServerFull => "server-full",
            Self::HandshakesFull => "handshakes-full",
            Self::AccountFull => "account-full",
            Self::AnonymousFull => "anonymous-full",
            Self::TransfersFull => "transfers-full",
            Self::DataPorts => "data-ports",
            Self::LoginFailures => "login-failures",
            Self::Idle => "idle",
            Self::LoginTimeout => "login-timeout",
            Self::HandshakeTimeout => "handshake-timeout",
            Self::Kicked => "kicked",
            Self::Reclaimed => "reclaimed",
            Self::CommandFlood => "command-flood",
        }
    }

    /// Returns whether coming back does not help: there is no retry.
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::Denied)
    }

    /// Returns whether only a command is refused and the session goes on.
    pub const fn keeps_session(self) -> bool {
        matches!(self, Self::TransfersFull | Self::DataPorts)
    }
}

/// What a machine runs out of, or is slow at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignalKind {
    /// Open descriptors.
    Descriptors,
    /// Memory.
    Memory,
    /// Tasks that wait for a CPU (PSI).
    CpuPressure,
    /// How late the runtime runs what is due.
    SchedulingDelay,
    /// How long storage takes to answer.
    StorageLatency,
}

impl SignalKind {
    /// Every signal, for tables and tests.
    pub const ALL: [Self; 5] =
        [Self::Descriptors, Self::Memory, Self::CpuPressure, Self::SchedulingDelay, Self::StorageLatency];

    /// Returns the word used in replies, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::CpuPressure => "cpu-pressure",
            Self::SchedulingDelay => "scheduling-delay",
            Self::StorageLatency => "storage-latency",
        }
    }
}

/// A temporary refusal: which cause, how full it was, when to come back. The room that speaks turns it into a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub cause: Cause,
    /// Of what there is too little, when the cause is [`Cause::Overloaded`].
    pub signal: Option<SignalKind>,
    /// How many there were when it was decided; 0 where counting makes no sense.
    pub in_use: u32,
    /// How many are allowed; 0 where counting makes no sense.
    pub limit: u32,
    /// When to try again: whole seconds, at least 1.
    pub retry_after_secs: u32,
}

impl Refusal {
    /// Returns the refusal for a cause that counts nothing; a retry of 0 becomes 1.
    pub const fn uncounted(cause: Cause, retry_after_secs: u32) -> Self {
        let retry_after_secs = if retry_after_secs == 0 { 1 } else { retry_after_secs };
        Self { cause, signal: None, in_use: 0, limit: 0, retry_after_secs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn words_are_distinct_and_plain() {
        let words: BTreeSet<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert_eq!(words.len(), Cause::ALL.len());
        let signals: BTreeSet<&str> = SignalKind::ALL.iter().map(|signal| signal.as_str()).collect();
        assert_eq!(signals.len(), SignalKind::ALL.len());
        let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(words.iter().chain(&signals).all(plain));
    }
}
