//! Packets of real stacks in words, and which flow they belong to.

use std::net::SocketAddr;

use conntruth_engine::{Addr, Family, Tuple};
use conntruth_sim::packet::{Header, TcpHead, protocol, read_icmp_error};

use crate::language::ast::packet::Way;
use crate::language::words::TCP_FLAGS;

use super::super::places::family_of;
use super::super::plan::Plan;
use super::super::stack::Stack;
use super::super::talks::{Talk, number};
use super::numbers::Numbers;

/// The flow of a packet, and which way it goes along it.
pub(super) fn talk_of(plan: &Plan, header: &Header, bytes: &[u8]) -> Option<(usize, Way)> {
    let ends = match header.ports(bytes) {
        Some(ports) => [ports.src, ports.dst],
        None => [0, 0],
    };
    plan.talks.talks.iter().enumerate().find_map(|(index, talk)| {
        if number(talk.protocol, family_of(header.src)) != header.protocol {
            return None;
        }
        let [near, far] = talk.spots.map(|spot| spot.address);
        if let Stack::Icmp(pings) = &talk.stack {
            let echo = echo(header, bytes).filter(|echo| echo.1 == pings.id)?;
            return match (header.src == near && header.dst == far, header.src == far && header.dst == near) {
                (true, _) if echo.0 => Some((index, Way::Forth)),
                (_, true) if !echo.0 => Some((index, Way::Back)),
                _ => None,
            };
        }
        let [sport, dport] = talk.ports;
        if (header.src, header.dst, ends) == (near, far, [sport, dport]) {
            return Some((index, Way::Forth));
        }
        ((header.src, header.dst, ends) == (far, near, [dport, sport])).then_some((index, Way::Back))
    })
}

/// Both ends of a direction of a connection with ports.
pub(super) fn ends_of(tuple: &Tuple) -> Option<(SocketAddr, SocketAddr)> {
    let has_ports = matches!(tuple.protocol, protocol::TCP | protocol::UDP);
    let end = |address: Addr, port: u16| SocketAddr::new(address.ip(tuple.family), port);
    has_ports.then(|| (end(tuple.src, tuple.src_id), end(tuple.dst, tuple.dst_id)))
}

/// Sender and receiver of a packet that goes along a flow with ports.
pub(super) fn ends_along(talk: &Talk, way: Way) -> Option<(SocketAddr, SocketAddr)> {
    let (from, to) = ends_of(&talk.tuple())?;
    Some(if way == Way::Forth { (from, to) } else { (to, from) })
}

/// Whether a packet is an echo request rather than a reply, and its identifier.
fn echo(header: &Header, bytes: &[u8]) -> Option<(bool, u16)> {
    let payload = header.payload(bytes);
    let kind = *payload.first()?;
    let (request, reply) = if family_of(header.src) == Family::Ipv4 { (8, 0) } else { (128, 129) };
    let id = u16::from_be_bytes([*payload.get(4)?, *payload.get(5)?]);
    (kind == request || kind == reply).then_some((kind == request, id))
}

/// Whether two packets are the same, hop limits and the checksum over them left out.
pub(super) fn same_but_hops(one: &[u8], other: &[u8]) -> bool {
    let plain = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        match bytes.first().map(|first| first >> 4) {
            Some(4) if bytes.len() >= 12 => {
                bytes[8] = 0;
                bytes[10..12].fill(0);
            }
            Some(6) if bytes.len() >= 8 => bytes[7] = 0,
            _ => {}
        }
        bytes
    };
    one.len() == other.len() && plain(one) == plain(other)
}

/// A packet in the language's notation, sequence numbers relative to the first that was seen.
pub(super) fn packet(
    numbers: &mut Numbers,
    ends: Option<(SocketAddr, SocketAddr)>,
    header: Option<&Header>,
    bytes: &[u8],
) -> String {
    let Some(header) = header else { return format!("malformed ({})", bytes.len()) };
    if header.fragment.is_some_and(|slice| slice.offset > 0) {
        return format!("fragment ({})", header.payload(bytes).len());
    }
    match header.protocol {
        protocol::TCP => match header.tcp(bytes) {
            Some(head) => segment(numbers, ends.unwrap_or(header.ends(head.ports)), &head),
            None => format!("tcp ({})", header.payload(bytes).len()),
        },
        protocol::UDP => format!("udp ({})", header.payload(bytes).len().saturating_sub(8)),
        protocol::ICMP | protocol::ICMPV6 => message(header, bytes),
        other => format!("proto {other} ({})", header.payload(bytes).len()),
    }
}

fn segment(numbers: &mut Numbers, (src, dst): (SocketAddr, SocketAddr), head: &TcpHead) -> String {
    numbers.saw(src, dst, head);
    let mut text: String =
        TCP_FLAGS.iter().filter(|(_, bit)| head.flags & bit != 0).map(|(letter, _)| *letter).collect();
    if text.is_empty() {
        text.push('-');
    }
    let seq = numbers.relative((src, dst), head.seq);
    text.push_str(&format!(" {seq}:{}({})", seq + head.data as i64, head.data));
    if head.flags & TcpHead::ACK != 0 {
        let ack = numbers.relative((dst, src), head.ack);
        text.push_str(&format!(" ack {ack}"));
    }
    format!("{text} win {}", head.window)
}

fn message(header: &Header, bytes: &[u8]) -> String {
    if let Some((is_request, id)) = echo(header, bytes) {
        let payload = header.payload(bytes);
        let seq = payload.get(6..8).map_or(0, |seq| u16::from_be_bytes([seq[0], seq[1]]));
        return format!("echo {} id {id} seq {seq}", if is_request { "request" } else { "reply" });
    }
    match read_icmp_error(header, bytes) {
        Some(quote) => format!("icmp {}", quote.error),
        None => {
            let payload = header.payload(bytes);
            let byte = |at: usize| payload.get(at).copied().unwrap_or(0);
            format!("icmp type {} code {}", byte(0), byte(1))
        }
    }
}
