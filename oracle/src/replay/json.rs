//! Records as JSON, one object a line: the shape that scripts rely on. Keys are written in the order of the fields
//! here; those that may be absent come last, or where the contract has them.

use std::fmt::Display;
use std::net::IpAddr;

use conntruth_engine::{
    ConnSnapshot, Counter, Direction, Engine, Event, EventKind, ExpectSnapshot, Family, Hook, ProtoInfo,
    Reason, Tuple, Verdict, protocol,
};
use serde::{Serialize, Serializer};

use super::{Connection, Record};

/// A packet's object.
#[derive(Serialize)]
pub struct PacketObject<'a> {
    packet: u64,
    #[serde(serialize_with = "shown")]
    time: conntruth_engine::Time,
    hook: Hook,
    ctinfo: Option<&'static str>,
    verdict: Verdict,
    reason: &'static str,
    why: Why<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    helper: Option<HelpObject<'a>>,
    connection: Option<ConnectionObject<'a>>,
    #[serde(serialize_with = "events")]
    events: &'a [Event],
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
}

impl<'a> PacketObject<'a> {
    /// Of this record.
    pub fn new(record: &'a Record<'_>) -> PacketObject<'a> {
        let outcome = &record.outcome;
        PacketObject {
            packet: record.number,
            time: record.time,
            hook: Hook::Prerouting,
            ctinfo: outcome.class.word(),
            verdict: outcome.verdict,
            reason: outcome.reason.slug(),
            why: Why::new(&outcome.reason),
            helper: outcome.help.as_ref().map(|help| HelpObject { reason: help.slug(), why: Why::new(help) }),
            connection: record.connection.as_ref().map(|connection| {
                let Connection { snapshot, destroyed } = connection;
                ConnectionObject {
                    attached: outcome.attached,
                    destroyed: *destroyed,
                    ..ConnectionObject::new(snapshot)
                }
            }),
            events: record.events,
            truncated: record.truncated,
        }
    }
}

/// The rule that decided.
#[derive(Serialize)]
pub struct Why<'a> {
    rule: &'static str,
    #[serde(serialize_with = "numbers")]
    numbers: &'a Reason,
    source: &'static str,
}

impl<'a> Why<'a> {
    /// Of this reason.
    pub fn new(reason: &'a Reason) -> Why<'a> {
        let info = reason.info();
        Why { rule: info.rule, numbers: reason, source: info.source }
    }
}

/// A connection's object.
#[derive(Serialize)]
pub struct ConnectionObject<'a> {
    id: u64,
    family: Family,
    protocol: &'static str,
    number: u8,
    state: Option<&'static str>,
    timeout: u64,
    #[serde(serialize_with = "names")]
    status: &'a ConnSnapshot,
    original: TupleObject,
    reply: TupleObject,
    mark: u32,
    zone: u16,
    helper: Option<&'static str>,
    master: Option<u64>,
    #[serde(skip_serializing_if = "is_true")]
    attached: bool,
    #[serde(skip_serializing_if = "is_false")]
    destroyed: bool,
    #[serde(flatten)]
    beside: Beside,
}

/// What a protocol's tracker keeps beside the state, as the kernel's netlink messages show it: of the original and of
/// the reply direction.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Beside {
    Tcp {
        wscale: [u8; 2],
        flags: [u8; 2],
    },
    Sctp {
        vtag: [u32; 2],
    },
    #[serde(untagged)]
    Nothing {},
}

impl Beside {
    fn new(info: &ProtoInfo) -> Beside {
        match info {
            ProtoInfo::Tcp { sides: [original, reply], .. } => Beside::Tcp {
                wscale: [original.td_scale, reply.td_scale],
                flags: [original.flags, reply.flags],
            },
            ProtoInfo::Sctp { tags, .. } => Beside::Sctp { vtag: *tags },
            ProtoInfo::Gre { .. } | ProtoInfo::Stateless => Beside::Nothing {},
        }
    }
}

