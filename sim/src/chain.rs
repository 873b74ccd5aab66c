//! A hash over all that happened, in order: two runs that end with the same one did the same.
//!
//! Each event is folded into the hash of those before it. While *recording*, the chain also keeps a line for each, so
//! that two runs that differ can be asked for the first event in which they do. The hash is XXH3, the same on any
//! machine.

use xxhash_rust::xxh3::xxh3_64;

/// The hash of everything so far.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    value: u64,
    count: u64,
    records: Option<Vec<Record>>,
}

/// One event of a recorded chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in nanoseconds.
    pub at: u64,
    /// What happened, in a word.
    pub what: &'static str,
    /// Where: the number of the interface, host or fault, as `what` has it.
    pub place: u32,
    /// A hash of what was moved: of a packet its bytes.
    pub content: u64,
}

/// Where two recorded runs part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The number of the first event in which they differ, from 0.
    pub event: u64,
    /// That event in the one run; none when it had already ended.
    pub one: Option<Record>,
    /// That event in the other run.
    pub other: Option<Record>,
}

impl Chain {
    /// The hash.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// How many events went into it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Keeps a line for each event from now on: 32 bytes each.
    pub fn record(&mut self) {
        self.records.get_or_insert_default();
    }

    /// The lines kept.
    pub fn records(&self) -> &[Record] {
        self.records.as_deref().unwrap_or_default()
    }

    /// Where this run and another, both recorded from their beginning, part.
    pub fn first_difference(&self, other: &Chain) -> Option<Difference> {
        let (ours, theirs) = (self.records(), other.records());
        let same = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
        if same == ours.len() && same == theirs.len() {
            return None;
        }
        let (one, other) = (ours.get(same).copied(), theirs.get(same).copied());
        Some(Difference { event: same as u64, one, other })
    }

    pub(crate) fn add(&mut self, record: Record) {
        let Record { at, what, place, content } = record;
        let kind = what.bytes().fold(0, |kind: u64, letter| kind.wrapping_mul(31) + u64::from(letter));
        let kind = kind << 32 ^ u64::from(place);
        self.value = mix(mix(self.value ^ at, kind), content);
        self.count += 1;
        if let Some(records) = &mut self.records {
            records.push(record);
        }
    }
}

/// A hash of bytes that are moved.
pub(crate) fn content(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Folds a number into a hash: a multiplication whose halves are put together, so that every bit counts.
fn mix(hash: u64, number: u64) -> u64 {
    let wide =
        u128::from(hash ^ 0x9e37_79b9_7f4a_7c15) * u128::from(number.rotate_left(29) ^ 0xd1b5_4a32_d192_ed03);
    (wide as u64) ^ (wide >> 64) as u64 ^ hash.rotate_left(17)
}
