//! Between the wire's words and the target's types.

use std::borrow::Cow;
use std::collections::BTreeMap;

use conntruth_engine as engine;
use conntruth_engine::{CtInfo, Direction, Family, TcpSide, Time, Tuple, protocol};

use crate::target as ours;
use crate::target::{Left, Passing, Peers, Reasons, Shows};

use super::wire;

/// What is known of a world beside its messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The numbers of entries that the adapter gave none.
    ids: BTreeMap<(u16, Tuple), u64>,
    /// How much later than the scenario's time it may be.
    pub lag: Time,
}

/// Why a message that is well formed makes no sense.
pub(super) type Nonsense = String;

/// A setting for the wire.
pub(super) fn setting(setting: &ours::Setting) -> wire::Set {
    wire::Set { name: setting.name.clone(), value: setting.value }
}

/// A configuration for the wire.
pub(super) fn begin(config: &ours::Config, profile: &str) -> wire::Begin {
    wire::Begin {
        profile: profile.to_owned(),
        settings: config.settings.iter().map(setting).collect(),
        routes: config
            .routes
            .iter()
            .map(|(address, interface)| wire::Route { address: *address, interface: interface.clone() })
            .collect(),
    }
}

/// A packet for the wire.
pub(super) fn packet(arrival: &ours::Arrival) -> wire::Packet {
    wire::Packet {
        at_ns: arrival.at.as_nanos(),
        path: match arrival.path {
            ours::Path::Forward => wire::Path::Forward,
            ours::Path::Input => wire::Path::Input,
            ours::Path::Output => wire::Path::Output,
            ours::Path::Loopback => wire::Path::Loopback,
        },
        iif: arrival.iif.clone(),
        oif: arrival.oif.clone(),
        fate: fate(arrival.fate),
        notrack: arrival.notrack,
        zone: arrival.zone,
        bytes: wire::Hex(arrival.bytes.clone()),
    }
}

fn fate(fate: ours::Fate) -> wire::Fate {
    match fate {
        ours::Fate::Passes => wire::Fate::Passes,
        ours::Fate::Dropped => wire::Fate::Dropped,
        ours::Fate::Waits => wire::Fate::Waits,
    }
}

/// A packet that goes on, for the wire.
pub(super) fn release(release: &ours::Release) -> wire::Release {
    wire::Release { at_ns: release.at.as_nanos(), waiting: release.waiting, fate: fate(release.fate) }
}

/// What an adapter says it can do.
pub(super) fn abilities(hello: &wire::Hello) -> ours::Abilities {
    let shows = |what| hello.shows.contains(&what);
    let word = |protocol: &wire::Protocol| {
        ours::Abilities::PROTOCOLS[match protocol {
            wire::Protocol::Tcp => 0,
            wire::Protocol::Udp => 1,
            wire::Protocol::Udplite => 2,
            wire::Protocol::Icmp => 3,
            wire::Protocol::Icmpv6 => 4,
            wire::Protocol::Sctp => 5,
            wire::Protocol::Gre => 6,
            wire::Protocol::Generic => 7,
        }]
        .to_owned()
    };
    ours::Abilities {
        time: match hello.time {
            wire::Clock::Virtual => Passing::Virtual,
            wire::Clock::Age => Passing::Age,
            wire::Clock::Real => Passing::Real,
            wire::Clock::None => Passing::None,
        },
        confirms: match hello.confirm {
            wire::Confirm::AtHook => ours::Confirms::AtHook,
            wire::Confirm::Explicit => ours::Confirms::Explicit,
            wire::Confirm::Immediate => ours::Confirms::Immediate,
        },
        shows: Shows {
            verdict: shows(wire::Shown::Verdict),
            class: shows(wire::Shown::Class),
            state: shows(wire::Shown::State),
            timeout: shows(wire::Shown::Timeout),
            status: shows(wire::Shown::Status),
            table: shows(wire::Shown::Table),
            events: shows(wire::Shown::Events),
            reasons: if shows(wire::Shown::Reasons) { Reasons::Own } else { Reasons::None },
            windows: shows(wire::Shown::Windows),
        },
        protocols: hello.protocols.iter().map(word).collect(),
        sysctls: hello.settings.clone().unwrap_or_default(),
        helpers: hello.helpers.clone(),
        nat: hello.nat,
        zones: hello.zones,
        own_host: hello.own_host,
    }
}

