//! What is answered of packets and time, in both directions.

use std::borrow::Cow;

use conntruth_engine as engine;
use conntruth_engine::{CtInfo, Time};

use super::entries::{entry, expected, our_entry, our_expected};
use super::{Known, Nonsense};
use crate::target as ours;
use crate::target::Shows;
use crate::target::exec::wire;

/// What became of a packet.
pub(in crate::target::exec) fn observation(
    seen: wire::Seen,
    shows: &Shows,
    known: &mut Known,
) -> Result<ours::Observation, Nonsense> {
    let class = match (seen.class, shows.class) {
        (Some(class), _) => self::class(class),
        (None, true) => return Err("it shows classes, and `class` is missing".to_owned()),
        (None, false) => engine::Class::Untracked,
    };
    let goes_on = match (seen.verdict, shows.verdict) {
        (Some(said), _) => verdict(said),
        (None, false) => engine::Verdict::Accept,
        (None, true) => return Err("it shows verdicts, and `verdict` is missing".to_owned()),
    };
    let entry = seen.entry.map(|entry| self::entry(entry, shows, known)).transpose()?;
    Ok(ours::Observation {
        class,
        verdict: goes_on,
        attached: seen.attached.unwrap_or(entry.is_some()),
        why: seen.why.map(ours::Why::Said),
        help: None,
        destroyed: seen.destroyed && entry.is_some(),
        by: seen.by,
        sent: seen.sent.into_iter().map(sent).collect(),
        left: seen.left.map(|left| left.0),
        entry,
        events: events(seen.events, shows, known)?,
    })
}

fn sent(sent: wire::Sent) -> ours::Sent {
    ours::Sent { bytes: sent.bytes.0, class: class(sent.class), verdict: verdict(sent.verdict) }
}

fn verdict(verdict: wire::Verdict) -> engine::Verdict {
    match verdict {
        wire::Verdict::Accept => engine::Verdict::Accept,
        wire::Verdict::Drop => engine::Verdict::Drop,
    }
}

fn our_verdict(verdict: engine::Verdict) -> wire::Verdict {
    match verdict {
        engine::Verdict::Accept => wire::Verdict::Accept,
        engine::Verdict::Drop => wire::Verdict::Drop,
    }
}

/// What rules have counted.
pub(in crate::target::exec) fn counters(list: wire::Counters) -> Vec<(String, engine::Counter)> {
    let one = |counted: wire::Counted| {
        (counted.name, engine::Counter { packets: counted.packets, bytes: counted.bytes })
    };
    list.counters.into_iter().map(one).collect()
}

/// What rules have counted, for the wire.
pub(in crate::target::exec) fn our_counters(list: Vec<(String, engine::Counter)>) -> wire::Counters {
    let one = |(name, counter): (String, engine::Counter)| wire::Counted {
        name,
        packets: counter.packets,
        bytes: counter.bytes,
    };
    wire::Counters { counters: list.into_iter().map(one).collect() }
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
pub(in crate::target::exec) fn events(
    events: Vec<wire::Event>,
    shows: &Shows,
    known: &mut Known,
) -> Result<Vec<ours::Happening>, Nonsense> {
    let lag = known.lag;
    let happening = |event: wire::Event| {
        Ok(ours::Happening {
            at: Time(event.at_ns),
            kind: match event.kind {
                wire::Kind::New => engine::EventKind::New,
                wire::Kind::Update => engine::EventKind::Update,
                wire::Kind::Destroy => engine::EventKind::Destroy,
                wire::Kind::ExpectNew => engine::EventKind::ExpectNew,
                wire::Kind::ExpectDestroy => engine::EventKind::ExpectDestroy,
            },
            changes: event.changes.into_iter().map(Cow::Owned).collect(),
            // An entry that has gone has no time left that one could show.
            entry: entry(event.entry, &Shows { timeout: false, ..*shows }, known)?,
            expected: match event.expectation {
                Some(expectation) => Some(Box::new(expected(expectation, lag)?)),
                None => None,
            },
        })
    };
    events.into_iter().map(happening).collect()
}

/// All entries.
pub(in crate::target::exec) fn table(
    table: wire::Table,
    shows: &Shows,
    known: &mut Known,
) -> Result<Vec<ours::Entry>, Nonsense> {
    table.entries.into_iter().map(|entry| self::entry(entry, shows, known)).collect()
}

/// What became of a packet, for the wire.
pub(in crate::target::exec) fn seen(seen: ours::Observation) -> wire::Seen {
    wire::Seen {
        class: Some(our_class(seen.class)),
        verdict: Some(our_verdict(seen.verdict)),
        attached: (seen.attached != seen.entry.is_some()).then_some(seen.attached),
        entry: seen.entry.map(|entry| our_entry(&entry)),
        destroyed: seen.destroyed,
        why: seen.why.map(|why| match why {
            ours::Why::Reason(reason) => reason.to_string(),
            ours::Why::Said(words) => words,
        }),
        by: seen.by,
        left: seen.left.map(wire::Hex),
        sent: seen
            .sent
            .into_iter()
            .map(|sent| wire::Sent {
                bytes: wire::Hex(sent.bytes),
                class: our_class(sent.class),
                verdict: our_verdict(sent.verdict),
            })
            .collect(),
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
pub(in crate::target::exec) fn our_events(events: Vec<ours::Happening>) -> Vec<wire::Event> {
    let event = |event: ours::Happening| {
        let kind = match event.kind {
            engine::EventKind::New => wire::Kind::New,
            engine::EventKind::Update => wire::Kind::Update,
            engine::EventKind::Destroy => wire::Kind::Destroy,
            engine::EventKind::ExpectNew => wire::Kind::ExpectNew,
            engine::EventKind::ExpectDestroy => wire::Kind::ExpectDestroy,
        };
        wire::Event {
            at_ns: event.at.as_nanos(),
            kind,
            changes: event.changes.into_iter().map(Cow::into_owned).collect(),
            entry: our_entry(&event.entry),
            expectation: event.expected.map(|expected| our_expected(*expected)),
        }
    };
    events.into_iter().map(event).collect()
}
