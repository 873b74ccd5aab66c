//! Sequence numbers that move: where a payload has grown or shrunk on its way, all that follows in its direction is
//! moved by as much, and what the other side acknowledges is moved back.
//!
//! A direction remembers the place of its last change, and the offsets before and behind it: what is sent again is moved
//! as it was the first time.
//!
//! Source: linux 6.18 net/netfilter/nf_conntrack_seqadj.c.

use serde::{Deserialize, Serialize};

use super::rewrite::replace;
use crate::tuple::Direction;

/// What one direction's numbers are moved by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[doc(alias = "nf_ct_seqadj")]
pub(crate) struct Adjust {
    /// The number behind which the second offset counts.
    pub position: u32,
    pub before: i32,
    pub behind: i32,
}

impl Adjust {
    /// A segment that begins at `seq` has changed its length.
    ///
    /// Source: linux 6.18 net/netfilter/nf_conntrack_seqadj.c `nf_ct_seqadj_set`.
    pub fn note(&mut self, seq: u32, offset: i32) {
        if self.before == self.behind || (self.position.wrapping_sub(seq) as i32) < 0 {
            self.position = seq;
            self.before = self.behind;
            self.behind = self.behind.wrapping_add(offset);
        }
    }

    /// By how much a number of this direction is moved.
    pub fn offset(&self, seq: u32) -> i32 {
        if is_after(seq, self.position) { self.behind } else { self.before }
    }

    /// What a number that the other side has acknowledged was before it was moved.
    fn back(&self, acknowledged: u32) -> u32 {
        let is_behind = is_after(acknowledged.wrapping_add_signed(-self.before), self.position);
        acknowledged.wrapping_add_signed(-if is_behind { self.behind } else { self.before })
    }
}

fn is_after(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).cast_signed() < 0
}

const HEADER: usize = 20;
const ACK: u8 = 0x10;
const END: u8 = 0;
const NOP: u8 = 1;
const SACK: u8 = 5;

/// Moves the numbers of a segment whose header stands at `at`. False where there is no whole header.
#[must_use]
pub(crate) fn adjust(bytes: &mut [u8], at: usize, both: &[Adjust; 2], direction: Direction) -> bool {
    let (this, other) = (both[direction as usize], both[!direction as usize]);
    if bytes.len() < at + HEADER {
        return false;
    }
    let seq = word(bytes, at + 4);
    set(bytes, at, at + 4, seq.wrapping_add_signed(this.offset(seq)));
    if bytes[at + 13] & ACK == 0 {
        return true;
    }
    let ack = word(bytes, at + 8);
    set(bytes, at, at + 8, other.back(ack));
    adjust_sack(bytes, at, &other)
}

/// Source: linux 6.18 net/netfilter/nf_conntrack_seqadj.c `nf_ct_sack_adjust`.
fn adjust_sack(bytes: &mut [u8], at: usize, other: &Adjust) -> bool {
    let end = at + usize::from(bytes[at + 12] >> 4) * 4;
    if bytes.len() < end {
        return false;
    }
    let mut option = at + HEADER;
    while option < end {
        match bytes[option] {
            END => return true,
            NOP => {
                option += 1;
                continue;
            }
            _ => {}
        }
        if option + 1 == end {
            return false;
        }
        let length = usize::from(bytes[option + 1]);
        if length < 2 || option + length > end {
            return false;
        }
        if bytes[option] == SACK && length >= 10 && (length - 2).is_multiple_of(8) {
            for edge in (option + 2..option + length).step_by(4) {
                let number = word(bytes, edge);
                set(bytes, at, edge, other.back(number));
            }
        }
        option += length;
    }
    true
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

/// Writes a number, and updates the checksum of the segment that begins at `header`.
fn set(bytes: &mut [u8], header: usize, at: usize, number: u32) {
    let old = word(bytes, at).to_be_bytes();
    let new = number.to_be_bytes();
    bytes[at..at + 4].copy_from_slice(&new);
    replace(bytes, header + 16, &old, &new);
}
