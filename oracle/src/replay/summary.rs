//! A packet in a few words, as tcpdump would say it: for people, never for decisions.
//!
//! It reads on where the tracker would stop, so that a malformed packet can be described too.

use std::fmt;
use std::net::IpAddr;

use conntruth_engine::protocol;
use etherparse::{TcpOptionElement, TcpOptionsIterator};

use crate::glance::Glance;

/// A packet from its network header on, to be shown by `Display`; the alternate form (`{:#}`) has TCP's options.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a>(pub &'a [u8]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Glance { src, dst, protocol, fragment, payload }) = Glance::at(self.0) else {
            return write!(f, "{} bytes without an IP header", self.0.len());
        };
        let datagram = Datagram { src, dst, protocol, payload };
        match fragment {
            Some(fragment) if fragment.offset > 0 => datagram.fmt_later_fragment(f, fragment.offset),
            Some(_) => {
                datagram.fmt(f)?;
                write!(f, " (first fragment)")
            }
            None => datagram.fmt(f),
        }
    }
}

struct Datagram<'a> {
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    payload: &'a [u8],
}

impl Datagram<'_> {
    fn fmt_later_fragment(&self, f: &mut fmt::Formatter<'_>, offset: u32) -> fmt::Result {
        self.fmt_addresses(f, None)?;
        let name = protocol_name(self.protocol);
        write!(f, "{name} fragment {offset}+{}", self.payload.len())
    }

    fn fmt_addresses(&self, f: &mut fmt::Formatter<'_>, ports: Option<(u16, u16)>) -> fmt::Result {
        match (ports, self.src) {
            (None, _) => write!(f, "{} > {} ", self.src, self.dst),
            (Some((from, to)), IpAddr::V4(_)) => write!(f, "{}:{from} > {}:{to} ", self.src, self.dst),
            (Some((from, to)), IpAddr::V6(_)) => write!(f, "[{}]:{from} > [{}]:{to} ", self.src, self.dst),
        }
    }
}

impl fmt::Display for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = protocol_name(self.protocol);
        let has_ports =
            matches!(self.protocol, protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP);
        let ports = u16_at(self.payload, 0).zip(u16_at(self.payload, 2)).filter(|_| has_ports);
        self.fmt_addresses(f, ports)?;
        match (self.protocol, ports) {
            (protocol::TCP, Some(_)) => fmt_tcp(f, self.payload),
            (protocol::UDP | protocol::UDPLITE, Some(_)) => {
                write!(f, "{name} {} bytes", self.payload.len().saturating_sub(8))
            }
            (protocol::SCTP, Some(_)) => fmt_sctp(f, self.payload),
            (protocol::ICMP, _) => fmt_icmp(f, self.payload, &ICMP_TYPES),
            (protocol::ICMPV6, _) => fmt_icmp(f, self.payload, &ICMPV6_TYPES),
            (59, _) => write!(f, "no next header"),
            _ if name == "protocol" => write!(f, "protocol {} {} bytes", self.protocol, self.payload.len()),
            _ => write!(f, "{name} {} bytes", self.payload.len()),
        }
    }
}

fn protocol_name(number: u8) -> &'static str {
    match number {
        protocol::ICMP => "icmp",
        2 => "igmp",
        4 => "ipip",
        protocol::TCP => "tcp",
        protocol::UDP => "udp",
        33 => "dccp",
        41 => "ipv6",
        protocol::GRE => "gre",
        50 => "esp",
        51 => "ah",
        protocol::ICMPV6 => "icmpv6",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        protocol::SCTP => "sctp",
        protocol::UDPLITE => "udplite",
        _ => "protocol",
    }
}

/// With packetdrill's letters, and numbers as they are on the wire, for the reasons speak of these:
/// `P. seq 1001 len 120 ack 5001 win 502`.
fn fmt_tcp(f: &mut fmt::Formatter<'_>, segment: &[u8]) -> fmt::Result {
    let (Some(seq), Some(ack)) = (u32_at(segment, 4), u32_at(segment, 8)) else {
        return write!(f, "tcp, {} bytes", segment.len());
    };
    let (Some([offset, flags]), Some(window)) = (segment.get(12..14), u16_at(segment, 14)) else {
        return write!(f, "tcp seq {seq} ack {ack}, {} bytes", segment.len());
    };
    write!(f, "tcp ")?;
    // tcpdump's order.
    let letters = [(1, 'F'), (2, 'S'), (4, 'R'), (8, 'P'), (16, '.'), (32, 'U'), (64, 'E'), (128, 'W')];
    for (_, letter) in letters.iter().filter(|(bit, _)| flags & bit != 0) {
        write!(f, "{letter}")?;
    }
    if *flags == 0 {
        write!(f, "none")?;
    }
    let header = usize::from(offset >> 4) * 4;
    let length = segment.len().saturating_sub(header);
    write!(f, " seq {seq}")?;
    if length > 0 {
        write!(f, " len {length}")?;
    }
    if flags & 16 != 0 {
        write!(f, " ack {ack}")?;
    }
    write!(f, " win {window}")?;
    match segment.get(20..header) {
        Some(options) if f.alternate() && !options.is_empty() => fmt_tcp_options(f, options),
        _ => Ok(()),
    }
}

