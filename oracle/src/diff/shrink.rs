//! Making a story that differs small: of all that is a little simpler the simplest that still differs for the same
//! cause, again and again. Every round is a few questions to both targets. There is an end: the text gets shorter each
//! time.

use std::collections::BTreeSet;

use super::simpler::simpler;
use super::{Cause, Difference};
use crate::language::ast::packet::HostRef;
use crate::language::ast::{Flow, Story};
use crate::target::Refusal;

/// Rounds at most: a bound for the patience, never met by stories of a few dozen packets.
const MOST_ROUNDS: usize = 200;

/// Stories in one question. Those with rules of their own cost a target some milliseconds each, and the simplest often do.
const AT_ONCE: usize = 32;

/// Asks both targets about stories.
pub(super) type Ask<'a> = dyn FnMut(&[Story]) -> Result<Vec<Option<Difference>>, Refusal> + 'a;

/// The smallest story that was found, and what it differs in. `None` when the story does not differ when asked again.
pub(super) fn shrink(story: Story, ask: &mut Ask<'_>) -> Result<Option<(Story, Difference)>, Refusal> {
    let first = ask(std::slice::from_ref(&story))?.pop().flatten();
    let Some(mut difference) = first else { return Ok(None) };
    let cause = Cause::of(&difference);
    let mut story = story;
    let mut tried = BTreeSet::new();
    for _ in 0..MOST_ROUNDS {
        let mut candidates = lighter(&story, difference.at);
        candidates.retain(|candidate| tried.insert(candidate.to_string()));
        if candidates.is_empty() {
            break;
        }
        match simplest(&candidates, &cause, ask)? {
            Some(smaller) => (story, difference) = smaller,
            None => break,
        }
    }
    Ok(Some((story, difference)))
}

/// The first of these that differs for this cause.
fn simplest(
    candidates: &[Story],
    cause: &Cause,
    ask: &mut Ask<'_>,
) -> Result<Option<(Story, Difference)>, Refusal> {
    for some in candidates.chunks(AT_ONCE) {
        let answers = some.iter().zip(ask(some)?);
        let same = |answer: Option<Difference>| answer.filter(|answer| Cause::of(answer) == *cause);
        let mut found = answers.filter_map(|(candidate, answer)| Some((candidate.clone(), same(answer)?)));
        if let Some(smaller) = found.next() {
            return Ok(Some(smaller));
        }
    }
    Ok(None)
}

/// All that is simpler than a story in one thing, the simplest first.
pub(crate) fn simpler_stories(story: &Story) -> Vec<Story> {
    lighter(story, usize::MAX - 1)
}

/// What is simpler and lighter, the lightest first.
fn lighter(story: &Story, last: usize) -> Vec<Story> {
    let own = weight(story);
    let mut stories: Vec<(Weight, Story)> = simpler(story, last)
        .into_iter()
        .map(|candidate| (weight(&candidate), candidate))
        .filter(|(weigh, _)| *weigh < own)
        .collect();
    stories.sort_by_key(|(weigh, _)| *weigh);
    stories.into_iter().map(|(_, candidate)| candidate).collect()
}

/// What is smaller: fewer steps, then less text; of two that are alike the one whose first packets go forth, between the
/// usual hosts.
fn weight(story: &Story) -> Weight {
    let text = story.to_string();
    let back = text.bytes().filter(|byte| *byte == b'<').count();
    let unusual = story.flows.iter().filter(|flow| !is_usual(flow)).count();
    let timed = story.steps.iter().filter(|step| step.after.is_some()).count();
    (story.steps.len(), unusual + timed + text.len(), back)
}

type Weight = (usize, usize, usize);

fn is_usual(flow: &Flow) -> bool {
    matches!((&flow.from.host, &flow.to.host), (HostRef::Name(from), HostRef::Name(to))
        if from.value == "client" && to.value == "server")
        && matches!((flow.from.port, flow.to.port), (None, None) | (Some(40_000), Some(80)))
}
