//! Whole worlds in one message, for adapters that take them so: what is sent, and what its answers are answers to.

use std::collections::VecDeque;

use conntruth_engine::{Profile, Time};

use super::wire::{self, Answer, Request};
use super::{Exec, convert};
use crate::target::fates::{Fates, Told};
use crate::target::{Arrival, Ask, Passing, Play, Played, Refusal, Rules, Said, Shows};

/// So many worlds are on their way at once.
const AHEAD: usize = 16;

/// What is done about one ask of a play.
pub(super) enum Put {
    /// The adapter answers it; of a packet, after what rules did to it.
    Asked(Option<Box<Told>>),
    /// The adapter is not asked.
    Unasked,
    /// A rule ends the packet before the tracker sees it.
    Ended(Box<Told>),
    /// It cannot be asked, and nothing is after it.
    Refused(Refusal),
}

/// What an adapter is asked, and what not.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub profile: &'static Profile,
    /// Time passes for it.
    pub passes: bool,
    pub shows: Shows,
    pub rules: Rules,
}

impl Exec {
    /// The message for a world, and what becomes of its asks.
    fn message(&self, play: &Play) -> Result<(Request, Vec<Put>), Refusal> {
        if let Some(refusal) = self.misses(&play.config) {
            return Err(refusal);
        }
        let abilities = &self.identity.abilities;
        let manner = Manner {
            profile: self.profile,
            passes: abilities.time != Passing::None,
            shows: abilities.shows,
            rules: abilities.rules,
        };
        message(play, &manner, |step| self.cannot(step))
    }

    /// Plays worlds, some of them ahead, until all are played or the process is over.
    #[allow(clippy::disallowed_methods)] // The adapter's clock may be the real one.
    pub(super) fn play_ahead(&mut self, worlds: &[Play], played: &mut Vec<Played>) {
        let mut unsent = worlds.iter();
        let mut asked = VecDeque::new();
        for play in worlds {
            while asked.len() < AHEAD
                && let Some(next) = unsent.next()
            {
                let put = match self.message(next) {
                    Ok((message, put)) => match self.say(&message) {
                        Ok(()) => Ok(put),
                        Err(refusal) => return played.push(refused(refusal)),
                    },
                    Err(refusal) => Err(refusal),
                };
                asked.push_back((put, std::time::Instant::now()));
            }
            let Some((put, begun)) = asked.pop_front() else { return };
            self.fresh(begun);
            played.push(match put.map(|put| (put, self.answer())) {
                Err(refusal) | Ok((_, Err(refusal))) => refused(refusal),
                Ok((put, Ok(Answer::World(world)))) => {
                    Played { refused: None, said: self.said(play, put, world.answers) }
                }
                Ok((_, Ok(other))) => refused(self.other(other, "world")),
            });
            if self.process.is_none() {
                return;
            }
        }
    }

    /// The answers to a world, one for each ask, up to the first refusal.
    fn said(&mut self, play: &Play, puts: Vec<Put>, given: Vec<Answer>) -> Vec<Said> {
        let mut said = Vec::with_capacity(play.asks.len());
        let (wanted, got) = (puts.iter().filter(|put| matches!(put, Put::Asked(_))).count(), given.len());
        let what = format!("its answer to a world has {got} answers to {wanted} steps");
        let mut given = given.into_iter();
        for (ask, put) in play.asks.iter().zip(puts) {
            let answer = match put {
                Put::Asked(told) => match given.next() {
                    Some(answer) => self.said_to(ask, answer).map(|said| heard(said, told)),
                    None => Err(self.nonsense(&what)),
                },
                Put::Unasked => self.unsaid(ask),
                Put::Ended(told) => Ok(Said::Observed(Box::new(told.seen(None)))),
                Put::Refused(refusal) => Err(refusal),
            };
            said.push(answer.unwrap_or_else(Said::Refused));
            if matches!(said.last(), Some(Said::Refused(_))) {
                break;
            }
        }
        if given.next().is_some() && !matches!(said.last(), Some(Said::Refused(_))) {
            let nonsense = self.nonsense(&what);
            said.pop();
            said.push(Said::Refused(nonsense));
        }
        said
    }

    fn said_to(&mut self, ask: &Ask, answer: Answer) -> Result<Said, Refusal> {
        match ask {
            Ask::Set(_) => self.done(answer).map(|()| Said::Done),
            Ask::Packet(_) | Ask::Release(_) => self.observed(answer).map(Box::new).map(Said::Observed),
            Ask::Advance(_) => self.happened(answer).map(Said::Happened),
            Ask::Table => self.listed(answer).map(Said::Entries),
            Ask::Expectations => self.expected(answer).map(Said::Expected),
            Ask::Counters => self.counted(answer).map(Said::Counted),
        }
    }

