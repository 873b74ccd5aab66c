//! A world as data for those who show it elsewhere: what was sent, what was claimed, what was answered, step by step.
//!
//! Words are the ladder's and the claims'. Nothing is laid out here.

use conntruth_engine::{EventKind, Verdict};
use serde::{Deserialize, Serialize};

use crate::language::ast::packet::Way;
use crate::language::words::{CLASSES, word_of};
use crate::target::{Fate, Observation, Shows, Why};

use super::claims;
use super::ladder::{caption, clock, hosts, shown_passed};
use super::plan::{Act, Move, Plan, Sent, Shown};
use super::run::{Record, Seen};

/// What a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A packet through the tracker.
    #[default]
    Packet,
    /// A packet that the tracker does not see.
    Hidden,
    /// A sysctl changes.
    Set,
    /// A claim about something else than a packet.
    Check,
    /// An entry's time is up.
    Gone,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// What it is.
    pub kind: Kind,
    /// When: `0.010`.
    pub at: String,
    /// The line of the file, from 1; 0 where none says it.
    #[serde(skip_serializing_if = "is_zero")]
    pub line: usize,
    /// `S 0:0(0) win 64240`, or the step as it is written.
    pub text: String,
    /// The host on the left of the ladder.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub left: String,
    /// The host on the right.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub right: String,
    /// It goes from right to left.
    #[serde(skip_serializing_if = "is_false")]
    pub back: bool,
    /// What is claimed of it, as it is written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub claim: String,
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The parts of the claim that do not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<Wrong>,
}

/// What a target made of a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// `established reply`
    pub class: String,
    /// `SYN_RECV`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// `60s`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub left: String,
    /// `[UNREPLIED]`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub flags: String,
    /// It went no further.
    #[serde(skip_serializing_if = "is_false")]
    pub dropped: bool,
    /// It is held between tracking and confirmation.
    #[serde(skip_serializing_if = "is_false")]
    pub waits: bool,
    /// The rule's slug.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub slug: String,
    /// Why, in a sentence with its numbers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// A part of a claim that does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// What was claimed.
    pub expected: String,
    /// What was found.
    pub got: String,
    /// More: a table's difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// All steps of a world that was run, with the claims that are made about a profile.
pub fn told(plan: &Plan, record: &Record, profile: &str) -> Vec<Told> {
    let mut all = Vec::with_capacity(plan.moves.len());
    for (index, step) in plan.moves.iter().enumerate() {
        let seen = record.seen.get(index);
        if let Some(seen) = seen {
            let gone = seen.before.iter().filter(|event| event.kind == EventKind::Destroy);
            all.extend(gone.map(|event| Told {
                kind: Kind::Gone,
                at: clock(event.at),
                text: format!("{} {} is forgotten", event.entry.protocol_name(), event.entry.original),
                ..Told::default()
            }));
        }
        let failures = record.failures.iter().filter(|failure| failure.at == index);
        let wrong = failures.flat_map(|failure| &failure.mismatches).map(|mismatch| Wrong {
            expected: mismatch.expected.clone(),
            got: mismatch.got.clone(),
            detail: mismatch.detail.clone(),
        });
        if let Some(told) = one(plan, step, seen, profile, &record.shows) {
            all.push(Told { wrong: wrong.collect(), ..told });
        }
        all.extend(seen.into_iter().flat_map(|seen| &seen.passed).map(|passed| {
            let told = Told { at: clock(passed.arrival.at), ..Told::default() };
            let answer = answer(passed.arrival.fate, &passed.observation, &record.shows);
            Told { answer: Some(answer), ..packet(told, &shown_passed(plan, passed)) }
        }));
    }
    all
}

fn one(plan: &Plan, step: &Move, seen: Option<&Seen>, profile: &str, shows: &Shows) -> Option<Told> {
    let at = seen.and_then(|seen| seen.at).unwrap_or(step.at);
    let (at, node) = (clock(at), plan.step(step));
    let text = &plan.script().text;
    let line = super::line_and_column(text, node.span.start).0;
    let told = Told { at, line, ..Told::default() };
    Some(match &step.act {
        Act::Wait => return None,
        Act::Hidden(shown) => Told { kind: Kind::Hidden, ..packet(told, shown) },
        Act::Live => {
            let written = text.get(node.span.range()).unwrap_or_default().trim_end();
            Told { kind: Kind::Set, text: written.to_owned(), ..told }
        }
        Act::Set(setting) => {
            Told { kind: Kind::Set, text: format!("set {} {}", setting.name, setting.value), ..told }
        }
        Act::Check => {
            let written = text.get(node.span.range()).unwrap_or_default().trim_end();
            Told { kind: Kind::Check, text: written.to_owned(), ..told }
        }
        Act::Packet(sent) | Act::Release(_, sent) => Told {
            claim: claim(plan, step, sent, profile),
            answer: seen
                .and_then(|seen| seen.packet.as_ref())
                .map(|packet| answer(sent.arrival.fate, packet, shows)),
            ..packet(told, &sent.shown)
        },
    })
}

fn packet(told: Told, shown: &Shown) -> Told {
    let (left, right) = hosts(shown);
    Told {
        text: caption(shown),
        left: left.to_owned(),
        right: right.to_owned(),
        back: shown.way == Way::Back,
        ..told
    }
}

/// The claim about this packet of its step, as it is written.
fn claim(plan: &Plan, step: &Move, sent: &Sent, profile: &str) -> String {
    let Some(claims) = plan.step(step).claims_for(profile) else { return String::new() };
    let claim = claims.each.get(sent.index).or(claims.each.last().filter(|_| claims.each.len() == 1));
    let text = claim.and_then(|claim| plan.script().text.get(claim.span.range())).unwrap_or_default();
    // A claim may go on in further lines.
    text.split_whitespace().filter(|word| *word != "=").collect::<Vec<_>>().join(" ")
}

fn answer(fate: Fate, seen: &Observation, shows: &Shows) -> Answer {
    let (class, reply) = claims::class_of(seen.class);
    let word = word_of(CLASSES, class);
    let mut answer = Answer {
        class: if reply { format!("{word} reply") } else { word.to_owned() },
        dropped: fate == Fate::Dropped || seen.verdict == Verdict::Drop,
        waits: fate == Fate::Waits,
        ..Answer::default()
    };
    if let Some(entry) = &seen.entry {
        answer.state = entry.state.as_deref().unwrap_or_default().to_owned();
        if seen.destroyed {
            "gone".clone_into(&mut answer.left);
        } else {
            if shows.timeout {
                answer.left = claims::left(entry.left);
            }
            if shows.status {
                answer.flags = claims::flags(entry.is_unreplied(), entry.is_assured());
            }
        }
    }
    match &seen.why {
        Some(Why::Reason(reason)) => {
            reason.slug().clone_into(&mut answer.slug);
            answer.why = reason.to_string();
        }
        Some(Why::Said(words)) => answer.why.clone_from(words),
        None => {}
    }
    answer
}
