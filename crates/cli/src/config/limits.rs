//! `[limits]` and `[overload]`, with every group in them.

use std::time::Duration;

use tidegate_admission::{Overload, Reclaim};

use super::reader::{Reader, Section, Setting};
use super::value::{DurationLimit, Factor, Network, NetworkList, PercentLimit, RateLimit};

/// `[limits]`. What is `None` is no limit, unless its line says otherwise.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most connections in all; `None`: derived from the descriptor limit.
    pub connections: Option<Setting<u32>>,
    /// Most connections of one address.
    pub connections_per_address: Option<Setting<u32>>,
    /// Most connections that are not logged in.
    pub connections_unauthenticated: Option<Setting<u32>>,
    /// New connections of one address.
    pub connection_rate_per_address: Option<Setting<RateLimit>>,
    /// Most transfers in all.
    pub transfers: Option<Setting<u32>>,
    /// Most transfers of one address.
    pub transfers_per_address: Option<Setting<u32>>,
    /// Failed logins that ban; `None`: none do.
    pub login_failures: Option<Setting<RateLimit>>,
    /// Who may connect; empty: everybody.
    pub allow: Setting<NetworkList>,
    /// Who may not.
    pub deny: Setting<NetworkList>,
    /// Whether the denied are closed without a word.
    pub deny_silent: bool,
    /// Who is never banned.
    pub trusted: Setting<NetworkList>,
    /// Whose place goes to a newcomer.
    pub reclaim: Setting<Reclaim>,
    /// Commands of one session.
    pub command_rate: Option<Setting<RateLimit>>,
    /// Connections kept for some networks; `None`: none.
    pub reserved: Option<Reserved>,
    /// How long bans last.
    pub ban: Ban,
    /// Where newcomers wait.
    pub waiting_room: WaitingRoom,
    /// Limits that are counted and not enforced.
    pub shadow: Shadow,
    /// Other limits for some networks.
    pub overrides: Vec<Override>,
}

/// `limits.reserved`.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// How many of all connections.
    pub connections: Setting<u32>,
    /// For whom.
    pub from: Setting<NetworkList>,
}

/// `limits.ban`.
#[derive(Clone, Debug)]
pub struct Ban {
    /// The first one.
    pub first: Setting<Duration>,
    /// What each further one is longer by.
    pub factor: Factor,
    /// The longest.
    pub most: Setting<Duration>,
    /// Whether the banned are closed without a word.
    pub silent: bool,
}

/// `limits.waiting_room`.
#[derive(Clone, Debug)]
pub struct WaitingRoom {
    /// How long one waits; zero: nobody does.
    pub hold: Setting<Duration>,
    /// How many wait at a time.
    pub places: Setting<u32>,
}

/// `limits.shadow`; `None`: not tried out.
#[derive(Clone, Debug, Default)]
pub struct Shadow {
    /// As [`Limits::connections`].
    pub connections: Option<Setting<u32>>,
    /// As [`Limits::connections_per_address`].
    pub connections_per_address: Option<Setting<u32>>,
    /// As [`Limits::connections_unauthenticated`].
    pub connections_unauthenticated: Option<Setting<u32>>,
    /// As [`Limits::connection_rate_per_address`].
    pub connection_rate_per_address: Option<Setting<RateLimit>>,
    /// As [`Limits::transfers`].
    pub transfers: Option<Setting<u32>>,
    /// As [`Limits::transfers_per_address`].
    pub transfers_per_address: Option<Setting<u32>>,
}

/// One `[[limits.override]]`; `None`: as for everybody.
#[derive(Clone, Debug)]
pub struct Override {
    /// Its name for people, such as `limits.override[10.0.0.0/8]`.
    pub label: String,
    /// For whom.
    pub from: Setting<Network>,
    /// Most connections of one address there.
    pub connections_per_address: Option<Setting<u32>>,
    /// New connections of one address there.
    pub connection_rate_per_address: Option<Setting<RateLimit>>,
    /// Most transfers of one address there.
    pub transfers_per_address: Option<Setting<u32>>,
}

/// `shadow` of one `[[listener]]`; `None`: not tried out.
#[derive(Clone, Debug, Default)]
pub struct ListenerShadow {
    /// As `connections` of the listener.
    pub connections: Option<Setting<u32>>,
    /// As `connection_rate` of the listener.
    pub connection_rate: Option<Setting<RateLimit>>,
}

