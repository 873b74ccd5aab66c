//! SCTP: chunk by chunk through the table, with the verification tags as proof of belonging.
//!
//! A packet carries a tag that its *receiver* chose and told in its INIT or INIT ACK; who does not know it cannot speak
//! for the association. Each chunk moves the state on its own, so a packet that is refused in the middle leaves behind
//! what its first chunks did. Sequence numbers, streams and addresses beyond the packet's own are not looked at.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c `nf_conntrack_sctp_packet`; RFC 9260 sections 8.4, 8.5.

use serde::{Deserialize, Serialize};

use super::{Decision, ProtoState, Rules, Segment};
use crate::conn::Conn;
use crate::event::Changes;
use crate::profile::Next;
use crate::reason::Reason;
use crate::snapshot::ProtoInfo;
use crate::states::SctpState;
use crate::status::Status;
use crate::sysctl::Knob;
use crate::tuple::Direction;
use crate::wire::checksum;

/// What is remembered of an association.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sctp {
    /// What packets of each direction must carry; 0 while it is not known.
    tags: [u32; 2],
    state: SctpState,
    /// Whether each direction has sent an INIT that is not settled: both have when they collide.
    inits: [bool; 2],
    /// The direction of the last heartbeat with a strange tag, while no right one has followed.
    strange: Option<Direction>,
}

impl Sctp {
    pub(super) fn info(&self) -> ProtoInfo {
        ProtoInfo::Sctp { state: self.state, tags: self.tags }
    }
}

const HEADER: usize = 12;
const CHUNK_HEADER: usize = 4;

/// Chunk types (RFC 9260 section 3.2).
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const INIT: u8 = 1;
    pub(super) const INIT_ACK: u8 = 2;
    pub(super) const HEARTBEAT: u8 = 4;
    pub(super) const HEARTBEAT_ACK: u8 = 5;
    pub(super) const ABORT: u8 = 6;
    pub(super) const SHUTDOWN: u8 = 7;
    pub(super) const SHUTDOWN_ACK: u8 = 8;
    pub(super) const ERROR: u8 = 9;
    pub(super) const COOKIE_ECHO: u8 = 10;
    pub(super) const COOKIE_ACK: u8 = 11;
    pub(super) const SHUTDOWN_COMPLETE: u8 = 14;
}

/// A chunk: its type and flags, and the packet from the chunk on, beyond the chunk's own length.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    kind: u8,
    flags: u8,
    length: u16,
    /// From the start of the SCTP header.
    at: usize,
    rest: &'a [u8],
}

impl Chunk<'_> {
    /// The tag that an INIT or INIT ACK announces. Its fixed part must lie in the packet; the chunk's length is not asked.
    fn announced_tag(&self) -> Result<u32, Reason> {
        const INIT_HEADER: usize = 20;
        let &[_, _, _, _, a, b, c, d, ..] = self
            .rest
            .first_chunk::<INIT_HEADER>()
            .ok_or(Reason::SctpInitTruncated { kind: self.kind, length: self.rest.len() as u32 })?;
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    /// The T bit says that the sender knows no association and returns the tag it was sent.
    fn is_tag_returned(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// The chunks of a packet, each as far as four bytes of it are there.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..)?;
        let &[kind, flags, high, low] = rest.first_chunk::<CHUNK_HEADER>()?;
        let length = u16::from_be_bytes([high, low]);
        let chunk = Chunk { kind, flags, length, at, rest };
        at += usize::from(length).next_multiple_of(4);
        Some(chunk)
    })
}

/// The kinds of chunk in a packet.
#[derive(Default)]
struct Kinds([u64; 4]);

impl Kinds {
    fn insert(&mut self, kind: u8) {
        self.0[usize::from(kind / 64)] |= 1 << (kind % 64);
    }

    fn has(&self, kind: u8) -> bool {
        self.0[usize::from(kind / 64)] >> (kind % 64) & 1 != 0
    }

    fn first_of(&self, kinds: &[u8]) -> Option<u8> {
        kinds.iter().copied().find(|&kind| self.has(kind))
    }
}

