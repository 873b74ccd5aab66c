//! Causes, not failures: a hundred worlds that fail for one reason are one line.
//!
//! A world that failed is run through the reference as well. The first packet whose answers differ names the cause: the
//! reference's rule for it, and in what the answers differ. What differs after that packet may only follow from it, so a
//! cause that others were seen to follow comes before them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use conntruth_engine::{LINUX_6_18, Profile};
use serde::{Deserialize, Serialize};

use crate::diff::{Cause, Difference, Field, Mismatch, Normal, compare};
use crate::paint::{Paint, Role};
use crate::scenario::{Record, Verdict};
use crate::target::{Identity, Observation, Reference, Sight, Target, Why};

use super::{Ended, Suite};

/// Why some worlds of a run failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// `tcp-new-syn: timeout differs`
    pub cause: String,
    /// The reference's rule at the first packet that differs.
    pub slug: String,
    /// The worlds, the smallest first.
    pub worlds: Vec<String>,
    /// How many packets the smallest has.
    pub packets: usize,
    /// The packet of the smallest, as it is written.
    pub packet: String,
    /// What the reference has, and what the target has.
    pub differs: Vec<[String; 3]>,
    /// The rule in a sentence.
    pub rule: String,
    /// Why the reference answered as it did, with the numbers.
    pub why: String,
    /// The numbers by name: `end 1001, window 64240`.
    pub numbers: String,
    /// Where the rule comes from.
    pub source: String,
    /// The causes (by their number in the list, from 0) that were seen to follow this one in its worlds.
    pub then: Vec<usize>,
}

/// A world's first difference, and the causes seen after it.
struct Traced {
    difference: Difference,
    /// The move at which it shows.
    at: usize,
    later: BTreeSet<Cause>,
}

/// The causes of a run's failures, those first that others may follow from. Empty where the target answers as the
/// reference does: then it is claims that are wrong, not answers.
pub fn causes(suite: &Suite) -> Vec<Grounds> {
    let profile = Profile::find(&suite.identity.profile).unwrap_or(&LINUX_6_18);
    let mut reference = Reference::new(profile);
    let mut found: BTreeMap<Cause, Vec<(usize, Traced, Record)>> = BTreeMap::new();
    for (index, world) in suite.worlds.iter().enumerate() {
        let (Verdict::Failed, Some(record)) = (&world.verdict, &world.record) else { continue };
        let model = world.plan.run(&mut reference);
        if let Some(traced) = trace(&model, record, &reference.identity(), &suite.identity) {
            found.entry(Cause::of(&traced.difference)).or_default().push((index, traced, model));
        }
    }
    let order = order(&found);
    let place = |cause: &Cause| order.iter().position(|other| other == cause);
    let all = order.iter().filter_map(|cause| {
        let worlds = found.get(cause)?;
        let mut grounds = grounds(cause, worlds, suite)?;
        let later: BTreeSet<usize> =
            worlds.iter().flat_map(|(_, traced, _)| &traced.later).filter_map(place).collect();
        grounds.then = later.into_iter().collect();
        Some(grounds)
    });
    all.collect()
}

/// Whether a target's answers to a world are the reference's, as far as it shows them.
#[cfg(feature = "cli")]
pub(crate) fn agrees(model: &Record, record: &Record, reference: &Identity, target: &Identity) -> bool {
    let (left, right, _) = sights(model, record, target, None);
    compare(&left, &right, Normal::between(reference, target)).is_none()
}

