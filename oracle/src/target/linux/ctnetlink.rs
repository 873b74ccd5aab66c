//! ctnetlink: entries of the kernel's table, its events, and the requests that read, age and remove them.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

use conntruth_engine::{
    Counter, EventKind, Family, SctpState, Status, TcpSide, TcpState, Time, Tuple, protocol,
};
use netlink_bindings::conntrack::{
    ConntrackAttrs, CounterAttrs, HelpAttrs, IterableCounterAttrs, IterableTupleAttrs, ProtoinfoAttrs,
    ProtoinfoSctpAttrs, ProtoinfoTcpAttrs, PushConntrackAttrs, PushTupleAttrs, TupleAttrs, TupleIpAttrs,
    TupleProtoAttrs,
};
use netlink_bindings::traits::Pusher;
use nix::sys::socket::SockProtocol;

use super::netlink::{Messages, Reply, Socket, attributes};
use super::nflog::FAMILY_HEADER;
use crate::target::{Entry, Expected, Left, Peers};

/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_NEW`, `_GET`, `_DELETE`.
const NEW: u16 = 1 << 8;
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
/// The multicast groups of new, changed and destroyed entries, and of new and destroyed expectations, as a mask.
const EVENTS: u32 = 0b10_1111;

/// A socket for requests.
///
/// # Errors
/// When the kernel has no ctnetlink.
pub(super) fn requests() -> io::Result<Socket> {
    Socket::open(SockProtocol::NetlinkNetFilter, 0, 64)
}

/// A socket that is told of events.
///
/// # Errors
/// When the kernel has no ctnetlink.
pub(super) fn events() -> io::Result<Socket> {
    Socket::open(SockProtocol::NetlinkNetFilter, EVENTS, 64)
}

/// An event as the kernel tells it.
pub(super) struct Told {
    pub(super) kind: EventKind,
    /// It says what the protocol keeps, so that has changed.
    pub(super) protoinfo: bool,
    /// Of an expectation its master, of which nothing but the tuple is known.
    pub(super) entry: Entry,
    pub(super) expected: Option<Box<Expected>>,
    /// Whose request made it; zero for packets and timers.
    pub(super) port: u32,
}

/// Reads an event.
pub(super) fn event(reply: &Reply<'_>) -> Option<Told> {
    let kind = match (reply.kind, i32::from(reply.flags) & libc::NLM_F_CREATE) {
        (DELETE, _) => EventKind::Destroy,
        (NEW, 0) => EventKind::Update,
        (NEW, _) => EventKind::New,
        (EXPECT_NEW, _) => EventKind::ExpectNew,
        (EXPECT_DELETE, _) => EventKind::ExpectDestroy,
        _ => return None,
    };
    if matches!(kind, EventKind::ExpectNew | EventKind::ExpectDestroy) {
        let expected = expectation(reply)?;
        let entry = unknown(expected.master, expected.zone)?;
        let expected = Some(Box::new(expected));
        return Some(Told { kind, protoinfo: false, entry, expected, port: reply.port });
    }
    let entry = entry(reply)?;
    let protoinfo = !matches!(entry.peers, Peers::None) || entry.state.is_some();
    Some(Told { kind, protoinfo, entry, expected: None, port: reply.port })
}

/// An entry of which only the tuple is known.
fn unknown(original: Tuple, zone: u16) -> Option<Entry> {
    Some(Entry {
        id: 0,
        original,
        reply: original.invert()?,
        state: None,
        left: Left::exactly(Time::ZERO),
        status: Status::default(),
        mark: 0,
        zone,
        helper: None,
        master: None,
        master_tuple: None,
        counters: None,
        lived: None,
        peers: Peers::None,
    })
}

/// Reads an entry. Its id is the kernel's; its time left is what is shown, as an interval of a second.
pub(super) fn entry(reply: &Reply<'_>) -> Option<Entry> {
    if !matches!(reply.kind, NEW | DELETE) {
        return None;
    }
    let mut tuples = [None, None];
    let mut counters = [None, None];
    let (mut id, mut status, mut timeout, mut mark, mut zone) = (0, 0, 0, 0, 0);
    let (mut state, mut peers, mut helper, mut master) = (None, Peers::None, None, None);
    let attributes = ConntrackAttrs::new(reply.body.get(FAMILY_HEADER..)?);
    for attribute in attributes.flatten() {
        match attribute {
            ConntrackAttrs::TupleOrig(tuple) => tuples[0] = read_tuple(tuple),
            ConntrackAttrs::TupleReply(tuple) => tuples[1] = read_tuple(tuple),
            ConntrackAttrs::TupleMaster(tuple) => master = read_tuple(tuple),
            ConntrackAttrs::Status(bits) => status = bits,
            ConntrackAttrs::Timeout(seconds) => timeout = seconds,
            ConntrackAttrs::Mark(value) => mark = value,
            ConntrackAttrs::Zone(value) => zone = value,
            ConntrackAttrs::Id(value) => id = value,
            ConntrackAttrs::CountersOrig(counter) => counters[0] = Some(read_counter(counter)),
            ConntrackAttrs::CountersReply(counter) => counters[1] = Some(read_counter(counter)),
            ConntrackAttrs::Protoinfo(info) => {
                for part in info.flatten() {
                    (state, peers) = read_protoinfo(part);
                }
            }
            ConntrackAttrs::Help(help) => {
                let name = |HelpAttrs::HelpName(name)| Cow::Owned(name.to_string_lossy().into_owned());
                helper = help.flatten().map(name).next();
            }
            _ => {}
        }
    }
    let [Some(original), Some(reply)] = tuples else { return None };
    let seconds = Time::from_secs(timeout.into());
    Some(Entry {
        id: id.into(),
        original,
        reply,
        state: state.map(Cow::Borrowed),
        left: Left { least: seconds, most: seconds.plus(ALMOST_A_SECOND) },
        status: Status(status),
        mark,
        zone,
        helper,
        master: None,
        master_tuple: master,
        counters: match counters {
            [Some(original), Some(reply)] => Some([original, reply]),
            _ => None,
        },
        lived: None,
        peers,
    })
}

/// What a number of seconds, rounded down, leaves open.
pub(super) const ALMOST_A_SECOND: Time = Time(999_999_999);

fn read_tuple(attributes: IterableTupleAttrs<'_>) -> Option<Tuple> {
    let (mut addresses, mut number, mut ids) = ([None, None], 0, [0_u16, 0]);
    let (mut kind, mut code) = (0_u8, 0_u8);
    for attribute in attributes.flatten() {
        match attribute {
            TupleAttrs::TupleIp(parts) => {
                for part in parts.flatten() {
                    match part {
                        TupleIpAttrs::IpV4Src(address) => addresses[0] = Some(IpAddr::V4(address)),
                        TupleIpAttrs::IpV4Dst(address) => addresses[1] = Some(IpAddr::V4(address)),
                        TupleIpAttrs::IpV6Src(address) => addresses[0] = Some(IpAddr::V6(address)),
                        TupleIpAttrs::IpV6Dst(address) => addresses[1] = Some(IpAddr::V6(address)),
                    }
                }
            }
            TupleAttrs::TupleProto(parts) => {
                for part in parts.flatten() {
                    match part {
                        TupleProtoAttrs::ProtoNum(value) => number = value,
                        TupleProtoAttrs::ProtoSrcPort(port) => ids[0] = port,
                        TupleProtoAttrs::ProtoDstPort(port) => ids[1] = port,
                        TupleProtoAttrs::ProtoIcmpId(id) | TupleProtoAttrs::ProtoIcmpv6Id(id) => ids[0] = id,
                        TupleProtoAttrs::ProtoIcmpType(value) | TupleProtoAttrs::ProtoIcmpv6Type(value) => {
                            kind = value;
                        }
                        TupleProtoAttrs::ProtoIcmpCode(value) | TupleProtoAttrs::ProtoIcmpv6Code(value) => {
                            code = value;
                        }
                    }
                }
            }
            TupleAttrs::TupleZone(_) => {}
        }
    }
    if matches!(number, protocol::ICMP | protocol::ICMPV6) {
        ids[1] = u16::from(kind) << 8 | u16::from(code);
    }
    let [Some(src), Some(dst)] = addresses else { return None };
    Some(Tuple {
        src: src.into(),
        dst: dst.into(),
        src_id: ids[0],
        dst_id: ids[1],
        protocol: number,
        family: if src.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
    })
}

fn read_counter(attributes: IterableCounterAttrs<'_>) -> Counter {
    let mut counter = Counter::default();
    for attribute in attributes.flatten() {
        match attribute {
            CounterAttrs::Packets(packets) => counter.packets = packets,
            CounterAttrs::Bytes(bytes) => counter.bytes = bytes,
            _ => {}
        }
    }
    counter
}

/// The kernel shows of TCP's windows only the scales and the flags.
fn read_protoinfo(part: ProtoinfoAttrs<'_>) -> (Option<&'static str>, Peers) {
    match part {
        ProtoinfoAttrs::ProtoinfoTcp(attributes) => {
            let (mut state, mut sides) = (None, [TcpSide::default(); 2]);
            let mut shown = false;
            for attribute in attributes.flatten() {
                match attribute {
                    ProtoinfoTcpAttrs::TcpState(number) => {
                        state = TcpState::ALL.get(usize::from(number)).map(|state| state.word());
                    }
                    ProtoinfoTcpAttrs::TcpWscaleOriginal(scale) => (sides[0].td_scale, shown) = (scale, true),
                    ProtoinfoTcpAttrs::TcpWscaleReply(scale) => sides[1].td_scale = scale,
                    ProtoinfoTcpAttrs::TcpFlagsOriginal(flags) => sides[0].flags = flags.flags,
                    ProtoinfoTcpAttrs::TcpFlagsReply(flags) => sides[1].flags = flags.flags,
                }
            }
            (state, if shown { Peers::Tcp(sides) } else { Peers::None })
        }
        ProtoinfoAttrs::ProtoinfoSctp(attributes) => {
            let (mut state, mut tags) = (None, [0; 2]);
            let mut shown = false;
            for attribute in attributes.flatten() {
                match attribute {
                    ProtoinfoSctpAttrs::SctpState(number) => {
                        state = SctpState::ALL.get(usize::from(number)).map(|state| state.word());
                    }
                    ProtoinfoSctpAttrs::VtagOriginal(tag) => (tags[0], shown) = (tag, true),
                    ProtoinfoSctpAttrs::VtagReply(tag) => tags[1] = tag,
                }
            }
            (state, if shown { Peers::Sctp(tags) } else { Peers::None })
        }
        ProtoinfoAttrs::ProtoinfoDccp(_) => (None, Peers::None),
    }
}

/// A request to read the entry with this original tuple.
pub(super) fn get(tuple: &Tuple, zone: u16) -> Vec<u8> {
    let mut messages = Messages::default();
    about(messages.begin(GET, 0, &family_header(Some(tuple.family))), tuple, zone);
    messages.bytes().to_vec()
}

/// Adds a request to give an entry another timeout.
pub(super) fn push_timeout(messages: &mut Messages, tuple: &Tuple, zone: u16, seconds: u32) {
    let message = messages.begin(NEW, libc::NLM_F_ACK as u16, &family_header(Some(tuple.family)));
    about(message, tuple, zone);
    message.put(TIMEOUT, &seconds.to_be_bytes());
}

/// Adds a request to remove an entry.
pub(super) fn push_delete(messages: &mut Messages, tuple: &Tuple, zone: u16) {
    about(messages.begin(DELETE, libc::NLM_F_ACK as u16, &family_header(Some(tuple.family))), tuple, zone);
}

/// A request to remove all entries.
pub(super) fn flush() -> Messages {
    let mut messages = Messages::default();
    messages.begin(DELETE, libc::NLM_F_ACK as u16, &family_header(None));
    messages
}

/// A request to list all entries.
pub(super) fn dump() -> Messages {
    let mut messages = Messages::default();
    messages.begin(GET, libc::NLM_F_DUMP as u16, &family_header(None));
    messages
}

/// `NFNL_SUBSYS_CTNETLINK_EXP` with `IPCTNL_MSG_EXP_NEW`, `_GET`.
const EXPECT_NEW: u16 = 2 << 8;
const EXPECT_GET: u16 = 2 << 8 | 1;
const EXPECT_DELETE: u16 = 2 << 8 | 2;
/// The attributes of an expectation that are read here, `CTA_EXPECT_*`.
const MASTER: u16 = 1;
const TUPLE: u16 = 2;
const MASK: u16 = 3;
const EXPECT_TIMEOUT: u16 = 4;
const HELPER_NAME: u16 = 6;
const EXPECT_ZONE: u16 = 7;
const FLAGS: u16 = 8;
const CLASS: u16 = 9;

/// A request to list all expectations.
pub(super) fn dump_expectations() -> Messages {
    let mut messages = Messages::default();
    messages.begin(EXPECT_GET, libc::NLM_F_DUMP as u16, &family_header(None));
    messages
}

/// Adds a request to remove an expectation.
pub(super) fn push_delete_expected(messages: &mut Messages, tuple: &Tuple, zone: u16) {
    let message = messages.begin(EXPECT_DELETE, libc::NLM_F_ACK as u16, &family_header(Some(tuple.family)));
    let mut bytes = Vec::with_capacity(96);
    // `CTA_EXPECT_TUPLE` has the number of `CTA_TUPLE_REPLY`.
    put_tuple(PushConntrackAttrs::new(&mut bytes).nested_tuple_reply(), tuple);
    message.raw(&bytes);
    if zone != 0 {
        message.put(EXPECT_ZONE, &zone.to_be_bytes());
    }
}

/// Reads an expectation.
pub(super) fn expectation(reply: &Reply<'_>) -> Option<Expected> {
    if !matches!(reply.kind, EXPECT_NEW | EXPECT_DELETE) {
        return None;
    }
    let (mut tuple, mut mask, mut master) = (None, None, None);
    let (mut timeout, mut class, mut flags, mut zone) = (0, 0, 0, 0);
    let mut helper = String::new();
    let word = |value: &[u8]| value.first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
    for (kind, value) in attributes(reply.body.get(FAMILY_HEADER..)?) {
        match kind {
            TUPLE => tuple = read_tuple(TupleAttrs::new(value)),
            MASK => mask = read_tuple(TupleAttrs::new(value)),
            MASTER => master = read_tuple(TupleAttrs::new(value)),
            EXPECT_TIMEOUT => timeout = word(value),
            CLASS => class = word(value),
            FLAGS => flags = word(value),
            EXPECT_ZONE => zone = value.first_chunk().map_or(0, |zone| u16::from_be_bytes(*zone)),
            HELPER_NAME => {
                helper = String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(value)).into_owned();
            }
            _ => {}
        }
    }
    let seconds = Time::from_secs(timeout.into());
    Some(Expected {
        tuple: tuple?,
        mask: mask?,
        master: master?,
        left: Left { least: seconds, most: seconds.plus(ALMOST_A_SECOND) },
        helper: helper.into(),
        class,
        flags,
        zone,
    })
}

/// `CTA_TIMEOUT`, `CTA_ZONE`.
const TIMEOUT: u16 = 7;
const ZONE: u16 = 18;

fn family_header(family: Option<Family>) -> [u8; FAMILY_HEADER] {
    let number = match family {
        Some(Family::Ipv4) => libc::AF_INET,
        Some(Family::Ipv6) => libc::AF_INET6,
        None => libc::AF_UNSPEC,
    };
    [number as u8, 0, 0, 0]
}

fn about(message: &mut Messages, tuple: &Tuple, zone: u16) {
    let mut bytes = Vec::with_capacity(96);
    put_tuple(PushConntrackAttrs::new(&mut bytes).nested_tuple_orig(), tuple);
    message.raw(&bytes);
    if zone != 0 {
        message.put(ZONE, &zone.to_be_bytes());
    }
}

fn put_tuple<Prev: Pusher>(parts: PushTupleAttrs<Prev>, tuple: &Tuple) {
    let ip = parts.nested_tuple_ip();
    let parts = match (tuple.src_ip(), tuple.dst_ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ip.push_ip_v4_src(src).push_ip_v4_dst(dst).end_nested(),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ip.push_ip_v6_src(src).push_ip_v6_dst(dst).end_nested(),
        _ => unreachable!("a tuple has one family"),
    };
    let proto = parts.nested_tuple_proto().push_proto_num(tuple.protocol);
    match tuple.protocol {
        protocol::ICMP => proto
            .push_proto_icmp_id(tuple.src_id)
            .push_proto_icmp_type(tuple.icmp_type())
            .push_proto_icmp_code(tuple.icmp_code())
            .end_nested(),
        protocol::ICMPV6 => proto
            .push_proto_icmpv6_id(tuple.src_id)
            .push_proto_icmpv6_type(tuple.icmp_type())
            .push_proto_icmpv6_code(tuple.icmp_code())
            .end_nested(),
        _ if tuple.has_ports() || tuple.protocol == protocol::GRE => {
            proto.push_proto_src_port(tuple.src_id).push_proto_dst_port(tuple.dst_id).end_nested()
        }
        // The kernel reads no ports of these, and takes none.
        _ => proto.end_nested(),
    };
}
