//! A third opinion on what is built: etherparse reads it back, and verifies every checksum.

use std::net::IpAddr;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;

fn ip(family: u8) -> Ip {
    let [src, dst] = if family == 4 { ["10.0.0.1", "10.0.1.1"] } else { ["fd00:a::1", "fd00:b::1"] };
    Ip::new(src.parse().unwrap(), dst.parse().unwrap())
}

fn with_transport(bytes: &[u8], look: impl FnOnce(&TransportSlice<'_>, IpAddr)) {
    let packet = SlicedPacket::from_ip(bytes).expect("etherparse reads it");
    let src = match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(v4) => {
            let header = v4.header();
            assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
            IpAddr::V4(header.source_addr())
        }
        NetSlice::Ipv6(v6) => IpAddr::V6(v6.header().source_addr()),
        NetSlice::Arp(_) => panic!("no ARP here"),
    };
    look(packet.transport.as_ref().expect("a transport header"), src);
}

/// Whether the one's complement sum over pseudo header and `segment` comes out.
fn sealed(ip: &Ip, protocol: u8, segment: &[u8]) -> bool {
    internet_checksum(&[&ip.pseudo_header(protocol, segment.len()), segment]) == 0
}

#[test]
fn tcp_is_read_back_as_written() {
    for family in [4, 6] {
        let ip = ip(family);
        let tcp = Tcp {
            sport: 40000,
            dport: 80,
            seq: 1000,
            ack: 77,
            flags: flag::SYN | flag::ACK | flag::ECE,
            window: 64240,
            options: vec![TcpOption::Mss(1460), TcpOption::SackPermitted, TcpOption::Scale(7)],
            ..Tcp::default()
        };
        let segment = tcp.bytes(&ip, b"odd");
        assert!(sealed(&ip, 6, &segment));
        with_transport(&ip.wrap(6, &segment), |transport, _| {
            let TransportSlice::Tcp(read) = transport else { panic!("{transport:?}") };
            assert_eq!((read.source_port(), read.destination_port()), (40000, 80));
            assert_eq!((read.sequence_number(), read.acknowledgment_number()), (1000, 77));
            assert!(read.syn() && read.ack() && read.ece() && !read.fin());
            assert_eq!((read.window_size(), read.payload()), (64240, &b"odd"[..]));
            assert_eq!(read.options().len(), 12);
        });
    }
}

#[test]
fn wrong_checksums_are_wrong_and_others_are_as_said() {
    let ip = ip(4);
    for check in [Check::Wrong, Check::Is(0), Check::Is(0xbeef)] {
        let segment = Tcp { check, ..Tcp::default() }.bytes(&ip, &[]);
        assert!(!sealed(&ip, 6, &segment), "{check:?}");
    }
    let none = Udp { check: Check::Is(0), ..Udp::default() }.bytes(&ip, b"x");
    assert_eq!(none[6..8], [0, 0]);
}

#[test]
fn udp_and_icmp_are_sealed() {
    for family in [4, 6] {
        let ip = ip(family);
        let datagram = Udp { sport: 5000, dport: 53, ..Udp::default() }.bytes(&ip, &[7; 33]);
        assert!(sealed(&ip, 17, &datagram));
        let echo = Icmp { kind: 8, rest: 0x0102_0003, ..Icmp::default() }.bytes(&ip, &[1; 5]);
        match family {
            4 => assert_eq!(internet_checksum(&[&echo]), 0),
            _ => assert!(sealed(&ip, 58, &echo)),
        }
    }
}

#[test]
fn udplite_is_sealed_as_the_rfc_says() {
    let ip = ip(4);
    let honest = UdpLite { coverage: 8, ..UdpLite::default() }.bytes(&ip, &[9; 20]);
    assert_eq!(internet_checksum(&[&ip.pseudo_header(136, honest.len()), &honest[..8]]), 0);
    assert!(!sealed(&ip, 17, &honest));
}

#[test]
fn extension_headers_form_a_chain() {
    let mut ip = ip(6);
    ip.extensions = vec![Extension { kind: 0, body: None }, Extension { kind: 60, body: None }];
    ip.fragment = Some(Fragment { offset: 0, more: false });
    let bytes = ip.wrap(17, &Udp { sport: 1, dport: 2, ..Udp::default() }.bytes(&ip, b"hello"));
    with_transport(&bytes, |transport, _| {
        let TransportSlice::Udp(read) = transport else { panic!("{transport:?}") };
        assert_eq!((read.source_port(), read.payload()), (1, &b"hello"[..]));
    });
}

#[test]
fn fragments_say_where_they_belong() {
    let mut v4 = ip(4);
    v4.id = 0x4711;
    v4.fragment = Some(Fragment { offset: 1200, more: true });
    let bytes = v4.wrap(17, &[0; 8]);
    assert_eq!(bytes[4..8], [0x47, 0x11, 0x20, 150]);
    assert_eq!(internet_checksum(&[&bytes[..20]]), 0);
}

#[test]
fn sctp_carries_the_known_crc() {
    // "123456789" has CRC32c 0xe3069283: the polynomial is the right one, and the order of bytes is RFC 9260's.
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    let packet = Sctp { sport: 1, dport: 2, tag: 3, check: Check::Right }.bytes(&[Chunk {
        kind: 10,
        flags: 0,
        length: None,
        value: vec![1],
    }]);
    assert_eq!(packet.len(), 12 + 8);
    let mut blank = packet.clone();
    blank[8..12].fill(0);
    assert_eq!(packet[8..12], crc32c::crc32c(&blank).to_le_bytes());
}

#[test]
fn nothing_panics_whatever_is_asked_for() {
    let mixed = Ip::new("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
    let mut long = ip(6);
    long.extensions = vec![Extension { kind: 51, body: Some(vec![0; 3000]) }];
    for ip in [mixed, long] {
        let segment = Tcp { data_offset: Some(255), ..Tcp::default() }.bytes(&ip, &[0; 70_000]);
        assert!(!ip.wrap(6, &segment).is_empty());
    }
}
