//! Coverage: which cells of the transition tables, which reasons and which sysctls a run has reached.
//!
//! It looks on from outside and costs the tracker nothing: what a packet asked the table is worked out from the reason
//! that the engine gave, the packet's own bytes and the state that its entry had before. [`Watched`] is a target that
//! takes note of all that passes through it; whoever has packets and answers in another shape feeds [`Coverage::packet`]
//! itself. Coverages of parts of a run are added up with [`Coverage::merge`].
//!
//! What no packet can reach is data, with the reason why: [`UNREACHABLE_TCP`], [`UNREACHABLE_SCTP`],
//! [`UNREACHABLE_REASONS`]; and what cells might as well say: [`INDISTINCT_TCP`].

mod cells;
mod header;
mod jsonl;
mod report;
mod unreachable;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use conntruth_engine::{Direction, Knob, Next, Profile, Reason, ReasonInfo, SctpState, Segment, TcpState};

use crate::target::{Arrival, Batch, Config, Entry, Setting, Sight, Why};

pub use cells::{Cell, Chunk};
pub use unreachable::{
    INDISTINCT_TCP, Indistinct, UNREACHABLE_REASONS, UNREACHABLE_SCTP, UNREACHABLE_TCP, Unreachable,
};
pub use watch::Watched;

use watch::Memory;

/// What was reached, and how often. `Display` is the report; the alternate form (`{:#}`) is in colour.
#[derive(Clone, Debug)]
pub struct Coverage {
    profile: &'static Profile,
    /// By direction, segment and state.
    tcp: [[[u64; 10]; 6]; 2],
    /// By direction, chunk and state.
    sctp: [[[u64; 9]; 11]; 2],
    /// By slug.
    reasons: BTreeMap<&'static str, u64>,
    /// The values that each knob was given and did not have, and how often.
    knobs: BTreeMap<Knob, BTreeMap<i64, u64>>,
    worlds: u64,
    packets: u64,
    /// The entries of the world at hand.
    memory: Memory,
}

impl Coverage {
    /// Nothing reached yet.
    pub fn new(profile: &'static Profile) -> Coverage {
        Coverage {
            profile,
            tcp: Default::default(),
            sctp: Default::default(),
            reasons: BTreeMap::new(),
            knobs: BTreeMap::new(),
            worlds: 0,
            packets: 0,
            memory: Memory::default(),
        }
    }

    /// Another world begins: its table is empty, and its sysctls are at their defaults but for these.
    pub fn begin(&mut self, config: &Config) {
        self.worlds += 1;
        self.memory = Memory::default();
        for setting in &config.settings {
            self.set(setting);
        }
    }

    /// A sysctl takes another value.
    pub fn set(&mut self, setting: &Setting) {
        let Some(knob) = Knob::find(&setting.name) else { return };
        if setting.value != i64::from(knob.info().default) {
            *self.knobs.entry(knob).or_default().entry(setting.value).or_default() += 1;
        }
    }

    /// A packet was answered. `entries` are those that are there after it, of which its own alone is looked at. Where nobody
    /// has read them the state is worked out from the reason; it does not always tell, and then the cells that the next
    /// packets of this connection ask stay uncounted.
    pub fn packet(&mut self, arrival: &Arrival, why: Option<&Why>, entries: Option<&[Entry]>) {
        self.packets += 1;
        let Some(Why::Reason(reason)) = why else { return };
        *self.reasons.entry(reason.slug()).or_default() += 1;
        watch::note(self, arrival, reason, entries);
    }

    /// What a helper made of a packet, or that it was expected.
    pub fn help(&mut self, help: Option<&Reason>) {
        if let Some(help) = help {
            *self.reasons.entry(help.slug()).or_default() += 1;
        }
    }

    /// A packet that waited between the hooks went on. What it asked was counted when it came; here only what became of it
    /// counts.
    pub fn release(&mut self, arrival: &Arrival, why: Option<&Why>, entries: &[Entry]) {
        let Some(Why::Reason(reason)) = why else { return };
        if matches!(reason, Reason::InsertFailed {} | Reason::ClashResolved {} | Reason::ClashKept {}) {
            *self.reasons.entry(reason.slug()).or_default() += 1;
        }
        watch::note_release(self, arrival, entries);
    }

    /// A batch was answered.
    pub fn batch(&mut self, batch: &Batch, sights: &[Vec<Sight>]) {
        for (arrivals, sights) in batch.worlds.iter().zip(sights) {
            self.begin(&batch.config);
            for (arrival, sight) in arrivals.iter().zip(sights) {
                self.packet(arrival, sight.why.as_ref(), sight.entries.as_deref());
                self.help(sight.help.as_ref());
            }
        }
    }

