//! Traffic: what any bytes mean, as the events that a tracker sees, in order; what the reference makes of them; and all
//! that is a little simpler.
//!
//! This is the one decoder of everything here that has bytes: a seed of `conntruth diff`, a corpus entry of a fuzzer, a
//! case of a property test. All of them are [`Traffic`], and all of it prints as a scenario.

use std::fmt;

use arbitrary::{Arbitrary, Unstructured};
use conntruth_engine::{Class, LINUX_6_18, Time};

use super::{Allowed, whole};
use crate::language;
use crate::language::ast::{Script, Story};
use crate::scenario::{Act, Move, config, moves};
use crate::suite::{Blessing, bless};
use crate::target::{Arrival, Config, Observation, Reference, Refusal, Release, Setting, Target};

/// A story, and what a tracker sees of it.
///
/// ```
/// use conntruth::generate::Traffic;
///
/// let honest = Traffic::decode(&[]);
/// assert_eq!(honest.to_string(), "flow tcp client:40000 > server:80\n\n        > S\n        < S.\n        > .\n");
/// assert_eq!(honest.packets().count(), 3);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Traffic {
    story: Story,
    events: Vec<Event>,
}

/// One thing that a tracker sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet comes.
    Packet(Arrival),
    /// A packet that waits between the hooks goes on from there, or is lost.
    Release(Release),
    /// A sysctl takes another value.
    Set {
        /// When.
        at: Time,
        /// Which, and what.
        setting: Setting,
    },
}

impl Event {
    /// When.
    pub fn at(&self) -> Time {
        match self {
            Event::Packet(arrival) => arrival.at,
            Event::Release(release) => release.at,
            Event::Set { at, .. } => *at,
        }
    }
}

impl Traffic {
    /// What bytes mean, with everything that a story can have. All bytes mean something.
    pub fn decode(bytes: &[u8]) -> Traffic {
        Traffic::within(bytes, &Allowed::everything())
    }

    /// What bytes mean within what is allowed.
    pub fn within(bytes: &[u8], allowed: &Allowed) -> Traffic {
        Traffic::read(&mut Unstructured::new(bytes), allowed)
    }

    fn read(bytes: &mut Unstructured<'_>, allowed: &Allowed) -> Traffic {
        let (story, moves) = whole(bytes, allowed);
        Traffic { story, events: events(moves) }
    }

    /// A story as traffic; none where it cannot be built: it names what is not there.
    pub fn of(story: Story) -> Option<Traffic> {
        let family = *story.families.first()?;
        let moves = moves(&story, family, LINUX_6_18.hz).ok()?;
        Some(Traffic { story, events: events(moves) })
    }

    /// The story.
    pub fn story(&self) -> &Story {
        &self.story
    }

    /// How a tracker is to be before the first event: sysctls, rules, and the hosts that are not where their network says.
    pub fn config(&self) -> Config {
        config(&self.story)
    }

    /// All that happens, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The packets alone.
    pub fn packets(&self) -> impl Iterator<Item = &Arrival> {
        self.events.iter().filter_map(|event| match event {
            Event::Packet(arrival) => Some(arrival),
            _ => None,
        })
    }

    /// Lets a target see it, and hands over each event with what was observed of it: nothing of a sysctl, and of a packet
    /// that goes on but never came to wait.
    ///
    /// # Errors
    /// When the target refuses the configuration or an event.
    pub fn run<T: Target + ?Sized>(
        &self,
        target: &mut T,
        mut each: impl FnMut(&mut T, &Event, Option<Observation>),
    ) -> Result<(), Refusal> {
        target.begin(&self.config())?;
        for event in &self.events {
            let observation = match event {
                Event::Packet(arrival) => Some(target.packet(arrival)?),
                Event::Release(release) => match target.release(release) {
                    // The host had thrown it away before it came to wait.
                    Err(Refusal::Wrong(_)) => None,
                    released => Some(released?),
                },
                Event::Set { setting, .. } => {
                    target.set(setting)?;
                    None
                }
            };
            each(target, event, observation);
        }
        Ok(())
    }