fn trace(model: &Record, record: &Record, reference: &Identity, target: &Identity) -> Option<Traced> {
    let normal = Normal::between(reference, target);
    let failed = record.failures.first().map(|failure| failure.at);
    let (left, right, moves) = sights(model, record, target, failed);
    let mut differences = (0..left.len().min(right.len())).filter_map(|index| {
        let found = compare(&left[index..=index], &right[index..=index], normal)?;
        Some((index, Difference { at: index, ..found }))
    });
    match differences.next() {
        Some((index, difference)) if failed.is_none_or(|failed| moves[index] <= failed) => {
            let first = Cause::of(&difference);
            let later = differences.map(|(_, later)| Cause::of(&later)).filter(|later| *later != first);
            Some(Traced { later: later.collect(), difference, at: moves[index] })
        }
        // Every answer that can be compared is right, and a claim does not hold all the same: one about a table, say.
        first => {
            let at = failed?;
            let model_holds = model.failures.iter().all(|failure| failure.at != at);
            if !model_holds {
                return None;
            }
            let part = record.failures.first()?.mismatches.first()?;
            let rule = model.seen[..=at.min(model.seen.len().checked_sub(1)?)]
                .iter()
                .rev()
                .find_map(|seen| Some(slug(seen.packet.as_ref()?)?.to_owned()))
                .unwrap_or_default();
            let mismatch =
                Mismatch { field: Field::Claim, reference: part.expected.clone(), target: part.got.clone() };
            let later = first.into_iter().chain(differences).map(|(_, later)| Cause::of(&later));
            Some(Traced {
                later: later.collect(),
                difference: Difference { at: 0, rule, mismatches: vec![mismatch] },
                at,
            })
        }
    }
}

/// The answers to the packets of a world as they are compared, and the moves they belong to. What the target does not
/// show is taken as the reference has it. Events and reasons are left to the claims about them; so are, but where
/// a claim failed, the entries of packets that are not attached to them, entries that only one of the two has, and whether
/// a packet came through: after the tracker it is in the hands of the host.
fn sights(
    model: &Record,
    record: &Record,
    target: &Identity,
    failed: Option<usize>,
) -> (Vec<Sight>, Vec<Sight>, Vec<usize>) {
    let (mut left, mut right, mut moves) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (model, seen)) in model.seen.iter().zip(&record.seen).enumerate() {
        let (Some(model), Some(seen)) = (&model.packet, &seen.packet) else { continue };
        let mut ours = sight(model, model.why.clone());
        let mut theirs = as_shown(sight(seen, model.why.clone()), &ours, target);
        let both = model.entry.is_some() && seen.entry.is_some() && model.attached && seen.attached;
        if failed != Some(index) {
            theirs.verdict = ours.verdict;
            if !both {
                (ours.entries, theirs.entries) = (None, None);
            }
        }
        left.push(ours);
        right.push(theirs);
        moves.push(index);
    }
    (left, right, moves)
}

fn sight(seen: &Observation, why: Option<Why>) -> Sight {
    let entries = seen.entry.iter().filter(|_| !seen.destroyed).cloned().collect();
    Sight {
        class: seen.class,
        verdict: seen.verdict,
        why,
        help: None,
        expected: None,
        sent: Vec::new(),
        left: None,
        events: Vec::new(),
        entries: Some(entries),
        broken: None,
    }
}

fn as_shown(mut sight: Sight, model: &Sight, target: &Identity) -> Sight {
    let shows = target.abilities.shows;
    if !shows.class {
        sight.class = model.class;
    }
    if !shows.verdict {
        sight.verdict = model.verdict;
    }
    let Some(models) = &model.entries else { return sight };
    if !(shows.state || shows.timeout || shows.table) {
        sight.entries = model.entries.clone();
        return sight;
    }
    for (entry, model) in sight.entries.iter_mut().flatten().zip(models) {
        if !shows.state {
            entry.state.clone_from(&model.state);
        }
        if !shows.timeout {
            entry.left = model.left;
        }
        if !shows.windows && std::mem::discriminant(&entry.peers) != std::mem::discriminant(&model.peers) {
            entry.peers = model.peers;
        }
    }
    sight
}

fn slug(observation: &Observation) -> Option<&'static str> {
    match observation.why.as_ref()? {
        Why::Reason(reason) => Some(reason.slug()),
        Why::Said(_) => None,
    }
}

/// Again and again the cause that follows from the fewest of those left, and of these the most frequent.
fn order(found: &BTreeMap<Cause, Vec<(usize, Traced, Record)>>) -> Vec<Cause> {
    let mut follows: BTreeMap<(&Cause, &Cause), usize> = BTreeMap::new();
    for (cause, worlds) in found {
        for later in worlds.iter().flat_map(|(_, traced, _)| &traced.later) {
            if let Some((later, _)) = found.get_key_value(later) {
                *follows.entry((cause, later)).or_default() += 1;
            }
        }
    }
    let count = |first: &Cause, then: &Cause| follows.get(&(first, then)).copied().unwrap_or(0);
    let mut left: Vec<&Cause> = found.keys().collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let rank = |index: &usize| {
            let cause = left[*index];
            let before = left.iter().filter(|other| count(other, cause) > count(cause, other)).count();
            (before, std::cmp::Reverse(found[cause].len()))
        };
        let best = (0..left.len()).min_by_key(rank).unwrap_or_default();
        order.push(left.remove(best).clone());
    }
    order
}