/// Reads `[limits]`, in the order of the table of keys.
pub(super) fn read(reader: &mut Reader<'_>) -> Limits {
    let section = reader.section("limits");
    Limits {
        connections: reader.may(&section, "connections"),
        connections_per_address: reader.may(&section, "connections_per_address"),
        connections_unauthenticated: reader.may(&section, "connections_unauthenticated"),
        connection_rate_per_address: reader.may(&section, "connection_rate_per_address"),
        transfers: reader.may(&section, "transfers"),
        transfers_per_address: reader.may(&section, "transfers_per_address"),
        login_failures: reader.may(&section, "login_failures"),
        allow: reader.must(&section, "allow"),
        deny: reader.must(&section, "deny"),
        deny_silent: reader.must(&section, "deny_silent").value,
        trusted: reader.must(&section, "trusted"),
        reclaim: reader.must(&section, "reclaim"),
        command_rate: reader.may(&section, "command_rate"),
        reserved: read_reserved(reader, &section),
        ban: read_ban(reader, &section),
        waiting_room: read_waiting_room(reader, &section),
        shadow: read_shadow(reader, &section),
        overrides: read_overrides(reader, &section),
    }
}

fn read_reserved<'t>(reader: &mut Reader<'t>, limits: &Section<'t>) -> Option<Reserved> {
    let group = limits.group("limits.reserved");
    group.is_present().then(|| Reserved {
        connections: reader.must(&group, "connections"),
        from: reader.must(&group, "from"),
    })
}

fn read_ban<'t>(reader: &mut Reader<'t>, limits: &Section<'t>) -> Ban {
    let group = limits.group("limits.ban");
    Ban {
        first: reader.must(&group, "first"),
        factor: reader.must(&group, "factor").value,
        most: reader.must(&group, "most"),
        silent: reader.must(&group, "silent").value,
    }
}

fn read_waiting_room<'t>(reader: &mut Reader<'t>, limits: &Section<'t>) -> WaitingRoom {
    let group = limits.group("limits.waiting_room");
    WaitingRoom { hold: reader.must(&group, "hold"), places: reader.must(&group, "places") }
}

fn read_shadow<'t>(reader: &mut Reader<'t>, limits: &Section<'t>) -> Shadow {
    let group = limits.group("limits.shadow");
    if !group.is_present() {
        // What nobody tries out is not in force, and not worth six lines.
        return Shadow::default();
    }
    Shadow {
        connections: reader.may(&group, "connections"),
        connections_per_address: reader.may(&group, "connections_per_address"),
        connections_unauthenticated: reader.may(&group, "connections_unauthenticated"),
        connection_rate_per_address: reader.may(&group, "connection_rate_per_address"),
        transfers: reader.may(&group, "transfers"),
        transfers_per_address: reader.may(&group, "transfers_per_address"),
    }
}

fn read_overrides<'t>(reader: &mut Reader<'t>, limits: &Section<'t>) -> Vec<Override> {
    let sections = limits.sections("limits.override[]", "from");
    let one = |section: Section<'t>| Override {
        from: reader.must(&section, "from"),
        connections_per_address: reader.may(&section, "connections_per_address"),
        connection_rate_per_address: reader.may(&section, "connection_rate_per_address"),
        transfers_per_address: reader.may(&section, "transfers_per_address"),
        label: section.label,
    };
    sections.into_iter().map(one).collect()
}

/// Reads the `shadow` of a listener.
pub(super) fn read_listener_shadow<'t>(reader: &mut Reader<'t>, listener: &Section<'t>) -> ListenerShadow {
    let group = listener.group("listener[].shadow");
    if !group.is_present() {
        return ListenerShadow::default();
    }
    ListenerShadow {
        connections: reader.may(&group, "connections"),
        connection_rate: reader.may(&group, "connection_rate"),
    }
}

/// Reads `[overload]`.
pub(super) fn read_overload(reader: &mut Reader<'_>) -> Overload {
    let section = reader.section("overload");
    let percent = |reader: &mut Reader<'_>, name| reader.must::<PercentLimit>(&section, name).value.0;
    let span = |reader: &mut Reader<'_>, name| reader.must::<DurationLimit>(&section, name).value.0;
    Overload {
        memory_percent: percent(reader, "memory"),
        descriptors_percent: percent(reader, "descriptors"),
        scheduling_delay: span(reader, "scheduling_delay"),
        cpu_pressure_percent: percent(reader, "cpu_pressure"),
        storage_latency: span(reader, "storage_latency"),
    }
}
