//! The flows of a story, who talks on them, and every packet that was built: what a step means when it says `web >`,
//! `again A`, `quote A`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use conntruth_engine::{Family, Time, Tuple, protocol};

use crate::language::Message;
use crate::language::ast::packet::{
    AddressStyle, Body, Endpoint, Icmp as SaidIcmp, Packet, Path as SaidPath, Payload, Piece, Protocol,
    Quoted, Tcp, Way,
};
use crate::language::ast::{Name, Span, Story};
use crate::packet::{Ip, Quote, flag};
use crate::target::Path;

use super::build::{self, Built};
use super::places::{Lane, Places, Spot, family_of};
use super::stack::{Pings, SctpTalk, Stack, TcpTalk, side};

/// A packet's way through the tracker.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Sender and receiver.
    pub spots: [Spot; 2],
    /// Their ports; zero for protocols without.
    pub ports: [u16; 2],
    /// The flow it belongs to.
    pub talk: Option<usize>,
    /// Which way along it.
    pub way: Way,
}

impl Route {
    /// The hooks it passes.
    pub fn path(&self) -> Path {
        match self.spots.map(|spot| spot.side) {
            [Some(_), Some(_)] => Path::Forward,
            [Some(_), None] => Path::Input,
            [None, Some(_)] => Path::Output,
            [None, None] => Path::Loopback,
        }
    }
}

/// A flow and its two ends.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    /// As the story calls it; none for the only flow, and for packets by address.
    pub name: Option<String>,
    /// It has a `flow` line.
    pub written: bool,
    pub protocol: Protocol,
    pub spots: [Spot; 2],
    pub ports: [u16; 2],
    pub stack: Stack,
}

impl Talk {
    /// What an entry of this flow has for a tuple, in one of its directions.
    pub fn tuple(&self) -> Tuple {
        let family = family_of(self.spots[0].address);
        let (src_id, dst_id) = match (&self.stack, family) {
            (Stack::Icmp(pings), Family::Ipv4) => (pings.id, 8 << 8),
            (Stack::Icmp(pings), Family::Ipv6) => (pings.id, 128 << 8),
            _ => (self.ports[0], self.ports[1]),
        };
        Tuple {
            src: self.spots[0].address.into(),
            dst: self.spots[1].address.into(),
            src_id,
            dst_id,
            protocol: number(self.protocol, family),
            family,
        }
    }
}

/// The protocol's number.
pub(crate) fn number(protocol: Protocol, family: Family) -> u8 {
    match (protocol, family) {
        (Protocol::Tcp, _) => protocol::TCP,
        (Protocol::Udp, _) => protocol::UDP,
        (Protocol::UdpLite, _) => protocol::UDPLITE,
        (Protocol::Icmp(Some(Family::Ipv4)), _) | (Protocol::Icmp(None), Family::Ipv4) => protocol::ICMP,
        (Protocol::Icmp(_), _) => protocol::ICMPV6,
        (Protocol::Sctp, _) => protocol::SCTP,
        (Protocol::Gre, _) => protocol::GRE,
        (Protocol::Other(number), _) => number,
    }
}

/// A packet that can be sent again, or quoted.
#[derive(Clone, Debug)]
struct Labelled {
    /// As it was before it was cut up.
    built: Built,
    /// The first piece that went out.
    sent: Vec<u8>,
}

/// All flows of one world.
#[derive(Clone, Debug)]
pub(crate) struct Talks {
    pub places: Places,
    pub talks: Vec<Talk>,
    labels: BTreeMap<String, Labelled>,
    /// The IP identification of the next packet.
    next_id: u32,
    /// Whether packets are put into words, for people.
    worded: bool,
}

impl Talks {
    /// The flows that a story declares.
    ///
    /// # Errors
    /// When a host is unknown, or a port is missing.
    pub fn new(story: &Story, family: Family, lane: Lane, worded: bool) -> Result<Talks, Box<Message>> {
        let mut talks = Talks {
            places: Places::new(story, family, lane),
            talks: Vec::with_capacity(story.flows.len()),
            labels: BTreeMap::new(),
            next_id: 1,
            worded,
        };
        for flow in &story.flows {
            let (spots, ports) = talks.ends(&flow.from, &flow.to, flow.protocol, flow.span)?;
            let name = flow.name.as_ref().map(|name| name.value.clone());
            let mut stack = stack(flow.protocol, spots[0]);
            if let (Stack::Icmp(pings), Some(id)) = (&mut stack, flow.id) {
                pings.id = id;
            }
            talks.talks.push(Talk { name, written: true, protocol: flow.protocol, spots, ports, stack });
        }
        Ok(talks)
    }

