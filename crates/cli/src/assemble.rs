//! Turns a plan into the rooms it names: this is the only place that knows a concrete storage.

use std::sync::Arc;

use anyhow::{Context, bail};
use tidegate_accounts::{Account, Accounts, Anonymous};
use tidegate_server::view::Reconfiguration;
use tidegate_server::{ListenerConfig, PassiveAddress, PortChoice, Rate, ServerConfig, Timeouts};
use tidegate_storage::Backend;
use tidegate_storage_local::{Durability, LocalBackend, Options};

use crate::config::{self, RateLimit};
use crate::plan::{PlannedListener, ServePlan};

mod limits;

/// Returns what the server needs to start.
pub fn assemble(plan: &ServePlan) -> anyhow::Result<(ServerConfig, Arc<dyn Backend>)> {
    let server = ServerConfig {
        listeners: plan.listeners.iter().map(listener).collect(),
        greeting: plan.greeting.clone(),
        timeouts: timeouts(plan),
        limits: limits::limits(plan),
        bans: Vec::new(),
        command_rate: command_rate(plan),
        accounts: accounts(plan)?,
        extras: plan.files.extra_commands.0,
        mode_z: plan.files.mode_z,
        file_bytes_max: plan.files.bytes_max,
        umask: plan.umask,
    };
    let options = Options {
        durability: durability(plan.durability),
        keep_partial: plan.files.keep_partial,
        deny: plan.files.deny_names.shared(),
        ..Options::default()
    };
    let backend = LocalBackend::new(options).context("cannot serve files of this machine")?;
    Ok((server, Arc::new(backend)))
}

/// Returns what a running server takes over from a new plan. Errors: the accounts cannot be used.
pub fn reconfiguration(plan: &ServePlan) -> anyhow::Result<Reconfiguration> {
    Ok(Reconfiguration {
        greeting: plan.greeting.clone(),
        timeouts: timeouts(plan),
        limits: limits::limits(plan),
        accounts: accounts(plan)?,
        extras: plan.files.extra_commands.0,
        mode_z: plan.files.mode_z,
        file_bytes_max: plan.files.bytes_max,
        command_rate: command_rate(plan),
    })
}

const fn timeouts(plan: &ServePlan) -> Timeouts {
    Timeouts {
        login: plan.timeouts.login,
        idle: plan.timeouts.idle,
        data_open: plan.timeouts.data_open,
        data_stall: plan.timeouts.data_stall,
    }
}

fn command_rate(plan: &ServePlan) -> Option<Rate> {
    plan.limits.command_rate.as_ref().map(|rate| rate.value).and_then(RateLimit::rate)
}

fn listener(planned: &PlannedListener) -> ListenerConfig {
    ListenerConfig {
        address: planned.address,
        passive_ports: planned
            .passive_ports
            .map_or(PortChoice::Free, |range| PortChoice::Range(range.low..=range.high)),
        trusted_proxies: planned.trusted_proxies.clone(),
        passive_address: planned
            .passive_address_for
            .iter()
            .fold(passive_address(&planned.passive_address), |address, (network, other)| {
                address.except_from(network.0, passive_address(other))
            }),
    }
}

fn passive_address(planned: &config::PassiveAddress) -> PassiveAddress {
    match planned {
        config::PassiveAddress::Auto => PassiveAddress::auto(),
        config::PassiveAddress::Fixed(address) => PassiveAddress::fixed((*address).into()),
        config::PassiveAddress::Host(name) => PassiveAddress::host(name.clone()),
    }
}

fn accounts(plan: &ServePlan) -> anyhow::Result<Accounts> {
    let mut accounts = Vec::with_capacity(plan.accounts.len());
    for planned in &plan.accounts {
        accounts.push(Account {
            name: planned.name.clone(),
            password_hash: planned.password_hash.reveal().to_owned(),
            home: home(&planned.home)?,
            rights: planned.rights,
            max_connections: planned.max_connections,
            upload: planned.upload,
            creation: planned.creation,
        });
    }
    let anonymous = match &plan.anonymous {
        None => None,
        Some(planned) => Some(Anonymous {
            home: home(&planned.home)?,
            rights: planned.rights,
            max_connections: planned.max_connections,
        }),
    };
    Accounts::new(accounts, anonymous).context("the accounts cannot be used")
}

fn home(path: &std::path::Path) -> anyhow::Result<String> {
    match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("the folder {} has a name that is not UTF-8: rename it", path.display()),
    }
}

fn durability(planned: config::Durability) -> Durability {
    match planned {
        config::Durability::Full => Durability::Full,
        config::Durability::File => Durability::File,
        config::Durability::None => Durability::None,
    }
}

#[cfg(test)]
mod tests;
