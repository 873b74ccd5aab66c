//! Whole worlds in one request: for targets at the other end of a pipe, where each question would cost a journey.
//!
//! What a scenario asks of a target is known beforehand but for a few tables, so all of it can be asked at once, and the
//! answers be read afterwards as if they were given one at a time: [`Played`] is a target that gives them.

use conntruth_engine::Time;
use serde::{Deserialize, Serialize};

use super::{
    Arrival, Config, Entry, Expected, Happening, Identity, Observation, Refusal, Release, Setting, Target,
};

/// A world, and all that is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    /// How it is to be.
    pub config: Config,
    /// What happens, in order.
    pub asks: Vec<Ask>,
}

/// One request to a target whose world has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Ask {
    Set(Setting),
    Packet(Arrival),
    Release(Release),
    Advance(Time),
    Table,
    Expectations,
}

/// What a target answers to an [`Ask`].
// Nearly all of them are of packets: a box would only cost.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Told {
    Done,
    Packet(Observation),
    Events(Vec<Happening>),
    Table(Vec<Entry>),
    Expectations(Vec<Expected>),
    Refused(Refusal),
}

/// The answers of a world: to its configuration, then one for each ask. What follows a refusal may be missing.
pub type Answers = Vec<Told>;

impl Play {
    /// Asks one thing after the other.
    pub fn one_by_one<T: Target + ?Sized>(&self, target: &mut T) -> Answers {
        let mut answers = vec![told(target.begin(&self.config), |()| Told::Done)];
        if matches!(answers[0], Told::Refused(_)) {
            return answers;
        }
        for ask in &self.asks {
            let answer = ask.of(target);
            let is_over =
                matches!(&answer, Told::Refused(_)) && !matches!(ask, Ask::Table | Ask::Expectations);
            answers.push(answer);
            if is_over {
                break;
            }
        }
        target.end();
        answers
    }
}

impl Ask {
    /// Asks this of a target.
    pub fn of<T: Target + ?Sized>(&self, target: &mut T) -> Told {
        match self {
            Ask::Set(setting) => told(target.set(setting), |()| Told::Done),
            Ask::Packet(arrival) => told(target.packet(arrival), Told::Packet),
            Ask::Release(release) => told(target.release(release), Told::Packet),
            Ask::Advance(to) => told(target.advance(*to), Told::Events),
            Ask::Table => told(target.table(), Told::Table),
            Ask::Expectations => told(target.expectations(), Told::Expectations),
        }
    }
}

fn told<T>(result: Result<T, Refusal>, is: impl FnOnce(T) -> Told) -> Told {
    result.map_or_else(Told::Refused, is)
}

/// A target that gives answers which another has given to a whole world.
///
/// What is asked of it must be a part of what was asked then, in the same order.
#[derive(Clone, Debug)]
pub struct Played {
    identity: Identity,
    begun: Told,
    answers: std::vec::IntoIter<(Ask, Told)>,
    /// Told while time passed that nobody asked about.
    late: Vec<Happening>,
}

impl Played {
    /// The answers of a target to a world.
    pub fn new(identity: Identity, play: Play, answers: Answers) -> Played {
        let mut answers = answers.into_iter();
        let begun = answers.next().unwrap_or_else(|| missing(&Ask::Table));
        let answers: Vec<(Ask, Told)> = play.asks.into_iter().zip(answers).collect();
        Played { identity, begun, answers: answers.into_iter(), late: Vec::new() }
    }

    /// The answer to this, passing over what is not asked after all.
    fn next(&mut self, wanted: &Ask) -> Told {
        for (ask, answer) in self.answers.by_ref() {
            if ask == *wanted {
                return answer;
            }
            match answer {
                Told::Events(events) => self.late.extend(events),
                Told::Refused(refusal) if !matches!(ask, Ask::Table | Ask::Expectations) => {
                    return Told::Refused(refusal);
                }
                _ => {}
            }
        }
        missing(wanted)
    }
}

fn missing(ask: &Ask) -> Told {
    Told::Refused(Refusal::Broken(format!("there is no answer to `{ask:?}` among those of the whole world")))
}

fn other<T>(told: Told) -> Result<T, Refusal> {
    match told {
        Told::Refused(refusal) => Err(refusal),
        _ => Err(Refusal::Broken("the answer is of another kind than the question".to_owned())),
    }
}

impl Target for Played {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn begin(&mut self, _: &Config) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.begun, Told::Done) {
            Told::Done => Ok(()),
            told => other(told),
        }
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        match self.next(&Ask::Set(setting.clone())) {
            Told::Done => Ok(()),
            told => other(told),
        }
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        match self.next(&Ask::Packet(arrival.clone())) {
            Told::Packet(observation) => Ok(observation),
            told => other(told),
        }
    }

    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        match self.next(&Ask::Release(*release)) {
            Told::Packet(observation) => Ok(observation),
            told => other(told),
        }
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        match self.next(&Ask::Advance(to)) {
            Told::Events(events) => {
                let mut all = std::mem::take(&mut self.late);
                all.extend(events);
                Ok(all)
            }
            told => other(told),
        }
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        match self.next(&Ask::Table) {
            Told::Table(entries) => Ok(entries),
            told => other(told),
        }
    }

    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        match self.next(&Ask::Expectations) {
            Told::Expectations(expected) => Ok(expected),
            told => other(told),
        }
    }
}
