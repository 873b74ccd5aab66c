//! From what a step says to the bytes that go on the wire, with the honest stack filling the gaps.

use conntruth_engine::Family;

use crate::language::Message;
use crate::language::ast::Span;
use crate::language::ast::packet::{
    Body, Checksum, Extension as SaidExtension, Gre as SaidGre, Icmp as SaidIcmp, IcmpKind, Ip as SaidIp,
    Payload, Piece, Udp as SaidUdp,
};
use crate::packet::{Check, Extension, Gre, Icmp, Ip, Udp, UdpLite};

use super::places::family_of;
use super::stack::Stack;
use super::talks::Route;

/// A packet before it is cut up.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// Its network header.
    pub ip: Ip,
    /// What follows the network header.
    pub protocol: u8,
    pub payload: Vec<u8>,
    /// The whole packet where it was given as bytes; then the fields above are only what can be read in it.
    pub raw: Option<Vec<u8>>,
    /// In words: `S 0:0(0) win 64240`.
    pub shown: String,
    pub route: Route,
    pub notrack: bool,
    pub zone: u16,
}

impl Built {
    /// The packet as one piece.
    pub fn whole(&self) -> Vec<u8> {
        self.raw.clone().unwrap_or_else(|| self.ip.wrap(self.protocol, &self.payload))
    }
}

/// A checksum as the packet builder takes it.
pub(crate) fn check(said: Checksum) -> Check {
    match said {
        Checksum::Bad => Check::Wrong,
        Checksum::Value(value) => Check::Is(value),
    }
}

/// The bytes that a protocol carries. Where only a length was said they count up, so that no two places look alike.
pub(crate) fn payload(said: Option<&Payload>) -> Vec<u8> {
    match said {
        None => Vec::new(),
        Some(Payload::Bytes(bytes)) => bytes.clone(),
        // Addresses are spelled out before packets are built.
        Some(Payload::Text(pieces)) => pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::Bytes(bytes) => &bytes[..],
                Piece::Address { .. } => &[],
            })
            .copied()
            .collect(),
        Some(Payload::Length(length)) => (0..*length).map(|index| (index % 251) as u8).collect(),
    }
}

/// The network header: what was said over what is honest.
pub(crate) fn header(route: &Route, said: &SaidIp, id: u32) -> Ip {
    let honest = Ip { id, ..Ip::new(route.spots[0].address, route.spots[1].address) };
    changed(&honest, said)
}

/// A network header with what was said in place of what it had.
pub(crate) fn changed(ip: &Ip, said: &SaidIp) -> Ip {
    let extension = |said: &SaidExtension| Extension { kind: said.kind, body: said.body.clone() };
    let extensions = if said.extensions.is_empty() {
        ip.extensions.clone()
    } else {
        said.extensions.iter().map(extension).collect()
    };
    Ip {
        ttl: said.ttl.unwrap_or(ip.ttl),
        tos: said.tos.unwrap_or(ip.tos),
        id: said.id.unwrap_or(ip.id),
        dont_fragment: said.dont_fragment.unwrap_or(ip.dont_fragment),
        options: said.options.clone().unwrap_or_else(|| ip.options.clone()),
        extensions,
        version: said.version.or(ip.version),
        header_words: said.header_words.or(ip.header_words),
        length: said.length.or(ip.length),
        check: said.checksum.map_or(ip.check, check),
        ..ip.clone()
    }
}

/// A datagram's bytes and the words for it.
pub(crate) fn udp(ip: &Ip, said: &SaidUdp, ports: [u16; 2], lite: bool) -> (u8, Vec<u8>, String) {
    let payload = payload(said.payload.as_ref());
    let shown = format!("({})", payload.len());
    let [sport, dport] = ports;
    let check = said.checksum.map_or(Check::Right, check);
    if lite {
        let coverage = said.coverage.or(said.length).unwrap_or(0);
        return (136, UdpLite { sport, dport, coverage, check }.bytes(ip, &payload), shown);
    }
    (17, Udp { sport, dport, length: said.length, check }.bytes(ip, &payload), shown)
}

/// An encapsulated packet's bytes and the words for it.
pub(crate) fn gre(said: &SaidGre) -> (Vec<u8>, String) {
    let payload = payload(said.payload.as_ref());
    let version = said.version.unwrap_or(0);
    let call = said.call.map(u32::from);
    let gre = Gre {
        version,
        protocol: said.carries.unwrap_or(if version == 1 { 0x880b } else { 0x0800 }),
        // Version 1 has a key in any case: the payload's length, then the call.
        key: if version == 1 { Some((payload.len() as u32) << 16 | call.unwrap_or(0)) } else { call },
        sequence: None,
        checksum: false,
    };
    let shown = match call {
        Some(call) => format!("gre{version} call {call} ({})", payload.len()),
        None => format!("gre{version} ({})", payload.len()),
    };
    (gre.bytes(&payload), shown)
}

