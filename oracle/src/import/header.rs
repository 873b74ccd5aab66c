//! What of a captured packet matters to a tracker: read leniently, compared strictly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use conntruth_engine::{Family, protocol};

use crate::language::ast::packet::{Protocol, TcpOption};
use crate::packet::internet_checksum;

/// A whole packet with a transport header that the language has words for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub ends: [IpAddr; 2],
    pub ports: [u16; 2],
    pub body: Body,
    /// How much follows the transport header.
    pub payload: u32,
    /// The transport checksum.
    pub seal: Seal,
}

/// The transport header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Tcp {
        flags: u8,
        seq: u32,
        ack: u32,
        window: u16,
        urgent: u16,
        options: Vec<u8>,
    },
    Udp,
    /// An echo request or its reply.
    Echo {
        asks: bool,
        id: u16,
        seq: u16,
    },
    /// Any other message of ICMP.
    Message {
        kind: u8,
        code: u8,
        /// The four bytes behind the checksum.
        rest: u32,
        about: About,
        /// How many hops it has left: some count only where they were sent by a neighbour.
        hops: u8,
    },
    Sctp {
        tag: u32,
        chunks: Vec<Piece>,
    },
    Gre {
        version: u8,
        call: Option<u16>,
        carries: u16,
    },
}

/// What stands in a message of ICMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The bytes, whatever they are.
    Bytes(Vec<u8>),
    /// A packet of TCP or UDP, as far as it is quoted: so many bytes of it.
    Packet { ends: [IpAddr; 2], ports: [u16; 2], is_tcp: bool, whole: u16, quoted: u32 },
}

/// A chunk of SCTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub kind: u8,
    pub flags: u8,
    /// The initiate tag, where it has one.
    pub tag: Option<u32>,
    /// How much it carries behind its fixed fields.
    pub payload: u32,
}

/// What a receiver finds of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    Right,
    Wrong,
    /// Zero: UDP has none then, and what it means for ICMP is the tracker's to say.
    None,
}

impl Header {
    /// Reads a packet. `trusted`: its checksum and its length were left to somebody else, and are taken as right.
    pub fn read(bytes: &[u8], trusted: bool) -> Option<Header> {
        let (ends, number, transport) = match bytes.first()? >> 4 {
            4 => ipv4(bytes, trusted)?,
            6 => ipv6(bytes, trusted)?,
            _ => return None,
        };
        let (ports, mut body, used, has_sum) = transport_of(number, transport)?;
        if let Body::Message { hops, .. } = &mut body {
            *hops = *bytes.get(if ends[0].is_ipv4() { 8 } else { 7 })?;
        }
        let seal = match (trusted, has_sum, checks(ends, number, transport)) {
            (false, false, _) => Seal::None,
            (true, ..) | (_, _, true) => Seal::Right,
            _ => Seal::Wrong,
        };
        Some(Header { ends, ports, body, payload: (transport.len() - used) as u32, seal })
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        match self.body {
            Body::Tcp { .. } => Protocol::Tcp,
            Body::Udp => Protocol::Udp,
            Body::Echo { .. } | Body::Message { .. } => Protocol::Icmp(None),
            Body::Sctp { .. } => Protocol::Sctp,
            Body::Gre { .. } => Protocol::Gre,
        }
    }

    /// The family it came in.
    pub fn family(&self) -> Family {
        if self.ends[0].is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// The identifier of an echo.
    pub fn id(&self) -> Option<u16> {
        match self.body {
            Body::Echo { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Whether it is told as a packet of a flow; others name their hosts.
    pub fn flows(&self) -> bool {
        !matches!(self.body, Body::Message { .. })
    }

    /// Whether its flow's ends have ports.
    pub fn has_ports(&self) -> bool {
        matches!(self.body, Body::Tcp { .. } | Body::Udp | Body::Sctp { .. })
    }
}

type Parts<'a> = ([IpAddr; 2], u8, &'a [u8]);

fn ipv4(bytes: &[u8], trusted: bool) -> Option<Parts<'_>> {
    let header = bytes.first_chunk::<20>()?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let length = if trusted { bytes.len() } else { usize::from(word(2)) };
    // Options, fragments, wrong lengths and checksums are for raw bytes.
    let plain = header[0] == 0x45 && word(6) & 0x3fff == 0 && internet_checksum(&[header]) == 0;
    let address =
        |at: usize| IpAddr::V4(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]));
    plain.then_some(([address(12), address(16)], header[9], bytes.get(20..length)?))
}

