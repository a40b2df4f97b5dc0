//! How many descriptors a configuration needs, and how many connections they carry.

use std::collections::BTreeSet;

use tidegate_admission::Overload;

use super::super::problem::Problem;
use super::super::value::PortRange;
use super::super::{Config, Limits};
use super::Facts;

/// Descriptors kept back for logs, listeners and refusals when the number of connections is derived.
pub const DESCRIPTORS_KEPT: u64 = 64;
/// Descriptors of a session: its control connection.
const PER_SESSION: u64 = 1;
/// Descriptors of a session while it holds a passive port: the listening socket.
const PER_PASSIVE_PORT: u64 = 1;
/// Descriptors of a transfer: its data connection and its file.
const PER_TRANSFER: u64 = 2;

/// Returns how many connections `descriptor_limit` descriptors carry when nothing else bounds what they do; at least 1.
pub fn connections_for(descriptor_limit: u64) -> u32 {
    Bounds::default().connections_for(descriptor_limit)
}

/// What keeps sessions from holding all they could at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Passive ports there are; `None`: as many as are asked for.
    pub passive_ports: Option<u32>,
    /// Transfers at a time; `None`: one a session.
    pub transfers: Option<u32>,
    /// Places in the waiting room, beside all sessions.
    pub waiting: u32,
}

impl Bounds {
    /// Returns the bounds that `limits` and the passive ports of every listener make.
    pub fn new(limits: &Limits, ranges: impl Iterator<Item = Option<PortRange>>) -> Self {
        Self {
            passive_ports: distinct_ports(ranges),
            transfers: limits.transfers.as_ref().map(|transfers| transfers.value),
            waiting: match limits.waiting_room.hold.value {
                hold if hold.is_zero() => 0,
                _ => limits.waiting_room.places.value,
            },
        }
    }

    /// Returns the bounds of a whole configuration.
    pub fn of(config: &Config) -> Self {
        let ranges = config.listeners.iter().map(|listener| listener.passive_ports.as_ref());
        Self::new(&config.limits, ranges.map(|ports| ports.map(|ports| ports.value)))
    }

    /// Returns the most descriptors that `connections` sessions use at once, those kept back included.
    pub fn needed(self, connections: u32) -> u64 {
        let at_most = |bound: Option<u32>| u64::from(bound.map_or(connections, |most| most.min(connections)));
        DESCRIPTORS_KEPT
            + u64::from(self.waiting)
            + PER_SESSION * u64::from(connections)
            + PER_PASSIVE_PORT * at_most(self.passive_ports)
            + PER_TRANSFER * at_most(self.transfers)
    }

    /// Returns the most connections whose descriptors fit into `descriptor_limit`; at least 1.
    pub fn connections_for(self, descriptor_limit: u64) -> u32 {
        let (mut fits, mut too_many) = (1_u32, u32::MAX);
        if self.needed(too_many) <= descriptor_limit {
            return too_many;
        }
        // What is needed grows with the connections.
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if self.needed(middle) <= descriptor_limit { fits = middle } else { too_many = middle }
        }
        fits
    }

    /// Returns how `connections` follows from `descriptor_limit`, for people.
    pub fn derivation(self, connections: u32, descriptor_limit: u64) -> String {
        let binds = |bound: Option<u32>| bound.is_some_and(|most| most < connections);
        if self.waiting == 0 && !binds(self.passive_ports) && !binds(self.transfers) {
            let each = PER_SESSION + PER_PASSIVE_PORT + PER_TRANSFER;
            format!("({descriptor_limit} descriptors - {DESCRIPTORS_KEPT}) / {each}")
        } else {
            format!("the most whose descriptors fit into {descriptor_limit}")
        }
    }
}

/// Returns how many different ports there are; `None` when one listener takes any.
fn distinct_ports(ranges: impl Iterator<Item = Option<PortRange>>) -> Option<u32> {
    let mut ports = BTreeSet::new();
    for range in ranges {
        let range = range?;
        ports.extend(range.low..=range.high);
    }
    u32::try_from(ports.len()).ok()
}

/// The descriptors a configuration needs, beside those there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Most connections in all.
    pub connections: u32,
    /// What they may hold.
    pub bounds: Bounds,
    /// How many descriptors the process may open.
    pub descriptor_limit: u64,
    /// The number of open descriptors at which overload refuses newcomers; `None`: it does not.
    pub closes_at: Option<u64>,
}

impl Needs {
    /// Returns what `connections` need under `bounds`.
    pub fn new(connections: u32, bounds: Bounds, overload: &Overload, descriptor_limit: u64) -> Self {
        let closes_at = overload.descriptors_percent.map(|percent| {
            let open = u128::from(descriptor_limit) * u128::from(percent);
            u64::try_from(open.div_ceil(100)).unwrap_or(u64::MAX)
        });
        Self { connections, bounds, descriptor_limit, closes_at }
    }