fn fmt_tcp_options(f: &mut fmt::Formatter<'_>, options: &[u8]) -> fmt::Result {
    let mut separator = " <";
    for option in TcpOptionsIterator::from_slice(options) {
        match option {
            Ok(TcpOptionElement::Noop) => continue,
            Ok(TcpOptionElement::MaximumSegmentSize(size)) => write!(f, "{separator}mss {size}")?,
            Ok(TcpOptionElement::WindowScale(shift)) => write!(f, "{separator}wscale {shift}")?,
            Ok(TcpOptionElement::SelectiveAcknowledgementPermitted) => write!(f, "{separator}sackOK")?,
            Ok(TcpOptionElement::SelectiveAcknowledgement(first, more)) => {
                write!(f, "{separator}sack {}:{}", first.0, first.1)?;
                for (from, to) in more.into_iter().flatten() {
                    write!(f, " {from}:{to}")?;
                }
            }
            Ok(TcpOptionElement::Timestamp(value, echo)) => {
                write!(f, "{separator}TS val {value} ecr {echo}")?
            }
            // What is unknown or malformed ends the list: the rest cannot be told apart.
            Err(_) => {
                write!(f, "{separator}...")?;
                separator = ",";
                break;
            }
        }
        separator = ",";
    }
    if separator == "," { write!(f, ">") } else { Ok(()) }
}

fn fmt_sctp(f: &mut fmt::Formatter<'_>, packet: &[u8]) -> fmt::Result {
    write!(f, "sctp")?;
    let mut chunks = packet.get(12..).unwrap_or_default();
    while let (Some(&kind), Some(length)) = (chunks.first(), u16_at(chunks, 2)) {
        match SCTP_CHUNKS.get(usize::from(kind)) {
            Some(name) => write!(f, " {name}")?,
            None => write!(f, " chunk {kind}")?,
        }
        let padded = usize::from(length).max(4).next_multiple_of(4);
        chunks = chunks.get(padded..).unwrap_or_default();
    }
    Ok(())
}

fn fmt_icmp(f: &mut fmt::Formatter<'_>, message: &[u8], types: &[(u8, &str, Kind)]) -> fmt::Result {
    let name = if types[0].0 == 0 { "icmp" } else { "icmpv6" };
    let (Some(&kind), Some(&code)) = (message.first(), message.get(1)) else {
        return write!(f, "{name} {} bytes", message.len());
    };
    let Some((_, word, layout)) = types.iter().find(|row| row.0 == kind) else {
        return write!(f, "{name} type {kind} code {code}");
    };
    match layout {
        Kind::Query => match (u16_at(message, 4), u16_at(message, 6)) {
            (Some(id), Some(seq)) => write!(f, "{name} {word} id {id} seq {seq}"),
            _ => write!(f, "{name} {word}"),
        },
        Kind::Error => {
            write!(f, "{name} {word} code {code}")?;
            // One level deep: an error never quotes an error, and a packet that does is not worth a stack.
            Glance::at(message.get(8..).unwrap_or_default()).map_or(Ok(()), |quoted| fmt_quoted(f, &quoted))
        }
        Kind::Other => write!(f, "{name} {word}"),
    }
}

fn fmt_quoted(f: &mut fmt::Formatter<'_>, quoted: &Glance<'_>) -> fmt::Result {
    let name = protocol_name(quoted.protocol);
    write!(f, " about {name} {}", quoted.src)?;
    let ports = u16_at(quoted.payload, 0).zip(u16_at(quoted.payload, 2));
    match ports.filter(|_| matches!(name, "tcp" | "udp" | "udplite" | "sctp")) {
        Some((from, to)) => write!(f, ":{from} > {}:{to}", quoted.dst),
        None => write!(f, " > {}", quoted.dst),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    /// Has an identifier and a sequence number.
    Query,
    /// Quotes a packet.
    Error,
    Other,
}

const ICMP_TYPES: [(u8, &str, Kind); 13] = [
    (0, "echo reply", Kind::Query),
    (3, "unreachable", Kind::Error),
    (4, "source quench", Kind::Error),
    (5, "redirect", Kind::Error),
    (8, "echo request", Kind::Query),
    (9, "router advertisement", Kind::Other),
    (10, "router solicitation", Kind::Other),
    (11, "time exceeded", Kind::Error),
    (12, "parameter problem", Kind::Error),
    (13, "timestamp request", Kind::Query),
    (14, "timestamp reply", Kind::Query),
    (17, "address mask request", Kind::Query),
    (18, "address mask reply", Kind::Query),
];

const ICMPV6_TYPES: [(u8, &str, Kind); 15] = [
    (1, "unreachable", Kind::Error),
    (2, "packet too big", Kind::Error),
    (3, "time exceeded", Kind::Error),
    (4, "parameter problem", Kind::Error),
    (128, "echo request", Kind::Query),
    (129, "echo reply", Kind::Query),
    (130, "listener query", Kind::Other),
    (131, "listener report", Kind::Other),
    (132, "listener done", Kind::Other),
    (133, "router solicitation", Kind::Other),
    (134, "router advertisement", Kind::Other),
    (135, "neighbour solicitation", Kind::Other),
    (136, "neighbour advertisement", Kind::Other),
    (137, "redirect", Kind::Other),
    (143, "listener report v2", Kind::Other),
];

const SCTP_CHUNKS: [&str; 15] = [
    "DATA",
    "INIT",
    "INIT ACK",
    "SACK",
    "HEARTBEAT",
    "HEARTBEAT ACK",
    "ABORT",
    "SHUTDOWN",
    "SHUTDOWN ACK",
    "ERROR",
    "COOKIE ECHO",
    "COOKIE ACK",
    "ECNE",
    "CWR",
    "SHUTDOWN COMPLETE",
];

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}
