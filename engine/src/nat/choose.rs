//! Choosing a mapping: the source and destination that a connection's packets get, such that no other connection has
//! the answers' tuple already.
//!
//! The order is the kernel's: the ends as they are, where the range allows them and they are free; for a source, what
//! an earlier connection of the same source was given; else an address of the range by a hash that spreads sources
//! evenly, and a port by search from a random one on.
//!
//! Source: linux 6.18 net/netfilter/nf_nat_core.c `get_unique_tuple`, `find_appropriate_src`, `find_best_ips_proto`,
//! `nf_nat_l4proto_unique_tuple`, `nf_nat_used_tuple_harder`.

use serde::{Deserialize, Serialize};

use super::{Manip, Range};
use crate::conn::Conn;
use crate::proto;
use crate::snapshot::ProtoInfo;
use crate::states::TcpState;
use crate::status::Status;
use crate::table::ConnTable;
use crate::time::Ticks;
use crate::tuple::{Addr, Direction, Family, Tuple, protocol};

/// A search looks at so many ports before it starts elsewhere.
const MOST_ATTEMPTS: u32 = 128;
/// In so many of the last it takes the port of a TCP connection that is over.
const HARDER: u32 = MOST_ATTEMPTS / 4;
/// A search that has so few left to look at is given up.
const FEW_ATTEMPTS: u32 = 16;

/// Where random choices come from: a stream of numbers by seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Draws {
    state: u64,
    /// What choices are to lead to, if they may.
    wanted: Wanted,
}

/// What somebody else's choices have led to. They are followed where they are ones that may be made; what may not be
/// made is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The tuple of answers of the connection that the next packet makes.
    pub reply: Option<Tuple>,
    /// Its status bits: of a key that is drawn twice they say all that can be known of the first time.
    pub status: Status,
    /// The port at which a helper comes to expect a connection.
    pub announced: Option<u16>,
}

impl Draws {
    pub fn new(seed: u64) -> Draws {
        Draws { state: seed ^ 0x6a09_e667_f3bc_c908, wanted: Wanted::default() }
    }

    /// The next choices are to lead to this, as far as they may.
    pub fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// A port for an announcement: any of so many from the first on, or the one that is wanted.
    pub fn announce(&mut self, first: u16, size: u32) -> u16 {
        let drawn = first.wrapping_add(self.below(size.max(1)) as u16);
        let is_one = |port: &u16| (first..).contains(port) && u32::from(port - first) < size;
        self.wanted.announced.filter(is_one).unwrap_or(drawn)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn next_port(&mut self) -> u16 {
        (self.next() >> 48) as u16
    }

    /// Below a bound.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u32
    }
}

/// A mapping, and the connection that has to go for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub tuple: Tuple,
    pub evicts: Option<u32>,
}

/// The tuple that packets of a new connection get in their own direction, which they now leave with `present`. Where
/// nothing is free it is one that is taken, and the packet ends at confirmation.
pub(crate) fn choose(
    table: &ConnTable,
    slot: u32,
    present: Tuple,
    range: &Range,
    manip: Manip,
    draws: &mut Draws,
) -> Chosen {
    let search = Search { table, slot, conn: table.conn(slot) };
    let kept = |tuple| Chosen { tuple, evicts: None };
    if manip == Manip::Source && !range.random {
        if is_in_range(&present, range) {
            if !search.is_taken_anew(&present) {
                return kept(present);
            }
        } else if let Some(tuple) = search.as_before(&present, range)
            && !search.is_taken(&tuple)
        {
            return kept(tuple);
        }
    }
    let mut tuple = present;
    choose_address(&mut tuple, range, manip, search.conn.zone);
    let is_settled = match range.ports {
        Some(ports) => is_port_in(&tuple, manip, ports) && (ports.0 == ports.1 || !search.is_taken(&tuple)),
        None => !search.is_taken(&tuple),
    };
    if is_settled && !range.random {
        return kept(tuple);
    }
    search.ports(tuple, range, manip, draws)
}

/// Whether a port of the tuple lies within these; protocols without ports are always within.
fn is_port_in(tuple: &Tuple, manip: Manip, (first, last): (u16, u16)) -> bool {
    let port = match (tuple.protocol, manip) {
        (protocol::ICMP | protocol::ICMPV6, _) => tuple.src_id,
        (_, Manip::Source) => tuple.src_id,
        (_, Manip::Destination) => tuple.dst_id,
    };
    let has_keys = tuple.has_ports() || tuple.is_icmp() || tuple.protocol == protocol::GRE;
    !has_keys || (first..=last).contains(&port)
}

