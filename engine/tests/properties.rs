//! Properties that hold for any bytes, each tried by proptest and by bolero over the same decoder: bytes become steps
//! of time and packets, some of them noise, most of them nearly right.

use bolero::check;
use conntruth_engine::{
    Checksum, Class, ConnSnapshot, Engine, Family, Knob, LINUX_6_18, Outcome, Packet, Status, Time, protocol,
};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};

/// So few entries that tables run full.
const MAX: i64 = 12;

/// A packet, and how long after the one before it comes.
struct Step {
    wait: Time,
    bytes: Vec<u8>,
    checksum: Checksum,
}

/// Reads steps until the bytes end. Few hosts, ports and numbers, so that packets meet.
fn decode(mut input: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let [kind, wait, length, rest @ ..] = input {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(length % 96)));
        input = rest;
        let bytes = match kind % 8 {
            0 => payload.to_vec(),
            1..=2 => ipv6(*kind, payload),
            _ => ipv4(*kind, payload),
        };
        let wait = Time::from_millis([0, 1, 999, 2_001, 31_000, 500_000_000][usize::from(wait % 6)]);
        let checksum = if kind & 0x80 == 0 { Checksum::Trusted } else { Checksum::Verify };
        steps.push(Step { wait, bytes, checksum });
    }
    steps
}

const PROTOCOLS: [u8; 8] = [
    protocol::TCP,
    protocol::TCP,
    protocol::UDP,
    protocol::ICMP,
    protocol::SCTP,
    protocol::GRE,
    protocol::UDPLITE,
    protocol::ICMPV6,
];

/// The transport part: its first bytes are made to meet others'.
fn transport(payload: &[u8]) -> (u8, Vec<u8>) {
    let protocol = payload.first().map_or(99, |first| PROTOCOLS[usize::from(first % 8)]);
    let mut part = payload.get(1..).unwrap_or_default().to_vec();
    match protocol {
        protocol::TCP | protocol::UDP | protocol::SCTP | protocol::UDPLITE => {
            for byte in part.iter_mut().take(4) {
                *byte &= 1;
            }
        }
        _ => {}
    }
    if let (protocol::TCP, Some(header)) = (protocol, part.first_chunk_mut::<20>()) {
        const FLAGS: [u8; 8] = [0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x10];
        header[4..7].fill(0);
        header[8..11].fill(0);
        header[12] = 0x50;
        header[13] = FLAGS[usize::from(header[13] % 8)];
    }
    (protocol, part)
}

fn ipv4(kind: u8, payload: &[u8]) -> Vec<u8> {
    let (protocol, part) = transport(payload);
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    if kind & 0x10 != 0 {
        packet[12..20].rotate_left(4);
    }
    if kind & 0x60 == 0x60 {
        // A fragment: more to come, or at some offset.
        packet[6] = (kind & 0x08) << 2;
        packet[7] = kind & 0x03;
    }
    let length = (packet.len() + part.len()) as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    packet.extend(part);
    packet
}

fn ipv6(kind: u8, payload: &[u8]) -> Vec<u8> {
    let (protocol, part) = transport(payload);
    let mut packet = vec![0; 40];
    packet[0] = 0x60;
    packet[7] = if kind & 0x20 == 0 { 64 } else { 255 };
    packet[8..10].copy_from_slice(&[0xfe, 0x80]);
    packet[24..26].copy_from_slice(&[0xfe, 0x80]);
    packet[23] = 1 + (kind >> 4 & 1);
    packet[39] = 2 - (kind >> 4 & 1);
    packet[6] = protocol;
    if kind & 0x60 == 0x40 {
        packet[6] = 44;
        packet.extend([protocol, 0, 0, kind & 0x09, 0, 0, 0, 7]);
    }
    let length = (packet.len() - 40 + part.len()) as u16;
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet.extend(part);
    packet
}

fn engine() -> Engine {
    let mut engine = Engine::new(&LINUX_6_18);
    engine.set(Knob::Max, MAX).expect("a small table");
    engine.set(Knob::Buckets, 4).expect("few buckets");
    engine.set(Knob::Acct, 1).expect("counters");
    engine.listen();
    engine
}

