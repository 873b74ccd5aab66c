//! What a step sends: from whom to whom, of which protocol, with which fields said. A field that is `None` gets what an
//! honest stack would send.

use std::net::IpAddr;

use conntruth_engine::{Family, Hook};

use super::Name;

/// `web > S. win 65160 <mss 1460>`, `client > server icmp unreachable port quote A`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// From whom to whom.
    pub path: Path,
    /// Whether a protocol is written that is not the flow's: `web < icmp unreachable port quote A`.
    pub foreign: bool,
    /// The protocol and its fields.
    pub body: Body,
    /// Fields of the network header.
    pub ip: Ip,
    /// How the finished packet is cut up, if it is.
    pub cut: Cut,
    /// `poke 13 hex 50`: bytes written over the finished packet, counted from its first; no checksum is repaired.
    pub pokes: Vec<Poke>,
    /// `notrack`: a raw rule says so for this packet.
    pub notrack: bool,
    /// `zone 5`: a raw rule puts this packet into a zone.
    pub zone: Option<u16>,
    /// `lost in forward`, `waits in forward`: it stops between tracking and confirmation.
    pub stop: Option<Stop>,
}

/// From whom to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `web >`, `<`: along a flow.
    Flow {
        /// The only one where nothing is said.
        flow: Option<Name>,
        /// Which way.
        way: Way,
    },
    /// `client:5000 > server:53`: by address. From or to `box` it is a local packet: OUTPUT, INPUT.
    Hosts {
        /// The sender.
        from: Endpoint,
        /// The receiver.
        to: Endpoint,
    },
    /// `again A`: where that packet went.
    Same,
}

/// Which way along a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// `>`: from the left side of the flow's line to the right.
    Forth,
    /// `<`
    Back,
}

/// `client`, `client:5000`, `10.9.9.9`, `[fd00::1]:80`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Who.
    pub host: HostRef,
    /// The port, where one was written.
    pub port: Option<u16>,
}

/// A host by name, or just an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRef {
    /// A name; stands for its address of the family at hand.
    Name(Name),
    /// A literal address, of whoever.
    Address(IpAddr),
}

/// What a flow or a packet speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `udplite`
    UdpLite,
    /// `icmp`: ICMP over IPv4 and ICMPv6 over IPv6; `icmpv4` and `icmpv6` insist on one of them, whatever carries it.
    Icmp(Option<Family>),
    /// `sctp`
    Sctp,
    /// `gre`
    Gre,
    /// `proto 8`: any number.
    Other(u8),
}

/// A packet without its network header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `S. win 65160`
    Tcp(Tcp),
    /// `(40)`, `(40) len 20`
    Udp(Udp),
    /// The same, with `coverage`.
    UdpLite(Udp),
    /// `echo request id 5 seq 1`
    Icmp(Icmp),
    /// `INIT tag 1`
    Sctp(Sctp),
    /// `version 1 call 7`
    Gre(Gre),
    /// `proto 8 (20)`
    Other {
        /// The protocol's number.
        protocol: u8,
        /// All that follows the network header.
        payload: Option<Payload>,
    },
    /// `raw 45 00 ...`: the whole packet, network header included. Only [`Cut`] and [`Poke`] apply.
    Raw(Vec<u8>),
    /// `again A`: the very bytes of an earlier packet (before it was cut up), with its own [`Packet::path`].
    Again(Name),
}

impl Body {
    /// The parts of a text with addresses in it, where it carries one.
    pub fn pieces(&self) -> &[Piece] {
        let payload = match self {
            Body::Tcp(tcp) => &tcp.payload,
            Body::Udp(udp) | Body::UdpLite(udp) => &udp.payload,
            Body::Icmp(icmp) => &icmp.payload,
            Body::Gre(gre) => &gre.payload,
            Body::Other { payload, .. } => payload,
            Body::Sctp(_) | Body::Raw(_) | Body::Again(_) => &None,
        };
        match payload {
            Some(Payload::Text(pieces)) => pieces,
            _ => &[],
        }
    }

    /// What it carries, where it carries one thing; none where the rest of it is all there is.
    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Body::Tcp(tcp) => tcp.payload.as_mut(),
            Body::Udp(udp) | Body::UdpLite(udp) => udp.payload.as_mut(),
            Body::Icmp(icmp) => icmp.payload.as_mut(),
            Body::Gre(gre) => gre.payload.as_mut(),
            Body::Other { payload, .. } => payload.as_mut(),
            Body::Sctp(_) | Body::Raw(_) | Body::Again(_) => None,
        }
    }

    /// What it speaks; nothing for whole packets.
    pub fn protocol(&self) -> Option<Protocol> {
        match self {
            Body::Tcp(_) => Some(Protocol::Tcp),
            Body::Udp(_) => Some(Protocol::Udp),
            Body::UdpLite(_) => Some(Protocol::UdpLite),
            Body::Icmp(icmp) => Some(Protocol::Icmp(icmp.version)),
            Body::Sctp(_) => Some(Protocol::Sctp),
            Body::Gre(_) => Some(Protocol::Gre),
            Body::Other { protocol, .. } => Some(Protocol::Other(*protocol)),
            Body::Raw(_) | Body::Again(_) => None,
        }
    }
}

