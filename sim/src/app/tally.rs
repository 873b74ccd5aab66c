//! How many bytes went by, and their hash.

use std::fmt;

use xxhash_rust::xxh64::Xxh64;

/// A count of bytes and their XXH64, so that two ends can be compared without keeping what they said.
///
/// ```
/// let mut tally = conntruth_sim::app::Tally::default();
/// tally.add(b"Hello, ");
/// tally.add(b"world!");
/// assert_eq!((tally.bytes(), tally.hash()), (13, 0xf58336a78b6f9476));
/// ```
#[derive(Clone, Default)]
pub struct Tally {
    bytes: u64,
    hash: Xxh64,
}

impl Tally {
    /// Counts bytes.
    pub fn add(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.hash.update(data);
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Their XXH64 with seed 0, as `xxhsum -H64` prints it.
    pub fn hash(&self) -> u64 {
        self.hash.digest()
    }
}

impl PartialEq for Tally {
    fn eq(&self, other: &Tally) -> bool {
        self.bytes == other.bytes && self.hash() == other.hash()
    }
}

impl Eq for Tally {}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes {:016x}", self.bytes, self.hash())
    }
}
