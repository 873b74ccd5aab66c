//! Packets there and back: what is written is read, what is cut is put together, what is wrong is neither.

use std::net::{IpAddr, SocketAddr};

use super::header::protocol;
use super::{
    Cidr, Datagram, EchoRequest, Gathered, Header, IcmpError, Reassembly, fragment, icmp_error,
    lower_hop_limit, read_icmp_error,
};
use crate::time::SECOND;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

fn ends(is_v6: bool) -> (SocketAddr, SocketAddr) {
    let (src, dst) =
        if is_v6 { ("[fd00::1]:5000", "[fd00:1::1]:53") } else { ("10.0.0.1:5000", "10.0.1.1:53") };
    (src.parse().expect("an address"), dst.parse().expect("an address"))
}

fn datagram(is_v6: bool, data: &[u8]) -> Vec<u8> {
    let (src, dst) = ends(is_v6);
    Datagram { src, dst, hop_limit: 64, data }.write().expect("it fits")
}

#[test]
fn a_datagram_is_read_as_it_was_written() {
    for is_v6 in [false, true] {
        let bytes = datagram(is_v6, b"hello");
        let header = Header::read(&bytes).unwrap();
        let (src, dst) = ends(is_v6);
        assert_eq!((header.src, header.dst, header.protocol), (src.ip(), dst.ip(), protocol::UDP));
        assert_eq!((header.end, header.fragment, header.dont_fragment), (bytes.len(), None, true));
        let read = Datagram::read(&header, &bytes).unwrap();
        assert_eq!((read.src, read.dst, read.data), (src, dst, &b"hello"[..]));
        let mut wrong = bytes.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(Datagram::read(&header, &wrong), None, "its checksum is wrong");
        let mut padded = bytes.clone();
        padded.extend([0; 7]);
        assert_eq!(Header::read(&padded).unwrap().end, bytes.len());
        assert!((0..bytes.len()).all(|cut| Header::read(&bytes[..cut]).is_none()), "cut short");
    }
    let (src, dst) = (ends(false).0, ends(true).1);
    assert_eq!(Datagram { src, dst, hop_limit: 1, data: b"" }.write(), None, "two families");
    let (src, dst) = ends(false);
    assert_eq!(Datagram { src, dst, hop_limit: 1, data: &[0; 65_508] }.write(), None, "too large");
}

#[test]
fn a_hop_limit_goes_down_to_one() {
    for is_v6 in [false, true] {
        let mut bytes = datagram(is_v6, b"hello");
        for left in (1..64).rev() {
            assert_eq!(lower_hop_limit(&mut bytes), Some(left));
            assert_eq!(Header::read(&bytes).unwrap().hop_limit, left);
        }
        assert_eq!(lower_hop_limit(&mut bytes), None);
    }
    assert_eq!(lower_hop_limit(&mut [0x45; 10]), None);
}

#[test]
fn errors_are_read_as_they_were_written() {
    let errors = [
        IcmpError::NoRoute,
        IcmpError::HostUnreachable,
        IcmpError::ProtocolUnreachable,
        IcmpError::PortUnreachable,
        IcmpError::Prohibited,
        IcmpError::TooBig { mtu: 1400 },
        IcmpError::TimeExceeded,
        IcmpError::ReassemblyTimeout,
    ];
    for is_v6 in [false, true] {
        let router: IpAddr = if is_v6 { "fd00::fe" } else { "10.0.0.254" }.parse().unwrap();
        for error in errors {
            for length in [0, 4000] {
                let about = datagram(is_v6, &vec![1; length]);
                let bytes = icmp_error(error, router, &about).unwrap();
                assert!(bytes.len() <= if is_v6 { 1280 } else { 576 });
                let header = Header::read(&bytes).unwrap();
                let quote = read_icmp_error(&header, &bytes).unwrap();
                let (src, dst) = ends(is_v6);
                assert_eq!((header.dst, quote.reporter, quote.error), (src.ip(), router, error));
                assert_eq!((quote.src, quote.dst, quote.protocol), (src, dst, protocol::UDP));
                // Never an error about an error.
                assert_eq!(icmp_error(IcmpError::NoRoute, router, &bytes), None);
                let mut wrong = bytes.clone();
                *wrong.last_mut().unwrap() ^= 1;
                assert_eq!(read_icmp_error(&header, &wrong), None);
            }
        }
        let later = fragment(&datagram(is_v6, &[1; 4000]), 1400, 1).unwrap().remove(1);
        assert_eq!(icmp_error(IcmpError::TimeExceeded, router, &later), None, "a later fragment");
    }
}