    /// Adds what another run has reached.
    ///
    /// # Panics
    /// When the two are about different profiles: their tables are not the same ones.
    pub fn merge(&mut self, other: &Coverage) {
        assert_eq!(self.profile.name, other.profile.name, "coverages of one profile can be added up");
        for (sums, more) in self.tcp.as_flattened_mut().iter_mut().zip(other.tcp.as_flattened()) {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        for (sums, more) in self.sctp.as_flattened_mut().iter_mut().zip(other.sctp.as_flattened()) {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        for (slug, more) in &other.reasons {
            *self.reasons.entry(slug).or_default() += more;
        }
        for (knob, values) in &other.knobs {
            let sums = self.knobs.entry(*knob).or_default();
            for (value, more) in values {
                *sums.entry(*value).or_default() += more;
            }
        }
        self.worlds += other.worlds;
        self.packets += other.packets;
    }

    /// The profile whose tables these are.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// The cells of TCP's table, in its order.
    pub fn tcp(&self) -> impl Iterator<Item = Cell<Segment, TcpState>> + '_ {
        cells::tcp(self.profile, &self.tcp)
    }

    /// The cells of SCTP's table, in its order.
    pub fn sctp(&self) -> impl Iterator<Item = Cell<Chunk, SctpState>> + '_ {
        cells::sctp(self.profile, &self.sctp)
    }

    /// The reasons, in their own order, how often each was given, and where known why it never is.
    pub fn reasons(&self) -> impl Iterator<Item = (&'static ReasonInfo, u64, Option<&'static str>)> + '_ {
        let why = |slug: &str| UNREACHABLE_REASONS.iter().find(|row| row.0 == slug).map(|row| row.1);
        let reached = |slug: &str| self.reasons.get(slug).copied().unwrap_or_default();
        Reason::ALL.iter().map(move |info| (info, reached(info.slug), why(info.slug)))
    }

    /// The knobs, and the values they were given that are not their defaults, with how often.
    pub fn knobs(&self) -> impl Iterator<Item = (Knob, Vec<(i64, u64)>)> + '_ {
        Knob::ALL.iter().map(|info| {
            let values = self.knobs.get(&info.knob).into_iter().flatten();
            (info.knob, values.map(|(value, times)| (*value, *times)).collect())
        })
    }

    /// Cells, reasons and sysctls reached, out of those that can be.
    pub fn sums(&self) -> Sums {
        let sum = |reached: usize, of: usize| Sum { reached, of };
        let tcp: Vec<u64> =
            self.tcp().filter(|cell| cell.unreachable.is_none()).map(|cell| cell.reached).collect();
        let sctp: Vec<u64> =
            self.sctp().filter(|cell| cell.unreachable.is_none()).map(|cell| cell.reached).collect();
        let reasons: Vec<u64> =
            self.reasons().filter(|row| row.2.is_none()).map(|(_, reached, _)| reached).collect();
        let hit = |counts: &[u64]| counts.iter().filter(|count| **count > 0).count();
        Sums {
            worlds: self.worlds,
            packets: self.packets,
            tcp: sum(hit(&tcp), tcp.len()),
            sctp: sum(hit(&sctp), sctp.len()),
            reasons: sum(hit(&reasons), reasons.len()),
            sysctls: sum(self.knobs.len(), Knob::ALL.len()),
        }
    }

    fn tcp_asked(&mut self, direction: Direction, segment: Segment, state: TcpState) {
        self.tcp[direction as usize][segment as usize][state as usize] += 1;
    }

    fn sctp_asked(&mut self, direction: Direction, chunk: Chunk, state: SctpState) -> Next<SctpState> {
        self.sctp[direction as usize][chunk.row()][state as usize] += 1;
        self.profile.sctp_table[direction as usize][chunk.row()][state as usize]
    }
}

/// How much of what can be reached was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sum {
    /// So many were.
    pub reached: usize,
    /// So many can be.
    pub of: usize,
}

impl Sum {
    /// Whether nothing is left.
    pub fn is_all(self) -> bool {
        self.reached == self.of
    }
}

/// The sums of a coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    /// Worlds that were begun.
    pub worlds: u64,
    /// Packets that were answered.
    pub packets: u64,
    /// Cells of TCP's table.
    pub tcp: Sum,
    /// Cells of SCTP's table.
    pub sctp: Sum,
    /// Reasons.
    pub reasons: Sum,
    /// Sysctls that had another value than their default.
    pub sysctls: Sum,
}
