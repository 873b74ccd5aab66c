//! Giving a packet the ends of a tuple: addresses, ports or what stands for them, and the checksums over both.
//!
//! Checksums are updated and not made anew, so what was wrong stays wrong; only SCTP's is computed over the whole. The
//! same is done to what an ICMP error quotes, of which there may be no more than eight bytes behind the network header.
//!
//! Source: linux 6.18 net/netfilter/nf_nat_proto.c `nf_nat_ipv4_manip_pkt`, `nf_nat_ipv6_manip_pkt`, `l4proto_manip_pkt`.

use super::Manip;
use crate::tuple::{Addr, Family, Tuple, protocol};
use crate::wire::{checksum, ip};

const TCP_HEADER: usize = 20;
const SCTP_HEADER: usize = 12;
/// What there is at least of a transport header.
const LEAST_HEADER: usize = 8;

/// Where the ends of a network header stand, by [`Manip`], and how long they are.
fn address_at(family: Family, manip: Manip) -> (usize, usize) {
    match (family, manip) {
        (Family::Ipv4, Manip::Source) => (12, 4),
        (Family::Ipv4, Manip::Destination) => (16, 4),
        (Family::Ipv6, Manip::Source) => (8, 16),
        (Family::Ipv6, Manip::Destination) => (24, 16),
    }
}

/// The bytes of an address.
pub(crate) fn octets(addr: Addr, family: Family) -> ([u8; 16], usize) {
    let mut bytes = [0; 16];
    match addr.ip(family) {
        std::net::IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
        std::net::IpAddr::V6(v6) => bytes = v6.octets(),
    }
    (bytes, if family == Family::Ipv4 { 4 } else { 16 })
}

/// Gives the packet whose network header stands at `at` one end of a tuple. False where it cannot be done, and then the
/// packet must not go on.
#[must_use]
pub(crate) fn rewrite(bytes: &mut [u8], at: usize, target: &Tuple, manip: Manip) -> bool {
    let family = target.family;
    let Some(transport_at) = transport(bytes, at, family) else { return false };
    if let Some(transport_at) = transport_at
        && !rewrite_transport(bytes, at, transport_at, target, manip)
    {
        return false;
    }
    let addr = if manip == Manip::Source { target.src } else { target.dst };
    let (new, length) = octets(addr, family);
    let (place, _) = address_at(family, manip);
    let Some(old) = bytes.get_mut(at + place..at + place + length) else { return false };
    let mut before = [0; 16];
    before[..length].copy_from_slice(old);
    old.copy_from_slice(&new[..length]);
    if family == Family::Ipv4 {
        replace(bytes, at + 10, &before[..length], &new[..length]);
    }
    true
}

/// Where the transport header stands; nowhere in a chain of extension headers that breaks off.
fn transport(bytes: &[u8], at: usize, family: Family) -> Option<Option<usize>> {
    let header = bytes.get(at..)?;
    match family {
        Family::Ipv4 => Some(Some(at + usize::from(header.first()? & 0xf) * 4)),
        Family::Ipv6 => {
            let part = ip::skip_extensions(header, *header.get(6)?, 40).ok();
            Some(part.map(|part| at + part.offset as usize))
        }
    }
}

