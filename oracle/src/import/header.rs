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
        let (ports, body, used, has_sum) = transport_of(number, transport)?;
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
            Body::Echo { .. } => Protocol::Icmp(None),
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
            let is_echo = ask.contains(&kind) && code == 0;
            let body = Body::Echo { asks: kind == ask[0], id: word(4)?, seq: word(6)? };
            is_echo.then_some(([0, 0], body, 8, word(2)? != 0))
        }
        _ => None,
    }
}

/// Whether the transport checksum is right.
fn checks(ends: [IpAddr; 2], number: u8, transport: &[u8]) -> bool {
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
