//! Many small worlds in one request: what a comparison of thousands of packets asks, where asking packet by packet would
//! cost more than the packets themselves.

use conntruth_engine::{Class, Verdict};
use serde::{Deserialize, Serialize};

use super::translated::Translated;
use super::{Arrival, Config, Entry, Expected, Happening, Refusal, Sent, Target, Why};

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
}

impl Reading {
    /// One world of a batch, which has begun.
    pub(super) fn world<T: Target + ?Sized>(
        self,
        target: &mut T,
        batch: &Batch,
        arrivals: &[Arrival],
    ) -> Result<Vec<Sight>, Refusal> {
        self.world_prepared(target, batch, arrivals, &mut |_, _| {})
    }

    /// The same, where something is told to the target before each packet, which is known by its number.
    pub(super) fn world_prepared<T: Target + ?Sized>(
        self,
        target: &mut T,
        batch: &Batch,
        arrivals: &[Arrival],
        prepare: &mut dyn FnMut(&mut T, usize),
    ) -> Result<Vec<Sight>, Refusal> {
        let mut sights = Vec::with_capacity(arrivals.len());
        let has_helpers = !batch.config.rules.helpers().is_empty();
        let mut translated = Translated::new(&batch.config.routes);
        for (index, story) in arrivals.iter().enumerate() {
            let turned = translated.turned(story);
            let arrival = turned.as_ref().unwrap_or(story);
            let mut events = target.advance(arrival.at)?;
            prepare(target, index);
            let observation = target.packet(arrival)?;
            translated.saw(story, arrival, &observation);
            events.extend(observation.events);
            let is_read = match self {
                Reading::Each => true,
                Reading::Last => index + 1 == arrivals.len(),
                Reading::Never => false,
            };
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
