//! Link layers: where in a frame the network layer begins.

use std::fmt;

/// A link type by its number in the registry of the file formats (`LINKTYPE_...`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkType(pub i32);

/// The network layer's family, as the link layer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Why a frame holds no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotIp {
    /// It was taken on a link of which we do not know the layout, by its registered number.
    UnknownLink(i32),
    /// The link layer's header is not whole.
    Short,
    /// The link layer says that something else is inside: its EtherType.
    EtherType(u16),
    /// The link layer says that something else is inside: the length of an 802.3 frame stands where the EtherType would.
    Ieee8023,
    /// The link layer says that something else is inside: its address family.
    AddressFamily(u32),
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and what older switches used for outer tags.
const VLAN_TAGS: [u16; 5] = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300];

impl LinkType {
    /// The frame's network layer, and which one the link layer says it is.
    pub(super) fn network_layer(self, frame: &[u8]) -> (Result<&[u8], NotIp>, Option<Family>) {
        let found = match self.0 {
            // Raw IP under the numbers of three systems: the packet's first bits say which.
            12 | 14 | 101 => Ok((frame, None)),
            228 => Ok((frame, Some(Family::Ipv4))),
            229 => Ok((frame, Some(Family::Ipv6))),
            // Ethernet: two addresses first.
            1 => ether_typed(frame, 12, 14),
            // Linux cooked, both versions: the EtherType is the last field of the one and the first of the other.
            113 => ether_typed(frame, 14, 16),
            276 => ether_typed(frame, 0, 20),
            // Null and loop.
            0 | 108 => address_family(frame),
            other => Err(NotIp::UnknownLink(other)),
        };
        match found {
            Ok((bytes, family)) => (Ok(bytes), family),
            Err(not_ip) => (Err(not_ip), None),
        }
    }
}

type Found<'a> = Result<(&'a [u8], Option<Family>), NotIp>;

/// A frame with an EtherType at `at` and a header of `length` bytes, then any number of VLAN tags.
fn ether_typed(frame: &[u8], at: usize, length: usize) -> Found<'_> {
    let mut kind = u16_at(frame, at)?;
    let mut rest = frame.get(length..).ok_or(NotIp::Short)?;
    while VLAN_TAGS.contains(&kind) {
        kind = u16_at(rest, 2)?;
        rest = &rest[4..];
    }
    match kind {
        ETHERTYPE_IPV4 => Ok((rest, Some(Family::Ipv4))),
        ETHERTYPE_IPV6 => Ok((rest, Some(Family::Ipv6))),
        ..0x0600 => Err(NotIp::Ieee8023),
        other => Err(NotIp::EtherType(other)),
    }
}

/// BSD's loopback: an address family in four bytes, in the capturing machine's order (null) or the network's (loop).
/// Families are small numbers, so the order shows. IPv6 has a number of its own on each system.
fn address_family(frame: &[u8]) -> Found<'_> {
    let (family, rest) = frame.split_first_chunk::<4>().ok_or(NotIp::Short)?;
    let family = u32::from_be_bytes(*family);
    match family.min(family.swap_bytes()) {
        2 => Ok((rest, Some(Family::Ipv4))),
        10 | 24 | 28 | 30 => Ok((rest, Some(Family::Ipv6))),
        other => Err(NotIp::AddressFamily(other)),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, NotIp> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(NotIp::Short),
    }
}

impl fmt::Display for NotIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NotIp::UnknownLink(link) => write!(f, "link type {link}"),
            NotIp::Short => write!(f, "shorter than a link header"),
            NotIp::EtherType(0x0806) => write!(f, "ARP"),
            NotIp::EtherType(0x88cc) => write!(f, "LLDP"),
            NotIp::EtherType(0x8847 | 0x8848) => write!(f, "MPLS"),
            NotIp::EtherType(0x8863 | 0x8864) => write!(f, "PPPoE"),
            NotIp::EtherType(kind) => write!(f, "EtherType 0x{kind:04x}"),
            NotIp::Ieee8023 => write!(f, "802.3 frames"),
            NotIp::AddressFamily(family) => write!(f, "address family {family}"),
        }
    }
}
