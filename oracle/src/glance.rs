//! A packet's network layer at a glance: who to whom, carrying what. For words and counts, never for decisions.
//!
//! It reads on where the tracker would stop, so that a malformed packet can be described too: lengths that run past the
//! bytes are cut down to what is there. Not the engine's reading, so that a mistake there shows as a contradiction.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What can be made out of a packet, from its network header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance<'a> {
    /// Who it says it is from.
    pub src: IpAddr,
    /// Whom it is for.
    pub dst: IpAddr,
    /// The protocol behind the network headers that can be read.
    pub protocol: u8,
    /// Set where it is a piece of a datagram.
    pub fragment: Option<Fragment>,
    /// What follows the network headers, without what a link has added behind.
    pub payload: &'a [u8],
}

/// Where a piece of a datagram belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The datagram's identification.
    pub id: u32,
    /// Its first byte's place.
    pub offset: u32,
    /// Whether more are to follow.
    pub more: bool,
}

impl<'a> Glance<'a> {
    /// Looks at a packet; nothing where there is no whole IP header.
    pub fn at(bytes: &'a [u8]) -> Option<Glance<'a>> {
        match bytes.first()? >> 4 {
            4 => ipv4(bytes),
            6 => ipv6(bytes),
            _ => None,
        }
    }
}

fn ipv4(bytes: &[u8]) -> Option<Glance<'_>> {
    let header: &[u8; 20] = bytes.first_chunk()?;
    let words = usize::from(header[0] & 15).max(5) * 4;
    let total = match usize::from(word(header, 2)) {
        0 => bytes.len(),
        total => total.min(bytes.len()),
    };
    let (flags, address) = (word(header, 6), |at: usize| {
        IpAddr::V4(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]))
    });
    let (offset, more) = (u32::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    Some(Glance {
        src: address(12),
        dst: address(16),
        protocol: header[9],
        fragment: (offset > 0 || more).then(|| Fragment { id: u32::from(word(header, 4)), offset, more }),
        payload: bytes.get(words.min(total)..total).unwrap_or_default(),
    })
}

fn ipv6(bytes: &[u8]) -> Option<Glance<'_>> {
    let header: &[u8; 40] = bytes.first_chunk()?;
    let address = |at: usize| {
        let octets: [u8; 16] = header[at..at + 16].try_into().unwrap_or_default();
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let length = usize::from(word(header, 4));
    let end = if length == 0 { bytes.len() } else { bytes.len().min(40 + length) };
    let (mut protocol, mut payload, mut fragment) = (header[6], &bytes[40..end], None);
    // Hop-by-hop, routing, fragment, authentication, destination options: as far as they are there.
    while let (0 | 43 | 44 | 51 | 60, Some(&[next, length])) = (protocol, payload.first_chunk::<2>()) {
        let size = match protocol {
            44 => 8,
            51 => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        let (Some(extension), Some(rest)) = (payload.get(..size), payload.get(size..)) else { break };
        if protocol == 44 {
            let (place, id) = (word(extension, 2), [extension[4], extension[5], extension[6], extension[7]]);
            let (offset, more) = (u32::from(place & !7), place & 1 != 0);
            fragment = (offset > 0 || more).then(|| Fragment { id: u32::from_be_bytes(id), offset, more });
        }
        (protocol, payload) = (next, rest);
        if fragment.is_some_and(|fragment| fragment.offset > 0) {
            // What follows is the middle of something.
            break;
        }
    }
    Some(Glance { src: address(8), dst: address(24), protocol, fragment, payload })
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