/// What became of a packet.
pub(super) fn observation(
    seen: wire::Seen,
    shows: &Shows,
    known: &mut Known,
) -> Result<ours::Observation, Nonsense> {
    let class = match (seen.class, shows.class) {
        (Some(class), _) => self::class(class),
        (None, true) => return Err("it shows classes, and `class` is missing".to_owned()),
        (None, false) => engine::Class::Untracked,
    };
    let verdict = match (seen.verdict, shows.verdict) {
        (Some(wire::Verdict::Drop), _) => engine::Verdict::Drop,
        (Some(wire::Verdict::Accept), _) | (None, false) => engine::Verdict::Accept,
        (None, true) => return Err("it shows verdicts, and `verdict` is missing".to_owned()),
    };
    let entry = seen.entry.map(|entry| self::entry(entry, shows, known)).transpose()?;
    Ok(ours::Observation {
        class,
        verdict,
        attached: seen.attached.unwrap_or(entry.is_some()),
        why: seen.why.map(ours::Why::Said),
        destroyed: seen.destroyed && entry.is_some(),
        by: None,
        sent: Vec::new(),
        left: None,
        entry,
        events: events(seen.events, shows, known)?,
    })
}

fn class(class: wire::Class) -> engine::Class {
    match class {
        wire::Class::New => engine::Class::Tracked(CtInfo::New),
        wire::Class::Established => engine::Class::Tracked(CtInfo::Established),
        wire::Class::EstablishedReply => engine::Class::Tracked(CtInfo::EstablishedReply),
        wire::Class::Related => engine::Class::Tracked(CtInfo::Related),
        wire::Class::RelatedReply => engine::Class::Tracked(CtInfo::RelatedReply),
        wire::Class::Untracked => engine::Class::Untracked,
        wire::Class::Invalid => engine::Class::Invalid,
        wire::Class::Fragment => engine::Class::Held,
        wire::Class::Discarded => engine::Class::Discarded,
    }
}

/// Events, in order.
pub(super) fn events(
    events: Vec<wire::Event>,
    shows: &Shows,
    known: &mut Known,
) -> Result<Vec<ours::Happening>, Nonsense> {
    let happening = |event: wire::Event| {
        Ok(ours::Happening {
            at: Time(event.at_ns),
            kind: match event.kind {
                wire::Kind::New => engine::EventKind::New,
                wire::Kind::Update => engine::EventKind::Update,
                wire::Kind::Destroy => engine::EventKind::Destroy,
            },
            changes: event.changes.into_iter().map(Cow::Owned).collect(),
            // An entry that has gone has no time left that one could show.
            entry: entry(event.entry, &Shows { timeout: false, ..*shows }, known)?,
        })
    };
    events.into_iter().map(happening).collect()
}

/// All entries.
pub(super) fn table(
    table: wire::Table,
    shows: &Shows,
    known: &mut Known,
) -> Result<Vec<ours::Entry>, Nonsense> {
    table.entries.into_iter().map(|entry| self::entry(entry, shows, known)).collect()
}

