//! The smallest example of a difference, as a scenario: its claims are what the target has answered, and what the
//! reference would have claimed stands beside them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::judge::Judge;
use super::{Difference, Field};
use crate::language::ast::claim::Named;
use crate::language::ast::{Script, Story};
use crate::language::{self, Messages};
use crate::scenario::{Act, Edits, Plan, Record, apply, claims_of, proposals};
use crate::target::{Reasons, Refusal, Target};

/// So often claims are mended: one that holds may bring another to light.
const ROUNDS: usize = 4;

/// The scenario of a difference.
pub(super) fn scenario(
    story: &Story,
    difference: &Difference,
    reference: &mut dyn Target,
    judge: &Judge,
) -> Result<String, Refusal> {
    let (ours, theirs) = (reference.identity(), judge.identity().clone());
    let bare = story.to_string();
    // Should it not read back, it is shown as it is: a story in doubt is better than none.
    let Ok(mut plan) = planned(&bare, theirs.hz) else { return Ok(bare) };
    let mut record = judge.run(&plan)?;
    for round in 0..ROUNDS {
        let wanted = proposals(&plan, &record, &theirs.profile, round == 0).into_iter();
        let mut edits: Edits =
            wanted.filter_map(|edit| Some(((edit.span.start, edit.span.end), edit.text?))).collect();
        if round == 1 {
            edits.extend(more(&plan, difference, theirs.abilities.shows.reasons == Reasons::All));
        }
        if edits.is_empty() {
            break;
        }
        let Ok(mended) = planned(&apply(&plan.script().text, &edits), theirs.hz) else { break };
        plan = mended;
        record = judge.run(&plan)?;
    }
    let other = plan.run(reference);
    let [ours, theirs] = if ours.name == theirs.name {
        ["reference".to_owned(), "target".to_owned()]
    } else {
        [ours.name, theirs.name]
    };
    let text = beside(&plan, &record, &other, &ours);
    let mut head = format!("# {}: {} differs.\n", rule(difference), difference.mismatches[0].field);
    for mismatch in &difference.mismatches {
        let _ = writeln!(head, "#   {}", mismatch.field);
        let _ = writeln!(head, "#     {:<10} {}", format!("{theirs}:"), mismatch.target);
        let _ = writeln!(head, "#     {:<10} {}", format!("{ours}:"), mismatch.reference);
    }
    Ok(format!("{head}\n{text}"))
}

/// What a claim does not say by itself and differs here: something wrong in its place, which the next round mends.
fn more(plan: &Plan, difference: &Difference, reasons: bool) -> Option<((usize, usize), String)> {
    let packets = plan.moves.iter().filter(|step| matches!(step.act, Act::Packet(_)));
    let step = packets.map(|step| step.step).nth(difference.at)?;
    let claims = plan.story().steps.get(step)?.claims.as_ref().filter(|claims| claims.each.len() == 1)?;
    let words = match difference.mismatches.first()?.field {
        Field::Events => " event none",
        Field::Why if reasons => " because untracked",
        _ => return None,
    };
    let says = claims.each[0].named.iter().any(|named| matches!(named.value, Named::Because { .. }));
    (!says || words.starts_with(" event")).then(|| ((claims.span.end, claims.span.end), words.to_owned()))
}

fn rule(difference: &Difference) -> &str {
    if difference.rule.is_empty() { "a packet" } else { &difference.rule }
}

fn planned(text: &str, hz: u32) -> Result<Plan, Messages> {
    let script: Arc<Script> = Arc::new(language::read("divergence", text)?);
    let mut plans = Plan::all("divergence", &script, hz)?;
    Ok(plans.swap_remove(0))
}

/// The text with a comment below each claim that the other does not make.
fn beside(plan: &Plan, record: &Record, other: &Record, name: &str) -> String {
    let text = &plan.script().text;
    let mut comments: BTreeMap<usize, String> = BTreeMap::new();
    for (index, step) in plan.story().steps.iter().enumerate() {
        let (theirs, ours) = (claims_of(plan, record, index), claims_of(plan, other, index));
        if theirs == ours {
            continue;
        }
        let end = step.claims.as_ref().map_or(step.span.end, |claims| claims.span.end);
        let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at);
        comments.insert(line_end, format!("\n        # {name}: {}", ours.join(", ")));
    }
    let mut text = text.clone();
    for (at, comment) in comments.iter().rev() {
        text.insert_str(*at, comment);
    }
    text
}