/// An ICMP message's bytes and the words for it. `quoted` is what an error quotes.
///
/// # Errors
/// When the family has no such message.
pub(crate) fn icmp(
    ip: &Ip,
    said: &SaidIcmp,
    stack: Option<&mut Stack>,
    forth: bool,
    quoted: &[u8],
    span: Span,
) -> Result<(u8, Vec<u8>, String), Box<Message>> {
    let family = said.version.unwrap_or(family_of(ip.src));
    let [request, reply] = if family == Family::Ipv4 { [8, 0] } else { [128, 129] };
    let (kind, code, words) = match said.kind {
        None if forth => (request, 0, "echo request".to_owned()),
        None => (reply, 0, "echo reply".to_owned()),
        Some(IcmpKind::Numbers { kind, code }) => (kind, code, format!("icmp type {kind} code {code}")),
        Some(IcmpKind::Named(name)) => {
            let (found, word) = match family {
                Family::Ipv4 => (name.v4, "ICMP"),
                Family::Ipv6 => (name.v6, "ICMPv6"),
            };
            let (kind, code) = found.ok_or_else(|| {
                Message::new(format!("{word} has no `{}`", name.words), span)
                    .help("leave the other family out of `family`, or give numbers: `type N code N`")
            })?;
            (kind, code, name.words.to_owned())
        }
    };
    let asks = kind == request || (family == Family::Ipv4 && matches!(kind, 13 | 15 | 17)) || kind == 139;
    let answers = kind == reply || (family == Family::Ipv4 && matches!(kind, 14 | 16 | 18)) || kind == 140;
    let mut shown = words;
    let rest = match said.rest {
        Some(rest) => rest,
        None if asks || answers || said.id.is_some() || said.seq.is_some() => {
            let (id, sequence) = ping(said, stack, asks);
            shown = format!("{shown} id {id} seq {sequence}");
            u32::from(id) << 16 | u32::from(sequence)
        }
        None => 0,
    };
    let mut body = match (family, kind, quoted) {
        (Family::Ipv6, REDIRECT, [_, ..]) => redirected(ip, quoted),
        _ => quoted.to_vec(),
    };
    body.extend(payload(said.payload.as_ref()));
    let message = Icmp { kind, code, rest, check: said.checksum.map_or(Check::Right, check) };
    // Sealed as its own family does, whatever carries it.
    let protocol = if family == Family::Ipv4 { 1 } else { 58 };
    Ok((protocol, message.bytes(ip, &body), shown))
}

/// ICMPv6's redirect has two addresses, and quotes inside an option.
const REDIRECT: u8 = 137;

/// What stands in a redirect (RFC 4861 4.5): the better router, here the sender itself; the destination; and the packet, as
/// a Redirected Header option.
fn redirected(ip: &Ip, quoted: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(48 + quoted.len());
    if let std::net::IpAddr::V6(router) = ip.src {
        body.extend(router.octets());
    }
    body.extend(quoted.get(24..40).unwrap_or(&[0; 16]));
    let mut option = vec![4, 0, 0, 0, 0, 0, 0, 0];
    option.extend(quoted);
    option.resize(option.len().next_multiple_of(8), 0);
    option[1] = (option.len() / 8) as u8;
    body.extend(option);
    body
}

/// Identifier and sequence number: requests count up, a reply answers the last request.
fn ping(said: &SaidIcmp, stack: Option<&mut Stack>, asks: bool) -> (u16, u16) {
    let Some(Stack::Icmp(pings)) = stack else {
        return (said.id.unwrap_or(1), said.seq.unwrap_or(1));
    };
    let honest = if asks { pings.sequence.wrapping_add(1) } else { pings.sequence };
    let sequence = said.seq.unwrap_or(honest);
    if asks {
        pings.sequence = sequence;
    }
    (said.id.unwrap_or(pings.id), sequence)
}

/// The words for a TCP segment, numbers relative as in a scenario.
pub(crate) fn shown_tcp(segment: &crate::packet::Tcp, bases: (u32, u32), length: usize) -> String {
    use std::fmt::Write;

    let mut text: String = crate::language::words::TCP_FLAGS
        .iter()
        .filter(|(_, bit)| segment.flags & bit != 0)
        .map(|(letter, _)| *letter)
        .collect();
    if text.is_empty() {
        text.push('-');
    }
    let relative = |number: u32, base: u32| i64::from(number.wrapping_sub(base) as i32);
    let seq = relative(segment.seq, bases.0);
    let _ = write!(text, " {seq}:{}({length})", seq + length as i64);
    if segment.has(crate::packet::flag::ACK) || segment.ack != 0 {
        let _ = write!(text, " ack {}", relative(segment.ack, bases.1));
    }
    let _ = write!(text, " win {}", segment.window);
    text
}

/// What a body is, for those that need nothing but themselves.
pub(crate) fn is_error(body: &Body) -> bool {
    matches!(body, Body::Icmp(icmp) if icmp.quote.is_some())
}