fn ipv6(bytes: &[u8], trusted: bool) -> Option<Parts<'_>> {
    let header = bytes.first_chunk::<40>()?;
    let length = 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let length = if trusted { bytes.len() } else { length };
    let address = |at: usize| {
        let bytes: [u8; 16] = header[at..at + 16].try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(bytes)))
    };
    Some(([address(8)?, address(24)?], header[6], bytes.get(40..length)?))
}

/// Ports, header, how long that is, and whether it is sealed at all.
fn transport_of(number: u8, bytes: &[u8]) -> Option<([u16; 2], Body, usize, bool)> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let long = |at: usize| Some(u32::from(word(at)?) << 16 | u32::from(word(at + 2)?));
    match number {
        protocol::TCP => {
            let used = usize::from(bytes.get(12)? >> 4) * 4;
            let options = bytes.get(20..used)?.to_vec();
            let flags = *bytes.get(13)?;
            // The four reserved bits have no words.
            (bytes[12] & 15 == 0).then_some(())?;
            let body = Body::Tcp {
                flags,
                seq: long(4)?,
                ack: long(8)?,
                window: word(14)?,
                urgent: word(18)?,
                options,
            };
            Some(([word(0)?, word(2)?], body, used, true))
        }
        protocol::UDP => {
            let is_whole = usize::from(word(4)?) == bytes.len();
            is_whole.then_some(([word(0)?, word(2)?], Body::Udp, 8, word(6)? != 0))
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let ask = if number == protocol::ICMP { [8, 0] } else { [128, 129] };
            let (kind, code) = (*bytes.first()?, *bytes.get(1)?);
            let has_sum = word(2)? != 0;
            if ask.contains(&kind) && code == 0 {
                let body = Body::Echo { asks: kind == ask[0], id: word(4)?, seq: word(6)? };
                return Some(([0, 0], body, 8, has_sum));
            }
            let (rest, inner) = (long(4)?, bytes.get(8..)?);
            let is_error =
                if number == protocol::ICMP { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { kind < 128 };
            let about = if is_error { quoted(inner) } else { None };
            let about = about.unwrap_or_else(|| About::Bytes(inner.to_vec()));
            Some(([0, 0], Body::Message { kind, code, rest, about, hops: 0 }, bytes.len(), has_sum))
        }
        protocol::SCTP => {
            let body = Body::Sctp { tag: long(4)?, chunks: chunks(bytes.get(12..)?)? };
            Some(([word(0)?, word(2)?], body, bytes.len(), true))
        }
        protocol::GRE => {
            let (flags, version) = (word(0)? & 0xfff8, (word(0)? & 7) as u8);
            let length = (bytes.len() - 8.min(bytes.len())) as u32;
            // Checksums, routes, sequence numbers have no words; nor has a key of more than two bytes.
            let (call, used) = match (version, flags) {
                (0, 0) => (None, 4),
                (0, 0x2000) if long(4)? >> 16 == 0 => (Some(word(6)?), 8),
                (1, 0x2000) if u32::from(word(4)?) == length => (Some(word(6)?), 8),
                _ => return None,
            };
            Some(([0, 0], Body::Gre { version, call, carries: word(2)? }, used, true))
        }
        _ => None,
    }
}

