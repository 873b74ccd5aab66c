//! What the host throws away before PREROUTING, and where the tracker finds the transport header: cases as the running
//! kernel (6.18.44) answered them, and nothing that arbitrary bytes could break.

use proptest::prelude::{any, prop, proptest};

use super::{Datagram, Transport, receive, transport};
use crate::tuple::Family;
use crate::wire::checksum;

/// An IPv4 packet of protocol 99 with the given changes and a right header checksum over `header` bytes.
fn ipv4(total: u16, header: usize, payload: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0x40 | (header / 4) as u8, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 99, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1]);
    bytes.resize(header.max(20), 1);
    bytes.extend(payload);
    change(&mut bytes);
    let summed = header.clamp(20, bytes.len());
    let seal = checksum::seal(checksum::sum(&bytes[..summed]));
    bytes[10..12].copy_from_slice(&seal);
    bytes
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend([0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend(payload);
    bytes
}

/// `ok:` and the bytes that count, or the reason.
fn word(bytes: &[u8], offload: bool) -> String {
    match receive(bytes, offload) {
        Ok(datagram) => format!("ok:{}", datagram.bytes.len()),
        Err(reason) => reason.slug().into(),
    }
}

#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    assert_eq!(word(bytes, false), expected, "{bytes:02x?}");
}

#[test]
fn ipv4_headers() {
    check(&ipv4(24, 20, b"data", |_| {}), "ok:24");
    check(&ipv4(24, 20, b"data and padding", |_| {}), "ok:24");
    check(&ipv4(20, 20, b"data", |_| {}), "ok:20");
    check(&ipv4(25, 20, b"data", |_| {}), "ip-total-length");
    check(&ipv4(19, 20, b"data", |_| {}), "ip-total-length");
    check(&ipv4(0, 20, b"data", |_| {}), "ip-total-length");
    check(&ipv4(24, 24, b"data", |_| {}), "ok:24");
    check(&ipv4(24, 28, b"data", |_| {}), "ip-total-length");
    check(&ipv4(24, 60, b"", |bytes| bytes.truncate(24)), "ip-header-length");
    check(&ipv4(24, 16, b"data", |_| {}), "ip-header-length");
    check(&ipv4(24, 20, b"data", |bytes| bytes[0] = 0x55), "ip-version");
    // Neither options nor addresses, hop limit or reserved flag matter here.
    check(&ipv4(28, 24, b"data", |bytes| bytes[20..24].copy_from_slice(&[0x44, 0xff, 0xff, 0xff])), "ok:28");
    check(&ipv4(24, 20, b"data", |bytes| bytes[12..20].fill(0xff)), "ok:24");
    check(&ipv4(24, 20, b"data", |bytes| (bytes[8], bytes[6]) = (0, 0x80)), "ok:24");
    let mut broken = ipv4(24, 20, b"data", |_| {});
    broken[10] ^= 1;
    check(&broken, "ip-header-checksum");
    check(&broken[..19], "ip-too-short");
    check(&[], "ip-too-short");
}

#[test]
fn a_length_of_zero_stands_for_all_bytes_under_offload() {
    assert_eq!(word(&ipv4(0, 20, b"data", |_| {}), true), "ok:24");
    let mut packet = ipv6(99, b"data");
    packet[4..6].fill(0);
    assert_eq!(word(&packet, true), "ok:44");
    assert_eq!(word(&packet, false), "ok:40");
}

#[test]
fn ipv6_headers() {
    let packet = ipv6(99, b"data");
    check(&packet, "ok:44");
    check(&[&packet[..], b"padding"].concat(), "ok:44");
    check(&packet[..43], "ip-payload-length");
    check(&packet[..39], "ip-too-short");
}

#[test]
fn ipv6_addresses() {
    for (address, source, destination) in [
        ("::1", "ip-address", "ip-address"),
        ("::", "ok:44", "ok:44"),
        ("::2", "ok:44", "ok:44"),
        ("::ffff:1.2.3.4", "ok:44", "ok:44"),
        ("fe80::1", "ok:44", "ok:44"),
        ("ff00::1", "ip-address", "ip-address"),
        ("ff01::1", "ip-address", "ip-address"),
        ("ff02::1", "ip-address", "ok:44"),
        ("ff0e::1", "ip-address", "ok:44"),
        ("ff11::1", "ip-address", "ip-address"),
        ("fff0::1", "ip-address", "ip-address"),
        ("ffff::1", "ip-address", "ok:44"),
    ] {
        let octets = address.parse::<std::net::Ipv6Addr>().unwrap().octets();
        for (at, expected) in [(8, source), (24, destination)] {
            let mut packet = ipv6(99, b"data");
            packet[at..at + 16].copy_from_slice(&octets);
            assert_eq!(word(&packet, false), expected, "{address} at {at}");
        }
    }
}

