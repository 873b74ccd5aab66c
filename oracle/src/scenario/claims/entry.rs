//! Claims about an entry: a line of a table, or what stands after `entry`.

use conntruth_engine::Direction;

use crate::language::ast::Span;
use crate::language::ast::claim::{EntryClaim, Key, KeyValue, Named};
use crate::language::ast::packet::Protocol;
use crate::target::{Entry, Passing, Peers};

use super::super::run::World;
use super::super::talks::number;
use super::{Mismatch, is_of, packet, words};

/// Whether all that is claimed of an entry, as far as it is shown, holds.
pub(super) fn fits(claim: &EntryClaim, entry: &Entry, world: &World<'_>) -> bool {
    compare(claim, entry, world).iter().all(|part| part.unseen)
}

/// Compares an entry with a claim about it.
pub(super) fn compare(claim: &EntryClaim, entry: &Entry, world: &World<'_>) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    if let Some(protocol) = &claim.protocol {
        let got = entry.original.protocol;
        if number(protocol.value, entry.original.family) != got || is_foreign(protocol.value, entry) {
            let got = format!("{} {got}", entry.protocol_name());
            mismatches.push(Mismatch::new(protocol.span, "another protocol", &got).fix(got));
        }
    }
    if let Some(timeout) = &claim.timeout {
        // A table writes a bare number, as `conntrack -L` does.
        let bare = world
            .plan
            .script()
            .text
            .get(timeout.span.range())
            .is_some_and(|text| !text.ends_with(char::is_alphabetic));
        let mismatch = packet::timeout(timeout, Some(entry), world);
        let mended =
            |mismatch: Mismatch| if bare && !mismatch.unseen { mismatch.fix(entry.left) } else { mismatch };
        mismatches.extend(mismatch.map(mended));
    }
    if let Some(state) = &claim.state {
        mismatches.extend(packet::state(state, Some(entry), world));
    }
    if let Some(flags) = &claim.flags {
        mismatches.extend(packet::flags(flags, Some(entry), world));
    }
    for (keys, direction) in [(&claim.original, Direction::Original), (&claim.reply, Direction::Reply)] {
        mismatches.extend(keys.iter().filter_map(|key| self::key(key, entry, Some(direction), world)));
    }
    mismatches.extend(claim.common.iter().filter_map(|key| self::key(key, entry, None, world)));
    for part in &claim.named {
        mismatches.extend(named(&part.value, part.span, Some(entry), world));
    }
    if let Some(flow) = &claim.flow {
        let is_its = world
            .plan
            .talks
            .find(Some(flow), flow.span)
            .is_ok_and(|talk| is_of(entry, world.plan.talk(talk)));
        if !is_its {
            mismatches.push(Mismatch::new(flow.span, format!("the entry of `{}`", flow.value), entry));
        }
    }
    mismatches
}

/// Compares a part that has a name with an entry.
pub(super) fn named(claim: &Named, span: Span, entry: Option<&Entry>, world: &World<'_>) -> Vec<Mismatch> {
    let Some(entry) = entry else { return vec![Mismatch::new(span, "an entry", "no entry")] };
    let mismatch = |expected: String, got: String| vec![Mismatch::new(span, expected, &got).fix(&got)];
    match claim {
        Named::Status(_) if !world.identity.abilities.shows.status => {
            vec![Mismatch::unseen(span, "status bits")]
        }
        Named::Status(bits) if !entry.status.has(*bits) => {
            let names = |status: conntruth_engine::Status| status.names().collect::<Vec<_>>().join(" ");
            mismatch(format!("status {}", names(*bits)), format!("status {}", names(entry.status)))
        }
        Named::Mark(mark) if entry.mark != *mark => {
            mismatch(format!("mark {mark}"), format!("mark {}", entry.mark))
        }
        Named::Zone(zone) if entry.zone != *zone => {
            mismatch(format!("zone {zone}"), format!("zone {}", entry.zone))
        }
        Named::Helper(helper) if entry.helper.as_deref() != helper.as_deref() => {
            let word = |helper: Option<&str>| format!("helper {}", helper.unwrap_or("none"));
            mismatch(word(helper.as_deref()), word(entry.helper.as_deref()))
        }
        Named::Master(flow) => {
            let talk = world.plan.talks.find(Some(flow), span);
            let expected = format!("master {}", flow.value);
            match (talk, entry.master_tuple) {
                (Ok(talk), Some(tuple)) if super::has_tuple(&tuple, world.plan.talk(talk)) => Vec::new(),
                (_, Some(tuple)) => vec![Mismatch::new(span, expected, format!("master {tuple}"))],
                // An adapter names a master by its number: whose it is, nobody can say.
                (_, None) if entry.master.is_some() => Vec::new(),
                (_, None) => vec![Mismatch::new(span, expected, "no master")],
            }
        }
        _ => Vec::new(),
    }
}

