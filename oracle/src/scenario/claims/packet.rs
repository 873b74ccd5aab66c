//! Claims about one packet.

use conntruth_engine::{Class, Verdict};

use crate::language::ast::claim::{Claim, ClassWord, EventClaim, Flags, Named, Timeout};
use crate::language::ast::{Located, Name, Span};
use crate::language::words::{CLASSES, word_of};
use crate::target::words as target_words;
use crate::target::{Arrival, Entry, Fate, Happening, Observation, Reasons, Rules, Target, Why};

use super::super::plan::{Act, Move};
use super::super::run::World;
use super::{Mismatch, Silence, class_of, is_of, words};

/// Compares a claim with what became of its packet.
pub(crate) fn packet(
    world: &World<'_>,
    target: &mut dyn Target,
    claim: &Claim,
    arrival: &Arrival,
    seen: &Observation,
    step: &Move,
) -> Result<Vec<Mismatch>, Silence> {
    let mut mismatches = Vec::new();
    let shows = &world.identity.abilities.shows;
    match claim.class.map(|class| class.span).or(claim.reply) {
        Some(span) if !shows.class => mismatches.push(Mismatch::unseen(span, "class")),
        _ => class(claim, seen, &mut mismatches),
    }
    let entry = seen.entry.as_ref().filter(|_| !seen.destroyed);
    if let Some(name) = &claim.state {
        mismatches.extend(state(name, seen.entry.as_ref(), world));
    }
    if let Some(timeout) = &claim.timeout {
        mismatches.extend(self::timeout(timeout, entry, world));
    }
    if let Some(flags) = &claim.flags {
        mismatches.extend(self::flags(flags, seen.entry.as_ref(), world));
    }
    for named in &claim.named {
        let found = match &named.value {
            Named::Because { .. } if shows.reasons == Reasons::Own => {
                vec![Mismatch::unseen(named.span, "why")]
            }
            Named::Because { slug, numbers } => because(slug, numbers, named.span, seen),
            Named::Events(_) if !world.identity.abilities.shows.events => {
                vec![Mismatch::unseen(named.span, "events")]
            }
            Named::Events(events) => self::events(events, named.span, &seen.events),
            Named::Dropped | Named::Accepted | Named::Rejected(_)
                if !world.identity.abilities.shows.verdict && arrival.fate == Fate::Passes =>
            {
                vec![Mismatch::unseen(named.span, "whether the tracker lets a packet go on")]
            }
            Named::Dropped | Named::Accepted | Named::Rejected(_)
                if world.identity.abilities.rules == Rules::Told && seen.by.is_some() =>
            {
                vec![Mismatch::unseen(named.span, "what rules decide")]
            }
            Named::Dropped => passes(named.span, arrival, seen, Fall::Dropped),
            Named::Rejected(class) => {
                let found = passes(named.span, arrival, seen, Fall::Rejected);
                if found.is_empty() { answered(named.span, seen, *class) } else { found }
            }
            Named::Accepted => passes(named.span, arrival, seen, Fall::Accepted),
            // Whoever shows nothing of entries does not show either which of them a packet belongs to.
            Named::Attached(_) if !shows.entries() => vec![Mismatch::unseen(named.span, "entries")],
            Named::Attached(wanted) => attached(*wanted, named.span, seen),
            Named::Leaves(_)
                if world.identity.abilities.rules != Rules::Own || !world.identity.abilities.nat =>
            {
                vec![Mismatch::unseen(named.span, "packets as they leave")]
            }
            Named::Leaves(leaving) => {
                super::leaving::leaves(leaving.as_ref(), named.span, arrival, seen, world)
            }
            Named::NoEntry => no_entry(named.span, world, target, seen, step)?,
            _ if !shows.entries() => vec![Mismatch::unseen(named.span, "entries")],
            about_entry => super::entry::named(about_entry, named.span, seen.entry.as_ref(), world),
        };
        mismatches.extend(found);
    }
    Ok(mismatches)
}

fn class(claim: &Claim, seen: &Observation, mismatches: &mut Vec<Mismatch>) {
    let (got, reply) = class_of(seen.class);
    if let Some(class) = claim.class.as_ref().filter(|class| class.value != got) {
        let word = word_of(CLASSES, got);
        mismatches.push(Mismatch::new(class.span, word_of(CLASSES, class.value), word).fix(word));
    }
    match (claim.reply, reply) {
        (Some(span), false) => {
            mismatches.push(Mismatch::new(span, "reply direction", "original direction").fix(""));
        }
        (None, true) if claim.open.is_none() && claim.class.is_some() => {
            let end = claim.class.map_or(claim.span.start, |class| class.span.end);
            let gap = Span::new(end, end);
            mismatches.push(Mismatch::new(gap, "original direction", "reply direction").fix(" reply"));
        }
        _ => {}
    }
}