/// A hop-by-hop header with these options, and four bytes of protocol 99 behind it.
fn options(options: &[u8]) -> Vec<u8> {
    assert_eq!((options.len() + 2) % 8, 0, "options fill their header");
    let header = [&[99, (options.len() / 8) as u8], options, b"data"].concat();
    ipv6(0, &header)
}

#[test]
fn hop_by_hop_options() {
    check(&options(&[1, 4, 0, 0, 0, 0]), "ok:52");
    check(&options(&[0; 6]), "ok:52");
    let alert = [5, 2, 0, 0];
    // Padding: seven bytes at most between options, all zero.
    check(&options(&[&[0; 7][..], &alert, &[0; 3]].concat()), "ok:60");
    check(&options(&[&[0; 8][..], &alert, &[0; 2]].concat()), "ip-hop-by-hop");
    check(&options(&[&[1, 3, 0, 0, 0][..], &[1, 3, 0, 0, 0], &alert].concat()), "ip-hop-by-hop");
    check(&options(&[1, 4, 0, 0, 1, 0]), "ip-hop-by-hop");
    check(&options(&[1, 5, 0, 0, 0, 0]), "ip-hop-by-hop");
    check(&options(&[1, 3, 0, 0, 0, 1]), "ip-hop-by-hop");
    // Unknown options: only those that say "skip", and eight at most.
    check(&options(&[0x3e, 4, 9, 9, 9, 9]), "ok:52");
    for option in [0x40, 0x80, 0xc0, 0xc9] {
        check(&options(&[option, 4, 9, 9, 9, 9]), "ip-hop-by-hop");
    }
    check(&options(&[&[0x3e, 0].repeat(8)[..], &[1, 4, 0, 0, 0, 0]].concat()), "ok:68");
    check(&options(&[&[0x3e, 0].repeat(9)[..], &[1, 2, 0, 0]].concat()), "ip-hop-by-hop");
    // Known ones: router alert of two bytes; IOAM in its place; CALIPSO never, as no domain is configured.
    check(&options(&[5, 3, 0, 0, 0, 0]), "ip-hop-by-hop");
    check(&options(&[0, 0, 49, 2, 0, 0]), "ok:52");
    check(&options(&[49, 2, 0, 0, 0, 0]), "ip-hop-by-hop");
    check(&options(&[7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0]), "ip-hop-by-hop");
    // The header must be there.
    check(&ipv6(0, &[99, 1, 1, 4, 0, 0, 0, 0]), "ip-hop-by-hop-length");
    check(&ipv6(0, &[99, 0, 0]), "ip-hop-by-hop-length");
    // Later in the chain it is not looked at.
    check(&ipv6(60, &[0, 0, 1, 4, 0, 0, 0, 0, 99, 0, 0xc2, 4, 0, 0, 0, 0]), "ok:56");
}

#[test]
fn jumbograms() {
    let jumbo = |length: u32, payload: usize| {
        let mut packet = options(&[&[194, 4][..], &length.to_be_bytes()].concat());
        packet[4..6].fill(0);
        packet.resize(40 + payload, 7);
        packet
    };
    check(&jumbo(65_536, 65_536), "ok:65576");
    check(&jumbo(65_536, 70_000), "ok:65576");
    check(&jumbo(65_536, 65_535), "ip-hop-by-hop");
    check(&jumbo(65_535, 65_535), "ip-hop-by-hop");
    check(&options(&[194, 4, 0, 1, 0, 0]), "ip-hop-by-hop");
    // Without the option it is as long as what has come.
    let mut packet = options(&[1, 4, 0, 0, 0, 0]);
    packet[4..6].fill(0);
    check(&packet, "ok:52");
}

#[track_caller]
fn check_transport(bytes: &[u8], expected: Result<(u8, u32), &str>) {
    let datagram = receive(bytes, false).expect("a good header");
    let found = transport(&datagram).map(|Transport { protocol, offset }| (protocol, offset));
    assert_eq!(found.map_err(|reason| reason.slug()), expected, "{bytes:02x?}");
}