    /// What the adapter is not asked.
    fn unsaid(&mut self, ask: &Ask) -> Result<Said, Refusal> {
        match ask {
            Ask::Advance(to) => self.idle(*to).map(|()| Said::Happened(Vec::new())),
            // Nobody looks at a table that is not shown, nor at what rules of ours have counted.
            Ask::Table => Ok(Said::Entries(Vec::new())),
            Ask::Counters => Ok(Said::Counted(Vec::new())),
            _ => Err(Refusal::Unsupported("the adapter protocol has no such question".to_owned())),
        }
    }

    /// Time passes that the adapter is not told of.
    fn idle(&mut self, to: Time) -> Result<(), Refusal> {
        if self.identity.abilities.time == Passing::None { self.come(to).map(|_| ()) } else { Ok(()) }
    }
}

/// What rules of ours do not change.
fn heard(said: Said, told: Option<Box<Told>>) -> Said {
    match (said, told) {
        (Said::Observed(seen), Some(told)) => Said::Observed(Box::new(told.seen(Some(*seen)))),
        (said, _) => said,
    }
}

fn refused(refusal: Refusal) -> Played {
    Played { refused: Some(refusal), said: Vec::new() }
}

/// A world as a message, and what becomes of its asks. `cannot` says what the adapter lacks for a step.
pub(super) fn message(
    play: &Play,
    manner: &Manner,
    cannot: impl Fn(&Request) -> Option<Refusal>,
) -> Result<(Request, Vec<Put>), Refusal> {
    let mut writer = Writer {
        manner,
        fates: match manner.rules {
            Rules::Own => None,
            Rules::Told => Fates::new(manner.profile, &play.config, &manner.shows)?,
        },
        now: Time::ZERO,
    };
    let mut puts = Vec::with_capacity(play.asks.len());
    let mut steps = Vec::with_capacity(play.asks.len());
    for ask in &play.asks {
        let (step, put) = match writer.step(ask) {
            Ok((Some(step), put)) => match cannot(&step) {
                Some(refusal) => (None, Put::Refused(refusal)),
                None => (Some(step), put),
            },
            Ok((None, put)) => (None, put),
            Err(refusal) => (None, Put::Refused(refusal)),
        };
        let is_over = matches!(put, Put::Refused(_));
        puts.push(put);
        steps.extend(step);
        if is_over {
            break;
        }
    }
    let begin = convert::begin(&play.config, manner.profile.name, manner.rules);
    Ok((Request::World(wire::World { begin, steps }), puts))
}

struct Writer<'a> {
    manner: &'a Manner,
    fates: Option<Fates>,
    now: Time,
}

impl Writer<'_> {
    /// What an ask is as a step, if it is one.
    fn step(&mut self, ask: &Ask) -> Result<(Option<Request>, Put), Refusal> {
        let step = match ask {
            Ask::Advance(to) if *to <= self.now => None,
            Ask::Advance(to) => {
                self.now = *to;
                self.fates.iter_mut().for_each(|fates| fates.advance(*to));
                self.manner.passes.then_some(Request::Advance(wire::Advance { to_ns: to.as_nanos() }))
            }
            Ask::Set(setting) => {
                self.fates.iter_mut().for_each(|fates| fates.set(setting));
                Some(Request::Set(convert::setting(setting)))
            }
            Ask::Packet(arrival) => return self.packet(arrival),
            Ask::Release(release) => Some(Request::Release(convert::release(release))),
            Ask::Table => self.manner.shows.table.then_some(Request::Table(wire::Bare {})),
            Ask::Counters => (self.manner.rules == Rules::Own).then_some(Request::Counters(wire::Bare {})),
            Ask::Expectations => Some(Request::Expectations(wire::Bare {})),
        };
        let put = if step.is_some() { Put::Asked(None) } else { Put::Unasked };
        Ok((step, put))
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<(Option<Request>, Put), Refusal> {
        let Some(fates) = &mut self.fates else {
            return Ok((Some(Request::Packet(convert::packet(arrival))), Put::Asked(None)));
        };
        let told = Box::new(fates.tell(arrival)?);
        Ok(match &told.arrival {
            Some(arrival) => (Some(Request::Packet(convert::packet(arrival))), Put::Asked(Some(told))),
            None => (None, Put::Ended(told)),
        })
    }
}
