//! What a rule sees of a packet's bytes, which is not what the tracker sees: nftables finds the transport header in its
//! own way, stops at an authentication header, and a field that is not there ends the rule.

use super::words::{Field, Slice};
use crate::tuple::{Addr, Family};
use crate::wire::ip::Datagram;

/// A datagram as rules read it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub datagram: Datagram<'a>,
    /// Protocol and place of the transport header.
    transport: Option<(u8, usize)>,
    /// The hop limit as it is now: the host takes one away before FORWARD.
    pub hops: u8,
}

impl<'a> View<'a> {
    /// With the hop limit as it is now.
    pub(crate) fn with_hops(datagram: Datagram<'a>, hops: u8) -> View<'a> {
        let transport = match datagram.family {
            Family::Ipv4 => Some((datagram.protocol, datagram.header_len as usize)),
            Family::Ipv6 => ipv6_transport(datagram.bytes),
        };
        View { datagram, transport, hops }
    }

    /// Its length, as counters count it.
    pub(crate) fn len(&self) -> usize {
        self.datagram.bytes.len()
    }

    /// Protocol and bytes of the transport part.
    pub(crate) fn transport(&self) -> Option<(u8, &'a [u8])> {
        let (protocol, at) = self.transport?;
        Some((protocol, self.datagram.bytes.get(at..).unwrap_or_default()))
    }

    /// The value of a field of the packet's bytes; none where it is not there.
    ///
    /// Source: linux 6.18 net/netfilter/nft_payload.c `nft_payload_eval`, net/netfilter/nft_meta.c `nft_meta_get_eval`.
    pub(super) fn value(&self, field: Field) -> Option<u128> {
        match field {
            Field::Family => Some(match self.datagram.family {
                Family::Ipv4 => 2,
                Family::Ipv6 => 10,
            }),
            Field::L4Protocol => Some(u128::from(self.transport?.0)),
            Field::Ip4(slice) if self.datagram.family == Family::Ipv4 => {
                if slice.at == 8 {
                    Some(u128::from(self.hops))
                } else {
                    read(self.datagram.bytes, slice)
                }
            }
            Field::Ip6(slice) if self.datagram.family == Family::Ipv6 => {
                if slice.at == 7 {
                    Some(u128::from(self.hops))
                } else {
                    read(self.datagram.bytes, slice)
                }
            }
            Field::Transport(protocol, slice) => {
                let fits = match protocol {
                    1 => self.datagram.family == Family::Ipv4,
                    58 => self.datagram.family == Family::Ipv6,
                    _ => true,
                };
                let (found, bytes) = self.transport().filter(|_| fits)?;
                if found == protocol { read(bytes, slice) } else { None }
            }
            _ => None,
        }
    }
}

fn read(bytes: &[u8], slice: Slice) -> Option<u128> {
    let (at, length) = (usize::from(slice.at), usize::from(slice.length));
    let bytes = bytes.get(at..at + length)?;
    let value = bytes.iter().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
    let value = value >> slice.shift;
    Some(if slice.bits < 128 { value & ((1 << slice.bits) - 1) } else { value })
}

/// Where nftables finds the transport header of IPv6: behind the extension headers, of which it takes authentication for
/// a transport protocol.
///
/// Source: linux 6.18 net/ipv6/exthdrs_core.c `ipv6_find_hdr`, include/net/netfilter/nf_tables_ipv6.h
/// `nft_set_pktinfo_ipv6`.
fn ipv6_transport(bytes: &[u8]) -> Option<(u8, usize)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    let (mut protocol, mut at) = (*bytes.get(6)?, 40);
    while let HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION = protocol {
        let &[following, length] = bytes.get(at..)?.first_chunk()?;
        if protocol == FRAGMENT {
            let &[high, low] = bytes.get(at + 2..)?.first_chunk()?;
            if u16::from_be_bytes([high, low]) & 0xfff8 != 0 {
                // A later fragment has a protocol and no place: fields are then read from the packet's first byte on.
                // Source: linux 6.18 net/netfilter/nf_tables_core.c `nft_payload_fast_eval`.
                let is_last = !matches!(following, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION);
                return is_last.then_some((following, 0));
            }
            at += 8;
        } else {
            at += (usize::from(length) + 1) * 8;
        }
        protocol = following;
    }
    (at <= usize::from(u16::MAX)).then_some((protocol, at))
}

/// Whether two addresses have their first `length` bits in common.
pub(super) fn shares_prefix(family: Family, a: Addr, b: Addr, length: u8) -> bool {
    let number = |addr: Addr| match addr.ip(family) {
        std::net::IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32u32),
        std::net::IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((a, bits), (b, _)) = (number(a), number(b));
    (a ^ b).checked_shr(bits.saturating_sub(u32::from(length))).unwrap_or(0) == 0
}