fn is_in_range(tuple: &Tuple, range: &Range) -> bool {
    range.addresses.is_none_or(|(first, last)| (first..=last).contains(&tuple.src))
        && range.ports.is_none_or(|ports| is_port_in(tuple, Manip::Source, ports))
}

/// An address of the range, by a hash of the source, and of the destination unless it is to stay the same.
fn choose_address(tuple: &mut Tuple, range: &Range, manip: Manip, zone: u16) {
    let Some((first, last)) = range.addresses else { return };
    let family = tuple.family;
    let place = match manip {
        Manip::Source => &mut tuple.src,
        Manip::Destination => &mut tuple.dst,
    };
    if first == last {
        *place = first;
        return;
    }
    let words = if family == Family::Ipv4 { 1 } else { 4 };
    let (first, last) = (words_of(first, family), words_of(last, family));
    let mut changed = [0; 4];
    let mut dst = words_of(tuple.dst, family);
    let start = if range.persistent { 0 } else { swapped(dst[words - 1]) ^ u32::from(zone) };
    let mut hash = jenkins(words_of(tuple.src, family).map(swapped), start);
    let mut full = false;
    for index in 0..words {
        let (least, distance) = match full {
            false => (first[index], last[index].wrapping_sub(first[index]).wrapping_add(1)),
            true => (0, u32::MAX),
        };
        let scaled = (u64::from(hash) * u64::from(distance)) >> 32;
        changed[index] = least.wrapping_add(scaled as u32);
        full |= changed[index] != last[index];
        if manip == Manip::Destination {
            dst[index] = changed[index];
        }
        if !range.persistent {
            hash ^= swapped(dst[index]);
        }
    }
    let address = address_of(changed, family);
    match manip {
        Manip::Source => tuple.src = address,
        Manip::Destination => tuple.dst = address,
    }
}

/// An address as the kernel's four words, each as a number; of IPv4 only the first is used.
fn words_of(addr: Addr, family: Family) -> [u32; 4] {
    match family {
        Family::Ipv4 => [addr.lo as u32, 0, 0, 0],
        Family::Ipv6 => [(addr.hi >> 32) as u32, addr.hi as u32, (addr.lo >> 32) as u32, addr.lo as u32],
    }
}

fn address_of(words: [u32; 4], family: Family) -> Addr {
    let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    match family {
        Family::Ipv4 => Addr { hi: 0, lo: u64::from(words[0]) },
        Family::Ipv6 => Addr { hi: pair(words[0], words[1]), lo: pair(words[2], words[3]) },
    }
}

/// The kernel hashes addresses as they lie in memory, and the machine is little-endian.
fn swapped(word: u32) -> u32 {
    word.swap_bytes()
}

/// The hash of four words. Source: Bob Jenkins, "lookup3" (public domain), as in linux 6.18 include/linux/jhash.h
/// `jhash2`.
fn jenkins(words: [u32; 4], start: u32) -> u32 {
    const BEGIN: u32 = 0xdead_beef;
    let first = BEGIN.wrapping_add(4 << 2).wrapping_add(start);
    let (mut a, mut b, mut c) =
        (first.wrapping_add(words[0]), first.wrapping_add(words[1]), first.wrapping_add(words[2]));
    for (left, right) in [(4, 6), (8, 16), (19, 4)] {
        // Two of the six steps, after which the three have changed their places.
        a = a.wrapping_sub(c) ^ c.rotate_left(left);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(right);
        a = a.wrapping_add(c);
        (a, b, c) = (c, a, b);
    }
    a = a.wrapping_add(words[3]);
    for (left, middle, right) in [(14, 11, 25), (16, 4, 14)] {
        c = (c ^ b).wrapping_sub(b.rotate_left(left));
        a = (a ^ c).wrapping_sub(c.rotate_left(middle));
        b = (b ^ a).wrapping_sub(a.rotate_left(right));
    }
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// The search for a mapping of one connection.
struct Search<'t> {
    table: &'t ConnTable,
    slot: u32,
    conn: &'t Conn,
}

