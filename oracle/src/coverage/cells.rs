//! The cells of the two tables: which there are, what each says, how often it was asked.

use conntruth_engine::{Direction, Next, Profile, SctpState, Segment, TcpState};

use super::unreachable::{UNREACHABLE_SCTP, UNREACHABLE_TCP, Unreachable};
use crate::language::words::CHUNKS;

/// A cell of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<K, S> {
    /// Which matrix.
    pub direction: Direction,
    /// Its row: the kind of segment or chunk.
    pub kind: K,
    /// Its column.
    pub state: S,
    /// What it says.
    pub next: Next<S>,
    /// How often packets asked it.
    pub reached: u64,
    /// Why none ever does, for those that no packet can reach.
    pub unreachable: Option<&'static str>,
}

/// A kind of chunk that has a row in SCTP's table, in the table's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chunk(u8);

impl Chunk {
    /// All of them, in the table's order.
    pub const ALL: [Chunk; 11] = [
        Chunk::INIT,
        Chunk::INIT_ACK,
        Chunk::ABORT,
        Chunk(7),
        Chunk(8),
        Chunk(9),
        Chunk(10),
        Chunk::COOKIE_ACK,
        Chunk::SHUTDOWN_COMPLETE,
        Chunk::HEARTBEAT,
        Chunk(5),
    ];
    pub(super) const INIT: Chunk = Chunk(1);
    pub(super) const INIT_ACK: Chunk = Chunk(2);
    pub(super) const HEARTBEAT: Chunk = Chunk(4);
    pub(super) const ABORT: Chunk = Chunk(6);
    pub(super) const COOKIE_ACK: Chunk = Chunk(11);
    pub(super) const SHUTDOWN_COMPLETE: Chunk = Chunk(14);

    /// The chunk of this type (RFC 9260 section 3.2), if it has a row.
    pub fn of(number: u8) -> Option<Chunk> {
        Chunk::ALL.into_iter().find(|chunk| chunk.0 == number)
    }

    /// Its row.
    pub fn row(self) -> usize {
        Chunk::ALL.iter().position(|chunk| *chunk == self).unwrap_or_default()
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        CHUNKS.iter().find(|row| row.1 == self.0).map_or("", |row| row.0)
    }
}

const DIRECTIONS: [Direction; 2] = [Direction::Original, Direction::Reply];

pub(super) fn tcp<'c>(
    profile: &'static Profile,
    counts: &'c [[[u64; 10]; 6]; 2],
) -> impl Iterator<Item = Cell<Segment, TcpState>> + 'c {
    every(Segment::ALL, TcpState::ALL).map(move |(direction, kind, state)| Cell {
        direction,
        kind,
        state,
        next: profile.tcp_next(direction, kind, state),
        reached: counts[direction as usize][kind as usize][state as usize],
        unreachable: why(UNREACHABLE_TCP, direction, kind, state),
    })
}

pub(super) fn sctp<'c>(
    profile: &'static Profile,
    counts: &'c [[[u64; 9]; 11]; 2],
) -> impl Iterator<Item = Cell<Chunk, SctpState>> + 'c {
    every(Chunk::ALL, SctpState::ALL).map(move |(direction, kind, state)| Cell {
        direction,
        kind,
        state,
        next: profile.sctp_table[direction as usize][kind.row()][state as usize],
        reached: counts[direction as usize][kind.row()][state as usize],
        unreachable: why(UNREACHABLE_SCTP, direction, kind, state),
    })
}

fn every<K: Copy, S: Copy, const KINDS: usize, const STATES: usize>(
    kinds: [K; KINDS],
    states: [S; STATES],
) -> impl Iterator<Item = (Direction, K, S)> {
    DIRECTIONS.into_iter().flat_map(move |direction| {
        kinds.into_iter().flat_map(move |kind| states.into_iter().map(move |state| (direction, kind, state)))
    })
}

fn why<K: PartialEq + 'static, S: PartialEq + 'static>(
    rows: &[Unreachable<K, S>],
    direction: Direction,
    kind: K,
    state: S,
) -> Option<&'static str> {
    let holds = |row: &&Unreachable<K, S>| {
        row.direction.is_none_or(|one| one == direction)
            && (row.kinds.is_empty() || row.kinds.contains(&kind))
            && row.state.as_ref().is_none_or(|one| *one == state)
    };
    rows.iter().find(holds).map(|row| row.why)
}
