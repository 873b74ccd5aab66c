//! Translation as packets see it: what has left translated is answered from where it went, and what arrives is, byte for
//! byte, the answer to what was sent; an error about it quotes what was sent.

use conntruth::generate::{Allowed, Event, Protocols, Speaks, Traffic};
use conntruth::target::{Arrival, Fate, Path, Reference, Target};
use conntruth_engine::{ConnId, LINUX_6_18, Verdict, Walk, protocol};

use super::nat;

/// What was compared on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Compared {
    /// Answers to packets that were translated, by protocol: TCP, UDP and UDP-Lite, SCTP, pings, all others.
    pub answers: [u64; 5],
    /// Errors about packets that were translated.
    pub errors: u64,
    /// Answers to packets that were not.
    pub plain: u64,
}

/// See the module.
pub fn packets_lead_back(bytes: &[u8]) {
    compared(bytes);
}

/// The property, and what was compared for it.
pub fn compared(bytes: &[u8]) -> Compared {
    let mut compared = Compared::default();
    let Some((first, rest)) = bytes.split_first() else { return compared };
    // Half of the stories are made for translation: few hosts, few ports, rules of their own.
    let own_rules = first & 1 == 0;
    let translating = Allowed { protocols: Protocols::NONE.with(Speaks::Nat), ..Allowed::default() };
    let traffic = if own_rules { Traffic::within(rest, &translating) } else { Traffic::decode(rest) };
    let mut config = traffic.config();
    if !own_rules {
        config.rules = nat::rules(first >> 1);
    }
    let mut reference = Reference::new(&LINUX_6_18);
    let rules: Vec<String> = config.rules.clone().into();
    let told = |what: &str| format!("{what}\n{rules:#?}\n{traffic}");
    reference.begin(&config).unwrap_or_else(|refusal| panic!("{}", told(&refusal.to_string())));
    for event in traffic.events() {
        match event {
            Event::Packet(arrival) => {
                // No packet waits where there are rules.
                let fate = if arrival.fate == Fate::Waits { Fate::Passes } else { arrival.fate };
                let arrival = Arrival { fate, ..arrival.clone() };
                let walk = reference.pass(&arrival);
                if let Some(conn) = walk.outcome.conn.filter(|_| is_whole(&arrival, &walk)) {
                    answered(&reference, &arrival, &walk, conn, &told, &mut compared);
                    complained_of(&reference, &arrival, &walk, &told, &mut compared);
                }
            }
            Event::Release(_) => {}
            Event::Set { setting, .. } => {
                reference.set(setting).unwrap_or_else(|refusal| panic!("{}", told(&refusal.to_string())));
            }
        }
    }
    compared
}

/// Whether a packet went all its way, tracked, and is one datagram whose parts are where this module looks for them.
fn is_whole(arrival: &Arrival, walk: &Walk) -> bool {
    let went = walk.verdict == Verdict::Accept && walk.outcome.attached && arrival.fate == Fate::Passes;
    // What was held or padded did not leave as it came.
    went && Parts::of(&arrival.bytes).is_some_and(|parts| parts.length == arrival.bytes.len())
}

/// The receiver answers with the packet turned round, and then as an honest peer would.
fn answered(
    reference: &Reference,
    arrival: &Arrival,
    walk: &Walk,
    conn: ConnId,
    told: &impl Fn(&str) -> String,
    compared: &mut Compared,
) {
    let left = walk.left.as_ref().unwrap_or(&arrival.bytes);
    for honest in [false, true] {
        let (Some(answer), Some(wanted)) = (turned(left, honest), turned(&arrival.bytes, honest)) else {
            return;
        };
        let mut later = reference.clone();
        let back = later.pass(&arriving(&answer, arrival));
        let is_its = back.outcome.conn == Some(conn) && back.outcome.attached;
        // What the tracker finds INVALID it leaves as it is.
        if !is_its || back.verdict != Verdict::Accept {
            continue;
        }
        let arrived = back.left.as_ref().unwrap_or(&answer);
        assert!(
            same(arrived, &wanted),
            "{}",
            told(&format!(
                "sent     {}\nleft     {}\nanswered {}\narrived  {}\nnot      {}",
                hex(&arrival.bytes),
                hex(left),
                hex(&answer),
                hex(arrived),
                hex(&wanted)
            ))
        );
        match walk.left {
            Some(_) => compared.answers[kind(&arrival.bytes)] += 1,
            None => compared.plain += 1,
        }
    }
}