/// What all chunks of a packet share.
struct Arrival<'a> {
    direction: Direction,
    tag: u32,
    kinds: Kinds,
    is_new: bool,
    rules: &'a Rules,
}

/// Lets a packet have its effect on an association.
pub(super) fn track(
    conn: &mut Conn,
    direction: Direction,
    segment: &Segment<'_>,
    rules: &Rules,
    why: &mut Reason,
) -> Decision {
    match take(conn, direction, segment, rules) {
        Ok((decision, reason)) => decision.because(why, reason),
        Err(reason) => Decision::Invalid.because(why, reason),
    }
}

fn take(
    conn: &mut Conn,
    direction: Direction,
    segment: &Segment<'_>,
    rules: &Rules,
) -> Result<(Decision, Reason), Reason> {
    let (bytes, tag) = check_header(segment)?;
    let kinds = check_chunks(bytes)?;
    let is_new = !conn.is_confirmed();
    let ProtoState::Sctp(mut sctp) = conn.proto else {
        unreachable!("an SCTP connection keeps SCTP's state")
    };
    if is_new {
        sctp = start(bytes, tag, &kinds, rules)?;
    }
    check_tag(&sctp, direction, tag, &kinds)?;
    let arrival = Arrival { direction, tag, kinds, is_new, rules };
    let mut kept = None;
    let mut run = Ok(());
    for chunk in chunks(bytes) {
        let before = sctp.state;
        run = sctp.take(chunk, &arrival, &mut kept);
        if run.is_err() {
            break;
        }
        if sctp.state != before {
            conn.note(Changes::PROTOINFO);
            if sctp.state == SctpState::Established && rules.profile.switches.sctp_assured {
                conn.set_status(Status::ASSURED, Changes::ASSURED);
            }
        }
    }
    conn.proto = ProtoState::Sctp(sctp);
    run?;
    let state = sctp.state;
    let renewed = Decision::renew(conn, rules.profile.switches.sctp_renews, rules.timeout(timeout(state)));
    Ok(match kept {
        Some(reason) => (Decision::Keep, reason),
        None if is_new => (renewed, Reason::SctpNew { state }),
        None => (renewed, Reason::SctpAccepted { state }),
    })
}

/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c `sctp_error`.
fn check_header<'a>(segment: &Segment<'a>) -> Result<(&'a [u8], u32), Reason> {
    let bytes = segment.bytes;
    let &[_, _, _, _, a, b, c, d, w, x, y, z] =
        bytes.first_chunk::<HEADER>().ok_or(Reason::SctpTruncated { length: bytes.len() as u32 })?;
    if segment.verify
        && checksum::crc32c(&[&bytes[..8], &[0; 4], &bytes[HEADER..]]) != u32::from_le_bytes([w, x, y, z])
    {
        return Err(Reason::SctpChecksum {});
    }
    Ok((bytes, u32::from_be_bytes([a, b, c, d])))
}

/// A cookie comes first; INIT, INIT ACK and SHUTDOWN COMPLETE come alone; no chunk is of length zero; one there is.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c `do_basic_checks`.
fn check_chunks(bytes: &[u8]) -> Result<Kinds, Reason> {
    let mut kinds = Kinds::default();
    let mut is_lone = false;
    for chunk in chunks(bytes) {
        let Chunk { kind, at, .. } = chunk;
        is_lone |= matches!(kind, kind::INIT | kind::INIT_ACK | kind::SHUTDOWN_COMPLETE);
        let is_first_only = is_lone || matches!(kind, kind::COOKIE_ACK | kind::COOKIE_ECHO);
        if (is_first_only && at != HEADER) || chunk.length == 0 {
            return Err(Reason::SctpChunks { kind, offset: at as u32 });
        }
        kinds.insert(kind);
    }
    if kinds.0 == [0; 4] { Err(Reason::SctpNoChunk {}) } else { Ok(kinds) }
}

