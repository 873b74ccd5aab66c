//! Which cells a packet has asked, worked out from the engine's answer.
//!
//! A state lasts from packet to packet, so the state that a packet found is the one that the last packet of its
//! connection left; what this packet leaves is in its entry.

use std::collections::BTreeMap;

use conntruth_engine::{Direction, Next, Reason, SctpState, Segment, TcpState, Time, Tuple};

use super::header::{self, Header, Kind, Pieces};
use super::{Chunk, Coverage};
use crate::target::{
    Arrival, Batch, Config, Entry, Expected, Fate, Happening, Identity, Observation, Refusal, Release,
    Setting, Sight, Target,
};

/// The connections of a world: the state each was last seen in, by original tuple and zone. None where it is not known.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    states: BTreeMap<(Tuple, u16), Option<State>>,
    pieces: Pieces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Tcp(TcpState),
    Sctp(SctpState),
}

impl State {
    fn of(entry: &Entry) -> Option<State> {
        let word = entry.state.as_deref()?;
        let tcp = TcpState::ALL.into_iter().find(|state| state.word() == word).map(State::Tcp);
        let sctp = SctpState::ALL.into_iter().find(|state| state.word() == word).map(State::Sctp);
        // ESTABLISHED is a word of both.
        if entry.original.protocol == conntruth_engine::protocol::TCP { tcp } else { sctp }
    }
}

/// Takes note of the cells that a packet has asked, and of the state that it leaves.
pub(super) fn note(coverage: &mut Coverage, arrival: &Arrival, reason: &Reason, entries: Option<&[Entry]>) {
    let Some(header) = header::read(&arrival.bytes, &mut coverage.memory.pieces) else { return };
    let inverse = header.tuple.invert();
    let known = |tuple: &Tuple| coverage.memory.states.get(&(*tuple, arrival.zone)).copied();
    let (direction, before) = match (known(&header.tuple), inverse.as_ref().and_then(known)) {
        (Some(state), _) => (Direction::Original, state),
        (None, Some(state)) => (Direction::Reply, state),
        (None, None) => (Direction::Original, None),
    };
    match &header.kind {
        Kind::Tcp(segment) => tcp(coverage, *segment, direction, before, reason),
        Kind::Sctp(chunks) => sctp(coverage, chunks, direction, before, reason),
    }
    match entries {
        Some(entries) => read(&mut coverage.memory, &header, arrival.zone, entries),
        None => {
            let after = match (&header.kind, before) {
                (Kind::Tcp(segment), Some(State::Tcp(state))) => {
                    guess(reason, coverage.profile.tcp_next(direction, *segment, state), *segment, state)
                }
                _ => guess(reason, Next::Invalid, Segment::None, TcpState::None),
            };
            let is_lost = arrival.fate != Fate::Passes;
            if let Some(after) = after {
                expect(&mut coverage.memory, &header, arrival.zone, reason, (after, is_lost));
            }
        }
    }
}

/// Takes note of the entry that a packet which waited has made.
pub(super) fn note_release(coverage: &mut Coverage, arrival: &Arrival, entries: &[Entry]) {
    if let Some(header) = header::read(&arrival.bytes, &mut coverage.memory.pieces) {
        read(&mut coverage.memory, &header, arrival.zone, entries);
    }
}

/// What the packet leaves of its connection is in its entry. That a packet shows none does not say that there is none:
/// one that is not tracked leaves alone what is there.
fn read(memory: &mut Memory, header: &Header, zone: u16, entries: &[Entry]) {
    let Some(inverse) = header.tuple.invert() else { return };
    let is_own =
        |entry: &&Entry| entry.zone == zone && (entry.original == header.tuple || entry.original == inverse);
    if let Some(entry) = entries.iter().find(is_own) {
        for tuple in [header.tuple, inverse] {
            memory.states.remove(&(tuple, zone));
        }
        memory.states.insert((entry.original, zone), State::of(entry));
    }
}