impl<'a> ConnectionObject<'a> {
    /// Of a connection that lives.
    pub fn new(conn: &'a ConnSnapshot) -> ConnectionObject<'a> {
        ConnectionObject {
            id: conn.id.number(),
            family: conn.original.family,
            protocol: conn.protocol_name(),
            number: conn.original.protocol,
            state: conn.state(),
            timeout: conn.timeout,
            status: conn,
            original: TupleObject::new(conn, Direction::Original),
            reply: TupleObject::new(conn, Direction::Reply),
            mark: conn.mark,
            zone: conn.zone,
            helper: conn.helper.map(|helper| helper.name()),
            master: conn.master.map(|id| id.number()),
            attached: true,
            destroyed: false,
            beside: Beside::new(&conn.info),
        }
    }
}

/// One direction: addresses, the protocol's keys, and what was counted.
#[derive(Serialize)]
struct TupleObject {
    src: IpAddr,
    dst: IpAddr,
    #[serde(flatten)]
    keys: Keys,
    #[serde(flatten)]
    counter: Option<Counter>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Keys {
    Ports { sport: u16, dport: u16 },
    Icmp { r#type: u8, code: u8, id: u16 },
    Gre { srckey: u16, dstkey: u16 },
    None {},
}

impl TupleObject {
    fn new(conn: &ConnSnapshot, direction: Direction) -> TupleObject {
        let tuple = conn.tuple(direction);
        TupleObject {
            src: tuple.src_ip(),
            dst: tuple.dst_ip(),
            keys: Keys::new(tuple),
            counter: conn.counters.map(|counters| counters[direction as usize]),
        }
    }
}

impl Keys {
    fn new(tuple: &Tuple) -> Keys {
        if tuple.has_ports() {
            Keys::Ports { sport: tuple.src_id, dport: tuple.dst_id }
        } else if tuple.is_icmp() {
            Keys::Icmp { r#type: tuple.icmp_type(), code: tuple.icmp_code(), id: tuple.src_id }
        } else if tuple.protocol == protocol::GRE {
            Keys::Gre { srckey: tuple.src_id, dstkey: tuple.dst_id }
        } else {
            Keys::None {}
        }
    }
}

/// The table and the expectations that a replay left, as the last object.
#[derive(Serialize)]
pub struct TableObject<'a> {
    table: Vec<ConnectionObject<'a>>,
    expectations: Vec<ExpectationObject>,
}

/// An expectation's object.
#[derive(Serialize)]
pub struct ExpectationObject {
    family: Family,
    protocol: &'static str,
    number: u8,
    timeout: u64,
    tuple: KeyedObject,
    mask: KeyedObject,
    master: u64,
    class: u8,
    flags: Vec<&'static str>,
    zone: u16,
    helper: &'static str,
}

/// Addresses and the protocol's keys.
#[derive(Serialize)]
struct KeyedObject {
    src: IpAddr,
    dst: IpAddr,
    #[serde(flatten)]
    keys: Keys,
}

impl ExpectationObject {
    /// Of one that stands.
    pub fn new(expected: &ExpectSnapshot) -> ExpectationObject {
        let keyed =
            |tuple: &Tuple| KeyedObject { src: tuple.src_ip(), dst: tuple.dst_ip(), keys: Keys::new(tuple) };
        ExpectationObject {
            family: expected.tuple.family,
            protocol: expected.tuple.protocol_name(),
            number: expected.tuple.protocol,
            timeout: expected.timeout,
            tuple: keyed(&expected.tuple),
            mask: keyed(&expected.mask),
            master: expected.master.number(),
            class: expected.class,
            flags: expected.flags.names().collect(),
            zone: expected.zone,
            helper: expected.helper.name(),
        }
    }
}

/// Writes the table left at the end, as one line.
///
/// # Errors
/// Those of `out`.
pub fn write_table(out: &mut impl std::io::Write, engine: &Engine) -> std::io::Result<()> {
    let conns: Vec<ConnSnapshot> = engine.conns().collect();
    let table = conns.iter().map(ConnectionObject::new).collect();
    let expectations = engine.expectations().map(|expected| ExpectationObject::new(&expected)).collect();
    serde_json::to_writer(&mut *out, &TableObject { table, expectations })?;
    writeln!(out)
}

/// Writes a packet's object, as one line.
///
/// # Errors
/// Those of `out`.
pub fn write_packet(out: &mut impl std::io::Write, record: &Record<'_>) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, &PacketObject::new(record))?;
    writeln!(out)
}

#[derive(Serialize)]
struct EventObject {
    r#type: EventKind,
    connection: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expectation: Option<ExpectationObject>,
}

/// What a helper made of a packet.
#[derive(Serialize)]
struct HelpObject<'a> {
    reason: &'static str,
    why: Why<'a>,
}

fn events<S: Serializer>(events: &[Event], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(events.iter().map(|event| EventObject {
        r#type: event.kind,
        connection: event.conn.id.number(),
        expectation: event.expected.as_deref().map(ExpectationObject::new),
    }))
}

fn numbers<S: Serializer>(reason: &&Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(reason.numbers())
}

fn names<S: Serializer>(conn: &&ConnSnapshot, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(conn.status.names())
}

fn shown<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn is_true(value: &bool) -> bool {
    *value
}

fn is_false(value: &bool) -> bool {
    !*value
}
