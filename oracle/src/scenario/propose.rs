//! What a file should say instead, according to one world: the parts that do not hold, and the claims that are missing.

use crate::language::ast::{Action, Span, Step};

use super::claims::{Mismatch, full_claim};
use super::plan::{Act, Plan};
use super::run::Record;

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

/// All changes that would make this world's claims hold; with `add` also claims for packets that have none.
pub fn proposals(plan: &Plan, record: &Record, add: bool) -> Vec<Proposal> {
    let text = &plan.script().text;
    let wrong = record.failures.iter().flat_map(|failure| &failure.mismatches);
    let mut all: Vec<Proposal> = wrong.map(|mismatch| mended(mismatch, text)).collect();
    if add {
        let same_line = keeps_claims_on_the_line(plan);
        let steps = plan.story().steps.iter().enumerate();
        all.extend(steps.filter_map(|(number, step)| added(plan, record, number, step, same_line)));
    }
    all
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
fn added(plan: &Plan, record: &Record, number: usize, step: &Step, same_line: bool) -> Option<Proposal> {
    if step.claims.is_some() || !matches!(step.action, Action::Send { .. }) {
        return None;
    }
    let mut claims: Vec<String> = Vec::new();
    for (step, seen) in plan.moves.iter().zip(&record.seen).filter(|(step, _)| step.step == number) {
        if matches!(step.act, Act::Packet(_)) {
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
