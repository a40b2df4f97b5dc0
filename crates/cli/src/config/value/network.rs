//! Networks.

use std::net::IpAddr;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use toml::de::DeValue;

use super::{Mismatch, Value, text_of};
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
        let text = text_of(found, "a network")?;
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
            _ => Ok(Self(network)),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Network
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
