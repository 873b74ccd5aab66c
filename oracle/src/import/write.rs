//! Writing the scenario of a capture, packet by packet, each planned as soon as it is written.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use conntruth_engine::{Class, Family, Knob, Profile};
use conntruth_sim::capture::{Capture, CaptureError};

use super::header::{self, About, Body as Found, Header, Piece, Seal};
use crate::language::ast::packet::{
    Body, Checksum, Chunk, Cut, Endpoint, Gre, HostRef, Icmp, IcmpKind, IcmpName, Ip, Packet, Path, Payload,
    Protocol, Quote, Quoted, Sctp, Seq, Tcp, Udp, Way,
};
use crate::language::ast::{Action, Flow, Length, Located, Name, Setting, Span, Step, Story};
use crate::language::words::ICMP_NAMES;
use crate::language::{self, Messages};
use crate::replay::Replayer;
use crate::scenario::{Act, Lane, Plan, Planner};
use crate::suite::{Blessing, bless};
use crate::target::{Reference, Target};

/// The most packets that a scenario is made of: nobody reads more.
pub const MOST_PACKETS: usize = 2_000;

/// The most bytes that stand in a line.
pub const MOST_RAW: usize = 5_000;

/// A scenario, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The file.
    pub text: String,
    /// Packets.
    pub packets: usize,
    /// Flows that were found.
    pub flows: usize,
    /// Packets that stand there as raw bytes.
    pub raw: usize,
    /// Packets whose class is the one that the capture's replay gives.
    pub agree: usize,
}

/// Why there is no scenario.
#[derive(Debug)]
pub enum Trouble {
    /// The capture cannot be read to its end.
    Capture(CaptureError),
    /// It has more packets than `MOST_PACKETS`.
    TooMany,
    /// There is no packet of IP in it.
    Empty,
    /// A packet for which there are no words has more than `MOST_RAW` bytes.
    TooLong {
        /// Which, counted from 1 over those of IP.
        packet: usize,
        /// Its length.
        length: usize,
    },
    /// No scenario can be made of it.
    Wrong(Messages),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Capture(error) => error.fmt(f),
            Trouble::TooMany => write!(
                f,
                "it has more than {MOST_PACKETS} packets, and a scenario is to be read: cut it first, with \
                 `tcpdump -r IN -w OUT host ...` or `editcap -r IN OUT 1-{MOST_PACKETS}`"
            ),
            Trouble::TooLong { packet, length } => write!(
                f,
                "packet {packet} has {length} bytes for which there are no words, and a line holds {MOST_RAW} as raw \
                 bytes: leave it out first, with `editcap IN OUT {packet}`"
            ),
            Trouble::Empty => f.write_str("there is no packet of IP in it"),
            Trouble::Wrong(messages) => messages.fmt(f),
        }
    }
}

impl std::error::Error for Trouble {}

/// A packet of the capture.
struct Caught {
    at: u64,
    bytes: Vec<u8>,
    /// What the capture's replay says of it.
    class: Class,
    header: Option<Header>,
}

/// Makes a scenario of a capture. `replayer` is fresh, with `settings` in force.
///
/// # Errors
/// When the capture cannot be read, or is no story.
pub fn import(
    name: &str,
    capture: &mut Capture<'_>,
    replayer: &mut Replayer,
    settings: &[(Knob, i64)],
    profile: &'static Profile,
) -> Result<Imported, Trouble> {
    let caught = catch(capture, replayer)?;
    let mut writer = Writer::new(&caught, settings).map_err(|message| wrong(name, *message))?;
    for (index, caught) in caught.iter().enumerate() {
        let is_raw = writer.packet(caught).map_err(|message| wrong(name, *message))?;
        if is_raw && caught.bytes.len() > MOST_RAW {
            return Err(Trouble::TooLong { packet: index + 1, length: caught.bytes.len() });
        }
    }
    let (flows, raw) = (writer.story.flows.len(), writer.raw);
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let text = format!(
        "# {} in {}, imported from {}.\n{}",
        count(caught.len(), "packet"),
        count(flows, "flow"),
        name.replace(['\n', '\r'], " "),
        writer.story
    );
    let mut reference = Reference::new(profile);
    let text = blessed(name, &text, &mut reference).map_err(Trouble::Wrong)?;
    let classes = classes(name, &text, &mut reference).map_err(Trouble::Wrong)?;
    let agree = caught.iter().zip(&classes).filter(|(caught, class)| caught.class == **class).count();
    Ok(Imported { text, packets: caught.len(), flows, raw, agree })
}

