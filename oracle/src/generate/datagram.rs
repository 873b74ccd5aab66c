//! Datagrams: UDP, UDP-Lite, GRE, and protocols that are but a number.

use conntruth_engine::Family;

use super::Feature;
use super::writer::Writer;
use crate::language::ast::packet::{Body, Checksum, Gre, Packet, Payload, Poke, Protocol, Udp, Way};

const SIZES: [u32; 6] = [40, 0, 1, 8, 512, 1400];

impl Writer<'_, '_, '_> {
    fn payload(&mut self) -> Payload {
        Payload::Length(self.choices.pick(&SIZES))
    }

    /// Whose turn it is: the first packet goes forth, and then either side may speak.
    pub(super) fn turn(&mut self, flow: usize) -> Way {
        let times = if self.flows[flow].sent == 0 { 8 } else { 2 };
        self.way(Way::Forth, times)
    }

    pub(super) fn udp(&mut self, flow: usize, lite: bool) -> Packet {
        let way = self.turn(flow);
        let mut udp = Udp { payload: Some(self.payload()), ..Udp::default() };
        if self.odd(Feature::Checksums, 10) {
            let values =
                [Checksum::Bad, Checksum::Value(0), Checksum::Value(0xffff), Checksum::Value(0x1234)];
            udp.checksum = Some(self.choices.pick(&values));
        }
        let often = if lite { 3 } else { 10 };
        if self.odd(Feature::Lengths, often) {
            let length = Some(self.choices.pick(&[8, 0, 7, 9, 20, 48, 49, 1408, 1409, 65_535]));
            if lite {
                udp.coverage = length;
            } else {
                udp.length = length;
            }
        }
        let body = if lite { Body::UdpLite(udp) } else { Body::Udp(udp) };
        let mut packet = self.along(flow, way, body);
        if lite && self.choices.below(4) > 0 {
            packet.pokes.extend(self.sealed_as_udp(flow, way));
        }
        packet
    }

    /// Linux verifies UDP-Lite with UDP's number, so what is rightly sealed is INVALID: the opener's port is raised by as
    /// much as the numbers differ, in both directions, and the sum comes out.
    fn sealed_as_udp(&self, flow: usize, way: Way) -> Option<Poke> {
        let talk = self.planner().talks.talks.get(flow)?;
        let port = (talk.ports[0] as u8).checked_add(136 - 17)?;
        let header = if self.family == Family::Ipv4 { 20 } else { 40 };
        Some(Poke { offset: header + if way == Way::Forth { 1 } else { 3 }, bytes: vec![port] })
    }

    pub(super) fn gre(&mut self, flow: usize) -> Packet {
        let way = self.turn(flow);
        let mut gre = Gre { payload: Some(self.payload()), ..Gre::default() };
        if self.choices.one_in(3) {
            gre.version = Some(self.choices.pick(&[1, 1, 0, 2, 7]));
        }
        if self.choices.one_in(3) {
            gre.call = Some(self.choices.pick(&[7, 8, 0, 65_535]));
        }
        if self.odd(Feature::Lengths, 6) {
            gre.carries = Some(self.choices.pick(&[0x880b, 0x0800, 0x86dd, 0]));
        }
        self.along(flow, way, Body::Gre(gre))
    }

    pub(super) fn generic(&mut self, flow: usize) -> Packet {
        let way = self.turn(flow);
        let protocol = match self.planner().talks.talks.get(flow).map(|talk| talk.protocol) {
            Some(Protocol::Other(number)) => number,
            _ => super::writer::GENERIC[0],
        };
        let payload = Some(self.payload());
        self.along(flow, way, Body::Other { protocol, payload })
    }
}
