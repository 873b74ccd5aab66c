//! Translation from the outside: packets go through a host with rules, and what leaves is looked at.

use super::adjust::Adjust;
use super::{Draws, Wanted, payload};
use crate::rules::{Firewall, Interface, RuleSet};
use crate::wire::{checksum, ip};
use crate::{
    Addr, Direction, Engine, Family, Journey, LINUX_6_18, Packet, Route, Status, Time, Tuple, Verdict, Walk,
    protocol,
};

/// A host between `inside` (10.0.0.0/24) and `outside` (10.0.1.0/24) with these rules.
struct Host {
    engine: Engine,
    firewall: Firewall,
}

impl Host {
    fn new(lines: &[&str]) -> Host {
        let side = |name: &str, net: u8| Interface {
            name: name.to_owned(),
            addresses: vec![(Family::Ipv4, Addr::v4([10, 0, net, 254]))],
            networks: vec![(Family::Ipv4, Addr::v4([10, 0, net, 0]), 24)],
        };
        let rules = RuleSet::read(lines).unwrap();
        let firewall = Firewall::new(&rules, vec![side("inside", 0), side("outside", 1)]);
        let mut engine = Engine::new(&LINUX_6_18);
        engine.listen();
        Host { engine, firewall }
    }

    fn pass(&mut self, iif: &str, bytes: &[u8]) -> Walk {
        let dst = Addr::v4(*bytes[16..].first_chunk().unwrap());
        let route = if self.firewall.is_own(Family::Ipv4, dst) { Route::Input } else { Route::Forward };
        let oif = self.firewall.way_to(Family::Ipv4, dst).to_owned();
        let packet = Packet::new(bytes);
        let journey = Journey { packet, route, iif, oif: &oif, lost: false, waits: false };
        let walk = self.engine.walk(Time::from_secs(1), &mut self.firewall, &journey);
        if let Some(left) = &walk.left {
            assert_intact(left);
        }
        walk
    }

    /// The ends with which a packet leaves.
    fn leaves(&mut self, iif: &str, bytes: &[u8]) -> String {
        let walk = self.pass(iif, bytes);
        match walk.verdict {
            Verdict::Drop => walk.outcome.reason.slug().to_owned(),
            Verdict::Accept => ends(walk.left.as_deref().unwrap_or(bytes)),
        }
    }

    fn table(&self) -> Vec<String> {
        self.engine.conns().map(|conn| format!("{} | {}", conn.original, conn.reply)).collect()
    }
}

fn assert_intact(bytes: &[u8]) {
    let datagram = ip::receive(bytes, false).unwrap();
    let part = datagram.from(datagram.header_len);
    match datagram.protocol {
        protocol::TCP | protocol::UDP => {
            assert!(checksum::is_transport_intact(&datagram, datagram.protocol, part), "{bytes:02x?}");
        }
        protocol::ICMP => assert!(checksum::is_intact(checksum::sum(part)), "{bytes:02x?}"),
        _ => {}
    }
}

fn ends(bytes: &[u8]) -> String {
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let address = |at: usize| format!("{}.{}.{}.{}", bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    format!("{}:{} > {}:{}", address(12), port(20), address(16), port(22))
}

fn ipv4(number: u8, src: [u8; 4], dst: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, number, 0, 0];
    packet.extend(src.into_iter().chain(dst));
    packet.extend_from_slice(payload);
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let seal = checksum::seal(checksum::sum(&packet[..20]));
    packet[10..12].copy_from_slice(&seal);
    packet
}

fn sealed(mut packet: Vec<u8>, check: usize) -> Vec<u8> {
    let datagram = ip::reassembled(&packet).unwrap();
    let part = datagram.from(20);
    let pseudo = match datagram.protocol {
        protocol::ICMP => 0,
        number => checksum::pseudo_header(&datagram, number, part.len() as u32),
    };
    let seal = checksum::seal(checksum::sum(part) + pseudo);
    packet[check..check + 2].copy_from_slice(&seal);
    packet
}

