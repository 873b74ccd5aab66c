//! When entries die: a hierarchical timer wheel.
//!
//! Eleven levels of 64 slots reach over all of time; a bit for each slot says whether it holds anything, so five idle
//! days are a few steps. An entry is filed under a tick *at or before* its deadline: renewing it only writes the
//! deadline, and when its slot comes due it is filed again. Each entry is filed at most once a level, so expiry is
//! O(1) amortised however many there are.
//!
//! A slot is a plain list, and an entry knows its place there: the last one takes the place of one that leaves. Entries
//! are not linked to each other because a chain through a large table waits for memory at each of its links, while the
//! entries of a list can all be asked for at once.
//!
//! The wheel knows nothing of connections; who owns the links passes them in.

use serde::{Deserialize, Serialize};

use crate::time::Jiffies;

const SLOTS: usize = 64;
const LEVELS: usize = 11;
/// A list that holds more when it is emptied gives its memory back; a smaller one is soon filled again.
const KEPT: usize = 1024;

/// An entry's place in the wheel, kept inside the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Its place in the list. Found again by [`Wheel::restore`]: the order within a list says nothing.
    #[serde(skip)]
    at: u32,
    /// `level * SLOTS + slot`, or `OUT`.
    list: u16,
}

const OUT: u16 = u16::MAX;

impl Default for Link {
    fn default() -> Link {
        Link { at: 0, list: OUT }
    }
}

impl Link {
    /// Without its place in the list, which says nothing.
    pub(crate) fn unplaced(self) -> Link {
        Link { at: 0, ..self }
    }

    /// Whether it is in no list.
    pub(crate) fn is_out(self) -> bool {
        self.list == OUT
    }
}

/// Who holds the entries.
pub(crate) trait Links {
    /// An entry's deadline and its place.
    fn timer(&mut self, entry: u32) -> (Jiffies, &mut Link);
}

/// The wheel; see the module.
///
/// An entry is filed at the level of the highest of its deadline's six-bit digits that differs from `next`'s, in the
/// slot of that digit. So everything at a lower level comes before everything at a higher one, and no level wraps.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    /// The next tick to look at: all before it were handed out.
    next: u64,
    /// The levels up to the highest that was ever needed.
    levels: Vec<[Vec<u32>; SLOTS]>,
    /// For each level, which slots hold something.
    occupied: [u64; LEVELS],
    /// Nothing is to be done before this tick.
    soonest: u64,
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel { next: 0, levels: Vec::new(), occupied: [0; LEVELS], soonest: u64::MAX }
    }
}

impl Wheel {
    /// Files an entry under its deadline, or under the next tick when that has passed.
    pub(crate) fn insert(&mut self, links: &mut impl Links, entry: u32) {
        let (deadline, link) = links.timer(entry);
        let tick = deadline.0.max(self.next);
        let level = (63 - (self.next ^ tick | 1).leading_zeros()) as usize / 6;
        let slot = (tick >> (6 * level)) as usize % SLOTS;
        while self.levels.len() <= level {
            self.levels.push([const { Vec::new() }; SLOTS]);
        }
        let list = &mut self.levels[level][slot];
        *link = Link { at: list.len() as u32, list: (level * SLOTS + slot) as u16 };
        list.push(entry);
        self.occupied[level] |= 1 << slot;
        self.soonest = self.soonest.min(tick >> (6 * level) << (6 * level));
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, links: &mut impl Links, entry: u32) {
        let Link { at, list } = std::mem::take(links.timer(entry).1);
        if list == OUT {
            return;
        }
        let (level, slot) = (list as usize / SLOTS, list as usize % SLOTS);
        let list = &mut self.levels[level][slot];
        list.swap_remove(at as usize);
        if let Some(&moved) = list.get(at as usize) {
            links.timer(moved).1.at = at;
        } else if list.is_empty() {
            self.occupied[level] &= !(1 << slot);
        }
    }

    /// An entry's deadline has come nearer: files it again where it lies too far ahead.
    pub(crate) fn shortened(&mut self, links: &mut impl Links, entry: u32) {
        let (deadline, &mut Link { list, .. }) = links.timer(entry);
        if list != OUT && deadline.0 < self.start(list as usize / SLOTS, list as usize % SLOTS) {
            self.remove(links, entry);
            self.insert(links, entry);
        }
    }

    /// The next tick to look at, and the first at which there is anything to do.
    pub(crate) fn position(&self) -> (u64, u64) {
        (self.next, self.soonest)
    }

