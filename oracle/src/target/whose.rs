//! Whose a packet is: its addresses, and the tuple by which it may belong to an entry. A reading of its own, apart from the
//! engine's, of no more than that takes.

use conntruth_engine::{Addr, Family, Tuple, protocol};

/// What of a packet matters here.
struct Head<'a> {
    family: Family,
    addresses: [Addr; 2],
    /// The protocol behind the network headers, and what it carries.
    protocol: u8,
    payload: &'a [u8],
    fragment: bool,
    /// No options, no extensions, no odd length, more than one hop left.
    plain: bool,
}

fn head(packet: &[u8]) -> Option<Head<'_>> {
    match packet.first()? >> 4 {
        4 => head4(packet),
        6 => head6(packet),
        _ => None,
    }
}

fn head4(packet: &[u8]) -> Option<Head<'_>> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let length = usize::from(header[0] & 15) * 4;
    let place = u16::from_be_bytes([header[6], header[7]]);
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let address = |at: usize| Addr::v4([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Some(Head {
        family: Family::Ipv4,
        addresses: [address(12), address(16)],
        protocol: header[9],
        payload: packet.get(length..total.min(packet.len())).unwrap_or_default(),
        fragment: place & 0x3fff != 0,
        plain: header[0] == 0x45 && header[8] > 1 && total == packet.len() && place & 0x3fff == 0,
    })
}

/// Extension headers that stand before a transport header: hop-by-hop, routing, fragment, authentication, destination.
const EXTENSIONS: [u8; 5] = [0, 43, 44, 51, 60];
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

fn head6(packet: &[u8]) -> Option<Head<'_>> {
    let header: &[u8; 40] = packet.first_chunk()?;
    let address = |at: usize| header[at..at + 16].try_into().map_or_else(|_| Addr::default(), Addr::v6);
    let (mut next, mut rest) = (header[6], &packet[40..]);
    let mut fragment = false;
    while EXTENSIONS.contains(&next) {
        let &[after, length, ..] = rest else { break };
        fragment |= next == FRAGMENT;
        let size = match next {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        (next, rest) = (after, rest.get(size..).unwrap_or_default());
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let is_local = header[8] == 0xfe || header[24] == 0xfe || header[24] == 0xff;
    Some(Head {
        family: Family::Ipv6,
        addresses: [address(8), address(24)],
        protocol: next,
        payload: rest,
        fragment,
        plain: header[6] == next && header[7] > 1 && length == packet.len() - 40 && !is_local,
    })
}

/// Source and destination.
pub(crate) fn addresses(packet: &[u8]) -> Option<[(Family, Addr); 2]> {
    head(packet).map(|head| head.addresses.map(|address| (head.family, address)))
}

/// Puts the right checksum into an IPv4 header.
#[cfg(target_os = "linux")]
pub(crate) fn seal_header(packet: &mut [u8]) {
    let Some(first) = packet.first() else { return };
    let length = usize::from(first & 15) * 4;
    let Some(header) = packet.get_mut(..length.max(20)) else { return };
    header[10..12].fill(0);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!sum as u16).to_be_bytes());
}

