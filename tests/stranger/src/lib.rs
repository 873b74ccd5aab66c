//! A tracker as somebody else might have one: it knows UDP flows over IPv4 by their ends, whether they were answered, and
//! nothing else. `tests/` holds it against Conntruth in four ways: generated traffic (`agrees.rs`), scenarios (`mine.rs`, and
//! `scenarios.rs` for the reference itself), and snapshots of tables and transcripts (`snapshots.rs`).

use std::collections::BTreeMap;

/// How a packet relates to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The flow has not been answered.
    New,
    /// It has.
    Known,
    /// The packet is an answer.
    Answer,
}

/// An address and a port.
type End = ([u8; 4], [u8; 2]);

/// See the crate.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    flows: BTreeMap<(End, End), bool>,
    forgets: bool,
}

impl Tracker {
    /// One with a mistake: it forgets that a flow was answered.
    pub fn forgetful() -> Tracker {
        Tracker { forgets: true, ..Tracker::default() }
    }

    /// What it makes of a packet; nothing of what is not UDP over IPv4.
    pub fn packet(&mut self, packet: &[u8]) -> Option<Relation> {
        let header = packet.first_chunk::<24>()?;
        if header[0] != 0x45 || header[9] != 17 {
            return None;
        }
        let end = |address: usize, port: usize| -> End {
            let mut end = ([0; 4], [0; 2]);
            end.0.copy_from_slice(&header[address..address + 4]);
            end.1.copy_from_slice(&header[port..port + 2]);
            end
        };
        let (from, to) = (end(12, 20), end(16, 22));
        if from != to
            && let Some(answered) = self.flows.get_mut(&(to, from))
        {
            *answered = !self.forgets;
            return Some(Relation::Answer);
        }
        let answered = *self.flows.entry((from, to)).or_default();
        Some(if answered { Relation::Known } else { Relation::New })
    }
}