/// A segment: `FLAGS [seq] [ack] [win] [<options>] ...`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// The flag bits as in the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// `1:1461(1460)` or `seq next+1000`.
    pub seq: Option<Seq>,
    /// `ack 1`; also without the ACK flag it is put into the header.
    pub ack: Option<Seq>,
    /// `win 257`: the raw field, not scaled.
    pub window: Option<u16>,
    /// `<mss 1460,sackOK>`; `Some(vec![])` for `<>`: none at all.
    pub options: Option<Vec<TcpOption>>,
    /// `urg 5`: the urgent pointer.
    pub urgent: Option<u16>,
    /// `doff 6`: in words, 0 to 15; the options are not changed by it.
    pub data_offset: Option<u8>,
    /// `checksum bad`
    pub checksum: Option<Checksum>,
    /// `(1460)`, `"text"`, `hex 00 ff`
    pub payload: Option<Payload>,
}

/// A sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seq {
    /// `1461`, `-1`: counted from the direction's first sequence number (for `ack` and `sack`: the other direction's).
    Relative(i64),
    /// `next`, `next+1000`, `next-1`: counted from what would be honest.
    Next(i64),
    /// `abs 4294967295`: as it goes on the wire.
    Absolute(u32),
}

/// One of the `<...>` of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// `mss 1460`
    Mss(u16),
    /// `sackOK`
    SackPermitted,
    /// `wscale 7`; any number, also those over 14
    WindowScale(u8),
    /// `sack 1001:2001 3001:4001`
    Sack(Vec<(Seq, Seq)>),
    /// `TS val 100 ecr 5`; `TS` alone: what would be honest
    Timestamps(Option<(u32, u32)>),
    /// `nop`
    Nop,
    /// `eol`
    Eol,
    /// `hex fe 04 aa bb`: bytes as they are, kind and length included
    Raw(Vec<u8>),
}

/// A datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    /// `len 20`: the length field.
    pub length: Option<u16>,
    /// `coverage 8`: UDP-Lite's field in the same place.
    pub coverage: Option<u16>,
    /// `checksum 0`
    pub checksum: Option<Checksum>,
    /// `(40)`
    pub payload: Option<Payload>,
}

/// An ICMP or ICMPv6 message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// `icmpv4` or `icmpv6` where one was insisted on.
    pub version: Option<Family>,
    /// Which message. `None` on an ICMP flow: `>` is an echo request and `<` its reply.
    pub kind: Option<IcmpKind>,
    /// `id 5`
    pub id: Option<u16>,
    /// `seq 1`
    pub seq: Option<u16>,
    /// `rest 1280`: the four bytes after the checksum as one number (a next-hop MTU, a pointer, a gateway).
    pub rest: Option<u32>,
    /// `quote A`: what an error is about.
    pub quote: Option<Quote>,
    /// `checksum bad`
    pub checksum: Option<Checksum>,
    /// `(56)`; after a quote it follows the quoted bytes
    pub payload: Option<Payload>,
}

/// Type and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// By name: a row of [`super::super::words::ICMP_NAMES`], which knows the numbers of both families.
    Named(&'static IcmpName),
    /// `type 9 code 0`
    Numbers {
        /// The type.
        kind: u8,
        /// The code, 0 where nothing is said.
        code: u8,
    },
}

/// A message by name, with its type and code in either family.
#[derive(Debug, PartialEq, Eq)]
pub struct IcmpName {
    /// As it is written: `unreachable port`.
    pub words: &'static str,
    /// In ICMP.
    pub v4: Option<(u8, u8)>,
    /// In ICMPv6.
    pub v6: Option<(u8, u8)>,
}

/// `quote A bytes 20`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What.
    pub what: Quoted,
    /// Only so many of its first bytes, all of them where nothing is said (IPv4: as many as fit 576 bytes).
    pub bytes: Option<u32>,
}

/// What an ICMP error quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quoted {
    /// `quote A`: a packet that was sent.
    Label(Name),
    /// `quote (client:1 > server:2 udp (40))`: one that was not.
    Packet(Box<Packet>),
    /// `quote hex 45 00 ...`
    Raw(Vec<u8>),
}

/// SCTP chunks behind one common header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sctp {
    /// `vtag 7`: the verification tag; what the peer asked for where nothing is said (0 with INIT).
    pub tag: Option<u32>,
    /// `INIT tag 1`, `COOKIE_ECHO + DATA (20)`
    pub chunks: Vec<Chunk>,
    /// `checksum bad`
    pub checksum: Option<Checksum>,
}

