//! The limits of a plan, as the gate takes them.

use ipnet::IpNet;
use tidegate_admission::{
    BanPolicy, ListenerLimits, NetworkMap, Networks, Override, Reserved, Shadow, WaitingRoom,
};
use tidegate_server::{Limits, Rate};

use crate::config::{self, NetworkList, RateLimit, Setting};
use crate::plan::{PlannedEntrance, ServePlan};

/// Returns everything that decides who enters.
pub(super) fn limits(plan: &ServePlan) -> Limits {
    let said = &plan.limits;
    Limits {
        connections_per_address: count(said.connections_per_address.as_ref()),
        connections_unauthenticated: count(said.connections_unauthenticated.as_ref()),
        connection_rate_per_address: rate(said.connection_rate_per_address.as_ref()),
        listeners: plan.listeners.iter().map(|listener| entrance(&listener.limits)).collect(),
        transfers: count(said.transfers.as_ref()),
        transfers_per_address: count(said.transfers_per_address.as_ref()),
        reserved: said.reserved.as_ref().map(reserved).unwrap_or_default(),
        allow: networks(&said.allow),
        deny: networks(&said.deny),
        deny_silent: said.deny_silent,
        trusted: networks(&said.trusted),
        overrides: said.overrides.iter().map(exception).collect::<NetworkMap<_>>(),
        login_failures: said.login_failures.as_ref().map(|failures| failures.value.failures()),
        ban: BanPolicy {
            first: said.ban.first.value,
            factor: said.ban.factor.0,
            most: said.ban.most.value,
            silent: said.ban.silent,
        },
        waiting_room: WaitingRoom {
            hold: said.waiting_room.hold.value,
            places: said.waiting_room.places.value,
        },
        reclaim: said.reclaim.value,
        shadow: shadow(plan),
        overload: plan.overload,
        login_timeout: plan.timeouts.login,
        ..Limits::new(plan.connections)
    }
}

fn shadow(plan: &ServePlan) -> Shadow {
    let said = &plan.limits.shadow;
    let listeners: Vec<_> = plan.listeners.iter().map(|listener| entrance(&listener.shadow)).collect();
    let is_tried = listeners.iter().any(|listener| *listener != ListenerLimits::default());
    Shadow {
        connections: count(said.connections.as_ref()),
        connections_per_address: count(said.connections_per_address.as_ref()),
        connections_unauthenticated: count(said.connections_unauthenticated.as_ref()),
        connection_rate_per_address: rate(said.connection_rate_per_address.as_ref()),
        // A list would switch the counting on.
        listeners: if is_tried { listeners } else { Vec::new() },
        handshakes: None,
        transfers: count(said.transfers.as_ref()),
        transfers_per_address: count(said.transfers_per_address.as_ref()),
    }
}

fn reserved(said: &config::Reserved) -> Reserved {
    Reserved { connections: said.connections.value, from: networks(&said.from) }
}

fn exception(said: &config::Override) -> (IpNet, Override) {
    let other = Override {
        connections_per_address: count(said.connections_per_address.as_ref()),
        transfers_per_address: count(said.transfers_per_address.as_ref()),
        connection_rate_per_address: rate(said.connection_rate_per_address.as_ref()),
    };
    (said.from.value.0, other)
}

fn entrance(planned: &PlannedEntrance) -> ListenerLimits {
    ListenerLimits {
        connections: planned.connections,
        connection_rate: planned.connection_rate.and_then(RateLimit::rate),
    }
}

fn networks(said: &Setting<NetworkList>) -> Networks {
    said.value.0.iter().copied().collect()
}

fn count(said: Option<&Setting<u32>>) -> Option<u32> {
    said.map(|count| count.value)
}

fn rate(said: Option<&Setting<RateLimit>>) -> Option<Rate> {
    said.map(|rate| rate.value).and_then(RateLimit::rate)
}