fn wrong(name: &str, message: language::Message) -> Trouble {
    Trouble::Wrong(Messages { name: name.to_owned(), text: String::new(), list: vec![message] })
}

fn catch(capture: &mut Capture<'_>, replayer: &mut Replayer) -> Result<Vec<Caught>, Trouble> {
    let mut all = Vec::new();
    while let Some(captured) = capture.next_packet().map_err(Trouble::Capture)? {
        let original = captured.original_len;
        let Some(record) = replayer.handle(&captured) else { continue };
        if all.len() == MOST_PACKETS {
            return Err(Trouble::TooMany);
        }
        let bytes = record.bytes.to_vec();
        let length = bytes.get(2..4).map_or(0, |field| u16::from_be_bytes([field[0], field[1]]));
        let offload = length == 0 && bytes.first().is_some_and(|first| first >> 4 == 4) && original > 0;
        let trusted = record.truncated || offload;
        let class = record.outcome.class;
        let header = Header::read(&bytes, trusted);
        all.push(Caught { at: record.time.as_nanos(), class, header, bytes });
    }
    if all.is_empty() { Err(Trouble::Empty) } else { Ok(all) }
}

fn planned(name: &str, text: &str) -> Result<Vec<Plan>, Messages> {
    let script = Arc::new(language::read(name, text)?);
    Plan::all(name, &script, conntruth_engine::LINUX_6_18.hz)
}

fn blessed(name: &str, text: &str, reference: &mut Reference) -> Result<String, Messages> {
    let script = Arc::new(language::read(name, text)?);
    Ok(match bless(name, &script, reference)? {
        Blessing::Nothing => text.to_owned(),
        Blessing::Text { text, .. } => language::format(name, &text)?,
    })
}

fn classes(name: &str, text: &str, reference: &mut dyn Target) -> Result<Vec<Class>, Messages> {
    let plans = planned(name, text)?;
    let records = plans.iter().map(|plan| plan.run(reference));
    Ok(records
        .flat_map(|record| record.seen)
        .filter_map(|seen| seen.packet.map(|packet| packet.class))
        .collect())
}

struct Writer {
    story: Story,
    planner: Planner,
    /// When the packet before came.
    before: Option<u64>,
    raw: usize,
}

type Mistake = Box<language::Message>;

impl Writer {
    fn new(caught: &[Caught], settings: &[(Knob, i64)]) -> Result<Writer, Mistake> {
        let family = caught.iter().find_map(|caught| Some(caught.header.as_ref()?.family()));
        let family = family.unwrap_or(Family::Ipv4);
        let located = |(knob, value): &(Knob, i64)| Setting { knob: at(*knob), value: at(*value) };
        let mut story = Story {
            families: vec![family],
            flows: flows(caught),
            settings: settings.iter().map(located).collect(),
            ..Story::default()
        };
        if let [only] = &mut story.flows[..] {
            only.name = None;
        }
        let planner = Planner::begin(&story, family, Lane::FIRST, conntruth_engine::LINUX_6_18.hz, false)?;
        Ok(Writer { story, planner, before: None, raw: 0 })
    }

