//! Captures are built here byte by byte, in both formats and both byte orders, read back, and then broken.

use proptest::prelude::*;

use super::*;

/// A capture file under construction.
#[derive(Clone)]
struct Build {
    big_endian: bool,
    bytes: Vec<u8>,
}

impl Build {
    fn u16(mut self, value: u16) -> Build {
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    fn u32(mut self, value: u32) -> Build {
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Build {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn pcap(big_endian: bool, nanos: bool, link: u32) -> Build {
        let magic = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        Build { big_endian, bytes: Vec::new() }.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65_535).u32(link)
    }

    fn record(self, secs: u32, fraction: u32, data: &[u8], original: u32) -> Build {
        self.u32(secs).u32(fraction).u32(data.len() as u32).u32(original).raw(data)
    }

    fn pcapng(big_endian: bool) -> Build {
        Build { big_endian, bytes: Vec::new() }.section()
    }

    fn section(self) -> Build {
        let body = Build { big_endian: self.big_endian, bytes: Vec::new() };
        self.block(0x0a0d_0d0a, body.u32(0x1a2b_3c4d).u16(1).u16(0).u32(u32::MAX).u32(u32::MAX))
    }

    fn block(self, kind: u32, mut body: Build) -> Build {
        body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
        let length = body.bytes.len() as u32 + 12;
        self.u32(kind).u32(length).raw(&body.bytes).u32(length)
    }

    fn body(&self) -> Build {
        Build { big_endian: self.big_endian, bytes: Vec::new() }
    }

    fn interface(self, link: u16, snap_len: u32, resolution: Option<u8>, offset: Option<i64>) -> Build {
        let mut body = self.body().u16(link).u16(0).u32(snap_len);
        if let Some(resolution) = resolution {
            body = body.u16(9).u16(1).raw(&[resolution, 0, 0, 0]);
        }
        if let Some(offset) = offset {
            let offset = if self.big_endian { offset.to_be_bytes() } else { offset.to_le_bytes() };
            body = body.u16(14).u16(8).raw(&offset);
        }
        let body = if body.bytes.len() > 8 { body.u16(0).u16(0) } else { body };
        self.block(1, body)
    }

    fn enhanced(self, interface: u32, units: u64, data: &[u8], original: u32) -> Build {
        let body = self.body().u32(interface).u32((units >> 32) as u32).u32(units as u32);
        let body = body.u32(data.len() as u32).u32(original).raw(data);
        self.block(6, body)
    }

    fn simple(self, data: &[u8], original: u32) -> Build {
        let body = self.body().u32(original).raw(data);
        self.block(3, body)
    }
}

type Seen = (u64, Option<u64>, Result<Vec<u8>, NotIp>, u64);

/// All packets, and the error that ended them.
fn read(bytes: &[u8]) -> (Vec<Seen>, Option<CaptureError>) {
    let mut packets = Vec::new();
    let mut capture = match Capture::new(bytes) {
        Ok(capture) => capture,
        Err(error) => return (packets, Some(error)),
    };
    loop {
        match capture.next_packet() {
            Ok(Some(packet)) => {
                let bytes = packet.bytes.map(<[u8]>::to_vec);
                packets.push((packet.number, packet.time, bytes, packet.original_len));
            }
            Ok(None) => return (packets, None),
            Err(error) => {
                assert_eq!(capture.next_packet().unwrap_err().to_string(), error.to_string());
                return (packets, Some(error));
            }
        }
    }
}

#[track_caller]
fn check(capture: Build, expected: &[Seen]) {
    let (packets, error) = read(&capture.bytes);
    assert_eq!(packets, expected);
    assert!(error.is_none(), "{error:?}");
}

#[track_caller]
fn check_error(bytes: &[u8], packets: usize, text: &str) {
    let (seen, error) = read(bytes);
    assert_eq!(error.expect("an error").to_string(), text);
    assert_eq!(seen.len(), packets);
}

const IP: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

fn seen(number: u64, time: u64) -> Seen {
    (number, Some(time), Ok(IP.to_vec()), 20)
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    for big_endian in [false, true] {
        let capture =
            Build::pcap(big_endian, false, 101).record(1, 500_000, &IP, 20).record(1, 500_001, &IP, 20);
        check(capture, &[seen(1, 1_500_000_000), seen(2, 1_500_001_000)]);
        let capture = Build::pcap(big_endian, true, 101).record(u32::MAX, 999_999_999, &IP, 20);
        check(capture, &[seen(1, 4_294_967_295_999_999_999)]);
    }
}

#[test]
fn pcapng_in_both_orders_with_interfaces_of_their_own_clocks() {
    for big_endian in [false, true] {
        let capture = Build::pcapng(big_endian)
            .interface(101, 0, None, None)
            .interface(228, 0, Some(9), Some(-2))
            .block(5, Build { big_endian, bytes: vec![0; 12] })
            .enhanced(0, 1_500_000, &IP, 20)
            .enhanced(1, 5_000_000_001, &IP, 20);
        check(capture.clone(), &[seen(1, 1_500_000_000), seen(2, 3_000_000_001)]);
        // A second section, of the other order, has interfaces of its own.
        let second = Build { big_endian: !big_endian, ..capture };
        let second = second.section().interface(101, 0, Some(3), None).enhanced(0, 7, &IP, 20);
        check(second, &[seen(1, 1_500_000_000), seen(2, 3_000_000_001), seen(3, 7_000_000)]);
    }
}

#[test]
fn simple_packets_have_no_time_and_are_as_long_as_the_snap_length_says() {
    let capture =
        Build::pcapng(false).interface(101, 18, None, None).simple(&IP[..18], 20).simple(&IP[..7], 7);
    let simple = |number, length: usize, original| (number, None, Ok(IP[..length].to_vec()), original);
    check(capture, &[simple(1, 18, 20), simple(2, 7, 7)]);
}

#[test]
fn the_old_packet_block_is_read_too() {
    for big_endian in [false, true] {
        let capture = Build::pcapng(big_endian).interface(105, 0, None, None).interface(101, 0, None, None);
        let body = capture.body().u16(1).u16(9).u32(0).u32(4_000_000).u32(20).u32(30).raw(&IP);
        let capture = capture.block(2, body);
        check(capture, &[(1, Some(4_000_000_000), Ok(IP.to_vec()), 30)]);
    }
}

#[test]
fn every_link_layer() {
    let framed = |header: &[u8]| [header, &IP].concat();
    let ethernet = |types: &[u8]| framed(&[&[2; 12], types].concat());
    let frames: [(u32, Vec<u8>); 15] = [
        (12, IP.to_vec()),
        (14, IP.to_vec()),
        (101, IP.to_vec()),
        (228, IP.to_vec()),
        (229, IP.to_vec()),
        (1, ethernet(&[8, 0])),
        (1, ethernet(&[0x86, 0xdd])),
        (1, ethernet(&[0x81, 0, 0, 5, 8, 0])),
        (1, ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0])),
        (113, framed(&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0])),
        (276, framed(&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0])),
        (0, framed(&[2, 0, 0, 0])),
        (0, framed(&[0, 0, 0, 30])),
        (108, framed(&[0, 0, 0, 2])),
        // The upper bits are about frame checksums.
        (0x5400_0001, ethernet(&[8, 0])),
    ];
    for (link, frame) in frames {
        let capture = Build::pcap(false, false, link).record(1, 0, &frame, frame.len() as u32);
        check(capture, &[seen(1, 1_000_000_000)]);
    }
}