/// Compares a state.
pub(super) fn state(claimed: &Name, entry: Option<&Entry>, world: &World<'_>) -> Option<Mismatch> {
    if !world.identity.abilities.shows.state {
        return Some(Mismatch::unseen(claimed.span, "states"));
    }
    let got = entry.map(|entry| entry.state.as_deref());
    match got {
        Some(Some(state)) if state == claimed.value => None,
        Some(Some(state)) => Some(Mismatch::new(claimed.span, &claimed.value, state).fix(state)),
        Some(None) => Some(Mismatch::new(claimed.span, &claimed.value, "a protocol without states").fix("")),
        None => Some(Mismatch::new(claimed.span, &claimed.value, "no entry").fix("")),
    }
}

/// Compares a timeout: by whole seconds as listings show them, or exactly where it was written so.
pub(super) fn timeout(
    claimed: &Located<Timeout>,
    entry: Option<&Entry>,
    world: &World<'_>,
) -> Option<Mismatch> {
    if !world.identity.abilities.shows.timeout {
        return Some(Mismatch::unseen(claimed.span, "timeouts"));
    }
    let tick = world.plan.tick;
    let nanos = claimed.value.left.nanos(tick);
    let expected = words::length(claimed.value.left);
    let Some(entry) = entry else {
        return Some(Mismatch::new(claimed.span, expected, "no entry").fix(""));
    };
    let (holds, got) = match claimed.value.exact {
        true => {
            (entry.left.may_be(conntruth_engine::Time(nanos / tick * tick)), words::exact(entry.left.most))
        }
        false => (entry.left.may_show(nanos / 1_000_000_000), words::left(entry.left)),
    };
    (!holds).then(|| Mismatch::new(claimed.span, expected, &got).fix(&got))
}

/// Compares the set of the two flags.
pub(super) fn flags(claimed: &Located<Flags>, entry: Option<&Entry>, world: &World<'_>) -> Option<Mismatch> {
    let Flags { unreplied, assured } = claimed.value;
    let expected = words::flags(unreplied, assured);
    if !world.identity.abilities.shows.status {
        return Some(Mismatch::unseen(claimed.span, "status bits"));
    }
    let Some(entry) = entry else { return Some(Mismatch::new(claimed.span, expected, "no entry").fix("")) };
    let got = words::flags(entry.is_unreplied(), entry.is_assured());
    (got != expected).then(|| Mismatch::new(claimed.span, expected, &got).fix(&got))
}

fn because(
    slug: &Name,
    numbers: &[(Name, Located<String>)],
    span: Span,
    seen: &Observation,
) -> Vec<Mismatch> {
    let reason = match (&seen.help, &seen.why) {
        (Some(help), _) if help.slug() == slug.value => help,
        (_, Some(Why::Reason(reason))) => reason,
        (_, other) => return in_words(slug, numbers, span, other.as_ref(), seen.class),
    };
    if reason.slug() != slug.value {
        let got = format!("because {}", reason.slug());
        return vec![Mismatch::new(span, format!("because {}", slug.value), &got).fix(&got)];
    }
    let got = reason.numbers();
    let wrong = numbers.iter().filter_map(|(name, value)| {
        let found = got.iter().find(|(other, _)| *other == name.value).map(|(_, value)| value.to_string());
        let text = found.clone().unwrap_or_else(|| format!("no number `{}`", name.value));
        (found.as_ref() != Some(&value.value)).then(|| {
            let mismatch = Mismatch::new(
                value.span,
                format!("{}={}", name.value, value.value),
                format!("{}={text}", name.value),
            );
            if found.is_some() { mismatch.fix(text) } else { mismatch }
        })
    });
    wrong.collect()
}

/// A reason against the words of a target that says why a packet is INVALID, and of no other packet.
fn in_words(
    slug: &Name,
    numbers: &[(Name, Located<String>)],
    span: Span,
    why: Option<&Why>,
    class: Class,
) -> Vec<Mismatch> {
    let said = match why {
        Some(Why::Said(said)) => Some(said.as_str()),
        _ => None,
    };
    let numbers: Vec<(&str, &str)> =
        numbers.iter().map(|(name, value)| (name.value.as_str(), value.value.as_str())).collect();
    // What a target says beside its words for INVALID, or leaves unsaid, proves nothing.
    let is_about_it = said.is_some() && class == Class::Invalid;
    match target_words::say(&slug.value, &numbers, said).filter(|_| is_about_it) {
        Some(Ok(())) => Vec::new(),
        Some(Err(expected)) => {
            let got = format!("\"{}\"", said.unwrap_or_default());
            vec![Mismatch::new(span, format!("because {}: {expected}", slug.value), got)]
        }
        None => vec![Mismatch::unseen(span, "why")],
    }
}

