//! What is counted, as OpenMetrics text. Every family has a row in `docs/metrics.md`; a test compares them. Labels are closed
//! sets: never an address, an account or a path.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;
use tidegate_server::view::{Latency, Level, Occupancy, Snapshot};
use tidegate_types::Cause;

mod sheet;

use crate::running::is_draining;
use sheet::Sheet;

/// What does not change while the process lives.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Of the program.
    pub(crate) version: String,
    /// In seconds since 1970.
    pub(crate) started_at: u64,
}

/// Returns the whole text, `# EOF` included.
pub(crate) fn encode(snapshot: Snapshot, identity: &Identity) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("tidegate");
    registry.register_collector(Box::new(Reading { snapshot, identity: identity.clone() }));
    let mut out = String::with_capacity(32 << 10);
    text::encode(&mut out, &registry)?;
    Ok(out)
}

/// One moment of a server.
#[derive(Debug)]
struct Reading {
    snapshot: Snapshot,
    identity: Identity,
}

impl Collector for Reading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::new(encoder);
        self.itself(&mut sheet)?;
        self.gate(&mut sheet)?;
        self.pools(&mut sheet)?;
        self.listeners(&mut sheet)?;
        self.overload(&mut sheet)?;
        self.door(&mut sheet)?;
        self.work(&mut sheet)?;
        self.latencies(&mut sheet)
    }
}

impl Reading {
    fn itself(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let snapshot = &self.snapshot;
        sheet.info("build", "What the program is", "version", &self.identity.version)?;
        sheet.gauge("start_time_seconds", "When the server started, since 1970", self.identity.started_at)?;
        sheet.gauge("ready", "Whether a newcomer would find a place", u64::from(snapshot.ready))?;
        sheet.gauge("draining", "Whether a drain has begun", u64::from(is_draining(snapshot)))
    }

    fn gate(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let (snapshot, gate) = (&self.snapshot, &self.snapshot.gate);
        let counters = &gate.counters;
        let refused = Cause::ALL.map(|cause| {
            let row = snapshot.refused.iter().find(|(known, _)| *known == cause);
            (cause.as_str(), row.map_or(0, |(_, count)| *count))
        });
        sheet.counters("refusals", "Refusals, at the door and of sessions", "cause", refused)?;
        let shadowed = counters.shadowed.iter().map(|(cause, count)| (cause.as_str(), count));
        sheet.counters("shadow_refusals", "What limits under trial would have refused", "cause", shadowed)?;
        let unspoken = snapshot.door.unspoken;
        sheet.counter("unspoken_refusals", "Refused clients who may not have read their line", &unspoken)?;
        let admitted = [
            ("connection", counters.connections_admitted),
            ("handshake", counters.handshakes_admitted),
            ("login", counters.logins_admitted),
            ("transfer", counters.transfers_admitted),
        ];
        sheet.counters("admitted", "Who was let in", "what", admitted)?;
        sheet.gauge("waiting", "Newcomers in the waiting room", u64::from(gate.waiting))?;
        sheet.counter("waited", "Newcomers who were let into the waiting room", &counters.waited)?;
        sheet.counter("wait_granted", "Of those who waited, who got a place", &counters.granted)?;
        sheet.counter("wait_cancelled", "Of those who waited, who went away", &counters.cancelled)?;
        sheet.counter(
            "reclaimed",
            "Sessions named to give their place to a newcomer",
            &counters.reclaimed,
        )?;
        sheet.gauge("bans", "Bans that last", count(gate.bans))?;
        sheet.counter("bans_imposed", "Bans decided, those of operators included", &counters.banned)?;
        let forgotten = counters.forgotten;
        sheet.counter("forgotten", "Rates, failures and bans forgotten early: too many", &forgotten)?;
        sheet.counter("stale_releases", "Places given back twice: a defect", &counters.stale_releases)
    }

    fn pools(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let gate = &self.snapshot.gate;
        sheet.gauge(
            "connections",
            "Connections inside, reserved ones included",
            u64::from(gate.connections),
        )?;
        sheet.gauge("reserved_connections", "Connections in reserved places", u64::from(gate.reserved))?;
        sheet.gauge(
            "addresses",
            "Addresses (IPv6: /64s) that connections come from",
            count(gate.addresses),
        )?;
        sheet.gauge("logged_in", "Sessions logged in", u64::from(gate.logins))?;
        sheet.gauge("anonymous", "Anonymous sessions", u64::from(gate.anonymous))?;
        sheet.gauge("accounts", "Accounts in use, all anonymous ones as one", count(gate.accounts))?;
        let pools = [
            ("server", gate.server),
            ("unauthenticated", gate.unauthenticated),
            ("handshakes", gate.handshakes),
            ("transfers", gate.transfers),
        ];
        // The gate is told the limit of anonymous sessions with each login, and does not note when ports run out.
        let (leased, ports) = self.snapshot.passive_ports;
        let others = [("anonymous", u64::from(gate.anonymous)), ("passive_ports", leased)];
        let in_use = pools.map(|(pool, of)| (pool, u64::from(of.in_use))).into_iter().chain(others);
        sheet.gauges("pool_in_use", "Places taken", "pool", in_use)?;
        let limits = pools.into_iter().filter_map(|(pool, of)| Some((pool, u64::from(of.limit?))));
        let limits = limits.chain([("passive_ports", ports)]);
        sheet.gauges("pool_limit", "Places there are, where they are limited", "pool", limits)?;
        let full = pools.map(|(pool, of)| (pool, of.full.as_secs_f64()));
        sheet.counters("pool_full_seconds", "Time in which no place was left", "pool", full)
    }

