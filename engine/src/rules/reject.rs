//! The packets that `reject` sends: ICMP's "destination unreachable", or a TCP reset in the name of the receiver.
//!
//! What the host does not answer at all: a reset, an ICMP error, what has a wrong checksum, what was sent to many.
//!
//! Source: linux 6.18 net/ipv4/netfilter/nf_reject_ipv4.c, net/ipv6/netfilter/nf_reject_ipv6.c, net/ipv4/icmp.c
//! `__icmp_send`, net/ipv6/icmp.c `icmp6_send`.

use super::statement::With;
use super::view::View;
use crate::tuple::{Addr, Family, protocol};
use crate::wire::checksum;
use crate::wire::ip;

/// The largest ICMP error of IPv4 (RFC 1812 section 4.3.2.3), and of IPv6 (RFC 4443 section 2.4).
const LARGEST_V4: usize = 576;
const LARGEST_V6: usize = 1280;
/// The hop limit of what the host sends itself.
const HOPS: u8 = 64;

const RST: u8 = 4;
const ACK: u8 = 16;

/// The answer to a packet, where there is one. `from`: the address that an ICMP error comes from; `trusted`: its checksum
/// needs no look.
pub(crate) fn answer(with: With, view: &View<'_>, from: Option<Addr>, trusted: bool) -> Option<Vec<u8>> {
    let (_, dst) = view.datagram.addresses();
    if is_for_many(view.datagram.family, dst) || (!trusted && !is_intact(view)) {
        return None;
    }
    let code = |v4: u8, v6: u8| if view.datagram.family == Family::Ipv4 { v4 } else { v6 };
    match with {
        With::TcpReset => reset(view),
        With::Icmp(v4) => unreachable(view, v4, from?),
        With::Icmpv6(v6) => unreachable(view, v6, from?),
        With::Icmpx(v4, v6) => unreachable(view, code(v4, v6), from?),
    }
}