/// All that can be seen of a run.
fn transcript(steps: &[Step]) -> (Vec<Outcome>, Vec<ConnSnapshot>) {
    let mut engine = engine();
    let mut now = Time::ZERO;
    let mut outcomes = Vec::new();
    for step in steps {
        now = now.plus(step.wait);
        outcomes.push(engine.forward(now, &packet(step)));
    }
    (outcomes, engine.conns().collect())
}

fn packet(step: &Step) -> Packet<'_> {
    Packet { checksum: step.checksum, ..Packet::new(&step.bytes) }
}

/// Nothing panics, and no table grows over its maximum.
fn survives(steps: &[Step]) {
    let mut engine = engine();
    let mut now = Time::ZERO;
    for step in steps {
        now = now.plus(step.wait);
        let before = engine.len();
        let outcome = engine.forward(now, &packet(step));
        assert!(engine.len() <= MAX as usize);
        assert!(outcome.class != Class::Invalid || engine.len() <= before, "INVALID makes no entry");
        while engine.poll_event().is_some() {}
    }
}

/// The same input, the same answers; and in batches the same again.
fn is_determined(steps: &[Step]) {
    let first = transcript(steps);
    assert_eq!(first, transcript(steps));
    let mut engine = engine();
    let mut now = Time::ZERO;
    let timed: Vec<_> = steps
        .iter()
        .map(|step| {
            now = now.plus(step.wait);
            (now, packet(step))
        })
        .collect();
    let mut outcomes = Vec::new();
    engine.forward_batch(&timed, &mut outcomes);
    assert_eq!(first, (outcomes, engine.conns().collect()));
}

/// What an entry says is consistent, and it is there until its deadline and gone at it.
fn entries_are_sound(steps: &[Step]) {
    let mut engine = engine();
    let mut now = Time::ZERO;
    for step in steps {
        now = now.plus(step.wait);
        engine.forward(now, &packet(step));
    }
    for entry in engine.conns() {
        assert_eq!(entry.original.invert(), Some(entry.reply));
        assert_eq!(entry.reply.invert(), Some(entry.original));
        assert!(entry.status.has(Status::CONFIRMED));
        assert!(!entry.status.has(Status::ASSURED) || entry.status.has(Status::SEEN_REPLY));
        assert!(matches!(entry.original.family, Family::Ipv4 | Family::Ipv6));
        assert!(entry.deadline > engine.now());
        let mut later = engine.clone();
        later.handle_timeouts(Time(entry.deadline.0 - 1));
        let still = later.conn(entry.id).expect("alive until the last nanosecond");
        assert!(still.timeout <= entry.timeout);
        later.handle_timeouts(entry.deadline);
        assert!(later.conn(entry.id).is_none());
        assert!(later.conns().all(|other| other.deadline > entry.deadline));
    }
}

proptest! {
    #[test]
    fn any_bytes_survive(bytes in vec(any::<u8>(), 0..4096)) {
        survives(&decode(&bytes));
    }

    #[test]
    fn runs_are_determined(bytes in vec(any::<u8>(), 0..4096)) {
        is_determined(&decode(&bytes));
    }

    #[test]
    fn entries_are_sound_after_any_bytes(bytes in vec(any::<u8>(), 0..4096)) {
        entries_are_sound(&decode(&bytes));
    }
}

#[test]
fn fuzz_survival() {
    check!().with_iterations(2_000).for_each(|bytes: &[u8]| survives(&decode(bytes)));
}

#[test]
fn fuzz_determinism() {
    check!().with_iterations(1_000).for_each(|bytes: &[u8]| is_determined(&decode(bytes)));
}

/// A decoder that only ever makes noise would prove nothing.
#[test]
fn the_decoder_reaches_the_trackers() {
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(200_000)
    .collect();
    let (outcomes, _) = transcript(&decode(&bytes));
    let mut reached: Vec<_> = outcomes.iter().map(|outcome| outcome.reason.slug()).collect();
    reached.sort_unstable();
    reached.dedup();
    assert!(reached.len() > 45, "{} reasons only: {reached:?}", reached.len());
}
