//! Where a tuple's entry lies: a table of (hash, slot) sorted by hash.
//!
//! Linear probing with the rows kept in the order of their hashes. That order buys three things: a miss ends at the
//! first larger hash; growing is one sequential merge that never looks at a connection; and one of the kernel's
//! buckets - a range of hashes - is a run of neighbours, so early drop finds "the next eight buckets" as the kernel
//! does. A row is eight bytes, so a probe touches one cache line, and the whole 32-bit hash is compared before any
//! connection is looked at.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    hash: u32,
    slot: u32,
}

/// No tuple has the largest hash.
const EMPTY: Row = Row { hash: u32::MAX, slot: u32::MAX };

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
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
    }

    /// The slots whose hash is `hash`; nearly always none or one.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u32) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.home(hash);
        std::iter::from_fn(move || {
            // A free row's hash is larger than any.
            while let Some(row) = self.rows.get(at).filter(|row| row.hash <= hash) {
                at += 1;
                if row.hash == hash {
                    return Some(row.slot);
                }
            }
            None
        })
    }

    /// Reads the line on which `find` would begin, so that it is near when it is asked.
    pub(crate) fn touch(&self, hash: u32) -> u64 {
        self.rows.get(self.home(hash)).map_or(0, |row| u64::from(row.hash))
    }

    /// Adds a row, before those of the same hash: as in the kernel, whose chains grow at their heads.
    pub(crate) fn insert(&mut self, hash: u32, slot: u32) {
        if (self.len + 1) * 8 > (self.rows.len().saturating_sub(TAIL)) * 6 {
            self.grow();
        }
        let mut carried = Row { hash, slot };
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
    pub(crate) fn remove(&mut self, hash: u32, slot: u32) -> bool {
        let mut at = self.home(hash);
        loop {
            match self.rows.get(at) {
                Some(row) if row.is_empty() || row.hash > hash => return false,
                Some(row) if row.hash == hash && row.slot == slot => break,
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

    /// All rows in order: hash and slot.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.rows.iter().filter(|row| !row.is_empty()).map(|row| (row.hash, row.slot))
    }

    /// The slots whose hashes lie in `from..=to`, in order: what the kernel calls a bucket.
    pub(crate) fn range(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        let end = self.rows.len().min(self.home(to) + 1);
        let rows = self.rows.get(self.home(from)..).unwrap_or_default();
        let homes = end.saturating_sub(self.home(from));
        rows.iter()
            .enumerate()
            .take_while(move |(at, row)| *at < homes || !row.is_empty())
            .filter(move |(_, row)| !row.is_empty() && row.hash >= from && row.hash <= to)
            .map(|(_, row)| row.slot)
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
                let (hash, slot) = (number << spread, step as u32 % 300);
                if number.is_multiple_of(3) {
                    let present = model.remove(&(hash, slot));
                    assert_eq!(index.remove(hash, slot), present);
                    if let Some(&(hash, slot)) = model.iter().nth(step % model.len().max(1)) {
                        assert!(index.remove(hash, slot));
                        model.remove(&(hash, slot));
                    }
                } else if model.insert((hash, slot)) {
                    index.insert(hash, slot);
                }
                if step % 500 == 0 {
                    let (low, high) = (hash.min(number), hash.max(number));
                    let mut found: Vec<_> = index.range(low, high).collect();
                    let mut wanted: Vec<_> = model.range((low, 0)..=(high, u32::MAX)).map(|x| x.1).collect();
                    found.sort();
                    wanted.sort();
                    assert_eq!(found, wanted);
                }
            }
            assert_eq!(index.len, model.len());
            for &(hash, slot) in &model {
                assert!(index.find(hash).any(|found| found == slot));
            }
        }
    }
}
