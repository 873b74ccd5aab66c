//! What differs between two states, in words that somebody who looks for a fault can use.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use super::State;
use crate::conn::Conn;
use crate::expect::ExpectSnapshot;
use crate::snapshot::{ConnSnapshot, ProtoInfo};
use crate::status::Status;
use crate::sysctl::Knob;
use crate::time::Time;

/// One thing that is otherwise in a later state. `Display` says it in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// The clock, the profile, a sysctl, a count.
    Value {
        /// Of what.
        what: String,
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A connection that was not there.
    Appeared(Box<ConnSnapshot>),
    /// A connection that is not there any more.
    Gone(Box<ConnSnapshot>),
    /// Something of a connection.
    Conn {
        /// Which, as it is now.
        conn: Box<ConnSnapshot>,
        /// What of it.
        what: &'static str,
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A connection is expected that was not.
    Expected(Box<ExpectSnapshot>),
    /// A connection is not expected any more.
    Unexpected(Box<ExpectSnapshot>),
    /// Something of a connection that listings do not show: what its tracker remembers of single packets.
    Hidden(Box<ConnSnapshot>),
    /// Nothing that can be seen: where in memory things lie, which timer is looked at next.
    Layout,
}

impl Display for StateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, conn: &ConnSnapshot| {
            write!(f, "connection {} ({} {})", conn.id, conn.protocol_name(), conn.original)
        };
        let expectation = |f: &mut fmt::Formatter<'_>, expected: &ExpectSnapshot| {
            let (name, tuple) = (expected.tuple.protocol_name(), &expected.tuple);
            write!(f, "expectation {} ({name} {tuple}) of connection {}", expected.number, expected.master)
        };
        match self {
            StateChange::Value { what, from, to } => write!(f, "{what}: {from} -> {to}"),
            StateChange::Appeared(conn) => {
                named(f, conn)?;
                match conn.state() {
                    Some(state) => write!(f, " is new, in {state}, with {} s left", conn.timeout),
                    None => write!(f, " is new, with {} s left", conn.timeout),
                }
            }
            StateChange::Gone(conn) => {
                named(f, conn)?;
                f.write_str(" is gone")
            }
            StateChange::Conn { conn, what, from, to } => {
                named(f, conn)?;
                write!(f, ": {what} {from} -> {to}")
            }
            StateChange::Expected(expected) => {
                expectation(f, expected)?;
                write!(f, " is new, with {} s left", expected.timeout)
            }
            StateChange::Unexpected(expected) => {
                expectation(f, expected)?;
                f.write_str(" is gone")
            }
            StateChange::Hidden(conn) => {
                named(f, conn)?;
                f.write_str(": its tracker remembers another last packet")
            }
            StateChange::Layout => {
                f.write_str("nothing that can be seen: the layout of the table or its timers")
            }
        }
    }
}

/// See [`State::changes`].
pub(super) fn changes(before: &State, later: &State) -> Vec<StateChange> {
    let mut found = Vec::new();
    values(before, later, &mut found);
    let (old, new) = (by_number(before), by_number(later));
    for (number, (conn, inside)) in &old {
        match new.get(number) {
            Some((now, inside_now)) => of_conn((conn, inside), (now, inside_now), &mut found),
            None => found.push(StateChange::Gone(Box::new(conn.clone()))),
        }
    }
    let appeared = new.iter().filter(|(number, _)| !old.contains_key(number));
    found.extend(appeared.map(|(_, (conn, _))| StateChange::Appeared(Box::new(conn.clone()))));
    rest(before, later, &mut found);
    if found.is_empty() && before != later {
        found.push(StateChange::Layout);
    }
    found
}

/// The confirmed connections, as people see them and as they are.
fn by_number(state: &State) -> BTreeMap<u64, (ConnSnapshot, &Conn)> {
    let inside: BTreeMap<u64, &Conn> =
        state.table.conns().iter().map(|(_, conn)| (conn.number, conn)).collect();
    let conns = state.conns().into_iter();
    conns
        .filter_map(|conn| Some((conn.id.number(), (conn.clone(), *inside.get(&conn.id.number())?))))
        .collect()
}

fn value(what: impl Display, from: impl Display, to: impl Display, found: &mut Vec<StateChange>) {
    let (from, to) = (from.to_string(), to.to_string());
    if from != to {
        found.push(StateChange::Value { what: what.to_string(), from, to });
    }
}