    /// Writes a packet in words where they say what was captured, else in bytes; true of the latter.
    fn packet(&mut self, caught: &Caught) -> Result<bool, Mistake> {
        let since = caught.at.saturating_sub(self.before.unwrap_or(caught.at));
        self.before = Some(self.before.map_or(caught.at, |before| before.max(caught.at)));
        let after = (since > 0).then(|| at(Length { nanos: since, ticks: 0 }));
        let mut chosen = None;
        if let Some(header) = &caught.header {
            for candidate in self.candidates(header) {
                let step = step(after, candidate);
                if self.says(&step, header) {
                    chosen = Some(simplest(step, |step| self.says(step, header)));
                    break;
                }
            }
        }
        let is_raw = chosen.is_none();
        self.raw += usize::from(is_raw);
        let step = chosen.unwrap_or_else(|| step(after, raw(caught)));
        self.planner.moves.clear();
        self.planner.step(self.story.steps.len(), &step)?;
        self.story.steps.push(step);
        Ok(is_raw)
    }

    /// Whether a step means a packet with this header.
    fn says(&self, step: &Step, header: &Header) -> bool {
        let mut planner = self.planner.clone();
        planner.moves.clear();
        if planner.step(self.story.steps.len(), step).is_err() {
            return false;
        }
        match planner.moves.as_slice() {
            [only] => match &only.act {
                Act::Packet(sent) => Header::read(&sent.arrival.bytes, false).as_ref() == Some(header),
                _ => false,
            },
            _ => false,
        }
    }

    /// The packet with everything said, numbers relative or, should that not do, absolute.
    fn candidates(&self, header: &Header) -> Vec<Packet> {
        if !header.flows() {
            let [from, to] =
                header.ends.map(|address| Endpoint { host: HostRef::Address(address), port: None });
            let nothing = |_: u32| Seq::Absolute(0);
            let mut only = packet(Path::Hosts { from, to }, body(header, &nothing, &nothing));
            if let Found::Message { hops, .. } = &header.body {
                only.ip.ttl = Some(*hops);
            }
            return vec![only];
        }
        let Some((index, way)) = self.flow(header) else { return Vec::new() };
        let path = Path::Flow { flow: self.story.flows[index].name.clone(), way };
        let bases = match &self.planner.talks.talks[index].stack {
            crate::scenario::Stack::Tcp(talk) => talk.bases(way),
            _ => (0, 0),
        };
        let relative = |base: u32| {
            move |number: u32| match number.wrapping_sub(base) as i32 {
                // Numbers that are far off are better as they are.
                near @ -16_777_216..=16_777_216 => Seq::Relative(near.into()),
                _ => Seq::Absolute(number),
            }
        };
        let absolute = Seq::Absolute;
        let bodies =
            [body(header, &relative(bases.0), &relative(bases.1)), body(header, &absolute, &absolute)];
        bodies.into_iter().map(|body| packet(path.clone(), body)).collect()
    }

    /// The flow that a packet belongs to, and which way it goes.
    fn flow(&self, header: &Header) -> Option<(usize, Way)> {
        let [src, dst] = header.ends;
        let [sport, dport] = header.ports;
        self.story.flows.iter().enumerate().find_map(|(index, flow)| {
            if flow.protocol != header.protocol() || flow.id != header.id() {
                return None;
            }
            let is = |end: &Endpoint, address: IpAddr, port: u16| {
                matches!(end.host, HostRef::Address(own) if own == address) && end.port.unwrap_or(0) == port
            };
            let forth = is(&flow.from, src, sport) && is(&flow.to, dst, dport);
            let back = is(&flow.from, dst, dport) && is(&flow.to, src, sport);
            // Of a ping the request goes forth, whoever was captured first.
            let asks = match header.body {
                Found::Echo { asks, .. } => Some(asks),
                _ => None,
            };
            match (forth && asks != Some(false), back && asks != Some(true)) {
                (true, _) => Some((index, Way::Forth)),
                (_, true) => Some((index, Way::Back)),
                _ => None,
            }
        })
    }
}

const fn at<T>(value: T) -> Located<T> {
    Located { value, span: Span::new(0, 0) }
}