#[test]
fn errors_about_echo_requests_name_them() {
    for is_v6 in [false, true] {
        let (src, dst) = ends(is_v6);
        let (src, dst) = (src.ip(), dst.ip());
        let request =
            EchoRequest { src, dst, hop_limit: 1, ident: 77, seq: 3, data: b"abc" }.write().unwrap();
        let error = icmp_error(IcmpError::TimeExceeded, dst, &request).unwrap();
        let header = Header::read(&error).unwrap();
        let quote = read_icmp_error(&header, &error).unwrap();
        assert_eq!((quote.src.port(), quote.word as u16), (77, 3));
    }
}

#[test]
fn fragments_that_overlap_spoil_a_datagram() {
    let pieces = fragment(&datagram(false, &[9; 3000]), 1020, 5).unwrap();
    let mut reassembly = Reassembly::default();
    let mut give = |bytes: &[u8]| {
        let header = Header::read(bytes).unwrap();
        reassembly.handle(0, bytes, &header, header.fragment.unwrap())
    };
    assert_eq!(give(&pieces[0]), Gathered::Held);
    assert_eq!(give(&pieces[0]), Gathered::Held, "a copy");
    let mut shifted = pieces[1].clone();
    shifted[7] -= 1;
    smoltcp::wire::Ipv4Packet::new_unchecked(&mut shifted[..]).fill_checksum();
    assert_eq!(give(&shifted), Gathered::Spoiled);
    // All is forgotten: the rest alone is not enough.
    assert_eq!(give(&pieces[1]), Gathered::Held);
    assert_eq!(give(&pieces[2]), Gathered::Held);
    assert_eq!(reassembly.poll_timeout(), Some(30 * SECOND));
    assert!(reassembly.handle_timeout(30 * SECOND - 1).is_empty());
    assert!(reassembly.handle_timeout(30 * SECOND).is_empty(), "its first piece is missing: nobody is told");
    assert_eq!(reassembly.poll_timeout(), None);
}

#[test]
fn options_are_copied_as_they_say() {
    // Record route is not copied, the security option is.
    let mut bytes = datagram(false, &[9; 2000]);
    let options = [7, 4, 4, 0, 0x82, 4, 0, 0];
    bytes.splice(20..20, options);
    bytes[0] = 0x47;
    let length = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&length);
    smoltcp::wire::Ipv4Packet::new_unchecked(&mut bytes[..]).fill_checksum();
    let pieces = fragment(&bytes, 1000, 5).unwrap();
    assert_eq!(pieces[0][20..28], options);
    assert!(pieces[1..].iter().all(|piece| piece[20..28] == [1, 1, 1, 1, 0x82, 4, 0, 0]));
}

#[test]
fn prefixes() {
    let net: Cidr = "10.1.2.3/20".parse().unwrap();
    for (address, inside) in
        [("10.1.0.0", true), ("10.1.15.255", true), ("10.1.16.0", false), ("::ffff:10.1.0.1", false)]
    {
        assert_eq!(net.contains(address.parse().unwrap()), inside, "{address}");
    }
    let all: Cidr = "::/0".parse().unwrap();
    assert!(all.contains("2001:db8::1".parse().unwrap()) && !all.contains("10.0.0.1".parse().unwrap()));
    assert_eq!(net.to_string(), "10.1.2.3/20");
    assert_eq!("10.0.0.1".parse::<Cidr>().unwrap().prefix, 32);
}

proptest! {
    #[test]
    fn what_is_cut_is_put_together(
        is_v6 in any::<bool>(), length in 1_usize..9000, mtu in 1280_usize..2000, again in 68_usize..1300, turn in any::<u64>(),
    ) {
        let data: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
        let whole = datagram(is_v6, &data);
        let mut pieces = fragment(&whole, mtu, 0x1234_5678).unwrap();
        prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu));
        if !is_v6 {
            // Cut again on the way.
            pieces = pieces.iter().flat_map(|piece| fragment(piece, again, 99).unwrap()).collect();
            prop_assert!(pieces.iter().all(|piece| piece.len() <= again));
        }
        let count = pieces.len();
        pieces.rotate_left((turn % count as u64) as usize);
        let mut reassembly = Reassembly::default();
        for (number, piece) in pieces.iter().enumerate() {
            let header = Header::read(piece).unwrap();
            let Some(slice) = header.fragment else {
                prop_assert_eq!(count, 1);
                break;
            };
            match reassembly.handle(5, piece, &header, slice) {
                Gathered::Held => prop_assert!(number + 1 < count),
                Gathered::Whole(together) => {
                    prop_assert_eq!(number + 1, count);
                    let header = Header::read(&together).unwrap();
                    prop_assert_eq!(Datagram::read(&header, &together).unwrap().data, &data[..]);
                }
                Gathered::Spoiled => prop_assert!(false, "piece {} of {}", number, count),
            }
        }
    }
}
