//! Limits that contradict each other: one that another never lets be reached, a trial that tries nothing, and what cannot work.

use std::ops::Range;

use super::super::problem::Problem;
use super::super::reader::{Setting, duplicates};
use super::super::value::RateLimit;
use super::super::{Config, Limits, Listener, Override, show_duration};
use super::{Bounds, Facts};

use tidegate_admission::Reclaim;

/// A number with its key and where it stands.
#[derive(Clone, Debug)]
struct Number {
    key: String,
    value: u32,
    at: Option<Range<usize>>,
}

impl Number {
    fn of(key: impl Into<String>, setting: Option<&Setting<u32>>) -> Option<Self> {
        setting.map(|setting| Self { key: key.into(), value: setting.value, at: setting.at.clone() })
    }
}

pub(super) fn check(config: &Config, facts: &Facts<'_>, problems: &mut Vec<Problem>) {
    let total = total(config, facts);
    check_reachable(config, &total, problems);
    check_transfers(config, &total, problems);
    check_shadows(config, &total, problems);
    check_listeners(config, &total, problems);
    check_overrides(&config.limits, problems);
    check_reserve(&config.limits, &total, problems);
    check_ports(config, problems);
    check_ports_of_sessions(config, problems);
    check_reclaim(config, problems);
    check_floods(&config.limits, problems);
    check_times(&config.limits, problems);
}

fn total(config: &Config, facts: &Facts<'_>) -> Number {
    Number::of("limits.connections", config.limits.connections.as_ref()).unwrap_or_else(|| Number {
        key: "limits.connections".into(),
        value: Bounds::of(config).connections_for(facts.descriptor_limit),
        at: None,
    })
}

/// Warns when `small` is above `big`, which then always decides first.
fn check_pair(small: Option<Number>, big: &Number, problems: &mut Vec<Problem>) {
    let Some(small) = small.filter(|small| small.value > big.value) else { return };
    problems.push(
        Problem::new(small.key, format!("{} is more than `{}` and is never reached", small.value, big.key))
            .at(small.at, format!("`{}` is {}", big.key, big.value))
            .against(big.key.clone(), big.at.clone(), "reached first")
            .hint(format!("lower it, or raise `{}`", big.key))
            .warning(),
    );
}

fn check_reachable(config: &Config, total: &Number, problems: &mut Vec<Problem>) {
    let limits = &config.limits;
    let of_address = limits.connections_per_address.as_ref();
    let unauthenticated = limits.connections_unauthenticated.as_ref();
    check_pair(Number::of("limits.connections_per_address", of_address), total, problems);
    check_pair(Number::of("limits.connections_unauthenticated", unauthenticated), total, problems);
    for other in &limits.overrides {
        let key = format!("{}.connections_per_address", other.label);
        check_pair(Number::of(key, other.connections_per_address.as_ref()), total, problems);
    }
    for account in &config.accounts {
        let key = format!("{}.max_connections", account.label);
        check_pair(Number::of(key, account.max_connections.as_ref()), total, problems);
    }
    let anonymous = config.anonymous.max_connections.as_ref();
    check_pair(Number::of("anonymous.max_connections", anonymous), total, problems);
}

/// A session moves one file at a time.
fn check_transfers(config: &Config, total: &Number, problems: &mut Vec<Problem>) {
    let limits = &config.limits;
    let all = Number::of("limits.transfers", limits.transfers.as_ref());
    check_pair(all.clone(), total, problems);
    let of_address = Number::of("limits.transfers_per_address", limits.transfers_per_address.as_ref());
    let house = all.unwrap_or_else(|| total.clone());
    let widened = limits.overrides.iter().any(|other| other.connections_per_address.is_some());
    let sessions = Number::of("limits.connections_per_address", limits.connections_per_address.as_ref());
    let bound = match sessions.filter(|sessions| !widened && sessions.value < house.value) {
        Some(sessions) => sessions,
        None => house.clone(),
    };
    check_pair(of_address, &bound, problems);
    for other in &limits.overrides {
        let key = format!("{}.transfers_per_address", other.label);
        let number = Number::of(key, other.transfers_per_address.as_ref());
        let own = Number::of(
            format!("{}.connections_per_address", other.label),
            other.connections_per_address.as_ref(),
        );
        let sessions = own.or_else(|| {
            Number::of("limits.connections_per_address", limits.connections_per_address.as_ref())
        });
        let bound = sessions.filter(|sessions| sessions.value < house.value);
        check_pair(number, bound.as_ref().unwrap_or(&house), problems);
    }
}