/// All flows, in the order of their first packets: who sent it stands on the left.
fn flows(caught: &[Caught]) -> Vec<Flow> {
    let mut flows: Vec<Flow> = Vec::new();
    let mut keys = std::collections::BTreeSet::new();
    for header in caught.iter().filter_map(|caught| caught.header.as_ref()).filter(|header| header.flows()) {
        let mut ends = [(header.ends[0], header.ports[0]), (header.ends[1], header.ports[1])];
        if matches!(header.body, Found::Echo { asks: false, .. }) {
            ends.reverse();
        }
        let protocol = header.protocol();
        let mut key = ends;
        key.sort();
        // Pings of both sides are two flows.
        let key = if header.id().is_some() { ends } else { key };
        if !keys.insert((protocol, key, header.id())) {
            continue;
        }
        let word = match protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
            Protocol::Gre => "gre",
            _ => "ping",
        };
        let number = flows.iter().filter(|flow| flow.protocol == protocol).count() + 1;
        let end = |(address, port): (IpAddr, u16)| Endpoint {
            host: HostRef::Address(address),
            port: header.has_ports().then_some(port),
        };
        flows.push(Flow {
            name: Some(at(format!("{word}{number}"))),
            protocol,
            from: end(ends[0]),
            to: end(ends[1]),
            id: header.id(),
            implied: false,
            span: Span::default(),
        });
    }
    flows
}

fn step(after: Option<Located<Length>>, packet: Packet) -> Step {
    Step {
        label: None,
        after,
        action: Action::Send { times: 1, packet: Box::new(packet) },
        claims: None,
        qualified: Vec::new(),
        span: Span::default(),
        action_span: Span::default(),
    }
}

fn packet(path: Path, body: Body) -> Packet {
    Packet {
        path,
        foreign: false,
        body,
        ip: Ip::default(),
        cut: Cut::Whole,
        pokes: Vec::new(),
        notrack: false,
        zone: None,
        stop: None,
    }
}

fn raw(caught: &Caught) -> Packet {
    let end = |name: &str| Endpoint { host: HostRef::Name(name_of(name)), port: None };
    packet(Path::Hosts { from: end("client"), to: end("server") }, Body::Raw(caught.bytes.clone()))
}

fn name_of(name: &str) -> Name {
    at(name.to_owned())
}

fn body(header: &Header, own: &dyn Fn(u32) -> Seq, peer: &dyn Fn(u32) -> Seq) -> Body {
    let payload = (header.payload > 0).then_some(Payload::Length(header.payload));
    let checksum = match header.seal {
        Seal::Right => None,
        Seal::Wrong => Some(Checksum::Bad),
        Seal::None => Some(Checksum::Value(0)),
    };
    match &header.body {
        Found::Tcp { flags, seq, ack, window, urgent, options } => Body::Tcp(Tcp {
            flags: *flags,
            seq: Some(own(*seq)),
            ack: Some(peer(*ack)),
            window: Some(*window),
            options: Some(header::options(options, peer)),
            urgent: Some(*urgent),
            data_offset: None,
            checksum,
            payload,
        }),
        Found::Udp => Body::Udp(Udp { length: None, coverage: None, checksum, payload }),
        Found::Echo { seq, .. } => Body::Icmp(Icmp {
            version: None,
            kind: None,
            id: None,
            seq: Some(*seq),
            rest: None,
            quote: None,
            checksum,
            payload,
        }),
        Found::Message { kind, code, rest, about, .. } => {
            Body::Icmp(message(header, *kind, *code, *rest, about, checksum))
        }
        Found::Sctp { tag, chunks } => {
            Body::Sctp(Sctp { tag: Some(*tag), chunks: chunks.iter().map(chunk).collect(), checksum })
        }
        Found::Gre { version, call, carries } => {
            Body::Gre(Gre { version: Some(*version), call: *call, carries: Some(*carries), payload })
        }
    }
}

fn chunk(piece: &Piece) -> Chunk {
    Chunk {
        kind: piece.kind,
        flags: Some(piece.flags),
        tag: piece.tag,
        length: None,
        payload: Some(Payload::Length(piece.payload)),
    }
}