/// What the packet leaves of its connection where nobody has read the entry.
fn expect(
    memory: &mut Memory,
    header: &Header,
    zone: u16,
    reason: &Reason,
    (after, is_lost): (Option<State>, bool),
) {
    let Some(inverse) = header.tuple.invert() else { return };
    let is_new = matches!(
        reason,
        Reason::TcpNewSyn { .. }
            | Reason::TcpPickUp { .. }
            | Reason::TcpReopened { .. }
            | Reason::SctpNew { .. }
    );
    if is_new {
        memory.states.remove(&(inverse, zone));
        memory.states.remove(&(header.tuple, zone));
        if !is_lost {
            memory.states.insert((header.tuple, zone), after);
        }
        return;
    }
    for tuple in [header.tuple, inverse] {
        if let Some(state) = memory.states.get_mut(&(tuple, zone)) {
            *state = after;
        }
    }
}

/// The state that a reason leaves: nothing where it stays as it was, `Some(None)` where the reason does not tell.
fn guess(reason: &Reason, next: Next<TcpState>, segment: Segment, before: TcpState) -> Option<Option<State>> {
    Some(match reason {
        Reason::TcpNewSyn { .. } | Reason::TcpReopened { .. } => Some(State::Tcp(TcpState::SynSent)),
        Reason::TcpPickUp { .. } => Some(State::Tcp(TcpState::Established)),
        Reason::TcpRst { .. } => Some(State::Tcp(TcpState::Close)),
        Reason::TcpResync { .. } => Some(State::Tcp(TcpState::SynRecv)),
        Reason::SctpNew { state } | Reason::SctpAccepted { state } => Some(State::Sctp(*state)),
        Reason::TcpInWindow { .. }
        | Reason::TcpLiberal { .. }
        | Reason::TcpSynAgain { .. }
        | Reason::TcpRetransmitting { .. } => match next {
            // A RST may keep the state, and the last ACK of a simultaneous open does not follow the table.
            Next::To(state) if segment != Segment::Rst && before != TcpState::SynRecv => {
                Some(State::Tcp(state))
            }
            _ => None,
        },
        Reason::TcpRstUnreplied { .. }
        // Some packets of SCTP are refused after their first chunks have moved the state.
        | Reason::SctpHeartbeat { .. }
        | Reason::SctpTag { .. }
        | Reason::SctpCollision { .. }
        | Reason::SctpInitTruncated { .. }
        | Reason::SctpStateInvalid { .. } => None,
        _ => return None,
    })
}

/// The cells that a segment has asked.
fn tcp(
    coverage: &mut Coverage,
    segment: Segment,
    direction: Direction,
    before: Option<State>,
    reason: &Reason,
) {
    let first = (Direction::Original, TcpState::None);
    let found = match before {
        Some(State::Tcp(state)) => Some((direction, state)),
        _ => None,
    };
    let cells = match reason {
        // Judged by its header alone.
        Reason::TcpTruncated { .. }
        | Reason::TcpDataOffset { .. }
        | Reason::TcpChecksum {}
        | Reason::TcpFlags { .. } => return,
        Reason::TcpNewSyn { .. }
        | Reason::TcpPickUp { .. }
        | Reason::TcpNotLoose { .. }
        | Reason::TcpNewInvalid { .. } => [Some(first), None],
        Reason::TcpReopened { .. } => [found, Some(first)],
        Reason::TcpStateInvalid { state, direction, .. } => [Some((*direction, *state)), None],
        Reason::TcpIgnored { state, .. } => [Some((direction, *state)), None],
        Reason::TcpRstStale { .. }
        | Reason::TcpSeqOver { .. }
        | Reason::TcpAckOver { .. }
        | Reason::TcpSeqUnder { .. }
        | Reason::TcpAckUnder { .. }
        | Reason::TcpOvershoot { .. }
        | Reason::TcpInWindow { .. }
        | Reason::TcpLiberal { .. }
        | Reason::TcpResync { .. }
        | Reason::TcpSynAgain { .. }
        | Reason::TcpChallengeAck { .. }
        | Reason::TcpRst { .. }
        | Reason::TcpRstInexact { .. }
        | Reason::TcpRstUnreplied { .. }
        | Reason::TcpRetransmitting { .. } => [found, None],
        _ => return,
    };
    for (direction, state) in cells.into_iter().flatten() {
        coverage.tcp_asked(direction, segment, state);
    }
}

