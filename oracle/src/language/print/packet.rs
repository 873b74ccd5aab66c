//! Packets as they are written: the protocol's fields first, then the network header's.

use std::fmt::{self, Display, Formatter, Write};

use super::Words;
use crate::language::ast::packet::{
    AddressStyle, Body, Checksum, Chunk, Cut, Endpoint, Extension, Gre, HostRef, Icmp, IcmpKind, Ip, Packet,
    Path, Payload, Piece, Protocol, Quote, Quoted, Sctp, Seq, Stop, Tcp, TcpOption, Udp, Way,
};
use crate::language::words::{CHUNKS, EXTENSIONS, HOOKS, PROTOCOLS, TCP_FLAGS, word_of};

impl Display for Packet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = Words::new(f);
        match &self.path {
            Path::Flow { flow, way } => {
                if let Some(flow) = flow {
                    words.put(&flow.value)?;
                }
                words.put(if *way == Way::Forth { '>' } else { '<' })?;
            }
            Path::Hosts { from, to } => words.put(format_args!("{from} > {to}"))?,
            Path::Same => {}
        }
        // Along a flow its protocol goes without saying.
        let named = self.foreign || matches!(self.path, Path::Hosts { .. });
        if let Some(protocol) = self.body.protocol().filter(|_| named) {
            words.put(protocol)?;
        }
        match &self.body {
            Body::Tcp(tcp) => put_tcp(&mut words, tcp)?,
            Body::Udp(udp) | Body::UdpLite(udp) => put_udp(&mut words, udp)?,
            Body::Icmp(icmp) => put_icmp(&mut words, icmp)?,
            Body::Sctp(sctp) => put_sctp(&mut words, sctp)?,
            Body::Gre(gre) => put_gre(&mut words, gre)?,
            Body::Other { payload, .. } => put_payload(&mut words, payload)?,
            Body::Raw(bytes) => words.put(format_args!("raw {}", Hex(bytes)))?,
            Body::Again(label) => words.put(format_args!("again {}", label.value))?,
        }
        put_ip(&mut words, &self.ip)?;
        put_cut(&mut words, &self.cut)?;
        for poke in &self.pokes {
            words.put(format_args!("poke {} hex {}", poke.offset, Hex(&poke.bytes)))?;
        }
        if self.notrack {
            words.put("notrack")?;
        }
        words.field("zone", &self.zone)?;
        let (word, hook) = match self.stop {
            Some(Stop::Lost(hook)) => ("lost", hook),
            Some(Stop::Waits(hook)) => ("waits", hook),
            None => return Ok(()),
        };
        match hook {
            Some(hook) => words.put(format_args!("{word} in {}", word_of(HOOKS, hook))),
            None => words.put(word),
        }
    }
}

impl Display for HostRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            HostRef::Name(name) => f.write_str(&name.value),
            HostRef::Address(address) => write!(f, "{address}"),
        }
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (HostRef::Address(address), Some(port)) if address.is_ipv6() => write!(f, "[{address}]:{port}"),
            (HostRef::Address(address), Some(port)) => write!(f, "{address}:{port}"),
            (HostRef::Address(address), None) => write!(f, "{address}"),
            (HostRef::Name(name), Some(port)) => write!(f, "{}:{port}", name.value),
            (HostRef::Name(name), None) => f.write_str(&name.value),
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::Other(number) => write!(f, "proto {number}"),
            _ => f.write_str(PROTOCOLS.iter().find(|row| row.1 == *self).map_or("?", |row| row.0)),
        }
    }
}

impl Display for Seq {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Seq::Relative(number) => write!(f, "{number}"),
            Seq::Next(0) => f.write_str("next"),
            Seq::Next(number) => write!(f, "next{number:+}"),
            Seq::Absolute(number) => write!(f, "abs {number}"),
        }
    }
}

