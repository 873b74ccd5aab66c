//! What of a packet's bytes decides which cell is asked: its addresses and ports, the kind of segment, the chunks.
//!
//! A fragment's transport header is that of its datagram's first fragment, if that has come before.

use std::collections::BTreeMap;
use std::net::IpAddr;

use conntruth_engine::{Addr, Family, Segment, Tuple, protocol};

use crate::glance::Glance;

/// A TCP segment or an SCTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub tuple: Tuple,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp(Segment),
    /// The types of the chunks, in order.
    Sctp(Vec<u8>),
}

/// The first bytes of datagrams that came in pieces, by addresses, identification and protocol.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(BTreeMap<(IpAddr, IpAddr, u32, u8), Vec<u8>>);

/// Reads a packet; none for those of other protocols, and for those that say too little.
pub(super) fn read(bytes: &[u8], pieces: &mut Pieces) -> Option<Header> {
    let Glance { src, dst, protocol, fragment, payload } = Glance::at(bytes)?;
    let Some(fragment) = fragment else {
        return transport(src, dst, protocol, payload);
    };
    // In a later IPv6 fragment the protocol stands in its own header just as in the first one's.
    let key = (src, dst, fragment.id, protocol);
    if fragment.offset == 0 {
        pieces.0.insert(key, payload.to_vec());
    }
    transport(src, dst, protocol, pieces.0.get(&key)?)
}

fn transport(src: IpAddr, dst: IpAddr, number: u8, bytes: &[u8]) -> Option<Header> {
    let &[a, b, c, d] = bytes.first_chunk::<4>()?;
    let kind = match number {
        protocol::TCP => Kind::Tcp(segment(*bytes.get(13)?)),
        protocol::SCTP => Kind::Sctp(chunks(bytes.get(12..)?)),
        _ => return None,
    };
    let tuple = Tuple {
        src: Addr::from(src),
        dst: Addr::from(dst),
        src_id: u16::from_be_bytes([a, b]),
        dst_id: u16::from_be_bytes([c, d]),
        protocol: number,
        family: if src.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
    };
    Some(Header { tuple, kind })
}

/// The kind of segment to the table, the first that applies.
fn segment(flags: u8) -> Segment {
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;
    match flags {
        _ if flags & RST != 0 => Segment::Rst,
        _ if flags & (SYN | ACK) == SYN | ACK => Segment::SynAck,
        _ if flags & SYN != 0 => Segment::Syn,
        _ if flags & FIN != 0 => Segment::Fin,
        _ if flags & ACK != 0 => Segment::Ack,
        _ => Segment::None,
    }
}

/// Types of chunks, as long as there is a whole chunk header and a length that leads on.
fn chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some(&[kind, _, high, low]) = bytes.first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 {
            break;
        }
        kinds.push(kind);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    kinds
}
