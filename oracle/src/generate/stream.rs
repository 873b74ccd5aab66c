//! From a seed to bytes: every case has a stream of its own, so it can be made again alone, on any machine, and the
//! parts of a run that is split have nothing in common.

use arbitrary::Unstructured;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Allowed, Case, Choices, Scope, Setup, case};
use crate::scenario::Lane;

/// Cases that share settings.
pub const CASES_IN_A_BATCH: u64 = 1024;
/// Cases that share what may occur in them.
const CASES_IN_A_SWARM: u64 = 32;
/// Bytes for a case: more than any needs.
const BYTES: usize = 2048;

/// The cases of a seed.
#[derive(Clone, Debug)]
pub struct Stream {
    seed: u64,
    allowed: Allowed,
}

/// What a stream of bytes is for: the numbers of different things never meet.
#[derive(Clone, Copy)]
enum For {
    Case = 0,
    Swarm = 1,
    Batch = 2,
}

impl Stream {
    /// The cases of a seed within what is allowed.
    pub fn new(seed: u64, allowed: Allowed) -> Stream {
        Stream { seed, allowed }
    }

    /// The settings of a batch.
    pub fn setup(&self, batch: u64) -> Setup {
        let bytes = self.bytes(For::Batch, batch);
        Setup::choose(&mut Choices::new(&mut Unstructured::new(&bytes)), &self.allowed)
    }

    /// A case by its number, `setup` being that of its batch.
    pub fn case(&self, number: u64, setup: &Setup, lane: Lane) -> Case {
        let bytes = self.bytes(For::Swarm, number / CASES_IN_A_SWARM);
        let scope = Scope::choose(&mut Choices::new(&mut Unstructured::new(&bytes)), &self.allowed, setup);
        let bytes = self.bytes(For::Case, number);
        case(&mut Unstructured::new(&bytes), &scope, lane)
    }

    fn bytes(&self, purpose: For, number: u64) -> [u8; BYTES] {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(number << 2 | purpose as u64);
        let mut bytes = [0; BYTES];
        random.fill_bytes(&mut bytes);
        bytes
    }
}