fn put_tcp(words: &mut Words<'_, '_>, tcp: &Tcp) -> fmt::Result {
    let letters: String =
        TCP_FLAGS.iter().filter(|(_, bit)| tcp.flags & bit != 0).map(|(letter, _)| *letter).collect();
    words.put(if letters.is_empty() { "-" } else { &letters })?;
    match (tcp.seq, &tcp.payload) {
        (Some(Seq::Relative(from)), Some(Payload::Length(length)))
            if from >= 0 && from <= u32::MAX as i64 - 65_535 =>
        {
            words.put(format_args!("{from}:{}({length})", from + i64::from(*length)))?;
        }
        (seq, payload) => {
            words.field("seq", &seq)?;
            put_payload(words, payload)?;
        }
    }
    words.field("ack", &tcp.ack)?;
    words.field("win", &tcp.window)?;
    if let Some(options) = &tcp.options {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        words.put(format_args!("<{}>", options.join(",")))?;
    }
    words.field("urg", &tcp.urgent)?;
    words.field("doff", &tcp.data_offset)?;
    words.field("checksum", &tcp.checksum)
}

impl Display for TcpOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            TcpOption::Mss(mss) => write!(f, "mss {mss}"),
            TcpOption::SackPermitted => f.write_str("sackOK"),
            TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack")?;
                if matches!(blocks.first(), Some((Seq::Absolute(_), _))) {
                    f.write_str(" abs")?;
                }
                let side = |seq: &Seq| seq.to_string().trim_start_matches("abs ").to_owned();
                blocks.iter().try_for_each(|(left, right)| write!(f, " {}:{}", side(left), side(right)))
            }
            TcpOption::Timestamps(None) => f.write_str("TS"),
            TcpOption::Timestamps(Some((val, ecr))) => write!(f, "TS val {val} ecr {ecr}"),
            TcpOption::Nop => f.write_str("nop"),
            TcpOption::Eol => f.write_str("eol"),
            TcpOption::Raw(bytes) => write!(f, "hex {}", Hex(bytes)),
        }
    }
}

fn put_udp(words: &mut Words<'_, '_>, udp: &Udp) -> fmt::Result {
    put_payload(words, &udp.payload)?;
    words.field("len", &udp.length)?;
    words.field("coverage", &udp.coverage)?;
    words.field("checksum", &udp.checksum)
}

fn put_icmp(words: &mut Words<'_, '_>, icmp: &Icmp) -> fmt::Result {
    match icmp.kind {
        Some(IcmpKind::Named(name)) => words.put(name.words)?,
        Some(IcmpKind::Numbers { kind, code }) => words.put(format_args!("type {kind} code {code}"))?,
        None => {}
    }
    words.field("id", &icmp.id)?;
    words.field("seq", &icmp.seq)?;
    words.field("rest", &icmp.rest)?;
    words.field("quote", &icmp.quote)?;
    put_payload(words, &icmp.payload)?;
    words.field("checksum", &icmp.checksum)
}

impl Display for Quote {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.what {
            Quoted::Label(label) => f.write_str(&label.value)?,
            Quoted::Packet(packet) => write!(f, "({packet})")?,
            Quoted::Raw(bytes) => write!(f, "hex {}", Hex(bytes))?,
        }
        match self.bytes {
            Some(bytes) => write!(f, " bytes {bytes}"),
            None => Ok(()),
        }
    }
}

fn put_sctp(words: &mut Words<'_, '_>, sctp: &Sctp) -> fmt::Result {
    if sctp.chunks.is_empty() {
        words.put('-')?;
    }
    for (index, chunk) in sctp.chunks.iter().enumerate() {
        if index > 0 {
            words.put('+')?;
        }
        put_chunk(words, chunk)?;
    }
    words.field("vtag", &sctp.tag)?;
    words.field("checksum", &sctp.checksum)
}

fn put_chunk(words: &mut Words<'_, '_>, chunk: &Chunk) -> fmt::Result {
    match CHUNKS.iter().find(|(_, kind)| *kind == chunk.kind) {
        Some((word, _)) => words.put(word)?,
        None => words.put(format_args!("chunk {}", chunk.kind))?,
    }
    words.field("tag", &chunk.tag)?;
    words.field("flags", &chunk.flags)?;
    words.field("length", &chunk.length)?;
    put_payload(words, &chunk.payload)
}

