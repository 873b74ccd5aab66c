//! Where a tuple's entry lies: a table of (hash, place) sorted by hash.
//!
//! Linear probing with the rows kept in the order of their hashes. That order buys three things: a miss ends at the
//! first larger hash; growing is one sequential merge that never looks at a connection; and one of the kernel's
//! buckets - a range of hashes - is a run of neighbours, so early drop finds "the next eight buckets" as the kernel
//! does. A row is eight bytes, so a probe touches one cache line, and the whole 32-bit hash is compared before any
//! connection is looked at.

use serde::{Deserialize, Serialize};

use crate::tuple::Direction;

/// A connection's slot and the direction whose tuple this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) const fn new(slot: u32, direction: Direction) -> Place {
        Place(slot << 1 | direction as u32)
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0 >> 1
    }

    pub(crate) const fn direction(self) -> Direction {
        if self.0 & 1 == 0 { Direction::Original } else { Direction::Reply }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    hash: u32,
    place: Place,
}

/// No tuple has the largest hash, and no place all bits set: slots stop at 2^31.
const EMPTY: Row = Row { hash: u32::MAX, place: Place(u32::MAX) };

impl Row {
    fn is_empty(self) -> bool {
        self.hash == EMPTY.hash
    }
}

/// Rows past the last home, so that a run at the end needs no way round to the beginning.
const TAIL: usize = 64;

/// The index; see the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    rows: Vec<Row>,
    /// Homes are the top `bits` of a hash.
    bits: u32,
    len: usize,
}

impl Index {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
    }

    /// The places whose hash is `hash`; nearly always none or one.
    pub(crate) fn find(&self, hash: u32) -> impl Iterator<Item = Place> + '_ {
        let rows = self.rows.get(self.home(hash)..).unwrap_or_default();
        rows.iter()
            // A free row's hash is larger than any.
            .take_while(move |row| row.hash <= hash)
            .filter(move |row| row.hash == hash)
            .map(|row| row.place)
    }

    /// Reads the line on which `find` would begin, so that it is near when it is asked.
    pub(crate) fn touch(&self, hash: u32) -> u64 {
        self.rows.get(self.home(hash)).map_or(0, |row| u64::from(row.hash))
    }

    /// Adds a row, before those of the same hash. So of a connection whose two tuples are equal the reply, entered last,
    /// is found: as in the kernel, whose chains grow at their heads.
    pub(crate) fn insert(&mut self, hash: u32, place: Place) {
        if (self.len + 1) * 8 > (self.rows.len().saturating_sub(TAIL)) * 6 {
            self.grow();
        }
        let mut carried = Row { hash, place };
        let mut at = self.home(hash);
        while self.rows.get(at).is_some_and(|row| !row.is_empty() && row.hash < hash) {
            at += 1;
        }
        loop {
            if at == self.rows.len() {
                self.rows.push(EMPTY);
            }
            std::mem::swap(&mut carried, &mut self.rows[at]);
            if carried.is_empty() {
                break;
            }
            at += 1;
        }
        self.len += 1;
    }

    /// Removes a row, and moves those behind it nearer to their homes.
    pub(crate) fn remove(&mut self, hash: u32, place: Place) -> bool {
        let mut at = self.home(hash);
        loop {
            match self.rows.get(at) {
                Some(row) if row.is_empty() || row.hash > hash => return false,
                Some(row) if row.hash == hash && row.place == place => break,
                Some(_) => at += 1,
                None => return false,
            }
        }
        while let Some(&next) = self.rows.get(at + 1) {
            if next.is_empty() || self.home(next.hash) > at {
                break;
            }
            self.rows[at] = next;
            at += 1;
        }
        self.rows[at] = EMPTY;
        self.len -= 1;
        true
    }

    /// The places whose hashes lie in `from..=to`, in order: what the kernel calls a bucket.
    pub(crate) fn range(&self, from: u32, to: u32) -> impl Iterator<Item = Place> + '_ {
        let end = self.rows.len().min(self.home(to) + 1);
        let rows = self.rows.get(self.home(from)..).unwrap_or_default();
        let homes = end.saturating_sub(self.home(from));
        rows.iter()
            .enumerate()
            .take_while(move |(at, row)| *at < homes || !row.is_empty())
            .filter(move |(_, row)| !row.is_empty() && row.hash >= from && row.hash <= to)
            .map(|(_, row)| row.place)
    }

    fn home(&self, hash: u32) -> usize {
        (u64::from(hash) >> (32 - self.bits)) as usize
    }

    /// Doubles the homes. Rows come in the order of their hashes, so each new place lies behind the last.
    fn grow(&mut self) {
        self.bits = (self.bits + 1).max(4);
        let old = std::mem::replace(&mut self.rows, vec![EMPTY; (1 << self.bits) + TAIL]);
        let mut free = 0;
        for row in old.into_iter().filter(|row| !row.is_empty()) {
            free = free.max(self.home(row.hash));
            if free == self.rows.len() {
                self.rows.push(EMPTY);
            }
            self.rows[free] = row;
            free += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A stream of numbers that does not repeat soon.
    fn numbers() -> impl Iterator<Item = u32> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 16) as u32
        })
    }

    #[test]
    fn it_agrees_with_an_ordered_set() {
        for spread in [0, 16, 28] {
            let mut index = Index::default();
            let mut model = BTreeSet::new();
            for (step, number) in numbers().take(20_000).enumerate() {
                let (hash, place) = (number << spread, Place::new(step as u32 % 300, Direction::Reply));
                if number.is_multiple_of(3) {
                    let present = model.remove(&(hash, place));
                    assert_eq!(index.remove(hash, place), present);
                    if let Some(&(hash, place)) = model.iter().nth(step % model.len().max(1)) {
                        assert!(index.remove(hash, place));
                        model.remove(&(hash, place));
                    }
                } else if model.insert((hash, place)) {
                    index.insert(hash, place);
                }
                if step % 500 == 0 {
                    let (low, high) = (hash.min(number), hash.max(number));
                    let mut found: Vec<_> = index.range(low, high).collect();
                    let mut wanted: Vec<_> =
                        model.range((low, Place(0))..=(high, Place(u32::MAX))).map(|x| x.1).collect();
                    found.sort();
                    wanted.sort();
                    assert_eq!(found, wanted);
                }
            }
            assert_eq!(index.len(), model.len());
            for &(hash, place) in &model {
                assert!(index.find(hash).any(|found| found == place));
            }
        }
    }
}
