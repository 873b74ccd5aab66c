//! The connection table: a slab of connections, an index from tuples to them, and a wheel of their deadlines.
//!
//! It keeps and finds; what a packet does to a connection is the trackers' business. A connection is in the slab from
//! its first packet on, and in index and wheel once confirmed.

mod index;
mod saved;
mod wheel;

use crate::conn::Conn;
use crate::outcome::ConnId;
use crate::status::Status;
use crate::time::Jiffies;
use crate::tuple::{Addr, Direction, Tuple};
use index::Index;
pub(crate) use saved::SavedTable;
pub(crate) use wheel::Link;
use wheel::{Links, Wheel};

/// Connections in one piece of the slab: growing never moves one.
const CHUNK: usize = 1024;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnTable {
    slab: Slab,
    /// Both tuples of a connection; one row where they are each other's inverse.
    index: Index,
    /// Sources of connections for which a source translation was decided, the latest first.
    sources: Index,
    wheel: Wheel,
    confirmed: usize,
    seed: u64,
}

#[derive(Clone, Debug, Default)]
struct Slab {
    chunks: Vec<Vec<Conn>>,
    free: Vec<u32>,
    len: usize,
    last_number: u64,
}

/// Where a tuple was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub slot: u32,
    pub direction: Direction,
}

impl ConnTable {
    pub fn new(seed: u64) -> ConnTable {
        ConnTable { seed, ..ConnTable::default() }
    }

    /// Connections, confirmed or not.
    pub fn len(&self) -> usize {
        self.slab.len
    }

    /// Bytes held for connections, index and timers.
    pub fn bytes(&self) -> usize {
        self.slab.chunks.iter().map(|chunk| chunk.capacity() * size_of::<Conn>()).sum::<usize>()
            + self.slab.free.capacity() * size_of::<u32>()
            + self.index.bytes()
            + self.sources.bytes()
            + self.wheel.bytes()
    }

    /// Confirmed connections.
    pub fn confirmed(&self) -> usize {
        self.confirmed
    }

    /// The hash of a tuple, and of its inverse: so one row of the index finds a connection from both sides.
    #[inline]
    pub fn hash(&self, tuple: &Tuple, zone: u16) -> u32 {
        // ICMP's keys are no end's own: its identifier is shared, and a type's answer is another type.
        let (src_id, dst_id, shared_id) =
            if tuple.is_icmp() { (0, 0, tuple.src_id) } else { (tuple.src_id, tuple.dst_id, 0) };
        let end = |addr: Addr, id: u16| {
            fold(addr.lo ^ self.seed ^ 0x9e37_79b9_7f4a_7c15, addr.hi ^ u64::from(id) ^ 0xe703_7ed1_a0b4_28db)
        };
        let ends = end(tuple.src, src_id).wrapping_add(end(tuple.dst, dst_id));
        let keys = u64::from(zone) << 32
            | u64::from(shared_id) << 16
            | u64::from(tuple.protocol) << 8
            | u64::from(tuple.family as u8);
        let word = fold(ends, keys ^ 0x8ebc_6af0_9c88_c6e3);
        // The largest hash marks free rows.
        ((word >> 32) as u32 ^ word as u32).min(u32::MAX - 1)
    }

    /// The confirmed connection that has this tuple in one of its directions. Where both are the same it is the reply, as
    /// in the kernel, which enters that last and finds the last first.
    #[inline(always)]
    pub fn find(&self, hash: u32, tuple: &Tuple, zone: u16) -> Option<Found> {
        for slot in self.index.find(hash) {
            let conn = self.slab.get(slot);
            for direction in [Direction::Reply, Direction::Original] {
                let is_hidden = || direction == Direction::Original && conn.status.has(Status::NAT_CLASH);
                if conn.tuples[direction as usize] == *tuple && conn.zone == zone && !is_hidden() {
                    return Some(Found { slot, direction });
                }
            }
        }
        None
    }

    /// Reads what `find` would read first, ahead of its use.
    pub fn touch_index(&self, hash: u32) -> u64 {
        self.index.touch(hash)
    }

    /// The connection that a tuple of this hash most likely belongs to; any other when there is none.
    pub fn guess(&self, hash: u32) -> u32 {
        self.index.find(hash).next().unwrap_or_default()
    }