#[test]
fn ipv4_transport_headers() {
    check_transport(&ipv4(20, 20, b"", |_| {}), Ok((99, 20)));
    check_transport(&ipv4(28, 24, b"data", |_| {}), Ok((99, 24)));
    check_transport(&ipv4(28, 20, b"datadata", |bytes| bytes[6] = 0x20), Ok((99, 20)));
    check_transport(&ipv4(28, 20, b"datadata", |bytes| bytes[7] = 1), Err("l4-fragment"));
}

#[test]
fn ipv6_transport_headers() {
    check_transport(&ipv6(99, b""), Ok((99, 40)));
    check_transport(&ipv6(50, b"esp"), Ok((50, 40)));
    check_transport(&ipv6(59, b""), Err("l4-not-found"));
    check_transport(&ipv6(60, &[43, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]), Ok((99, 56)));
    // Two bytes of a header are enough to step over it, out of the packet if it says so.
    check_transport(&ipv6(51, &[99, 4]), Ok((99, 64)));
    check_transport(&ipv6(51, &[99]), Err("l4-not-found"));
    check_transport(&ipv6(60, &[43, 0, 0, 0, 0, 0, 0, 0]), Err("l4-not-found"));
    check_transport(&ipv6(60, &[59, 0, 0, 0, 0, 0, 0, 0]), Err("l4-not-found"));
    check_transport(&ipv6(44, &[99, 0, 0, 6, 0, 0, 0, 1]), Ok((99, 48)));
    check_transport(&ipv6(44, &[99, 0, 0, 8, 0, 0, 0, 1]), Err("l4-fragment"));
    check_transport(&ipv6(44, &[99, 0, 0]), Err("l4-not-found"));
}

#[test]
fn fragments_are_recognised_behind_other_headers() {
    let fragment = |next, payload: &[u8]| receive(&ipv6(next, payload), false).unwrap().fragment();
    let info = fragment(60, &[44, 0, 0, 0, 0, 0, 0, 0, 99, 0, 1, 1, 0, 0, 0, 5]).expect("a fragment");
    assert_eq!((info.id, info.offset, info.more, info.data_at, info.named_at), (5, 256, true, 56, 40));
    assert_eq!(fragment(44, &[99]).expect("cut short").data_at, 48);
    for (next, payload) in [(50, &[44, 0, 0, 0, 0, 0, 0, 0][..]), (59, &[44, 0]), (60, &[44, 1, 0, 0])] {
        assert_eq!(fragment(next, payload), None, "{next}");
    }
}

#[test]
fn a_quoted_header_is_taken_as_it_is() {
    let mut bytes = ipv4(9, 24, b"", |_| {});
    bytes[0] = 0x96;
    let quoted = Datagram::quoted(Family::Ipv4, &bytes).expect("twenty bytes");
    assert_eq!(transport(&quoted), Ok(Transport { protocol: 99, offset: 24 }));
    let quoted = Datagram::quoted(Family::Ipv4, &bytes[..20]).expect("twenty bytes");
    assert!(transport(&quoted).is_err(), "its options are not there");
    assert!(Datagram::quoted(Family::Ipv6, &ipv6(99, b"")[..39]).is_none());
}

proptest! {
    /// Arbitrary bytes, and packets that are right but for a few of them.
    #[test]
    fn no_bytes_break_it(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((0usize..120, any::<u8>()), 0..6),
        next in prop::sample::select(vec![0u8, 6, 43, 44, 51, 59, 60]),
        cut in 0usize..200,
        offload in any::<bool>(),
    ) {
        let mut packets = vec![noise.clone(), ipv6(next, &noise), ipv4(noise.len() as u16 + 20, 20, &noise, |_| {})];
        for packet in &mut packets {
            for &(at, byte) in &changes {
                if let Some(place) = packet.get_mut(at) {
                    *place = byte;
                }
            }
            packet.truncate(cut);
            if let Ok(datagram) = receive(packet, offload) {
                assert!(packet.starts_with(datagram.bytes));
                if let Ok(part) = transport(&datagram) {
                    assert!(datagram.from(part.offset).len() <= datagram.bytes.len());
                }
            }
            for family in [Family::Ipv4, Family::Ipv6] {
                if let Some(quoted) = Datagram::quoted(family, packet) {
                    let _ = transport(&quoted);
                }
            }
        }
    }
}
