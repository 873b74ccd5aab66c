//! Why, in sentences: the rule that decided about a packet, its numbers, its source, and what the packet changed.
//!
//! It works on [`Record`]s, wherever they come from; to say what changed it remembers each connection as it stood.

mod story;

use std::collections::BTreeMap;
use std::io;

use anstyle::Style;
use conntruth_engine::{
    Class, ConnId, ConnSnapshot, CtInfo, Event, EventKind, Reason, Status, Time, Verdict,
};

use crate::replay::text::{class_style, class_words, flag_words, tuple_words};
use crate::replay::{Connection, Record, Summary};

pub use story::{Stopped, explain_plan};

const LABEL: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();

/// Explains records, all of them in order or some.
#[derive(Debug, Default)]
pub struct Explainer {
    started: Option<Time>,
    known: BTreeMap<ConnId, ConnSnapshot>,
}

impl Explainer {
    /// Takes note of a record without explaining it.
    pub fn pass(&mut self, record: &Record<'_>) {
        self.started.get_or_insert(record.time);
        for event in record.events.iter().filter(|event| event.kind == EventKind::Destroy) {
            self.known.remove(&event.conn.id);
        }
        if let Some(connection) = record.connection.as_ref().filter(|connection| !connection.destroyed) {
            self.known.insert(connection.snapshot.id, connection.snapshot.clone());
        }
    }

    /// Writes why the tracker answered as it did.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn explain(&mut self, out: &mut impl io::Write, record: &Record<'_>) -> io::Result<()> {
        let started = *self.started.get_or_insert(record.time);
        let time = record.time.since(started);
        let cut = if record.truncated { ", cut by the snap length" } else { "" };
        let (number, summary) = (record.number, Summary(record.bytes));
        writeln!(
            out,
            "{HEADING}packet {number}{HEADING:#} at {time} s{cut}: {HEADING}{summary:#}{HEADING:#}"
        )?;
        let style = class_style(&record.outcome.class);
        writeln!(out, "  {style}{}{style:#}: {}", class_words(record.outcome.class), class_sentence(record))?;
        let reason = &record.outcome.reason;
        line(out, "because", &reason.to_string())?;
        line(out, "rule", &format!("{}: {}", reason.slug(), reason.info().rule))?;
        if let Some(numbers) = numbers(reason) {
            line(out, "numbers", &numbers)?;
        }
        line(out, "source", reason.info().source)?;
        if let Some(help) = &record.outcome.help {
            line(out, "helper", &help.to_string())?;
            line(out, "rule", &format!("{}: {}", help.slug(), help.info().rule))?;
            if let Some(numbers) = numbers(help) {
                line(out, "numbers", &numbers)?;
            }
            line(out, "source", help.info().source)?;
        }
        if let Some(connection) = &record.connection {
            line(out, "then", &self.change(connection, record.outcome.attached))?;
        }
        for event in record.events {
            line(out, "event", &event_words(event))?;
        }
        self.pass(record);
        Ok(())
    }

    /// What the packet did to its connection.
    fn change(&self, connection: &Connection, attached: bool) -> String {
        let conn = &connection.snapshot;
        let name = format!("connection {}", conn.id);
        let state = |before: &str| conn.state().map_or(String::new(), |state| format!("{before} {state}"));
        if connection.destroyed {
            return format!("{name} is gone{}", state(", last in"));
        }
        let Some(before) = self.known.get(&conn.id) else {
            let (protocol, words) = (conn.protocol_name(), tuple_words(&conn.original));
            let (time, flags) = (span(conn.timeout), flag_words(conn.status));
            return format!("{name} begins: {protocol} {words}{}, {time} to live, {flags}", state(","));
        };
        if !attached && before.deadline == conn.deadline && before.status == conn.status {
            return format!("{name} is as it was{}, {} left", state(", in"), span(conn.timeout));
        }
        let mut parts = Vec::new();
        match (before.state(), conn.state()) {
            (Some(from), Some(to)) if from != to => parts.push(format!("goes from {from} to {to}")),
            (_, Some(state)) => parts.push(format!("stays in {state}")),
            _ => {}
        }
        parts.push(if before.deadline == conn.deadline {
            format!("its timeout runs on, {} left", span(conn.timeout))
        } else {
            format!("its timeout is set to {}", span(conn.timeout))
        });
        let gained: Vec<_> = Status(conn.status.0 & !before.status.0).names().collect();
        if !gained.is_empty() {
            parts.push(format!("it is now {}", gained.join(" and ")));
        }
        format!("{name}: {}", parts.join("; "))
    }
}