    /// Reads the three lines of a connection ahead of its use.
    pub fn touch_conn(&self, slot: u32) -> u64 {
        self.slab.try_get(slot).map_or(0, |conn| conn.expires.0 ^ conn.tuples[0].src.lo ^ conn.proto.touch())
    }

    #[inline]
    pub fn conn(&self, slot: u32) -> &Conn {
        self.slab.get(slot)
    }

    #[inline]
    pub fn conn_mut(&mut self, slot: u32) -> &mut Conn {
        self.slab.get_mut(slot)
    }

    /// The slot of a connection that is still there.
    pub fn slot(&self, id: ConnId) -> Option<u32> {
        if id.slot == u32::MAX {
            // A number that came from outside.
            return self.iter().find(|(_, conn)| conn.number == id.number()).map(|(slot, _)| slot);
        }
        self.slab.try_get(id.slot).filter(|conn| conn.number == id.number()).map(|_| id.slot)
    }

    /// All connections in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Conn)> {
        let conns = self.slab.chunks.iter().flatten().enumerate();
        conns.filter(|(_, conn)| conn.number != 0).map(|(slot, conn)| (slot as u32, conn))
    }

    /// Puts a new connection into the slab and gives it its number.
    #[inline]
    pub fn add(&mut self, conn: Conn) -> u32 {
        self.slab.add(conn)
    }

    /// Takes a connection that was never confirmed out of the slab.
    pub fn forget(&mut self, slot: u32) {
        self.leave_source(slot);
        self.slab.remove(slot);
    }

    /// The hash of a connection's tuples.
    pub fn hash_of(&self, slot: u32) -> u32 {
        let conn = self.slab.get(slot);
        self.hash(&conn.tuples[0], conn.zone)
    }

    /// The hash of a connection's tuple of answers, where it is not that of its other tuple: it was translated.
    pub fn other_hash_of(&self, slot: u32, hash: u32) -> Option<u32> {
        const TRANSLATED: u32 = Status::SRC_NAT.0 | Status::DST_NAT.0;
        let conn = self.slab.get(slot);
        if conn.status.0 & TRANSLATED == 0 {
            return None;
        }
        let other = self.hash(&conn.tuples[1], conn.zone);
        (other != hash).then_some(other)
    }

    /// The hashes under which a connection is found, where `hash` is that of its original tuple.
    fn places(&self, slot: u32, hash: u32) -> impl Iterator<Item = u32> + use<> {
        let other = self.other_hash_of(slot, hash);
        let for_answers_alone = self.slab.get(slot).status.has(Status::NAT_CLASH);
        let own = if for_answers_alone && other.is_some() { None } else { Some(hash) };
        own.into_iter().chain(other)
    }

    /// Enters a connection under its tuples, the first one's hash is given, and its deadline.
    pub fn enter(&mut self, slot: u32, hash: u32) {
        for place in self.places(slot, hash) {
            self.index.insert(place, slot);
        }
        self.wheel.insert(&mut self.slab, slot);
        self.confirmed += 1;
    }

    /// Takes a confirmed connection out of everything.
    pub fn remove(&mut self, slot: u32) {
        for place in self.places(slot, self.hash_of(slot)) {
            self.index.remove(place, slot);
        }
        self.leave_source(slot);
        self.wheel.remove(&mut self.slab, slot);
        self.slab.remove(slot);
        self.confirmed -= 1;
    }

    /// A connection's source translation was decided: it is found by its source from now on.
    pub fn enter_source(&mut self, slot: u32) {
        let conn = self.slab.get(slot);
        let hash = self.source_hash(&conn.tuples[0], conn.zone);
        self.sources.insert(hash, slot);
        self.slab.get_mut(slot).status.insert(Status::SRC_NAT_DONE);
    }

    fn leave_source(&mut self, slot: u32) {
        let conn = self.slab.get(slot);
        if conn.status.has(Status::SRC_NAT_DONE) {
            let hash = self.source_hash(&conn.tuples[0], conn.zone);
            self.sources.remove(hash, slot);
        }
    }

    /// The connections that began at the source of a tuple, the latest first.
    pub fn of_source<'t>(&'t self, tuple: &'t Tuple, zone: u16) -> impl Iterator<Item = u32> + 't {
        let key = |tuple: &Tuple| (tuple.src, tuple.src_id, tuple.protocol, tuple.family);
        self.sources.find(self.source_hash(tuple, zone)).filter(move |slot| {
            let conn = self.slab.get(*slot);
            key(&conn.tuples[0]) == key(tuple) && conn.zone == zone
        })
    }

    fn source_hash(&self, tuple: &Tuple, zone: u16) -> u32 {
        let nowhere = Addr::default();
        self.hash(&Tuple { dst: nowhere, dst_id: 0, ..*tuple }, zone)
    }

    /// A confirmed connection's deadline has come nearer. A later one costs nothing: the wheel learns of it when it
    /// looks.
    pub fn shortened(&mut self, slot: u32) {
        self.wheel.shortened(&mut self.slab, slot);
    }

    /// Whether nothing dies up to and including `now`.
    pub fn is_quiet_until(&self, now: Jiffies) -> bool {
        self.wheel.is_idle_until(now)
    }

    /// The next tick, not after `now`, at which connections die; they are left in the table, out of the wheel, in the
    /// order of their numbers.
    pub fn next_due(&mut self, now: Jiffies, due: &mut Vec<u32>) -> Option<Jiffies> {
        let tick = self.wheel.turn(&mut self.slab, now, due)?;
        due.sort_unstable_by_key(|&slot| self.slab.get(slot).number);
        Some(tick)
    }

    /// The first tick at which a connection dies.
    pub fn first_deadline(&self) -> Option<Jiffies> {
        self.wheel.soonest()
    }

    /// The connections of one of `buckets` equal ranges of hashes.
    pub fn bucket(&self, bucket: u32, buckets: u32) -> impl Iterator<Item = u32> + '_ {
        let start = |bucket: u64| (bucket << 32).div_ceil(u64::from(buckets));
        let (from, to) = (start(u64::from(bucket)), start(u64::from(bucket) + 1) - 1);
        self.index.range(from as u32, to as u32)
    }
}