    /// A wheel at a position, with these entries in the lists that their links name; or what is wrong with that.
    pub(crate) fn restore(
        links: &mut impl Links,
        entries: &[u32],
        next: u64,
        soonest: u64,
    ) -> Result<Wheel, String> {
        let mut wheel = Wheel { next, soonest, ..Wheel::default() };
        for &entry in entries {
            let (deadline, link) = links.timer(entry);
            let (level, slot) = (link.list as usize / SLOTS, link.list as usize % SLOTS);
            let start = if level < LEVELS { wheel.start(level, slot) } else { u64::MAX };
            let is_its_level = level == (63 - (next ^ start | 1).leading_zeros()) as usize / 6;
            // A list may begin before the next tick only where that lies in it.
            if !is_its_level || start < next || start > deadline.0.max(next) {
                return Err(format!("slot {entry} has a timer where it would not be found in time"));
            }
            while wheel.levels.len() <= level {
                wheel.levels.push([const { Vec::new() }; SLOTS]);
            }
            let list = &mut wheel.levels[level][slot];
            link.at = list.len() as u32;
            list.push(entry);
            wheel.occupied[level] |= 1 << slot;
        }
        match wheel.soonest() {
            Some(first) if first.0 < soonest => Err("a timer is due before the first".to_owned()),
            _ => Ok(wheel),
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let lists = self.levels.iter().flatten();
        lists.map(|list| size_of_val(list) + list.capacity() * size_of::<u32>()).sum::<usize>()
    }

    /// Whether `turn` up to `tick` would find nothing to do.
    pub(crate) fn is_idle_until(&self, tick: Jiffies) -> bool {
        tick.0 < self.soonest
    }

    /// The first tick at which something may be due; a renewed entry can make it too early, never too late.
    pub(crate) fn soonest(&self) -> Option<Jiffies> {
        self.next_slot().map(|(level, slot)| Jiffies(self.start(level, slot)))
    }

    /// Turns to the next tick, not after `until`, at which entries die, and takes them out; `None` when there is none.
    pub(crate) fn turn(
        &mut self,
        links: &mut impl Links,
        until: Jiffies,
        due: &mut Vec<u32>,
    ) -> Option<Jiffies> {
        loop {
            self.spread_higher(links, due);
            let Some((level, slot)) = self.next_slot() else {
                self.soonest = u64::MAX;
                break;
            };
            let start = self.start(level, slot);
            if start > until.0 {
                self.soonest = start;
                break;
            }
            self.next = start + u64::from(level == 0);
            self.spread(links, level, slot, due);
            if !due.is_empty() {
                self.spread_higher(links, due);
                return Some(Jiffies(start));
            }
        }
        self.next = self.next.max(until.0 + 1);
        self.spread_higher(links, due);
        None
    }

    /// A higher slot is spread out as soon as its first tick is the next one, so that nothing overtakes it.
    fn spread_higher(&mut self, links: &mut impl Links, due: &mut Vec<u32>) {
        // It begins where all digits below its own are zero.
        let highest = (self.next.trailing_zeros() as usize / 6).min(LEVELS - 1);
        for level in (1..=highest).rev() {
            let slot = (self.next >> (6 * level)) as usize % SLOTS;
            if self.occupied[level] & 1 << slot != 0 {
                self.spread(links, level, slot, due);
            }
        }
    }

    /// The slot that comes first: of the lowest level that holds anything.
    fn next_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    /// A slot's first tick.
    fn start(&self, level: usize, slot: usize) -> u64 {
        let above = 6 * (level as u32 + 1);
        let base = self.next.checked_shr(above).unwrap_or(0).checked_shl(above).unwrap_or(0);
        base | (slot as u64) << (6 * level)
    }

    /// Empties a slot: what is due is handed out, what has more time is filed again.
    fn spread(&mut self, links: &mut impl Links, level: usize, slot: usize, due: &mut Vec<u32>) {
        let mut list = std::mem::take(&mut self.levels[level][slot]);
        self.occupied[level] &= !(1 << slot);
        for &entry in &list {
            let (deadline, link) = links.timer(entry);
            if deadline.0 < self.next {
                *link = Link::default();
                due.push(entry);
            } else {
                self.insert(links, entry);
            }
        }
        list.clear();
        if list.capacity() <= KEPT {
            self.levels[level][slot] = list;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Entries(Vec<(Link, u64)>);

    impl Links for Entries {
        fn timer(&mut self, entry: u32) -> (Jiffies, &mut Link) {
            let (link, deadline) = &mut self.0[entry as usize];
            (Jiffies(*deadline), link)
        }
    }

    /// What the wheel hands out must be what a sorted list of deadlines would.
    #[test]
    fn it_agrees_with_a_sorted_list() {
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut entries = Entries::default();
        let mut alive = std::collections::BTreeSet::new();
        let mut wheel = Wheel::default();
        let mut now = 0;
        for _ in 0..20_000 {
            let span = [3, 70, 5_000, 300_000, 120_000_000][random(5) as usize];
            match random(4) {
                0 | 1 => {
                    let entry = entries.0.len() as u32;
                    entries.0.push((Link::default(), now + 1 + random(span)));
                    wheel.insert(&mut entries, entry);
                    alive.insert(entry);
                }
                2 if !alive.is_empty() => {
                    let &entry = alive.iter().nth(random(alive.len() as u64) as usize).unwrap();
                    let old = entries.0[entry as usize].1;
                    let new = now + 1 + random(span);
                    entries.0[entry as usize].1 = new;
                    if random(9) == 0 {
                        wheel.remove(&mut entries, entry);
                        alive.remove(&entry);
                    } else if new < old {
                        wheel.shortened(&mut entries, entry);
                    }
                }
                _ => {
                    let until = now + random(span / 10 + 2);
                    let mut due = Vec::new();
                    let mut last = now;
                    while let Some(tick) = wheel.turn(&mut entries, Jiffies(until), &mut due) {
                        assert!(tick.0 > last || last == now);
                        last = tick.0;
                        for entry in due.drain(..) {
                            assert_eq!(entries.0[entry as usize].1, tick.0);
                            assert!(alive.remove(&entry));
                        }
                    }
                    now = until;
                    assert!(alive.iter().all(|&entry| entries.0[entry as usize].1 > now));
                }
            }
            let first = alive.iter().map(|&entry| entries.0[entry as usize].1).min();
            assert!(wheel.soonest().is_none_or(|soonest| first.is_none_or(|first| soonest.0 <= first)));
            assert!(first.is_none_or(|first| first <= now || !wheel.is_idle_until(Jiffies(first))));
        }
    }
}
