//! Claims about translation: the ends with which a packet leaves, and what entries have in common or apart.

use conntruth_engine::{Direction, Tuple, Verdict};

use super::super::run::World;
use super::{Mismatch, Silence, entry};
use crate::language::ast::claim::{AtPort, EntryPlace, Leaving, LeavingEnd};
use crate::language::ast::packet::HostRef;
use crate::language::ast::{Located, Span};
use crate::target::{Arrival, Entry, Observation, Refusal, whose};

/// Compares the ends with which a packet has left.
pub(super) fn leaves(
    claimed: Option<&Leaving>,
    span: Span,
    arrival: &Arrival,
    seen: &Observation,
    world: &World<'_>,
) -> Vec<Mismatch> {
    let expected = claimed.map_or("leaves unchanged".to_owned(), |leaving| format!("leaves {leaving}"));
    if seen.verdict == Verdict::Drop {
        return vec![Mismatch::new(span, expected, "it does not leave").fix("")];
    }
    let left = seen.left.as_deref();
    let Some((ends, quoted)) = whose::ends(left.unwrap_or(&arrival.bytes)) else {
        return vec![Mismatch::new(span, expected, "a packet without ends")];
    };
    let holds = match claimed {
        None => left.is_none(),
        Some(leaving) => {
            let is_quoted = |wanted: &[LeavingEnd; 2]| quoted.is_some_and(|ends| fits(wanted, &ends, world));
            fits(&leaving.ends, &ends, world) && leaving.quoted.as_ref().is_none_or(is_quoted)
        }
    };
    if holds {
        return Vec::new();
    }
    let quoted = quoted.filter(|_| claimed.is_none_or(|leaving| leaving.quoted.is_some()));
    let mut got = format!("leaves {}", shown(&ends, world));
    if let Some(quoted) = quoted {
        got.push_str(&format!(" quoting {}", shown(&quoted, world)));
    }
    vec![Mismatch::new(span, expected, &got).fix(got)]
}

fn fits([from, to]: &[LeavingEnd; 2], ends: &Tuple, world: &World<'_>) -> bool {
    let dst_port = if ends.is_icmp() { ends.src_id } else { ends.dst_id };
    fits_end(from, ends.src_ip(), ends.src_id, world) && fits_end(to, ends.dst_ip(), dst_port, world)
}

fn fits_end(wanted: &LeavingEnd, address: std::net::IpAddr, got: u16, world: &World<'_>) -> bool {
    let LeavingEnd::Host { host, port } = wanted else { return true };
    let is_host = match host {
        HostRef::Address(wanted) => *wanted == address,
        HostRef::Name(name) => world.plan.talks.places.name_of(address) == Some(&name.value),
    };
    is_host && !matches!(port, Some(AtPort::Port(port)) if *port != got)
}

/// `box:40000 > server:80`
fn shown(ends: &Tuple, world: &World<'_>) -> String {
    let end = |address: std::net::IpAddr, port: u16| {
        let name = world.plan.talks.places.name_of(address).map(str::to_owned);
        let has_port = ends.has_ports() || ends.is_icmp();
        match name {
            Some(name) if has_port => format!("{name}:{port}"),
            Some(name) => name,
            None if has_port && address.is_ipv6() => format!("[{address}]:{port}"),
            None if has_port => format!("{address}:{port}"),
            None => address.to_string(),
        }
    };
    // A message has one identifier.
    let dst_port = if ends.is_icmp() { ends.src_id } else { ends.dst_id };
    format!("{} > {}", end(ends.src_ip(), ends.src_id), end(ends.dst_ip(), dst_port))
}

/// Compares what entries have in some places.
pub(super) fn alike(
    same: bool,
    places: &[Located<EntryPlace>],
    entries: &[Entry],
    world: &World<'_>,
) -> Result<Vec<Mismatch>, Silence> {
    let mut found: Vec<(&Located<EntryPlace>, String)> = Vec::new();
    for place in places {
        let EntryPlace { flow, reply, key } = &place.value;
        let entry = entries.iter().find(|entry| entry::flow_of(entry, world) == Some(flow));
        let Some(entry) = entry else {
            return Ok(vec![Mismatch::new(place.span, format!("an entry of `{flow}`"), "no entry")]);
        };
        let direction = if *reply { Direction::Reply } else { Direction::Original };
        let Some(value) = entry::value(key, entry, Some(direction)) else {
            let what = format!("an entry of {} has no `{key}`", entry.protocol_name());
            return Err(Silence::Refused(Refusal::Wrong(what)));
        };
        found.push((place, value.to_string()));
    }
    let mut mismatches = Vec::new();
    for (index, (place, value)) in found.iter().enumerate() {
        let others = || found[..index].iter();
        let other = if same {
            others().find(|(_, other)| other != value)
        } else {
            others().find(|(_, other)| other == value)
        };
        if let Some((other, its)) = other {
            let expected = format!("{} {}", if same { "the same as" } else { "another than" }, other.value);
            let got = format!("{value}, and there {its}");
            mismatches.push(Mismatch::new(place.span, expected, got));
        }
    }
    Ok(mismatches)
}