/// A message of ICMP by its name, where it has one.
fn message(
    header: &Header,
    kind: u8,
    code: u8,
    rest: u32,
    about: &About,
    checksum: Option<Checksum>,
) -> Icmp {
    let numbers = |name: &&IcmpName| match header.family() {
        Family::Ipv4 => name.v4 == Some((kind, code)),
        Family::Ipv6 => name.v6 == Some((kind, code)),
    };
    let (quote, payload) = match about {
        About::Bytes(bytes) if bytes.is_empty() => (None, None),
        About::Bytes(bytes) => (None, Some(Payload::Bytes(bytes.clone()))),
        About::Packet { ends, ports, is_tcp, whole, quoted } => {
            let end = |at: usize| Endpoint { host: HostRef::Address(ends[at]), port: Some(ports[at]) };
            let path = Path::Hosts { from: end(0), to: end(1) };
            let network = if ends[0].is_ipv4() { 20 } else { 40 };
            let carried = u32::from(*whole) - network - if *is_tcp { 20 } else { 8 };
            let payload = (carried > 0).then_some(Payload::Length(carried));
            let body = match is_tcp {
                // Nobody reads more of it than its ports.
                true => Body::Tcp(Tcp { flags: 0x10, options: Some(Vec::new()), payload, ..Tcp::default() }),
                false => Body::Udp(Udp { payload, ..Udp::default() }),
            };
            let what = Quoted::Packet(Box::new(packet(path, body)));
            (Some(Quote { what, bytes: Some(*quoted) }), None)
        }
    };
    Icmp {
        version: None,
        kind: Some(match ICMP_NAMES.iter().find(numbers) {
            Some(name) => IcmpKind::Named(name),
            None => IcmpKind::Numbers { kind, code },
        }),
        id: None,
        seq: None,
        rest: Some(rest),
        quote,
        checksum,
        payload,
    }
}

/// Leaves out whatever goes without saying.
fn simplest(mut step: Step, says: impl Fn(&Step) -> bool) -> Step {
    let leave_out: [fn(&mut Body); 12] = [
        |body| {
            if let Body::Icmp(icmp) = body {
                icmp.rest = icmp.rest.filter(|rest| *rest != 0)
            }
        },
        |body| {
            if let Body::Icmp(Icmp { quote: Some(quote), .. }) = body {
                quote.bytes = None
            }
        },
        |body| {
            if let Body::Sctp(sctp) = body {
                sctp.tag = None
            }
        },
        |body| {
            if let Body::Sctp(sctp) = body {
                sctp.chunks.iter_mut().for_each(|chunk| chunk.flags = None)
            }
        },
        |body| {
            if let Body::Sctp(sctp) = body {
                sctp.chunks.iter_mut().for_each(|chunk| chunk.payload = None)
            }
        },
        |body| {
            if let Body::Gre(gre) = body {
                gre.version = gre.version.filter(|version| *version != 0);
                gre.carries = None
            }
        },
        |body| {
            if let Body::Tcp(tcp) = body {
                tcp.urgent = None
            }
        },
        |body| {
            if let Body::Tcp(tcp) = body {
                tcp.seq = None
            }
        },
        |body| {
            if let Body::Tcp(tcp) = body {
                tcp.ack = None
            }
        },
        |body| {
            if let Body::Tcp(tcp) = body {
                tcp.window = None
            }
        },
        |body| {
            if let Body::Tcp(tcp) = body {
                tcp.options = None
            }
        },
        |body| {
            if let Body::Icmp(icmp) = body {
                icmp.seq = None
            }
        },
    ];
    let of_body = leave_out.map(|leave_out| move |packet: &mut Packet| leave_out(&mut packet.body));
    let all = of_body.iter().map(|leave_out| leave_out as &dyn Fn(&mut Packet));
    for leave_out in all.chain([&(|packet: &mut Packet| packet.ip.ttl = None) as &dyn Fn(&mut Packet)]) {
        let mut simpler = step.clone();
        if let Action::Send { packet, .. } = &mut simpler.action {
            leave_out(packet);
        }
        if simpler != step && says(&simpler) {
            step = simpler;
        }
    }
    step
}