/// ICMP of the wrong family.
fn is_foreign(protocol: Protocol, entry: &Entry) -> bool {
    matches!(protocol, Protocol::Icmp(Some(family)) if family != entry.original.family && entry.original.is_icmp())
}

/// What the window tracker keeps, and only few targets show.
const WINDOWS: [&str; 4] = ["td_end", "td_maxend", "td_maxwin", "td_maxack"];
/// What the kernel keeps of GRE, and only `/proc` shows.
const GRE_TIMEOUTS: [&str; 2] = ["timeout", "stream_timeout"];
/// What ctnetlink shows of the two senders, and other trackers' listings do not.
const SIDES: [&str; 3] = ["td_scale", "td_flags", "tag"];

fn key(key: &Key, entry: &Entry, direction: Option<Direction>, world: &World<'_>) -> Option<Mismatch> {
    let name = key.name.value.as_str();
    if !world.identity.abilities.shows.windows && (WINDOWS.contains(&name) || GRE_TIMEOUTS.contains(&name)) {
        return Some(Mismatch::unseen(key.name.span, name));
    }
    if SIDES.contains(&name) && entry.peers == Peers::None && !world.identity.abilities.shows.windows {
        return Some(Mismatch::unseen(key.name.span, name));
    }
    // Counted by the wall clock, which does not know of time that entries are made older by.
    let is_counted = world.identity.abilities.time == Passing::Virtual
        && (entry.lived.is_some() || world.identity.abilities.shows.windows);
    if name == "delta-time" && !is_counted {
        return Some(Mismatch::unseen(key.name.span, name));
    }
    let got = value(&key.name.value, entry, direction);
    let (expected, holds) = match &key.value.value {
        KeyValue::Any => ("*".to_owned(), got.is_some()),
        KeyValue::Number(number) => {
            let holds = matches!(got, Some(Value::Number(got)) if got == *number);
            (number.to_string(), holds)
        }
        KeyValue::Address(address) => {
            (address.to_string(), matches!(got, Some(Value::Address(got)) if got == *address))
        }
        KeyValue::Word(word) => {
            let holds = match &got {
                Some(Value::Address(got)) => facing(word, *got, world),
                Some(Value::Word(got)) => got == word,
                _ => false,
            };
            (word.clone(), holds)
        }
    };
    if holds {
        return None;
    }
    let name = &key.name.value;
    let expected = format!("{name}={expected}");
    Some(match got {
        Some(got) => {
            let got = got.to_string();
            Mismatch::new(key.value.span, expected, format!("{name}={got}")).fix(got)
        }
        None => Mismatch::new(key.value.span, expected, format!("no `{name}`")),
    })
}

/// Whether an address is one that a name stands for.
pub(super) fn facing(word: &str, got: std::net::IpAddr, world: &World<'_>) -> bool {
    world.plan.talks.places.name_of(got) == Some(word)
}

/// The value of a key.
pub(super) enum Value {
    Number(u64),
    Address(std::net::IpAddr),
    Word(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Address(address) => address.fmt(f),
            Value::Word(word) => f.write_str(word),
        }
    }
}

/// What an entry has for a key: of one direction, or of the entry as a whole.
pub(super) fn value(name: &str, entry: &Entry, direction: Option<Direction>) -> Option<Value> {
    let Some(direction) = direction else {
        return Some(match name {
            "mark" => Value::Number(entry.mark.into()),
            "zone" => Value::Number(entry.zone.into()),
            "helper" => Value::Word(entry.helper.as_deref()?.to_owned()),
            "delta-time" => Value::Number(entry.lived?),
            "timeout" | "stream_timeout" => match entry.peers {
                Peers::Gre(timeouts) => Value::Number(timeouts[usize::from(name != "timeout")].into()),
                _ => return None,
            },
            _ => return None,
        });
    };
    let tuple = entry.tuple(direction);
    let number = |number: u64| Some(Value::Number(number));
    match name {
        "src" => Some(Value::Address(tuple.src_ip())),
        "dst" => Some(Value::Address(tuple.dst_ip())),
        "sport" if tuple.has_ports() => number(tuple.src_id.into()),
        "dport" if tuple.has_ports() => number(tuple.dst_id.into()),
        "type" if tuple.is_icmp() => number(tuple.icmp_type().into()),
        "code" if tuple.is_icmp() => number(tuple.icmp_code().into()),
        "id" if tuple.is_icmp() => number(tuple.src_id.into()),
        "srckey" => number(tuple.src_id.into()),
        "dstkey" => number(tuple.dst_id.into()),
        "packets" => number(entry.counters?[direction as usize].packets),
        "bytes" => number(entry.counters?[direction as usize].bytes),
        _ => peer(name, entry, direction as usize).map(Value::Number),
    }
}