impl Search<'_> {
    /// The confirmed connection that has a tuple.
    fn holder(&self, tuple: &Tuple) -> Option<(u32, Direction)> {
        let zone = self.conn.zone;
        let found = self.table.find(self.table.hash(tuple, zone), tuple, zone)?;
        (found.slot != self.slot).then_some((found.slot, found.direction))
    }

    /// Whether answers to this tuple belong to another connection. One with the same original tuple is the same flow,
    /// and confirmation sees to that.
    fn is_taken(&self, tuple: &Tuple) -> bool {
        let Some(reply) = tuple.invert() else { return false };
        self.holder(&reply).is_some_and(|(slot, _)| self.table.conn(slot).tuples[0] != self.conn.tuples[0])
    }

    /// As [`Search::is_taken`], for the tuple that a connection has already: where the protocol allows for races, one
    /// that is untranslated and its exact reverse does not count.
    fn is_taken_anew(&self, tuple: &Tuple) -> bool {
        if !self.is_taken(tuple) {
            return false;
        }
        if !proto::may_clash(tuple.protocol) {
            return true;
        }
        let reply = tuple.invert();
        let holder = self.holder(tuple).or_else(|| reply.and_then(|reply| self.holder(&reply)));
        let Some((slot, _)) = holder else { return false };
        let other = self.table.conn(slot);
        let [original, reply] = self.conn.tuples;
        let is_translated = other.status.0 & (Status::SRC_NAT.0 | Status::DST_NAT.0) != 0;
        is_translated || other.tuples != [reply, original]
    }

    /// What an earlier connection of the same source was given, where that lies in the range.
    fn as_before(&self, present: &Tuple, range: &Range) -> Option<Tuple> {
        self.table.of_source(present, self.conn.zone).find_map(|slot| {
            let given = self.table.conn(slot).tuples[1].invert()?;
            let tuple = Tuple { src: given.src, src_id: given.src_id, ..*present };
            is_in_range(&tuple, range).then_some(tuple)
        })
    }

    /// Looks for a port.
    fn ports(&self, mut tuple: Tuple, range: &Range, manip: Manip, draws: &mut Draws) -> Chosen {
        let kept = Chosen { tuple, evicts: None };
        let is_icmp = tuple.is_icmp();
        let present = if is_icmp || manip == Manip::Source { tuple.src_id } else { tuple.dst_id };
        let (first, size) = match (tuple.protocol, range.ports) {
            (protocol::ICMP | protocol::ICMPV6, None) => (0, 65_536),
            (protocol::ICMP | protocol::ICMPV6, Some((first, last))) => {
                (first, (u32::from(last) + 1).saturating_sub(u32::from(first)))
            }
            // Without a control connection it is no PPTP, and has no key of its own.
            (protocol::GRE, _) if self.master().is_none() => return kept,
            (protocol::GRE, None) => (1, 65_535),
            (protocol::GRE, Some((first, last))) => (first, u32::from(last) + 1 - u32::from(first)),
            _ if !tuple.has_ports() => return kept,
            (_, Some((first, last))) => (first.min(last), u32::from(first.abs_diff(last)) + 1),
            (_, None) if manip == Manip::Destination => return kept,
            (_, None) => match present {
                // Ports below 512 vouch for who uses them.
                ..512 => (1, 511),
                512..1024 => (600, 424),
                1024.. => (1024, 64_512),
            },
        };
        if size == 0 {
            return kept;
        }
        let mut round = Round { first, size, attempts: size.min(MOST_ATTEMPTS) };
        let is_drawn = range.random || manip == Manip::Source;
        let mut offset = if is_drawn { self.draw(tuple, manip, &round, draws) } else { 0 };
        loop {
            if let Some(chosen) = self.look(&mut tuple, manip, &round, offset) {
                return chosen;
            }
            if round.attempts >= size || round.attempts < FEW_ATTEMPTS {
                return Chosen { tuple, evicts: None };
            }
            round.attempts /= 2;
            offset = self.draw(tuple, manip, &round, draws);
        }
    }

    fn master(&self) -> Option<crate::outcome::ConnId> {
        self.conn.master().map(|master| master.id)
    }

    /// Where a search starts: anywhere, or where it finds what is wanted.
    fn draw(&self, tuple: Tuple, manip: Manip, round: &Round, draws: &mut Draws) -> u16 {
        let offset = draws.next_port();
        let Some(wanted) = draws.wanted.reply.filter(|wanted| wanted.protocol == tuple.protocol) else {
            return offset;
        };
        let found_at = |offset: u16| {
            let mut tuple = tuple;
            self.look(&mut tuple, manip, round, offset).map(|_| key(&tuple, manip))
        };
        let start_of = |port: u16| {
            let distance = (u32::from(port) + round.size - u32::from(round.first) % round.size) % round.size;
            // The port itself, or so many before it: the later it is looked at, the more may be done for it.
            let mut starts =
                (0..round.attempts).map(|before| ((distance + round.size - before) % round.size) as u16);
            starts.find(|start| found_at(*start) == Some(port))
        };
        if tuple.is_icmp() && manip == Manip::Destination {
            let fits = |key: u16| self.may_be_first(key, &tuple, &wanted, draws.wanted.status);
            let likely =
                [wanted.src_id, tuple.src_id].into_iter().filter(|key| fits(*key)).find_map(start_of);
            let any = || {
                (0..4).map(|more| offset.wrapping_add(more)).find(|start| found_at(*start).is_some_and(fits))
            };
            return likely.or_else(any).unwrap_or(offset);
        }
        let port = match manip {
            _ if tuple.is_icmp() => wanted.src_id,
            Manip::Source => wanted.dst_id,
            Manip::Destination => wanted.src_id,
        };
        start_of(port).unwrap_or(offset)
    }

    /// An echo has one identifier for both ends, so it may be drawn twice, and what is seen in the end is the second. Whether
    /// the first can have been this one, by the status bits: each end counts as translated when something of it has changed.
    fn may_be_first(&self, key: u16, tuple: &Tuple, wanted: &Tuple, status: Status) -> bool {
        let before = self.conn.tuples[1];
        let first = before.src != tuple.dst || before.src_id != key;
        let second = before.dst != wanted.dst || wanted.src_id != key;
        first == status.has(Status::DST_NAT) && second == status.has(Status::SRC_NAT)
    }

    /// Looks at one port after the other.
    fn look(&self, tuple: &mut Tuple, manip: Manip, round: &Round, mut offset: u16) -> Option<Chosen> {
        for attempt in 0..round.attempts {
            let port = u32::from(round.first) + u32::from(offset) % round.size;
            set_key(tuple, manip, port as u16);
            if let Some(evicts) = self.is_free(tuple, round.attempts - attempt) {
                return Some(Chosen { tuple: *tuple, evicts });
            }
            offset = offset.wrapping_add(1);
        }
        None
    }

    /// Whether a tuple can be had, and what has to go for it.
    fn is_free(&self, tuple: &Tuple, attempts_left: u32) -> Option<Option<u32>> {
        let is_opening = tuple.protocol == protocol::TCP && state_of(self.conn) == Some(TcpState::SynSent);
        if attempts_left > HARDER || !is_opening {
            return (!self.is_taken(tuple)).then_some(None);
        }
        let reply = tuple.invert()?;
        let Some((slot, direction)) = self.holder(&reply) else { return Some(None) };
        let other = self.table.conn(slot);
        let may_go = direction == Direction::Reply && is_over(other) && has_advanced(other, self.conn);
        may_go.then_some(Some(slot))
    }
}

