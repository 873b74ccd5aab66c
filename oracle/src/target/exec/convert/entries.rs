//! Entries and expected connections, in both directions.

use std::borrow::Cow;

use conntruth_engine as engine;
use conntruth_engine::{Direction, Family, TcpSide, Time, Tuple, protocol};

use super::{Known, Nonsense};
use crate::target as ours;
use crate::target::exec::wire;
use crate::target::{Left, Peers, Shows};

pub(super) fn entry(entry: wire::Entry, shows: &Shows, known: &mut Known) -> Result<ours::Entry, Nonsense> {
    let original = tuple(&entry.original, entry.protocol)?;
    let reply = match &entry.reply {
        Some(reply) => tuple(reply, entry.protocol)?,
        None => original.invert().ok_or("`reply` is missing, and these keys cannot be turned around")?,
    };
    let next = known.ids.len() as u64 + 1;
    // Numbers of ours are far from those that an adapter may give others of its entries.
    let ours = || *known.ids.entry((entry.zone, original)).or_insert((1 << 63) + next);
    Ok(ours::Entry {
        id: entry.id.unwrap_or_else(ours),
        original,
        reply,
        left: left(entry.timeout_ns, entry.timeout_most_ns, entry.timeout_s, shows.timeout, known.lag)?,
        state: entry.state.map(Cow::Owned),
        status: status(&entry.status),
        mark: entry.mark,
        zone: entry.zone,
        helper: entry.helper.map(Cow::Owned),
        master: entry.master,
        master_tuple: None,
        counters: entry.counters.map(|sides| [counter(sides.original), counter(sides.reply)]),
        lived: entry.lived_s,
        peers: match (entry.tcp, entry.sctp, entry.gre) {
            (Some(sides), ..) => Peers::Tcp([window(sides.original), window(sides.reply)]),
            (_, Some(tags), _) => Peers::Sctp([tags.original, tags.reply]),
            (_, _, Some(gre)) => Peers::Gre([gre.timeout_s, gre.stream_timeout_s]),
            _ => Peers::None,
        },
    })
}

fn left(
    exact: Option<u64>,
    most: Option<u64>,
    seconds: Option<u64>,
    is_shown: bool,
    lag: Time,
) -> Result<Left, Nonsense> {
    const SECOND: u64 = 1_000_000_000;
    let (least, most) = match (exact, most, seconds) {
        (Some(least), Some(most), _) if most < least => {
            return Err("`timeout_most_ns` is less than `timeout_ns`".to_owned());
        }
        (Some(least), most, _) => (least, most.unwrap_or(least)),
        (None, _, Some(seconds)) => {
            let least = seconds.saturating_mul(SECOND);
            (least, least.saturating_add(SECOND - 1))
        }
        (None, _, None) if is_shown => {
            return Err("it shows timeouts, and an entry has neither `timeout_ns` nor `timeout_s`".to_owned());
        }
        (None, ..) => (0, 0),
    };
    Ok(Left { least: Time(least), most: Time(most).plus(lag) })
}

fn counter(counter: wire::Counter) -> engine::Counter {
    engine::Counter { packets: counter.packets, bytes: counter.bytes }
}

fn window(side: wire::Window) -> TcpSide {
    TcpSide {
        td_end: side.td_end,
        td_maxend: side.td_maxend,
        td_maxwin: side.td_maxwin,
        td_maxack: side.td_maxack,
        td_scale: side.td_scale,
        flags: side.td_flags,
    }
}

/// The wire's status bits and the engine's.
const BITS: [(wire::Status, engine::Status); 12] = [
    (wire::Status::Expected, engine::Status::EXPECTED),
    (wire::Status::SeenReply, engine::Status::SEEN_REPLY),
    (wire::Status::Assured, engine::Status::ASSURED),
    (wire::Status::Confirmed, engine::Status::CONFIRMED),
    (wire::Status::SrcNat, engine::Status::SRC_NAT),
    (wire::Status::DstNat, engine::Status::DST_NAT),
    (wire::Status::SeqAdjust, engine::Status::SEQ_ADJUST),
    (wire::Status::SrcNatDone, engine::Status::SRC_NAT_DONE),
    (wire::Status::DstNatDone, engine::Status::DST_NAT_DONE),
    (wire::Status::Dying, engine::Status::DYING),
    (wire::Status::FixedTimeout, engine::Status::FIXED_TIMEOUT),
    (wire::Status::Helper, engine::Status::HELPER),
];

fn status(bits: &[wire::Status]) -> engine::Status {
    let mut status = engine::Status(0);
    BITS.iter().filter(|(word, _)| bits.contains(word)).for_each(|(_, bit)| status.insert(*bit));
    status
}