    /// Returns the most descriptors in use at once.
    pub fn total(&self) -> u64 {
        self.bounds.needed(self.connections)
    }

    /// Returns the lines of check-config.
    pub fn lines(&self) -> String {
        let most = |bound: Option<u32>| bound.map_or(self.connections, |most| most.min(self.connections));
        let waiting = match self.bounds.waiting {
            0 => String::new(),
            places => format!(" + {places} waiting"),
        };
        let closes = match self.closes_at {
            None => String::new(),
            Some(open) => format!("  from {open} on newcomers are refused (overload.descriptors)\n"),
        };
        format!(
            "Descriptors: {PER_SESSION} a session, {PER_PASSIVE_PORT} more while it holds a passive port, {PER_TRANSFER} a \
             transfer (data connection and file)\n  \
             {DESCRIPTORS_KEPT} kept{waiting} + {} sessions + {} passive ports + {PER_TRANSFER} x {} transfers = {} of {}\n{closes}",
            self.connections,
            most(self.bounds.passive_ports),
            most(self.bounds.transfers),
            self.total(),
            self.descriptor_limit,
        )
    }

    /// Returns the same for programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "per_session": PER_SESSION,
            "per_passive_port": PER_PASSIVE_PORT,
            "per_transfer": PER_TRANSFER,
            "kept": DESCRIPTORS_KEPT,
            "waiting": self.bounds.waiting,
            "connections": self.connections,
            "needed": self.total(),
            "limit": self.descriptor_limit,
            "closes_at": self.closes_at,
        })
    }
}

/// More connections than descriptors: an error where the file is checked, a warning where it is served.
pub(super) fn check(config: &Config, facts: &Facts<'_>, problems: &mut Vec<Problem>) {
    let bounds = Bounds::of(config);
    let limits = &config.limits;
    let most = bounds.connections_for(facts.descriptor_limit);
    let too_few = "raise the hard limit (`ulimit -Hn`, or LimitNOFILE= of the systemd unit)";
    let problem = match &limits.connections {
        Some(connections) if connections.value > most => {
            let how = bounds.derivation(most, facts.descriptor_limit);
            let problem = Problem::new(
                "limits.connections",
                format!("{} connections need more descriptors than the system gives", connections.value),
            )
            .at(connections.at.clone(), format!("expected {most} at most: {how}"));
            match &limits.transfers {
                None => problem.hint(format!("{too_few}, or lower the number")),
                Some(transfers) => problem
                    .against("limits.transfers", transfers.at.clone(), "each takes 2 descriptors more")
                    .hint(format!("{too_few}, or lower one of the two")),
            }
        }
        None if bounds.needed(1) > facts.descriptor_limit && bounds.waiting > 0 => Problem::new(
            "limits.waiting_room.places",
            format!("{} who wait leave no descriptor for a connection", bounds.waiting),
        )
        .at(
            limits.waiting_room.places.at.clone(),
            format!("there are {} descriptors", facts.descriptor_limit),
        )
        .against("limits.waiting_room.hold", limits.waiting_room.hold.at.clone(), "so they are held")
        .hint(format!("{too_few}, or lower the number")),
        _ => return,
    };
    problems.push(if facts.is_strict { problem } else { problem.warning() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_and_connections_are_inverse() {
        for waiting in [0, 64] {
            for passive_ports in [None, Some(1), Some(100)] {
                for transfers in [None, Some(1), Some(50), Some(1000)] {
                    let bounds = Bounds { passive_ports, transfers, waiting };
                    for limit in [256, 1024, 1025, 1026, 1027, 65_536] {
                        let most = bounds.connections_for(limit);
                        assert!(bounds.needed(most) <= limit, "{bounds:?} {limit}");
                        assert!(bounds.needed(most + 1) > limit, "{bounds:?} {limit}");
                    }
                }
            }
        }
    }

    #[test]
    fn worked_numbers() {
        let free = Bounds::default();
        assert_eq!((free.needed(240), free.connections_for(1024)), (1024, 240));
        let few = Bounds { passive_ports: Some(100), transfers: Some(100), waiting: 0 };
        assert_eq!((few.needed(660), few.connections_for(1024)), (1024, 660));
        assert_eq!(few.derivation(660, 1024), "the most whose descriptors fit into 1024");
        assert_eq!(few.derivation(50, 264), "(264 descriptors - 64) / 4");
        assert_eq!(Bounds { waiting: 1024, ..free }.connections_for(1024), 1);
    }

    #[test]
    fn ports_of_two_ranges_count_once() {
        let range = |low, high| Some(PortRange { low, high });
        assert_eq!(distinct_ports([range(2000, 2009), range(2005, 2014)].into_iter()), Some(15));
        assert_eq!(distinct_ports([range(2000, 2009), None].into_iter()), None);
        assert_eq!(distinct_ports([range(1024, u16::MAX)].into_iter()), Some(64_512));
    }
}
