//! What the engine reads: packets, fragments that meet, rules. Whatever the bytes, there is an answer, in bounded memory.

use arbitrary::{Arbitrary, Unstructured};
use conntruth_engine::{Engine, Hook, Knob, LINUX_6_18, Packet, Rule, Time};
use conntruth_tests::properties::raw;

/// The bytes as one packet at the hooks where packets enter; then as any values of what goes into an engine.
pub fn any(bytes: &[u8]) {
    let mut engine = raw::engine();
    for hook in [Hook::Prerouting, Hook::Output] {
        let passage = engine.handle(Time::ZERO, hook, &Packet::new(bytes));
        engine.confirm(Time::ZERO, passage);
    }
    engine.forward(Time::ZERO, &Packet { offload: true, ..Packet::new(bytes) });
    let mut rest = Unstructured::new(bytes);
    let mut now = Time::ZERO;
    while rest.len() > 16 {
        let Ok((wait, hook, knob, value)) = <(u32, Hook, Knob, i32)>::arbitrary(&mut rest) else { break };
        let Ok(packet) = Packet::arbitrary(&mut rest) else { break };
        now = now.plus(Time(u64::from(wait) << 8));
        // The kernel refuses some; no other answer may be wrong for that.
        let _ = engine.set(knob, i64::from(value));
        let passage = engine.handle(now, hook, &packet);
        if wait & 1 == 0 {
            engine.confirm(now, passage)
        } else {
            engine.discard(passage)
        };
        while engine.poll_event().is_some() {}
    }
    engine.handle_timeouts(Time(u64::MAX));
    assert!(engine.is_empty());
}

/// Fragments of a few datagrams: memory stays under its bound, and time ends all.
pub fn fragments(bytes: &[u8]) {
    let mut engine = Engine::new(&LINUX_6_18);
    let limit = [4_194_304, 3_000, 10_000][usize::from(bytes.first().copied().unwrap_or_default() % 3)];
    for (low, high) in [(Knob::IpfragLow, Knob::IpfragHigh), (Knob::Frag6Low, Knob::Frag6High)] {
        for (knob, value) in [(low, 0), (high, limit)] {
            assert_eq!(engine.set(knob, value), Ok(()));
        }
    }
    let mut now = Time::ZERO;
    for piece in bytes.chunks(6) {
        let &[kind, id, offset, length, wait, data] = piece else { break };
        now = now.plus(Time::from_millis([0, 0, 1, 900, 31_000, 61_000][usize::from(wait % 6)]));
        let packet = fragment(kind, id, u16::from(offset) * 8, usize::from(length), data);
        engine.forward(now, &Packet::new(&packet));
        assert!(engine.fragment_bytes().iter().all(|held| *held <= limit as u64 + 4096));
    }
    while let Some(at) = engine.poll_timeout() {
        engine.handle_timeouts(at);
    }
    assert_eq!((engine.fragment_bytes(), engine.len()), ([0, 0], 0));
}

fn fragment(kind: u8, id: u8, offset: u16, length: usize, data: u8) -> Vec<u8> {
    let (more, protocol) = (u16::from(kind & 2 != 0), if kind & 4 == 0 { 17 } else { 99 });
    let body: Vec<u8> = (0..length).map(|at| (at + usize::from(offset)) as u8 ^ (data & 1)).collect();
    if kind & 1 == 0 {
        let total = (20 + body.len()) as u16;
        let mut packet = vec![0x45, kind >> 6];
        let field = (offset / 8) | (more << 13) | (u16::from(kind & 8 != 0) << 14);
        for word in [total, u16::from(id & 3), field, 0x4000 | protocol, 0] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend([10, 0, 0, 1 + (id >> 7), 10, 0, 0, 9]);
        let sum: u32 = packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        packet[10..12].copy_from_slice(&(!((sum & 0xffff) as u16 + (sum >> 16) as u16)).to_be_bytes());
        packet.extend(body);
        return packet;
    }
    let mut packet = vec![0x60, kind & 0x30, 0, 0];
    packet.extend(((8 + body.len()) as u16).to_be_bytes());
    packet.extend([44, 64]);
    for end in [1, 2] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
    }
    packet.extend([protocol as u8, 0]);
    packet.extend((offset | more).to_be_bytes());
    packet.extend([0, 0, 0, id & 3]);
    packet.extend(body);
    packet
}

/// A line as a rule: what is read prints as it is read.
pub fn rules(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let Ok(rule) = Rule::read(line) else { continue };
        let printed = rule.to_string();
        assert_eq!(Rule::read(&printed).as_ref(), Ok(&rule), "{printed}");
    }
}
