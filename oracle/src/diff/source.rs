//! Where worlds come from: a seed, batch after batch.

use std::sync::Arc;

use super::run::Shard;
use crate::generate::{CASES_IN_A_BATCH, Stream};
use crate::language::ast::Story;
use crate::scenario::{Lane, config};
use crate::target::{Batch, Reading};

/// A batch and the cases that are its worlds.
pub(super) struct Work {
    pub cases: Vec<u64>,
    pub batch: Arc<Batch>,
}

/// Makes worlds.
pub(super) trait Source {
    /// The next batch. `lanes` counts the lanes used so far.
    fn next(&mut self, lanes: &mut u64) -> Option<Work>;

    /// A case by its number.
    fn story(&self, case: u64) -> Story;
}

/// Cases of a seed.
pub(super) struct Seeded {
    stream: Stream,
    shard: Shard,
    /// Where the cases end.
    end: u64,
    /// The next batch.
    batch: u64,
}

impl Seeded {
    pub fn new(stream: Stream, shard: Shard, cases: Option<u64>) -> Seeded {
        Seeded { stream, shard, end: cases.unwrap_or(u64::MAX), batch: shard.index }
    }
}

impl Source for Seeded {
    fn next(&mut self, lanes: &mut u64) -> Option<Work> {
        let first = self.batch.checked_mul(CASES_IN_A_BATCH).filter(|first| *first < self.end)?;
        let cases: Vec<u64> = (first..(first + CASES_IN_A_BATCH).min(self.end)).collect();
        let setup = self.stream.setup(self.batch);
        self.batch += self.shard.of;
        let mut batch = Batch { reading: Reading::Each, ..Batch::default() };
        for case in &cases {
            let case = self.stream.case(*case, &setup, Lane::number(*lanes));
            *lanes += 1;
            batch.worlds.push(case.arrivals);
        }
        let story = Story { settings: setup.settings, ..Story::default() };
        batch.config = config(&story);
        Some(Work { cases, batch: Arc::new(batch) })
    }

    fn story(&self, case: u64) -> Story {
        let setup = self.stream.setup(case / CASES_IN_A_BATCH);
        self.stream.case(case, &setup, Lane::FIRST).story
    }
}
