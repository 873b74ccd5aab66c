//! What goes wrong on a cable: each fault is a rule that says what, when, which way, and to which packets.
//!
//! Rules are applied in a fixed order, whatever the order in which they were written: a packet is lost, or else
//! corrupted, cut short, duplicated, delayed. Each counts how often it fired, because a test of a fault that never
//! happened has tested nothing.

use std::fmt;

use super::{Filter, Fired, Way, shown};
use crate::dice::{Chance, Dice};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens to a packet.
    pub what: What,
    /// When it happens.
    pub when: When,
    /// To packets that go this way; none is both, counted apart.
    pub way: Option<Way>,
    /// To packets like this.
    pub only: Filter,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It is gone.
    Lose,
    /// One of its bits is turned over: at this byte, or anywhere. No checksum of a link notices.
    Corrupt {
        /// The byte, counted from the network header.
        at: Option<usize>,
    },
    /// Only its beginning comes through.
    Truncate {
        /// So many bytes of it.
        length: usize,
    },
    /// A copy comes through behind it.
    Duplicate {
        /// So many nanoseconds later.
        after: u64,
    },
    /// It is held back, and what comes behind may overtake it.
    Delay {
        /// For so many nanoseconds.
        by: u64,
    },
}

/// When a fault happens. Packets are those that match, counted from 1, each way apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// To each packet.
    Always,
    /// To the packets with these numbers.
    Numbers(Vec<u64>),
    /// To every so-manieth packet.
    Every(u64),
    /// By chance, each packet on its own.
    Chance(Chance),
    /// In bursts: one begins by chance at any packet, and ends by chance after any packet of it.
    Burst {
        /// How likely it begins.
        begins: Chance,
        /// How likely it ends.
        ends: Chance,
    },
    /// To packets put in at `from` or later and before `until`, in nanoseconds.
    Between {
        /// The first moment.
        from: u64,
        /// The first moment after it.
        until: u64,
    },
}

/// A fault, or a link, out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Packet numbers begin at 1.
    Number,
    /// No packet is numbered.
    NoNumbers,
    /// It ends before it begins.
    Between {
        /// Where it begins.
        from: u64,
        /// Where it ends.
        until: u64,
    },
    /// It can never happen.
    Never,
    /// A delay or a copy of no time.
    NoTime,
    /// No IP link has such an MTU.
    Mtu {
        /// The MTU, in bytes.
        mtu: usize,
    },
    /// Nothing would ever be sent.
    Bandwidth,
    /// Nothing could ever wait.
    Queue,
}

impl Fault {
    /// A loss.
    pub fn lose(when: When) -> Fault {
        Fault { what: What::Lose, when, way: None, only: Filter::default() }
    }

    /// Whatever `what` is.
    pub fn new(what: What, when: When) -> Fault {
        Fault { what, when, way: None, only: Filter::default() }
    }

    /// The same, to packets of one way.
    #[must_use]
    pub fn on_the_way(self, way: Way) -> Fault {
        Fault { way: Some(way), ..self }
    }

    /// The same, to packets like this.
    #[must_use]
    pub fn only(self, only: Filter) -> Fault {
        Fault { only, ..self }
    }

    /// # Errors
    /// When it can never happen, or contradicts itself.
    pub fn check(&self) -> Result<(), FaultError> {
        match &self.when {
            When::Numbers(numbers) if numbers.is_empty() => return Err(FaultError::NoNumbers),
            When::Numbers(numbers) if numbers.contains(&0) => return Err(FaultError::Number),
            When::Every(0) => return Err(FaultError::Number),
            When::Chance(Chance::NEVER) | When::Burst { begins: Chance::NEVER, .. } => {
                return Err(FaultError::Never);
            }
            &When::Between { from, until } if until <= from => {
                return Err(FaultError::Between { from, until });
            }
            _ => {}
        }
        match self.what {
            What::Delay { by: 0 } => Err(FaultError::NoTime),
            _ => Ok(()),
        }
    }
}

/// A fault at work.
#[derive(Debug)]
pub(super) struct Rule {
    fault: Fault,
    /// Only for what the fault does; when it fires has its own.
    dice: Dice,
    lanes: [Counted; 2],
    fired: u64,
}