/// Where a search looks.
struct Round {
    first: u16,
    size: u32,
    attempts: u32,
}

fn key(tuple: &Tuple, manip: Manip) -> u16 {
    if tuple.is_icmp() || manip == Manip::Source { tuple.src_id } else { tuple.dst_id }
}

fn set_key(tuple: &mut Tuple, manip: Manip, key: u16) {
    if tuple.is_icmp() || manip == Manip::Source {
        tuple.src_id = key;
    } else {
        tuple.dst_id = key;
    }
}

fn state_of(conn: &Conn) -> Option<TcpState> {
    // What a tracker keeps is shown without the help of a clock, but for GRE.
    match conn.proto.info(Ticks::new(1)) {
        ProtoInfo::Tcp { state, .. } => Some(state),
        _ => None,
    }
}

/// Whether a connection's port may be given to another: it is over, and its source was translated. So may one be that
/// both ends open at once, which the kernel numbers behind the closed ones.
fn is_over(conn: &Conn) -> bool {
    let state = state_of(conn);
    matches!(state, Some(TcpState::TimeWait | TcpState::Close | TcpState::SynSent2))
        && conn.status.has(Status::SRC_NAT)
        && !conn.status.has(Status::FIXED_TIMEOUT)
        && !conn.status.has(Status::DYING)
}

/// Whether a new connection's numbers lie beyond those of the old: then what is left of the old is INVALID in it.
fn has_advanced(old: &Conn, new: &Conn) -> bool {
    let end = |conn: &Conn| match conn.proto.info(Ticks::new(1)) {
        ProtoInfo::Tcp { sides, .. } => sides[0].td_end,
        _ => 0,
    };
    end(new).wrapping_sub(end(old)) as i32 > 0
}