/// A packet out of the blue: each of its chunks, on its own, must be one that can open an association.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c `sctp_new`; RFC 9260 section 8.4.
fn start(bytes: &[u8], tag: u32, kinds: &Kinds, rules: &Rules) -> Result<Sctp, Reason> {
    if let Some(kind) = kinds.first_of(&[kind::ABORT, kind::SHUTDOWN_COMPLETE, kind::COOKIE_ACK]) {
        return Err(Reason::SctpNewInvalid { kind });
    }
    let mut sctp = Sctp::default();
    for chunk in chunks(bytes) {
        let kind = chunk.kind;
        match next(SctpState::None, kind, Direction::Original, rules) {
            Next::To(state) if state != SctpState::None => {}
            _ => return Err(Reason::SctpNewInvalid { kind }),
        }
        match kind {
            kind::INIT if tag != 0 => return Err(Reason::SctpTag { tag, expected: 0 }),
            kind::INIT => sctp.tags[Direction::Reply as usize] = chunk.announced_tag()?,
            kind::HEARTBEAT => sctp.tags[Direction::Original as usize] = tag,
            kind::SHUTDOWN_ACK => sctp.tags[Direction::Reply as usize] = tag,
            _ => {}
        }
    }
    Ok(sctp)
}

/// Packets without a chunk that has a rule of its own must carry their direction's tag (RFC 9260 section 8.5).
fn check_tag(sctp: &Sctp, direction: Direction, tag: u32, kinds: &Kinds) -> Result<(), Reason> {
    const EXEMPT: [u8; 7] = [
        kind::INIT,
        kind::SHUTDOWN_COMPLETE,
        kind::COOKIE_ECHO,
        kind::ABORT,
        kind::SHUTDOWN_ACK,
        kind::HEARTBEAT,
        kind::HEARTBEAT_ACK,
    ];
    match kinds.first_of(&EXEMPT) {
        Some(_) => Ok(()),
        None => must_equal(tag, sctp.tags[direction as usize]),
    }
}

fn must_equal(tag: u32, expected: u32) -> Result<(), Reason> {
    if tag == expected { Ok(()) } else { Err(Reason::SctpTag { tag, expected }) }
}

impl Sctp {
    /// One chunk: its tag's rule, the table, and what an INIT or its answer announces. `kept` says why the packet will
    /// not renew the timeout, if so.
    fn take(
        &mut self,
        chunk: Chunk<'_>,
        arrival: &Arrival<'_>,
        kept: &mut Option<Reason>,
    ) -> Result<(), Reason> {
        let &Arrival { direction, tag, is_new, rules, .. } = arrival;
        let (own, peer) = (direction as usize, !direction as usize);
        match chunk.kind {
            kind::INIT => must_equal(tag, 0)?,
            kind::ABORT | kind::SHUTDOWN_COMPLETE => {
                must_equal(tag, self.tags[if chunk.is_tag_returned() { peer } else { own }])?;
            }
            kind::COOKIE_ECHO => must_equal(tag, self.tags[own])?,
            kind::COOKIE_ACK => self.inits = [false; 2],
            kind::HEARTBEAT => {
                if let Some(reason) = self.heartbeat(arrival, kept.is_some())? {
                    if rules.profile.switches.sctp_strange_keeps {
                        *kept = Some(reason);
                    }
                    return Ok(());
                }
            }
            kind::HEARTBEAT_ACK => self.heartbeat_ack(arrival)?,
            _ => {}
        }
        let old = self.state;
        let Next::To(new) = next(old, chunk.kind, direction, rules) else {
            return Err(Reason::SctpStateInvalid { state: old, kind: chunk.kind, direction });
        };
        match chunk.kind {
            kind::INIT => {
                self.tags[peer] = self.init(direction, chunk.announced_tag()?);
                let again = !is_new && old == SctpState::Closed && new == SctpState::Closed;
                if again && rules.profile.switches.sctp_init_again_keeps {
                    *kept = Some(Reason::SctpInitAgain {});
                }
            }
            kind::INIT_ACK => self.tags[peer] = self.init_ack(direction, chunk.announced_tag()?)?,
            _ => {}
        }
        self.state = new;
        Ok(())
    }