    fn listeners(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        // Listeners are few and fixed: their number is a closed set.
        let numbers: Vec<String> = (0..self.snapshot.gate.listeners.len()).map(|at| at.to_string()).collect();
        let rows = || numbers.iter().map(String::as_str).zip(&self.snapshot.gate.listeners);
        let in_use = rows().map(|(number, of)| (number, u64::from(of.in_use)));
        sheet.gauges("listener_connections", "Connections of one listener", "listener", in_use)?;
        let limit = |(number, of): (_, &Occupancy)| Some((number, u64::from(of.limit?)));
        let limits = rows().filter_map(limit);
        sheet.gauges("listener_limit", "Its limit, where there is one", "listener", limits)?;
        let full = rows().map(|(number, of)| (number, of.full.as_secs_f64()));
        sheet.counters("listener_full_seconds", "Time in which it was full", "listener", full)
    }

    fn overload(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let gate = &self.snapshot.gate;
        sheet.gauge(
            "overload_level",
            "Worst signal: 0 calm, 1 busy, 2 strained, 3 full",
            rank(gate.level),
        )?;
        let levels = gate.gauges.map(|gauge| (gauge.kind.as_str(), rank(gauge.level)));
        sheet.gauges("overload_signal_level", "Level of one signal, 0 to 3", "signal", levels)?;
        let loads = gate.gauges.map(|gauge| (gauge.kind.as_str(), f64::from(gauge.load_permille) / 1_000.0));
        sheet.gauges("overload_signal_load", "Reading of one signal; 1 closes the house", "signal", loads)?;
        sheet.counter(
            "overload_full_seconds",
            "Time in which the level was full",
            &gate.overloaded.as_secs_f64(),
        )
    }

    fn door(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let door = &self.snapshot.door;
        sheet.counter("door_accepted", "Connections accepted from the kernel", &door.accepted)?;
        sheet.counter("door_exhausted", "Refused because no descriptor was left", &door.exhausted)?;
        sheet.counter(
            "door_pauses",
            "Times accepting paused for want of descriptors or memory",
            &door.pauses,
        )?;
        sheet.counter("door_panics", "Panics while deciding about a newcomer: a defect", &door.panics)?;
        sheet.gauge("door_lingering", "Refused connections that may still be reading", door.lingering)?;
        let headers = [
            ("good", door.proxied),
            ("bad", door.proxy_bad),
            ("late", door.proxy_late),
            ("gone", door.proxy_gone),
        ];
        sheet.counters("proxy_headers", "PROXY headers of trusted proxies", "result", headers)?;
        sheet.gauge(
            "proxy_pending",
            "Connections of trusted proxies without a header yet",
            door.proxy_pending,
        )
    }

    fn work(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let snapshot = &self.snapshot;
        sheet.gauge("sessions", "Sessions inside", snapshot.sessions)?;
        sheet.counter("sessions_started", "Sessions that were let in", &snapshot.sessions_served)?;
        sheet.counters("logins", "Logins", "result", snapshot.logins)?;
        sheet.gauge("transfers", "Transfers under way", snapshot.transfers)?;
        sheet.counters("transfers_ended", "Transfers", "outcome", snapshot.transfers_ended)?;
        let bytes = [("sent", snapshot.bytes_sent), ("received", snapshot.bytes_received)];
        sheet.counters(
            "transferred_bytes",
            "Bytes over data connections, those of running transfers included",
            "direction",
            bytes,
        )?;
        let codes: Vec<(String, u64)> =
            snapshot.replies.iter().map(|(code, count)| (code.to_string(), *count)).collect();
        let replies = codes.iter().map(|(code, count)| (code.as_str(), *count));
        sheet.counters("replies", "Replies", "code", replies)?;
        let (leased, total) = snapshot.passive_ports;
        let ports = [("leased", leased), ("free", total.saturating_sub(leased))];
        sheet.gauges("passive_ports", "Ports for data connections", "state", ports)
    }

    fn latencies(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let rows = Latency::ALL.into_iter().filter_map(|what| {
            let row = self.snapshot.latencies.iter().find(|(known, _)| *known == what);
            row.map(|(_, histogram)| (what.as_str(), histogram))
        });
        sheet.histograms("latency_seconds", "How long things took", "what", rows)
    }
}

const fn rank(level: Level) -> u64 {
    match level {
        Level::Calm => 0,
        Level::Busy => 1,
        Level::Strained => 2,
        Level::Full => 3,
    }
}

fn count(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod openmetrics;
#[cfg(test)]
pub(crate) mod tests;