/// One chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Its number: 1 for INIT; see [`super::super::words::CHUNKS`].
    pub kind: u8,
    /// `flags 1`
    pub flags: Option<u8>,
    /// `tag 1`: the initiate tag of INIT and INIT_ACK.
    pub tag: Option<u32>,
    /// `length 3`: the length field.
    pub length: Option<u16>,
    /// What follows the fixed fields.
    pub payload: Option<Payload>,
}

/// Generic routing encapsulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gre {
    /// `version 1`: PPTP's kind, with a key of payload length and call.
    pub version: Option<u8>,
    /// `call 7`: version 1's call, version 0's key.
    pub call: Option<u16>,
    /// `carries 0x880b`: the protocol inside.
    pub carries: Option<u16>,
    /// `(20)`
    pub payload: Option<Payload>,
}

/// Bytes that a protocol carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// `(1460)`: so many, whatever they are.
    Length(u32),
    /// `"GET /\r\n"` or `hex 00 ff`
    Bytes(Vec<u8>),
    /// `"PORT \{client,4242}\r\n"`: a text with addresses in it.
    Text(Vec<Piece>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Bytes(Vec<u8>),
    /// `\{client}`: the address of a host in the family at hand.
    Address {
        /// The host.
        host: Name,
        /// How it is written.
        style: AddressStyle,
    },
}

/// How an address is written in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressStyle {
    /// `\{client}`: `10.0.0.1`, `fd00:a::1`
    Plain,
    /// `\{client,4242}`: `10,0,0,1,16,146`, as FTP's PORT has it; of IPv6 the first four bytes.
    WithPort(u16),
    /// `\{client#}`: `167772161`, as IRC's DCC has it; of IPv6 the first four bytes.
    Number,
}

/// A checksum that is not simply right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// `bad`: the right one, inverted where that differs.
    Bad,
    /// `0`, `0x1234`: as it goes on the wire.
    Value(u32),
}

/// Fields of the network header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ip {
    /// `ttl 1`: or the hop limit.
    pub ttl: Option<u8>,
    /// `tos 0x10`: or the traffic class.
    pub tos: Option<u8>,
    /// `ipid 7`: the identification, also of IPv6 fragments.
    pub id: Option<u32>,
    /// `dontfrag`, `dontfrag 0`
    pub dont_fragment: Option<bool>,
    /// `ipopt 94 04 00 00`: IPv4 options; padded to a whole word.
    pub options: Option<Vec<u8>>,
    /// `iplen 20`: the total length, or IPv6's payload length.
    pub length: Option<u16>,
    /// `ihl 4`
    pub header_words: Option<u8>,
    /// `version 5`, outside GRE: `ipversion 5`
    pub version: Option<u8>,
    /// `ipchecksum bad`
    pub checksum: Option<Checksum>,
    /// `nexthdr 59`: the protocol field, whatever really follows.
    pub protocol: Option<u8>,
    /// `ext hop ext dest`: IPv6 extension headers, in order.
    pub extensions: Vec<Extension>,
}

/// An IPv6 extension header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its number: see [`super::super::words::EXTENSIONS`].
    pub kind: u8,
    /// `hex ...`: all that follows its next-header byte, length included; the smallest right one where nothing is said.
    pub body: Option<Vec<u8>>,
}

/// How a finished packet is cut up. Offsets count from the first byte after the IPv4 header, or after the IPv6 headers
/// that stay with every fragment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// It is sent whole.
    #[default]
    Whole,
    /// `cut 12`: only so many bytes after the network header are sent, and its length says so.
    Short(u32),
    /// `fragments 1200 order 3,2,1`: all of it, in pieces.
    Fragments {
        /// Bytes in each piece but the last.
        size: u32,
        /// The pieces sent, from 1; one that is left out is lost, one that stands twice is sent twice.
        order: Option<Vec<u16>>,
    },
    /// `fragment 0..1200 more`: one piece of it.
    Fragment {
        /// Its first byte.
        from: u32,
        /// The byte after its last.
        to: u32,
        /// `at 8`: the offset it claims; its own where nothing is said.
        at: Option<u32>,
        /// `more` or `last`; the truth where nothing is said.
        more: Option<bool>,
    },
}

/// `poke 33 hex ff`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poke {
    /// Counted from the first byte of the network header.
    pub offset: u32,
    /// What is written there.
    pub bytes: Vec<u8>,
}

/// A packet stops after it was tracked: at a hook, or somewhere before confirmation where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `lost`, `lost in forward`: a rule, or bad luck, ends it there.
    Lost(Option<Hook>),
    /// `waits`, `waits in forward`: it is kept there until a later step says `A goes on` or `A is lost`.
    Waits(Option<Hook>),
}
