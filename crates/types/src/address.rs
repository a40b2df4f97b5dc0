use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns `address` with an IPv4-mapped IPv6 address (`::ffff:a.b.c.d`) turned into the IPv4 address it is.
pub fn normalize_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// What counts as one peer for limits: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKey {
    /// One IPv4 address, mapped ones included.
    V4(Ipv4Addr),
    /// The upper 64 bits of an IPv6 address: what one customer usually gets.
    V6Net(u64),
}

impl AddressKey {
    /// Returns the key `address` is counted under.
    pub fn of(address: IpAddr) -> Self {
        match normalize_address(address) {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => Self::V6Net((v6.to_bits() >> 64) as u64),
        }
    }
}

impl core::fmt::Display for AddressKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::V4(v4) => write!(f, "{v4}"),
            Self::V6Net(net) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*net) << 64)),
        }
    }
}

impl core::str::FromStr for AddressKey {
    type Err = AddressKeyError;

    /// Reads what `Display` writes, or an address: `192.0.2.7`, `2001:db8:1:2::/64`, `2001:db8:1:2::9`.
    fn from_str(text: &str) -> Result<Self, AddressKeyError> {
        let address = text.strip_suffix("/64").unwrap_or(text);
        let key = Self::of(address.parse().map_err(|_| AddressKeyError)?);
        let suffix_fits = address.len() == text.len() || matches!(key, Self::V6Net(_));
        suffix_fits.then_some(key).ok_or(AddressKeyError)
    }
}

/// The text is no address and no IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressKeyError;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn mapped_addresses_count_as_ipv4() {
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(AddressKey::of(mapped), AddressKey::V4(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(normalize_address(mapped).to_string(), "192.0.2.7");
    }

    #[test]
    fn ipv6_counts_by_its_64() {
        let key = |text: &str| AddressKey::of(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn reads_what_it_writes() {
        for text in ["192.0.2.7", "2001:db8:1:2::/64"] {
            assert_eq!(text.parse::<AddressKey>().unwrap().to_string(), text);
        }
        assert_eq!("2001:db8::9".parse(), Ok(AddressKey::V6Net(0x2001_0db8 << 32)));
        for junk in ["", "192.0.2.7/64", "192.0.2.7/32", "::ffff:192.0.2.7/64", "x"] {
            assert_eq!(junk.parse::<AddressKey>(), Err(AddressKeyError), "{junk}");
        }
    }
}
