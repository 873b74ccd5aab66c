//! The tracker's own host, the same for every target: its interfaces, its addresses, and what lies behind each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use conntruth_engine::{Addr, Family, Interface};

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(a: u16, b: u16, last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, last))
}

/// An interface of the host.
pub(super) struct Side {
    /// Its name.
    pub(super) name: &'static str,
    /// The host's addresses there, and how long the prefixes of their networks are.
    pub(super) addresses: [(IpAddr, u8); 2],
    /// Further networks behind it.
    pub(super) routes: &'static [(IpAddr, u8)],
}

/// All of them. The networks of many worlds lie beside those that scenarios name.
pub(super) const SIDES: [Side; 3] = [
    Side {
        name: "inside",
        addresses: [(v4(10, 0, 0, 254), 24), (v6(0xfd00, 0xa, 0xfe), 64)],
        routes: &[(v4(10, 0, 0, 0), 9), (v6(0xfd00, 0xa, 0), 32)],
    },
    Side {
        name: "outside",
        addresses: [(v4(10, 0, 1, 254), 24), (v6(0xfd00, 0xb, 0xfe), 64)],
        routes: &[(v4(0, 0, 0, 0), 0), (v4(10, 0, 0, 0), 16), (v4(10, 128, 0, 0), 9), (v6(0, 0, 0), 0)],
    },
    Side { name: "dmz", addresses: [(v4(10, 0, 2, 254), 24), (v6(0xfd00, 0xc, 0xfe), 64)], routes: &[] },
];

/// The interfaces as rules know them. `strays`: hosts that live elsewhere than their network.
pub(super) fn interfaces(strays: &[(IpAddr, String)]) -> Vec<Interface> {
    let side = |side: &Side| {
        let own = strays.iter().filter(|(_, name)| name == side.name);
        let lengths = own.map(|(host, _)| (*host, if host.is_ipv4() { 32 } else { 128 }));
        let networks = side.addresses.iter().chain(side.routes).copied().chain(lengths);
        Interface {
            name: side.name.to_owned(),
            addresses: side.addresses.iter().map(|(address, _)| located(*address)).collect(),
            networks: networks
                .map(|(address, length)| {
                    let (family, address) = located(address);
                    (family, address, length)
                })
                .collect(),
        }
    };
    SIDES.iter().map(side).collect()
}

/// Where an address is reached: the host's own interface, or the host itself.
pub(crate) enum Reached {
    Here,
    By(String),
    /// Nowhere.
    Not,
}

/// Where an address is reached.
pub(crate) fn reach(address: IpAddr, strays: &[(IpAddr, String)]) -> Reached {
    if SIDES.iter().any(|side| side.addresses.iter().any(|(own, _)| *own == address)) || address.is_loopback()
    {
        return Reached::Here;
    }
    if let Some((_, name)) = strays.iter().find(|(host, _)| *host == address) {
        return Reached::By(name.clone());
    }
    let networks = SIDES.iter().flat_map(|side| {
        let all = side.addresses.iter().chain(side.routes);
        all.map(move |(network, length)| (side.name, *network, *length))
    });
    let fits = networks.filter(|(_, network, length)| is_within(address, *network, *length));
    fits.max_by_key(|(.., length)| *length).map_or(Reached::Not, |(name, ..)| Reached::By(name.to_owned()))
}

fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(32 - u32::from(length)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            differ.checked_shr(128 - u32::from(length)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

fn located(address: IpAddr) -> (Family, Addr) {
    let family = if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    (family, address.into())
}
