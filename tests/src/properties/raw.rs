//! Raw packets: bytes become steps of time and packets, some of them noise, most of them nearly right, in an engine whose
//! table runs full. Where stories end - packets that no hand would write, tables that overflow - this begins.

use conntruth_engine::{
    Checksum, Class, ConnSnapshot, Engine, Knob, LINUX_6_18, Outcome, Packet, State, Time, protocol,
};

/// So few entries that tables run full.
const MAX: i64 = 5;

/// A packet, and how long after the one before it comes.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long.
    pub wait: Time,
    /// From the network header on.
    pub bytes: Vec<u8>,
    /// Who has verified its checksum.
    pub checksum: Checksum,
}

impl Step {
    /// As the engine takes it.
    #[must_use]
    pub fn packet(&self) -> Packet<'_> {
        Packet { checksum: self.checksum, ..Packet::new(&self.bytes) }
    }
}

/// Reads steps until the bytes end. Few hosts, ports and numbers, so that packets meet.
#[must_use]
pub fn decode(mut input: &[u8]) -> Vec<Step> {
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

/// An engine whose table runs full, and that counts and tells everything.
///
/// # Panics
/// Never: the values can be set.
#[must_use]
pub fn engine() -> Engine {
    let mut engine = Engine::new(&LINUX_6_18);
    engine.set(Knob::Max, MAX).expect("a small table");
    engine.set(Knob::Buckets, 4).expect("few buckets");
    engine.set(Knob::Acct, 1).expect("counters");
    engine.listen();
    engine
}

/// All that can be seen of a run, and all that cannot.
fn transcript(steps: &[Step]) -> (Vec<Outcome>, Vec<ConnSnapshot>, State) {
    let mut engine = engine();
    let mut now = Time::ZERO;
    let mut outcomes = Vec::new();
    for step in steps {
        now = now.plus(step.wait);
        outcomes.push(engine.forward(now, &step.packet()));
    }
    (outcomes, engine.conns().collect(), engine.save())
}

/// Nothing panics, and memory is bounded: fragments by their sysctls, the table by its maximum, however often all of it
/// comes again.
pub fn any_bytes_are_survived(bytes: &[u8]) {
    let mut engine = engine();
    let mut now = Time::ZERO;
    let steps = decode(bytes);
    for step in std::iter::repeat_n(&steps, 3).flatten() {
        now = now.plus(step.wait);
        let before = engine.len();
        let outcome = engine.forward(now, &step.packet());
        assert!(outcome.class != Class::Invalid || engine.len() <= before, "INVALID makes no entry");
        assert!(engine.fragment_bytes().iter().all(|&held| held <= (4 << 20) + 70_000));
        while engine.poll_event().is_some() {}
    }
    assert!(engine.table_bytes() <= 24 << 10, "{} bytes", engine.table_bytes());
}

/// An empty datagram from a port of its own.
fn query(port: u8) -> Step {
    let mut bytes = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol::UDP, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1];
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(&[0x40, port, 0, 53, 0, 8, 0, 0]);
    Step { wait: Time::ZERO, bytes, checksum: Checksum::Trusted }
}

/// The table is never over its maximum, also while packets wait between the hooks.
pub fn the_table_keeps_its_maximum(bytes: &[u8]) {
    let mut engine = engine();
    let mut now = Time::ZERO;
    let mut kept = Vec::new();
    // Each byte is a new flow, so that there are always more than fit.
    let flows = bytes.iter().take(64).map(|byte| query(*byte));
    let steps = decode(bytes).into_iter().chain(flows);
    for (index, step) in steps.enumerate() {
        now = now.plus(step.wait);
        let passage = engine.handle(now, conntruth_engine::Hook::Prerouting, &step.packet());
        match bytes.get(index).copied().unwrap_or_default() % 4 {
            0 => kept.push(passage),
            1 => drop(engine.discard(passage)),
            _ => drop(engine.confirm(now, passage)),
        }
        if kept.len() > 3 {
            engine.confirm(now, kept.remove(0));
        }
        assert!(engine.len() <= MAX as usize, "{} of {MAX}", engine.len());
    }
}

/// The same input, the same answers and the same state.
pub fn is_determined(bytes: &[u8]) {
    let steps = decode(bytes);
    assert_eq!(transcript(&steps), transcript(&steps));
}

/// In batches of any size the same as one by one.
pub fn batches_equal_one_by_one(bytes: &[u8]) {
    let steps = decode(bytes);
    let mut now = Time::ZERO;
    let timed: Vec<_> = steps
        .iter()
        .map(|step| {
            now = now.plus(step.wait);
            (now, step.packet())
        })
        .collect();
    let mut engine = engine();
    let mut outcomes = Vec::new();
    let size = bytes.first().map_or(1, |first| usize::from(first % 40) + 1);
    timed.chunks(size).for_each(|batch| engine.forward_batch(batch, &mut outcomes));
    assert_eq!(transcript(&steps), (outcomes, engine.conns().collect(), engine.save()));
}

/// The slugs of the reasons that a run gives, for those who ask whether the decoder reaches anything.
#[must_use]
pub fn reasons(bytes: &[u8]) -> Vec<&'static str> {
    let mut reached: Vec<_> =
        transcript(&decode(bytes)).0.iter().map(|outcome| outcome.reason.slug()).collect();
    reached.sort_unstable();
    reached.dedup();
    reached
}
