//! The network header around a packet, and what is done to the finished packet: fragments, cuts, bytes overwritten.
//! What forwarding itself would drop after the tracker has seen it is not made: a time to live that ends, options that
//! do not parse.

use conntruth_engine::Family;

use super::writer::{GENERIC, Writer};
use super::{Feature, Speaks};
use crate::language::ast::packet::{
    Body, Checksum, Cut, Extension, Gre, Packet, Payload, Poke, Sctp, Tcp, Udp, Way,
};

/// IPv4 options that are whole: padding, router alert, record route, a time stamp.
const OPTIONS: [&[u8]; 4] =
    [&[1, 1, 1, 1], &[0x94, 4, 0, 0], &[7, 7, 4, 0, 0, 0, 0, 0], &[68, 8, 5, 0, 0, 0, 0, 0]];
/// IPv6 extension headers: their kind, and what follows the next-header byte.
const EXTENSIONS: [(u8, Option<&[u8]>); 8] = [
    (60, None),
    (0, None),
    (43, None),
    (51, None),
    (60, Some(&[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    (0, Some(&[0, 5, 2, 0, 0, 1, 0])),
    (60, Some(&[9, 1, 4, 0, 0, 0, 0])),
    (0, Some(&[0, 0xc2, 4, 0, 0, 0, 0])),
];

/// Fragment headers written out: of a whole datagram, of a first piece, of a later one, and one that is not whole.
const FRAGMENTS: [(u8, Option<&[u8]>); 4] = [
    (44, Some(&[0, 0, 0, 0, 0, 0, 9])),
    (44, Some(&[0, 0, 1, 0, 0, 0, 7])),
    (44, Some(&[0, 0, 8, 0, 0, 0, 7])),
    (44, Some(&[0, 0])),
];

impl Writer<'_, '_, '_> {
    /// Changes a packet's header, or what is left of it on its way.
    pub(super) fn decorate(&mut self, packet: &mut Packet, flow: Option<usize>) {
        let is_again = matches!(packet.body, Body::Again(_));
        if self.odd(Feature::Headers, 16) {
            self.header(packet);
        }
        if !is_again && self.odd(Feature::Cuts, 24) {
            packet.cut = Cut::Short(self.choices.pick(&[0, 3, 4, 7, 8, 12, 19, 20, 1]));
            return;
        }
        let often = if flow.is_some() { 8 } else { 24 };
        // Sent again it would meet what is left of itself, and be one datagram of packets that rules treat differently.
        if !is_again && self.odd(Feature::Fragments, often) {
            self.cut_up(packet);
        }
        if self.odd(Feature::Pokes, 40) {
            let header = if self.family == Family::Ipv4 { 20 } else { 40 };
            // The first bytes of the transport header, which every packet that is not cut short has.
            let (offset, byte) = (header + self.choices.below(4) as u32, self.choices.byte());
            packet.pokes.push(Poke { offset, bytes: vec![byte] });
        }
    }

    fn header(&mut self, packet: &mut Packet) {
        let ip = &mut packet.ip;
        match self.choices.below(10) {
            0 => ip.ttl = Some(self.choices.pick(&[2, 255, 3])),
            1 => ip.tos = Some(self.choices.byte()),
            2 => ip.length = Some(self.choices.pick(&[20, 0, 19, 28, 40, 41, 65_535])),
            3 if self.family == Family::Ipv4 => ip.header_words = Some(self.choices.pick(&[5, 4, 0])),
            4 if self.family == Family::Ipv4 => {
                ip.checksum = Some(self.choices.pick(&[Checksum::Bad, Checksum::Value(0)]));
            }
            5 => ip.version = Some(self.choices.pick(&[5, 0, 15])),
            6 => {
                let number = self.choices.pick(&GENERIC);
                ip.protocol = Some(number);
            }
            // Options that the host writes into make its answers a matter of routing.
            _ if self.family == Family::Ipv4 && self.has_rules() => ip.tos = Some(self.choices.byte()),
            _ if self.family == Family::Ipv4 => ip.options = Some(self.choices.pick(&OPTIONS).to_vec()),
            _ => self.extensions(packet),
        }
    }

    fn extensions(&mut self, packet: &mut Packet) {
        let fragments = self.may(Feature::Fragments);
        for _ in 0..=self.choices.below(2) {
            let (kind, body) = match self.choices.below(6) {
                0 if fragments => self.choices.pick(&FRAGMENTS),
                _ => self.choices.pick(&EXTENSIONS),
            };
            packet.ip.extensions.push(Extension { kind, body: body.map(<[u8]>::to_vec) });
        }
    }

    /// Whole datagrams in pieces, in any order, with some missing or twice; or one piece of one, which may fit to others
    /// that bear the same identification.
    fn cut_up(&mut self, packet: &mut Packet) {
        let length = least_length(&packet.body);
        if self.choices.one_in(2) {
            let pieces = [(0, 8), (0, 16), (8, 16), (8, 24), (0, 3), (0, 4), (16, 24), (0, 24)];
            let (from, to) = self.choices.pick(&pieces);
            if to <= length {
                let at = self.choices.one_in(4).then(|| self.choices.pick(&[0, 8, 16, 24, 65_528]));
                let more = self.choices.one_in(2).then(|| self.choices.one_in(2));
                packet.cut = Cut::Fragment { from, to, at, more };
                packet.ip.id = Some(self.choices.pick(&[1007, 1007, 1007, 1008]));
                if self.choices.one_in(6) {
                    packet.ip.tos = Some(self.choices.pick(&[1, 2, 3, 0]));
                }
            }
            return;
        }
        let size = self.choices.pick(&[8, 16, 24, 40, 400]);
        let count = length.div_ceil(size).clamp(1, 8) as u16;
        let mut order: Vec<u16> = (1..=count).collect();
        for _ in 0..self.choices.below(4) {
            let (left, right) = (self.choices.below(order.len()), self.choices.below(order.len()));
            match self.choices.below(4) {
                0 | 1 => order.swap(left, right),
                2 if order.len() > 1 => {
                    order.remove(left);
                }
                _ => order.push(order[left]),
            }
        }
        // More pieces than these there may be: without an order all of them come.
        let all = self.choices.one_in(3);
        packet.cut = Cut::Fragments { size, order: (!all || size < 40).then_some(order) };
    }

    /// A packet of the kind that a flow carries.
    pub(super) fn of_same_kind(&mut self, flow: usize, way: Way) -> Packet {
        let payload = Some(Payload::Length(20));
        let body = match self.flows[flow].speaks {
            Speaks::Tcp | Speaks::Ftp | Speaks::Irc => Body::Tcp(Tcp { flags: 0x10, ..Tcp::default() }),
            Speaks::Udp | Speaks::Tftp => Body::Udp(Udp { payload, ..Udp::default() }),
            Speaks::UdpLite => Body::UdpLite(Udp { payload, ..Udp::default() }),
            Speaks::Sctp => Body::Sctp(Sctp::default()),
            Speaks::Gre => Body::Gre(Gre { payload, ..Gre::default() }),
            Speaks::Icmp | Speaks::Generic | Speaks::Nat => return self.generic(flow),
        };
        self.along(flow, way, body)
    }
}

/// Bytes that follow the network header, at least.
fn least_length(body: &Body) -> u32 {
    let of = |payload: &Option<Payload>| match payload {
        Some(Payload::Length(length)) => *length,
        Some(Payload::Bytes(bytes)) => bytes.len() as u32,
        // An address has one letter at least.
        Some(Payload::Text(pieces)) => pieces.len() as u32,
        None => 0,
    };
    match body {
        Body::Tcp(tcp) => 20 + of(&tcp.payload),
        Body::Udp(udp) | Body::UdpLite(udp) => 8 + of(&udp.payload),
        Body::Icmp(icmp) => 8 + of(&icmp.payload),
        Body::Sctp(_) => 12,
        Body::Gre(gre) => 4 + of(&gre.payload),
        Body::Other { payload, .. } => of(payload),
        Body::Raw(_) | Body::Again(_) => 0,
    }
}