fn peer(name: &str, entry: &Entry, index: usize) -> Option<u64> {
    match entry.peers {
        Peers::Tcp(sides) => {
            let side = sides[index];
            Some(match name {
                "td_end" => side.td_end.into(),
                "td_maxend" => side.td_maxend.into(),
                "td_maxwin" => side.td_maxwin.into(),
                "td_maxack" => side.td_maxack.into(),
                "td_scale" => side.td_scale.into(),
                "td_flags" => side.flags.into(),
                _ => return None,
            })
        }
        Peers::Sctp(tags) if name == "tag" => Some(tags[index].into()),
        _ => None,
    }
}

/// An entry as a table's line, with the keys that `like` writes; all of them where there is no line to be like.
pub(super) fn line(entry: &Entry, like: Option<&EntryClaim>, world: &World<'_>) -> String {
    let Some(like) = like else { return entry.to_string() };
    let mut words: Vec<String> = Vec::new();
    if like.flow.is_some() {
        let flow = flow_of(entry, world);
        // An entry of no flow that has a name can only be written out.
        let Some(flow) = flow else { return entry.to_string() };
        words.push(flow.to_owned());
    }
    if like.protocol.is_some() {
        words.push(format!("{} {}", entry.protocol_name(), entry.original.protocol));
    }
    if like.timeout.is_some() {
        words.push(entry.left.to_string());
    }
    if like.state.is_some() {
        words.extend(entry.state.as_ref().map(ToString::to_string));
    }
    let flags = like.flags.is_some();
    words.extend(keys(&like.original, entry, Some(Direction::Original), world));
    if flags && entry.is_unreplied() {
        words.push("[UNREPLIED]".to_owned());
    }
    if !like.reply.is_empty() && repeats(like).is_none() {
        words.push("reply".to_owned());
    }
    words.extend(keys(&like.reply, entry, Some(Direction::Reply), world));
    if flags && entry.is_assured() {
        words.push("[ASSURED]".to_owned());
    }
    if flags && !entry.is_assured() && !entry.is_unreplied() {
        words.push("[]".to_owned());
    }
    words.extend(keys(&like.common, entry, None, world));
    words.join(" ")
}

/// The first key of the reply direction, if it stands in the original one too: then no word need say where it begins.
fn repeats(claim: &EntryClaim) -> Option<&Key> {
    claim.reply.first().filter(|key| claim.original.iter().any(|other| other.name.value == key.name.value))
}

fn keys(keys: &[Key], entry: &Entry, direction: Option<Direction>, world: &World<'_>) -> Vec<String> {
    let written = |key: &Key| {
        let name = &key.name.value;
        match (&key.value.value, value(name, entry, direction)) {
            (KeyValue::Any, _) => format!("{name}=*"),
            // A name stays a name where it still is the right one.
            (KeyValue::Word(word), Some(Value::Address(got))) if facing(word, got, world) => {
                format!("{name}={word}")
            }
            (_, Some(got)) => format!("{name}={got}"),
            (_, None) => String::new(),
        }
    };
    keys.iter().map(written).filter(|word| !word.is_empty()).collect()
}

/// The name of the flow whose entry it is.
pub(super) fn flow_of<'w>(entry: &Entry, world: &World<'w>) -> Option<&'w str> {
    world.plan.talks.talks.iter().find(|talk| is_of(entry, talk)).and_then(|talk| talk.name.as_deref())
}

/// `web ESTABLISHED 5d [ASSURED]`: what `entry` writes of an entry.
pub(super) fn brief(entry: &Entry, like: &EntryClaim) -> String {
    let flow = like.flow.as_ref().map(|flow| format!("{} ", flow.value)).unwrap_or_default();
    format!("{flow}{}", words::describe(entry))
}
