//! A TCP header as the tracker reads it, its options included.

use super::super::Segment as Packet;
use crate::reason::Reason;
use crate::snapshot::TcpSide;
use crate::states::Segment;
use crate::wire::checksum;

pub(super) mod flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
    pub const ECE: u8 = 0x40;
    pub const CWR: u8 = 0x80;
}
use flag::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};

/// The flags that may stand together; PSH, ECE and CWR are not looked at.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_valid_flags`.
const VALID: [u8; 9] =
    [SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG];

/// What each combination of flags makes of a segment; nothing where they may not stand together.
static KINDS: [Option<Segment>; 256] = {
    let mut kinds = [None; 256];
    let mut flags = 0;
    while flags < kinds.len() {
        let mut row = 0;
        while row < VALID.len() {
            if VALID[row] == flags as u8 & !(PSH | ECE | CWR) {
                kinds[flags] = Some(kind(VALID[row]));
            }
            row += 1;
        }
        flags += 1;
    }
    kinds
};

const fn kind(flags: u8) -> Segment {
    match flags {
        _ if flags & RST != 0 => Segment::Rst,
        _ if flags & (SYN | ACK) == SYN | ACK => Segment::SynAck,
        _ if flags & SYN != 0 => Segment::Syn,
        _ if flags & FIN != 0 => Segment::Fin,
        _ if flags & ACK != 0 => Segment::Ack,
        _ => Segment::None,
    }
}

const HEADER: usize = 20;

mod option {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
}

/// See the module. Numbers are the segment's own, unscaled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub flags: u8,
    pub kind: Segment,
    /// `seq` plus payload, SYN and FIN.
    pub end: u32,
    options: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads and checks a header.
    pub fn parse(packet: &Packet<'a>) -> Result<Header<'a>, Reason> {
        let bytes = packet.bytes;
        let length = bytes.len();
        let head = bytes.first_chunk::<HEADER>().ok_or(Reason::TcpTruncated { length: length as u32 })?;
        let header = usize::from(head[12] >> 4) * 4;
        if header < HEADER || header > length {
            return Err(Reason::TcpDataOffset { header: header as u32, length: length as u32 });
        }
        if packet.verify && !checksum::is_transport_intact(&packet.datagram, packet.protocol, bytes) {
            return Err(Reason::TcpChecksum {});
        }
        let flags = head[13];
        let Some(kind) = KINDS[usize::from(flags)] else {
            return Err(Reason::TcpFlags { flags });
        };
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let seq = word(4);
        let phantom = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        Ok(Header {
            seq,
            ack: word(8),
            window: u16::from_be_bytes([head[14], head[15]]),
            flags,
            kind,
            end: seq.wrapping_add((length - header) as u32).wrapping_add(phantom),
            options: &bytes[HEADER..header],
        })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// A SYN's offers, put into what is known of its sender. Without any option nothing is changed, not even cleared.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_options`.
    pub fn read_offers(&self, sender: &mut TcpSide, max_scale: i32) {
        if self.options.is_empty() {
            return;
        }
        sender.td_scale = 0;
        sender.flags &= TcpSide::BE_LIBERAL;
        for (kind, data) in Options(self.options) {
            match (kind, data) {
                (option::SACK_PERMITTED, []) => sender.flags |= TcpSide::SACK_PERM,
                (option::WINDOW_SCALE, &[scale]) => {
                    sender.td_scale = scale.min(max_scale as u8);
                    sender.flags |= TcpSide::WINDOW_SCALE;
                }
                _ => {}
            }
        }
    }

    /// The highest right edge of the first well-formed SACK option, where it lies after the ACK.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_proto_tcp.c `tcp_sack`.
    pub fn sack(&self) -> u32 {
        let blocks = Options(self.options).find_map(|(kind, data)| {
            (kind == option::SACK && !data.is_empty() && data.len() % 8 == 0).then_some(data)
        });
        let edges =
            blocks.unwrap_or_default().chunks_exact(8).map(|b| u32::from_be_bytes([b[4], b[5], b[6], b[7]]));
        edges.fold(self.ack, |sack, edge| if super::after(edge, sack) { edge } else { sack })
    }
}

/// Kind and data of each option, up to the end option or the first that is malformed.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        while let [option::NOP, rest @ ..] = self.0 {
            self.0 = rest;
        }
        let &[kind, length, ..] = self.0 else { return None };
        let length = usize::from(length);
        if kind == option::END || length < 2 || length > self.0.len() {
            self.0 = &[];
            return None;
        }
        let (option, rest) = self.0.split_at(length);
        self.0 = rest;
        Some((kind, &option[2..]))
    }
}