fn events(claimed: &[EventClaim], span: Span, seen: &[Happening]) -> Vec<Mismatch> {
    let holds =
        claimed.len() == seen.len() && claimed.iter().zip(seen).all(|(claim, event)| is_event(claim, event));
    if holds {
        return Vec::new();
    }
    let expected = if claimed.is_empty() {
        "event none".to_owned()
    } else {
        claimed.iter().map(|claim| format!("event {claim}")).collect::<Vec<_>>().join(" ")
    };
    // Written without changes, it is mended without changes.
    let brief = claimed.iter().all(|claim| claim.changes.is_empty());
    let kinds =
        seen.iter().map(|event| format!("event {}", words::kind(event.kind))).collect::<Vec<_>>().join(" ");
    let got = words::events(seen);
    let fix = if brief && !seen.is_empty() { kinds } else { got.clone() };
    vec![Mismatch::new(span, expected, got).fix(fix)]
}

/// Whether an event is as claimed: of its kind, and with at least the changes claimed.
pub(super) fn is_event(claim: &EventClaim, event: &Happening) -> bool {
    let changed = |name: &str| event.changes.iter().any(|change| change == name);
    claim.kind == event.kind && claim.changes.names().all(changed)
}

/// How a packet's way through the host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fall {
    Accepted,
    Dropped,
    /// Dropped, and an answer sent.
    Rejected,
}

fn passes(span: Span, arrival: &Arrival, seen: &Observation, wanted: Fall) -> Vec<Mismatch> {
    let passed = seen.verdict == Verdict::Accept && arrival.fate != Fate::Dropped;
    let fall = match (passed, seen.sent.is_empty()) {
        (true, _) => Fall::Accepted,
        (false, true) => Fall::Dropped,
        (false, false) => Fall::Rejected,
    };
    let word = |fall: Fall| match fall {
        Fall::Accepted => "accepted",
        Fall::Dropped => "dropped",
        Fall::Rejected => "rejected",
    };
    if fall == wanted {
        return Vec::new();
    }
    vec![Mismatch::new(span, word(wanted), word(fall)).fix(word(fall))]
}

/// Whether the answer is of the class claimed.
fn answered(span: Span, seen: &Observation, claimed: Option<(ClassWord, bool)>) -> Vec<Mismatch> {
    let Some(claimed) = claimed else { return Vec::new() };
    let as_class = |class| format!("rejected as {}", words::class(class));
    let got: Vec<String> = seen.sent.iter().map(|sent| as_class(class_of(sent.class))).collect();
    let expected = as_class(claimed);
    if got.contains(&expected) {
        return Vec::new();
    }
    let fix = got.first().cloned().unwrap_or_default();
    vec![Mismatch::new(span, expected, got.join(", ")).fix(fix)]
}

fn attached(wanted: bool, span: Span, seen: &Observation) -> Vec<Mismatch> {
    let word = |attached: bool| if attached { "attached" } else { "unattached" };
    if seen.attached == wanted {
        return Vec::new();
    }
    vec![Mismatch::new(span, word(wanted), word(seen.attached)).fix(word(seen.attached))]
}

fn no_entry(
    span: Span,
    world: &World<'_>,
    target: &mut dyn Target,
    seen: &Observation,
    step: &Move,
) -> Result<Vec<Mismatch>, Silence> {
    let talk = match &step.act {
        Act::Packet(sent) | Act::Release(_, sent) => sent.shown.talk,
        _ => None,
    };
    let mut entry = seen.entry.clone().filter(|_| !seen.destroyed);
    if entry.is_none() && !world.identity.abilities.shows.table {
        return Ok(vec![Mismatch::unseen(span, "the table")]);
    }
    if let (None, Some(talk)) = (&entry, talk) {
        // A packet that has no entry of its own may still have the tuple of one.
        entry = target.table()?.into_iter().find(|entry| is_of(entry, world.plan.talk(talk)));
    }
    Ok(entry
        .map(|entry| Mismatch::new(span, "no entry", words::describe(&entry)).fix(""))
        .into_iter()
        .collect())
}