fn put_gre(words: &mut Words<'_, '_>, gre: &Gre) -> fmt::Result {
    words.field("version", &gre.version)?;
    words.field("call", &gre.call)?;
    words.field("carries", &gre.carries)?;
    put_payload(words, &gre.payload)
}

fn put_payload(words: &mut Words<'_, '_>, payload: &Option<Payload>) -> fmt::Result {
    match payload {
        Some(payload) => words.put(payload),
        None => Ok(()),
    }
}

impl Display for Payload {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Length(length) => write!(f, "({length})"),
            Payload::Bytes(bytes) if is_readable(bytes) => {
                f.write_char('"')?;
                put_text(f, bytes)?;
                f.write_char('"')
            }
            Payload::Text(pieces) => {
                f.write_char('"')?;
                for piece in pieces {
                    match piece {
                        Piece::Bytes(bytes) => put_text(f, bytes)?,
                        Piece::Address { host, style: AddressStyle::Plain } => {
                            write!(f, "\\{{{}}}", host.value)?
                        }
                        Piece::Address { host, style: AddressStyle::WithPort(port) } => {
                            write!(f, "\\{{{},{port}}}", host.value)?;
                        }
                        Piece::Address { host, style: AddressStyle::Number } => {
                            write!(f, "\\{{{}#}}", host.value)?;
                        }
                    }
                }
                f.write_char('"')
            }
            Payload::Bytes(bytes) => write!(f, "hex {}", Hex(bytes)),
        }
    }
}

/// Whether bytes read better as a text than in hexadecimal: nearly all of them are letters.
fn is_readable(bytes: &[u8]) -> bool {
    let plain = bytes.iter().filter(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')).count();
    bytes.len() - plain <= plain / 4
}

fn put_text(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for byte in bytes {
        match byte {
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            b'"' | b'\\' => write!(f, "\\{}", *byte as char)?,
            b'$' => f.write_str("$$")?,
            b' '..=b'~' => f.write_char(*byte as char)?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    Ok(())
}

impl Display for Checksum {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Checksum::Bad => f.write_str("bad"),
            Checksum::Value(0) => f.write_char('0'),
            Checksum::Value(value) => write!(f, "{value:#06x}"),
        }
    }
}

fn put_ip(words: &mut Words<'_, '_>, ip: &Ip) -> fmt::Result {
    words.field("ttl", &ip.ttl)?;
    words.field("tos", &ip.tos)?;
    words.field("ipid", &ip.id)?;
    match ip.dont_fragment {
        Some(true) => words.put("dontfrag")?,
        Some(false) => words.put("dontfrag 0")?,
        None => {}
    }
    if let Some(options) = &ip.options {
        words.put(format_args!("ipopt {}", Hex(options)))?;
    }
    words.field("iplen", &ip.length)?;
    words.field("ihl", &ip.header_words)?;
    words.field("ipversion", &ip.version)?;
    words.field("ipchecksum", &ip.checksum)?;
    words.field("nexthdr", &ip.protocol)?;
    for Extension { kind, body } in &ip.extensions {
        match EXTENSIONS.iter().find(|(_, known)| known == kind) {
            Some((word, _)) => words.put(format_args!("ext {word}"))?,
            None => words.put(format_args!("ext {kind}"))?,
        }
        if let Some(bytes) = body {
            words.put(format_args!("hex {}", Hex(bytes)))?;
        }
    }
    Ok(())
}

fn put_cut(words: &mut Words<'_, '_>, cut: &Cut) -> fmt::Result {
    match cut {
        Cut::Whole => Ok(()),
        Cut::Short(bytes) => words.put(format_args!("cut {bytes}")),
        Cut::Fragments { size, order } => {
            words.put(format_args!("fragments {size}"))?;
            let order =
                order.as_ref().map(|order| order.iter().map(u16::to_string).collect::<Vec<_>>().join(","));
            words.field("order", &order)
        }
        Cut::Fragment { from, to, at, more } => {
            words.put(format_args!("fragment {from}..{to}"))?;
            match more {
                Some(true) => words.put("more")?,
                Some(false) => words.put("last")?,
                None => {}
            }
            words.field("at", at)
        }
    }
}

/// Bytes in hexadecimal.
struct Hex<'b>(&'b [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if index > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
