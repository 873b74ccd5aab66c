//! Why, for the packets of a scenario: the same sentences as for those of a capture, each under the line it comes from.

use std::borrow::Cow;
use std::io;

use anstyle::Style;
use conntruth_engine::{Event, Profile, Walk};

use crate::replay::{Connection, Record, Summary, connection};
use crate::scenario::{Happens, Plan, sent_in_words};
use crate::target::translated::{Seen, Translated};
use crate::target::{Fate, Reference, Refusal, Target};

use super::{Explainer, line};

const DIM: Style = Style::new().dimmed();

/// What stops an explanation.
#[derive(Debug)]
pub enum Stopped {
    /// The scenario asks for what there is not.
    Refused(Refusal),
    /// Nobody takes the text.
    Io(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Stopped {
        Stopped::Io(error)
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Stopped {
        Stopped::Refused(refusal)
    }
}

/// Explains the packets of a plan, or the one with a number; returns how many there are.
///
/// # Errors
/// Those of `out`, and of a setting that is refused.
pub fn explain_plan(
    out: &mut impl io::Write,
    plan: &Plan,
    profile: &'static Profile,
    only: Option<u64>,
) -> Result<u64, Stopped> {
    // What hosts did is known once they have acted.
    let plan = &plan.clone().taped(profile);
    let mut target = Reference::new(profile);
    target.begin(plan.config())?;
    let mut explainer = Explainer::default();
    let mut translated = Translated::new(&plan.config().routes);
    let mut events: Vec<Event> = Vec::new();
    let (mut number, mut written) = (0, 0);
    // The numbers of those that were to wait.
    let mut waiting = Vec::new();
    for happens in plan.happens() {
        let engine = target.engine();
        engine.handle_timeouts(happens.at);
        events.extend(std::iter::from_fn(|| engine.poll_event()));
        let (walk, arrival, own) = match happens.what {
            Happens::Time => continue,
            Happens::Set(setting) => {
                target.set(setting)?;
                continue;
            }
            Happens::Packet(arrival) => {
                number += 1;
                if arrival.fate == Fate::Waits {
                    waiting.push(number);
                }
                // Who answers a translated packet answers what has come to him.
                let came = translated.turned(arrival).map_or(Cow::Borrowed(arrival), Cow::Owned);
                let walk = target.pass(&came);
                let Walk { verdict, ref left, .. } = walk;
                let seen = Seen { class: walk.outcome.class, verdict, left: left.as_deref() };
                translated.learn(arrival, &came, seen);
                (walk, came, number)
            }
            Happens::Release(release, arrival) => {
                let own = waiting.get(release.waiting).copied().unwrap_or(number);
                (target.go_on(release)?, Cow::Borrowed(arrival), own)
            }
        };
        let engine = target.engine();
        events.extend(std::iter::from_fn(|| engine.poll_event()));
        let Walk { outcome, by, sent, left, .. } = walk;
        let connection: Option<Connection> = connection(engine, &outcome, &events);
        let record = Record {
            number: own,
            time: happens.at,
            bytes: &arrival.bytes,
            truncated: false,
            outcome,
            connection,
            events: &events,
        };
        if only.is_none_or(|only| only == own) {
            if written > 0 {
                writeln!(out)?;
            }
            written += 1;
            writeln!(out, "{DIM}{}:{}: {}{DIM:#}", plan.script().name, happens.line, happens.text)?;
            explainer.explain(out, &record)?;
            if let Some(left) = left {
                line(out, "leaves", &format!("as {}", Summary(&left)))?;
            }
            if let Some(by) = by {
                line(out, "ended", &format!("by the rule `{by}`"))?;
            }
            for answer in &sent {
                line(out, "sent", &sent_in_words(&answer.bytes, answer.class, answer.verdict))?;
            }
        } else {
            explainer.pass(&record);
        }
        events.clear();
    }
    Ok(number)
}
