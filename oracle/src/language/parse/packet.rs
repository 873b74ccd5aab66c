//! Packets: who sends what to whom, and in which protocol.

use super::cursor::{Cursor, is_ipv6, is_name, parse_address, parse_number};
use super::names::Names;
use super::{header, icmp, once, sctp, tcp};
use crate::language::ast::packet::{
    Body, Checksum, Cut, Endpoint, Gre, HostRef, Packet, Path, Payload, Piece, Protocol, Udp, Way,
};
use crate::language::ast::{Located, Span};
use crate::language::lexer::{Kind, located};
use crate::language::message::{Message, Parse};
use crate::language::words::PROTOCOLS;

/// `100x` at most this often.
const MOST_TIMES: u64 = 100_000;
/// A quote in a quote in a quote.
const DEEPEST: usize = 3;

/// The fields of UDP, UDP-Lite and GRE.
#[cfg(test)]
pub(super) const OTHER_FIELDS: &[&str] =
    &["len", "coverage", "version", "call", "carries", "order", "more", "last", "at"];

/// `100x web > P. (1460)`: how often, and what.
pub(super) fn send(cursor: &mut Cursor<'_>, names: &Names) -> Parse<(u32, Packet)> {
    let times = times(cursor)?;
    Ok((times, packet(cursor, names, 0)?))
}

/// `100x`
fn times(cursor: &mut Cursor<'_>) -> Parse<u32> {
    let span = cursor.here();
    let Some(count) = cursor.eat_known(|word| parse_number(word.strip_suffix('x')?)) else {
        return Ok(1);
    };
    match count.value.filter(|count| (1..=MOST_TIMES).contains(count)) {
        Some(count) => Ok(count as u32),
        None => Message::new(format!("a packet can be sent 1 to {MOST_TIMES} times"), span).fail(),
    }
}

/// One packet; `depth` counts the quotes around it.
pub(super) fn packet(cursor: &mut Cursor<'_>, names: &Names, depth: usize) -> Parse<Packet> {
    if depth > DEEPEST {
        return Message::new("too many quotes inside each other", cursor.here()).fail();
    }
    if cursor.eat("again").is_some() {
        let label = cursor.word("the label of the packet to send again")?;
        return fields(cursor, names, depth, empty(Path::Same, Body::Again(label)));
    }
    let start = cursor.here();
    let (path, context) = path(cursor, names)?;
    let body = body(cursor, &path, context, start)?;
    let mut packet = empty(path, body);
    packet.foreign =
        context.is_some() && packet.body.protocol().is_some_and(|protocol| Some(protocol) != context);
    let packet = fields(cursor, names, depth, packet)?;
    if let Body::Icmp(message) = &packet.body
        && message.kind.is_none()
        && !matches!(context, Some(Protocol::Icmp(_)))
    {
        return Message::new("which ICMP message?", cursor.before())
            .label("expected one such as `echo request`, `unreachable port` or `type 9 code 0` after it")
            .fail();
    }
    Ok(packet)
}

fn empty(path: Path, body: Body) -> Packet {
    Packet {
        path,
        foreign: false,
        body,
        ip: Default::default(),
        cut: Cut::Whole,
        pokes: Vec::new(),
        notrack: false,
        zone: None,
        stop: None,
    }
}

/// From whom to whom, and what the flow speaks if it is one.
fn path(cursor: &mut Cursor<'_>, names: &Names) -> Parse<(Path, Option<Protocol>)> {
    let arrow = |cursor: &mut Cursor<'_>| match cursor.eat_mark('>') {
        Some(_) => Some(Way::Forth),
        None => cursor.eat_mark('<').map(|_| Way::Back),
    };
    let start = cursor.here();
    if let Some(way) = arrow(cursor) {
        let protocol = names.only_flow(start)?;
        return Ok((Path::Flow { flow: None, way }, Some(protocol)));
    }
    let flow = cursor.peek_word().and_then(|word| Some((word, names.flow(word)?)));
    if let Some((word, protocol)) = flow {
        cursor.next();
        let Some(way) = arrow(cursor) else {
            return cursor.unexpected("`>` or `<` after the flow's name", []).fail();
        };
        return Ok((Path::Flow { flow: Some(located(word, start)), way }, protocol));
    }
    let from = endpoint(cursor, names, true)?;
    if cursor.is_mark('<') {
        return Message::new("a packet by address has its sender first", cursor.here())
            .label("expected `>`")
            .help("swap the two sides")
            .fail();
    }
    cursor.expect_mark('>', "`>` between sender and receiver")?;
    let to = endpoint(cursor, names, false)?;
    Ok((Path::Hosts { from, to }, None))
}