    /// The protocols of all flows, as trackers are named after them.
    pub fn protocols(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.talks.iter().map(|talk| match talk.tuple().protocol_name() {
            "unknown" => "generic",
            name => name,
        })
    }

    /// The flow of that name, or the only one.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, name: Option<&Name>, span: Span) -> Result<usize, Box<Message>> {
        let Some(name) = name else {
            let mut written = (0..self.talks.len()).filter(|index| self.talks[*index].written);
            return match (written.next(), written.next(), self.talks.len()) {
                (Some(only), None, _) => Ok(only),
                (None, _, 1) => Ok(0),
                (None, ..) => Err(Message::new("there is no flow", span)
                    .help("declare one: `flow tcp client:40000 > server:80`")
                    .into()),
                _ => {
                    Err(Message::new("which flow?", span).help(format!("there are {}", self.names())).into())
                }
            };
        };
        let found = self.talks.iter().position(|talk| talk.name.as_ref() == Some(&name.value));
        found.ok_or_else(|| {
            Message::new(format!("there is no flow `{}`", name.value), name.span)
                .help(format!("there are {}", self.names()))
                .into()
        })
    }

    /// Keeps a packet to be quoted or sent again.
    pub fn label(&mut self, name: &Name, built: &Built, sent: &[u8]) {
        self.labels.insert(name.value.clone(), Labelled { built: built.clone(), sent: sent.to_vec() });
    }

    /// Builds a packet, and lets the honest stacks know of it. `arrives`: the receiver will see it.
    ///
    /// # Errors
    /// When something is not known: a host, a flow, a label.
    pub fn packet(
        &mut self,
        said: &Packet,
        at: Time,
        arrives: bool,
        span: Span,
    ) -> Result<Built, Box<Message>> {
        if let Body::Again(label) = &said.body {
            return self.again(said, label);
        }
        let said = &*self.spelled(said, span)?;
        let route = self.route(said, span)?;
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let ip = build::header(&route, &said.ip, id);
        let (protocol, payload, shown) = self.body(&ip, &route, &said.body, at, arrives, span)?;
        let raw = match &said.body {
            Body::Raw(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let protocol = said.ip.protocol.unwrap_or(protocol);
        Ok(Built {
            ip,
            protocol,
            payload,
            raw,
            shown,
            route,
            notrack: said.notrack,
            zone: said.zone.unwrap_or(0),
        })
    }

    /// A packet with the addresses in its text written out.
    ///
    /// # Errors
    /// When a host is unknown or has no address of the family.
    fn spelled<'p>(&mut self, said: &'p Packet, span: Span) -> Result<Cow<'p, Packet>, Box<Message>> {
        let mut packet = Cow::Borrowed(said);
        if said.body.pieces().is_empty() {
            return Ok(packet);
        }
        let family = self.family(said, span)?;
        if let Some(payload) = packet.to_mut().body.payload_mut()
            && let Payload::Text(pieces) = payload
        {
            let mut text = Vec::new();
            for piece in pieces.iter() {
                match piece {
                    Piece::Bytes(bytes) => text.extend_from_slice(bytes),
                    Piece::Address { host, style } => {
                        text.extend(written(self.places.only(host, family)?, *style).into_bytes());
                    }
                }
            }
            *payload = Payload::Bytes(text);
        }
        Ok(packet)
    }

    /// The family of a packet.
    fn family(&mut self, said: &Packet, span: Span) -> Result<Family, Box<Message>> {
        Ok(family_of(self.route(said, span)?.spots[0].address))
    }

    /// The three segments of a handshake.
    ///
    /// # Errors
    /// When there is no such flow, or it speaks something else.
    pub fn opened(&mut self, flow: Option<&Name>, at: Time, span: Span) -> Result<[Built; 3], Box<Message>> {
        let talk = self.find(flow, span)?;
        if self.talks[talk].protocol != Protocol::Tcp {
            return Err(Message::new("only TCP is opened", span).into());
        }
        let mut segment = |way: Way, flags: u8| -> Result<Built, Box<Message>> {
            let body = Body::Tcp(Tcp { flags, ..Tcp::default() });
            let route = self.along(talk, way);
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            let ip = build::header(&route, &Default::default(), id);
            let (protocol, payload, shown) = self.body(&ip, &route, &body, at, true, span)?;
            Ok(Built { ip, protocol, payload, raw: None, shown, route, notrack: false, zone: 0 })
        };
        Ok([
            segment(Way::Forth, flag::SYN)?,
            segment(Way::Back, flag::SYN | flag::ACK)?,
            segment(Way::Forth, flag::ACK)?,
        ])
    }

    fn again(&mut self, said: &Packet, label: &Name) -> Result<Built, Box<Message>> {
        let mut built = self.labelled(label)?.built.clone();
        built.ip = build::changed(&built.ip, &said.ip);
        built.protocol = said.ip.protocol.unwrap_or(built.protocol);
        if said.path != SaidPath::Same {
            built.route = self.route(said, label.span)?;
        }
        (built.notrack, built.zone) = (said.notrack, said.zone.unwrap_or(built.zone));
        built.shown = format!("again {}: {}", label.value, built.shown);
        Ok(built)
    }

    fn labelled(&self, label: &Name) -> Result<&Labelled, Box<Message>> {
        self.labels.get(&label.value).ok_or_else(|| {
            Message::new(format!("no packet is labelled `{}` up to here", label.value), label.span)
                .help("write `NAME:` in front of the packet's line")
                .into()
        })
    }

    fn body(
        &mut self,
        ip: &Ip,
        route: &Route,
        body: &Body,
        at: Time,
        arrives: bool,
        span: Span,
    ) -> Result<(u8, Vec<u8>, String), Box<Message>> {
        let quoted = match body {
            Body::Icmp(icmp) => self.quoted(icmp, at, span)?,
            _ => Vec::new(),
        };
        let mut spare = None;
        let stack = match route.talk {
            Some(talk) => Some(&mut self.talks[talk].stack),
            None => spare.as_mut(),
        };
        Ok(match body {
            Body::Tcp(said) => {
                let payload = build::payload(said.payload.as_ref());
                let mut lone = TcpTalk::new(1460);
                let talk = if let Some(Stack::Tcp(talk)) = stack { talk } else { &mut lone };
                let mut segment = talk.fill(route.way, said, (at.as_nanos() / 1_000_000) as u32 + 1000);
                [segment.sport, segment.dport] = route.ports;
                let shown = match self.worded {
                    true => build::shown_tcp(&segment, talk.bases(route.way), payload.len()),
                    false => String::new(),
                };
                talk.sent(route.way, &segment, payload.len() as u32, arrives);
                (protocol::TCP, segment.bytes(ip, &payload), shown)
            }
            Body::Udp(said) => build::udp(ip, said, route.ports, false),
            Body::UdpLite(said) => build::udp(ip, said, route.ports, true),
            Body::Icmp(said) => build::icmp(ip, said, stack, route.way == Way::Forth, &quoted, span)?,
            Body::Sctp(said) => {
                let mut lone = SctpTalk::new();
                let talk = if let Some(Stack::Sctp(talk)) = stack { talk } else { &mut lone };
                let (mut header, chunks) = talk.fill(route.way, said);
                [header.sport, header.dport] = route.ports;
                let names = said.chunks.iter().map(|chunk| chunk_name(chunk.kind)).collect::<Vec<_>>();
                (protocol::SCTP, header.bytes(&chunks), names.join(" + "))
            }
            Body::Gre(said) => {
                let (bytes, shown) = build::gre(said);
                (protocol::GRE, bytes, shown)
            }
            Body::Other { protocol, payload } => {
                let payload = build::payload(payload.as_ref());
                let shown = format!("proto {protocol} ({})", payload.len());
                (*protocol, payload, shown)
            }
            Body::Raw(bytes) => (0, Vec::new(), format!("raw ({})", bytes.len())),
            Body::Again(label) => {
                let built = &self.labelled(label)?.built;
                (built.protocol, built.payload.clone(), built.shown.clone())
            }
        })
    }

    fn quoted(&mut self, icmp: &SaidIcmp, at: Time, span: Span) -> Result<Vec<u8>, Box<Message>> {
        let Some(quote) = &icmp.quote else { return Ok(Vec::new()) };
        let bytes = match &quote.what {
            Quoted::Raw(bytes) => bytes.clone(),
            Quoted::Label(label) => self.labelled(label)?.sent.clone(),
            // Never sent: the hosts do not come to know of it.
            Quoted::Packet(said) => {
                let built = self.clone().packet(said, at, false, span)?;
                super::cut::pieces(&built, &said.cut, &said.pokes, span)?
                    .into_iter()
                    .next()
                    .unwrap_or_default()
            }
        };
        let most = quote.bytes.map_or(Quote::Usual, |bytes| Quote::Bytes(bytes as usize));
        Ok(most.of(&bytes).to_vec())
    }

    fn route(&mut self, said: &Packet, span: Span) -> Result<Route, Box<Message>> {
        match &said.path {
            SaidPath::Flow { flow, way } => {
                let talk = self.find(flow.as_ref(), span)?;
                Ok(self.along(talk, *way))
            }
            SaidPath::Hosts { from, to } => self.between(said, from, to, span),
            SaidPath::Same => Err(Message::new("only `again` goes where another packet went", span).into()),
        }
    }

    fn along(&self, talk: usize, way: Way) -> Route {
        let (mut spots, mut ports) = (self.talks[talk].spots, self.talks[talk].ports);
        if way == Way::Back {
            spots.reverse();
            ports.reverse();
        }
        Route { spots, ports, talk: Some(talk), way }
    }

    /// The way of a packet by address: along a flow between these ends should there be one.
    fn between(
        &mut self,
        said: &Packet,
        from: &Endpoint,
        to: &Endpoint,
        span: Span,
    ) -> Result<Route, Box<Message>> {
        let Some(protocol) = protocol_of(&said.body) else {
            let spots = self.places.ends(from, to)?;
            return Ok(Route { spots, ports: [0; 2], talk: None, way: Way::Forth });
        };
        let (spots, ports) = self.ends(from, to, protocol, span)?;
        if build::is_error(&said.body) {
            return Ok(Route { spots, ports, talk: None, way: Way::Forth });
        }
        let same = |talk: &Talk, way: Way| {
            let (left, right) = (side(way), 1 - side(way));
            talk.protocol == protocol
                && [talk.spots[left].address, talk.spots[right].address] == spots.map(|spot| spot.address)
                && [talk.ports[left], talk.ports[right]] == ports
        };
        for way in [Way::Forth, Way::Back] {
            if let Some(talk) = self.talks.iter().position(|talk| same(talk, way)) {
                return Ok(Route { spots, ports, talk: Some(talk), way });
            }
        }
        let stack = stack(protocol, spots[0]);
        self.talks.push(Talk { name: None, written: false, protocol, spots, ports, stack });
        Ok(Route { spots, ports, talk: Some(self.talks.len() - 1), way: Way::Forth })
    }

    fn ends(
        &self,
        from: &Endpoint,
        to: &Endpoint,
        protocol: Protocol,
        span: Span,
    ) -> Result<([Spot; 2], [u16; 2]), Box<Message>> {
        let spots = self.places.ends(from, to)?;
        let has_ports =
            matches!(protocol, Protocol::Tcp | Protocol::Udp | Protocol::UdpLite | Protocol::Sctp);
        let ports = [from.port, to.port];
        if has_ports && ports.contains(&None) {
            return Err(Message::new("a port is missing", span)
                .help("write `HOST:PORT` on both sides")
                .into());
        }
        Ok((spots, ports.map(Option::unwrap_or_default)))
    }

    fn names(&self) -> String {
        let names: Vec<String> =
            self.talks.iter().filter_map(|talk| talk.name.as_ref()).map(|name| format!("`{name}`")).collect();
        if names.is_empty() { "none with a name".to_owned() } else { names.join(", ") }
    }
}

