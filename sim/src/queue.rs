//! What is going to happen, in order: by time, and by the order of asking within one moment.
//!
//! The queue owns the clock: the only way for time to pass is that something is taken out. Nothing can be put into the
//! past. There is no cancelling: who changes his mind ignores what he is told.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use crate::clock::Clock;

/// Future events of type `T`.
///
/// What is due soon lies in a heap, what is due later in buckets of some milliseconds, which cost nothing until their
/// time comes: hosts set many timers, and few of them ever fire.
///
/// ```
/// let mut queue = conntruth_sim::Queue::default();
/// queue.push(20, "second");
/// queue.push(10, "first");
/// queue.push(20, "third");
/// assert_eq!(queue.pop_until(20), Some("first"));
/// assert_eq!(queue.now(), 10);
/// assert_eq!(queue.pop_until(20), Some("second"));
/// assert_eq!(queue.pop_until(20), Some("third"));
/// assert_eq!(queue.pop_until(20), None);
/// ```
#[derive(Debug)]
pub struct Queue<T> {
    clock: Clock,
    /// Everything of the current bucket and before; empty only when all is.
    soon: BinaryHeap<Entry<T>>,
    /// The current bucket.
    bucket: u64,
    /// Later buckets.
    later: BTreeMap<u64, Vec<Entry<T>>>,
    len: usize,
    pushed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    order: u64,
    what: T,
}

/// A bucket holds 2^24 ns: 16.8 ms.
const BUCKET: u32 = 24;

impl<T> Queue<T> {
    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// How many events are waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<u64> {
        self.soon.peek().map(|entry| entry.at)
    }

    /// Puts an event in; one that should have been in the past is due now.
    pub fn push(&mut self, at: u64, what: T) {
        let at = at.max(self.clock.now());
        let entry = Entry { at, order: self.pushed, what };
        self.pushed += 1;
        self.len += 1;
        let bucket = at >> BUCKET;
        if self.soon.is_empty() {
            self.bucket = bucket;
        }
        if bucket <= self.bucket {
            self.soon.push(entry);
        } else {
            self.later.entry(bucket).or_default().push(entry);
        }
    }

    /// Takes the next event that is due at `until` or before, and sets the clock to its time.
    pub fn pop_until(&mut self, until: u64) -> Option<T> {
        if self.next_at()? > until {
            return None;
        }
        let entry = self.soon.pop()?;
        self.len -= 1;
        if self.soon.is_empty()
            && let Some((bucket, entries)) = self.later.pop_first()
        {
            self.bucket = bucket;
            // The heap's memory is kept, the bucket's goes.
            self.soon.extend(entries);
        }
        let forward = self.clock.advance_to(entry.at);
        debug_assert!(forward, "nothing is put into the past");
        Some(entry.what)
    }

    /// Lets time pass to `until`; it stops at the next event, which must not be skipped.
    pub fn pass_until(&mut self, until: u64) {
        let until = self.next_at().map_or(until, |next| until.min(next));
        let _ = self.clock.advance_to(until);
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue {
            clock: Clock::default(),
            soon: BinaryHeap::new(),
            bucket: 0,
            later: BTreeMap::new(),
            len: 0,
            pushed: 0,
        }
    }
}

// The heap gives out the greatest: the soonest is made the greatest.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::Queue;
    use crate::dice::Seed;
    use std::collections::BTreeSet;

    /// What comes out must be what a sorted set gives.
    #[test]
    fn it_agrees_with_a_sorted_set() {
        let mut dice = Seed(1).dice("queue");
        let mut queue = Queue::default();
        let mut sorted = BTreeSet::new();
        for number in 0..20_000_u64 {
            let spans = [0, 1, 1_000, 20_000_000, 90_000_000_000, 1 << 50];
            let span = spans[dice.below(6) as usize];
            let at = queue.now() + dice.below(1 + span);
            queue.push(at, number);
            sorted.insert((at, number));
            while dice.below(2) == 0 {
                let span = 1 << dice.below(45);
                let until = queue.now() + dice.below(span);
                let first = sorted.first().copied().filter(|&(at, _)| at <= until);
                assert_eq!(queue.next_at(), sorted.first().map(|first| first.0));
                assert_eq!(queue.pop_until(until), first.map(|first| first.1));
                match first {
                    Some(first) => assert!(sorted.remove(&first) && queue.now() == first.0),
                    None => queue.pass_until(until),
                }
                assert_eq!((queue.len(), queue.is_empty()), (sorted.len(), sorted.is_empty()));
            }
        }
        assert!(queue.len() < 20_000);
    }
}