/// `client`, `client:5000`, `10.0.0.1:80`, `fd00::1`, `[fd00::1]:80`
pub(super) fn endpoint(cursor: &mut Cursor<'_>, names: &Names, sender: bool) -> Parse<Endpoint> {
    let (host, port) = end_with(cursor, names, sender, port)?;
    Ok(Endpoint { host, port })
}

/// An endpoint whose port is read by another.
pub(super) fn end_with<T>(
    cursor: &mut Cursor<'_>,
    names: &Names,
    sender: bool,
    port: fn(&str, Span) -> Parse<T>,
) -> Parse<(HostRef, Option<T>)> {
    let expected = if sender { "a flow, a host or an address" } else { "a host or an address" };
    let start = cursor.here();
    if cursor.eat_mark('[').is_some() {
        let address = cursor.word("an IPv6 address")?;
        let Some(value) = parse_address(&address.value).filter(|address| address.is_ipv6()) else {
            return Message::new(format!("`{}` is no IPv6 address", address.value), address.span).fail();
        };
        let close = cursor.expect_mark(']', "`]` after the address")?;
        let port = match cursor.peek() {
            Some(token) if token.span.start == close.end => {
                cursor.next();
                let word = token.word().and_then(|word| word.strip_prefix(':')).unwrap_or("");
                Some(port(word, token.span)?)
            }
            _ => None,
        };
        return Ok((HostRef::Address(value), port));
    }
    let Some(word) = cursor.peek_word() else {
        return cursor.unexpected(expected, []).fail();
    };
    let (host, port_word) = match word.rsplit_once(':') {
        Some((host, port)) if !is_ipv6(word) => (host, Some(port)),
        _ => (word, None),
    };
    let host_span = Span::new(start.start, start.start + host.len().min(start.end - start.start));
    let host = if let Some(address) = parse_address(host) {
        HostRef::Address(address)
    } else if names.is_host(host) {
        HostRef::Name(located(host, host_span))
    } else if is_name(host) {
        return names.unknown(host, host_span, sender && port_word.is_none()).fail();
    } else {
        return cursor.unexpected(expected, []).fail();
    };
    cursor.next();
    Ok((host, port_word.map(|word| port(word, start)).transpose()?))
}

/// A host or an address, without a port.
pub(super) fn host(cursor: &mut Cursor<'_>, names: &Names) -> Parse<HostRef> {
    let span = cursor.here();
    let end = endpoint(cursor, names, false)?;
    match end.port {
        None => Ok(end.host),
        Some(_) => Message::new("this has no port", span).label("expected no `:` here").fail(),
    }
}

fn port(word: &str, span: Span) -> Parse<u16> {
    match parse_number(word).flatten().and_then(|port| u16::try_from(port).ok()) {
        Some(port) => Ok(port),
        None => Message::new(format!("`{word}` is no port"), span)
            .label("expected 0 to 65535 after the `:`")
            .fail(),
    }
}

/// Whether a protocol is addressed by ports.
pub(super) fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp | Protocol::Udp | Protocol::UdpLite | Protocol::Sctp)
}

/// `tcp`, `proto 8`, where one is written.
pub(super) fn protocol(cursor: &mut Cursor<'_>) -> Parse<Option<Located<Protocol>>> {
    if let Some(found) =
        cursor.eat_known(|word| PROTOCOLS.iter().find(|(known, ..)| *known == word).map(|row| row.1))
    {
        return Ok(Some(found));
    }
    let Some(span) = cursor.eat("proto") else { return Ok(None) };
    let number = cursor.number("a protocol", 0..=255)?;
    Ok(Some(Located { value: Protocol::Other(number.value as u8), span: span.to(number.span) }))
}

/// The words of all protocols.
pub(super) fn protocol_words() -> impl Iterator<Item = &'static str> {
    PROTOCOLS.iter().map(|row| row.0).chain(["proto"])
}