/// Warns when the limit `real` refuses before the limit on trial would.
fn check_trial(trial: Option<Number>, real: &Number, problems: &mut Vec<Problem>) {
    let Some(trial) = trial.filter(|trial| trial.value >= real.value) else { return };
    problems.push(
        Problem::new(
            trial.key,
            format!("{} is not below `{}`: the trial never counts anything", trial.value, real.key),
        )
        .at(trial.at, format!("expected less than {}", real.value))
        .against(real.key.clone(), real.at.clone(), "this refuses first")
        .hint(format!("try a smaller number; when it is good, make it `{}`", real.key))
        .warning(),
    );
}

fn check_rate_trial(
    (trial_key, trial): (String, Option<&Setting<RateLimit>>),
    (real_key, real): (String, Option<&Setting<RateLimit>>),
    problems: &mut Vec<Problem>,
) {
    let (Some(trial), Some(real)) = (trial, real) else { return };
    if trial.value.is_no_tighter_than(real.value) {
        problems.push(
            Problem::new(trial_key, format!("it refuses nothing that `{real_key}` lets through"))
                .at(trial.at.clone(), "expected fewer, or the same in a longer time")
                .against(real_key.clone(), real.at.clone(), "this refuses first")
                .hint(format!("try a smaller rate; when it is good, make it `{real_key}`"))
                .warning(),
        );
    }
}

fn check_shadows(config: &Config, total: &Number, problems: &mut Vec<Problem>) {
    let (limits, shadow) = (&config.limits, &config.limits.shadow);
    let all_transfers = Number::of("limits.transfers", limits.transfers.as_ref());
    let pairs = [
        ("connections", &shadow.connections, None, total),
        (
            "connections_per_address",
            &shadow.connections_per_address,
            limits.connections_per_address.as_ref(),
            total,
        ),
        (
            "connections_unauthenticated",
            &shadow.connections_unauthenticated,
            limits.connections_unauthenticated.as_ref(),
            total,
        ),
        ("transfers", &shadow.transfers, limits.transfers.as_ref(), total),
        (
            "transfers_per_address",
            &shadow.transfers_per_address,
            limits.transfers_per_address.as_ref(),
            all_transfers.as_ref().unwrap_or(total),
        ),
    ];
    for (name, trial, real, house) in pairs {
        let real = Number::of(format!("limits.{name}"), real);
        let trial = Number::of(format!("limits.shadow.{name}"), trial.as_ref());
        check_trial(trial, real.as_ref().unwrap_or(house), problems);
    }
    let name = "connection_rate_per_address";
    check_rate_trial(
        (format!("limits.shadow.{name}"), shadow.connection_rate_per_address.as_ref()),
        (format!("limits.{name}"), limits.connection_rate_per_address.as_ref()),
        problems,
    );
    for other in &limits.overrides {
        check_override_against_trial(other, limits, problems);
    }
}

/// A trial is for every address, so for the addresses of a tighter override it tries nothing.
fn check_override_against_trial(other: &Override, limits: &Limits, problems: &mut Vec<Problem>) {
    let shadow = &limits.shadow;
    let pairs = [
        ("connections_per_address", &other.connections_per_address, &shadow.connections_per_address),
        ("transfers_per_address", &other.transfers_per_address, &shadow.transfers_per_address),
    ];
    let tighter = |key: String, own: Option<Range<usize>>, name: &str, trial: Option<Range<usize>>| {
        let trial_key = format!("limits.shadow.{name}");
        Problem::new(key, format!("is not above `{trial_key}`: there the trial never counts anything"))
            .at(own, format!("{} is refused first", other.from.value.0))
            .against(trial_key, trial, "tried out for every address")
            .hint("raise it, or read the counts of the trial without this network")
            .warning()
    };
    for (name, own, trial) in pairs {
        if let (Some(own), Some(trial)) = (own, trial)
            && own.value <= trial.value
        {
            let key = format!("{}.{name}", other.label);
            problems.push(tighter(key, own.at.clone(), name, trial.at.clone()));
        }
    }
    let name = "connection_rate_per_address";
    if let (Some(own), Some(trial)) =
        (&other.connection_rate_per_address, &shadow.connection_rate_per_address)
        && trial.value.is_no_tighter_than(own.value)
    {
        problems.push(tighter(format!("{}.{name}", other.label), own.at.clone(), name, trial.at.clone()));
    }
}

