//! The pieces of one datagram: what is held of it, and what a further piece does to that.
//!
//! Pieces that come in order join into a *run*; runs that merely touch stay apart, and that can be seen: a piece that
//! lies inside one run repeats what is held, one that lies across two of them overlaps. Headers and rules of the two
//! families are not known here.
//!
//! Source: linux 6.18 net/ipv4/inet_fragment.c `inet_frag_queue_insert`; RFC 5722 with erratum 3089.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Insertion {
    /// It is held.
    Held,
    /// It repeats what is held, which stays as it is.
    Duplicate,
    /// It overlaps what is held otherwise.
    Overlap,
}

/// What is held of a datagram's fragmented part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pieces {
    /// By offset; they do not overlap.
    runs: BTreeMap<u32, Vec<u8>>,
    /// How many bytes are held.
    held: u32,
    /// Where the datagram ends as far as is known: the furthest end of any piece, held or not.
    pub end: u32,
    /// Whether `end` was given by a last piece.
    pub has_last: bool,
}

impl Pieces {
    /// Notes the end of a piece, before it is inserted; `false` when it contradicts what is known.
    pub(super) fn agree_on_end(&mut self, end: u32, is_last: bool) -> bool {
        if is_last {
            if end < self.end || (self.has_last && end != self.end) {
                return false;
            }
            self.has_last = true;
        } else if end > self.end && self.has_last {
            return false;
        }
        self.end = self.end.max(end);
        true
    }

    /// Puts a piece of at least one byte in its place.
    pub(super) fn insert(&mut self, offset: u32, bytes: &[u8]) -> Insertion {
        let end = offset + bytes.len() as u32;
        match self.runs.last_entry() {
            Some(mut last) if run_end(*last.key(), last.get()) < end => {
                let last_end = run_end(*last.key(), last.get());
                if offset < last_end {
                    return Insertion::Overlap;
                }
                if offset == last_end {
                    last.get_mut().extend_from_slice(bytes);
                } else {
                    self.runs.insert(offset, bytes.to_vec());
                }
            }
            _ => match self.runs.range(..end).next_back() {
                Some((&start, run)) if run_end(start, run) > offset => {
                    let is_inside = start <= offset && end <= run_end(start, run);
                    return if is_inside { Insertion::Duplicate } else { Insertion::Overlap };
                }
                _ => {
                    self.runs.insert(offset, bytes.to_vec());
                }
            },
        }
        self.held += bytes.len() as u32;
        Insertion::Held
    }

    /// Whether they can be pieces of one datagram.
    pub(super) fn is_sound(&self) -> bool {
        const FURTHEST: u32 = 1 << 17;
        let mut free = 0;
        for (&start, run) in &self.runs {
            if start < free || run.is_empty() || start > FURTHEST || run.len() > FURTHEST as usize {
                return false;
            }
            free = run_end(start, run);
        }
        let held: usize = self.runs.values().map(Vec::len).sum();
        held == self.held as usize && free <= self.end && self.end <= FURTHEST
    }

    /// Whether the first byte is held.
    pub(super) fn runs_from_start(&self) -> bool {
        self.runs.contains_key(&0)
    }

    /// Whether anything is held.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether the first piece, the last and all between are held.
    pub(super) fn is_whole(&self) -> bool {
        self.has_last && self.held == self.end && self.runs_from_start()
    }

    /// The runs in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = &[u8]> {
        self.runs.values().map(Vec::as_slice)
    }
}

fn run_end(start: u32, run: &[u8]) -> u32 {
    start + run.len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(held: &[(u32, u32)], piece: (u32, u32), expected: Insertion) {
        let mut pieces = Pieces::default();
        for &(start, end) in held {
            assert_eq!(pieces.insert(start, &vec![1; (end - start) as usize]), Insertion::Held);
        }
        let bytes = vec![2; (piece.1 - piece.0) as usize];
        assert_eq!(pieces.insert(piece.0, &bytes), expected, "{piece:?} into {held:?}");
    }

    #[test]
    fn inside_a_run_is_a_duplicate_across_two_an_overlap() {
        check(&[(0, 8), (8, 16)], (0, 16), Insertion::Duplicate);
        check(&[(8, 16), (0, 8)], (0, 16), Insertion::Overlap);
        check(&[(0, 24)], (8, 16), Insertion::Duplicate);
        check(&[(8, 16)], (0, 24), Insertion::Overlap);
        check(&[(8, 24)], (16, 32), Insertion::Overlap);
        check(&[(8, 24)], (0, 16), Insertion::Overlap);
        check(&[(0, 8), (16, 24)], (8, 16), Insertion::Held);
        check(&[(0, 8), (16, 24), (8, 16)], (8, 24), Insertion::Overlap);
    }

    #[test]
    fn a_datagram_is_whole_when_its_bytes_count_up_to_its_end() {
        let mut pieces = Pieces::default();
        assert!(pieces.agree_on_end(16, true));
        pieces.insert(8, &[2; 8]);
        assert!(!pieces.is_whole());
        assert!(!pieces.agree_on_end(24, false) && !pieces.agree_on_end(8, true));
        assert!(pieces.agree_on_end(8, false));
        pieces.insert(0, &[1; 8]);
        assert!(pieces.is_whole());
        assert_eq!(pieces.runs().map(<[u8]>::len).sum::<usize>(), 16);
    }
}
