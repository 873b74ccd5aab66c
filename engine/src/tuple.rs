//! What identifies a connection: addresses, protocol and the protocol's own keys, one tuple for each direction.
//!
//! A tuple is only a key. Where its bytes lie in a packet is `wire`'s business, and which packets have one is the
//! protocol tracker's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The network layer's family.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Which way a packet travels, seen from the packet that made the entry.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// As the first packet did.
    #[default]
    Original = 0,
    /// Against it.
    Reply = 1,
}

impl std::ops::Not for Direction {
    type Output = Direction;
    fn not(self) -> Direction {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }
}

/// An address of either family in two words; IPv4 lies in the low half of `lo`.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Addr {
    /// The high 64 bits; zero for IPv4.
    pub hi: u64,
    /// The low 64 bits.
    pub lo: u64,
}

impl Addr {
    /// From four bytes.
    pub fn v4(bytes: [u8; 4]) -> Addr {
        Addr { hi: 0, lo: u64::from(u32::from_be_bytes(bytes)) }
    }

    /// From sixteen bytes.
    pub fn v6(bytes: [u8; 16]) -> Addr {
        let word = u128::from_be_bytes(bytes);
        Addr { hi: (word >> 64) as u64, lo: word as u64 }
    }

    /// As the standard library's address.
    pub fn ip(self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(self.lo as u32)),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from((u128::from(self.hi) << 64) | u128::from(self.lo))),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Addr {
        match ip {
            IpAddr::V4(ip) => Addr::v4(ip.octets()),
            IpAddr::V6(ip) => Addr::v6(ip.octets()),
        }
    }
}

/// IP protocol numbers that have a tracker of their own.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// Transmission Control Protocol.
    pub const TCP: u8 = 6;
    /// User Datagram Protocol.
    pub const UDP: u8 = 17;
    /// Generic Routing Encapsulation.
    pub const GRE: u8 = 47;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// Stream Control Transmission Protocol.
    pub const SCTP: u8 = 132;
    /// UDP-Lite.
    pub const UDPLITE: u8 = 136;
}

/// One direction's key: source and destination address, protocol, and two 16-bit keys.
///
/// What `src_id` and `dst_id` hold is the protocol's: ports for TCP, UDP, UDP-Lite and SCTP; for ICMP and ICMPv6 the
/// identifier and `type << 8 | code`; call keys for GRE; zero for all others.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[doc(alias = "nf_conntrack_tuple")]
pub struct Tuple {
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Source port, ICMP identifier or source key.
    pub src_id: u16,
    /// Destination port, ICMP `type << 8 | code` or destination key.
    pub dst_id: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// Network family.
    pub family: Family,
}

impl Tuple {
    /// The tuple of an answer, or `None` where the protocol knows of none (an ICMP message that has no answer).
    ///
    /// `invert(invert(t)) == t` wherever it is defined.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_core.c `nf_ct_invert_tuple`.
    #[doc(alias = "nf_ct_invert_tuple")]
    pub fn invert(&self) -> Option<Tuple> {
        let (src_id, dst_id) = match self.protocol {
            protocol::ICMP => (self.src_id, answer(&ICMP_ANSWERS, self.dst_id)?),
            protocol::ICMPV6 => (self.src_id, answer(&ICMPV6_ANSWERS, self.dst_id)?),
            _ => (self.dst_id, self.src_id),
        };
        Some(Tuple { src: self.dst, dst: self.src, src_id, dst_id, ..*self })
    }

    /// ICMP type, for the two ICMP protocols.
    pub fn icmp_type(&self) -> u8 {
        (self.dst_id >> 8) as u8
    }

    /// ICMP code, for the two ICMP protocols.
    pub fn icmp_code(&self) -> u8 {
        self.dst_id as u8
    }

    /// Source address.
    pub fn src_ip(&self) -> IpAddr {
        self.src.ip(self.family)
    }

    /// Destination address.
    pub fn dst_ip(&self) -> IpAddr {
        self.dst.ip(self.family)
    }

    /// The protocol's name as the kernel lists it, `unknown` for those without a tracker.
    pub fn protocol_name(&self) -> &'static str {
        match self.protocol {
            protocol::ICMP => "icmp",
            protocol::TCP => "tcp",
            protocol::UDP => "udp",
            protocol::GRE => "gre",
            protocol::ICMPV6 => "icmpv6",
            protocol::SCTP => "sctp",
            protocol::UDPLITE => "udplite",
            _ => "unknown",
        }
    }

    /// Whether the two keys are ports.
    pub fn has_ports(&self) -> bool {
        matches!(self.protocol, protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP)
    }

    /// Whether the keys are ICMP's.
    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol, protocol::ICMP | protocol::ICMPV6)
    }
}

impl fmt::Display for Tuple {
    /// In the words of `/proc/net/nf_conntrack`, with IPv6 addresses compressed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src={} dst={}", self.src_ip(), self.dst_ip())?;
        self.fmt_keys(f)
    }
}

impl Tuple {
    pub(crate) fn fmt_keys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_ports() {
            write!(f, " sport={} dport={}", self.src_id, self.dst_id)
        } else if self.is_icmp() {
            write!(f, " type={} code={} id={}", self.icmp_type(), self.icmp_code(), self.src_id)
        } else if self.protocol == protocol::GRE {
            write!(f, " srckey=0x{:x} dstkey=0x{:x}", self.src_id, self.dst_id)
        } else {
            Ok(())
        }
    }
}

/// ICMP queries and their answers. Source: linux 6.18 net/netfilter/nf_conntrack_proto_icmp.c `invmap`.
const ICMP_ANSWERS: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_icmpv6.c `invmap`.
const ICMPV6_ANSWERS: [(u8, u8); 2] = [(128, 129), (139, 140)];

fn answer(pairs: &[(u8, u8)], type_code: u16) -> Option<u16> {
    let kind = (type_code >> 8) as u8;
    let other = pairs.iter().find_map(|&(query, reply)| match kind {
        k if k == query => Some(reply),
        k if k == reply => Some(query),
        _ => None,
    })?;
    Some(u16::from(other) << 8 | (type_code & 0xff))
}

/// Whether an ICMP message of this type may open an entry.
pub(crate) fn is_query(protocol: u8, kind: u8) -> bool {
    match protocol {
        protocol::ICMP => ICMP_ANSWERS.iter().any(|&(query, _)| query == kind),
        _ => ICMPV6_ANSWERS.iter().any(|&(query, _)| query == kind),
    }
}