fn check_listeners(config: &Config, total: &Number, problems: &mut Vec<Problem>) {
    for listener in &config.listeners {
        let key = format!("{}.connections", listener.label);
        let own = Number::of(key, listener.connections.as_ref());
        check_pair(own.clone(), total, problems);
        let trial = Number::of(
            format!("{}.shadow.connections", listener.label),
            listener.shadow.connections.as_ref(),
        );
        check_trial(trial, own.as_ref().unwrap_or(total), problems);
        check_rate_trial(
            (format!("{}.shadow.connection_rate", listener.label), listener.shadow.connection_rate.as_ref()),
            (format!("{}.connection_rate", listener.label), listener.connection_rate.as_ref()),
            problems,
        );
    }
    let counts = config.listeners.iter().map(|listener| listener.connections.as_ref());
    let sum = counts.map(|own| own.map(|own| u64::from(own.value))).sum::<Option<u64>>();
    if let (Some(sum), Some(_)) = (sum, &total.at)
        && sum < u64::from(total.value)
    {
        let first = config.listeners.first().and_then(|listener| listener.connections.as_ref());
        let key = config.listeners.first().map(|listener| format!("{}.connections", listener.label));
        problems.push(
            Problem::new(
                "limits.connections",
                format!("{} is never reached: the listeners together take {sum}", total.value),
            )
            .at(total.at.clone(), format!("expected {sum} at most"))
            .against(key.unwrap_or_default(), first.and_then(|own| own.at.clone()), "counted here")
            .hint(format!("write {sum} to say that it is meant, or raise `connections` of a listener"))
            .warning(),
        );
    }
}

fn check_overrides(limits: &Limits, problems: &mut Vec<Problem>) {
    let read = || limits.overrides.iter().filter(|other| other.from.at.is_some());
    for other in read() {
        let is_empty = other.connections_per_address.is_none()
            && other.connection_rate_per_address.is_none()
            && other.transfers_per_address.is_none();
        if is_empty {
            problems.push(
                Problem::new(other.label.clone(), "it names a network and no limit, so it changes nothing")
                    .at(other.from.at.clone(), "nothing is said about it")
                    .hint("add `connections_per_address`, `connection_rate_per_address` or `transfers_per_address`")
                    .warning(),
            );
        }
    }
    for (first, second) in duplicates(read().map(|other| (other.from.value, other))) {
        problems.push(
            Problem::new(
                format!("{}.from", second.label),
                format!("{} has other limits already", second.from.value.0),
            )
            .at(second.from.at.clone(), "expected a network of its own")
            .against(format!("{}.from", first.label), first.from.at.clone(), "it stands here too")
            .hint("put the limits of both into one"),
        );
    }
}

fn check_reserve(limits: &Limits, total: &Number, problems: &mut Vec<Problem>) {
    let Some(reserved) = &limits.reserved else { return };
    let (kept, from) = (&reserved.connections, &reserved.from);
    // What could not be read is reported already.
    if from.at.is_some() && from.value.0.is_empty() {
        problems.push(
            Problem::new("limits.reserved.from", "names no network, so nobody could use the reserve")
                .at(from.at.clone(), "expected a network")
                .against("limits.reserved.connections", kept.at.clone(), "kept for nobody")
                .hint("name a network, such as [\"10.0.0.0/8\"], or remove `reserved`"),
        );
    }
    if kept.at.is_some() && kept.value >= total.value {
        problems.push(
            Problem::new(
                "limits.reserved.connections",
                format!("{} of {} connections are kept: nobody else could connect", kept.value, total.value),
            )
            .at(kept.at.clone(), format!("expected less than {}", total.value))
            .against("limits.connections", total.at.clone(), "all there are")
            .hint("lower it, raise `limits.connections`, or use `limits.allow` to keep everybody else out"),
        );
    }
}

