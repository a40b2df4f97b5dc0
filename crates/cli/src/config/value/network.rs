//! Networks.

use std::net::IpAddr;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tidegate_admission::NetworkMap;
use toml::de::DeValue;

use super::files::list_of_texts;
use super::{Mismatch, Value, quote, text_of};
use crate::keys::Kind;

/// The addresses that begin with the same bits; a single address is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(pub IpNet);

impl Default for Network {
    /// Every IPv4 address. Stands in for a value that could not be read until the file is refused.
    fn default() -> Self {
        Self(Ipv4Net::default().into())
    }
}

impl Value for Network {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        network_of(text_of(found, "a network")?).map(Self)
    }

    fn show(&self) -> String {
        self.0.to_string()
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Network
    }
}

/// Networks, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkList(pub Vec<IpNet>);

impl NetworkList {
    /// Returns the same addresses in as few networks as can be, to be looked up.
    pub fn coverage(&self) -> Coverage {
        let widest = IpNet::aggregate(&self.0);
        Coverage(widest.into_iter().map(|network| (network, network.prefix_len())).collect())
    }

    /// Returns whether some address of `network` is in one of them.
    pub fn touches(&self, network: &IpNet) -> bool {
        self.0.iter().any(|own| own.contains(network) || network.contains(own))
    }
}

/// The addresses of a list of networks.
#[derive(Clone, Debug)]
pub struct Coverage(NetworkMap<u8>);

impl Coverage {
    /// Returns whether every address of `network` is among them.
    pub fn holds(&self, network: &IpNet) -> bool {
        self.0.get(network.addr()).is_some_and(|length| *length <= network.prefix_len())
    }

    /// Returns the families of which every address is among them, for people: `every IPv4 address`; `None`: of neither.
    pub fn everybody(&self) -> Option<&'static str> {
        match (self.holds(&IpNet::V4(Ipv4Net::default())), self.holds(&IpNet::V6(Ipv6Net::default()))) {
            (true, true) => Some("every address"),
            (true, false) => Some("every IPv4 address"),
            (false, true) => Some("every IPv6 address"),
            (false, false) => None,
        }
    }
}

impl Value for NetworkList {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let texts = list_of_texts(found, "networks")?;
        let network = |text: &str| {
            network_of(text).map_err(|mismatch| Mismatch {
                what: format!("has a bad network in it: {} {}", quote(text), mismatch.what),
                ..mismatch
            })
        };
        texts.into_iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    fn show(&self) -> String {
        let shown: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        if shown.is_empty() { "[]".into() } else { shown.join(", ") }
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Networks
    }
}

/// Reads a network, or an address as the network of it alone. Errors: host bits are set, or it is IPv4 written as IPv6.
fn network_of(text: &str) -> Result<IpNet, Mismatch> {
    let network = match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => network,
        (_, Ok(address)) => IpNet::from(address),
        _ => return Err(no_network(text)),
    };
    if network != network.trunc() {
        let (net, host) = (network.trunc(), IpNet::from(network.addr()));
        return Err(Mismatch::new(format!("has bits set behind its first {}", network.prefix_len()))
            .hint(format!("write \"{net}\" for the network, \"{host}\" for the one address")));
    }
    match network {
        // Clients that come as `::ffff:a.b.c.d` are compared as the IPv4 addresses they are.
        IpNet::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => {
            let address = v6.addr().to_canonical();
            let length = v6.prefix_len() - 96;
            Err(Mismatch::new("is IPv4 written as IPv6").hint(format!("write \"{address}/{length}\"")))
        }
        _ => Ok(network),
    }
}

fn no_network(text: &str) -> Mismatch {
    let mismatch = Mismatch::new("is not a network");
    match text.split_once('/') {
        Some((address, length)) if address.parse::<IpAddr>().is_ok() => {
            let most = if address.contains(':') { 128 } else { 32 };
            match length.parse::<IpAddr>() {
                Ok(IpAddr::V4(mask)) if mask.to_bits().leading_ones() == mask.to_bits().count_ones() => {
                    mismatch.hint(format!("write \"{address}/{}\"", mask.to_bits().leading_ones()))
                }
                _ => mismatch.hint(format!("behind the slash comes a number of bits, {most} at most")),
            }
        }
        _ if text.contains('*') => mismatch.hint("wildcards are not read; 10.1.*.* is 10.1.0.0/16"),
        _ => mismatch
            .hint("host names are not looked up here; write the address and how many of its bits count"),
    }
}
