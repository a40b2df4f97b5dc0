//! `status`: how the server is, in one answer.

use std::time::Duration;

use tidegate_server::view::{Occupancy, Snapshot};
use tidegate_types::Cause;

use crate::host::About;
use crate::message::{
    CauseRow, ListenerRow, LoginRow, OverloadRow, PoolRow, PortsRow, SignalRow, Status, TransfersRow,
};
use crate::rows;
use crate::running::why_not_ready;

/// Returns the answer; `now` is the time since 1970.
pub(crate) fn status(snapshot: &Snapshot, about: About, now: Duration) -> Status {
    let gate = &snapshot.gate;
    let (leased, total) = snapshot.passive_ports;
    let listeners = snapshot.listening_on.iter().zip(&gate.listeners);
    Status {
        version: about.version,
        pid: about.pid,
        config: about.config.map(|path| path.to_string_lossy().into_owned()),
        started_at: now.saturating_sub(snapshot.uptime).as_secs(),
        uptime_seconds: snapshot.uptime.as_secs_f64(),
        ready: snapshot.ready,
        not_ready: why_not_ready(snapshot).map(str::to_owned),
        complaints: about.complaints,
        listeners: listeners
            .map(|(address, of)| ListenerRow { address: address.to_string(), connections: pool(of) })
            .collect(),
        connections: pool(&gate.server),
        unauthenticated: pool(&gate.unauthenticated),
        handshakes: pool(&gate.handshakes),
        transfers: pool(&gate.transfers),
        reserved: gate.reserved,
        addresses: number(gate.addresses),
        sessions: snapshot.sessions,
        sessions_served: snapshot.sessions_served,
        logged_in: gate.logins,
        anonymous: gate.anonymous,
        accounts: number(gate.accounts),
        waiting: gate.waiting,
        bans: number(gate.bans),
        passive_ports: PortsRow { leased, total },
        overload: overload(snapshot),
        refusals: causes(snapshot.refused.iter().copied()),
        shadow_refusals: causes(gate.counters.shadowed.iter()),
        unspoken: snapshot.door.unspoken,
        logins: snapshot
            .logins
            .iter()
            .map(|(result, count)| LoginRow { result: (*result).to_owned(), count: *count })
            .collect(),
        transfers_ended: transfers(&snapshot.transfers_ended),
        bytes_sent: snapshot.bytes_sent,
        bytes_received: snapshot.bytes_received,
        drain: snapshot.drain.as_ref().map(rows::drain),
    }
}

fn pool(of: &Occupancy) -> PoolRow {
    PoolRow { in_use: of.in_use, limit: of.limit, full_seconds: of.full.as_secs_f64() }
}

fn overload(snapshot: &Snapshot) -> OverloadRow {
    let gate = &snapshot.gate;
    OverloadRow {
        level: gate.level.as_str().to_owned(),
        signal: gate.signal.map(|signal| signal.as_str().to_owned()),
        full_seconds: gate.overloaded.as_secs_f64(),
        signals: gate
            .gauges
            .iter()
            .map(|gauge| SignalRow {
                signal: gauge.kind.as_str().to_owned(),
                level: gauge.level.as_str().to_owned(),
                load: f64::from(gauge.load_permille) / 1_000.0,
            })
            .collect(),
    }
}

fn causes(rows: impl Iterator<Item = (Cause, u64)>) -> Vec<CauseRow> {
    rows.filter(|(_, count)| *count > 0)
        .map(|(cause, count)| CauseRow { cause: cause.as_str().to_owned(), count })
        .collect()
}

fn transfers(ended: &[(&'static str, u64)]) -> TransfersRow {
    let of = |outcome: &str| ended.iter().find(|(known, _)| *known == outcome).map_or(0, |(_, count)| *count);
    TransfersRow { completed: of("completed"), failed: of("failed"), cut: of("cut") }
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
