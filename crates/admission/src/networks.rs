use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use tidegate_types::normalize_address;

/// Values for networks. A look-up costs one step for each prefix length that occurs (at most 33 + 129), however many
/// networks there are; an entry takes about 50 bytes beside its value.
///
/// Addresses are normalised: `::ffff:192.0.2.0/120` is `192.0.2.0/24`, and `::/0` holds no IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkMap<T> {
    /// By (length, address cut to it, IPv6 or not).
    entries: BTreeMap<(bool, u8, u128), T>,
    /// The lengths that occur, the most specific first.
    lengths_v4: Vec<u8>,
    lengths_v6: Vec<u8>,
}

impl<T> Default for NetworkMap<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), lengths_v4: Vec::new(), lengths_v6: Vec::new() }
    }
}

impl<T> NetworkMap<T> {
    /// Gives `network` a value and returns the one it had.
    pub fn insert(&mut self, network: IpNet, value: T) -> Option<T> {
        let network = normalize_network(network);
        let length = network.prefix_len();
        let lengths = if is_v6(network.addr()) { &mut self.lengths_v6 } else { &mut self.lengths_v4 };
        if let Err(at) = lengths.binary_search_by(|known| length.cmp(known)) {
            lengths.insert(at, length);
        }
        self.entries.insert(key(network.addr(), length), value)
    }

    /// Returns the value of the most specific network that holds `address`.
    pub fn get(&self, address: IpAddr) -> Option<&T> {
        let address = normalize_address(address);
        let lengths = if is_v6(address) { &self.lengths_v6 } else { &self.lengths_v4 };
        lengths.iter().find_map(|length| self.entries.get(&key(address, *length)))
    }

    /// Returns how many networks have a value.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no network has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> FromIterator<(IpNet, T)> for NetworkMap<T> {
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (network, value) in entries {
            map.insert(network, value);
        }
        map
    }
}

/// A set of networks, looked up as a [`NetworkMap`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(NetworkMap<()>);

impl Networks {
    /// Returns the loopback networks, `127.0.0.0/8` and `::1/128`.
    pub fn loopback() -> Self {
        let v4 = IpNet::new_assert(IpAddr::V4(core::net::Ipv4Addr::new(127, 0, 0, 0)), 8);
        let v6 = IpNet::new_assert(IpAddr::V6(core::net::Ipv6Addr::LOCALHOST), 128);
        [v4, v6].into_iter().collect()
    }

    /// Returns whether one of the networks holds `address`.
    pub fn contains(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && self.0.get(address).is_some()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().map(|network| (network, ())).collect())
    }
}

/// Returns a network of IPv4-mapped addresses as the IPv4 network it is.
fn normalize_network(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(v4, length)
    {
        return IpNet::V4(v4);
    }
    network
}

const fn is_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(_))
}

fn key(address: IpAddr, length: u8) -> (bool, u8, u128) {
    match address {
        IpAddr::V4(v4) => {
            let host_bits = 32_u32.saturating_sub(length.into());
            let cut = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            (false, length, u128::from(v4.to_bits() & cut))
        }
        IpAddr::V6(v6) => {
            let host_bits = 128_u32.saturating_sub(length.into());
            let cut = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            (true, length, v6.to_bits() & cut)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_most_specific_network_wins() {
        let map: NetworkMap<u8> = [("0.0.0.0/0", 1), ("10.0.0.0/8", 2), ("10.9.0.0/16", 3), ("::/0", 4)]
            .into_iter()
            .chain([("2001:db8::/32", 5), ("10.9.8.7/32", 6)])
            .map(|(text, value)| (net(text), value))
            .collect();
        for (address, value) in [
            ("192.0.2.1", 1),
            ("10.1.2.3", 2),
            ("10.9.0.1", 3),
            ("10.9.8.7", 6),
            ("::ffff:10.9.8.7", 6),
            ("2001:db8::1", 5),
            ("fe80::1", 4),
        ] {
            assert_eq!(map.get(ip(address)), Some(&value), "{address}");
        }
        assert_eq!(map.len(), 6);
    }

    #[test]
    fn mapped_networks_are_ipv4_networks() {
        let set: Networks = [net("::ffff:192.0.2.0/120")].into_iter().collect();
        assert!(set.contains(ip("192.0.2.9")) && set.contains(ip("::ffff:192.0.2.9")));
        assert!(!set.contains(ip("192.0.3.9")));
        let every_v6: Networks = [net("::/0")].into_iter().collect();
        assert!(!every_v6.contains(ip("192.0.2.9")) && !every_v6.contains(ip("::ffff:192.0.2.9")));
    }

    #[test]
    fn host_bits_of_a_network_do_not_count() {
        let set: Networks = [net("10.1.2.3/8")].into_iter().collect();
        assert!(set.contains(ip("10.200.0.1")) && !set.contains(ip("11.0.0.1")));
        assert!(!Networks::default().contains(ip("10.0.0.1")));
        assert!(Networks::loopback().contains(ip("127.1.2.3")) && Networks::loopback().contains(ip("::1")));
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            nets in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..20),
            addresses in prop::collection::vec(any::<u32>(), 1..20),
        ) {
            // Only 4 high bits differ, so that networks nest.
            let nets: Vec<IpNet> = nets.into_iter()
                .map(|(bits, length)| IpNet::new((bits & 0xf000_000f).to_be_bytes().into(), length).unwrap())
                .collect();
            let map: NetworkMap<u8> = nets.iter().map(|net| (*net, net.prefix_len())).collect();
            for bits in addresses {
                let address = IpAddr::from((bits & 0xf000_000f).to_be_bytes());
                let expected = nets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
                prop_assert_eq!(map.get(address).copied(), expected);
            }
        }
    }
}
