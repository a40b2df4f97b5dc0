//! Addresses as the rest of tidegate compares them.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use rustix::net::SocketAddrAny;
use tidegate_types::normalize_address;

/// Returns `address` with an IPv4-mapped IPv6 address written as IPv4; port and IPv6 scope are kept.
pub fn normalize_socket_address(address: SocketAddr) -> SocketAddr {
    match normalize_address(address.ip()) {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// Returns `network` with one of IPv4-mapped IPv6 addresses written as IPv4, so that it contains the normalised ones.
pub(crate) fn normalize_network(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(length)) => Ipv4Net::new(v4, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

/// Returns whether `address` (normalised) is in one of `networks` (normalised).
pub(crate) fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// Returns the normalised internet address the kernel reported, `None` for another family.
pub(crate) fn from_kernel(address: SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address).ok().map(normalize_socket_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_networks_become_ipv4() {
        for (given, expected) in [
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(normalize_network(given.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn mapped_addresses_become_ipv4_and_keep_the_port() {
        for (given, expected) in [
            ("[::ffff:192.0.2.7]:21", "192.0.2.7:21"),
            ("192.0.2.7:21", "192.0.2.7:21"),
            ("[2001:db8::1]:21", "[2001:db8::1]:21"),
            ("[fe80::1%3]:21", "[fe80::1%3]:21"),
        ] {
            assert_eq!(normalize_socket_address(given.parse().unwrap()).to_string(), expected);
        }
    }
}
