use std::net::SocketAddr;

use ipnet::IpNet;
use tidegate_accounts::Accounts;
use tidegate_admission::BanRecord;
pub use tidegate_admission::{Limits, Rate};
use tidegate_net::{PassiveAddress, PortChoice};
pub use tidegate_protocol::command::Extras;
pub use tidegate_protocol::session::Timeouts;

/// Everything a server needs to know, with every default already decided.
#[derive(Debug)]
pub struct ServerConfig {
    /// Where to listen; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// The text of the 220 greeting; never names the version.
    pub greeting: String,
    /// How long sessions wait for what.
    pub timeouts: Timeouts,
    /// How many may enter.
    pub limits: Limits,
    /// Bans that were kept over a restart; in force before the doors open.
    pub bans: Vec<BanRecord>,
    /// How fast the commands of one session may come; `None`: no such limit.
    pub command_rate: Option<Rate>,
    /// Who may log in.
    pub accounts: Accounts,
    /// Which commands are offered that are off by default.
    pub extras: Extras,
    /// Whether MODE Z is offered.
    pub mode_z: bool,
    /// The largest size a file may have, in bytes; absent: no limit.
    pub file_bytes_max: Option<u64>,
    /// The permission bits that the service withholds from everything it creates, as SITE UMASK tells.
    pub umask: u32,
}

/// One address to listen on, with how its sessions open passive data connections.
#[derive(Debug)]
pub struct ListenerConfig {
    /// The address; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Which ports passive data connections use.
    pub passive_ports: PortChoice,
    /// Who must speak the PROXY protocol, on control and data connections; empty: nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// Which address PASV names.
    pub passive_address: PassiveAddress,
}
