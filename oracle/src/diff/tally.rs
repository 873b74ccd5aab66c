//! What a run has come to in numbers: how much was compared, and how much of it proves something. A run in which the target
//! was told nothing by helpers, or translated nothing, says nothing about them.

use conntruth_engine::{EventKind, Status};

use crate::target::{Arrival, Happening, Sight, whose};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Cases compared.
    pub cases: u64,
    /// Packets compared.
    pub packets: u64,
    /// Cases that differ.
    pub divergent: u64,
    /// Causes.
    pub causes: usize,
    /// Cases that differed once, and not when their batch was asked again: see [`super::Norm::Stalls`].
    pub unsteady: u64,
    /// Cases that differed whenever their batch was asked, and not alone: nothing is known of them.
    pub unsettled: u64,
    /// Packets of which the target came to expect a connection.
    pub announced: u64,
    /// Connections of the target that were expected.
    pub related: u64,
    /// Packets of which the target changed addresses, ports or numbers.
    pub translated: u64,
    /// Packets of which it changed the payload.
    pub rewritten: u64,
    /// Cases with something that the target cannot do.
    pub unsupported: u64,
}

impl Progress {
    /// Counts what the target came to expect, and what it has translated, in one world.
    pub(super) fn count(&mut self, arrivals: &[Arrival], sights: &[Sight]) {
        for sight in sights {
            let has = |kind: EventKind| sight.events.iter().any(|event| event.kind == kind);
            self.announced += u64::from(has(EventKind::ExpectNew));
            let is_child =
                |event: &Happening| event.kind == EventKind::New && event.entry.status.has(Status::EXPECTED);
            self.related += u64::from(sight.events.iter().any(is_child));
        }
        for (arrival, sight) in arrivals.iter().zip(sights) {
            let Some(left) = &sight.left else { continue };
            self.translated += 1;
            // Who answers a translated packet sends to other ends than the story says; what it says is the same.
            let is_rewritten =
                whose::said(&arrival.bytes).is_some_and(|said| Some(said) != whose::said(left));
            self.rewritten += u64::from(is_rewritten);
        }
    }

    /// Adds another part of the same run; its causes may be the same, and are not counted.
    pub(super) fn add(&mut self, part: Progress) {
        let Progress { cases, packets, divergent, causes: _, unsteady, announced, related, .. } = part;
        let Progress { translated, rewritten, unsupported, unsettled, .. } = part;
        let sums: [(&mut u64, u64); 10] = [
            (&mut self.unsettled, unsettled),
            (&mut self.cases, cases),
            (&mut self.packets, packets),
            (&mut self.divergent, divergent),
            (&mut self.unsteady, unsteady),
            (&mut self.announced, announced),
            (&mut self.related, related),
            (&mut self.translated, translated),
            (&mut self.rewritten, rewritten),
            (&mut self.unsupported, unsupported),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
    }
}
