//! Many small worlds in one request: what a comparison of thousands of packets asks, where asking packet by packet would
//! cost more than the packets themselves.

use conntruth_engine::{Class, Verdict};
use serde::{Deserialize, Serialize};

use super::translated::Translated;
use super::{
    Arrival, Ask, Config, Entry, Expected, Happening, Play, Played, Refusal, Said, Sent, Target, Why,
};

/// Worlds that share a configuration and no address, so that they may happen side by side in one tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// How all of them are to be.
    pub config: Config,
    /// The packets of each, in the order of their times.
    pub worlds: Vec<Vec<Arrival>>,
    /// After which packets a world's entries are read.
    pub reading: Reading,
}

/// After which packets a world's entries are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// After each.
    #[default]
    Each,
    /// After each world's last.
    Last,
    /// Never: the packets alone.
    Never,
}

/// What was seen of one packet of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// What `ct state` matches on.
    pub class: Class,
    /// Whether the packet went on.
    pub verdict: Verdict,
    /// What rules sent in return.
    pub sent: Vec<Sent>,
    /// The packet as it left, where translation has changed it.
    #[serde(default)]
    pub left: Option<Vec<u8>>,
    /// Why, where the target says.
    pub why: Option<Why>,
    /// What a helper made of it, or that it was expected, where the target says.
    pub help: Option<conntruth_engine::Reason>,
    /// What its listeners were told since the packet before, in order.
    pub events: Vec<Happening>,
    /// All entries of its world after the packet, oldest first; none where they were not read.
    pub entries: Option<Vec<Entry>>,
    /// All that its world expects after the packet; none where that was not read, or no rule assigns a helper.
    pub expected: Option<Vec<Expected>>,
    /// How the target broke at this packet, if it did: then nothing else here is true, and there is no other packet.
    pub broken: Option<String>,
}

impl Sight {
    /// Of a packet at which the target broke.
    fn broken(how: String) -> Sight {
        Sight {
            class: Class::Discarded,
            verdict: Verdict::Drop,
            sent: Vec::new(),
            left: None,
            why: None,
            events: Vec::new(),
            entries: None,
            expected: None,
            help: None,
            broken: Some(how),
        }
    }
}

impl Reading {
    /// Whether entries are read after a packet of so many.
    fn after(self, index: usize, of: usize) -> bool {
        match self {
            Reading::Each => true,
            Reading::Last => index + 1 == of,
            Reading::Never => false,
        }
    }

    /// One world of a batch, which has begun.
    pub(super) fn world<T: Target + ?Sized>(
        self,
        target: &mut T,
        batch: &Batch,
        arrivals: &[Arrival],
    ) -> Result<Vec<Sight>, Refusal> {
        self.world_prepared(target, batch, arrivals, &mut |_, _, _| {})
    }

    /// The same, where something is told to the target before each packet: its number, and the packet.
    pub(super) fn world_prepared<T: Target + ?Sized>(
        self,
        target: &mut T,
        batch: &Batch,
        arrivals: &[Arrival],
        prepare: &mut dyn FnMut(&mut T, usize, &Arrival),
    ) -> Result<Vec<Sight>, Refusal> {
        let mut sights = Vec::with_capacity(arrivals.len());
        let has_helpers = !batch.config.rules.helpers().is_empty();
        let mut translated = Translated::new(&batch.config.routes);
        for (index, story) in arrivals.iter().enumerate() {
            let turned = translated.turned(story);
            let arrival = turned.as_ref().unwrap_or(story);
            let mut events = target.advance(arrival.at)?;
            prepare(target, index, arrival);
            let observation = target.packet(arrival)?;
            translated.saw(story, arrival, &observation);
            events.extend(observation.events);
            let is_read = self.after(index, arrivals.len());
            sights.push(Sight {
                class: observation.class,
                verdict: observation.verdict,
                sent: observation.sent,
                left: observation.left,
                why: observation.why,
                help: observation.help,
                events,
                entries: if is_read { Some(target.table()?) } else { None },
                expected: if is_read && has_helpers { Some(target.expectations()?) } else { None },
                broken: None,
            });
        }
        Ok(sights)
    }
}

/// The worlds one after the other, each in a table of its own.
pub(super) fn one_by_one<T: Target + ?Sized>(
    target: &mut T,
    batch: &Batch,
) -> Result<Vec<Vec<Sight>>, Refusal> {
    let world = |arrivals: &Vec<Arrival>| {
        target.begin(&batch.config)?;
        let sights = batch.reading.world(target, batch, arrivals)?;
        target.end();
        Ok(sights)
    };
    batch.worlds.iter().map(world).collect()
}

/// The same for a target that cannot be trusted, and may take whole worlds alone: it is played to. Of a world that asks for
/// what it cannot do nothing is seen; one in which it breaks ends there.
pub(super) fn played<T: Target + ?Sized>(target: &mut T, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
    let plays: Vec<Play> = batch.worlds.iter().map(|arrivals| play(batch, arrivals)).collect();
    let played = target.play(&plays)?;
    Ok(batch.worlds.iter().zip(played).map(|(arrivals, played)| sights(played, arrivals.len())).collect())
}

fn play(batch: &Batch, arrivals: &[Arrival]) -> Play {
    let mut asks = Vec::with_capacity(arrivals.len() * 3);
    let has_helpers = !batch.config.rules.helpers().is_empty();
    for (index, arrival) in arrivals.iter().enumerate() {
        asks.extend([Ask::Advance(arrival.at), Ask::Packet(arrival.clone())]);
        if batch.reading.after(index, arrivals.len()) {
            asks.push(Ask::Table);
            asks.extend(has_helpers.then_some(Ask::Expectations));
        }
    }
    Play { config: batch.config.clone(), asks }
}

fn sights(played: Played, packets: usize) -> Vec<Sight> {
    let mut sights: Vec<Sight> = Vec::with_capacity(packets);
    let mut before = Vec::new();
    for said in played.refused.map(Said::Refused).into_iter().chain(played.said) {
        match said {
            Said::Happened(events) => before = events,
            Said::Observed(seen) => {
                let mut events = std::mem::take(&mut before);
                events.extend(seen.events);
                sights.push(Sight {
                    class: seen.class,
                    verdict: seen.verdict,
                    sent: seen.sent,
                    left: seen.left,
                    why: seen.why,
                    help: seen.help,
                    events,
                    entries: None,
                    expected: None,
                    broken: None,
                });
            }
            Said::Entries(entries) => {
                if let Some(sight) = sights.last_mut() {
                    sight.entries = Some(entries);
                }
            }
            Said::Refused(Refusal::Unsupported(_)) => return Vec::new(),
            Said::Refused(Refusal::Wrong(how) | Refusal::Broken(how)) => {
                sights.push(Sight::broken(how));
                break;
            }
            Said::Expected(expected) => {
                if let Some(sight) = sights.last_mut() {
                    sight.expected = Some(expected);
                }
            }
            Said::Done | Said::Counted(_) => {}
        }
    }
    sights
}
