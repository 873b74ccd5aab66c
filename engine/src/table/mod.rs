//! The connection table: a slab of connections, an index from tuples to them, and a wheel of their deadlines.
//!
//! It keeps and finds; what a packet does to a connection is the trackers' business. A connection is in the slab from
//! its first packet on, and in index and wheel once confirmed.

mod index;
mod wheel;

use crate::conn::Conn;
use crate::outcome::ConnId;
use crate::time::Jiffies;
use crate::tuple::{Direction, Tuple};
use index::{Index, Place};
pub(crate) use wheel::Link;
use wheel::{Links, Wheel};

/// Connections in one piece of the slab: growing never moves one.
const CHUNK: usize = 1024;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnTable {
    slab: Slab,
    index: Index,
    wheel: Wheel,
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
            + self.wheel.bytes()
    }

    /// Confirmed connections.
    pub fn confirmed(&self) -> usize {
        self.index.len() / 2
    }

    #[inline]
    pub fn hash(&self, tuple: &Tuple, zone: u16) -> u32 {
        let keys = u64::from(tuple.src_id) << 48
            | u64::from(tuple.dst_id) << 32
            | u64::from(tuple.protocol) << 16
            | u64::from(tuple.family as u8) << 8;
        let mut hash = fold(tuple.src.lo ^ self.seed, tuple.dst.lo ^ 0x9e37_79b9_7f4a_7c15);
        if tuple.src.hi | tuple.dst.hi != 0 {
            hash ^= fold(tuple.src.hi ^ hash, tuple.dst.hi ^ 0xe703_7ed1_a0b4_28db);
        }
        let word = fold(hash ^ keys, 0x8ebc_6af0_9c88_c6e3 ^ u64::from(zone));
        // The largest hash marks free rows.
        ((word >> 32) as u32 ^ word as u32).min(u32::MAX - 1)
    }

    /// The confirmed connection that has this tuple in one of its directions.
    #[inline(always)]
    pub fn find(&self, hash: u32, tuple: &Tuple, zone: u16) -> Option<Found> {
        for place in self.index.find(hash) {
            let (slot, direction) = (place.slot(), place.direction());
            let conn = self.slab.get(slot);
            if conn.tuples[direction as usize] == *tuple && conn.zone == zone {
                return Some(Found { slot, direction });
            }
        }
        None
    }

    /// Reads what `find` would read first, ahead of its use.
    pub fn touch_index(&self, hash: u32) -> u64 {
        self.index.touch(hash)
    }

    /// Reads the lines of a connection ahead of its use.
    pub fn touch_conn(&self, hash: u32) -> u64 {
        let Some(place) = self.index.find(hash).next() else { return 0 };
        let conn = self.slab.get(place.slot());
        conn.tuples[0].src.lo ^ conn.expires.0 ^ conn.proto.touch()
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
        let at = |slot: u32| self.slab.try_get(slot).filter(|conn| conn.number == id.number()).map(|_| slot);
        at(id.slot).or_else(|| self.iter().find(|(_, conn)| conn.number == id.number()).map(|(slot, _)| slot))
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
        self.slab.remove(slot);
    }

    /// The hashes of both tuples of a connection.
    pub fn hashes(&self, slot: u32) -> [u32; 2] {
        let conn = self.slab.get(slot);
        [self.hash(&conn.tuples[0], conn.zone), self.hash(&conn.tuples[1], conn.zone)]
    }

    /// Enters a connection under both its tuples, whose hashes are given, and its deadline.
    pub fn enter(&mut self, slot: u32, [original, reply]: [u32; 2]) {
        self.index.insert(original, Place::new(slot, Direction::Original));
        self.index.insert(reply, Place::new(slot, Direction::Reply));
        self.wheel.insert(&mut self.slab, slot);
    }

    /// Takes a confirmed connection out of everything.
    pub fn remove(&mut self, slot: u32) {
        let [original, reply] = self.hashes(slot);
        self.index.remove(original, Place::new(slot, Direction::Original));
        self.index.remove(reply, Place::new(slot, Direction::Reply));
        self.wheel.remove(&mut self.slab, slot);
        self.slab.remove(slot);
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
    pub fn bucket(&self, bucket: u32, buckets: u32) -> impl Iterator<Item = Found> + '_ {
        let start = |bucket: u64| (bucket << 32).div_ceil(u64::from(buckets));
        let (from, to) = (start(u64::from(bucket)), start(u64::from(bucket) + 1) - 1);
        self.index
            .range(from as u32, to as u32)
            .map(|place| Found { slot: place.slot(), direction: place.direction() })
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
    fn link(&mut self, entry: u32) -> &mut Link {
        &mut self.get_mut(entry).link
    }

    fn deadline(&self, entry: u32) -> Jiffies {
        self.get(entry).expires
    }
}

/// Mixes two words: the halves of their product, folded.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