    /// What the reference says of each event.
    pub fn answers(&self) -> Vec<Option<Observation>> {
        let mut answers = Vec::with_capacity(self.events.len());
        // The reference refuses nothing that is generated; of a story that it does, it has said what came before.
        let _ = self.run(&mut Reference::new(&LINUX_6_18), |_, _, answer| answers.push(answer));
        answers
    }

    /// Holds somebody else's tracker against the reference: `theirs` sees each packet and says its class, or nothing where
    /// it has none to say.
    ///
    /// # Errors
    /// At the first packet of which it says another class than the reference.
    pub fn against(&self, theirs: impl FnMut(&Arrival) -> Option<Class>) -> Result<(), Disagreement> {
        self.compare(|ours| Some(ours.class), theirs)
    }

    /// The same for whatever can be said of a packet: `ours` picks it from what the reference has observed.
    ///
    /// # Errors
    /// At the first packet of which both say something, and not the same.
    pub fn compare<A: PartialEq + fmt::Debug>(
        &self,
        ours: impl Fn(&Observation) -> Option<A>,
        mut theirs: impl FnMut(&Arrival) -> Option<A>,
    ) -> Result<(), Disagreement> {
        let packets = self.events.iter().zip(self.answers());
        for (event, answer) in packets {
            let (Event::Packet(arrival), Some(answer)) = (event, answer) else { continue };
            if let (Some(ours), Some(theirs)) = (ours(&answer), theirs(arrival))
                && ours != theirs
            {
                let packet =
                    self.packets().position(|other| std::ptr::eq(other, arrival)).unwrap_or_default();
                return Err(Disagreement {
                    packet: packet + 1,
                    ours: format!("{ours:?}"),
                    theirs: format!("{theirs:?}"),
                    scenario: self.scenario(),
                });
            }
        }
        Ok(())
    }

    /// The scenario, with the claims that hold for the reference.
    pub fn scenario(&self) -> String {
        let text = self.to_string();
        // Should it not read back, it is shown as it is.
        let Ok(script) = language::read("traffic", &text) else { return text };
        let script: std::sync::Arc<Script> = std::sync::Arc::new(script);
        match bless("traffic", &script, &mut Reference::new(&LINUX_6_18)) {
            Ok(Blessing::Text { text, .. }) => text,
            _ => text,
        }
    }

    /// All that is simpler in one thing, the simplest first: fewer steps, then less text. It ends: nothing is as simple as
    /// what it comes from.
    pub fn simpler(&self) -> impl Iterator<Item = Traffic> + use<> {
        crate::diff::simpler_stories(&self.story).into_iter().filter_map(Traffic::of)
    }
}

fn events(moves: Vec<Move>) -> Vec<Event> {
    let event = |step: Move| match step.act {
        Act::Packet(sent) => Some(Event::Packet(sent.arrival)),
        Act::Release(release, _) => Some(Event::Release(release)),
        Act::Set(setting) => Some(Event::Set { at: step.at, setting }),
        Act::Hidden(_) | Act::Check | Act::Live | Act::Wait => None,
    };
    moves.into_iter().filter_map(event).collect()
}

/// As a scenario without claims.
impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.story.fmt(f)
    }
}

/// The scenario, on lines of its own: what frameworks print of a case that fails.
impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl<'a> Arbitrary<'a> for Traffic {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Traffic> {
        Ok(Traffic::read(bytes, &Allowed::everything()))
    }

    fn arbitrary_take_rest(mut bytes: Unstructured<'a>) -> arbitrary::Result<Traffic> {
        Traffic::arbitrary(&mut bytes)
    }
}

/// A packet of which somebody else's tracker says something else than the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Which packet, from 1.
    pub packet: usize,
    /// What the reference says.
    pub ours: String,
    /// What the other says.
    pub theirs: String,
    /// The story with the claims of the reference: a scenario that runs as it stands.
    pub scenario: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Disagreement { packet, ours, theirs, scenario } = self;
        write!(f, "packet {packet}: the reference says {ours}, the tracker {theirs}\n\n{scenario}")
    }
}

impl std::error::Error for Disagreement {}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
