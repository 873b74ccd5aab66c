//! What no packet can reach, and why: not a gap of a suite but of the protocol. A test holds that it is so.

use conntruth_engine::{Direction, Next, SctpState, Segment, TcpState};

use super::Chunk;

/// Cells that no packet can reach.
#[derive(Clone, Copy, Debug)]
pub struct Unreachable<K: 'static, S> {
    /// In one matrix, or in both.
    pub direction: Option<Direction>,
    /// In these rows, or in all where there are none.
    pub kinds: &'static [K],
    /// In one column, or in all.
    pub state: Option<S>,
    /// Why.
    pub why: &'static str,
}

const FIRST_IS_ORIGINAL: &str =
    "an entry leaves NONE with the packet that makes it, and that one travels in original direction";

/// Cells of TCP's table that no packet can reach.
pub const UNREACHABLE_TCP: &[Unreachable<Segment, TcpState>] = &[
    Unreachable {
        direction: None,
        kinds: &[Segment::None],
        state: None,
        why: "a segment without SYN, FIN, RST and ACK is INVALID by its flags (tcp-flags) before the table is asked",
    },
    Unreachable {
        direction: Some(Direction::Reply),
        kinds: &[],
        state: Some(TcpState::None),
        why: FIRST_IS_ORIGINAL,
    },
];

/// Cells of SCTP's table that no packet can reach.
pub const UNREACHABLE_SCTP: &[Unreachable<Chunk, SctpState>] = &[
    Unreachable {
        direction: Some(Direction::Original),
        kinds: &[Chunk::ABORT, Chunk::COOKIE_ACK, Chunk::SHUTDOWN_COMPLETE],
        state: Some(SctpState::None),
        why: "a packet out of the blue with this chunk is INVALID (sctp-new-invalid) before the table is asked",
    },
    Unreachable {
        direction: Some(Direction::Reply),
        kinds: &[],
        state: Some(SctpState::None),
        why: FIRST_IS_ORIGINAL,
    },
];

/// A cell that could say something else, and no packet would see it.
#[derive(Clone, Copy, Debug)]
pub struct Indistinct<K, S> {
    /// Which matrix.
    pub direction: Direction,
    /// Which row.
    pub kind: K,
    /// Which column.
    pub state: S,
    /// What it might as well say.
    pub other: Next<S>,
    /// Why.
    pub why: &'static str,
}

const OPENS_NOTHING: &str = "a first packet that the table does not move anywhere is INVALID, ignored or not";

/// Other things that cells of TCP's table might as well say.
pub const INDISTINCT_TCP: &[Indistinct<Segment, TcpState>] = &[
    Indistinct {
        direction: Direction::Original,
        kind: Segment::SynAck,
        state: TcpState::None,
        other: Next::Ignore,
        why: OPENS_NOTHING,
    },
    Indistinct {
        direction: Direction::Original,
        kind: Segment::Fin,
        state: TcpState::None,
        other: Next::Ignore,
        why: OPENS_NOTHING,
    },
    Indistinct {
        direction: Direction::Original,
        kind: Segment::Rst,
        state: TcpState::None,
        other: Next::Ignore,
        why: OPENS_NOTHING,
    },
    Indistinct {
        direction: Direction::Reply,
        kind: Segment::Ack,
        state: TcpState::SynSent2,
        other: Next::To(TcpState::SynSent),
        why: "a move to SYN_SENT from a state numbered as high as TIME_WAIT is ignored, unless the connection was closed, which \
              one in SYN_SENT2 cannot have been",
    },
];

/// Reasons that no packet can be given, and why.
pub const UNREACHABLE_REASONS: &[(&str, &str)] = &[
    ("nat-payload", "it takes a datagram of 65,535 bytes that grows by being translated"),
    (
        "expect-already",
        "it takes a helper with several classes, or one that knows what other connections expect: FTP, IRC and TFTP have neither",
    ),
    ("nat-no-address", "every interface of the tracker's host has an address of each family, and a route"),
];
