//! Who may connect, who is never banned, and who is named for something that cannot happen to them.

use std::ops::Range;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::super::problem::Problem;
use super::super::{Config, Limits};

/// How many networks an error names.
const NAMED_MAX: usize = 3;

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let limits = &config.limits;
    if is_nobody_admitted(limits) {
        problems.push(
            Problem::new("limits.deny", "nobody may connect")
                .at(limits.deny.at.clone(), "it denies all that may connect otherwise")
                .against("limits.allow", limits.allow.at.clone(), "denied as a whole")
                .hint("remove a network from `limits.deny`, which is stronger than `limits.allow`"),
        );
        return;
    }
    check_allowed_and_denied(limits, problems);
    check_kept_out(limits, problems);
    check_never_banned(limits, problems);
}

fn is_nobody_admitted(limits: &Limits) -> bool {
    let (allow, deny) = (&limits.allow.value, &limits.deny.value);
    let everybody = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    let admitted: &[IpNet] = if allow.0.is_empty() { &everybody } else { &allow.0 };
    let denied = deny.coverage();
    !deny.0.is_empty() && admitted.iter().all(|network| denied.holds(network))
}

fn check_allowed_and_denied(limits: &Limits, problems: &mut Vec<Problem>) {
    let (allow, deny) = (&limits.allow, &limits.deny);
    let denied = deny.value.coverage();
    let both: Vec<IpNet> = allow.value.0.iter().filter(|network| denied.holds(network)).copied().collect();
    if !both.is_empty() {
        problems.push(
            Problem::new("limits.allow", format!("{} may not connect all the same", named(&both)))
                .at(allow.at.clone(), "allowed here")
                .against("limits.deny", deny.at.clone(), "denied here, which is stronger")
                .hint("remove the network from one of the two")
                .warning(),
        );
    }
}

/// Networks that are named for something good, and may not connect.
fn check_kept_out(limits: &Limits, problems: &mut Vec<Problem>) {
    let mut lists: Vec<(String, Vec<IpNet>, Option<Range<usize>>)> =
        vec![("limits.trusted".into(), limits.trusted.value.0.clone(), limits.trusted.at.clone())];
    if let Some(reserved) = &limits.reserved {
        lists.push(("limits.reserved.from".into(), reserved.from.value.0.clone(), reserved.from.at.clone()));
    }
    for other in &limits.overrides {
        lists.push((format!("{}.from", other.label), vec![other.from.value.0], other.from.at.clone()));
    }
    let (allow, deny) = (&limits.allow, &limits.deny);
    let denied_ones = deny.value.coverage();
    // A default that is out of reach is nobody's mistake.
    for (key, networks, at) in lists.into_iter().filter(|(_, _, at)| at.is_some()) {
        let out = |list: &dyn Fn(&IpNet) -> bool| -> Vec<IpNet> {
            networks.iter().filter(|network| list(network)).copied().collect()
        };
        let missing = out(&|network| !allow.value.0.is_empty() && !allow.value.touches(network));
        let denied = out(&|network| denied_ones.holds(network));
        for (out, who, label, hint) in [
            (missing, ("limits.allow", &allow.at), "missing here", "add it to `limits.allow`"),
            (denied, ("limits.deny", &deny.at), "denied here", "remove it from `limits.deny`"),
        ] {
            if !out.is_empty() {
                problems.push(
                    Problem::new(key.clone(), format!("{} may not connect at all", named(&out)))
                        .at(at.clone(), "named here")
                        .against(who.0, who.1.clone(), label)
                        .hint(format!("{hint}, or remove it here"))
                        .warning(),
                );
            }
        }
    }
}

fn check_never_banned(limits: &Limits, problems: &mut Vec<Problem>) {
    let Some(failures) = &limits.login_failures else { return };
    if let Some(all) = limits.trusted.value.coverage().everybody() {
        problems.push(
            Problem::new("limits.login_failures", format!("bans nobody: {all} is trusted"))
                .at(failures.at.clone(), "without effect on them")
                .against("limits.trusted", limits.trusted.at.clone(), format!("this is {all}"))
                .hint("name in `limits.trusted` only those who must never be banned")
                .warning(),
        );
    }
}

/// Returns the networks in a sentence: all when they are few.
fn named(networks: &[IpNet]) -> String {
    let shown: Vec<String> = networks.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    match networks.len().saturating_sub(NAMED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
