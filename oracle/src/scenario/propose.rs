//! What a file should say instead, according to one world: the parts that do not hold, and the claims that are missing.

use std::collections::BTreeMap;

use crate::language::ast::{Action, Span, Step};

use super::claims::{Mismatch, full_claim};
use super::plan::{Act, Plan};
use super::run::Record;

/// The whole claims that hold for the packets of a step in a record; one alone when it holds for all.
pub(crate) fn claims_of(plan: &Plan, record: &Record, number: usize) -> Vec<String> {
    let of_step = plan.moves.iter().zip(&record.seen).filter(|(step, _)| step.step == number);
    let mut claims: Vec<String> =
        of_step.filter_map(|(_, seen)| Some(full_claim(seen.packet.as_ref()?))).collect();
    if claims.iter().all(|claim| *claim == claims[0]) {
        claims.truncate(1);
    }
    claims
}

/// A change to a scenario's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What it replaces; empty where something is to be added.
    pub span: Span,
    /// With what; none where there are no words for it.
    pub text: Option<String>,
    /// For people.
    pub what: String,
}

/// All changes that would make this world's claims hold under a profile; with `add` also claims for packets that have none.
pub fn proposals(plan: &Plan, record: &Record, profile: &str, add: bool) -> Vec<Proposal> {
    let mut all = Vec::new();
    for (number, step) in plan.story().steps.iter().enumerate() {
        let of_step = |at: &usize| plan.moves.get(*at).is_some_and(|one| one.step == number);
        let moves: Vec<usize> = (0..plan.moves.len()).filter(of_step).collect();
        let wrong: Vec<&[Mismatch]> = moves.iter().map(|at| mismatches(record, *at)).collect();
        all.extend(of_one_step(plan, step, profile, &wrong));
    }
    if add {
        let same_line = keeps_claims_on_the_line(plan);
        let steps = plan.story().steps.iter().enumerate();
        all.extend(
            steps.filter_map(|(number, step)| added(plan, record, number, (step, profile), same_line)),
        );
    }
    all
}

fn mismatches(record: &Record, at: usize) -> &[Mismatch] {
    record.failures.iter().find(|failure| failure.at == at).map_or(&[], |failure| &failure.mismatches)
}

/// The changes to one step, given what is wrong with each of its packets.
fn of_one_step(plan: &Plan, step: &Step, profile: &str, wrong: &[&[Mismatch]]) -> Vec<Proposal> {
    let text = &plan.script().text;
    let alike = wrong.iter().all(|other| *other == wrong[0]);
    let one_for_all = step.claims_for(profile).filter(|claims| claims.each.len() == 1 && !alike);
    let Some(claims) = one_for_all else {
        let own = if alike { wrong.get(..1).unwrap_or_default() } else { wrong };
        return own.iter().flat_map(|wrong| wrong.iter()).map(|mismatch| mended(mismatch, text)).collect();
    };
    // One claim for packets that differ: each gets its own.
    let span = claims.each[0].span;
    let written = text.get(span.range()).unwrap_or_default();
    let apart: Option<Vec<String>> = wrong.iter().map(|wrong| rewritten(written, span, wrong)).collect();
    let fits = wrong.len() <= MOST_APART && !written.contains('\n');
    let text = apart.filter(|_| fits).map(|claims| claims.join(", "));
    vec![Proposal { span, text, what: "the packets of this step differ".to_owned() }]
}

/// So many packets of a step get claims of their own; of more, one claim must do.
const MOST_APART: usize = 8;

/// A claim's text with its wrong parts replaced.
fn rewritten(written: &str, span: Span, wrong: &[Mismatch]) -> Option<String> {
    let mut edits = Edits::new();
    for mismatch in wrong {
        let (start, end) =
            (mismatch.span.start.checked_sub(span.start)?, mismatch.span.end.checked_sub(span.start)?);
        edits.insert((start, end), mismatch.fix.clone()?);
    }
    Some(apply(written, &edits))
}

/// Texts that take the place of others, by where those begin and end.
pub(crate) type Edits = BTreeMap<(usize, usize), String>;

/// Makes the edits, the last first so that the places of the others stay right.
pub(crate) fn apply(text: &str, edits: &Edits) -> String {
    let mut text = text.to_owned();
    for ((start, end), with) in edits.iter().rev() {
        let mut range = Span::new(*start, *end).range();
        if with.is_empty() || with.starts_with('\n') {
            // The blanks before a part that goes away, or to another line, go with it.
            range.start = text[..range.start].trim_end_matches([' ', '\t']).len();
        }
        text.replace_range(range, with);
    }
    text
}

fn mended(mismatch: &Mismatch, text: &str) -> Proposal {
    let lines = mismatch.fix.as_ref().map(|fix| aligned(fix, mismatch.span, text));
    let what = format!("expected {}, got {}", mismatch.expected, mismatch.got);
    Proposal { span: mismatch.span, text: lines, what }
}

/// Lines of a block stand under each other, deeper than what they belong to.
fn aligned(fix: &str, span: Span, text: &str) -> String {
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[line_start..span.start];
    if before.trim().is_empty() {
        return fix.replace('\n', &format!("\n{before}"));
    }
    if !fix.contains('\n') && !fix.contains(" src=") {
        return fix.to_owned();
    }
    let own = before.len() - before.trim_start().len();
    let deeper = " ".repeat(own + 4);
    fix.lines().map(|line| format!("\n{deeper}{line}")).collect()
}

fn keeps_claims_on_the_line(plan: &Plan) -> bool {
    let text = &plan.script().text;
    let on_line = |step: &Step| {
        step.claims
            .as_ref()
            .map(|claims| !text[step.span.end.min(claims.span.start)..claims.span.start].contains('\n'))
    };
    let all: Vec<bool> = plan.story().steps.iter().filter_map(on_line).collect();
    !all.is_empty() && all.iter().filter(|on_line| **on_line).count() * 2 > all.len()
}

/// The claim that a step lacks.
fn added(
    plan: &Plan,
    record: &Record,
    number: usize,
    (step, profile): (&Step, &str),
    same_line: bool,
) -> Option<Proposal> {
    if step.claims_for(profile).is_some()
        || !matches!(step.action, Action::Send { .. } | Action::Release { .. })
    {
        return None;
    }
    let mut claims: Vec<String> = Vec::new();
    for (step, seen) in plan.moves.iter().zip(&record.seen).filter(|(step, _)| step.step == number) {
        if matches!(step.act, Act::Packet(_) | Act::Release(..)) {
            claims.push(full_claim(seen.packet.as_ref()?));
        }
    }
    if claims.is_empty() {
        return None;
    }
    if claims.iter().all(|claim| *claim == claims[0]) {
        claims.truncate(1);
    }
    let claim = claims.join(", ");
    let text = &plan.script().text;
    let proposal =
        |at: usize, text: String| Proposal { span: Span::new(at, at), text: Some(text), what: claim.clone() };
    if same_line {
        return Some(proposal(step.span.end, format!("  = {claim}")));
    }
    let line_start = text[..step.span.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[step.span.end..].find('\n').map_or(text.len(), |at| step.span.end + at);
    let indent = text[line_start..step.action_span.start.max(line_start)].chars().count();
    Some(proposal(line_end, format!("\n{:indent$}= {claim}", "")))
}
