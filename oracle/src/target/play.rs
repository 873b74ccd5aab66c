//! A whole world in one request, for targets that cannot be asked step by step: all that will be asked is known before
//! the first answer is, since what hosts send never depends on what a tracker says.

use std::collections::VecDeque;

use conntruth_engine::{Counter, Time};
use serde::{Deserialize, Serialize};

use super::translated::Translated;
use super::{
    Arrival, Config, Entry, Expected, Happening, Identity, Observation, Refusal, Release, Setting, Target,
};

/// A world, and all that it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    /// How it is to be.
    pub config: Config,
    /// In order.
    pub asks: Vec<Ask>,
}

/// One thing that a target is asked: a method of [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// A sysctl takes another value.
    Set(Setting),
    /// A packet passes through.
    Packet(Arrival),
    /// A packet that waits goes on.
    Release(Release),
    /// Time passes.
    Advance(Time),
    /// All entries.
    Table,
    /// All expected connections.
    Expectations,
    /// What its rules have counted.
    Counters,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// To a setting.
    Done,
    /// To a packet.
    Observed(Box<Observation>),
    /// To time.
    Happened(Vec<Happening>),
    /// To a question for the table.
    Entries(Vec<Entry>),
    /// To a question for expectations.
    Expected(Vec<Expected>),
    /// To a question for counters.
    Counted(Vec<(String, Counter)>),
    /// It cannot do this. Nothing is asked after it.
    Refused(Refusal),
}

impl Play {
    /// Asks step by step.
    pub fn ask<T: Target + ?Sized>(&self, target: &mut T) -> Played {
        if let Err(refusal) = target.begin(&self.config) {
            return Played { refused: Some(refusal), said: Vec::new() };
        }
        let said = self.asked(|ask| ask.put(target));
        target.end();
        Played { refused: None, said }
    }

    /// Asks in order, each packet as its sender sends it where others were translated, up to the first refusal.
    pub(crate) fn asked(&self, mut answer: impl FnMut(&Ask) -> Result<Said, Refusal>) -> Vec<Said> {
        let mut said = Vec::with_capacity(self.asks.len());
        let mut translated = self.config.rules.translates().then(|| Translated::new(&self.config.routes));
        for ask in &self.asks {
            let answer = match &mut translated {
                Some(translated) => follow(ask, translated, &mut answer),
                None => answer(ask),
            };
            let answer = answer.unwrap_or_else(Said::Refused);
            let is_over = matches!(answer, Said::Refused(_));
            said.push(answer);
            if is_over {
                break;
            }
        }
        said
    }
}

fn follow(
    ask: &Ask,
    translated: &mut Translated,
    answer: &mut impl FnMut(&Ask) -> Result<Said, Refusal>,
) -> Result<Said, Refusal> {
    let turned = match ask {
        Ask::Packet(story) => translated.turned(story).map(Ask::Packet),
        _ => None,
    };
    let asked = turned.as_ref().unwrap_or(ask);
    let said = answer(asked)?;
    match (ask, asked, &said) {
        (Ask::Packet(story), Ask::Packet(came), Said::Observed(seen)) => translated.saw(story, came, seen),
        (Ask::Release(release), _, Said::Observed(seen)) => translated.saw_going_on(release, seen),
        _ => {}
    }
    Ok(said)
}

/// A world that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// Why it could not begin.
    pub refused: Option<Refusal>,
    /// The answers, in the order of the questions.
    pub said: Vec<Said>,
}

impl Ask {
    fn put<T: Target + ?Sized>(&self, target: &mut T) -> Result<Said, Refusal> {
        Ok(match self {
            Ask::Set(setting) => target.set(setting).map(|()| Said::Done)?,
            Ask::Packet(arrival) => Said::Observed(Box::new(target.packet(arrival)?)),
            Ask::Release(release) => Said::Observed(Box::new(target.release(release)?)),
            Ask::Advance(to) => Said::Happened(target.advance(*to)?),
            Ask::Table => Said::Entries(target.table()?),
            Ask::Expectations => Said::Expected(target.expectations()?),
            Ask::Counters => Said::Counted(target.counters()?),
        })
    }
}

/// What a target has said in a world, to be asked for once more, step by step: in the same order, where questions may be
/// left out.
#[derive(Debug)]
pub struct Playback {
    identity: Identity,
    config: Config,
    rest: VecDeque<(Ask, Said)>,
    /// Why it could not begin.
    refused: Option<Refusal>,
    /// What happened in steps that nobody has asked for.
    happened: Vec<Happening>,
}

impl Playback {
    /// The answers to a play.
    pub fn new(identity: Identity, play: Play, played: Played) -> Playback {
        Playback {
            identity,
            config: play.config,
            rest: play.asks.into_iter().zip(played.said).collect(),
            refused: played.refused,
            happened: Vec::new(),
        }
    }

    /// The answer to a question that is as `fits` says.
    fn find(&mut self, fits: impl Fn(&Ask) -> bool) -> Result<Said, Refusal> {
        while let Some((ask, said)) = self.rest.pop_front() {
            match said {
                Said::Refused(refusal) => {
                    self.rest.clear();
                    return Err(refusal);
                }
                said if fits(&ask) => return Ok(said),
                Said::Happened(events) => self.happened.extend(events),
                _ => {}
            }
        }
        Err(Refusal::Broken("this was not asked when the world was played".to_owned()))
    }
}

fn another<T>() -> Result<T, Refusal> {
    Err(Refusal::Broken("the target answers something else".to_owned()))
}

impl Target for Playback {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        match &self.refused {
            Some(refusal) => Err(refusal.clone()),
            None if *config == self.config => Ok(()),
            None => Err(Refusal::Broken("another world was played".to_owned())),
        }
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.find(|ask| matches!(ask, Ask::Set(other) if other == setting)).map(|_| ())
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        // One that follows others may have other ends than when the play was made: so it was with whoever played it, too.
        let is_it = |other: &Arrival| {
            *other == *arrival || (arrival.follows && other.follows && other.at == arrival.at)
        };
        match self.find(|ask| matches!(ask, Ask::Packet(other) if is_it(other)))? {
            Said::Observed(observation) => Ok(*observation),
            _ => another(),
        }
    }

    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        match self.find(|ask| matches!(ask, Ask::Release(other) if other == release))? {
            Said::Observed(observation) => Ok(*observation),
            _ => another(),
        }
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        match self.find(|ask| *ask == Ask::Advance(to))? {
            Said::Happened(events) => {
                let mut all = std::mem::take(&mut self.happened);
                all.extend(events);
                Ok(all)
            }
            _ => another(),
        }
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        match self.find(|ask| *ask == Ask::Table)? {
            Said::Entries(entries) => Ok(entries),
            _ => another(),
        }
    }

    fn counters(&mut self) -> Result<Vec<(String, Counter)>, Refusal> {
        match self.find(|ask| *ask == Ask::Counters)? {
            Said::Counted(counters) => Ok(counters),
            _ => another(),
        }
    }

    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        match self.find(|ask| *ask == Ask::Expectations)? {
            Said::Expected(expected) => Ok(expected),
            _ => another(),
        }
    }
}
