//! ICMP and ICMPv6: queries and answers, messages that are neither, and errors that quote what was sent, in part, in
//! whole, to the right one or to another.

use conntruth_engine::Family;

use super::Feature;
use super::writer::{HOSTS, Writer, name, packet};
use crate::language::ast::Side;
use crate::language::ast::packet::{
    Body, Checksum, Endpoint, HostRef, Icmp, IcmpKind, Packet, Path, Payload, Quote, Quoted, Way,
};

const fn empty() -> Icmp {
    Icmp {
        version: None,
        kind: None,
        id: None,
        seq: None,
        rest: None,
        quote: None,
        checksum: None,
        payload: None,
    }
}

/// Types and codes of queries, answers and others: known ones, the last known, and beyond.
const V4: [(u8, u8); 14] = [
    (8, 0),
    (0, 0),
    (13, 0),
    (14, 0),
    (15, 0),
    (16, 0),
    (17, 0),
    (18, 0),
    (8, 1),
    (9, 0),
    (10, 0),
    (19, 0),
    (40, 0),
    (255, 3),
];
const V6: [(u8, u8); 14] = [
    (128, 0),
    (129, 0),
    (139, 0),
    (140, 0),
    (139, 1),
    (128, 5),
    (133, 0),
    (135, 0),
    (136, 0),
    (130, 0),
    (143, 0),
    (137, 0),
    (137, 1),
    (200, 0),
];
/// Types and codes of errors, some with numbers that nobody has given.
const ERRORS_V4: [(u8, u8); 10] =
    [(3, 3), (3, 0), (3, 1), (3, 4), (11, 0), (11, 1), (12, 0), (4, 0), (5, 1), (3, 200)];
const ERRORS_V6: [(u8, u8); 9] = [(1, 4), (1, 0), (1, 3), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (100, 9)];
/// How much of a packet is quoted: less than a header, exactly one, the ports, and some more.
const QUOTED: [u32; 12] = [28, 8, 0, 19, 20, 21, 23, 24, 27, 40, 44, 48];

impl Writer<'_, '_, '_> {
    /// A message of a flow of queries and answers.
    pub(super) fn icmp(&mut self, flow: usize) -> Packet {
        let way = self.turn(flow);
        let mut icmp = empty();
        let (known, others, wrong) = match self.family {
            Family::Ipv4 => (&V4, &V6, Family::Ipv6),
            Family::Ipv6 => (&V6, &V4, Family::Ipv4),
        };
        if self.choices.one_in(3) {
            let (kind, code) = self.choices.pick(known);
            icmp.kind = Some(IcmpKind::Numbers { kind, code });
        }
        if self.choices.one_in(6) {
            icmp.id = Some(self.choices.pick(&[1, 7, 8]));
        }
        if self.choices.one_in(6) {
            icmp.payload = Some(Payload::Length(self.choices.pick(&[56, 0, 1, 1400])));
        }
        if self.odd(Feature::Checksums, 10) {
            icmp.checksum = Some(self.choices.pick(&[Checksum::Bad, Checksum::Value(0)]));
        }
        // The other family's protocol, in this one's header.
        let foreign = self.odd(Feature::Headers, 20);
        if foreign {
            icmp.version = Some(wrong);
            let (kind, code) = self.choices.pick(&[others[0], others[0], others[1], known[0]]);
            icmp.kind = Some(IcmpKind::Numbers { kind, code });
        }
        let mut packet = self.along(flow, way, Body::Icmp(icmp));
        packet.foreign = foreign;
        packet
    }

    /// An error about an earlier packet, or about one that nobody sent.
    pub(super) fn icmp_error(&mut self) -> Packet {
        let errors: &[(u8, u8)] = if self.family == Family::Ipv4 { &ERRORS_V4 } else { &ERRORS_V6 };
        let (kind, code) = self.choices.pick(errors);
        let what = match self.label() {
            Some(label) if !self.choices.one_in(8) => Quoted::Label(label),
            _ => Quoted::Packet(Box::new(self.unsent())),
        };
        let bytes = self.choices.one_in(3).then(|| {
            let more = if self.family == Family::Ipv4 { 0 } else { 20 };
            self.choices.pick(&QUOTED) + more
        });
        let mut icmp = empty();
        icmp.kind = Some(IcmpKind::Numbers { kind, code });
        icmp.quote = Some(Quote { what, bytes });
        if self.choices.one_in(12) {
            icmp.rest = Some(self.choices.pick(&[1280, 0, u32::MAX]));
        }
        if self.odd(Feature::Checksums, 12) {
            icmp.checksum = Some(Checksum::Bad);
        }
        let to_inside = !self.choices.one_in(3);
        let from = self.host(if to_inside { Side::Outside } else { Side::Inside });
        let to = self.host(if to_inside { Side::Inside } else { Side::Outside });
        packet(Path::Hosts { from, to }, Body::Icmp(icmp))
    }

    /// The first packet of a flow that was perhaps never sent so.
    fn unsent(&mut self) -> Packet {
        let flow = self.choices.below(self.flows.len());
        let way = self.way(Way::Forth, 2);
        let body = match self.flows[flow].speaks {
            super::Speaks::Icmp => {
                let mut icmp = empty();
                icmp.kind = Some(IcmpKind::Numbers { kind: self.choices.byte(), code: 0 });
                Body::Icmp(icmp)
            }
            _ => return self.of_same_kind(flow, way),
        };
        self.along(flow, way, body)
    }

    fn host(&mut self, side: Side) -> Endpoint {
        let hosts: Vec<&str> = HOSTS.iter().filter(|row| row.2 == side).map(|row| row.0).collect();
        let second = self.choices.one_in(4);
        Endpoint { host: HostRef::Name(name(hosts[usize::from(second)])), port: None }
    }
}