fn class_sentence(record: &Record<'_>) -> String {
    let outcome = &record.outcome;
    let id = outcome.conn.map(|id| id.number().to_string()).unwrap_or_default();
    let begins = |event: &Event| event.kind == EventKind::New && Some(event.conn.id) == outcome.conn;
    let sentence = match outcome.class {
        Class::Tracked(CtInfo::New) if record.events.iter().any(begins) => {
            format!("it opens connection {id}")
        }
        Class::Tracked(CtInfo::New) if id.is_empty() => "it would open a connection".to_owned(),
        Class::Tracked(CtInfo::New) => {
            format!("it belongs to connection {id}, which nothing has answered yet")
        }
        Class::Tracked(CtInfo::Established) => {
            format!("it belongs to connection {id}, in original direction, and that has been answered")
        }
        Class::Tracked(CtInfo::EstablishedReply) => {
            format!("it belongs to connection {id}, in reply direction")
        }
        Class::Tracked(CtInfo::Related)
            if record.connection.as_ref().is_some_and(|conn| conn.snapshot.master.is_some()) =>
        {
            let master = record.connection.as_ref().and_then(|conn| conn.snapshot.master);
            let master = master.map(|master| master.number().to_string()).unwrap_or_default();
            format!("it belongs to connection {id}, which connection {master} has announced")
        }
        Class::Tracked(CtInfo::Related) => {
            format!("it is about connection {id}, and goes in its original direction")
        }
        Class::Tracked(CtInfo::RelatedReply) => {
            format!("it is about connection {id}, and goes in its reply direction")
        }
        Class::Untracked => "the tracker leaves it alone".to_owned(),
        Class::Invalid if id.is_empty() => "it belongs to no connection, and opens none".to_owned(),
        Class::Invalid => format!("it has the addresses of connection {id}, but is not taken as part of it"),
        Class::Held if outcome.verdict == Verdict::Drop => "it is dropped, and never had a class".to_owned(),
        Class::Held => "it waits for the rest of its datagram, and has no class until then".to_owned(),
        Class::Discarded => "it is thrown away before the tracker sees it".to_owned(),
    };
    let verdict = match (outcome.verdict, outcome.class) {
        (_, Class::Held | Class::Discarded) => "",
        (Verdict::Accept, Class::Invalid) => "; it passes unless a rule drops it",
        (Verdict::Accept, _) => "",
        (Verdict::Drop, _) => "; the tracker drops it",
    };
    sentence + verdict
}

fn numbers(reason: &Reason) -> Option<String> {
    let numbers: Vec<_> = reason.numbers().iter().map(|(name, value)| format!("{name} {value}")).collect();
    (!numbers.is_empty()).then(|| numbers.join(", "))
}

fn event_words(event: &Event) -> String {
    let kind = match event.kind {
        EventKind::New => "new",
        EventKind::Update => "update",
        EventKind::Destroy => "destroy",
        EventKind::ExpectNew | EventKind::ExpectDestroy => return expected_words(event),
    };
    let changes: Vec<_> = event.changes.names().filter(|&change| change != kind).collect();
    let changes = if changes.is_empty() { String::new() } else { format!(" ({})", changes.join(", ")) };
    let is_over = event.kind == EventKind::Destroy && event.conn.timeout == 0;
    let over = if is_over { ": its time was up" } else { "" };
    format!("{kind} of connection {}{changes}{over}", event.conn.id)
}

/// `connection 1 expects tcp 10.0.1.1 > 10.0.0.1:4242 for 300 s`
fn expected_words(event: &Event) -> String {
    let id = event.conn.id;
    let Some(expected) = &event.expected else { return format!("connection {id} expects another") };
    let tuple = &expected.tuple;
    let from = if expected.mask.src == Default::default() {
        "anyone".to_owned()
    } else {
        tuple.src_ip().to_string()
    };
    let to = std::net::SocketAddr::new(tuple.dst_ip(), tuple.dst_id);
    let what = format!("{} {from} > {to}", tuple.protocol_name());
    match event.kind {
        EventKind::ExpectNew => format!("connection {id} expects {what}, for {} s", expected.timeout),
        _ => format!("connection {id} expects {what} no more"),
    }
}

/// Seconds, and what they are in days or hours where that is a whole number.
fn span(secs: u64) -> String {
    match secs {
        0 => "0 s".to_owned(),
        _ if secs.is_multiple_of(86_400) => format!("{secs} s ({} d)", secs / 86_400),
        _ if secs.is_multiple_of(3600) => format!("{secs} s ({} h)", secs / 3600),
        _ => format!("{secs} s"),
    }
}

fn line(out: &mut impl io::Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "    {LABEL}{label:<7}{LABEL:#}  {text}")
}