/// Source: linux 6.18 net/netfilter/nf_nat_proto.c `tcp_manip_pkt`, `udp_manip_pkt`, `udplite_manip_pkt`,
/// `sctp_manip_pkt`, `icmp_manip_pkt`, `icmpv6_manip_pkt`, `gre_manip_pkt`.
fn rewrite_transport(bytes: &mut [u8], at: usize, header: usize, target: &Tuple, manip: Manip) -> bool {
    let follow = bytes.len().saturating_sub(header);
    let knows = matches!(
        target.protocol,
        protocol::TCP
            | protocol::UDP
            | protocol::UDPLITE
            | protocol::SCTP
            | protocol::ICMP
            | protocol::ICMPV6
            | protocol::GRE
    );
    if !knows {
        return true;
    }
    if follow < LEAST_HEADER {
        return false;
    }
    let port = if manip == Manip::Source { (header, target.src_id) } else { (header + 2, target.dst_id) };
    match target.protocol {
        protocol::TCP => {
            let old = set_port(bytes, port);
            if follow >= TCP_HEADER {
                readdress(bytes, at, header + 16, target, manip);
                replace(bytes, header + 16, &old, &port.1.to_be_bytes());
            }
        }
        protocol::UDP | protocol::UDPLITE => {
            // A UDP checksum of zero is none.
            let is_summed = target.protocol == protocol::UDPLITE || bytes[header + 6..header + 8] != [0, 0];
            let old = set_port(bytes, port);
            if is_summed {
                readdress(bytes, at, header + 6, target, manip);
                replace(bytes, header + 6, &old, &port.1.to_be_bytes());
                if bytes[header + 6..header + 8] == [0, 0] {
                    bytes[header + 6..header + 8].fill(0xff);
                }
            }
        }
        protocol::SCTP => {
            set_port(bytes, port);
            if follow >= SCTP_HEADER {
                let parts = [&bytes[header..header + 8], &[0; 4], &bytes[header + SCTP_HEADER..]];
                let sum = checksum::crc32c(&parts).to_le_bytes();
                bytes[header + 8..header + SCTP_HEADER].copy_from_slice(&sum);
            }
        }
        protocol::ICMP => {
            // Queries and their answers have an identifier.
            if matches!(bytes[header], 0 | 8 | 13..=18) {
                set_id(bytes, header, target.src_id);
            }
        }
        protocol::ICMPV6 => {
            readdress(bytes, at, header + 2, target, manip);
            if matches!(bytes[header], 128 | 129) {
                set_id(bytes, header, target.src_id);
            }
        }
        // There is but a destination's key in the packet, and only in version 1.
        _ if manip == Manip::Destination => match bytes[header + 1] & 7 {
            0 => {}
            1 => bytes[header + 6..header + 8].copy_from_slice(&target.dst_id.to_be_bytes()),
            _ => return false,
        },
        _ => {}
    }
    true
}

/// Sets a port, and says what it was.
fn set_port(bytes: &mut [u8], (place, port): (usize, u16)) -> [u8; 2] {
    let old = [bytes[place], bytes[place + 1]];
    bytes[place..place + 2].copy_from_slice(&port.to_be_bytes());
    old
}

/// Sets the identifier of an ICMP message.
fn set_id(bytes: &mut [u8], header: usize, id: u16) {
    let old = set_port(bytes, (header + 4, id));
    replace(bytes, header + 2, &old, &id.to_be_bytes());
}

/// Updates a checksum over the pseudo header for the address that is about to change.
fn readdress(bytes: &mut [u8], at: usize, check: usize, target: &Tuple, manip: Manip) {
    let addr = if manip == Manip::Source { target.src } else { target.dst };
    let (new, length) = octets(addr, target.family);
    let place = at + address_at(target.family, manip).0;
    let mut old = [0; 16];
    old[..length].copy_from_slice(&bytes[place..place + length]);
    replace(bytes, check, &old[..length], &new[..length]);
}

/// Updates a checksum when some of what it is over changes. Neither way of writing zero comes of it that the kernel would
/// not write.
///
/// Source: RFC 1624; linux 6.18 net/core/utils.c `inet_proto_csum_replace4`, `inet_proto_csum_replace16`.
pub(crate) fn replace(bytes: &mut [u8], check: usize, old: &[u8], new: &[u8]) {
    let Some(field) = bytes.get_mut(check..check + 2) else { return };
    let kept = 0xffff_0000 | u64::from(!u16::from_le_bytes([field[0], field[1]]));
    let gone = 0xffff - checksum::sum(old) % 0xffff;
    field.copy_from_slice(&checksum::seal(kept + gone + checksum::sum(new)));
}