fn values(before: &State, later: &State, found: &mut Vec<StateChange>) {
    let seconds = |time: Time| format!("{time} s");
    value("the clock", seconds(before.now), seconds(later.now), found);
    value("the profile", &before.profile, &later.profile, found);
    value("ticks a second", before.hz, later.hz, found);
    for info in Knob::ALL {
        value(info.name, before.sysctls.get(info.knob), later.sysctls.get(info.knob), found);
    }
    value("somebody listens", before.listening, later.listening, found);
}

fn rest(before: &State, later: &State, found: &mut Vec<StateChange>) {
    let waits = |state: &State| state.table.conns().iter().filter(|(_, conn)| !conn.is_confirmed()).count();
    value("connections that wait for confirmation", waits(before), waits(later), found);
    value("datagrams that wait for fragments", before.defrag.waiting(), later.defrag.waiting(), found);
    if before.defrag.waiting() == later.defrag.waiting() && before.defrag != later.defrag {
        value("what is held of them", "some fragments", "others", found);
    }
    value("dead connections that others hold", before.held.len(), later.held.len(), found);
    expected(before, later, found);
    value("events that nobody has fetched", before.events.len(), later.events.len(), found);
}

fn expected(before: &State, later: &State, found: &mut Vec<StateChange>) {
    let known = found.len();
    let all = |state: &State| -> BTreeMap<u64, ExpectSnapshot> {
        state.expectations().into_iter().map(|expected| (expected.number, expected)).collect()
    };
    let (old, new) = (all(before), all(later));
    for (number, was) in &old {
        match new.get(number) {
            // What is left of it is the clock's business.
            Some(now) => value(
                format_args!("expectation {number}"),
                ExpectSnapshot { timeout: 0, ..was.clone() },
                ExpectSnapshot { timeout: 0, ..now.clone() },
                found,
            ),
            None => found.push(StateChange::Unexpected(Box::new(was.clone()))),
        }
    }
    let appeared = new.into_iter().filter(|(number, _)| !old.contains_key(number));
    found.extend(appeared.map(|(_, expected)| StateChange::Expected(Box::new(expected))));
    if found.len() == known && before.expected != later.expected {
        value("what is remembered of expectations", "something", "something else", found);
    }
}

/// What may differ of a connection, and its words.
type Aspect = (&'static str, fn(&ConnSnapshot) -> String);

const ASPECTS: [Aspect; 11] = [
    ("state", |conn| conn.state().unwrap_or("none").to_owned()),
    ("status", |conn| names(conn.status)),
    ("dies at", |conn| format!("{} s", conn.deadline)),
    ("original tuple", |conn| conn.original.to_string()),
    ("reply tuple", |conn| conn.reply.to_string()),
    ("mark", |conn| conn.mark.to_string()),
    ("zone", |conn| conn.zone.to_string()),
    ("helper", |conn| conn.helper.map_or("none", |helper| helper.name()).to_owned()),
    ("master", |conn| conn.master.map_or("none".to_owned(), |id| id.to_string())),
    ("original side", |conn| side(conn, 0)),
    ("reply side", |conn| side(conn, 1)),
];

fn names(status: Status) -> String {
    let names: Vec<&str> = status.names().collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// What is known of a side: windows, tags, counters.
fn side(conn: &ConnSnapshot, index: usize) -> String {
    let mut words = match conn.info {
        ProtoInfo::Tcp { sides, .. } => {
            let side = sides[index];
            vec![format!(
                "end {} maxend {} maxwin {} maxack {} scale {} flags 0x{:02x}",
                side.td_end, side.td_maxend, side.td_maxwin, side.td_maxack, side.td_scale, side.flags
            )]
        }
        ProtoInfo::Sctp { tags, .. } => vec![format!("tag 0x{:08x}", tags[index])],
        ProtoInfo::Gre { timeout, stream_timeout } => {
            vec![format!("timeouts {timeout} and {stream_timeout}")]
        }
        ProtoInfo::Stateless => Vec::new(),
    };
    words.extend(
        conn.counters
            .map(|counters| format!("packets {} bytes {}", counters[index].packets, counters[index].bytes)),
    );
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn of_conn(old: (&ConnSnapshot, &Conn), new: (&ConnSnapshot, &Conn), found: &mut Vec<StateChange>) {
    let known = found.len();
    for (what, words) in ASPECTS {
        let (from, to) = (words(old.0), words(new.0));
        if from != to {
            found.push(StateChange::Conn { conn: Box::new(new.0.clone()), what, from, to });
        }
    }
    // Where its timer is kept is nobody's business.
    let now = Conn { link: old.1.link, ..new.1.clone() };
    if found.len() == known && *old.1 != now {
        found.push(StateChange::Hidden(Box::new(new.0.clone())));
    }
}