fn entry(entry: wire::Entry, shows: &Shows, known: &mut Known) -> Result<ours::Entry, Nonsense> {
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
pub(super) fn expectations(list: wire::Expectations, lag: Time) -> Result<Vec<ours::Expected>, Nonsense> {
    let one = |expected: wire::Expected| {
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
    };
    list.expectations.into_iter().map(one).collect()
}

// The other way round, for those who serve a target as an adapter.

/// An arrival of the wire.
pub(super) fn arrival(packet: wire::Packet) -> ours::Arrival {
    ours::Arrival {
        at: Time(packet.at_ns),
        bytes: packet.bytes.0,
        path: match packet.path {
            wire::Path::Forward => ours::Path::Forward,
            wire::Path::Input => ours::Path::Input,
            wire::Path::Output => ours::Path::Output,
            wire::Path::Loopback => ours::Path::Loopback,
        },
        iif: packet.iif,
        oif: packet.oif,
        fate: our_fate(packet.fate),
        notrack: packet.notrack,
        zone: packet.zone,
        follows: false,
    }
}

fn our_fate(fate: wire::Fate) -> ours::Fate {
    match fate {
        wire::Fate::Passes => ours::Fate::Passes,
        wire::Fate::Dropped => ours::Fate::Dropped,
        wire::Fate::Waits => ours::Fate::Waits,
    }
}

/// A configuration of the wire.
pub(super) fn config(begin: wire::Begin) -> ours::Config {
    ours::Config {
        settings: begin.settings.into_iter().map(our_setting).collect(),
        routes: begin.routes.into_iter().map(|route| (route.address, route.interface)).collect(),
        rules: Default::default(),
    }
}

/// A setting of the wire.
pub(super) fn our_setting(set: wire::Set) -> ours::Setting {
    ours::Setting { name: set.name, value: set.value }
}

/// A release of the wire.
pub(super) fn our_release(release: wire::Release) -> ours::Release {
    ours::Release { at: Time(release.at_ns), waiting: release.waiting, fate: our_fate(release.fate) }
}

/// What became of a packet, for the wire.
pub(super) fn seen(seen: ours::Observation) -> wire::Seen {
    wire::Seen {
        class: Some(our_class(seen.class)),
        verdict: Some(match seen.verdict {
            engine::Verdict::Accept => wire::Verdict::Accept,
            engine::Verdict::Drop => wire::Verdict::Drop,
        }),
        attached: (seen.attached != seen.entry.is_some()).then_some(seen.attached),
        entry: seen.entry.map(|entry| our_entry(&entry)),
        destroyed: seen.destroyed,
        why: seen.why.map(|why| match why {
            ours::Why::Reason(reason) => reason.to_string(),
            ours::Why::Said(words) => words,
        }),
        events: our_events(seen.events),
    }
}

fn our_class(class: engine::Class) -> wire::Class {
    match class {
        engine::Class::Tracked(info) => match info {
            CtInfo::New => wire::Class::New,
            CtInfo::Established => wire::Class::Established,
            CtInfo::EstablishedReply => wire::Class::EstablishedReply,
            CtInfo::Related => wire::Class::Related,
            CtInfo::RelatedReply => wire::Class::RelatedReply,
        },
        engine::Class::Untracked => wire::Class::Untracked,
        engine::Class::Invalid => wire::Class::Invalid,
        engine::Class::Held => wire::Class::Fragment,
        engine::Class::Discarded => wire::Class::Discarded,
    }
}

/// Events, for the wire.
pub(super) fn our_events(events: Vec<ours::Happening>) -> Vec<wire::Event> {
    let event = |event: ours::Happening| wire::Event {
        at_ns: event.at.as_nanos(),
        kind: match event.kind {
            engine::EventKind::New => wire::Kind::New,
            engine::EventKind::Update => wire::Kind::Update,
            engine::EventKind::Destroy => wire::Kind::Destroy,
        },
        changes: event.changes.into_iter().map(Cow::into_owned).collect(),
        entry: our_entry(&event.entry),
    };
    events.into_iter().map(event).collect()
}

/// An entry, for the wire.
pub(super) fn our_entry(entry: &ours::Entry) -> wire::Entry {
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
pub(super) fn our_expectations(list: Vec<ours::Expected>) -> wire::Expectations {
    let one = |expected: ours::Expected| wire::Expected {
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
    };
    wire::Expectations { expectations: list.into_iter().map(one).collect() }
}
