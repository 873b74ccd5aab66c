//! All chance there is: one number, and from it a stream of dice for each name.
//!
//! A stream depends on the number and on its own name, on nothing else: another host, link or fault in the world
//! throws other dice, and changes nobody's.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::xxh3_64;

/// The number that everything is seeded from.
///
/// ```
/// use conntruth_sim::Seed;
/// let mut one = Seed(7).dice("link client up");
/// let mut other = Seed(7).dice("link server up");
/// assert_eq!(one.below(1000), Seed(7).dice("link client up").below(1000));
/// assert_ne!(one.number(), other.number());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream of this name.
    pub fn dice(self, name: &str) -> Dice {
        let mut rng = ChaCha8Rng::seed_from_u64(self.0);
        rng.set_stream(xxh3_64(name.as_bytes()));
        Dice { rng }
    }
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Dice {
    rng: ChaCha8Rng,
}

impl Dice {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A number below `bound`, zero where that is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something happens that happens so often.
    pub fn happens(&mut self, chance: Chance) -> bool {
        self.below(u64::from(Chance::ALWAYS.0)) < u64::from(chance.0)
    }
}

/// A probability in millionths: a count, so that it is the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// Never.
    pub const NEVER: Chance = Chance(0);
    /// Each time.
    pub const ALWAYS: Chance = Chance(1_000_000);

    /// So many in a million; `None` for more than a million.
    pub const fn in_a_million(count: u32) -> Option<Chance> {
        if count <= Chance::ALWAYS.0 { Some(Chance(count)) } else { None }
    }

    /// So many in a hundred; `None` for more than a hundred.
    pub const fn percent(count: u32) -> Option<Chance> {
        if count <= 100 { Some(Chance(count * 10_000)) } else { None }
    }

    /// How often in a million.
    pub const fn millionths(self) -> u32 {
        self.0
    }
}