fn grounds(cause: &Cause, worlds: &[(usize, Traced, Record)], suite: &Suite) -> Option<Grounds> {
    let plan = |index: usize| &suite.worlds[index].plan;
    let mut sorted: Vec<&(usize, Traced, Record)> = worlds.iter().collect();
    sorted.sort_by_key(|(index, ..)| (plan(*index).packets(), *index));
    let (index, traced, model) = *sorted.first()?;
    let ended: &Ended = &suite.worlds[*index];
    // Of a check the packet before it decided.
    let seen = model.seen.get(..=traced.at).into_iter().flatten().rev();
    let reason =
        seen.filter_map(|seen| seen.packet.as_ref()).find_map(|packet| match packet.why.as_ref()? {
            Why::Reason(reason) => Some(*reason),
            Why::Said(_) => None,
        });
    let numbers = reason.map(|reason| reason.numbers()).unwrap_or_default();
    let steps = crate::scenario::told(&ended.plan, ended.record.as_ref()?, &suite.identity.profile);
    let line = ended.plan.step(&ended.plan.moves[traced.at]).span.start;
    let line = crate::scenario::line_and_column(&ended.plan.script().text, line).0;
    let differs = traced.difference.mismatches.iter();
    Some(Grounds {
        cause: cause.to_string(),
        slug: cause.rule.clone(),
        worlds: sorted.iter().map(|(index, ..)| plan(*index).id.to_string()).collect(),
        packets: ended.packets(),
        packet: steps
            .iter()
            .find(|step| step.line == line)
            .map(|step| step.text.lines().next().unwrap_or_default().to_owned())
            .unwrap_or_default(),
        differs: differs
            .map(|part| [part.field.to_string(), part.reference.clone(), part.target.clone()])
            .collect(),
        rule: reason.map(|reason| reason.info().rule.to_owned()).unwrap_or_default(),
        why: reason.map(|reason| reason.to_string()).unwrap_or_default(),
        numbers: numbers.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", "),
        source: reason.map(|reason| reason.info().source.to_owned()).unwrap_or_default(),
        then: Vec::new(),
    })
}

/// The causes for people.
pub(super) fn write(causes: &[Grounds], failed: usize, paint: Paint, out: &mut String) {
    let s = if causes.len() == 1 { "" } else { "s" };
    let head = format!("{failed} failed, {} cause{s}", causes.len());
    let _ = writeln!(out, "\n{}", paint.over(Role::Strong, &head));
    for (index, grounds) in causes.iter().enumerate() {
        let count = grounds.worlds.len();
        let _ = writeln!(
            out,
            "\n{:>3}. {} {}",
            index + 1,
            paint.over(Role::Bad, &grounds.cause),
            paint.over(Role::Dim, &format!("({count} world{})", if count == 1 { "" } else { "s" }))
        );
        let mut line = |label: &str, text: &str| {
            if !text.is_empty() {
                let _ = writeln!(out, "     {} {text}", paint.over(Role::Dim, &format!("{label:<9}")));
            }
        };
        for [field, reference, target] in &grounds.differs {
            line(field, &format!("{reference} in the reference, {target} here"));
        }
        let packets = grounds.packets;
        let s = if packets == 1 { "" } else { "s" };
        let smallest = grounds.worlds.first().map(String::as_str).unwrap_or_default();
        line("smallest", &format!("{smallest} ({packets} packet{s}), at `{}`", grounds.packet));
        line("because", &grounds.why);
        line("rule", &grounds.rule);
        line("numbers", &grounds.numbers);
        line("source", &grounds.source);
        let then: Vec<String> = grounds.then.iter().map(|other| (other + 1).to_string()).collect();
        if !then.is_empty() {
            line("then", &format!("in its worlds, {} may follow from it", then.join(", ")));
        }
    }
}