fn check_ports(config: &Config, problems: &mut Vec<Problem>) {
    let (Some(transfers), Some(ports)) = (&config.limits.transfers, Bounds::of(config).passive_ports) else {
        return;
    };
    if transfers.value > ports {
        let first = config.listeners.iter().find_map(|listener| {
            Some((format!("{}.passive_ports", listener.label), listener.passive_ports.as_ref()?))
        });
        let problem = Problem::new(
            "limits.transfers",
            format!("{} transfers need more passive ports than there are", transfers.value),
        )
        .at(transfers.at.clone(), format!("there are {ports} passive ports"))
        .hint("widen `passive_ports`, or lower `limits.transfers`; who finds no port reads 425 [cause=data-ports]")
        .warning();
        problems.push(match first {
            Some((key, range)) => problem.against(key, range.at.clone(), "too few for them"),
            None => problem,
        });
    }
}

/// Without a limit of transfers each session may hold a passive port.
fn check_ports_of_sessions(config: &Config, problems: &mut Vec<Problem>) {
    let (Some(connections), None) = (&config.limits.connections, &config.limits.transfers) else { return };
    let Some(ports) = Bounds::of(config).passive_ports.filter(|ports| *ports < connections.value) else {
        return;
    };
    let range =
        |listener: &Listener| Some((listener.label.clone(), listener.passive_ports.as_ref()?.at.clone()?));
    let Some((label, at)) = config.listeners.iter().find_map(range) else { return };
    problems.push(
        Problem::new(
            format!("{label}.passive_ports"),
            format!("{ports} passive ports are fewer than {} connections", connections.value),
        )
        .at(Some(at), "each session may hold one: `limits.transfers` is absent")
        .against("limits.connections", connections.at.clone(), "so many sessions")
        .hint(format!(
            "widen `passive_ports`, or set `limits.transfers` to {ports} at most; who finds no port reads 425 [cause=data-ports]"
        ))
        .warning(),
    );
}

/// Sessions that flood are counted towards a ban only where bans are switched on.
fn check_floods(limits: &Limits, problems: &mut Vec<Problem>) {
    let (Some(rate), None) = (&limits.command_rate, &limits.login_failures) else { return };
    problems.push(
        Problem::new("limits.command_rate", "ends sessions that flood, and nobody is ever banned for it")
            .at(rate.at.clone(), "without a ban they come back at once")
            .against("limits.login_failures", None, "")
            .hint("set `limits.login_failures`, such as \"10/5m\": it switches on bans, those for floods too")
            .warning(),
    );
}

fn check_reclaim(config: &Config, problems: &mut Vec<Problem>) {
    let limits = &config.limits;
    let has_limit = limits.connections_per_address.is_some()
        || limits.overrides.iter().any(|other| other.connections_per_address.is_some())
        || config.accounts.iter().any(|account| account.max_connections.is_some())
        || config.anonymous.max_connections.is_some();
    if limits.reclaim.value != Reclaim::Off && !has_limit {
        problems.push(
            Problem::new(
                "limits.reclaim",
                "no address and no account is ever full, so no place is ever taken back",
            )
            .at(limits.reclaim.at.clone(), "it waits for a limit to be reached")
            .against("limits.connections_per_address", None, "")
            .hint("set `limits.connections_per_address`, or `max_connections` of an account")
            .warning(),
        );
    }
}

fn check_times(limits: &Limits, problems: &mut Vec<Problem>) {
    let (first, most) = (&limits.ban.first, &limits.ban.most);
    if most.value < first.value {
        let (key, at) = match &most.at {
            Some(_) => ("limits.ban.most", &most.at),
            None => ("limits.ban.first", &first.at),
        };
        let (other, other_at) = match &most.at {
            Some(_) => ("limits.ban.first", &first.at),
            None => ("limits.ban.most", &most.at),
        };
        problems.push(
            Problem::new(
                key,
                format!(
                    "the longest ban ({}) is shorter than the first ({})",
                    show_duration(most.value),
                    show_duration(first.value)
                ),
            )
            .at(at.clone(), "expected `first` to be at most `most`")
            .against(other, other_at.clone(), "against this")
            .hint(format!("set `most` to \"{}\" or longer", show_duration(first.value))),
        );
    }
    let room = &limits.waiting_room;
    if room.places.at.is_some() && room.hold.value.is_zero() {
        problems.push(
            Problem::new("limits.waiting_room.places", "nobody waits, because `hold` is 0s")
                .at(room.places.at.clone(), "never used")
                .against("limits.waiting_room.hold", room.hold.at.clone(), "nobody waits")
                .hint("add `hold = \"5s\"`, or remove it")
                .warning(),
        );
    }
}