fn stack(protocol: Protocol, spot: Spot) -> Stack {
    match protocol {
        Protocol::Tcp => Stack::Tcp(TcpTalk::new(if spot.address.is_ipv4() { 1460 } else { 1440 })),
        Protocol::Sctp => Stack::Sctp(SctpTalk::new()),
        Protocol::Icmp(_) => Stack::Icmp(Pings { id: 1, sequence: 0 }),
        _ => Stack::Plain,
    }
}

fn protocol_of(body: &Body) -> Option<Protocol> {
    Some(match body {
        Body::Tcp(_) => Protocol::Tcp,
        Body::Udp(_) => Protocol::Udp,
        Body::UdpLite(_) => Protocol::UdpLite,
        Body::Icmp(icmp) => Protocol::Icmp(icmp.version),
        Body::Sctp(_) => Protocol::Sctp,
        Body::Gre(_) => Protocol::Gre,
        Body::Other { protocol, .. } => Protocol::Other(*protocol),
        Body::Raw(_) | Body::Again(_) => return None,
    })
}

fn chunk_name(kind: u8) -> String {
    let named = crate::language::words::CHUNKS.iter().find(|(_, number)| *number == kind);
    named.map_or_else(|| format!("chunk {kind}"), |(name, _)| (*name).to_owned())
}

/// An address as texts have it.
fn written(address: IpAddr, style: AddressStyle) -> String {
    let first_four = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.octets();
            [a, b, c, d]
        }
    };
    match style {
        AddressStyle::Plain => address.to_string(),
        AddressStyle::Number => u32::from_be_bytes(first_four).to_string(),
        AddressStyle::WithPort(port) => {
            let [a, b, c, d] = first_four;
            format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff)
        }
    }
}
