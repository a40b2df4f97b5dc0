//! Addresses as the rest of tidegate compares them.

use std::net::SocketAddr;

use rustix::net::SocketAddrAny;
use tidegate_types::normalize_address;

/// Returns `address` with an IPv4-mapped IPv6 address written as IPv4; port and IPv6 scope are kept.
pub fn normalize_socket_address(address: SocketAddr) -> SocketAddr {
    match normalize_address(address.ip()) {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

/// Returns the normalised internet address the kernel reported, `None` for another family.
pub(crate) fn from_kernel(address: SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address).ok().map(normalize_socket_address)
}

#[cfg(test)]
mod tests {
    use super::*;

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
