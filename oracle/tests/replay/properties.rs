//! Whatever is in a capture: no panic, every packet accounted for, every line of JSON readable.

use conntruth::explain::Explainer;
use conntruth::replay::{Replayer, json, text};
use conntruth_engine::LINUX_6_18;
use conntruth_sim::capture::Capture;
use proptest::prelude::*;

use super::build::{Build, ipv4, ipv6, ping, tcp, udp};

/// Replays and explains a capture in all formats; gives the number of packets and of lines of JSON.
fn replay_all(capture: &[u8]) -> (u64, usize) {
    let mut replayer = Replayer::new(&LINUX_6_18);
    let mut lines = text::Lines::new(true);
    let mut explainer = Explainer::default();
    let (mut jsonl, mut people) = (Vec::new(), Vec::new());
    let Ok(mut capture) = Capture::new(capture) else { return (0, 0) };
    let mut packets = 0;
    while let Ok(Some(captured)) = capture.next_packet() {
        packets = captured.number;
        if let Some(record) = replayer.handle(&captured) {
            json::write_packet(&mut jsonl, &record).unwrap();
            lines.record(&mut people, &record).unwrap();
            explainer.explain(&mut people, &record).unwrap();
        }
    }
    lines.flush(&mut people).unwrap();
    assert_eq!(replayer.tally().packets + replayer.tally().skipped, packets);
    let jsonl = String::from_utf8(jsonl).unwrap();
    assert!(jsonl.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    (packets, jsonl.lines().count())
}

fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let flags = prop::sample::select(vec!["S", "S.", ".", "P.", "F.", "R", "R.", "SF", ""]);
    let data = prop::collection::vec(any::<u8>(), 0..60);
    // Extension headers whose lengths say anything.
    let extension = prop::sample::select(vec![0_u8, 43, 44, 51, 60]);
    let whole = prop_oneof![
        (any::<bool>(), flags, 0..3000_u32, 0..3000_u32, data.clone()).prop_map(
            |(original, flags, seq, ack, data)| {
                tcp(if original { '>' } else { '<' }, flags, seq, ack, &data)
            }
        ),
        (any::<bool>(), data.clone()).prop_map(|(original, data)| udp(
            if original { '>' } else { '<' },
            7,
            &data
        )),
        any::<u16>().prop_map(ping),
        (any::<u8>(), data.clone()).prop_map(|(protocol, data)| ipv4(protocol, &data)),
        (any::<u8>(), data.clone()).prop_map(|(protocol, data)| ipv6(protocol, &data)),
        (extension, data).prop_map(|(protocol, data)| ipv6(protocol, &data)),
        prop::collection::vec(any::<u8>(), 0..80),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (whole, changes).prop_map(|(mut bytes, changes)| {
        for (at, value) in changes.into_iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_packets_with_any_link_and_any_cut(
        link in prop::sample::select(vec![101_u32, 1, 0, 113, 276, 228, 229, 105]),
        packets in prop::collection::vec((any_packet(), any::<prop::sample::Index>(), any::<bool>(), -2000..200_000_i64), 0..20),
    ) {
        let mut capture = Build::link(link);
        let count = packets.len() as u64;
        for (bytes, cut, is_cut, wait) in packets {
            let captured = if is_cut { cut.index(bytes.len() + 1) } else { bytes.len() };
            capture = capture.wait(wait).cut(&bytes, captured);
        }
        let (seen, lines) = replay_all(&capture.bytes());
        prop_assert_eq!(seen, count);
        prop_assert!(lines as u64 <= count);
        if link == 101 {
            prop_assert_eq!(lines as u64, count);
        }
    }
}