/// The receiver says that it cannot do anything with the packet.
fn complained_of(
    reference: &Reference,
    arrival: &Arrival,
    walk: &Walk,
    told: &impl Fn(&str) -> String,
    compared: &mut Compared,
) {
    let Some(left) = &walk.left else { return };
    // A query for node information leaves with the identifier it came with, whatever was decided: so two can be the same.
    if Parts::of(left).is_some_and(|parts| parts.protocol == protocol::ICMPV6 && left[parts.transport] == 139)
    {
        return;
    }
    let (Some(error), Some(wanted)) = (complaint(left), complaint(&sealed(&arrival.bytes))) else { return };
    let mut later = reference.clone();
    let back = later.pass(&arriving(&error, arrival));
    if !back.outcome.attached || back.verdict != Verdict::Accept {
        return;
    }
    let arrived = back.left.as_ref().unwrap_or(&error);
    assert!(
        same(arrived, &wanted),
        "{}",
        told(&format!(
            "sent    {}\nleft    {}\nerror   {}\narrived {}\nnot     {}",
            hex(&arrival.bytes),
            hex(left),
            hex(&error),
            hex(arrived),
            hex(&wanted)
        ))
    );
    compared.errors += 1;
}

/// A packet that comes from where another has gone.
fn arriving(bytes: &[u8], before: &Arrival) -> Arrival {
    let is_own = |at: usize| match bytes[0] >> 4 {
        4 => matches!(bytes[at..at + 4], [10, 0, 0..=2, 254]),
        _ => bytes[at] == 0xfd && bytes[at + 15] == 0xfe,
    };
    let (src, dst) = if bytes[0] >> 4 == 4 { (12, 16) } else { (8, 24) };
    let path = match (is_own(src), is_own(dst)) {
        (false, false) => Path::Forward,
        (false, true) => Path::Input,
        (true, false) => Path::Output,
        (true, true) => Path::Loopback,
    };
    let (iif, oif) = (Some("outside".to_owned()), Some("inside".to_owned()));
    Arrival {
        bytes: bytes.to_vec(),
        path,
        iif: iif.filter(|_| !is_own(src)),
        oif: oif.filter(|_| !is_own(dst)),
        notrack: false,
        mark: None,
        helper: None,
        ..before.clone()
    }
}

/// Where things are in a packet.
struct Parts {
    version: u8,
    /// Where the transport header begins.
    transport: usize,
    protocol: u8,
    /// What the header says that the packet has.
    length: usize,
}

impl Parts {
    /// Of a whole datagram without extension headers; a fragment of IPv6 has one.
    fn of(bytes: &[u8]) -> Option<Parts> {
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let parts = match bytes.first()? >> 4 {
            4 => Parts {
                version: 4,
                transport: usize::from(bytes[0] & 15) * 4,
                protocol: *bytes.get(9)?,
                length: usize::from(word(2)?),
            },
            6 => Parts {
                version: 6,
                transport: 40,
                protocol: *bytes.get(6)?,
                length: 40 + usize::from(word(4)?),
            },
            _ => return None,
        };
        const HEADERS: [u8; 7] = [0, 43, 44, 50, 51, 60, 135];
        let is_other = match parts.version {
            4 => word(6)? & 0x3fff != 0,
            _ => HEADERS.contains(&parts.protocol),
        };
        (!is_other && bytes.len() >= parts.transport + 8).then_some(parts)
    }

    fn has_ports(&self) -> bool {
        matches!(self.protocol, protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP)
    }
}

/// A packet from its receiver to its sender: the same, the other way. `honest`: with the numbers and flags of a peer.
fn turned(bytes: &[u8], honest: bool) -> Option<Vec<u8>> {
    let parts = Parts::of(bytes)?;
    let mut packet = bytes.to_vec();
    match parts.version {
        4 => packet[12..20].rotate_left(4),
        _ => packet[8..40].rotate_left(16),
    }
    let part = &mut packet[parts.transport..];
    if parts.has_ports() {
        part[..4].rotate_left(2);
    }
    match (parts.protocol, part[0]) {
        (protocol::TCP, _) if honest && part.len() >= 20 => answer_segment(part),
        (protocol::SCTP, _) if part.len() >= 12 => seal_sctp(part),
        (protocol::ICMP, 8) => retype(part, 0),
        (protocol::ICMP, 0) => retype(part, 8),
        (protocol::ICMPV6, 128) => retype(part, 129),
        (protocol::ICMPV6, 129) => retype(part, 128),
        (protocol::ICMP | protocol::ICMPV6, _) => return None,
        _ => {}
    }
    Some(packet)
}