/// A quoted packet of TCP or UDP, if the language says one that a tracker reads in the same way.
fn quoted(inner: &[u8]) -> Option<About> {
    let word = |at: usize| Some(u16::from_be_bytes([*inner.get(at)?, *inner.get(at + 1)?]));
    let address = |range: std::ops::Range<usize>| {
        let bytes = inner.get(range)?;
        match <[u8; 4]>::try_from(bytes) {
            Ok(four) => Some(IpAddr::from(four)),
            Err(_) => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        }
    };
    let (ends, number, from, whole) = match inner.first()? {
        0x45 if word(6)? & 0x3fff == 0 => ([address(12..16)?, address(16..20)?], inner[9], 20, word(2)?),
        first if first >> 4 == 6 => {
            ([address(8..24)?, address(24..40)?], inner[6], 40, word(4)?.checked_add(40)?)
        }
        _ => return None,
    };
    let is_tcp = match number {
        protocol::TCP => true,
        protocol::UDP => false,
        _ => return None,
    };
    let least = from as u16 + if is_tcp { 20 } else { 8 };
    let (ports, quoted) = ([word(from)?, word(from + 2)?], inner.len() as u32);
    let fits = inner.len() >= from + 8 && inner.len() <= usize::from(whole) && whole >= least;
    fits.then_some(About::Packet { ends, ports, is_tcp, whole, quoted })
}

/// The fixed fields of a chunk, by its type: how long they are.
fn fixed(kind: u8) -> usize {
    match kind {
        0 | 3 => 12,
        1 | 2 => 16,
        7 => 4,
        _ => 0,
    }
}

/// The chunks of a packet of SCTP, if all of them have the length that they say.
fn chunks(mut bytes: &[u8]) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let [kind, flags, high, low, ..] = *bytes else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = bytes.get(4..length)?;
        let tag = match kind {
            1 | 2 => Some(u32::from_be_bytes(*value.first_chunk::<4>()?)),
            _ => None,
        };
        let payload = value.len().checked_sub(fixed(kind))? as u32;
        pieces.push(Piece { kind, flags, tag, payload });
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
    (!pieces.is_empty()).then_some(pieces)
}

/// Whether the transport checksum is right.
fn checks(ends: [IpAddr; 2], number: u8, transport: &[u8]) -> bool {
    match number {
        protocol::SCTP => {
            let Some((head, rest)) = transport.split_first_chunk::<12>() else { return false };
            let sum = crc32c::crc32c_append(crc32c::crc32c(&[&head[..8], &[0; 4]].concat()), rest);
            return head[8..] == sum.to_le_bytes();
        }
        protocol::GRE => return true,
        _ => {}
    }
    let mut pseudo = Vec::with_capacity(40);
    for end in ends {
        match end {
            IpAddr::V4(address) => pseudo.extend(address.octets()),
            IpAddr::V6(address) => pseudo.extend(address.octets()),
        }
    }
    pseudo.extend((transport.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, number]);
    if number == protocol::ICMP {
        pseudo.clear();
    }
    internet_checksum(&[&pseudo, transport]) == 0
}

/// TCP's options in the language's words; bytes where they have none. Zeroes at the end fill a word, and need none.
pub(super) fn options(
    mut bytes: &[u8],
    sack: impl Fn(u32) -> crate::language::ast::packet::Seq,
) -> Vec<TcpOption> {
    let mut options = Vec::new();
    while let Some(&kind) = bytes.first() {
        match kind {
            0 if bytes.iter().all(|byte| *byte == 0) && bytes.len() < 4 => break,
            0 => {
                options.push(TcpOption::Eol);
                bytes = &bytes[1..];
                continue;
            }
            1 => {
                options.push(TcpOption::Nop);
                bytes = &bytes[1..];
                continue;
            }
            _ => {}
        }
        let length = bytes.get(1).map_or(0, |length| usize::from(*length));
        if length < 2 || length > bytes.len() {
            options.push(TcpOption::Raw(bytes.to_vec()));
            break;
        }
        let (option, rest) = bytes.split_at(length);
        bytes = rest;
        let long =
            |at: usize| u32::from_be_bytes([option[at], option[at + 1], option[at + 2], option[at + 3]]);
        options.push(match (kind, length) {
            (2, 4) => TcpOption::Mss(u16::from_be_bytes([option[2], option[3]])),
            (3, 3) => TcpOption::WindowScale(option[2]),
            (4, 2) => TcpOption::SackPermitted,
            (5, 10 | 18 | 26 | 34) => TcpOption::Sack(
                (2..length).step_by(8).map(|at| (sack(long(at)), sack(long(at + 4)))).collect(),
            ),
            (8, 10) => TcpOption::Timestamps(Some((long(2), long(6)))),
            _ => TcpOption::Raw(option.to_vec()),
        });
    }
    options
}