fn is_for_many(family: Family, addr: Addr) -> bool {
    match addr.ip(family) {
        std::net::IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        std::net::IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// Whether the host finds the packet's checksum right, which is not for all protocols the way they have one: what it does
/// not know must add up to nothing.
///
/// Source: linux 6.18 include/net/netfilter/nf_reject.h `nf_reject_verify_csum`, net/netfilter/utils.c `nf_ip_checksum`,
/// `nf_ip6_checksum`.
fn is_intact(view: &View<'_>) -> bool {
    const AH: u8 = 51;
    const ESP: u8 = 50;
    const DCCP: u8 = 33;
    let datagram = &view.datagram;
    let found = match datagram.family {
        Family::Ipv4 => Some((datagram.protocol, datagram.header_len)),
        Family::Ipv6 => ip::skip_extensions(datagram.bytes, datagram.protocol, 40)
            .ok()
            .filter(|part| (part.offset as usize) < datagram.bytes.len())
            .map(|part| (part.protocol, part.offset)),
    };
    let Some((number, offset)) = found else { return false };
    let bytes = datagram.from(offset);
    let verify = match number {
        protocol::UDP => bytes.get(6..8).is_none_or(|field| field != [0, 0]),
        protocol::GRE | AH | ESP | DCCP | protocol::SCTP | protocol::UDPLITE => false,
        _ => true,
    };
    let is_plain = datagram.family == Family::Ipv4 && !matches!(number, protocol::TCP | protocol::UDP);
    match (verify, is_plain) {
        (false, _) => true,
        // The header is summed along, and adds nothing: so what adds nothing itself is right, too.
        (true, true) => checksum::sum(bytes).is_multiple_of(0xffff),
        (true, false) => checksum::is_transport_intact(datagram, number, bytes),
    }
}

/// ICMP's "destination unreachable", which quotes the packet.
fn unreachable(view: &View<'_>, code: u8, from: Addr) -> Option<Vec<u8>> {
    let (src, _) = view.datagram.addresses();
    if is_icmp_error(view) || is_for_many(view.datagram.family, src) || src == Addr::default() {
        return None;
    }
    let quoted = quoted(view);
    Some(match view.datagram.family {
        Family::Ipv4 => {
            let quoted = &quoted[..quoted.len().min(LARGEST_V4 - 28)];
            let mut message = [&[3, code, 0, 0, 0, 0, 0, 0], quoted].concat();
            let seal = checksum::seal(checksum::sum(&message));
            message[2..4].copy_from_slice(&seal);
            // RFC 1812 section 4.3.2.5: precedence "internetwork control".
            ipv4(from, src, protocol::ICMP, view.datagram.bytes[1] & 0x1e | 0xc0, false, &message)
        }
        Family::Ipv6 => {
            let quoted = &quoted[..quoted.len().min(LARGEST_V6 - 48)];
            let message = [&[1, code, 0, 0, 0, 0, 0, 0], quoted].concat();
            sealed_ipv6(from, src, protocol::ICMPV6, message, 2)
        }
    })
}

/// The packet as it is now: its hop limit may have become less.
fn quoted(view: &View<'_>) -> Vec<u8> {
    let mut bytes = view.datagram.bytes.to_vec();
    match view.datagram.family {
        Family::Ipv4 => {
            let header = view.datagram.header_len as usize;
            bytes[8] = view.hops;
            bytes[10..12].fill(0);
            let seal = checksum::seal(checksum::sum(&bytes[..header.min(bytes.len())]));
            bytes[10..12].copy_from_slice(&seal);
        }
        Family::Ipv6 => bytes[7] = view.hops,
    }
    bytes
}

/// An error is not answered with an error.
fn is_icmp_error(view: &View<'_>) -> bool {
    match view.datagram.family {
        Family::Ipv4 => {
            // What is no query counts as an error here, the router's messages among it.
            let kind = view.datagram.from(view.datagram.header_len).first();
            view.datagram.protocol == protocol::ICMP
                && !kind.is_some_and(|kind| matches!(kind, 0 | 8 | 13..=18))
        }
        Family::Ipv6 => {
            let part = ip::skip_extensions(view.datagram.bytes, view.datagram.protocol, 40);
            part.is_ok_and(|part| {
                let kind = view.datagram.from(part.offset).first();
                part.protocol == protocol::ICMPV6 && kind.is_none_or(|kind| kind & 0x80 == 0)
            })
        }
    }
}

/// A TCP segment that ends the connection, from the one whom the packet was for.
fn reset(view: &View<'_>) -> Option<Vec<u8>> {
    let (number, bytes) = view.transport()?;
    let header: &[u8; 20] = bytes.first_chunk().filter(|_| number == protocol::TCP)?;
    let [s0, s1, d0, d1, ..] = *header;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let flags = header[13];
    if flags & RST != 0 {
        return None;
    }
    let mut segment = vec![d0, d1, s0, s1];
    if flags & ACK != 0 {
        segment.extend(word(8).to_be_bytes());
        segment.extend([0; 4]);
        segment.extend([0x50, RST]);
    } else {
        let (syn, fin) = (u32::from(flags >> 1 & 1), u32::from(flags & 1));
        let data = (bytes.len() as u32).wrapping_sub(u32::from(header[12] >> 4) * 4);
        let end = word(4).wrapping_add(syn).wrapping_add(fin).wrapping_add(data);
        segment.extend([0; 4]);
        segment.extend(end.to_be_bytes());
        segment.extend([0x50, RST | ACK]);
    }
    // Window, checksum, urgent pointer.
    segment.extend([0; 6]);
    let (src, dst) = view.datagram.addresses();
    Some(match view.datagram.family {
        Family::Ipv4 => {
            let packet = ipv4(dst, src, protocol::TCP, 0, true, &segment);
            sealed_tcp(packet)
        }
        Family::Ipv6 => sealed_ipv6(dst, src, protocol::TCP, segment, 16),
    })
}

/// Puts the checksum into the TCP header of an IPv4 packet without options.
fn sealed_tcp(mut packet: Vec<u8>) -> Vec<u8> {
    if let Some(datagram) = ip::reassembled(&packet) {
        let part = datagram.from(20);
        let sum = checksum::sum(part) + checksum::pseudo_header(&datagram, protocol::TCP, part.len() as u32);
        let seal = checksum::seal(sum);
        packet[36..38].copy_from_slice(&seal);
    }
    packet
}

fn ipv4(src: Addr, dst: Addr, number: u8, tos: u8, dont_fragment: bool, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, tos];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, if dont_fragment { 0x40 } else { 0 }, 0, HOPS, number, 0, 0]);
    packet.extend(octets(src, Family::Ipv4));
    packet.extend(octets(dst, Family::Ipv4));
    let seal = checksum::seal(checksum::sum(&packet));
    packet[10..12].copy_from_slice(&seal);
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 packet whose payload has a checksum at `at`.
fn sealed_ipv6(src: Addr, dst: Addr, number: u8, payload: Vec<u8>, at: usize) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([number, HOPS]);
    packet.extend(octets(src, Family::Ipv6));
    packet.extend(octets(dst, Family::Ipv6));
    packet.extend_from_slice(&payload);
    if let Some(datagram) = ip::reassembled(&packet) {
        let sum = checksum::sum(&payload) + checksum::pseudo_header(&datagram, number, payload.len() as u32);
        let seal = checksum::seal(sum);
        packet[40 + at..42 + at].copy_from_slice(&seal);
    }
    packet
}

fn octets(addr: Addr, family: Family) -> Vec<u8> {
    match addr.ip(family) {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