/// The key of one direction.
fn tuple(keys: &wire::Keys, protocol: u8) -> Result<Tuple, Nonsense> {
    let family = match (keys.src.is_ipv4(), keys.dst.is_ipv4()) {
        (true, true) => Family::Ipv4,
        (false, false) => Family::Ipv6,
        _ => return Err(format!("{} and {} are of two families", keys.src, keys.dst)),
    };
    let needed = |key: Option<u16>, name: &str| {
        key.ok_or_else(|| format!("the keys of protocol {protocol} need `{name}`"))
    };
    let (src_id, dst_id) = match protocol {
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP => {
            (needed(keys.sport, "sport")?, needed(keys.dport, "dport")?)
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let kind = needed(keys.kind.map(u16::from), "type")?;
            let code = needed(keys.code.map(u16::from), "code")?;
            (needed(keys.id, "id")?, kind << 8 | code)
        }
        protocol::GRE => (keys.srckey.unwrap_or(0), keys.dstkey.unwrap_or(0)),
        _ => (0, 0),
    };
    Ok(Tuple { src: keys.src.into(), dst: keys.dst.into(), src_id, dst_id, protocol, family })
}

/// Expected connections.
pub(in crate::target::exec) fn expectations(
    list: wire::Expectations,
    lag: Time,
) -> Result<Vec<ours::Expected>, Nonsense> {
    list.expectations.into_iter().map(|one| expected(one, lag)).collect()
}

/// One of them.
pub(super) fn expected(expected: wire::Expected, lag: Time) -> Result<ours::Expected, Nonsense> {
    Ok(ours::Expected {
        tuple: tuple(&expected.keys, expected.protocol)?,
        mask: tuple(&expected.mask, expected.protocol)?,
        master: tuple(&expected.master, expected.master_protocol)?,
        left: left(expected.timeout_ns, None, expected.timeout_s, false, lag)?,
        helper: Cow::Owned(expected.helper),
        class: expected.class,
        flags: expected.flags,
        zone: expected.zone,
    })
}

/// An entry, for the wire.
pub(in crate::target::exec) fn our_entry(entry: &ours::Entry) -> wire::Entry {
    let Left { least, most } = entry.left;
    wire::Entry {
        id: Some(entry.id),
        protocol: entry.original.protocol,
        original: keys(entry.tuple(Direction::Original)),
        reply: Some(keys(entry.tuple(Direction::Reply))),
        state: entry.state.as_ref().map(ToString::to_string),
        timeout_ns: Some(least.as_nanos()),
        timeout_most_ns: (most != least).then_some(most.as_nanos()),
        timeout_s: None,
        status: BITS.iter().filter(|(_, bit)| entry.status.has(*bit)).map(|(word, _)| *word).collect(),
        mark: entry.mark,
        zone: entry.zone,
        helper: entry.helper.as_ref().map(ToString::to_string),
        master: entry.master,
        counters: entry.counters.map(|[original, reply]| wire::Sides {
            original: wire::Counter { packets: original.packets, bytes: original.bytes },
            reply: wire::Counter { packets: reply.packets, bytes: reply.bytes },
        }),
        lived_s: entry.lived,
        tcp: match entry.peers {
            Peers::Tcp([original, reply]) => {
                Some(wire::Sides { original: our_window(original), reply: our_window(reply) })
            }
            _ => None,
        },
        sctp: match entry.peers {
            Peers::Sctp([original, reply]) => Some(wire::Sides { original, reply }),
            _ => None,
        },
        gre: match entry.peers {
            Peers::Gre([timeout_s, stream_timeout_s]) => Some(wire::Timeouts { timeout_s, stream_timeout_s }),
            _ => None,
        },
    }
}

fn our_window(side: TcpSide) -> wire::Window {
    wire::Window {
        td_end: side.td_end,
        td_maxend: side.td_maxend,
        td_maxwin: side.td_maxwin,
        td_maxack: side.td_maxack,
        td_scale: side.td_scale,
        td_flags: side.flags,
    }
}

fn keys(tuple: &Tuple) -> wire::Keys {
    let (ports, icmp, gre) = (tuple.has_ports(), tuple.is_icmp(), tuple.protocol == protocol::GRE);
    wire::Keys {
        src: tuple.src_ip(),
        dst: tuple.dst_ip(),
        sport: ports.then_some(tuple.src_id),
        dport: ports.then_some(tuple.dst_id),
        kind: icmp.then_some(tuple.icmp_type()),
        code: icmp.then_some(tuple.icmp_code()),
        id: icmp.then_some(tuple.src_id),
        srckey: gre.then_some(tuple.src_id),
        dstkey: gre.then_some(tuple.dst_id),
    }
}

/// Expected connections, for the wire.
pub(in crate::target::exec) fn our_expectations(list: Vec<ours::Expected>) -> wire::Expectations {
    wire::Expectations { expectations: list.into_iter().map(our_expected).collect() }
}

/// One of them, for the wire.
pub(super) fn our_expected(expected: ours::Expected) -> wire::Expected {
    wire::Expected {
        protocol: expected.tuple.protocol,
        keys: keys(&expected.tuple),
        mask: keys(&Tuple { protocol: expected.tuple.protocol, ..expected.mask }),
        master_protocol: expected.master.protocol,
        master: keys(&expected.master),
        timeout_ns: Some(expected.left.least.as_nanos()),
        timeout_s: None,
        helper: expected.helper.into_owned(),
        class: expected.class,
        flags: expected.flags,
        zone: expected.zone,
    }
}