fn body(cursor: &mut Cursor<'_>, path: &Path, context: Option<Protocol>, start: Span) -> Parse<Body> {
    let path_span = start.to(cursor.before());
    if cursor.eat("raw").is_some() {
        return Ok(Body::Raw(cursor.hex()?));
    }
    let written = protocol(cursor)?;
    let Some(protocol) = written.map(|written| written.value).or(context) else {
        return match cursor.peek_word() {
            Some("hex") => {
                Message::new("`hex` is the payload of a protocol, and none is named", cursor.here())
                    .help("a whole packet, its IP header included, is `raw 45 00 ...`")
                    .fail()
            }
            Some(word) if tcp::are_flags(word) => {
                Message::new(format!("`{word}` of which protocol?"), cursor.here())
                    .label("expected a protocol, since there is no flow to know it from")
                    .help(format!("`tcp {word}`"))
                    .fail()
            }
            _ => cursor
                .unexpected(
                    "a protocol, since there is no flow to know it from",
                    protocol_words().chain(["raw"]),
                )
                .fail(),
        };
    };
    let ports = match path {
        Path::Hosts { from, to } => from.port.is_some() && to.port.is_some(),
        Path::Flow { .. } => context.is_some_and(has_ports),
        Path::Same => true,
    };
    let any_port = matches!(path, Path::Hosts { from, to } if from.port.is_some() || to.port.is_some());
    if has_ports(protocol) && !ports {
        return Message::new("both sides of this protocol have a port", path_span)
            .help("`client:5000 > server:53 udp`")
            .fail();
    }
    if !has_ports(protocol) && any_port {
        return Message::new("this protocol has no ports", path_span)
            .help("leave out the `:` and what follows it")
            .fail();
    }
    Ok(match protocol {
        Protocol::Tcp => Body::Tcp(tcp::start(cursor)?),
        Protocol::Udp => Body::Udp(Udp::default()),
        Protocol::UdpLite => Body::UdpLite(Udp::default()),
        Protocol::Icmp(version) => Body::Icmp(icmp::start(cursor, version)?),
        Protocol::Sctp => Body::Sctp(sctp::start(cursor)?),
        Protocol::Gre => Body::Gre(Gre::default()),
        Protocol::Other(protocol) => Body::Other { protocol, payload: None },
    })
}

/// Reads fields until a claim, a closing parenthesis or the end.
fn fields(cursor: &mut Cursor<'_>, names: &Names, depth: usize, mut packet: Packet) -> Parse<Packet> {
    while !cursor.is_at_stop() {
        let known = match &mut packet.body {
            Body::Tcp(body) => tcp::field(cursor, body)?,
            Body::Udp(body) => udp_field(cursor, body, false)?,
            Body::UdpLite(body) => udp_field(cursor, body, true)?,
            Body::Icmp(body) => icmp::field(cursor, body, names, depth)?,
            Body::Sctp(body) => sctp::field(cursor, body)?,
            Body::Gre(body) => gre_field(cursor, body)?,
            Body::Other { payload, .. } => payload_field(cursor, payload)?,
            Body::Raw(_) | Body::Again(_) => false,
        };
        if !known && !header::field(cursor, &mut packet)? {
            let (what, own) = vocabulary(&packet.body);
            let message = cursor.unexpected(what, own.iter().chain(header::FIELDS).copied());
            return hint_at_payload(message, cursor, &packet.body).fail();
        }
    }
    Ok(packet)
}

/// A bare number or word may be meant to be carried.
fn hint_at_payload(message: Message, cursor: &Cursor<'_>, body: &Body) -> Message {
    let takes_words = matches!(body, Body::Udp(_) | Body::UdpLite(_) | Body::Other { .. });
    match cursor.peek_word() {
        Some(_) if matches!(body, Body::Raw(_) | Body::Again(_)) => message,
        Some(word) if parse_number(word).is_some() => {
            message.help(format!("a payload of so many bytes is `({word})`"))
        }
        Some(word) if takes_words && message.help.is_none() && is_name(word) => {
            message.help(format!("a payload in words stands in quotes: `\"{word}\"`"))
        }
        _ => message,
    }
}