/// A packet as translation leaves it to be quoted: SCTP's checksum is made anew, others are kept as right or wrong as they
/// were.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut packet = bytes.to_vec();
    if let Some(parts) = Parts::of(bytes).filter(|parts| parts.protocol == protocol::SCTP)
        && packet.len() >= parts.transport + 12
    {
        seal_sctp(&mut packet[parts.transport..]);
    }
    packet
}

fn seal_sctp(part: &mut [u8]) {
    part[8..12].fill(0);
    let sum = crc32c::crc32c(part).to_le_bytes();
    part[8..12].copy_from_slice(&sum);
}

/// What a peer that has all that was sent says to it.
fn answer_segment(part: &mut [u8]) {
    let number = |at: usize| u32::from_be_bytes([part[at], part[at + 1], part[at + 2], part[at + 3]]);
    let (seq, ack) = (number(4), number(8));
    let data = part.len().saturating_sub(usize::from(part[12] >> 4) * 4) as u32;
    let flags = part[13];
    let opens = u32::from(flags & 2 != 0) + u32::from(flags & 1 != 0);
    let mut new = [0; 10];
    new[..4].copy_from_slice(&(if ack == 0 { 5000 } else { ack }).to_be_bytes());
    new[4..8].copy_from_slice(&seq.wrapping_add(data).wrapping_add(opens).to_be_bytes());
    (new[8], new[9]) = (part[12], if flags & 0x12 == 2 { 0x12 } else { 0x10 });
    replace(part, 4, &new, 16);
}

fn retype(part: &mut [u8], kind: u8) {
    let code = part[1];
    replace(part, 0, &[kind, code], 2);
}

/// Writes words over others, and keeps the checksum as right or wrong as it was (RFC 1624).
fn replace(part: &mut [u8], at: usize, new: &[u8], sum_at: usize) {
    let word = |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    let mut sum = !word(&part[sum_at..]) & 0xffff;
    for (old, new) in part[at..at + new.len()].chunks_exact(2).zip(new.chunks_exact(2)) {
        sum += (!word(old) & 0xffff) + word(new);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    part[at..at + new.len()].copy_from_slice(new);
    part[sum_at..sum_at + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// The receiver's word that nobody is there for a packet, to its sender, with as much of it as is usual.
fn complaint(bytes: &[u8]) -> Option<Vec<u8>> {
    let parts = Parts::of(bytes)?;
    let is_error = matches!(
        (parts.protocol, bytes[parts.transport]),
        (protocol::ICMP, 3..=5 | 11 | 12) | (protocol::ICMPV6, 1..=127 | 137)
    );
    if is_error {
        return None;
    }
    let quote = &bytes[..bytes.len().min(500)];
    let mut message = match parts.version {
        4 => vec![3, 3, 0, 0, 0, 0, 0, 0],
        _ => vec![1, 4, 0, 0, 0, 0, 0, 0],
    };
    message.extend(quote);
    if parts.version == 4 {
        let sum = seal(&message, 0);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0x45, 0, 0, 0, 0, 9, 0, 0, 64, protocol::ICMP, 0, 0];
        packet.extend(&bytes[16..20]);
        packet.extend(&bytes[12..16]);
        let length = (20 + message.len()) as u16;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        let sum = seal(&packet, 0);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(message);
        return Some(packet);
    }
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, protocol::ICMPV6, 64];
    packet[4..6].copy_from_slice(&(message.len() as u16).to_be_bytes());
    packet.extend(&bytes[24..40]);
    packet.extend(&bytes[8..24]);
    let pseudo = packet[8..40].chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum = seal(&message, pseudo.sum::<u32>() + message.len() as u32 + u32::from(protocol::ICMPV6));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    packet.extend(message);
    Some(packet)
}

fn seal(bytes: &[u8], more: u32) -> u16 {
    let word = |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let mut sum = more + bytes.chunks(2).map(word).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Equal, but for a checksum that says nothing in two ways.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left.chunks(2).zip(right.chunks(2)).all(|(left, right)| {
            left == right || matches!((left, right), ([0, 0], [0xff, 0xff]) | ([0xff, 0xff], [0, 0]))
        })
}

fn kind(bytes: &[u8]) -> usize {
    match Parts::of(bytes).map_or(0, |parts| parts.protocol) {
        protocol::TCP => 0,
        protocol::UDP | protocol::UDPLITE => 1,
        protocol::SCTP => 2,
        protocol::ICMP | protocol::ICMPV6 => 3,
        _ => 4,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
