//! Pure: which addresses a sink may have. A URL comes from whoever may write a connection, so it must not reach what only the operator
//! can reach: the node, the cloud's metadata service, the cluster network.
//!
//! Sources: the special-purpose address registries of IANA,
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and <https://www.iana.org/assignments/iana-ipv6-special-registry>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 networks that are not on the public internet.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    // Shared by carriers, and used by clusters.
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    // Link-local, with the metadata service of most clouds.
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    // Multicast, then reserved and broadcast.
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// Global unicast. Everything else is loopback, link-local, unique local, multicast or unassigned.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);
/// Parts of it that are not on the public internet: protocol assignments with Teredo, and documentation.
const SPECIAL_V6: [Ipv6Net; 3] = [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x3fff, 0, 20)];
/// Addresses that contain an IPv4 address: of NAT64 and of 6to4.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 16);

/// The addresses that a sink may have: those of the public internet, and those of the allowed networks.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
    only_allowed: bool,
}

impl AddressPolicy {
    /// The public internet and these networks (`--sink-allow-cidr`).
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self {
            allowed,
            only_allowed: false,
        }
    }

    /// The same without the public internet, for plain HTTP.
    #[must_use]
    pub fn without_internet(&self) -> Self {
        Self {
            allowed: self.allowed.clone(),
            only_allowed: true,
        }
    }

    /// Whether a sink may have this address.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_allowed = self.allowed.iter().any(|network| network.contains(&address));
        is_allowed || (!self.only_allowed && is_public(address))
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [_, first, second, _, _, _, seventh, eighth] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    if NAT64.contains(&address) {
        return embedded(seventh, eighth);
    }
    if SIX_TO_FOUR.contains(&address) {
        return embedded(first, second);
    }
    GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::AddressPolicy;

    #[test]
    fn only_the_public_internet_and_allowed_networks_are_permitted() {
        let policy = AddressPolicy::new(vec![
            "10.1.0.0/16".parse().unwrap(),
            "fd00:1::/32".parse().unwrap(),
        ]);
        for (address, permitted) in [
            ("93.184.216.34", true),
            ("100.63.255.255", true),
            ("172.32.0.1", true),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("10.1.2.3", true),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("198.19.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("::", false),
            ("::1", false),
            ("fe80::1", false),
            ("fd00:2::1", false),
            ("fd00:1::1", true),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("fd00:ec2::254", false),
            // IPv4 addresses in other clothes.
            ("::ffff:169.254.169.254", false),
            ("::ffff:10.1.2.3", true),
            ("::127.0.0.1", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b::5db8:d822", true),
            ("64:ff9b:1::a9fe:a9fe", false),
            ("2002:7f00:1::", false),
            ("2002:5db8:d822::1", true),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false),
        ] {
            assert_eq!(policy.permits(address.parse().unwrap()), permitted, "{address}");
        }
        let plain = policy.without_internet();
        assert!(plain.permits("10.1.2.3".parse().unwrap()));
        assert!(!plain.permits("93.184.216.34".parse().unwrap()));
    }
}