impl Slab {
    fn get(&self, slot: u32) -> &Conn {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    fn get_mut(&mut self, slot: u32) -> &mut Conn {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    fn try_get(&self, slot: u32) -> Option<&Conn> {
        self.chunks.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)
    }

    #[inline]
    fn add(&mut self, mut conn: Conn) -> u32 {
        self.last_number += 1;
        self.len += 1;
        if let Some(slot) = self.free.pop() {
            conn.number = self.last_number;
            *self.get_mut(slot) = conn;
            return slot;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // A small table stays small: only the second chunk is reserved whole.
            self.chunks.push(Vec::with_capacity(if self.chunks.is_empty() { 0 } else { CHUNK }));
        }
        let chunks = self.chunks.len();
        let chunk = &mut self.chunks[chunks - 1];
        let slot = ((chunks - 1) * CHUNK + chunk.len()) as u32;
        conn.number = self.last_number;
        chunk.push(conn);
        slot
    }

    fn remove(&mut self, slot: u32) {
        let conn = self.get_mut(slot);
        conn.number = 0;
        conn.extra = None;
        self.len -= 1;
        self.free.push(slot);
    }
}

impl Links for Slab {
    fn timer(&mut self, entry: u32) -> (Jiffies, &mut Link) {
        let conn = self.get_mut(entry);
        (conn.expires, &mut conn.link)
    }
}

/// Mixes two words: the halves of their product, folded.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuple::{Family, protocol};

    #[test]
    fn a_tuple_has_the_hash_of_its_inverse() {
        let table = ConnTable::new(7);
        let mut hashes = std::collections::BTreeSet::new();
        for (protocol, dst_id) in [
            (protocol::TCP, 80),
            (protocol::GRE, 0),
            (protocol::ICMP, 8 << 8),
            (protocol::ICMP, 13 << 8),
            (protocol::ICMPV6, 128 << 8),
        ] {
            let tuple = Tuple {
                src: Addr { hi: 1, lo: 2 },
                dst: Addr { hi: 3, lo: 4 },
                src_id: 5,
                dst_id,
                protocol,
                family: Family::Ipv6,
            };
            let inverse = tuple.invert().unwrap();
            assert_eq!(table.hash(&tuple, 9), table.hash(&inverse, 9), "{tuple}");
            hashes.insert(table.hash(&tuple, 9));
            hashes.insert(table.hash(&tuple, 8));
        }
        // Two queries of one identifier share theirs.
        assert_eq!(hashes.len(), 8);
    }
}