    /// A heartbeat teaches the tag of a direction that has none. One with a strange tag is let pass, in case the peer
    /// has a new address; `Some` says so.
    fn heartbeat(&mut self, arrival: &Arrival<'_>, is_second: bool) -> Result<Option<Reason>, Reason> {
        let &Arrival { direction, tag, ref kinds, .. } = arrival;
        let expected = &mut self.tags[direction as usize];
        if *expected == 0 {
            *expected = tag;
        } else if tag == *expected {
            self.strange = None;
        } else if is_second || kinds.has(kind::DATA) {
            return Err(Reason::SctpTag { tag, expected: *expected });
        } else {
            self.strange = Some(direction);
            return Ok(Some(Reason::SctpHeartbeat { tag }));
        }
        Ok(None)
    }

    /// The answer to a heartbeat with a strange tag makes its own tag the right one, unless it carries data, too; the
    /// other tag has to be learnt anew.
    fn heartbeat_ack(&mut self, arrival: &Arrival<'_>) -> Result<(), Reason> {
        let &Arrival { direction, tag, ref kinds, .. } = arrival;
        let expected = self.tags[direction as usize];
        if expected == 0 {
            self.tags[direction as usize] = tag;
        } else if tag == expected {
            self.strange = None;
        } else if self.strange == Some(!direction) && !kinds.has(kind::DATA) {
            self.strange = None;
            self.tags[direction as usize] = tag;
            self.tags[!direction as usize] = 0;
        } else {
            return Err(Reason::SctpTag { tag, expected });
        }
        Ok(())
    }

    /// Notes who has sent an INIT, so that the answers to colliding ones can be told apart.
    fn init(&mut self, direction: Direction, announced: u32) -> u32 {
        let (own, peer) = (direction as usize, !direction as usize);
        if self.state == SctpState::None || announced != self.tags[peer] {
            if self.inits == [true; 2] {
                self.inits[peer] = false;
            }
            self.inits[own] = true;
        }
        announced
    }

    /// An INIT ACK that answers an INIT that was given up must not change the tags.
    fn init_ack(&self, direction: Direction, announced: u32) -> Result<u32, Reason> {
        let peer = !direction as usize;
        let known = self.tags[peer];
        let is_unasked = !self.inits[peer] && known != 0;
        let is_collision = self.inits == [true; 2];
        if (is_unasked || is_collision) && announced != known {
            return Err(Reason::SctpCollision { tag: announced, known });
        }
        Ok(announced)
    }
}

/// What the table says; chunks without a row keep the state.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c `sctp_new_state`.
fn next(state: SctpState, kind: u8, direction: Direction, rules: &Rules) -> Next<SctpState> {
    let row = match kind {
        kind::INIT => 0,
        kind::INIT_ACK => 1,
        kind::ABORT => 2,
        kind::SHUTDOWN => 3,
        kind::SHUTDOWN_ACK => 4,
        kind::ERROR => 5,
        kind::COOKIE_ECHO => 6,
        kind::COOKIE_ACK => 7,
        kind::SHUTDOWN_COMPLETE => 8,
        kind::HEARTBEAT => 9,
        kind::HEARTBEAT_ACK => 10,
        _ => return Next::To(state),
    };
    rules.profile.sctp_table[direction as usize][row][state as usize]
}

/// Each state has its timeout.
///
/// Source: linux 6.18 net/netfilter/nf_conntrack_proto_sctp.c `sctp_timeouts`.
fn timeout(state: SctpState) -> Knob {
    match state {
        SctpState::None | SctpState::Closed => Knob::SctpClosed,
        SctpState::CookieWait => Knob::SctpCookieWait,
        SctpState::CookieEchoed => Knob::SctpCookieEchoed,
        SctpState::Established => Knob::SctpEstablished,
        SctpState::ShutdownSent => Knob::SctpShutdownSent,
        SctpState::ShutdownRecd => Knob::SctpShutdownRecd,
        SctpState::ShutdownAckSent => Knob::SctpShutdownAckSent,
        SctpState::HeartbeatSent => Knob::SctpHeartbeatSent,
    }
}

#[cfg(test)]
mod tests;
