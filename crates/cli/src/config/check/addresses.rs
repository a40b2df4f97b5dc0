//! Where things are bound, and whether they are in each other's way.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::super::problem::Problem;
use super::super::reader::duplicates;
use super::super::value::Place;
use super::super::{Config, Listener};
use super::{Facts, PathKind};

/// Something that is bound.
struct Bound<'a> {
    /// What it is called: `listener[1]` or `admin.http`.
    label: &'a str,
    key: String,
    address: SocketAddr,
    at: Option<&'a Range<usize>>,
}

pub(super) fn check(config: &Config, facts: &Facts<'_>, problems: &mut Vec<Problem>) {
    let bound = everything_bound(config);
    check_clashes(&bound, problems);
    check_passive_ports(&config.listeners, &bound, problems);
    check_passive_networks(&config.listeners, problems);
    check_reach(config, problems);
    check_places(config, facts, problems);
}

fn everything_bound(config: &Config) -> Vec<Bound<'_>> {
    let listeners = config.listeners.iter().map(|listener| Bound {
        label: &listener.label,
        key: format!("{}.address", listener.label),
        address: listener.address.value.0,
        at: listener.address.at.as_ref(),
    });
    let admin = [("admin.http", &config.admin.http), ("admin.agent", &config.admin.agent)];
    let admin = admin.into_iter().filter_map(|(label, setting)| {
        let setting = setting.as_ref()?;
        Some(Bound { label, key: label.into(), address: setting.value.0, at: setting.at.as_ref() })
    });
    listeners.chain(admin).collect()
}

fn check_clashes(bound: &[Bound<'_>], problems: &mut Vec<Problem>) {
    for (position, one) in bound.iter().enumerate() {
        let Some(other) = bound.iter().take(position).find(|other| overlap(one.address, other.address))
        else {
            continue;
        };
        problems.push(
            Problem::new(
                one.key.clone(),
                format!("{} is taken by {} ({})", one.address, other.label, other.address),
            )
            .at(one.at.cloned(), "expected an address and port of its own")
            .against(other.key.clone(), other.at.cloned(), "taken here")
            .hint("remove one of the two, or change its port"),
        );
    }
}

/// Returns whether both could not be bound: the same port, and the same address or one that stands for all.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (first, second) = (one.ip().to_canonical(), other.ip().to_canonical());
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V6(wide) => wide.is_unspecified(),
        IpAddr::V4(wide) => wide.is_unspecified() && narrow.is_ipv4(),
    };
    // Port 0 is a fresh port each time.
    one.port() == other.port()
        && one.port() != 0
        && (first == second || covers(first, second) || covers(second, first))
}

fn check_passive_ports(listeners: &[Listener], bound: &[Bound<'_>], problems: &mut Vec<Problem>) {
    for listener in listeners {
        let Some(ports) = &listener.passive_ports else { continue };
        let range = ports.value.low..=ports.value.high;
        let Some(hit) = bound.iter().find(|other| range.contains(&other.address.port())) else { continue };
        let whose = if hit.label.starts_with("admin") { hit.label } else { "a listener's" };
        problems.push(
            Problem::new(
                format!("{}.passive_ports", listener.label),
                format!("port {} in it is {whose}", hit.address.port()),
            )
            .at(ports.at.clone(), "expected ports that nothing else uses")
            .against(hit.key.clone(), hit.at.cloned(), "used here")
            .hint("move the range"),
        );
    }
}

fn check_passive_networks(listeners: &[Listener], problems: &mut Vec<Problem>) {
    for listener in listeners {
        // What could not be read is reported already.
        let read = listener.passive_address_for.iter().filter(|exception| exception.from.at.is_some());
        for exception in read.clone().filter(|exception| exception.from.value.0.addr().is_ipv6()) {
            problems.push(
                Problem::new(
                    format!("{}.from", exception.label),
                    format!(
                        "{} is never told an address: over IPv6 there is no PASV",
                        exception.from.value.0
                    ),
                )
                .at(exception.from.at.clone(), "expected an IPv4 network")
                .hint("leave it out: IPv6 clients use EPSV, which needs no address")
                .warning(),
            );
        }
        for (first, second) in duplicates(read.map(|exception| (exception.from.value, exception))) {
            problems.push(
                Problem::new(
                    format!("{}.from", second.label),
                    format!("{} has its address in {} already", second.from.value.0, first.label),
                )
                .at(second.from.at.clone(), "expected a network of its own")
                .against(format!("{}.from", first.label), first.from.at.clone(), "it stands here too")
                .hint("remove one of the two"),
            );
        }
    }
}

/// What strangers could reach, or pretend to be.
fn check_reach(config: &Config, problems: &mut Vec<Problem>) {
    if let Some(http) = &config.admin.http
        && !http.value.0.ip().to_canonical().is_loopback()
    {
        problems.push(
            Problem::new("admin.http", "other machines can read health and metrics, without a password")
                .at(http.at.clone(), "expected an address of this machine only, such as \"127.0.0.1:2180\"")
                .hint("bind it to loopback, or let a firewall decide who reaches it")
                .warning(),
        );
    }
    for listener in &config.listeners {
        if let Some(all) = listener.trusted_proxies.value.coverage().everybody() {
            problems.push(
                Problem::new(
                    format!("{}.trusted_proxies", listener.label),
                    format!("{all} is taken for a proxy: who connects may claim to come from anywhere"),
                )
                .at(listener.trusted_proxies.at.clone(), "expected the addresses of your proxies")
                .hint("name the proxies alone: limits, bans and logs believe the address that they tell, and clients without a header are cut")
                .warning(),
            );
        }
    }
}

fn check_places(config: &Config, facts: &Facts<'_>, problems: &mut Vec<Problem>) {
    let wrong = |key: &str, place: &Place, bad: PathKind, what: &str, hint: &str| match place {
        Place::At(path) if (facts.kind_of)(path) == bad => Some(Problem::new(key, what).hint(hint)),
        _ => None,
    };
    let socket = &config.admin.socket;
    let hint = "add the name of the socket to the path, such as /run/tidegate/tidegate.sock";
    let found = wrong("admin.socket", &socket.value, PathKind::Folder, "this is a folder", hint);
    problems.extend(found.map(|problem| problem.at(socket.at.clone(), "expected a path where no folder is")));
    let state = &config.state;
    let hint = "name a folder of its own, such as /var/lib/tidegate";
    let found = wrong("state", &state.value, PathKind::Other, "this is not a folder", hint);
    problems.extend(found.map(|problem| problem.at(state.at.clone(), "expected the path of a folder")));
}
