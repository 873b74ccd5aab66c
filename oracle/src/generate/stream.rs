//! From a seed to bytes: every case has a stream of its own, so it can be made again alone, on any machine, and the
//! parts of a run that is split have nothing in common.

use arbitrary::Unstructured;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Allowed, Case, Choices, Scope, case};
use crate::scenario::Lane;

/// Cases that share settings and a scope.
pub const CASES_IN_A_BATCH: u64 = 1024;
/// Bytes for a case: more than any needs.
const BYTES: usize = 2048;

/// The cases of a seed.
#[derive(Clone, Debug)]
pub struct Stream {
    seed: u64,
    allowed: Allowed,
}

impl Stream {
    /// The cases of a seed within what is allowed.
    pub fn new(seed: u64, allowed: Allowed) -> Stream {
        Stream { seed, allowed }
    }

    /// What the cases of a batch have in common.
    pub fn scope(&self, batch: u64) -> Scope {
        let bytes = self.bytes(batch << 1 | 1);
        Scope::choose(&mut Choices::new(&mut Unstructured::new(&bytes)), &self.allowed)
    }

    /// A case by its number, `scope` being that of its batch.
    pub fn case(&self, number: u64, scope: &Scope, lane: Lane) -> Case {
        let bytes = self.bytes(number << 1);
        case(&mut Unstructured::new(&bytes), scope, lane)
    }

    fn bytes(&self, stream: u64) -> [u8; BYTES] {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        let mut bytes = [0; BYTES];
        random.fill_bytes(&mut bytes);
        bytes
    }
}