/// The cells that the chunks of a packet have asked, one after the other.
fn sctp(
    coverage: &mut Coverage,
    chunks: &[u8],
    direction: Direction,
    before: Option<State>,
    reason: &Reason,
) {
    let rows = || chunks.iter().filter_map(|kind| Chunk::of(*kind));
    let known = match before {
        Some(State::Sctp(state)) => Some(state),
        _ => None,
    };
    match reason {
        Reason::SctpNew { .. } => {
            // A first packet is asked twice: each chunk for itself, then one after the other.
            for chunk in rows().skip(1) {
                coverage.sctp_asked(Direction::Original, chunk, SctpState::None);
            }
            walk(coverage, rows(), Direction::Original, SctpState::None);
        }
        Reason::SctpAccepted { .. } | Reason::SctpInitAgain {} => {
            if let Some(state) = known {
                walk(coverage, rows(), direction, state);
            }
        }
        // A heartbeat with a strange tag asks nothing, and it cannot be told which of several it was.
        Reason::SctpHeartbeat { .. } => {
            if let Some(state) = known {
                walk(coverage, rows().filter(|chunk| *chunk != Chunk::HEARTBEAT), direction, state);
            }
        }
        Reason::SctpStateInvalid { state, kind, direction } => {
            if let Some(chunk) = Chunk::of(*kind) {
                coverage.sctp_asked(*direction, chunk, *state);
            }
        }
        // What announces a tag comes alone, and the table is asked before the tag.
        Reason::SctpCollision { .. } | Reason::SctpInitTruncated { .. } => {
            if let (Some(state), Some(chunk)) = (known, rows().next()) {
                coverage.sctp_asked(direction, chunk, state);
            }
        }
        _ => {}
    }
}

fn walk(
    coverage: &mut Coverage,
    chunks: impl Iterator<Item = Chunk>,
    direction: Direction,
    mut state: SctpState,
) {
    for chunk in chunks {
        if let Next::To(next) = coverage.sctp_asked(direction, chunk, state) {
            state = next;
        }
    }
}

/// A target that takes note of what is asked of it and answered.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    target: T,
    /// What was reached so far.
    pub coverage: Coverage,
    /// The packets of this world that were to wait.
    waiting: Vec<Arrival>,
}

impl<T: Target> Watched<T> {
    /// Watches a target; `coverage` goes on from what it has.
    pub fn new(target: T, coverage: Coverage) -> Watched<T> {
        Watched { target, coverage, waiting: Vec::new() }
    }

    /// The target itself.
    pub fn target(&mut self) -> &mut T {
        &mut self.target
    }
}

impl<T: Target> Target for Watched<T> {
    fn identity(&self) -> Identity {
        self.target.identity()
    }

    fn begin(&mut self, config: &Config) -> Result<(), Refusal> {
        self.target.begin(config)?;
        self.coverage.begin(config);
        self.waiting.clear();
        Ok(())
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        self.target.set(setting)?;
        self.coverage.set(setting);
        Ok(())
    }

    fn packet(&mut self, arrival: &Arrival) -> Result<Observation, Refusal> {
        let seen = self.target.packet(arrival)?;
        self.coverage.packet(arrival, seen.why.as_ref(), Some(seen.entry.as_slice()));
        self.coverage.help(seen.help.as_ref());
        if arrival.fate == Fate::Waits {
            self.waiting.push(arrival.clone());
        }
        Ok(seen)
    }

    fn release(&mut self, release: &Release) -> Result<Observation, Refusal> {
        let seen = self.target.release(release)?;
        if let Some(arrival) = self.waiting.get(release.waiting) {
            self.coverage.release(arrival, seen.why.as_ref(), seen.entry.as_slice());
        }
        Ok(seen)
    }

    fn advance(&mut self, to: Time) -> Result<Vec<Happening>, Refusal> {
        self.target.advance(to)
    }

    fn table(&mut self) -> Result<Vec<Entry>, Refusal> {
        self.target.table()
    }

    fn expectations(&mut self) -> Result<Vec<Expected>, Refusal> {
        self.target.expectations()
    }

    fn batch(&mut self, batch: &Batch) -> Result<Vec<Vec<Sight>>, Refusal> {
        let sights = self.target.batch(batch)?;
        self.coverage.batch(batch, &sights);
        Ok(sights)
    }

    fn end(&mut self) {
        self.target.end();
    }
}