#[test]
fn what_is_not_ip_is_numbered_and_says_what_it_is() {
    let ethernet = |kind: [u8; 2]| [&[2; 12][..], &kind, &[0; 46]].concat();
    let capture = Build::pcap(false, false, 1)
        .record(1, 0, &ethernet([8, 6]), 60)
        .record(1, 0, &ethernet([0, 46]), 60)
        .record(1, 0, &[2; 13], 13)
        .record(1, 0, &[&ethernet([0x81, 0])[..15]].concat(), 15);
    let (packets, error) = read(&capture.bytes);
    let why: Vec<_> = packets.iter().map(|packet| packet.2.clone().unwrap_err()).collect();
    assert_eq!(why, [NotIp::EtherType(0x0806), NotIp::Ieee8023, NotIp::Short, NotIp::Short]);
    assert!(error.is_none());
    let (packets, _) = read(&Build::pcap(false, false, 105).record(1, 0, &IP, 20).bytes);
    assert_eq!(packets[0].2, Err(NotIp::UnknownLink(105)));
    let (packets, _) = read(&Build::pcap(false, false, 0).record(1, 0, &[0, 0, 0, 7, 1], 5).bytes);
    assert_eq!(packets[0].2, Err(NotIp::AddressFamily(7)));
}

#[test]
fn the_snap_length_cuts_the_network_layer_not_the_link_header() {
    let frame = [&[2; 12][..], &[8, 0], &IP[..10]].concat();
    let capture = Build::pcap(false, false, 1).record(1, 0, &frame, 1514);
    check(capture, &[(1, Some(1_000_000_000), Ok(IP[..10].to_vec()), 1500)]);
}

#[test]
fn a_large_record_grows_the_buffer() {
    let large = vec![0x45; 3 << 20];
    let capture =
        Build::pcap(false, false, 101).record(1, 0, &IP, 20).record(2, 0, &large, 0).record(3, 0, &IP, 20);
    check(
        capture,
        &[seen(1, 1_000_000_000), (2, Some(2_000_000_000), Ok(large), 3 << 20), seen(3, 3_000_000_000)],
    );
}