/// What may stand in a body, for messages.
fn vocabulary(body: &Body) -> (&'static str, &'static [&'static str]) {
    match body {
        Body::Tcp(_) => ("a field of a segment, or `=` and a claim", tcp::FIELDS),
        Body::Udp(_) => ("a field of a datagram, or `=` and a claim", &["len", "checksum", "hex"]),
        Body::UdpLite(_) => ("a field of a datagram, or `=` and a claim", &["coverage", "checksum", "hex"]),
        Body::Icmp(_) => ("a field of an ICMP message, or `=` and a claim", icmp::FIELDS),
        Body::Sctp(_) => ("a field of a chunk, `+` and another chunk, or `=` and a claim", sctp::FIELDS),
        Body::Gre(_) => ("a field of GRE, or `=` and a claim", &["version", "call", "carries", "hex"]),
        Body::Other { .. } => ("a payload such as `(20)`, or `=` and a claim", &["hex"]),
        Body::Raw(_) | Body::Again(_) => {
            ("`cut`, `fragments`, `poke` or their like, or `=` and a claim", &[])
        }
    }
}

/// `(1460)`, `"text"`, `hex 00 ff`
pub(super) fn payload_field(cursor: &mut Cursor<'_>, payload: &mut Option<Payload>) -> Parse<bool> {
    let span = cursor.here();
    let value = match cursor.peek().map(|token| &token.kind) {
        Some(Kind::Mark('(')) => {
            cursor.next();
            let length = cursor.number("a payload's length", 0..=65_535)?.value as u32;
            cursor.expect_mark(')', "`)` after the payload's length")?;
            Payload::Length(length)
        }
        Some(Kind::Text(text)) => {
            cursor.next();
            match &text[..] {
                [Piece::Bytes(bytes)] => Payload::Bytes(bytes.clone()),
                pieces => Payload::Text(pieces.to_vec()),
            }
        }
        Some(Kind::Word(word)) if word == "hex" => {
            cursor.next();
            Payload::Bytes(cursor.hex()?)
        }
        _ => return Ok(false),
    };
    once(payload, value, "the payload", span)?;
    Ok(true)
}

/// `checksum bad`
pub(super) fn checksum_field(
    cursor: &mut Cursor<'_>,
    checksum: &mut Option<Checksum>,
    most: u64,
) -> Parse<bool> {
    let Some(span) = cursor.eat("checksum") else { return Ok(false) };
    let value = checksum_value(cursor, most)?;
    once(checksum, value, "`checksum`", span)?;
    Ok(true)
}

pub(super) fn checksum_value(cursor: &mut Cursor<'_>, most: u64) -> Parse<Checksum> {
    if cursor.eat("bad").is_some() {
        return Ok(Checksum::Bad);
    }
    if cursor.peek_word().and_then(parse_number).is_none() {
        return cursor.unexpected("`bad`, 0, or a number such as `0x1234`", ["bad"]).fail();
    }
    Ok(Checksum::Value(cursor.fit("a checksum", most)?))
}

fn udp_field(cursor: &mut Cursor<'_>, udp: &mut Udp, lite: bool) -> Parse<bool> {
    let span = cursor.here();
    match cursor.peek_word() {
        Some("len") if !lite => {
            cursor.next();
            once(&mut udp.length, cursor.fit("`len`", 65_535)?, "`len`", span)?;
        }
        Some("coverage") if lite => {
            cursor.next();
            once(&mut udp.coverage, cursor.fit("`coverage`", 65_535)?, "`coverage`", span)?;
        }
        _ => {
            return Ok(checksum_field(cursor, &mut udp.checksum, 65_535)?
                || payload_field(cursor, &mut udp.payload)?);
        }
    }
    Ok(true)
}

fn gre_field(cursor: &mut Cursor<'_>, gre: &mut Gre) -> Parse<bool> {
    let span = cursor.here();
    match cursor.peek_word() {
        Some("version") => {
            cursor.next();
            once(&mut gre.version, cursor.fit("`version`", 7)?, "`version`", span)?;
        }
        Some("call") => {
            cursor.next();
            once(&mut gre.call, cursor.fit("`call`", 65_535)?, "`call`", span)?;
        }
        Some("carries") => {
            cursor.next();
            once(&mut gre.carries, cursor.fit("`carries`", 65_535)?, "`carries`", span)?;
        }
        _ => return payload_field(cursor, &mut gre.payload),
    }
    Ok(true)
}