#[derive(Debug)]
struct Counted {
    dice: Dice,
    seen: u64,
    in_burst: bool,
}

impl Rule {
    pub(super) fn new(fault: Fault, mut dice: Dice) -> Rule {
        let mut lane = || {
            let seed = crate::dice::Seed(dice.number());
            Counted { dice: seed.dice("when"), seen: 0, in_burst: false }
        };
        let lanes = [lane(), lane()];
        Rule { fault, dice, lanes, fired: 0 }
    }

    /// Its place in the order of rules.
    pub(super) fn rank(&self) -> u8 {
        match self.fault.what {
            What::Lose => 0,
            What::Corrupt { .. } => 1,
            What::Truncate { .. } => 2,
            What::Duplicate { .. } => 3,
            What::Delay { .. } => 4,
        }
    }

    pub(super) fn what(&self) -> What {
        self.fault.what
    }

    pub(super) fn count(&mut self) {
        self.fired += 1;
    }

    pub(super) fn fired(&self) -> Fired<'_> {
        Fired { fault: &self.fault, times: self.fired }
    }

    /// Whether it fires on a packet.
    pub(super) fn hits(&mut self, now: u64, way: Way, bytes: &[u8]) -> bool {
        if self.fault.way.is_some_and(|only| only != way) || !self.fault.only.matches(bytes) {
            return false;
        }
        let lane = &mut self.lanes[way as usize];
        lane.seen += 1;
        match &self.fault.when {
            When::Always => true,
            When::Numbers(numbers) => numbers.contains(&lane.seen),
            When::Every(step) => lane.seen.is_multiple_of(*step),
            When::Chance(chance) => lane.dice.happens(*chance),
            When::Burst { begins, ends } => {
                let is_hit = lane.in_burst || lane.dice.happens(*begins);
                lane.in_burst = is_hit && !lane.dice.happens(*ends);
                is_hit
            }
            When::Between { from, until } => (*from..*until).contains(&now),
        }
    }

    pub(super) fn corrupt(&mut self, bytes: &mut [u8], at: Option<usize>) {
        let length = bytes.len() as u64;
        let at = at.unwrap_or_else(|| self.dice.below(length) as usize);
        let bit = self.dice.below(8);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Lose => write!(f, "lose")?,
            What::Corrupt { at: None } => write!(f, "corrupt")?,
            What::Corrupt { at: Some(at) } => write!(f, "corrupt byte {at} of")?,
            What::Truncate { length } => write!(f, "truncate to {length} bytes")?,
            What::Duplicate { after: 0 } => write!(f, "duplicate")?,
            What::Duplicate { after } => write!(f, "duplicate after {}", shown(after))?,
            What::Delay { by } => write!(f, "delay by {}", shown(by))?,
        }
        match &self.when {
            When::Always => write!(f, " every packet")?,
            When::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                write!(f, " packet {}", numbers.join(", "))?;
            }
            When::Every(step) => write!(f, " one packet in {step}")?,
            When::Chance(chance) => write!(f, " {} in a million", chance.millionths())?,
            When::Burst { begins, ends } => {
                let (begins, ends) = (begins.millionths(), ends.millionths());
                write!(f, " in bursts that begin {begins} and end {ends} times in a million")?;
            }
            When::Between { from, until } => write!(f, " from {} until {}", shown(*from), shown(*until))?,
        }
        match self.way {
            Some(Way::Up) => write!(f, " up")?,
            Some(Way::Down) => write!(f, " down")?,
            None => {}
        }
        self.only.fmt(f)
    }
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FaultError::Number => write!(f, "packets are counted from 1"),
            FaultError::NoNumbers => write!(f, "no packet is named"),
            FaultError::Between { from, until } => {
                write!(f, "it ends at {}, before it begins at {}", shown(until), shown(from))
            }
            FaultError::Never => write!(f, "it can never happen"),
            FaultError::NoTime => write!(f, "a delay of no time delays nothing"),
            FaultError::Mtu { mtu } => write!(f, "an MTU is 68 to 65535 bytes, not {mtu}"),
            FaultError::Bandwidth => write!(f, "nothing moves at 0 bits a second"),
            FaultError::Queue => write!(f, "nothing fits into a queue of 0 bytes"),
        }
    }
}

impl std::error::Error for FaultError {}