fn udp(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Vec<u8> {
    let header = [sport, dport, 12, 0].map(u16::to_be_bytes).concat();
    sealed(ipv4(protocol::UDP, src, dst, &[&header[..], b"data"].concat()), 26)
}

fn tcp(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    segment.extend([0, 0, 3, 232, 0, 0, 19, 136, 0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    sealed(ipv4(protocol::TCP, src, dst, &segment), 36)
}

const ANN: [u8; 4] = [10, 0, 0, 1];
const BOB: [u8; 4] = [10, 0, 0, 2];
const SERVER: [u8; 4] = [10, 0, 1, 1];
const BOX: [u8; 4] = [10, 0, 1, 254];

#[test]
fn two_clients_share_an_address_and_not_a_port() {
    let mut host = Host::new(&["nat postrouting oifname outside masquerade"]);
    assert_eq!(host.leaves("inside", &udp(ANN, 4000, SERVER, 53)), "10.0.1.254:4000 > 10.0.1.1:53");
    let left = host.pass("inside", &udp(BOB, 4000, SERVER, 53)).left.unwrap();
    let port = u16::from_be_bytes([left[20], left[21]]);
    assert!(port >= 1024 && port != 4000, "{port}");
    // Each answer finds its way back.
    assert_eq!(host.leaves("outside", &udp(SERVER, 53, BOX, 4000)), "10.0.1.1:53 > 10.0.0.1:4000");
    assert_eq!(host.leaves("outside", &udp(SERVER, 53, BOX, port)), "10.0.1.1:53 > 10.0.0.2:4000");
    let status = host.engine.conns().next().unwrap().status;
    let all = Status::SRC_NAT.0 | Status::SRC_NAT_DONE.0 | Status::DST_NAT_DONE.0 | Status::CONFIRMED.0;
    assert_eq!(status.0, all | Status::SEEN_REPLY.0);
    // Where neither tuple is left, the same ports can be had again.
    host.engine.handle_timeouts(Time::from_secs(100));
    assert!(host.engine.is_empty());
    assert_eq!(host.leaves("inside", &udp(BOB, 4000, SERVER, 53)), "10.0.1.254:4000 > 10.0.1.1:53");
}

#[test]
fn a_port_is_forwarded_and_its_answers_come_from_where_they_were_asked() {
    let mut host = Host::new(&["nat prerouting udp dport 80 dnat to 10.0.0.1:8080"]);
    assert_eq!(host.leaves("outside", &udp(SERVER, 5, BOX, 80)), "10.0.1.1:5 > 10.0.0.1:8080");
    assert_eq!(host.leaves("inside", &udp(ANN, 8080, SERVER, 5)), "10.0.1.254:80 > 10.0.1.1:5");
    assert_eq!(
        host.table(),
        ["src=10.0.1.1 dst=10.0.1.254 sport=5 dport=80 | src=10.0.0.1 dst=10.0.1.1 sport=8080 dport=5"]
    );
}

#[test]
fn without_a_free_port_a_packet_ends() {
    let mut host = Host::new(&["nat postrouting udp dport 53 snat to 10.0.1.254:7000-7001"]);
    let left: Vec<String> =
        [1, 2, 3].map(|last| host.leaves("inside", &udp([10, 0, 0, last], 4000, SERVER, 53))).to_vec();
    let mut taken = left[..2].to_vec();
    taken.sort();
    assert_eq!(taken, ["10.0.1.254:7000 > 10.0.1.1:53", "10.0.1.254:7001 > 10.0.1.1:53"]);
    assert_eq!(left[2], "insert-failed");
    assert_eq!(host.engine.len(), 2);
}

#[test]
fn a_choice_of_another_is_followed_where_it_may_be() {
    let mut host = Host::new(&["nat postrouting udp dport 53 snat to 10.0.1.254:7000-7999 random"]);
    for (sport, (port, follows)) in (1..).zip([(7123, true), (7124, true), (7123, false), (8000, false)]) {
        let reply = Tuple {
            src: Addr::v4(SERVER),
            dst: Addr::v4(BOX),
            src_id: 53,
            dst_id: port,
            protocol: protocol::UDP,
            family: Family::Ipv4,
        };
        host.engine.prefer(Wanted { reply: Some(reply), ..Wanted::default() });
        let left = host.leaves("inside", &udp(ANN, sport, SERVER, 53));
        assert_eq!(left == format!("10.0.1.254:{port} > 10.0.1.1:53"), follows, "{left}");
    }
}

#[test]
fn an_identifier_that_is_drawn_twice_is_followed_by_what_has_changed() {
    let lines = [
        "nat prerouting meta l4proto icmp dnat to 10.0.1.1:7-8 random",
        "nat postrouting meta l4proto icmp snat to 10.0.0.1:7-21 random",
    ];
    let bits =
        [Status::default(), Status::SRC_NAT, Status::DST_NAT, Status(Status::SRC_NAT.0 | Status::DST_NAT.0)];
    // What is seen in the end, and by which bits: neither changed it, one of them, or both.
    for (id, status) in [(7, bits[0]), (20, bits[1]), (8, bits[2]), (7, bits[3]), (20, bits[3])] {
        let mut host = Host::new(&lines);
        let echo = sealed(ipv4(protocol::ICMP, ANN, SERVER, &[8, 0, 0, 0, 0, 7, 0, 0]), 22);
        let reply = Tuple {
            src: Addr::v4(SERVER),
            dst: Addr::v4(ANN),
            src_id: id,
            dst_id: 0,
            protocol: protocol::ICMP,
            family: Family::Ipv4,
        };
        host.engine.prefer(Wanted { reply: Some(reply), status, announced: None });
        host.pass("inside", &echo);
        let conn = host.engine.conns().next().unwrap();
        let translated = Status(conn.status.0 & bits[3].0);
        assert_eq!((conn.reply.src_id, translated), (id, status));
    }
}

#[test]
fn an_error_is_translated_inside_and_out() {
    let mut host = Host::new(&["nat postrouting oifname outside masquerade"]);
    let left = host.pass("inside", &udp(ANN, 4000, SERVER, 53)).left.unwrap();
    let message = [&[3, 3, 0, 0, 0, 0, 0, 0], &left[..28]].concat();
    let error = sealed(ipv4(protocol::ICMP, SERVER, BOX, &message), 22);
    let back = host.pass("outside", &error).left.unwrap();
    assert_eq!(back[12..20], [10, 0, 1, 1, 10, 0, 0, 1]);
    assert_eq!(ends(&back[28..]), "10.0.0.1:4000 > 10.0.1.1:53");
    assert!(checksum::is_intact(checksum::sum(&back[28..48])));
    let redirect = sealed(ipv4(protocol::ICMP, SERVER, BOX, &[&[5], &message[1..]].concat()), 22);
    assert_eq!(host.leaves("outside", &redirect), "nat-error");
}

#[test]
fn payloads_grow_and_what_follows_is_moved() {
    let mut packet = tcp(ANN, 4000, SERVER, 21, 0x18, b"PORT 10,0,0,1,4,0\r\n");
    assert!(payload::mangle(&mut packet, 5..17, b"10,0,1,254,4,0"));
    assert_intact(&packet);
    assert_eq!(&packet[40..], b"PORT 10,0,1,254,4,0\r\n");
    let mut both = [Adjust::default(); 2];
    both[0].note(1000, 2);
    let mut next = tcp(ANN, 4000, SERVER, 21, 0x18, b"LIST\r\n");
    next[24..28].copy_from_slice(&1019_u32.to_be_bytes());
    next[36..38].fill(0);
    let mut next = sealed(next, 36);
    assert!(super::adjust::adjust(&mut next, 20, &both, Direction::Original));
    assert_intact(&next);
    assert_eq!(next[24..28], 1021_u32.to_be_bytes());
    let mut answer = tcp(SERVER, 21, ANN, 4000, 0x10, b"");
    answer[28..32].copy_from_slice(&1021_u32.to_be_bytes());
    answer[36..38].fill(0);
    let mut answer = sealed(answer, 36);
    assert!(super::adjust::adjust(&mut answer, 20, &both, Direction::Reply));
    assert_intact(&answer);
    assert_eq!(answer[28..32], 1019_u32.to_be_bytes());
}

#[test]
fn an_expected_connection_goes_the_way_of_its_master() {
    let mut host = Host::new(&["nat postrouting oifname outside masquerade"]);
    host.pass("inside", &tcp(ANN, 4000, SERVER, 21, 2, b""));
    let master = host.engine.conns().next().unwrap();
    assert_eq!(master.reply.dst, Addr::v4(BOX));
    let mut draws = Draws::new(1);
    let mut tried = Vec::new();
    let port = payload::expect_at(1024, &mut draws, |port| {
        tried.push(port);
        if tried.len() < 3 { Err(payload::Refused::Busy) } else { Ok(()) }
    });
    assert_eq!((tried[0], port), (1024, tried.last().copied()));
    // Where another has found one, and it is one that may be found.
    for (announced, follows) in [(2000, true), (1023, false), (u16::MAX, false)] {
        draws.want(Wanted { announced: Some(announced), ..Wanted::default() });
        let mut busy = 1;
        let port = payload::expect_at(1024, &mut draws, |_| {
            busy -= 1;
            if busy < 0 { Ok(()) } else { Err(payload::Refused::Busy) }
        });
        assert_eq!(port == Some(announced), follows, "{port:?}");
    }
}