/// A pipe that gives one byte at a time.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

#[test]
fn a_slow_pipe_is_read_like_a_file() {
    for pcapng in [false, true] {
        let bytes = sample(pcapng, false);
        let mut capture = Capture::new(Drip(&bytes)).unwrap();
        for expected in read(&bytes).0 {
            let packet = capture.next_packet().unwrap().unwrap();
            assert_eq!((packet.number, packet.bytes.map(<[u8]>::to_vec)), (expected.0, expected.2));
        }
        assert!(capture.next_packet().unwrap().is_none());
    }
}

#[test]
fn broken_captures_say_where_and_what() {
    check_error(b"", 0, "the file is empty");
    check_error(b"hello, world; this is some text", 0, "neither a pcap nor a pcapng file");
    check_error(&[0x1f, 0x8b, 8, 0], 0, "the file is compressed: unpack it first");
    let capture = Build::pcap(false, false, 101).record(1, 0, &IP, 20).record(2, 0, &IP, 20);
    check_error(&capture.bytes[..10], 0, "neither a pcap nor a pcapng file");
    let text = "packet 2, at byte 60: the file is cut short: the record has 36 bytes, 30 of them are there";
    check_error(&capture.bytes[..90], 1, text);
    let text = "packet 2, at byte 60: the file is cut short: it ends 3 bytes into a record";
    check_error(&capture.bytes[..63], 1, text);
    let huge =
        Build::pcap(true, false, 101).record(1, 0, &IP, 20).u32(1).u32(0).u32(u32::MAX).u32(20).raw(&IP);
    let text =
        "packet 2, at byte 60: the record claims 4294967311 bytes, more than 16777216: the file is corrupt";
    check_error(&huge.bytes, 1, text);

    let capture = Build::pcapng(true).interface(101, 0, None, None).enhanced(0, 1, &IP, 20);
    let text = "packet 2, at byte 100: it came by interface 3, but the file describes 1: the file is corrupt";
    check_error(&capture.clone().enhanced(3, 1, &IP, 20).bytes, 1, text);
    let lying = capture.body().u32(0).u32(0).u32(0).u32(500).u32(500).raw(&IP);
    let text = "packet 2, at byte 100: the block's lengths contradict each other: the file is corrupt";
    check_error(&capture.clone().block(6, lying).bytes, 1, text);
    let text =
        "packet 2, at byte 100: the record claims 4294967292 bytes, more than 16777216: the file is corrupt";
    check_error(&capture.clone().u32(6).u32(u32::MAX - 3).raw(&[0; 40]).bytes, 1, text);
    check_error(
        &capture.u32(6).u32(3).raw(&[0; 40]).bytes,
        1,
        text.replace(
            "the record claims 4294967292 bytes, more than 16777216",
            "the block's lengths contradict each other",
        )
        .as_str(),
    );
    let text = "the file is cut short: the record has 28 bytes, 20 of them are there";
    check_error(&Build::pcapng(false).bytes[..20], 0, text);
}

#[test]
fn a_missing_file_and_a_directory_are_no_captures() {
    let missing = Capture::open("no/such/file".as_ref()).err().unwrap();
    assert!(missing.to_string().contains("No such file"), "{missing}");
    assert!(Capture::open(env!("CARGO_MANIFEST_DIR").as_ref()).is_err());
}

/// A capture with a bit of everything.
fn sample(pcapng: bool, big_endian: bool) -> Vec<u8> {
    let frame = [&[2; 12][..], &[0x81, 0, 0, 1, 8, 0], &IP].concat();
    let capture = if pcapng {
        let capture = Build::pcapng(big_endian).interface(1, 0, Some(9), Some(1)).enhanced(0, 1, &frame, 100);
        capture.simple(&frame, 38).enhanced(0, 2, &frame, 38)
    } else {
        Build::pcap(big_endian, true, 1).record(1, 0, &frame, 38).record(2, 0, &frame, 100)
    };
    capture.bytes
}

proptest! {
    #[test]
    fn random_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read(&bytes);
    }

    #[test]
    fn a_mutated_capture_is_no_panic(
        pcapng: bool,
        big_endian: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let mut bytes = sample(pcapng, big_endian);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        let (packets, _) = read(&bytes);
        for (number, packet) in (1..).zip(packets) {
            prop_assert_eq!(packet.0, number);
        }
    }

    #[test]
    fn a_capture_cut_anywhere_gives_the_packets_before_the_cut(pcapng: bool, big_endian: bool, at: prop::sample::Index) {
        let bytes = sample(pcapng, big_endian);
        let (whole, error) = read(&bytes);
        prop_assert!(error.is_none());
        let (packets, _) = read(&bytes[..at.index(bytes.len())]);
        prop_assert!(whole.starts_with(&packets));
    }
}