/// Completes the checksum of a segment or datagram that is left to the device: then there stands the sum of the pseudo header
/// alone.
#[cfg(target_os = "linux")]
pub(crate) fn complete(packet: &mut [u8]) {
    let Some(head) = head(packet).filter(|head| !head.fragment) else { return };
    let (protocol, length) = (head.protocol, head.payload.len());
    let place = match protocol {
        protocol::TCP => 16,
        protocol::UDP => 6,
        _ => return,
    };
    let addresses = if head.family == Family::Ipv4 { 12..20 } else { 8..40 };
    let start = head.payload.as_ptr() as usize - packet.as_ptr() as usize;
    let words = |bytes: &[u8]| -> u32 {
        let pairs = bytes.chunks(2);
        pairs.map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum()
    };
    let folded = |sum: u32| {
        let sum = (sum & 0xffff) + (sum >> 16);
        ((sum & 0xffff) + (sum >> 16)) as u16
    };
    let pseudo = folded(words(&packet[addresses]) + u32::from(protocol) + length as u32);
    let at = start + place;
    if packet.get(at..at + 2) != Some(&pseudo.to_be_bytes()[..]) {
        return;
    }
    // What is summed up has the pseudo header's sum in the checksum's place.
    let sum = !folded(words(&packet[start..start + length]));
    let sum = if sum == 0 && protocol == protocol::UDP { 0xffff } else { sum };
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Whether it is a fragment.
pub(crate) fn is_fragment(packet: &[u8]) -> bool {
    head(packet).is_some_and(|head| head.fragment)
}

/// Whether nothing but a rule keeps it from being forwarded.
pub(crate) fn is_plain(packet: &[u8]) -> bool {
    head(packet).is_some_and(|head| head.plain)
}

/// What a segment of TCP or a datagram of UDP carries.
pub(crate) fn said(packet: &[u8]) -> Option<&[u8]> {
    let head = head(packet).filter(|head| !head.fragment)?;
    let header = match head.protocol {
        protocol::TCP => usize::from(head.payload.get(12)? >> 4) * 4,
        protocol::UDP => 8,
        _ => return None,
    };
    head.payload.get(header..)
}

/// The six bits of the differentiated services field.
pub(crate) fn dscp(packet: &[u8]) -> u8 {
    match packet {
        [first, second, ..] if first >> 4 == 6 => (first << 4 | second >> 4) >> 2,
        [_, second, ..] => second >> 2,
        _ => 0,
    }
}

/// Whether it is an ICMP error: what it is about is quoted in it.
pub(crate) fn quotes(packet: &[u8]) -> bool {
    head(packet).and_then(|head| plain_tuple(&head)).is_some_and(|tuple| is_error(&tuple))
}

/// Where the transport header stands.
pub(crate) fn header(packet: &[u8]) -> Option<usize> {
    let head = head(packet)?;
    // Behind the payload there may be padding.
    let place = head.payload.as_ptr() as usize - packet.as_ptr() as usize;
    (!head.payload.is_empty()).then_some(place)
}

fn is_error(tuple: &Tuple) -> bool {
    match tuple.protocol {
        protocol::ICMP => [3, 4, 5, 11, 12].contains(&tuple.icmp_type()),
        protocol::ICMPV6 => tuple.icmp_type() < 128,
        _ => false,
    }
}

/// The ends that a packet has, and those of what it quotes where it is an ICMP error.
pub(crate) fn ends(packet: &[u8]) -> Option<(Tuple, Option<Tuple>)> {
    let head = head(packet)?;
    let tuple = plain_tuple(&head)?;
    let quoted = || plain_tuple(&self::head(head.payload.get(8..)?)?);
    let quoted = if is_error(&tuple) { quoted() } else { None };
    Some((tuple, quoted))
}

/// The tuple by which a packet belongs to an entry, or by which an ICMP error is about one.
pub(crate) fn tuple(packet: &[u8]) -> Option<Tuple> {
    let head = head(packet)?;
    let tuple = plain_tuple(&head)?;
    if !is_error(&tuple) {
        return Some(tuple);
    }
    let inner = self::head(head.payload.get(8..)?)?;
    plain_tuple(&inner)?.invert()
}

fn plain_tuple(head: &Head<'_>) -> Option<Tuple> {
    let half = |at: usize| head.payload.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let (src_id, dst_id) = match head.protocol {
        protocol::ICMP | protocol::ICMPV6 => (half(4)?, half(0)?),
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP => (half(0)?, half(2)?),
        protocol::GRE => gre_keys(head.payload),
        _ => (0, 0),
    };
    Some(Tuple {
        src: head.addresses[0],
        dst: head.addresses[1],
        src_id,
        dst_id,
        protocol: head.protocol,
        family: head.family,
    })
}

/// Version 1 with PPP inside has its call as a key.
fn gre_keys(payload: &[u8]) -> (u16, u16) {
    match payload {
        [_, version, 0x88, 0x0b, _, _, high, low, ..] if version & 7 == 1 => {
            (0, u16::from_be_bytes([*high, *low]))
        }
        _ => (0, 0),
    }
}
