//! What is going to happen, in order: by time, and by the order of asking within one moment.
//!
//! The queue owns the clock: the only way for time to pass is that something is taken out. Nothing can be put into the
//! past. There is no cancelling: who changes his mind ignores what he is told.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::clock::Clock;

/// Future events of type `T`.
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
    heap: BinaryHeap<Entry<T>>,
    pushed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    order: u64,
    what: T,
}

impl<T> Queue<T> {
    /// The time, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// How many events are waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Puts an event in; one that should have been in the past is due now.
    pub fn push(&mut self, at: u64, what: T) {
        let at = at.max(self.clock.now());
        self.heap.push(Entry { at, order: self.pushed, what });
        self.pushed += 1;
    }

    /// Takes the next event that is due at `until` or before, and sets the clock to its time.
    pub fn pop_until(&mut self, until: u64) -> Option<T> {
        if self.next_at()? > until {
            return None;
        }
        let entry = self.heap.pop()?;
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
        Queue { clock: Clock::default(), heap: BinaryHeap::new(), pushed: 0 }
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
